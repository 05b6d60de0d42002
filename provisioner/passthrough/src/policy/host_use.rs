//! What the host would lose with what is assigned: its disks, its keyboard, its way to the network. Of a
//! GPU's own functions its picture and its sound are not asked, everything else is.

use super::assign::{Assignment, AssignmentRole, describe, is_storage};
use super::{Code, Finding, Notes, Severity, override_name};
use crate::answers::{Override, Passthrough};
use crate::facts::{HostUse, Machine, PciFunction};
use crate::id::PciAddress;

/// Network controllers of every kind.
const NETWORK: u8 = 0x02;
/// Who holds what no driver of the host's uses.
const VFIO: &str = "vfio-pci";

/// What is assigned and what the host does with it.
struct Seen<'a> {
    machine: &'a Machine,
    used: &'a HostUse,
    assigned: &'a [Assignment],
    /// Everything that is assigned but pictures and sound.
    beside: Vec<PciAddress>,
    wishes: &'a Passthrough,
}

/// What the host would lose. What cannot be known is a blocker where devices were named, or go along
/// because of their group; what a GPU brings along is looked at again before anything is carried out.
pub(super) fn judge(machine: &Machine, assigned: &[Assignment], wishes: &Passthrough, notes: &mut Notes) {
    if machine.host_use.is_some() || !assigned.iter().all(is_own_of_a_gpu) {
        strictly(machine, assigned, wishes, notes);
    }
}

/// What stands against giving these functions away now; for a plan that is carried out.
pub fn losses(machine: &Machine, assigned: &[Assignment], wishes: &Passthrough) -> Vec<Finding> {
    let mut notes = Notes::default();
    strictly(machine, assigned, wishes, &mut notes);
    notes.findings.into_iter().filter(|finding| finding.severity == Severity::Blocker).collect()
}

fn strictly(machine: &Machine, assigned: &[Assignment], wishes: &Passthrough, notes: &mut Notes) {
    let is_asked = |address: &PciAddress| {
        machine.functions.get(address).is_none_or(|function| !function.class.is_of_a_picture())
    };
    let beside: Vec<PciAddress> = assigned.iter().map(|one| one.address).filter(is_asked).collect();
    if beside.is_empty() {
        return;
    }
    let Some(used) = &machine.host_use else {
        let named: Vec<String> = beside.iter().map(|address| describe(machine, *address)).collect();
        notes.find(Finding::new(
            Code::DeviceUseUnknown,
            Severity::Blocker,
            format!("what the host uses of these cannot be read here: {}", named.join(", ")),
            "run as root on the machine itself; or leave out what is named below usb_controllers and pci_devices",
        ));
        return;
    };
    let seen = Seen { machine, used, assigned, beside, wishes };
    for address in &seen.beside {
        in_use(&seen, *address, notes);
        network(&seen, *address, notes);
        if is_storage(machine, *address) {
            storage_twin(&seen, *address, notes);
        }
    }
    for device in assigned.iter().filter(|one| !is_own_of_a_gpu(one)) {
        reset(machine, device.address, notes);
    }
    keyboard(&seen, notes);
}

fn is_own_of_a_gpu(one: &Assignment) -> bool {
    matches!(one.role, AssignmentRole::Primary | AssignmentRole::Companion)
}

impl Seen<'_> {
    fn function(&self, address: PciAddress) -> Option<&PciFunction> {
        self.machine.functions.get(&address)
    }

    /// Whether the host of this boot does without it already.
    fn is_with_vfio(&self, address: PciAddress) -> bool {
        self.function(address).is_some_and(|function| function.driver.as_deref() == Some(VFIO))
    }

    fn is_assigned(&self, address: PciAddress) -> bool {
        self.assigned.iter().any(|one| one.address == address)
    }

    /// A function of the same model that the host keeps.
    fn twin(&self, address: PciAddress) -> Option<PciAddress> {
        let id = self.function(address)?.id?;
        self.machine.with_id(id).map(|other| other.address).find(|other| !self.is_assigned(*other))
    }
}

fn in_use(seen: &Seen<'_>, address: PciAddress, notes: &mut Notes) {
    let disks: Vec<String> =
        seen.used.disks_of(address).map(|disk| format!("{} {}", disk.name, disk.used)).collect();
    if !disks.is_empty() {
        let about = describe(seen.machine, address);
        let message = format!("the host uses what hangs on {about}: {}", disks.join(", "));
        let hint = "what the host runs from or keeps files on is never given away; unmount it and take it \
                    out of fstab and crypttab, or leave the device out";
        notes.find(Finding::new(Code::DeviceInUse, Severity::Blocker, message, hint).about(address));
    }
}

