//! From GPUs to functions: what exactly is assigned, and how it is matched.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choose::Choice;
use super::gpu::{self, Gpu};
use super::target::HOOK_PACKAGE;
use super::{Code, Finding, IommuState, Matching, Notes, Severity, override_name};
use crate::answers::{MatchBy, Override, Passthrough};
use crate::facts::{Machine, PciFunction};
use crate::id::{GroupId, PciAddress, PciId};

/// Why a function is assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AssignmentRole {
    /// It is the GPU's display function.
    Primary,
    /// It belongs to the same GPU.
    Companion,
    /// The answers name it for a virtual machine, beside GPUs.
    Device,
    /// It shares a group, and the answers allow to take it along.
    GroupPeer,
}

/// A function that a guest gets, with everything by which it is known again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// Where it sits.
    pub address: PciAddress,
    /// Its id.
    pub id: PciId,
    /// Its board's id.
    pub subsystem: Option<PciId>,
    /// Its class, six hexadecimal digits.
    pub class: String,
    /// Why it is among them.
    pub role: AssignmentRole,
}

/// By what a function is known again: an address can move, and another card can take its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Where it sits.
    pub address: PciAddress,
    /// Its id; null when the machine does not say.
    pub id: Option<PciId>,
    /// Its board's id; null when the machine does not say.
    pub subsystem: Option<PciId>,
    /// Its class, six hexadecimal digits.
    pub class: String,
}

impl From<&PciFunction> for Identity {
    fn from(function: &PciFunction) -> Self {
        let PciFunction { address, id, subsystem, .. } = *function;
        Self { address, id, subsystem, class: function.class.to_string() }
    }
}

impl From<&Assignment> for Identity {
    fn from(assigned: &Assignment) -> Self {
        let Assignment { address, id, subsystem, .. } = *assigned;
        Self { address, id: Some(id), subsystem, class: assigned.class.clone() }
    }
}

/// Everything that the chosen guests take along, and the devices that the answers name.
pub(super) fn assign(
    machine: &Machine,
    gpus: &[Gpu],
    choice: &Choice,
    devices: &[PciAddress],
    wishes: &Passthrough,
    state: IommuState,
    notes: &mut Notes,
) -> Vec<Assignment> {
    let mut assigned: Vec<Assignment> = Vec::new();
    let guests = || gpus.iter().filter(|gpu| choice.guests.contains(&gpu.address));
    for guest in guests() {
        for address in &guest.functions {
            let role =
                if *address == guest.address { AssignmentRole::Primary } else { AssignmentRole::Companion };
            push(machine, *address, role, &mut assigned, notes);
        }
        for other in gpus.iter().filter(|other| !choice.guests.contains(&other.address)) {
            card_is_shared(guest, other, notes);
        }
    }
    for device in devices {
        push(machine, *device, AssignmentRole::Device, &mut assigned, notes);
    }
    if state == IommuState::On {
        let own: BTreeSet<PciAddress> =
            guests().flat_map(|guest| &guest.functions).chain(devices).copied().collect();
        let mut taken = BTreeSet::new();
        let whole = guests().map(|guest| (guest.address, guest.functions.as_slice()));
        let devices = devices.iter().map(|device| (*device, std::slice::from_ref(device)));
        for one in whole.chain(devices) {
            taken.extend(judge_groups(machine, one, &own, gpus, wishes, notes));
        }
        for peer in taken {
            push(machine, peer, AssignmentRole::GroupPeer, &mut assigned, notes);
        }
    }
    assigned.sort_by_key(|assignment| assignment.address);
    assigned
}

/// Two display functions of one card have the same companions: the card goes as a whole or stays.
fn card_is_shared(guest: &Gpu, other: &Gpu, notes: &mut Notes) {
    if let Some(both) = guest.functions.iter().find(|address| other.functions.contains(address)) {
        notes.find(
            Finding::new(
                Code::CardShared,
                Severity::Blocker,
                format!("{both} belongs to it and to the GPU {}, which stays with the host", other.address),
                "give both away (guest_gpus), or neither",
            )
            .about(guest.address),
        );
    }
}

fn push(
    machine: &Machine,
    address: PciAddress,
    role: AssignmentRole,
    assigned: &mut Vec<Assignment>,
    notes: &mut Notes,
) {
    let Some((function, id)) =
        machine.functions.get(&address).and_then(|function| Some((function, function.id?)))
    else {
        notes.find(
            Finding::new(
                Code::IdentityUnknown,
                Severity::Blocker,
                format!("vendor and device of {address} could not be read"),
                "what cannot be identified cannot be claimed; run as root on the machine itself",
            )
            .about(address),
        );
        return;
    };
    assigned.push(Assignment {
        address,
        id,
        subsystem: function.subsystem,
        class: function.class.to_string(),
        role,
    });
}

