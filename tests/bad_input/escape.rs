//! A target whose owner wants us to write somewhere else: at everything that is written stands, before an
//! apply, before a revert or after a run that was killed, a way out. No byte outside changes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use neuron_tests::program::{self, Output};
use neuron_tests::scenario::Ground;
use neuron_tests::tree::{self, Tree};

use super::MACHINE;

/// What is written, or is on the way to it.
const FILES: [&str; 12] = [
    "boot/loader/entries/arch.conf",
    "boot/loader/entries/aa-neuron-host-arch.conf",
    "boot/neuron-host/kept-vmlinuz-linux",
    "etc/modprobe.d/vfio.conf",
    "etc/neuron/vfio-devices",
    "etc/mkinitcpio.conf.d/95-neuron-vfio.conf",
    "var/lib/neuron-provisioner/journal.jsonl",
    "var/lib/neuron-provisioner/refusal.json",
    "var/lib/neuron-provisioner/saved/.unfinished",
    // The names of new files until they are renamed, in a first run and in the one after it.
    "etc/modprobe.d/.vfio.conf.neuron-1-2",
    "boot/neuron-host/.kept-vmlinuz-linux.neuron-1-0",
    "boot/loader/entries/.arch.conf.neuron-2-1",
];
const FOLDERS: [&str; 11] = [
    "boot",
    "boot/loader",
    "boot/loader/entries",
    "boot/neuron-host",
    "etc/modprobe.d",
    "etc/neuron",
    "etc/mkinitcpio.conf.d",
    "var",
    "var/lib",
    "var/lib/neuron-provisioner",
    "var/lib/neuron-provisioner/saved",
];

/// A way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Absolute,
    Climbing,
    HardLink,
    Fifo,
    /// A mount that the target's fstab does not declare.
    Mount,
    /// The control: one that it does.
    DeclaredMount,
}

/// From where the run starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Past {
    Fresh,
    Applied,
    /// Killed while the image was built.
    Killed,
}

/// A target for each past, made once.
struct Yard {
    ground: Ground,
}

impl Yard {
    fn new() -> Self {
        let yard = Self { ground: Ground::new(MACHINE, "arch-systemd-boot").unwrap() };
        let target = yard.ground.target();
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
        fs::copy(busybox.expect("no busybox (Debian: busybox-static)"), target.join("usr/bin/sh")).unwrap();
        let mkinitcpio = target.join("usr/bin/mkinitcpio");
        for (past, script) in
            [(Past::Fresh, "exit 0"), (Past::Killed, "kill -9 $PPID"), (Past::Applied, "exit 0")]
        {
            fs::write(&mkinitcpio, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&mkinitcpio, fs::Permissions::from_mode(0o755)).unwrap();
            if past != Past::Fresh {
                Yard::copy(&yard.kept(Past::Fresh), &target);
                fs::write(&mkinitcpio, format!("#!/bin/sh\n{script}\n")).unwrap();
                let output = yard.run("", "apply", &target, &target);
                assert_eq!(output.code, if past == Past::Killed { 137 } else { 4 }, "{}", output.stderr);
                fs::write(&mkinitcpio, "#!/bin/sh\nexit 0\n").unwrap();
            }
            Yard::copy(&target, &yard.kept(past));
        }
        yard
    }

    fn kept(&self, past: Past) -> PathBuf {
        self.ground.beside(&format!("{past:?}"))
    }

    fn outside(&self) -> PathBuf {
        self.ground.beside("outside")
    }

    fn copy(from: &Path, to: &Path) {
        if to.exists() {
            fs::remove_dir_all(to).unwrap();
        }
        assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
    }

    /// Runs a verb in a mount namespace of its own, after `script`, which gets the place as `$4` and what it is to lead to as
    /// `$5`.
    fn run(&self, script: &str, verb: &str, place: &Path, way: &Path) -> Output {
        let script = format!(
            "{script}\ncode=0\ntimeout -s KILL 30 \"$1\" --machine-root \"$2\" --target-root \"$3\" {verb} --yes || code=$?\nexit $code"
        );
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if !nix::unistd::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        command.args(["sh", "-euc", &script, "sh"]).arg(program::path().unwrap()).arg(self.ground.machine());
        program::output(command.arg(self.ground.target()).arg(place).arg(way)).unwrap()
    }

