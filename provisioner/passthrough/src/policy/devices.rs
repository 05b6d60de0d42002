//! Devices beside GPUs that the answers name for virtual machines: which functions they are, and what
//! speaks against giving them away.

use super::assign::{Assignment, AssignmentRole, describe, is_storage};
use super::gpu::Gpu;
use super::{Code, Finding, Notes, Severity, override_name};
use crate::answers::{Answers, Device, Override, PCI_DEVICES, Passthrough, USB_CONTROLLERS, Vm};
use crate::facts::{HostUse, Machine, PciFunction};
use crate::id::{FunctionName, PciAddress};

const USB_CONTROLLER: u16 = 0x0c03;

/// The functions that a machine of the answers is to get beside its GPUs, in the order of the answers.
/// Names that a ready judgement let through are each of one function.
pub fn devices_of(machine: &Machine, vm: &Vm) -> Vec<PciAddress> {
    let mut all = Vec::new();
    for device in vm.devices("") {
        let found = bearing(machine, device.name).map(|function| function.address);
        all.extend(found.filter(|address| !all.contains(address)).collect::<Vec<_>>());
    }
    all
}

fn bearing(machine: &Machine, name: FunctionName) -> impl Iterator<Item = &PciFunction> {
    machine.functions.values().filter(move |function| match name {
        FunctionName::Address(address) => function.address == address,
        FunctionName::Id(id) => function.id == Some(id),
    })
}

