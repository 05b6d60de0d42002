//! A root that pacman installs into, and in which hooks run.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use neuron_tests::{machine, program, target};
use tempfile::TempDir;

use crate::build::{built, run, tried};

/// Which programs were run in the root, as the target's own stand-ins note it.
const NOTES: &str = "var/log/stand-ins";

/// Runs a command while `/boot` of the root is a file system of its own, as an ESP is, and leaves in the
/// folder what was written to it.
const WITH_BOOT_MOUNTED: &str = "root=$1; shift
    mount --bind \"$root/boot\" \"$root/mnt\"; mount -t tmpfs boot \"$root/boot\"
    cp -a \"$root/mnt/.\" \"$root/boot/\"
    code=0; \"$@\" || code=$?
    find \"$root/mnt\" -mindepth 1 -delete; cp -a \"$root/boot/.\" \"$root/mnt/\"
    exit $code";

pub(crate) struct Root {
    folder: TempDir,
    /// Whether `/boot` is mounted while pacman and its hooks run.
    pub(crate) boot_is_mounted: bool,
}

impl Root {
    /// An Arch system on a machine with a GPU to give away, and our packages installed.
    pub(crate) fn new() -> Self {
        Self::of("arch-grub")
    }

    /// The same with another target.
    pub(crate) fn of(name: &str) -> Self {
        let root = Self { folder: tempfile::tempdir().unwrap(), boot_is_mounted: false };
        let found = machine::Machine::load("made-rtx-usbc-igpu").unwrap();
        machine::lay_out(&found, &root.path("")).unwrap();
        target::copy(name, &root.path("")).unwrap();
        root.put("proc/sys/kernel/random/boot_id", "11111111-1111-4111-8111-111111111111\n");
        root.programs();
        // A plain file: devices cannot be opened on every place for temporary files.
        root.put("dev/null", "");
        for folder in ["var/lib/pacman", "var/cache/pacman/pkg", "var/log", "dev", "tmp", "mnt"] {
            fs::create_dir_all(root.path(folder)).unwrap();
        }
        root.put(
            "etc/pacman.conf",
            "[options]\nArchitecture = x86_64\nSigLevel = Never\nLocalFileSigLevel = Optional\n",
        );
        let depends = ["glibc", "gcc-libs", "systemd", "kmod", "mkinitcpio", "linux"];
        // The target has some of these files from its own tree.
        let (is_fine, said) = root.install(&depends.map(|name| (name, "1")), &["--overwrite", "*"]);
        assert!(is_fine, "{said}");
        let (is_fine, said) =
            root.install(&[("neuron-provisioner", "0.1.0"), ("neuron-initcpio-hooks", "0.1.0")], &[]);
        assert!(is_fine, "{said}");
        root
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn put(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A shell, and the libraries of our program.
    fn programs(&self) {
        fs::create_dir_all(self.path("usr/bin")).unwrap();
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).is_file());
        fs::copy(busybox.expect("busybox-static is missing"), self.path("usr/bin/busybox")).unwrap();
        for name in ["sh", "env", "echo", "cat"] {
            let _ = fs::remove_file(self.path(&format!("usr/bin/{name}")));
            symlink("busybox", self.path(&format!("usr/bin/{name}"))).unwrap();
        }
        for (link, to) in [("bin", "usr/bin"), ("lib64", "usr/lib"), ("lib", "usr/lib")] {
            if fs::symlink_metadata(self.path(link)).is_err() {
                symlink(to, self.path(link)).unwrap();
            }
        }
        self.libraries_of(&program::path().unwrap());
    }

    /// A program of this machine, with its libraries.
    pub(crate) fn program(&self, from: &Path, to: &str) {
        let to = self.path(to);
        if fs::symlink_metadata(&to).is_ok() {
            fs::remove_file(&to).unwrap();
        }
        fs::copy(from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        let begin = fs::read(from).unwrap();
        if begin.starts_with(b"\x7fELF") {
            self.libraries_of(from);
        }
    }

    fn libraries_of(&self, program: &Path) {
        let needs = run(Command::new("ldd").arg(program));
        for library in needs.split_whitespace().filter(|word| word.starts_with('/')) {
            let name = Path::new(library).file_name().unwrap().to_str().unwrap();
            fs::copy(library, self.path("usr/lib").join(name)).unwrap();
        }
    }

    fn pacman(&self) -> Command {
        let mut pacman = if self.boot_is_mounted {
            let mut mounted = Command::new("unshare");
            mounted.args(["--mount", "--propagation", "private", "sh", "-euc", WITH_BOOT_MOUNTED, "sh"]);
            mounted.arg(self.folder.path()).arg("pacman");
            mounted
        } else {
            Command::new("pacman")
        };
        pacman.arg("--root").arg(self.path("")).arg("--config").arg(self.path("etc/pacman.conf"));
        pacman
            .arg("--dbpath")
            .arg(self.path("var/lib/pacman"))
            .arg("--cachedir")
            .arg(self.path("var/cache/pacman/pkg"));
        pacman.arg("--hookdir").arg(self.path("usr/share/libalpm/hooks"));
        pacman
            .arg("--logfile")
            .arg(self.path("var/log/pacman.log"))
            .arg("--noconfirm")
            .env("LC_ALL", "C.UTF-8")
            // Hooks would look for it in the root.
            .env_remove("TMPDIR");
        pacman
    }

    /// Installs packages of these names and versions. Gives whether pacman says that it did, and all
    /// that was said, by hooks too.
    pub(crate) fn install(&self, packages: &[(&str, &str)], arguments: &[&str]) -> (bool, String) {
        let files = packages.iter().map(|(name, version)| built().package(name, version));
        tried(self.pacman().arg("--upgrade").args(arguments).args(files))
    }

    pub(crate) fn install_file(&self, file: &Path) -> (bool, String) {
        tried(self.pacman().arg("--upgrade").arg(file))
    }

    pub(crate) fn remove(&self, name: &str) -> (bool, String) {
        tried(self.pacman().arg("--remove").arg(name))
    }

    /// Every path of a package, without the root before it.
    pub(crate) fn owned(&self, name: &str) -> Vec<String> {
        let root = self.path("").display().to_string();
        let said = run(self.pacman().args(["--query", "--list", "--quiet", name]));
        said.lines()
            .map(|path| path.strip_prefix(&root).unwrap_or(path).trim_start_matches('/').to_owned())
            .collect()
    }

    /// Runs our program in the root, as its administrator would.
    pub(crate) fn provisioner(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new("chroot");
        let done =
            command.arg(self.path("")).arg("/usr/bin/neuron-provisioner").args(arguments).output().unwrap();
        let said =
            String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        (done.status.code().unwrap_or(-1), said)
    }

    /// What the stand-ins of the target were called for since this was asked last.
    pub(crate) fn called(&self) -> Vec<String> {
        let notes = fs::read_to_string(self.path(NOTES)).unwrap_or_default();
        let _ = fs::remove_file(self.path(NOTES));
        notes.lines().map(|line| line.trim().to_owned()).collect()
    }
}
