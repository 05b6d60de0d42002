//! The real Looking Glass client and the newest systemd, in a root of Debian's unstable suite, which
//! `tests/run --tier looking-glass` makes (`in-unstable`).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

mod host;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use neuron_tests::{program, tests_folder};
use serde_json::Value;

use host::{CLIENT, Host, SYSUSERS, TMPFILES};

const ANSWERS: &str = "[looking_glass]\nusers = [\"vera\", \"noor\"]\n[vm.windows11]\n";
const UDEV: &str = "etc/udev/rules.d/70-kvmfr.rules";
const MIB: u64 = 1 << 20;

/// The root, and what is put into it for one test.
struct Inside {
    root: PathBuf,
    folder: PathBuf,
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap()
}

impl Inside {
    /// The root with three people, and with these files of a target that was set up.
    fn new(host: &Host, files: &[&str]) -> Self {
        let root = std::env::var_os("NEURON_LOOKING_GLASS_ROOT")
            .expect("no root: `tests/run --tier looking-glass` makes one");
        let inside = Self { root: PathBuf::from(root), folder: host.ground.beside("inside") };
        fs::create_dir(&inside.folder).unwrap();
        for from in [inside.root.join("etc"), host.ground.machine().join("sys")] {
            succeeds(Command::new("cp").arg("-a").arg(from).arg(&inside.folder));
        }
        inside.add("etc/passwd", "libvirt-qemu:x:959:959::/:/usr/sbin/nologin\n");
        inside.add("etc/group", "libvirt:x:960:\nlibvirt-qemu:x:959:\n");
        for (number, name) in [(1000, "vera"), (1001, "noor"), (1002, "kim")] {
            inside.add("etc/passwd", &format!("{name}:x:{number}:{number}::/home/{name}:/bin/sh\n"));
            inside.add("etc/group", &format!("{name}:x:{number}:\n"));
        }
        for file in files {
            put(&inside.folder.join(file), &host.text(file).unwrap());
        }
        inside
    }

    fn add(&self, path: &str, text: &str) {
        let path = self.folder.join(path);
        let was = fs::read_to_string(&path).unwrap();
        fs::write(path, was + text).unwrap();
    }

    /// Runs a script there.
    fn run(&self, script: &str) -> String {
        put(&self.folder.join("script"), script);
        let enter = tests_folder().join("looking_glass/enter");
        succeeds(Command::new(enter).arg(&self.folder).arg(&self.root).arg("script"))
    }
}

/// What stands behind every line `== NAME`.
fn sections(output: &str) -> BTreeMap<&str, &str> {
    output.split("== ").filter_map(|part| part.split_once('\n')).collect()
}

/// How many bytes the lines of `/proc/PID/maps` are about, each of which must allow writing into what is
/// shared.
fn mapped(section: &str) -> u64 {
    let lines =
        section.lines().filter(|line| line.ends_with("/dev/shm/looking-glass") && line.contains(" rw-s "));
    let size = |line: &str| {
        let (from, to) = line.split(' ').next()?.split_once('-')?;
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        Some(number(to)? - number(from)?)
    };
    lines.filter_map(size).sum()
}

fn document(section: &str) -> Value {
    let end = section.find("\ncode ").unwrap_or(section.len());
    serde_json::from_str(&section[..end]).unwrap()
}