/// What the answers name, as far as it may go to a guest at all.
pub(super) fn resolve(
    machine: &Machine,
    gpus: &[Gpu],
    answers: &Answers,
    notes: &mut Notes,
) -> Vec<PciAddress> {
    let mut found: Vec<PciAddress> =
        answers.devices().filter_map(|device| one(machine, gpus, device, notes)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn one(machine: &Machine, gpus: &[Gpu], device: Device<'_>, notes: &mut Notes) -> Option<PciAddress> {
    let key = format!("vm.{}.{}", device.vm, device.key);
    let mut refuse = |code, why: String, hint: String| {
        let mut finding = Finding::new(code, Severity::Blocker, format!("{key}: {why}"), hint);
        finding.subject = Some(device.name.to_string());
        notes.find(finding);
    };
    let mut bearing = bearing(machine, device.name);
    let Some(function) = bearing.next() else {
        let why = format!("there is no PCI function {}", device.name);
        refuse(Code::DeviceNotFound, why, "`lspci -nnD` shows those that there are".to_owned());
        return None;
    };
    if let Some(other) = bearing.next() {
        let why =
            format!("several functions bear {}: {} and {}", device.name, function.address, other.address);
        refuse(Code::DeviceAmbiguous, why, "name it by its address".to_owned());
        return None;
    }
    let about = describe(machine, function.address);
    match unfit(gpus, function, device.key) {
        Some((why, hint)) => refuse(Code::DeviceUnfit, format!("{about} {why}"), hint),
        None => return Some(function.address),
    }
    None
}

/// Why a function goes to no guest, whatever else there is.
fn unfit(gpus: &[Gpu], function: &PciFunction, key: &str) -> Option<(String, String)> {
    let says = |why: String, hint: &str| Some((why, hint.to_owned()));
    if function.class.is_display() {
        return says("is a GPU".to_owned(), "name it in guest_gpus of [passthrough], and leave it out here");
    }
    if let Some(gpu) = gpus.iter().find(|gpu| gpu.functions.contains(&function.address)) {
        let why = format!("belongs to the GPU {} and goes or stays with it", gpu.address);
        return says(why, "leave it out here");
    }
    if is_of_the_board(function) {
        let why = "is a part of the machine that it does not run without".to_owned();
        return says(why, "leave it out");
    }
    if key == USB_CONTROLLERS && function.class.kind() != USB_CONTROLLER {
        return says("is no USB controller".to_owned(), &format!("name it in {PCI_DEVICES}"));
    }
    if function.is_virtual_function {
        let why = "is a virtual function, which is not there when a boot begins".to_owned();
        return says(why, "name the whole device, or leave it out");
    }
    if function.is_removable {
        let why = "can be unplugged: at boot it may come late or not at all".to_owned();
        return says(why, "leave it out");
    }
    None
}

/// Bridges of every kind, memory, interrupt controllers, timers, IOMMUs, `SMBus`, the security processor.
fn is_of_the_board(function: &PciFunction) -> bool {
    matches!(function.class.base(), 0x05 | 0x06)
        || matches!(function.class.kind(), 0x0800..=0x0804 | 0x0806 | 0x0c05 | 0x1080)
}

/// What the host would lose with what is assigned beside GPUs.
pub(super) fn judge(machine: &Machine, assigned: &[Assignment], wishes: &Passthrough, notes: &mut Notes) {
    let is_beside =
        |one: &&Assignment| matches!(one.role, AssignmentRole::Device | AssignmentRole::GroupPeer);
    let beside: Vec<PciAddress> = assigned.iter().filter(is_beside).map(|one| one.address).collect();
    if !assigned.iter().any(|one| one.role == AssignmentRole::Device) {
        return;
    }
    let Some(used) = &machine.host_use else {
        notes.find(Finding::new(
            Code::DeviceUseUnknown,
            Severity::Blocker,
            "the answers name devices beside GPUs, and what the host uses of them cannot be read here",
            "run as root on the machine itself; or leave usb_controllers and pci_devices out until then",
        ));
        return;
    };
    for address in &beside {
        in_use(machine, used, *address, notes);
        network(used, *address, wishes, notes);
        if is_storage(machine, *address) {
            twin(machine, assigned, *address, notes);
        }
        reset(machine, *address, notes);
    }
    keyboard(used, &beside, wishes, notes);
}

fn in_use(machine: &Machine, used: &HostUse, address: PciAddress, notes: &mut Notes) {
    let disks: Vec<String> =
        used.disks_of(address).map(|disk| format!("{} {}", disk.name, disk.used)).collect();
    if !disks.is_empty() {
        let message =
            format!("the host uses what hangs on {}: {}", describe(machine, address), disks.join(", "));
        let hint = "what the host runs from or keeps files on is never given away; unmount it and take it \
                    out of fstab and crypttab, or leave the device out";
        notes.find(Finding::new(Code::DeviceInUse, Severity::Blocker, message, hint).about(address));
    }
}

fn network(used: &HostUse, address: PciAddress, wishes: &Passthrough, notes: &mut Notes) {
    let Some(interface) = used.routes.get(&address) else { return };
    let rule = Override::HostNetwork;
    let (severity, hint) = allowed_or(
        wishes.allows(rule),
        format!(
            "give the host another way to the network first; or do without: allow = [\"{}\"]",
            override_name(rule)
        ),
    );
    let message = format!("the host reaches the network through it ({interface})");
    notes.find(Finding::new(Code::HostNetwork, severity, message, hint).about(address));
}

fn keyboard(used: &HostUse, beside: &[PciAddress], wishes: &Passthrough, notes: &mut Notes) {
    let Some(address) = beside.iter().find(|address| {
        used.keyboard_goes_with(beside) && used.keyboards.iter().any(|above| above.contains(address))
    }) else {
        return;
    };
    let rule = Override::HostKeyboard;
    let (severity, hint) = allowed_or(
        wishes.allows(rule),
        format!(
            "plug a keyboard into another USB controller; or have none at this screen: allow = [\"{}\"]",
            override_name(rule)
        ),
    );
    let message = "every keyboard of the host hangs on it, so nobody could choose in a boot menu's system or \
                   log in";
    notes.find(Finding::new(Code::HostKeyboard, severity, message, hint).about(*address));
}

/// A rule that was set aside is told all the same.
fn allowed_or(is_allowed: bool, hint: String) -> (Severity, String) {
    if is_allowed {
        (Severity::Warning, "that is what the answers allow".to_owned())
    } else {
        (Severity::Blocker, hint)
    }
}

/// An address may move when a card is added, and the next boot finds another disk of the same model there.
fn twin(machine: &Machine, assigned: &[Assignment], address: PciAddress, notes: &mut Notes) {
    let Some(id) = machine.functions.get(&address).and_then(|function| function.id) else { return };
    let is_assigned = |other: PciAddress| assigned.iter().any(|one| one.address == other);
    if let Some(other) = machine.with_id(id).find(|other| !is_assigned(other.address)) {
        let message =
            format!("{address} and {}, which stays with the host, are of the same model", other.address);
        let hint = "if a card is added their addresses may move, and the host's disk would go; leave it out, or \
                    give the disk to the machine as a file";
        notes.find(Finding::new(Code::StorageTwin, Severity::Blocker, message, hint).about(address));
    }
}

fn reset(machine: &Machine, address: PciAddress, notes: &mut Notes) {
    let methods = machine.functions.get(&address).and_then(|function| function.reset_methods.as_ref());
    if methods.is_some_and(Vec::is_empty) {
        notes.find(
            Finding::new(
                Code::NoResetMethod,
                Severity::Warning,
                "the kernel knows no way to reset this device",
                "a guest may be able to use it only once for each boot of the host",
            )
            .about(address),
        );
    }
}
