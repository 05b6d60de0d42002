//! A disk to start from, with the firmware that starts it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::installed::{Installed, Loader};
use super::roots;
use super::steps::Steps;
use crate::case::Report;
use crate::kernel::run;
use crate::machine::Machine;
use crate::monitor::Monitor;
use crate::qemu::{self, Boot, Equipment, words};
use crate::table::{self, Name, Row};

/// How long a boot and its steps may take at least: a revert builds the initramfs anew, emulated in
/// minutes.
const DEADLINE: Duration = Duration::from_secs(900);
/// How many times as long as a kernel needs to find that it has no root.
const PROBES: u32 = 300;

/// What the kernel says last when a machine starts again.
const RESTARTS: &str = "reboot: Restarting system";
/// What systemd tells when somebody is asked (of the description behind it the middle is left out).
const ASKED: &str = "neuron-trial.service";

/// How long it waits for an answer.
const SILENCE: Duration = Duration::from_secs(60);

/// The code of UEFI's firmware, and its variables as they are in a new machine.
const OVMF: [&str; 2] = ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"];

/// An overlay of an installed disk, with variables of its own: what a case writes stays there, from
/// boot to boot.
pub(super) struct Medium {
    scratch: tempfile::TempDir,
    loader: Loader,
    installed_with: String,
    more: Vec<String>,
    patience: u32,
}

impl Medium {
    /// A fresh one.
    pub(super) fn of(installed: &Installed) -> io::Result<Self> {
        let medium = Self {
            // A whole chain of boots writes too much for a folder in memory.
            scratch: tempfile::tempdir_in("/var/tmp")?,
            loader: installed.loader,
            installed_with: installed.with.clone(),
            more: Vec::new(),
            patience: 1,
        };
        overlay(&installed.disk(), &medium.disk())?;
        if installed.loader == Loader::SystemdBoot {
            std::fs::copy(installed.variables(), medium.variables())?;
        }
        Ok(medium)
    }

    /// The same in a machine with more in it (of what is said twice QEMU takes the last), and with disks that hold
    /// archives; those bring what `with` says.
    pub(super) fn equipped(mut self, equipment: Equipment, disks: &[(&str, &Path)], with: &str) -> Self {
        self.more = words(equipment.arguments);
        self.more
            .extend(disks.iter().zip(2..).flat_map(|((name, file), index)| drive(index, file, "raw", name)));
        self.patience = equipment.patience;
        self.installed_with = format!("{with}; {}", self.installed_with);
        self
    }

    fn disk(&self) -> PathBuf {
        self.scratch.path().join("disk.qcow2")
    }

    fn variables(&self) -> PathBuf {
        self.scratch.path().join("variables")
    }

    /// Starts a machine from it and goes through the steps. The table tells it unless the judge panics.
    pub(super) fn boot(
        &self,
        name: Name,
        machine: &Machine,
        steps: &Steps,
        judge: impl FnOnce(&Report),
    ) -> io::Result<Report> {
        self.finish(name, machine, steps, self.start(machine, steps, &self.monitor())?, judge)
    }

    /// The same while somebody sits there and presses a key as soon as he is asked.
    pub(super) fn boot_with_a_key(
        &self,
        name: Name,
        machine: &Machine,
        steps: &Steps,
        judge: impl FnOnce(&Report),
    ) -> io::Result<Report> {
        let monitor = self.monitor().key_at(ASKED);
        self.finish(name, machine, steps, self.start(machine, steps, &monitor)?, judge)
    }

    /// Starts a machine that starts itself again before it comes to any steps.
    pub(super) fn boot_that_ends_itself(&self, name: Name, machine: &Machine) -> io::Result<()> {
        let report = self.start(machine, &Steps::default(), &self.monitor())?;
        let ended = report.code == Some(TURNED_OFF[0]) && report.console.contains(RESTARTS);
        let waited = report.console.contains(ASKED) && report.took >= SILENCE;
        if !ended || !waited || report.console.contains("LAB-RESULT") {
            let Boot { console, code, .. } = report;
            return Err(io::Error::other(format!(
                "{name}: it did not ask, wait and start itself again ({code:?})\n{console}"
            )));
        }
        println!("lab: {name}: started itself again, {:.1} s", report.took.as_secs_f32());
        self.record(name, machine, "starts itself again".to_owned(), report.took)
    }

    fn monitor(&self) -> Monitor {
        Monitor::new(self.scratch.path())
    }

