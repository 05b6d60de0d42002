//! The root: made once by its content, with what mounts it.

use std::io;
use std::path::PathBuf;

use crate::suite::{Recipe, made};

const PACKAGES: [&str; 6] = ["systemd-sysv", "udev", "kmod", "linux-image-amd64", "passwd", "login"];

/// What GRUB and fstab of the target `arch-grub` call it.
pub(super) const UUID: &str = "0b1fd2c4-5a0e-4f43-9d5c-3d9a6b2f7e11";

/// The root as an image, with what boots it from outside.
#[derive(Debug)]
pub(super) struct Root {
    /// An ext4 file system.
    pub(super) image: PathBuf,
    /// Its kernel.
    pub(super) kernel: PathBuf,
    /// The modules that mount it, in the order of their names.
    pub(super) modules: PathBuf,
}

/// The root; made where it is not there yet.
pub(super) fn root() -> io::Result<Root> {
    let script = include_str!("make-root");
    let folder = made(Recipe { name: "first-boot", packages: &PACKAGES, script, label: UUID })?.folder;
    Ok(Root {
        image: folder.join("root.ext4"),
        kernel: folder.join("vmlinuz"),
        modules: folder.join("modules"),
    })
}