/// What carries a network interface stays, unless it is shown that the host reaches the network without
/// it. Not to know is not enough: a tunnel hides the card that it leads through, and an installer may have
/// no route yet.
fn network(seen: &Seen<'_>, address: PciAddress, notes: &mut Notes) {
    let is_card = seen.function(address).is_none_or(|function| function.class.base() == NETWORK);
    let interface = seen.used.cards.get(&address);
    if !is_card && interface.is_none() || seen.is_with_vfio(address) {
        return;
    }
    let Some(why) = needs(seen, address) else { return };
    let rule = Override::HostNetwork;
    let (severity, hint) =
        allowed_or(seen, rule, "give the host another way to the network first; or do without");
    let carries =
        interface.map_or_else(|| "it is a network card".to_owned(), |name| format!("it carries {name}"));
    notes.find(
        Finding::new(Code::HostNetwork, severity, format!("{carries}, and {why}"), hint).about(address),
    );
}

/// Why nothing shows that the host reaches the network without a function.
fn needs(seen: &Seen<'_>, address: PciAddress) -> Option<String> {
    let ways = &seen.used.ways;
    if ways.is_empty() {
        return Some("no default route shows that the host reaches the network without it".to_owned());
    }
    let id = seen.function(address).and_then(|function| function.id);
    ways.iter().find_map(|(name, functions)| {
        if functions.is_empty() {
            return Some(format!("through which device {name}, the host's way to the network, leads is not told"));
        }
        if functions.contains(&address) {
            return Some(format!("the host reaches the network through it ({name})"));
        }
        let is_twin = |other: &&PciAddress| {
            id.is_some() && seen.function(**other).and_then(|function| function.id) == id
        };
        let twin = functions.iter().find(is_twin)?;
        Some(format!(
            "{twin}, through which the host reaches the network ({name}), is of the same model: their addresses \
             may move when a card is added"
        ))
    })
}

/// An address may move when a card is added, and the next boot finds another disk of the same model there.
fn storage_twin(seen: &Seen<'_>, address: PciAddress, notes: &mut Notes) {
    if let Some(other) = seen.twin(address) {
        let message = format!("{address} and {other}, which stays with the host, are of the same model");
        let hint = "if a card is added their addresses may move, and the host's disk would go; leave it out, or \
                    give the disk to the machine as a file";
        notes.find(Finding::new(Code::StorageTwin, Severity::Blocker, message, hint).about(address));
    }
}

/// The last keyboard stays. That none is seen says nothing, for it may be unplugged or switched off: then no
/// USB controller goes but a card's own.
fn keyboard(seen: &Seen<'_>, notes: &mut Notes) {
    if seen.used.keeps_a_keyboard(&seen.beside) {
        return;
    }
    let hangs_on = |address: &PciAddress| seen.used.keyboards.iter().any(|above| above.contains(address));
    let is_usb = |one: &&Assignment| {
        let function = seen.function(one.address);
        function.is_none_or(|function| function.class.is_usb_controller())
            && !is_own_of_a_gpu(one)
            && !seen.is_with_vfio(one.address)
    };
    let carrier = seen.beside.iter().copied().find(hangs_on);
    let controller = || seen.assigned.iter().find(is_usb).map(|one| one.address);
    let Some(address) = carrier.or_else(controller) else { return };
    let rule = Override::HostKeyboard;
    let (severity, hint) =
        allowed_or(seen, rule, "plug a keyboard into another USB controller; or have none at this screen");
    let why = if carrier.is_some() {
        "every keyboard of the host hangs on it"
    } else {
        "no keyboard is seen that the host would keep"
    };
    let message = format!("{why}, so nobody could choose in a boot menu's system or log in");
    notes.find(Finding::new(Code::HostKeyboard, severity, message, hint).about(address));
}

/// A rule that was set aside is told all the same.
fn allowed_or(seen: &Seen<'_>, rule: Override, otherwise: &str) -> (Severity, String) {
    if seen.wishes.allows(rule) {
        (Severity::Warning, "that is what the answers allow".to_owned())
    } else {
        (Severity::Blocker, format!("{otherwise}: allow = [\"{}\"]", override_name(rule)))
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