/// Rule 3 for one GPU, or one device: every endpoint of its groups is assigned, or it does not go. Gives the
/// peers that go along.
fn judge_groups(
    machine: &Machine,
    (subject, functions): (PciAddress, &[PciAddress]),
    own: &BTreeSet<PciAddress>,
    gpus: &[Gpu],
    wishes: &Passthrough,
    notes: &mut Notes,
) -> Vec<PciAddress> {
    let block = |code, message: String, hint: String, notes: &mut Notes| {
        notes.find(Finding::new(code, Severity::Blocker, message, hint).about(subject));
    };
    let functions = || functions.iter().filter_map(|address| machine.functions.get(address));
    for function in functions().filter(|function| !gpu::is_isolated(machine, function)) {
        let (message, hint) = without_group(machine, function);
        block(Code::NoGroup, message, hint.to_owned(), notes);
    }
    let groups: BTreeSet<GroupId> = functions().filter_map(|function| function.group).collect();
    for id in &groups {
        if machine.groups.get(id).is_some_and(|group| group.has_direct_region) {
            let message = format!("the firmware keeps a fixed memory mapping in IOMMU group {id}");
            let hint =
                "the kernel refuses to give such a group away; a firmware update or another slot may help";
            block(Code::ReservedRegion, message, hint.to_owned(), notes);
        }
    }
    let (peers, strangers) = gpu::foreign(machine, &groups, own);
    if !strangers.is_empty() {
        let message = format!("its IOMMU group also holds {}", strangers.join(", "));
        block(Code::GroupShared, message, "try another slot".to_owned(), notes);
    }
    if peers.is_empty() {
        return Vec::new();
    }
    let named = peers.iter().map(|peer| describe(machine, *peer)).collect::<Vec<_>>().join(", ");
    let gpu_among = |peer: &&PciAddress| gpus.iter().any(|gpu| gpu.functions.contains(peer));
    let storage: Vec<PciAddress> = peers.iter().copied().filter(|peer| is_storage(machine, *peer)).collect();
    let has_gpu = peers.iter().any(|peer| gpu_among(&peer));
    if !wishes.allows(Override::GroupPeers) || has_gpu {
        let mut hint = "try another slot, or ACS in the firmware's setup".to_owned();
        // Offered only where it helps: another GPU goes by its own name, storage never.
        if !has_gpu && storage.is_empty() {
            let rule = override_name(Override::GroupPeers);
            hint = format!("{hint}; to give all of it away: allow = [\"{rule}\"]");
        }
        block(Code::GroupShared, format!("its IOMMU group also holds {named}"), hint, notes);
        return Vec::new();
    }
    if !storage.is_empty() {
        let named = storage.iter().map(|peer| describe(machine, *peer)).collect::<Vec<_>>().join(", ");
        let message = format!("its IOMMU group also holds storage: {named}");
        let hint = "the host may run from it, so it is never given away; try another slot";
        block(Code::GroupHoldsStorage, message, hint.to_owned(), notes);
        return Vec::new();
    }
    notes.find(
        Finding::new(
            Code::GroupShared,
            Severity::Warning,
            format!("these go along with it, and the host loses them: {named}"),
            "that is what allow = [\"group-peers\"] asks for",
        )
        .about(subject),
    );
    peers
}

/// Why nothing is known to isolate a function, and what to do about it.
fn without_group(machine: &Machine, function: &PciFunction) -> (String, &'static str) {
    let address = function.address;
    match (function.group, function.group.and_then(|id| machine.groups.get(&id))) {
        (None, _) => (
            format!("{address} is in no IOMMU group though others are"),
            "it is not behind the IOMMU; try another slot",
        ),
        (Some(id), Some(group)) if group.is_fake => (
            format!(
                "{address} is in group {id}, which vfio's no-IOMMU mode made up and which isolates nothing"
            ),
            "switch the IOMMU on, and enable_unsafe_noiommu_mode of vfio off",
        ),
        (Some(id), _) => (
            format!("{address} says that it is in IOMMU group {id}, whose members could not be read"),
            "run as root on the machine itself; a group that cannot be read may hold anything",
        ),
    }
}

/// Storage, or what cannot be told from storage.
pub(super) fn is_storage(machine: &Machine, address: PciAddress) -> bool {
    machine.functions.get(&address).is_none_or(|function| function.class.base() == 0x01)
}

/// A function in words: `0000:02:00.0 (NVMe drive 144d:a808)`.
pub(super) fn describe(machine: &Machine, address: PciAddress) -> String {
    match machine.functions.get(&address) {
        Some(PciFunction { class, id: Some(id), .. }) => format!("{address} ({} {id})", class.noun()),
        Some(PciFunction { class, id: None, .. }) => format!("{address} ({})", class.noun()),
        None => format!("{address} (unknown)"),
    }
}

/// Rule 4: ids name functions unmistakably, or it is done by address.
pub(super) fn matching(
    machine: &Machine,
    assigned: &[Assignment],
    wished: MatchBy,
    notes: &mut Notes,
) -> Matching {
    let is_assigned = |address: PciAddress| assigned.iter().any(|assignment| assignment.address == address);
    let mut twins = Vec::new();
    for assignment in assigned {
        let others = machine.with_id(assignment.id).map(|function| function.address);
        twins.extend(others.filter(|other| !is_assigned(*other)).map(|other| (assignment.address, other)));
    }
    if wished == MatchBy::Address {
        return Matching::Address;
    }
    let storage = assigned.iter().find(|one| is_storage(machine, one.address));
    if let Some(storage) = storage {
        // An id would also take a disk of that model that the host gets later.
        if wished == MatchBy::Ids {
            let message = format!("{} is storage, and is claimed by its address alone", storage.address);
            let hint = "a disk of the same model that is added later would be taken by its id; use match = \"auto\" \
                        or \"address\"";
            notes.find(
                Finding::new(Code::StorageTwin, Severity::Blocker, message, hint).about(storage.address),
            );
        }
        return Matching::Address;
    }
    for (address, other) in &twins {
        let (severity, hint) = if wished == MatchBy::Ids {
            let hint = "vfio-pci would take both; use match = \"auto\" or \"address\"".to_owned();
            (Severity::Blocker, hint)
        } else {
            let hint = format!(
                "they are told apart by address; without the early hook in the target (package {HOOK_PACKAGE}), apply refuses"
            );
            (Severity::Info, hint)
        };
        let message = format!("{address} and {other}, which stays with the host, bear the same id");
        notes.find(Finding::new(Code::IdenticalIds, severity, message, hint).about(*address));
    }
    if twins.is_empty() { Matching::Ids } else { Matching::Address }
}
