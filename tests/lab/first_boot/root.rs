//! The root: made once by its content, with what mounts it.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::PathBuf;
use std::process::Command;

use crate::kernel::{cache, run};

/// The suite that comes nearest to Arch's versions and is stable.
const SUITE: &str = "trixie";

const PACKAGES: [&str; 6] = ["systemd-sysv", "udev", "kmod", "linux-image-amd64", "passwd", "login"];

/// What GRUB and fstab of the target `arch-grub` call it.
pub(super) const UUID: &str = "0b1fd2c4-5a0e-4f43-9d5c-3d9a6b2f7e11";

/// What no machine of the lab has a use for.
const LEFT_OUT: [&str; 14] = [
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/lib/modules/*/kernel/net/*",
    "/usr/lib/modules/*/kernel/fs/btrfs/*",
    "/usr/lib/modules/*/kernel/drivers/net/*",
    "/usr/lib/modules/*/kernel/drivers/media/*",
    "/usr/lib/modules/*/kernel/drivers/infiniband/*",
    "/usr/lib/modules/*/kernel/drivers/iio/*",
    "/usr/lib/modules/*/kernel/drivers/scsi/*",
    "/usr/lib/modules/*/kernel/drivers/gpu/drm/amd/*",
    "/usr/lib/modules/*/kernel/drivers/gpu/drm/nouveau/*",
    "/usr/lib/modules/*/kernel/drivers/gpu/drm/i915/*",
    "/usr/lib/modules/*/kernel/drivers/gpu/drm/xe/*",
];

/// Files of the lab in the root.
const OURS: [&str; 2] = ["lab.service", "run"];

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
    let source = neuron_tests::tests_folder().join("lab/install/root");
    let mut hash = DefaultHasher::new();
    (SUITE, PACKAGES, UUID, LEFT_OUT).hash(&mut hash);
    include_str!("make-root").hash(&mut hash);
    for file in OURS {
        fs::read(source.join(file))?.hash(&mut hash);
    }
    let key = format!("{SUITE}-first-boot-{:016x}", hash.finish());
    let folder = cache().join(&key);
    let root = Root {
        image: folder.join("root.ext4"),
        kernel: folder.join("vmlinuz"),
        modules: folder.join("modules"),
    };
    if !root.image.exists() {
        println!("lab: making the root {key}: minutes, once");
        fs::create_dir_all(cache())?;
        let scratch = tempfile::tempdir_in(cache())?;
        let made = scratch.path().join("made");
        fs::create_dir(&made)?;
        // In mounts of its own: whatever happens, none is left in which something could be removed.
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "--", "sh", "-euc"]);
        command.args([include_str!("make-root"), "make-root"]);
        command.args([&scratch.path().join("root"), &made, &source]);
        command.args([SUITE, &PACKAGES.join(","), UUID]).args(LEFT_OUT);
        run(&mut command)?;
        fs::rename(made, &folder)?;
    }
    Ok(root)
}
