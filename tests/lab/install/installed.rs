//! The installation itself.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use super::kept::{Held, hold, remove_others};
use super::medium::{TURNED_OFF, boot, drive, firmware, new_variables, overlay, uefi, whole};
use super::roots::{self, Root};
use super::steps::{Steps, copy, project};
use crate::case::Report;
use crate::claim::two_gpus;
use crate::kernel::{cache, run};
use crate::machine::{Iommu, Machine};
use crate::monitor::Monitor;
use crate::program;
use crate::qemu::{self, QUICK, direct};
use crate::table::{self, Name, Row};

/// Copying a system and building its initramfs under emulation takes minutes.
const DEADLINE: Duration = Duration::from_secs(1500);
/// How many times as long as a kernel needs to find that it has no root.
const PROBES: u32 = 600;

/// How big the disk is.
const DISK: &str = "4G";

/// What starts the installed system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Loader {
    /// GRUB, with a BIOS.
    Grub,
    /// systemd-boot, with UEFI.
    SystemdBoot,
}

impl Loader {
    fn name(self) -> &'static str {
        match self {
            Self::Grub => "grub",
            Self::SystemdBoot => "systemd-boot",
        }
    }

    /// Its own name.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Grub => "GRUB",
            Self::SystemdBoot => "systemd-boot",
        }
    }

    /// The machine that it is tried on: one of each maker's.
    pub(super) fn machine(self) -> Machine {
        let iommu = match self {
            Self::Grub => Iommu::Intel,
            Self::SystemdBoot => Iommu::Amd,
        };
        Machine { iommu, ..two_gpus() }
    }
}

/// A disk that Calamares installed a system on.
#[derive(Debug)]
pub(super) struct Installed {
    /// How it is started.
    pub(super) loader: Loader,
    /// What it was installed with, and what is in it.
    pub(super) with: String,
    folder: PathBuf,
    _held: Held,
}

impl Installed {
    /// The disk.
    pub(super) fn disk(&self) -> PathBuf {
        self.folder.join("disk.qcow2")
    }

    /// The variables of the firmware as the installer left them.
    pub(super) fn variables(&self) -> PathBuf {
        self.folder.join("variables")
    }
}

/// The system, installed by the first who asks. What was installed from exactly the same files is
/// taken again.
pub(super) fn installed(loader: Loader) -> io::Result<&'static Installed> {
    static GRUB: OnceLock<Result<Installed, String>> = OnceLock::new();
    static SYSTEMD_BOOT: OnceLock<Result<Installed, String>> = OnceLock::new();
    let once = match loader {
        Loader::Grub => &GRUB,
        Loader::SystemdBoot => &SYSTEMD_BOOT,
    };
    once.get_or_init(|| install(loader).map_err(|error| error.to_string()))
        .as_ref()
        .map_err(|error| io::Error::other(error.as_str()))
}

fn install(loader: Loader) -> io::Result<Installed> {
    let (live, target) = roots::both()?;
    let scratch = tempfile::tempdir_in(cache())?;
    let (folder, archive) = (scratch.path().join("lab"), scratch.path().join("archive"));
    lay_out(loader, &folder)?;
    let steps = live_steps()?;
    steps.archive(&folder, &archive)?;
    let mut hash = DefaultHasher::new();
    (fs::read(&archive)?, &live.key, &target.key, loader, whole(&loader.machine())).hash(&mut hash);
    (DISK, parameters(), firmware(loader)?, qemu::with("", &live.kernel)?).hash(&mut hash);
    let beginning = format!("installed-{}-", loader.name());
    let kept = cache().join(format!("{beginning}{:016x}", hash.finish()));
    if let Some(held) = hold(&kept)? {
        println!("lab: {}: the installation of exactly these files is taken again", loader.name());
        return told(loader, &live, kept, held);
    }
    let made = scratch.path().join("made");
    fs::create_dir(&made)?;
    let report = run_calamares(loader, [&live, &target], &archive, &made)?;
    fs::write(made.join("console"), &report.console)?;
    fs::write(made.join("took"), report.took.as_secs().to_string())?;
    fs::rename(&made, &kept)?;
    let gone = || io::Error::other(format!("{} was removed as soon as it was there", kept.display()));
    let held = hold(&kept)?.ok_or_else(gone)?;
    remove_others(&cache(), &beginning, &kept)?;
    told(loader, &live, kept, held)
}

