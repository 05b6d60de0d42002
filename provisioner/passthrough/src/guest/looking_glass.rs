//! Looking Glass: the memory that brings the guest's picture to the host.
//!
//! One memory for each virtual machine that has a GPU, since they may run side by side: a file in
//! `/dev/shm` that systemd-tmpfiles makes at every boot, or a device of the module kvmfr. What is
//! written is in `files`, what the running system has to be told in `live`, what is wrong with a memory that
//! is there in `faults`.

mod faults;
mod files;
mod live;

pub use faults::{Fault, faults, size};
pub use files::{
    CLIENT_INI, KVMFR_OPTIONS, TMPFILES, UDEV_RULE, WHOLE, is_ours_by_head, is_own, steps, without_head,
    without_ours,
};
pub use live::{is_in_force, steps as live_steps};

use crate::answers::{Answers, LookingGlass, Transport, Vm, VmGpus, VmKind};
use crate::facts::Target;
use crate::facts::shared_memory::FOLDER;
use crate::facts::target::{Kernel, Provides, QEMU_CONF};
use crate::policy::{Code, Finding, Severity};
use crate::text::accounts;

/// What AppArmor lets QEMU do, where it is in use.
const APPARMOR: &str = "/etc/apparmor.d/abstractions/libvirt-qemu";
/// Where the memory comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// A file in `/dev/shm`.
    File,
    /// A device of the module kvmfr.
    Kvmfr,
}

/// The memory of one virtual machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// The virtual machine; none where the answers name users and no machine.
    pub vm: Option<String>,
    /// What libvirt calls it: `looking-glass`, or `looking-glass-NAME` where there are several.
    pub name: String,
    /// The file or device.
    pub path: String,
}

/// What is to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where the memory comes from.
    pub means: Means,
    /// Each memory's size in MiB.
    pub mib: u32,
    /// One for each virtual machine.
    pub memories: Vec<Memory>,
    /// The users of the answers that the target has. The first of them owns the files; all of them
    /// belong to the group that may open them.
    pub users: Vec<String>,
    /// Those that it does not have (yet).
    pub missing: Vec<String>,
}

impl Wanted {
    /// What the answers want of a target; `None` where they want nothing of Looking Glass: it is off, or
    /// they name neither a virtual machine with a GPU nor a user.
    pub fn of(answers: &Answers, target: &Target) -> Option<Self> {
        let means = means(&answers.looking_glass, &target.kernels);
        let memories = memories(answers, means);
        let passwd = target.text("/etc/passwd").unwrap_or_default();
        let users = answers.looking_glass.users.iter().cloned();
        let (users, missing): (Vec<_>, Vec<_>) =
            users.partition(|name| accounts::user(passwd, name).is_some());
        let mib = size_mib(&answers.looking_glass).ok()?;
        (!memories.is_empty()).then_some(Self { means, mib, memories, users, missing })
    }

    /// Who owns the files.
    pub fn owner(&self) -> &str {
        self.users.first().map_or("root", String::as_str)
    }
}

/// The group whose members may open the memory: QEMU runs in it.
pub const GROUP: &str = "kvm";

/// Where the memory comes from: by itself kvmfr where every kernel has the module, since a boot without
/// it would leave the guest without its memory.
pub fn means(answers: &LookingGlass, kernels: &[Kernel]) -> Means {
    let is_everywhere =
        !kernels.is_empty() && kernels.iter().all(|kernel| kernel.provides("kvmfr") != Provides::Nothing);
    match answers.transport {
        Transport::Kvmfr => Means::Kvmfr,
        Transport::Auto if is_everywhere => Means::Kvmfr,
        Transport::Auto | Transport::Shm => Means::File,
    }
}

/// The virtual machines that show the picture of a GPU of their own.
fn with_picture(answers: &Answers) -> impl Iterator<Item = &String> {
    let wants = |(_, vm): &(&String, &Vm)| vm.kind != VmKind::Linux && vm.gpus != VmGpus::None;
    answers.vm.iter().filter(wants).map(|(name, _)| name)
}

/// One memory for each virtual machine that shows the picture of a GPU of its own; one where the
/// answers name no machine, but users.
pub fn memories(answers: &Answers, means: Means) -> Vec<Memory> {
    if !answers.looking_glass.enable {
        return Vec::new();
    }
    let vms: Vec<&String> = with_picture(answers).collect();
    let path = |at: usize, name: &str| match means {
        Means::File => format!("{FOLDER}/{name}"),
        Means::Kvmfr => format!("/dev/kvmfr{at}"),
    };
    let only = "looking-glass".to_owned();
    if vms.is_empty() && answers.vm.is_empty() && !answers.looking_glass.users.is_empty() {
        return vec![Memory { vm: None, path: path(0, &only), name: only }];
    }
    let named = |vm: &String| if vms.len() > 1 { format!("{only}-{vm}") } else { only.clone() };
    let memory = |(at, vm): (usize, &&String)| {
        let name = named(vm);
        Memory { vm: Some((*vm).clone()), path: path(at, &name), name }
    };
    vms.iter().enumerate().map(memory).collect()
}

