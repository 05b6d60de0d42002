//! A disk as a small installed system has it: an ESP of FAT with systemd-boot, and a root.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use neuron_tests::scenario::Ground;

use super::guest::initramfs;
use crate::kernel::{Kernel, run};
use crate::qemu::QUICK;

const MIB: usize = 1024 * 1024;
/// Where the ESP begins.
pub(super) const ESP: usize = MIB;

/// The machine, and the target, whose boot partition is the ESP.
pub(super) const MACHINE: &str = "made-rtx-usbc-igpu";
const TARGET: &str = "arch-systemd-boot";

/// What the target's build makes: an image that tells whether vfio-pci was wanted.
const TELLS: &str = "#!/bin/sh
[ -e /etc/modprobe.d/vfio.conf ] && echo with >/boot/initramfs-linux.img || echo without >/boot/initramfs-linux.img
";
/// The same with an image that boots. Like mkinitcpio it writes over what is there and flushes nothing.
const BOOTS: &str = "#!/bin/sh
/usr/bin/busybox cp /lab/initramfs /boot/initramfs-linux.img
";

/// systemd-boot, as Debian ships it.
const LOADER: &str = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";

/// What lies on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Texts in place of kernels and images: thousands of states of it can be looked at.
    Small,
    /// A kernel, an image and systemd-boot: firmware can start it.
    Bootable,
}

impl Kind {
    /// Where the root begins.
    pub(super) fn root(self) -> usize {
        // As many clusters as FAT32 has at least.
        ESP + MIB * if self == Self::Small { 36 } else { 160 }
    }

    /// Where the root ends.
    fn root_end(self) -> usize {
        self.root() + MIB * if self == Self::Small { 24 } else { 48 }
    }

    /// How large the disk is.
    pub(super) fn end(self) -> usize {
        self.root_end() + MIB
    }

    /// The most that its files are together, in MiB.
    pub(super) fn room(self) -> usize {
        if self == Self::Small { 4 } else { 128 }
    }
}

/// The whole disk.
pub(super) fn image(kernel: &Kernel, kind: Kind) -> io::Result<Vec<u8>> {
    let ground = Ground::new(MACHINE, TARGET)?;
    let (target, boot) = (ground.target(), ground.beside("boot"));
    fill(kernel, &target, kind)?;
    fs::rename(target.join("boot"), &boot)?;
    fs::create_dir(target.join("boot"))?;
    let [esp, root, disk] = ["esp", "root", "disk"].map(|name| ground.beside(name));
    let size = |from: usize, to: usize| ((to - from) / 1024).to_string();
    let sectors = size(ESP, kind.root());
    run(system("mkfs.vfat").args(["-F", "32", "-s", "1", "-C"]).arg(&esp).arg(sectors))?;
    run(Command::new("sh").args(["-euc", "mcopy -s -Q -i \"$1\" \"$2\"/* ::/", "sh"]).arg(&esp).arg(&boot))?;
    let mut mke2fs = system("mke2fs");
    mke2fs.args(["-q", "-F", "-t", "ext4", "-b", "4096", "-J", "size=4"]);
    mke2fs.args(["-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0", "-d"]);
    run(mke2fs.arg(&target).arg(&root).arg(format!("{}k", size(kind.root(), kind.root_end()))))?;
    fs::write(&disk, vec![0; kind.end()])?;
    let part = |number: u8, from: usize, to: usize, code: &str| {
        let sectors = format!("{number}:{}:{}", from / 512, to / 512 - 1);
        ["-n".to_owned(), sectors, "-t".to_owned(), format!("{number}:{code}")]
    };
    let mut sgdisk = system("sgdisk");
    sgdisk.args(part(1, ESP, kind.root(), "ef00")).args(part(2, kind.root(), kind.root_end(), "8300"));
    run(sgdisk.arg(&disk))?;
    let mut bytes = fs::read(&disk)?;
    for (at, part) in [(ESP, fs::read(&esp)?), (kind.root(), fs::read(&root)?)] {
        bytes[at..at + part.len()].copy_from_slice(&part);
    }
    Ok(bytes)
}

/// Puts into a target what makes its programs run and, where it is to boot, what boots.
fn fill(kernel: &Kernel, target: &Path, kind: Kind) -> io::Result<()> {
    let busybox = run(Command::new("sh").args(["-c", "command -v busybox"]))?;
    for name in ["sh", "busybox"] {
        fs::copy(busybox.trim(), target.join("usr/bin").join(name))?;
    }
    let mkinitcpio = target.join("usr/bin/mkinitcpio");
    fs::write(&mkinitcpio, if kind == Kind::Small { TELLS } else { BOOTS })?;
    fs::set_permissions(&mkinitcpio, fs::Permissions::from_mode(0o755))?;
    let boot = target.join("boot");
    if kind == Kind::Small {
        return fs::write(boot.join("initramfs-linux.img"), "without\n");
    }
    // A machine that nobody watches has to come up by itself: the way back is what boots.
    neuron_tests::write(
        &target.join("etc/neuron/provisioner.toml"),
        "schema = 1\n\n[passthrough]\ndefault_entry = \"host\"\n",
    )?;
    neuron_tests::write(&target.join("lab/initramfs"), initramfs(kernel, kind)?)?;
    fs::copy(target.join("lab/initramfs"), boot.join("initramfs-linux.img"))?;
    fs::copy(&kernel.image, boot.join("vmlinuz-linux"))?;
    fs::copy(LOADER, boot.join("EFI/BOOT/BOOTX64.EFI")).map_err(|error| {
        io::Error::other(format!("cannot read {LOADER} (package systemd-boot-efi): {error}"))
    })?;
    fs::write(boot.join("loader/loader.conf"), "default arch.conf\ntimeout 0\n")?;
    fs::remove_file(boot.join("loader/entries/arch-fallback.conf"))?;
    let entry = boot.join("loader/entries/arch.conf");
    let text = fs::read_to_string(&entry)?;
    // What stands for microcode is no archive.
    let lines = text.lines().filter(|line| !line.contains("ucode"));
    let text = lines.fold(String::new(), |all, line| {
        let options = format!(" {PARAMETERS} {QUICK}");
        all + line + if line.starts_with("options") { &options } else { "" } + "\n"
    });
    fs::write(&entry, text)
}

/// A program of the system's, which a plain user has not got on the path.
fn system(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(name);
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

/// With what every kernel here is started.
pub(super) const PARAMETERS: &str = "console=ttyS0 quiet loglevel=1 no_timer_check panic=-1 rdinit=/init";
