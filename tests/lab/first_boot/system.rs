//! A system that is booted again and again: its disk keeps what every boot wrote.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::person::{self, Heard, Person, Script};
use super::root::{self, Root, UUID};
use crate::archive::Archive;
use crate::case::Report;
use crate::claim::two_gpus;
use crate::install::medium::{TURNED_OFF, drive, overlay, whole};
use crate::install::steps::{Steps, copy, project};
use crate::kernel::run;
use crate::program;
use crate::qemu::{self, QUICK, direct};

/// How long a boot and its steps may take where a boot takes the usual half minute.
const DEADLINE: Duration = Duration::from_secs(600);

/// Units that take their time where everything is emulated, and that nothing here asks for.
const NOT_NEEDED: [&str; 12] = [
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "getty-static.service",
    "ldconfig.service",
    "modprobe@configfs.service",
    "modprobe@efi_pstore.service",
    "modprobe@fuse.service",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-journal-catalog-update.service",
    "systemd-random-seed.service",
    "systemd-update-done.service",
];

/// What of the target `arch-grub` is laid over the root: its boot loader and its generator.
const OF_THE_TARGET: [&str; 7] = [
    "etc/default",
    "etc/grub.d",
    "etc/mkinitcpio.conf",
    "etc/mkinitcpio.d",
    "boot",
    "usr/bin",
    "usr/lib/modules",
];

/// A system of its own.
pub(super) struct System {
    root: Root,
    scratch: tempfile::TempDir,
    more: Vec<String>,
    is_new: bool,
}

impl System {
    /// A system that was just installed, with these files of a case besides.
    pub(super) fn new(files: &[(&str, &str)]) -> io::Result<Self> {
        let system =
            Self { root: root::root()?, scratch: neuron_tests::scratch()?, more: Vec::new(), is_new: true };
        overlay(&system.root.image, &system.disk())?;
        let folder = system.scratch.path().join("files");
        lay_out(&folder)?;
        for (path, text) in files {
            neuron_tests::write(&folder.join(path), text)?;
        }
        let mut tar = Command::new("tar");
        tar.args(["--create", "--owner=0", "--group=0", "--numeric-owner", "--file"]);
        run(tar.arg(system.scratch.path().join("files.tar")).arg("--directory").arg(&folder).arg("."))?;
        Ok(system)
    }

    /// The same with more for QEMU.
    pub(super) fn with(mut self, arguments: &[&str]) -> Self {
        self.more.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    fn disk(&self) -> PathBuf {
        self.scratch.path().join("disk.qcow2")
    }

    /// The same while somebody sits at its second serial port; and what that person saw.
    pub(super) fn boot_with(
        &mut self,
        name: &str,
        parameters: &str,
        steps: &Steps,
        script: Script,
    ) -> io::Result<(Report, Heard)> {
        let socket = self.scratch.path().join("terminal");
        let person = Person::at(socket.clone(), script);
        self.more.extend(person::arguments(&socket));
        let report = self.boot(name, parameters, steps);
        self.more.truncate(self.more.len() - 2);
        let heard = person.heard();
        Ok((report?, heard?))
    }

    /// Boots it with these parameters and goes through the steps.
    pub(super) fn boot(&mut self, name: &str, parameters: &str, steps: &Steps) -> io::Result<Report> {
        let at = self.scratch.path();
        let (archive, initramfs) = (at.join("archive"), at.join("initramfs"));
        let folder = tempfile::tempdir_in(at)?;
        steps.archive(folder.path(), &archive)?;
        fs::write(&initramfs, self.initramfs()?)?;
        // The IOMMU, and the GPUs behind it; a processor of the vendor whose IOMMU waits for a parameter.
        let mut arguments = whole(&two_gpus());
        arguments.extend(["-cpu", "max,vendor=GenuineIntel"].map(str::to_owned));
        arguments.extend(self.more.iter().cloned());
        arguments.extend(drive(0, &self.disk(), "qcow2", "root"));
        arguments.extend(drive(1, &archive, "raw", "lab"));
        let parameters =
            format!("console=ttyS0 quiet no_timer_check panic=-1 {QUICK} root=UUID={UUID} rw {parameters}");
        let masked = NOT_NEEDED.map(|unit| format!(" systemd.mask={unit}"));
        let parameters = parameters + &masked.concat();
        arguments.extend(direct(&self.root.kernel, &initramfs, &parameters));
        let boot = qemu::run(&self.root.kernel, arguments, Stdio::null(), DEADLINE, None)?;
        self.is_new = false;
        Report::read(name, boot, steps.names(), TURNED_OFF)
    }

    /// What mounts the root; the case's files come with the first boot only.
    fn initramfs(&self) -> io::Result<Vec<u8>> {
        let mut image = Archive::default();
        let busybox =
            ["/bin/busybox", "/usr/bin/busybox"].map(Path::new).into_iter().find(|path| path.exists());
        let busybox = busybox.ok_or_else(|| io::Error::other("no busybox (package busybox-static)"))?;
        image.copy_to(busybox, "/bin/busybox")?;
        image.file("/init", 0o755, include_bytes!("init"));
        for entry in fs::read_dir(&self.root.modules)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            image.copy_to(&path, &format!("/modules/{name}"))?;
        }
        if self.is_new {
            image.copy_to(&self.scratch.path().join("files.tar"), "/files.tar")?;
        }
        Ok(image.finish())
    }
}

/// The package as it would be unpacked, the target's loader and generator, the lab's display manager.
fn lay_out(folder: &Path) -> io::Result<()> {
    copy(&project("archiso-hooks/neuron-provisioner/usr"), &folder.join("usr"))?;
    copy(program::built()?, &folder.join("usr/bin/neuron-provisioner"))?;
    let target = folder.with_extension("target");
    neuron_tests::target::copy("arch-grub", &target)?;
    for path in OF_THE_TARGET {
        copy(&target.join(path), &folder.join(path))?;
    }
    let fstab = format!("UUID={UUID} / ext4 rw,relatime 0 1\n");
    neuron_tests::write(&folder.join("etc/fstab"), fstab)?;
    for name in ["display-manager", "lab-beside"] {
        stand_in(&folder.join("etc/systemd/system"), name)?;
    }
    Ok(())
}

/// Stands for a display manager, and for everything that nothing of ours is ordered before: it starts.
fn stand_in(units: &Path, name: &str) -> io::Result<()> {
    let unit = format!("{name}.service");
    let text = format!(
        "[Unit]\nDescription=Stands for {name} in the lab\n[Service]\nType=oneshot\nRemainAfterExit=yes\n\
         ExecStart=/bin/sh -c 'cut -d \" \" -f 1 /proc/uptime >/run/{name}'\n"
    );
    neuron_tests::write(&units.join(&unit), text)?;
    let wants = units.join("multi-user.target.wants");
    fs::create_dir_all(&wants)?;
    std::os::unix::fs::symlink(Path::new("..").join(&unit), wants.join(&unit))
}
