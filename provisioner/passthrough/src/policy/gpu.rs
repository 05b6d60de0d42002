//! A GPU as a whole: its functions, what shares their groups, and the role it gets.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choose::Choice;
use super::kind::{self, GpuKind};
use super::{Code, Finding, IommuState};
use crate::facts::{Machine, PciFunction};
use crate::id::{GroupId, PciAddress, PciId};

/// Who gets a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GpuRole {
    /// The host keeps it and draws with it.
    Host,
    /// It goes to a guest.
    Guest,
    /// It stays with the host, which has another.
    Spare,
}

/// Whether a GPU could be given away, by its groups alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Viability {
    /// Nothing else is in its groups.
    Viable,
    /// Something is in the way.
    Blocked,
    /// Groups come with the next boot.
    Pending,
    /// Nothing tells.
    Unknown,
}

/// A GPU with all of its functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// The display function's address.
    pub address: PciAddress,
    /// The display function's id.
    pub id: Option<PciId>,
    /// Integrated, discrete ...
    pub kind: GpuKind,
    /// Who gets it.
    pub role: GpuRole,
    /// Why, in sentences.
    pub because: Vec<String>,
    /// Whether the firmware shows its picture here; `None` when nothing tells.
    pub boot_vga: Option<bool>,
    /// Whether it has outputs.
    pub has_outputs: bool,
    /// Whether a display is plugged in (or its panel is on).
    pub has_display: bool,
    /// Whether it drives the laptop's internal panel.
    pub drives_panel: bool,
    /// Whether it can be unplugged while the machine runs.
    pub is_external: bool,
    /// How it can be reset; `None` when nothing tells.
    pub reset_methods: Option<Vec<String>>,
    /// The driver that holds it now.
    pub driver: Option<String>,
    /// The display function's group.
    pub group: Option<GroupId>,
    /// The display function and its companions.
    pub functions: Vec<PciAddress>,
    /// Foreign endpoints in the groups of these.
    pub group_peers: Vec<PciAddress>,
    /// Foreign devices in these groups that are not on PCI.
    pub group_strangers: Vec<String>,
    /// Whether it could be given away, by its groups alone.
    pub viability: Viability,
    /// The findings about it.
    pub findings: Vec<Code>,
}

/// Puts the GPUs of a machine together.
pub(super) fn assemble(machine: &Machine, iommu: IommuState) -> Vec<Gpu> {
    machine.gpus().map(|function| one(machine, function, iommu)).collect()
}

fn one(machine: &Machine, gpu: &PciFunction, iommu: IommuState) -> Gpu {
    let kind = kind::kind(machine, gpu);
    let functions: Vec<&PciFunction> =
        std::iter::once(gpu).chain(kind::companions(machine, gpu, kind)).collect();
    let own: BTreeSet<PciAddress> = functions.iter().map(|function| function.address).collect();
    let groups: BTreeSet<GroupId> = functions.iter().filter_map(|function| function.group).collect();
    let (peers, strangers) = foreign(machine, &groups, &own);
    let drives_panel = drives_panel(machine, gpu, kind);
    let mut built = Gpu {
        address: gpu.address,
        id: gpu.id,
        kind,
        role: GpuRole::Spare,
        because: Vec::new(),
        boot_vga: boot_vga(machine, gpu),
        has_outputs: !gpu.class.is_without_outputs(),
        has_display: drives_panel || machine.connectors(gpu.address).any(|connector| connector.connected),
        drives_panel,
        is_external: gpu.is_removable,
        reset_methods: gpu.reset_methods.clone(),
        driver: gpu.driver.clone(),
        group: gpu.group,
        functions: own.into_iter().collect(),
        group_peers: peers,
        group_strangers: strangers,
        viability: Viability::Unknown,
        findings: Vec::new(),
    };
    let all_grouped = functions.iter().all(|function| is_isolated(machine, function));
    let reserved = groups.iter().filter_map(|id| machine.groups.get(id)).any(|group| group.has_direct_region);
    built.viability = viability(&built, iommu, all_grouped, reserved);
    built
}

fn viability(gpu: &Gpu, iommu: IommuState, all_grouped: bool, reserved: bool) -> Viability {
    match iommu {
        IommuState::On => {
            let alone = gpu.group_peers.is_empty() && gpu.group_strangers.is_empty();
            if all_grouped && alone && !reserved { Viability::Viable } else { Viability::Blocked }
        }
        IommuState::Pending => Viability::Pending,
        IommuState::Unknown => Viability::Unknown,
        IommuState::OffOnCmdline | IommuState::OffInFirmware | IommuState::Absent => Viability::Blocked,
    }
}

