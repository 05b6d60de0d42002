//! Power cuts and kills. The built program runs as it is shipped; what happens to it comes from outside.
//!
//! A kill keeps what the kernel had in memory, a power cut does not: `loss` records everything that a disk
//! with two file systems of ext4 is told, and looks at what a cut after any flush can leave of it. That
//! such a look would find a forgotten flush is shown by leaving out each of them in turn.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

mod fat_order;
mod judge;
mod killed;
mod loss;
mod recorder;
mod trace;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use neuron_tests::scenario::Ground;

/// Makes an image that tells whether vfio-pci was wanted, and flushes nothing, as mkinitcpio does.
const MKINITCPIO: &str = "#!/bin/sh
[ -e /etc/modprobe.d/vfio.conf ] && echo with >/boot/initramfs-linux.img || echo without >/boot/initramfs-linux.img
";

/// A machine and a target with a boot partition, whose programs run.
pub(crate) fn ground() -> Ground {
    let ground = Ground::new("made-rtx-usbc-igpu", "arch-systemd-boot").unwrap();
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    let busybox = busybox.expect("no busybox (Debian: busybox-static, Arch: busybox)");
    fs::copy(busybox, ground.target().join("usr/bin/sh")).unwrap();
    let program = ground.target().join("usr/bin/mkinitcpio");
    fs::write(&program, MKINITCPIO).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(ground.target().join("boot/initramfs-linux.img"), "without\n").unwrap();
    ground
}

/// Why nothing can be recorded here, if so. A build machine has to be able to.
pub(crate) fn cannot_record() -> bool {
    let works = |program: &str| Command::new(program).arg("--version").output().is_ok();
    let mut missing: Vec<&str> = Vec::new();
    if !nix::unistd::geteuid().is_root() {
        missing.push("root, to mount");
    }
    missing.extend(["/dev/fuse", "/dev/loop-control"].into_iter().filter(|path| !Path::new(path).exists()));
    missing.extend(["qemu-storage-daemon", "strace", "losetup"].into_iter().filter(|name| !works(name)));
    if missing.is_empty() {
        return false;
    }
    let why = format!("NOT TESTED: what a power cut leaves of a disk; this needs {}", missing.join(", "));
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    eprintln!("{why}");
    true
}
