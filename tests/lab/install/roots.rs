//! Roots on disks: the live medium, and what it installs.

use std::io;
use std::path::PathBuf;
use std::thread;

use crate::suite::{Made, Recipe, made};

/// What the installed system is made of: the kernel, dracut, both boot loaders.
const TARGET: [&str; 20] = [
    "systemd-sysv",
    "udev",
    "dbus",
    "linux-image-amd64",
    "dracut",
    "kmod",
    "zstd",
    "grub2-common",
    "grub-common",
    "grub-pc-bin",
    "grub-efi-amd64-bin",
    "systemd-boot",
    "systemd-boot-efi",
    "efibootmgr",
    "e2fsprogs",
    "dosfstools",
    "pci.ids",
    "busybox-static",
    "passwd",
    "login",
];

/// What the live medium has beside that.
const LIVE: [&str; 7] = ["calamares", "python3", "gdisk", "rsync", "fdisk", "mount", "parted"];

/// A root as an image, with what boots it from outside.
#[derive(Debug)]
pub(super) struct Root {
    /// What stands for its content.
    pub(super) key: String,
    /// An ext4 file system.
    pub(super) image: PathBuf,
    /// Its kernel.
    pub(super) kernel: PathBuf,
    /// Its initramfs; only the live medium has one.
    pub(super) initramfs: PathBuf,
}

/// The live medium and what it installs; where both are missing, they are made side by side.
pub(super) fn both() -> io::Result<(Root, Root)> {
    let (live, target) = thread::scope(|scope| {
        let live = scope.spawn(live);
        (live.join(), target())
    });
    let live = live.map_err(|_| io::Error::other("the making of the live medium panicked"))?;
    Ok((live?, target?))
}

/// The live medium.
pub(super) fn live() -> io::Result<Root> {
    root("live", &[TARGET.as_slice(), LIVE.as_slice()].concat())
}

/// What Calamares copies. It has no initramfs: that is built when it is installed.
pub(super) fn target() -> io::Result<Root> {
    root("target", &TARGET)
}

fn root(name: &str, packages: &[&str]) -> io::Result<Root> {
    let Made { key, folder } =
        made(Recipe { name, packages, script: include_str!("make-root"), label: name })?;
    Ok(Root {
        key,
        image: folder.join("root.ext4"),
        kernel: folder.join("vmlinuz"),
        initramfs: folder.join("initramfs"),
    })
}