#[test]
fn the_client_shows_the_memory_to_the_users_of_the_answers_and_to_nobody_else() {
    let mut host = Host::new("looking-glass");
    let passwd = host.text("etc/passwd").unwrap().replace("kim:x:1001", "noor:x:1001");
    fs::write(host.ground.target().join("etc/passwd"), passwd).unwrap();
    host.apply(ANSWERS);
    host.ground.answers = None;
    let inside = Inside::new(&host, &[TMPFILES, SYSUSERS, CLIENT]);
    put(&inside.folder.join("etc/neuron/provisioner.toml"), ANSWERS);
    fs::copy(program::path().unwrap(), inside.folder.join("neuron-provisioner")).unwrap();
    let output = inside.run(include_str!("inside.sh"));
    println!("{output}");
    let of = sections(&output);
    assert_eq!(of["groups"], "vera kvm libvirt\nnoor kvm libvirt\nkim\n");
    assert_eq!(of["memory"], "vera kvm 660 0\n");

    // The owner by the file's mode, the other user of the answers by its group; and the owner once more,
    // after the memory was made anew.
    for name in ["owner", "group", "anew"] {
        assert_eq!(mapped(of[name]), 64 * MIB, "{name}: {}", of[name]);
        assert!(of[name].contains("KVMFR Device     : /dev/shm/looking-glass"), "{}", of[name]);
        assert!(of[name].contains("Using Renderer"), "{}", of[name]);
    }
    assert!(of["other"].contains("Failed to open: /dev/shm/looking-glass"), "{}", of["other"]);
    assert!(of["other"].contains("Permission denied"), "{}", of["other"]);
    assert!(of["root"].contains("Do not run looking glass as root"), "{}", of["root"]);
    assert!(of["empty"].contains("Failed to map"), "{}", of["empty"]);
    for name in ["other", "root", "empty"] {
        assert_eq!((mapped(of[name]), of[name].contains("code 255")), (0, true), "{name}: {}", of[name]);
    }

    // What the client calls itself is what its package told us.
    let right = document(of["right"]);
    let release = right["client"]["release"].as_str().unwrap();
    assert!(of["owner"].contains(&format!("Looking Glass ({release})")), "{release}: {}", of["owner"]);
    assert_eq!(
        (&right["state"], right["memories"][0]["there"]["size"].as_u64()),
        (&"ready".into(), Some(64 * MIB))
    );
    // The client takes whatever size is there, and only we say that it is the wrong one.
    assert_eq!(mapped(of["half"]), 32 * MIB, "{}", of["half"]);
    let wrong = document(of["wrong"]);
    assert!(of["wrong"].contains("code 5"), "{}", of["wrong"]);
    let problem = "/dev/shm/looking-glass is 32 MiB, and should be 64 MiB";
    assert_eq!((&wrong["state"], &wrong["problems"][0]), (&"wrong".into(), &problem.into()));

    // Our verb starts it when the virtual machine runs, and it ends with that.
    assert_eq!(mapped(of["verb"]), 64 * MIB, "{}", of["verb"]);
    assert!(of["verb"].contains("code 0") && of["verb"].contains("windows11 ended"), "{}", of["verb"]);
    assert_eq!(of["afterwards"], "");
}

/// `udevadm test` on a device as the module makes it, in a sysfs of files.
#[test]
fn udev_gives_the_device_to_the_group_and_to_who_sits_there() {
    let host = Host::new("looking-glass-kvmfr");
    host.apply(ANSWERS);
    let inside = Inside::new(&host, &[UDEV]);
    let device = inside.folder.join("sys/devices/virtual/kvmfr/kvmfr0");
    put(&device.join("uevent"), "MAJOR=242\nMINOR=0\nDEVNAME=kvmfr0\n");
    put(&device.join("dev"), "242:0\n");
    fs::create_dir_all(inside.folder.join("sys/class/kvmfr")).unwrap();
    std::os::unix::fs::symlink("../../../../class/kvmfr", device.join("subsystem")).unwrap();
    let output = inside.run(
        r#"
        ask() { echo "== $1"; SYSTEMD_DEVICE_VERIFY_SYSFS=0 udevadm test --json=short \
            /sys/devices/virtual/kvmfr/kvmfr0 2>/dev/null; }
        cd /etc/udev/rules.d
        echo '== verify'; udevadm verify 70-kvmfr.rules && echo 'code 0'
        ask ours
        mv 70-kvmfr.rules 74-kvmfr.rules; ask late
        mv 74-kvmfr.rules /tmp; ask none
        echo '== broken'; sed s/GROUP=/GRUOP=/ /tmp/74-kvmfr.rules >70-kvmfr.rules
        udevadm verify "$PWD/70-kvmfr.rules" 2>&1 || echo "code $?"
        "#,
    );
    println!("{output}");
    let of = sections(&output);
    assert!(of["verify"].contains("code 0"), "{}", of["verify"]);
    assert!(of["broken"].contains("GRUOP") && of["broken"].contains("code 1"), "{}", of["broken"]);
    let answer = |name: &str| document(of[name]);
    let has_uaccess = |answer: &Value| answer["queuedCommands"].to_string().contains("uaccess");
    let (ours, late, none) = (answer("ours"), answer("late"), answer("none"));
    assert_eq!((&ours["node"]["owner"]["groupName"], &ours["node"]["mode"]), (&"kvm".into(), &"0660".into()));
    assert!(has_uaccess(&ours), "{ours}");
    // Read after 73-seat-late, nobody who sits there would get it; without the rule, nobody at all.
    assert_eq!((&late["node"]["mode"], has_uaccess(&late)), (&"0660".into(), false), "{late}");
    assert_eq!((&none["node"]["mode"], has_uaccess(&none)), (&Value::Null, false), "{none}");
}
