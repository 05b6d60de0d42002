//! Roots of another suite on disks: the live medium, and what it installs. Made once by their content.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::PathBuf;
use std::process::Command;

use crate::kernel::{cache, run};

/// The suite that comes nearest to Arch's versions and is stable.
const SUITE: &str = "trixie";

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

/// Drivers of hardware that no machine of the lab has; every megabyte is copied under emulation.
const LEFT_OUT: [&str; 13] = [
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/lib/modules/*/kernel/drivers/net/*",
    "/usr/lib/modules/*/kernel/drivers/media/*",
    "/usr/lib/modules/*/kernel/drivers/infiniband/*",
    "/usr/lib/modules/*/kernel/drivers/iio/*",
    "/usr/lib/modules/*/kernel/drivers/scsi/*",
    "/usr/lib/modules/*/kernel/drivers/gpu/drm/amd/*",
    "/usr/lib/modules/*/kernel/drivers/gpu/drm/nouveau/*",
    "/usr/lib/modules/*/kernel/drivers/gpu/drm/i915/*",
    "/usr/lib/modules/*/kernel/drivers/gpu/drm/xe/*",
    "/usr/lib/modules/*/kernel/drivers/gpu/drm/radeon/*",
];

/// Files of the lab in every root.
const OURS: [&str; 2] = ["lab.service", "run"];

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

/// The live medium.
pub(super) fn live() -> io::Result<Root> {
    root("live", &[TARGET.as_slice(), LIVE.as_slice()].concat())
}

/// What Calamares copies. It has no initramfs: that is built when it is installed.
pub(super) fn target() -> io::Result<Root> {
    root("target", &TARGET)
}

fn root(name: &str, packages: &[&str]) -> io::Result<Root> {
    let mut hash = DefaultHasher::new();
    (SUITE, packages, LEFT_OUT).hash(&mut hash);
    include_str!("make-root").hash(&mut hash);
    for file in OURS {
        fs::read(source().join(file))?.hash(&mut hash);
    }
    let key = format!("{SUITE}-{name}-{:016x}", hash.finish());
    let folder = cache().join(&key);
    let root = Root {
        key,
        image: folder.join("root.ext4"),
        kernel: folder.join("vmlinuz"),
        initramfs: folder.join("initramfs"),
    };
    if !root.image.exists() {
        println!("lab: making the root {}: minutes, once", root.key);
        fs::create_dir_all(cache())?;
        let scratch = tempfile::tempdir_in(cache())?;
        let made = scratch.path().join("made");
        fs::create_dir(&made)?;
        // In mounts of its own: whatever happens, none is left in which something could be removed.
        let script = include_str!("make-root");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "--", "sh", "-euc", script, "make-root"]);
        command.args([&scratch.path().join("root"), &made, &source()]);
        command.args([SUITE, name, &packages.join(",")]).args(LEFT_OUT);
        run(&mut command)?;
        fs::rename(made, &folder)?;
    }
    Ok(root)
}

fn source() -> PathBuf {
    neuron_tests::tests_folder().join("lab/install/root")
}