/// What is worth knowing before it is written.
pub fn findings(wanted: &Wanted, answers: &LookingGlass, target: &Target) -> Vec<Finding> {
    let mut found = Vec::new();
    for user in &wanted.missing {
        found.push(
            Finding::new(
                Code::LookingGlassUser,
                Severity::Warning,
                format!("looking_glass.users names `{user}`, and this system has no such user"),
                "make the user, or mend the name in the answers; then `neuron-provisioner apply` again",
            )
            .in_file("/etc/passwd"),
        );
    }
    if wanted.users.is_empty() && wanted.missing.is_empty() {
        found.push(Finding::new(
            Code::LookingGlassUser,
            Severity::Info,
            format!(
                "looking_glass.users names nobody: the guest's picture is for root and the group {GROUP}"
            ),
            "name who sits at this machine, like users = [\"vera\"] below [looking_glass]",
        ));
    }
    if wanted.means == Means::Kvmfr {
        found.extend(kvmfr_findings(answers, target));
    } else {
        found.extend(files::elsewhere(wanted, target));
    }
    found
}

fn kvmfr_findings(answers: &LookingGlass, target: &Target) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut warn = |code, message: String, hint: &str| {
        found.push(Finding::new(code, Severity::Warning, message, hint));
    };
    let lacking = target.kernels.iter().filter(|kernel| kernel.provides("kvmfr") == Provides::Nothing);
    for kernel in lacking.filter(|_| answers.transport == Transport::Kvmfr) {
        warn(
            Code::LookingGlassModule,
            format!(
                "{} has no module kvmfr: with it the guest has no memory for its picture",
                kernel.release
            ),
            "install the module for every kernel (looking-glass-module-dkms), or use transport = \"shm\"",
        );
    }
    if target.closed.iter().any(|path| path.as_str() == QEMU_CONF) {
        warn(
            Code::TargetConflict,
            format!("only root may read {QEMU_CONF}, which has to let QEMU open the module's memory"),
            "run this as root to see the whole plan",
        );
    } else if target.text(QEMU_CONF).is_none() {
        warn(
            Code::LookingGlassModule,
            "libvirt is not installed, so nothing lets its machines open the module's memory yet".to_owned(),
            "install libvirt, then `neuron-provisioner apply` again",
        );
    }
    if target.has(APPARMOR) {
        warn(
            Code::TargetConflict,
            "AppArmor keeps QEMU from the module's memory, unless its profile names that".to_owned(),
            "add the line `/dev/kvmfr* rw,` to /etc/apparmor.d/local/abstractions/libvirt-qemu",
        );
    }
    found
}

/// How large the memory is in MiB: the answer, or what two frames of the resolution need.
///
/// Width by height by 4 bytes (8 with HDR), twice, and 10 MiB for everything else, rounded up to a
/// power of two. Source: Looking Glass's documentation, "Determining memory". `Err` holds what is
/// wrong with the answers.
pub fn size_mib(answers: &LookingGlass) -> Result<u32, String> {
    if answers.size_mib > 0 {
        return if answers.size_mib.is_power_of_two() {
            Ok(answers.size_mib)
        } else {
            Err(format!("size_mib = {}: the size must be a power of two", answers.size_mib))
        };
    }
    let wrong = || format!("resolution `{}` is not WIDTHxHEIGHT", answers.resolution);
    let (width, height) = answers.resolution.split_once('x').ok_or_else(wrong)?;
    let (width, height): (u64, u64) =
        (width.parse().map_err(|_| wrong())?, height.parse().map_err(|_| wrong())?);
    let pixel = if answers.hdr { 8 } else { 4 };
    let mib = (width * height * pixel * 2).div_ceil(1 << 20) + 10;
    u32::try_from(mib.next_power_of_two()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_are_those_of_the_documentation() {
        for (resolution, sdr, hdr) in [
            ("1920x1080", 32, 64),
            ("2560x1440", 64, 128),
            ("3440x1440", 64, 128),
            ("3840x1600", 64, 128),
            ("3840x2160", 128, 256),
            ("5120x1440", 128, 128),
            ("5120x2160", 128, 256),
            ("7680x4320", 512, 1024),
        ] {
            for (is_hdr, wanted) in [(false, sdr), (true, hdr)] {
                let answers = LookingGlass {
                    resolution: resolution.to_owned(),
                    hdr: is_hdr,
                    ..LookingGlass::default()
                };
                assert_eq!(size_mib(&answers), Ok(wanted), "{resolution} {is_hdr}");
            }
        }
    }

    #[test]
    fn a_size_that_is_no_power_of_two_is_refused() {
        let sized = |size_mib| size_mib_of(size_mib);
        assert_eq!(sized(128), Ok(128));
        assert_eq!(sized(100), Err("size_mib = 100: the size must be a power of two".to_owned()));
    }

    fn size_mib_of(size_mib: u32) -> Result<u32, String> {
        super::size_mib(&LookingGlass { size_mib, ..LookingGlass::default() })
    }
}