/// Whether a function is in a group that was read, that lists it, and that isolates.
pub(super) fn is_isolated(machine: &Machine, function: &PciFunction) -> bool {
    let group = function.group.and_then(|id| machine.groups.get(&id));
    group.is_some_and(|group| !group.is_fake && group.members.contains(&function.address))
}

/// The endpoints of these groups that are not among `own`; bridges do not count.
pub(super) fn foreign(
    machine: &Machine,
    groups: &BTreeSet<GroupId>,
    own: &BTreeSet<PciAddress>,
) -> (Vec<PciAddress>, Vec<String>) {
    let touched = || groups.iter().filter_map(|id| machine.groups.get(id));
    let is_endpoint = |address: &PciAddress| {
        machine.functions.get(address).is_none_or(|function| !function.class.is_bridge())
    };
    let peers: BTreeSet<PciAddress> = touched()
        .flat_map(|group| &group.members)
        .filter(|member| !own.contains(member) && is_endpoint(member))
        .copied()
        .collect();
    let strangers = touched().flat_map(|group| group.strangers.iter().cloned()).collect();
    (peers.into_iter().collect(), strangers)
}

/// What sysfs says; for classes that have no `boot_vga`, what the display subsystem says.
fn boot_vga(machine: &Machine, gpu: &PciFunction) -> Option<bool> {
    let by_display =
        machine.displays.iter().any(|card| card.function == Some(gpu.address) && card.is_boot_display);
    if by_display { Some(true) } else { gpu.boot_vga }
}

/// A multiplexer that says "discrete" is believed over the connectors: they lie then.
fn drives_panel(machine: &Machine, gpu: &PciFunction, kind: GpuKind) -> bool {
    match machine.mux {
        Some(crate::facts::Mux::Discrete) => kind == GpuKind::Discrete,
        _ => machine.connectors(gpu.address).any(|connector| connector.is_internal() && connector.connected),
    }
}

/// Gives every GPU its role, the reasons and its findings.
pub(super) fn settle(gpus: &mut [Gpu], choice: &Choice, findings: &[Finding]) {
    for gpu in gpus.iter_mut() {
        gpu.role = if choice.guests.contains(&gpu.address) {
            GpuRole::Guest
        } else if choice.host == Some(gpu.address) {
            GpuRole::Host
        } else {
            GpuRole::Spare
        };
        gpu.because = reasons(gpu, choice);
        let subject = gpu.address.to_string();
        let mine = findings.iter().filter(|finding| finding.subject.as_deref() == Some(subject.as_str()));
        gpu.findings = mine.map(|finding| finding.code).collect();
        gpu.findings.sort_unstable();
        gpu.findings.dedup();
    }
}

fn reasons(gpu: &Gpu, choice: &Choice) -> Vec<String> {
    let mut reasons = Vec::new();
    match gpu.role {
        GpuRole::Guest if choice.guests_were_named => reasons.push("the answers name it".to_owned()),
        GpuRole::Host if choice.host_was_named => reasons.push("the answers name it for the host".to_owned()),
        GpuRole::Guest => reasons.push("it is the best one to give away".to_owned()),
        GpuRole::Host => reasons.push("the host needs a picture".to_owned()),
        GpuRole::Spare => reasons.push("nobody asked for it".to_owned()),
    }
    reasons.push(
        match gpu.kind {
            GpuKind::Integrated => "part of the processor",
            GpuKind::Discrete => "a GPU of its own",
            GpuKind::Bmc => "the server's management graphics, always kept for the host",
            GpuKind::Virtual => "made by a hypervisor",
            GpuKind::Unknown => "of a kind that nothing tells",
        }
        .to_owned(),
    );
    if gpu.boot_vga == Some(true) {
        reasons.push("the firmware shows its picture on it".to_owned());
    }
    if gpu.drives_panel {
        reasons.push("it drives the internal panel".to_owned());
    } else if gpu.has_display {
        reasons.push("a display is plugged in".to_owned());
    }
    if !gpu.has_outputs {
        reasons.push("it has no outputs".to_owned());
    }
    match gpu.viability {
        Viability::Viable => reasons.push("alone in its IOMMU group".to_owned()),
        Viability::Blocked if !gpu.group_peers.is_empty() => {
            reasons.push(format!("shares its IOMMU group with {} other device(s)", gpu.group_peers.len()));
        }
        Viability::Blocked | Viability::Pending | Viability::Unknown => {}
    }
    reasons
}
