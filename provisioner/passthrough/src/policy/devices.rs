//! Devices beside GPUs that the answers name for virtual machines: which functions they are, and which go
//! to no guest at all.

use super::assign::describe;
use super::gpu::Gpu;
use super::{Code, Finding, Notes, Severity};
use crate::answers::{Answers, Device, PCI_DEVICES, USB_CONTROLLERS, Vm, VmGpus};
use crate::facts::{Machine, PciFunction};
use crate::id::{FunctionName, PciAddress};

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

/// Ports are named by the number of their bus, and buses are counted as they are found: without a
/// controller that is given away, others have its number.
pub(super) fn ports(machine: &Machine, devices: &[PciAddress], answers: &Answers, notes: &mut Notes) {
    let is_controller = |address: &&PciAddress| {
        machine.functions.get(address).is_some_and(|function| function.class.is_usb_controller())
    };
    let Some(controller) = devices.iter().find(is_controller) else { return };
    for (name, vm) in &answers.vm {
        // A device by its id is `vendor:product`, a port `bus-port`.
        if let Some(port) = vm.usb_devices.iter().find(|device| !device.contains(':')) {
            let message = format!(
                "vm.{name}.usb_devices: {port} names a port, and the USB controller {controller} goes"
            );
            let hint = "the numbers of the buses change without it, so another device would be taken; name the \
                        device as lsusb shows it, like \"046d:c52b\"";
            notes.find(Finding::new(Code::DeviceUnfit, Severity::Blocker, message, hint).about(*controller));
        }
    }
}

/// Functions of one IOMMU group for two virtual machines: whichever starts first has the whole group.
pub(super) fn shared_groups(
    machine: &Machine,
    gpus: &[Gpu],
    guests: &[PciAddress],
    answers: &Answers,
    notes: &mut Notes,
) {
    let group = |address: PciAddress| machine.functions.get(&address)?.group;
    let all: Vec<(&String, Vec<PciAddress>)> =
        answers.vm.iter().map(|(name, vm)| (name, gets(machine, gpus, guests, answers, vm))).collect();
    for (index, (one, own)) in all.iter().enumerate() {
        for (other, others) in &all[index + 1..] {
            let mut pairs = own.iter().flat_map(|its| others.iter().map(move |of_other| (*its, *of_other)));
            // What both get they share because somebody starts them in turn.
            let shares = |(its, of_other): &(PciAddress, PciAddress)| {
                !others.contains(its)
                    && !own.contains(of_other)
                    && group(*its).is_some()
                    && group(*its) == group(*of_other)
            };
            if let Some((its, of_other)) = pairs.find(shares) {
                let message = format!(
                    "vm.{one} gets {its} and vm.{other} gets {of_other}, which are in one IOMMU group: only one of \
                     the two can run at a time"
                );
                let hint = "give both to one of them, or start them in turn";
                notes.find(Finding::new(Code::GroupShared, Severity::Warning, message, hint).about(its));
            }
        }
    }
}

/// Everything that a machine gets: of the GPUs that go, those that it names, or that no other names.
fn gets(
    machine: &Machine,
    gpus: &[Gpu],
    guests: &[PciAddress],
    answers: &Answers,
    vm: &Vm,
) -> Vec<PciAddress> {
    let names = |vm: &Vm, gpu: PciAddress| matches!(&vm.gpus, VmGpus::Named(list) if list.contains(&gpu));
    let is_its = |gpu: PciAddress| match vm.gpus {
        VmGpus::Named(_) => names(vm, gpu),
        VmGpus::Auto => !answers.vm.values().any(|other| names(other, gpu)),
        VmGpus::None => false,
    };
    let own = gpus.iter().filter(|gpu| guests.contains(&gpu.address) && is_its(gpu.address));
    own.flat_map(|gpu| gpu.functions.iter().copied()).chain(devices_of(machine, vm)).collect()
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
    if key == USB_CONTROLLERS && !function.class.is_usb_controller() {
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