    /// Puts a way out at a place, runs, and gives what is outside before and after.
    fn attempt(&self, past: Past, verb: &str, place: &str, way: Way) -> (Tree, Tree, Output) {
        Self::copy(&self.kept(past), &self.ground.target());
        let at = self.ground.target().join(place);
        let outside = self.outside();
        if outside.exists() {
            fs::remove_dir_all(&outside).unwrap();
        }
        // Outside is what a link that is followed would be taken for.
        if at.is_dir() {
            Self::copy(&at, &outside);
        } else {
            fs::create_dir_all(&outside).unwrap();
        }
        let bytes = fs::read(&at).unwrap_or_else(|_| b"outside\n".to_vec());
        fs::write(outside.join("file"), bytes).unwrap();
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        let to = if FILES.contains(&place) { outside.join("file") } else { outside.clone() };
        let remove = || {
            if at.is_dir() { fs::remove_dir_all(&at).unwrap() } else { drop(fs::remove_file(&at)) }
        };
        let mut script = "";
        match way {
            Way::Absolute => {
                remove();
                symlink(&to, &at).unwrap();
            }
            Way::Climbing => {
                remove();
                symlink(format!("../../../../../../../../../..{}", to.display()), &at).unwrap();
            }
            Way::HardLink => {
                remove();
                fs::hard_link(&to, &at).unwrap();
            }
            Way::Fifo => {
                remove();
                nix::unistd::mkfifo(&at, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
            }
            Way::Mount | Way::DeclaredMount => {
                if !FILES.contains(&place) {
                    fs::create_dir_all(&at).unwrap();
                } else if !at.exists() {
                    fs::write(&at, "").unwrap();
                }
                script = "mount --bind \"$5\" \"$4\"";
                let fstab = self.ground.target().join("etc/fstab");
                let others = fs::read_to_string(&fstab).unwrap();
                let others: String = others
                    .lines()
                    .filter(|line| !line.contains(" /boot "))
                    .fold(String::new(), |all, line| all + line + "\n");
                let own =
                    if way == Way::Mount { String::new() } else { format!("UUID=1 /{place} ext4 rw 0 2\n") };
                fs::write(&fstab, others + &own).unwrap();
            }
        }
        let before = tree::snapshot(&outside).unwrap();
        let output = self.run(script, verb, &at, &to);
        (before, tree::snapshot(&outside).unwrap(), output)
    }
}

#[test]
fn no_way_out_is_taken_by_any_run_that_writes() {
    let yard = Yard::new();
    let of_files = [Way::Absolute, Way::Climbing, Way::HardLink, Way::Fifo, Way::Mount];
    let of_folders = [Way::Absolute, Way::Climbing, Way::Mount];
    let files = FILES.iter().flat_map(|place| of_files.map(|way| (*place, way)));
    let folders = FOLDERS.iter().flat_map(|place| of_folders.map(|way| (*place, way)));
    let mut attempts = 0;
    for (place, way) in files.chain(folders) {
        for (past, verb) in [
            (Past::Fresh, "apply"),
            (Past::Applied, "apply"),
            (Past::Applied, "revert"),
            (Past::Killed, "apply"),
            (Past::Killed, "revert"),
        ] {
            let (before, after, output) = yard.attempt(past, verb, place, way);
            let told = format!("{verb}, {past:?}, {way:?} at {place}: {} {}", output.code, output.stderr);
            assert_eq!(tree::diff(&before, &after), [], "{told}");
            // Neither a panic (101) nor a read that waits for ever (137).
            assert!((0..=6).contains(&output.code) && !output.stderr.contains("panicked"), "{told}");
            attempts += 1;
        }
    }
    println!("{attempts} attempts to get out");
}

/// The control: the same look sees a write outside where the target declares the mount.
#[test]
fn a_declared_mount_is_written_and_that_is_seen() {
    let yard = Yard::new();
    let (before, after, output) = yard.attempt(Past::Fresh, "apply", "etc/modprobe.d", Way::DeclaredMount);
    assert_eq!(output.code, 4, "{}", output.stderr);
    let added: Vec<String> = tree::diff(&before, &after).iter().map(ToString::to_string).collect();
    assert_eq!(added, ["added: vfio.conf"]);
}
