//! The machine that runs the virtual machine.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use super::inner;
use crate::case::{Case, Report};
use crate::claim::{AUDIO, GUEST, HOST};
use crate::kernel::{Kernel, run};
use crate::machine::{Function, Iommu, Machine};
use crate::program;
use crate::provision::packed;
use crate::qemu::Equipment;

/// What its kernel loads.
const MODULES: [&str; 9] = [
    "vfio-pci",
    "vfio_iommu_type1",
    "bochs",
    "virtio-gpu",
    "virtio_pci",
    "snd-hda-intel",
    "kvm_amd",
    "9p",
    "9pnet_virtio",
];

/// The memory that stays with the host, the virtual machine's, and the files; the programs of this system.
const EQUIPMENT: Equipment = Equipment {
    arguments: "-m 6144 -smp 2 -virtfs \
                local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap",
    patience: 4,
};

/// The system that is set up; what makes images and menus there are stand-ins.
const TARGET: &str = "arch-grub";

/// What its owner answers.
const ANSWERS: &str = r#"schema = 1
[passthrough]
guest_gpus = ["0000:01:00.0"]
[looking_glass]
users = ["vera"]
[audio]
backend = "none"
[vm.windows]
kind = "windows10"
memory_mib = 1024
vcpus = 1
secure_boot = false
autostart = true
[vm.windows.network]
kind = "user"
"#;

/// One with all that this machine and what runs in it load.
pub(crate) fn kernel() -> io::Result<&'static Kernel> {
    static KERNEL: OnceLock<Result<Kernel, String>> = OnceLock::new();
    KERNEL
        .get_or_init(|| Kernel::with("-vm", &MODULES).map_err(|error| error.to_string()))
        .as_ref()
        .map_err(|error| io::Error::other(error.as_str()))
}

/// The machine as it was set up, with these cards beside the host's.
pub(super) fn machine(cards: &[Function]) -> Machine {
    Machine { iommu: Iommu::Amd, functions: [&[HOST], cards].concat() }
}

/// One that can run a virtual machine: these lines of `tests/lab/guest/vm` are carried out in it.
fn case(machine: Machine, lines: &str) -> io::Result<Case> {
    let kernel = kernel()?;
    let guest = neuron_tests::tests_folder().join("lab/guest");
    let [domain, functions] = ["domain", "vm"].map(|name| fs::read(guest.join(name)));
    let before = "modprobe -a kvm_amd 9p 9pnet_virtio\n. /lab/domain\n. /lab/vm\n";
    Ok(Case::new(machine)
        .equipped(EQUIPMENT, kernel)
        .file("/lab/domain", &domain?)
        .file("/lab/vm", &functions?)
        .file("/lab/linux", &fs::read(&kernel.unpacked)?)
        .file("/lab/initramfs", &inner::initramfs()?)
        .after(&format!("{before}{lines}")))
}

/// Before it is set up, with the program and a target.
pub(super) fn new(lines: &str) -> io::Result<Case> {
    Ok(case(machine(&[GUEST, AUDIO]), lines)?
        .program("/lab/program", &fs::read(program::built()?)?)
        .file("/lab/target.tar", &packed(TARGET)?)
        .file("/lab/answers.toml", ANSWERS.as_bytes())
        .file("/lab/domain.xml.j2", inner::template()?.as_bytes()))
}

/// What a boot left on the disk, so to say.
pub(super) struct State(Vec<u8>);

impl State {
    /// As the boot's last lines hand it on.
    pub(super) fn of(report: &Report) -> io::Result<Self> {
        let lines = report.console.lines().filter_map(|line| line.strip_prefix("LAB-STATE "));
        let scratch = neuron_tests::scratch()?;
        let [text, archive] = ["text", "archive"].map(|name| scratch.path().join(name));
        fs::write(&text, lines.collect::<String>())?;
        run(Command::new("sh").args(["-c", "base64 -d \"$0\" >\"$1\""]).arg(&text).arg(&archive))?;
        Ok(Self(fs::read(archive)?))
    }

    /// A file of it, as text.
    fn text(&self, path: &str) -> io::Result<String> {
        let scratch = neuron_tests::scratch()?;
        let archive = scratch.path().join("archive");
        fs::write(&archive, &self.0)?;
        run(Command::new("tar")
            .args(["--extract", "--gzip", "--to-stdout", "--file"])
            .arg(&archive)
            .arg(path))
    }

    /// The machine's next boot, with an image as its tools build it from what was written.
    pub(super) fn boots(&self, machine: Machine, lines: &str) -> io::Result<Case> {
        let mut case = case(machine, lines)?.file("/lab/state", &self.0);
        for path in ["etc/neuron/vfio-devices", "etc/modprobe.d/vfio.conf"] {
            let text = self.text(&format!("target/{path}"))?;
            case = case.file(&Path::new("/").join(path).display().to_string(), text.as_bytes());
        }
        Ok(case)
    }
}