/// Starts the live medium beside an empty disk.
fn run_calamares(loader: Loader, roots: [&Root; 2], archive: &Path, made: &Path) -> io::Result<Report> {
    let (live, disk, variables) = (roots[0], made.join("disk.qcow2"), made.join("variables"));
    run(Command::new("qemu-img").args(["create", "-q", "-f", "qcow2"]).arg(&disk).arg(DISK))?;
    let mut arguments = whole(&loader.machine());
    for (index, (name, root)) in ["live", "target"].into_iter().zip(roots).enumerate() {
        let file = made.with_file_name(format!("{name}.qcow2"));
        overlay(&root.image, &file)?;
        arguments.extend(drive(index, &file, "qcow2", name));
    }
    arguments.extend(drive(2, &disk, "qcow2", "installed"));
    arguments.extend(drive(3, archive, "raw", "lab"));
    if loader == Loader::SystemdBoot {
        new_variables(&variables)?;
        arguments.extend(uefi(&variables));
    }
    arguments.extend(direct(&live.kernel, &live.initramfs, &parameters()));
    let (limit, steps) = (qemu::limit(&live.kernel, DEADLINE, PROBES)?, live_steps()?);
    let monitor = Monitor::new(made.parent().unwrap_or(made));
    let ended = qemu::run(&live.kernel, arguments, Stdio::null(), limit, Some(&monitor))?;
    let name = installation(loader).text;
    let report = Report::read(name, ended, steps.names(), TURNED_OFF)?;
    if report.failed().is_empty() {
        Ok(report)
    } else {
        Err(io::Error::other(format!("{name}: {:?}\n{}", report.failed(), report.console)))
    }
}

/// The kernel command line of the live medium.
fn parameters() -> String {
    format!("root=/dev/disk/by-id/virtio-live rw console=ttyS0 quiet no_timer_check {QUICK}")
}

fn installation(loader: Loader) -> Name {
    boot!(loader, "installation")
}

/// The installation as the table tells it, whenever it was made.
fn told(loader: Loader, live: &Root, folder: PathBuf, held: Held) -> io::Result<Installed> {
    let [console, took] = ["console", "took"].map(|name| fs::read_to_string(folder.join(name)));
    let (console, took) = (console?, took?);
    let with = console.lines().find_map(|line| line.strip_prefix("LAB-WITH: "));
    let with = with.ok_or_else(|| {
        io::Error::other(format!("{}: the console does not say what was installed", folder.display()))
    })?;
    let with = qemu::with(with.trim(), &live.kernel)?;
    let seconds = took.parse().map_err(|error| io::Error::other(format!("{took}: {error}")))?;
    let row = Row {
        name: installation(loader),
        machine: loader.machine().summary(),
        image: "live medium",
        proved: "Calamares came to the end".to_owned(),
        took: Duration::from_secs(seconds),
    };
    table::add(&row, &with)?;
    Ok(Installed { loader, with, folder, _held: held })
}

fn live_steps() -> io::Result<Steps> {
    let lines = fs::read_to_string(project("tests/lab/install/live/steps"))?;
    Ok(Steps::default().then(&lines).named("Calamares comes to the end of its sequence"))
}

/// What the live medium finds: Calamares' configuration, its modules, and what packages would bring.
fn lay_out(loader: Loader, folder: &Path) -> io::Result<()> {
    let (live, name) = (project("tests/lab/install/live"), loader.name());
    let calamares = folder.join("calamares");
    fs::create_dir_all(calamares.join("qml"))?;
    copy(&live.join("common"), &calamares.join("modules"))?;
    copy(&live.join(name).join("settings.conf"), &calamares.join("settings.conf"))?;
    let example = project("calamares-module/examples").join(name).join("modules");
    for from in [live.join(name).join("modules"), example] {
        copy(&from, &calamares.join("modules"))?;
    }
    answered(&calamares.join("modules"))?;
    copy(&project("tests/calamares/branding"), &calamares.join("branding/plain"))?;
    let modules = folder.join("modules");
    copy(&live.join("modules"), &modules)?;
    copy(&project("tests/calamares/standins/standin-verdict"), &modules.join("standin-verdict"))?;
    copy(built_module()?, &modules.join("vfio-setup"))?;
    packages(loader, &folder.join("overlay"))
}

/// Nobody sits before these machines, so the examples get an answer more: a trial has a case of its own.
fn answered(modules: &Path) -> io::Result<()> {
    let answers = fs::read_to_string(project("tests/lab/install/live/answers"))?;
    for name in ["vfio-setup.conf", "vfio-setup@files.conf", "vfio-setup@cmdline.conf"] {
        let path = modules.join(name);
        if path.exists() {
            fs::write(&path, fs::read_to_string(&path)? + &answers)?;
        }
    }
    Ok(())
}

/// The project's packages as they would be unpacked, and what the lab adds for a loader.
fn packages(loader: Loader, overlay: &Path) -> io::Result<()> {
    for package in ["neuron-initcpio-hooks", "neuron-provisioner"] {
        let files = project("archiso-hooks").join(package).join("usr");
        if files.exists() {
            copy(&files, &overlay.join("usr"))?;
        }
    }
    copy(program::built()?, &overlay.join("usr/bin/neuron-provisioner"))?;
    let more = ["all", loader.name()].map(|name| project("tests/lab/install/target").join(name));
    more.iter().filter(|folder| folder.exists()).try_for_each(|folder| copy(folder, overlay))
}

/// What the documented command builds, once.
fn built_module() -> io::Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let build = || {
        let this = std::env::current_exe()?;
        let out = this.ancestors().nth(3).unwrap_or(Path::new("")).join("calamares-module");
        run(Command::new(project("calamares-module/build")).arg(&out))?;
        Ok(out.join("vfio-setup"))
    };
    BUILT
        .get_or_init(|| build().map_err(|error: io::Error| error.to_string()))
        .as_deref()
        .map_err(|error| io::Error::other(error.as_str()))
}