    fn start(&self, machine: &Machine, steps: &Steps, monitor: &Monitor) -> io::Result<Boot> {
        let archive = self.scratch.path().join("archive");
        let folder = tempfile::tempdir_in(self.scratch.path())?;
        steps.behind_firmware().archive(folder.path(), &archive)?;
        let mut arguments = whole(machine);
        arguments.extend(self.more.iter().cloned());
        arguments.extend(drive(0, &self.disk(), "qcow2", "installed"));
        arguments.extend(drive(1, &archive, "raw", "lab"));
        if self.loader == Loader::SystemdBoot {
            arguments.extend(uefi(&self.variables()));
        }
        let kernel = roots::live()?.kernel;
        let limit = qemu::limit(&kernel, DEADLINE, PROBES)? * self.patience;
        qemu::run(&kernel, arguments, Stdio::null(), limit, Some(monitor))
    }

    fn finish(
        &self,
        name: Name,
        machine: &Machine,
        steps: &Steps,
        boot: Boot,
        judge: impl FnOnce(&Report),
    ) -> io::Result<Report> {
        let took = boot.took;
        let report = Report::read(name.text, boot, steps.names(), TURNED_OFF)?;
        judge(&report);
        self.record(name, machine, report.proved(), took)?;
        Ok(report)
    }

    fn record(&self, name: Name, machine: &Machine, proved: String, took: Duration) -> io::Result<()> {
        let image = self.loader.title();
        let row = Row { name, machine: machine.summary(), image, proved, took };
        table::add(&row, &self.installed_with)
    }
}

/// The heading in the table.
pub(super) const PART: &str = "A system that Calamares installed";

/// The name of a boot, with either loader.
macro_rules! boot {
    ($loader:expr, $what:literal) => {
        match $loader {
            Loader::Grub => $crate::table::row!($crate::install::medium::PART, concat!("GRUB, ", $what)),
            Loader::SystemdBoot => {
                $crate::table::row!($crate::install::medium::PART, concat!("systemd-boot, ", $what))
            }
        }
    };
}
pub(super) use boot;

/// QEMU's exit code when the machine turned itself off, whatever was found.
pub(crate) const TURNED_OFF: [i32; 2] = [0, 0];

/// A machine with the memory that a whole system wants.
pub(crate) fn whole(machine: &Machine) -> Vec<String> {
    // A second processor costs as much as the first where both are emulated.
    let mut arguments = words("-m 2048 -smp 1");
    arguments.extend(machine.arguments());
    arguments
}

/// A disk; the first one is started from. (A kernel from outside has the boot index 0.) Its name is found below `/dev/disk/by-id`.
pub(crate) fn drive(index: usize, file: &Path, format: &str, name: &str) -> [String; 4] {
    [
        "-drive".to_owned(),
        // A full disk is an error in the machine; by itself QEMU would wait for somebody to make room.
        format!("if=none,id={name},format={format},cache=unsafe,werror=report,file={}", file.display()),
        "-device".to_owned(),
        format!(
            "virtio-blk-pci,drive={name},serial={name},bus=pcie.0,addr=0x{:x},bootindex={}",
            index + 5,
            index + 1
        ),
    ]
}

/// UEFI instead of a BIOS.
pub(super) fn uefi(variables: &Path) -> [String; 4] {
    let part = |rest: String| format!("if=pflash,format=raw,{rest}");
    [
        "-drive".to_owned(),
        part(format!("readonly=on,file={}", OVMF[0])),
        "-drive".to_owned(),
        part(format!("file={}", variables.display())),
    ]
}

/// What a loader is started by, beside what QEMU brings.
pub(super) fn firmware(loader: Loader) -> io::Result<Vec<Vec<u8>>> {
    match loader {
        Loader::Grub => Ok(Vec::new()),
        Loader::SystemdBoot => {
            OVMF.iter().map(|file| std::fs::read(file).map_err(|error| missing(file, &error))).collect()
        }
    }
}

fn missing(file: &str, error: &io::Error) -> io::Error {
    io::Error::other(format!("cannot read {file} (package ovmf): {error}"))
}

/// The variables of a new machine.
pub(super) fn new_variables(to: &Path) -> io::Result<()> {
    std::fs::copy(OVMF[1], to).map(drop).map_err(|error| missing(OVMF[1], &error))
}

/// A disk on which only differences to another one are written.
pub(crate) fn overlay(backing: &Path, overlay: &Path) -> io::Result<()> {
    let backing = backing.canonicalize()?;
    let mut command = Command::new("qemu-img");
    let format = if backing.extension().is_some_and(|end| end == "qcow2") { "qcow2" } else { "raw" };
    command.args(["create", "-q", "-f", "qcow2", "-F", format, "-b"]).arg(backing).arg(overlay);
    run(&mut command).map(drop)
}
