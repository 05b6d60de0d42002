//! What the demo brings along: a captured machine and a small Arch target.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A real desktop, as `capture` wrote it (`demo/README.md` says which).
pub(super) const MACHINE: &str = include_str!("../../demo/machine.json");

/// Names of that machine's GPUs.
pub(super) const PCI_IDS: &str = include_str!("../../demo/pci.ids");

/// What the machine is, for a person.
pub(super) const MACHINE_NAME: &str = "i9-9900K, UHD 630, RTX 2080 SUPER";

/// Directories that an installed system has and that hold no file here.
const DIRECTORIES: [&str; 3] = ["etc/modprobe.d", "etc/mkinitcpio.conf.d", "var/lib"];

macro_rules! files {
    ($($mode:literal $path:literal),* $(,)?) => {
        /// The target's files: path, permission bits, bytes.
        pub(super) const FILES: &[(&str, u32, &[u8])] =
            &[$(($path, $mode, include_bytes!(concat!("../../demo/target/", $path)))),*];
    };
}

files! {
    0o600 "boot/grub/grub.cfg",
    0o644 "boot/initramfs-linux.img",
    0o644 "boot/vmlinuz-linux",
    0o644 "etc/default/grub",
    0o644 "etc/fstab",
    0o755 "etc/grub.d/10_linux",
    0o644 "etc/hostname",
    0o444 "etc/machine-id",
    0o644 "etc/mkinitcpio.conf",
    0o644 "etc/mkinitcpio.d/linux.preset",
    0o644 "etc/os-release",
    0o755 "usr/bin/grub-mkconfig",
    0o755 "usr/bin/mkinitcpio",
    0o644 "usr/lib/modprobe.d/nvidia-utils.conf",
    0o644 "usr/lib/modules/6.12.1-arch1-1/modules.alias",
    0o644 "usr/lib/modules/6.12.1-arch1-1/modules.builtin",
    0o644 "usr/lib/modules/6.12.1-arch1-1/modules.dep",
    0o644 "usr/lib/modules/6.12.1-arch1-1/pkgbase",
}

/// Writes the target below a directory that does not exist yet.
pub(super) fn write_target(root: &Path) -> io::Result<()> {
    for directory in DIRECTORIES {
        fs::create_dir_all(root.join(directory))?;
    }
    for (path, mode, bytes) in FILES {
        let path = root.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, bytes)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;

    fn files_below(root: &Path, folder: &Path, into: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files_below(root, &path, into);
            } else {
                into.insert(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_embedded_and_comes_from_the_arch_target() {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let mut there = BTreeSet::new();
        files_below(&here.join("demo/target"), &here.join("demo/target"), &mut there);
        let listed: BTreeSet<String> = FILES.iter().map(|(path, ..)| (*path).to_owned()).collect();
        assert_eq!(listed, there);
        for (path, _, bytes) in FILES {
            let original = fs::read(here.join("../../tests/targets/arch-grub/root").join(path)).unwrap();
            assert_eq!(original, *bytes, "{path}");
        }
    }
}
