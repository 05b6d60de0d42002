//! Integrated or discrete, BMC or virtual: what kind of GPU a function is.
//!
//! Decided by where it sits and who made it, never by its marketing name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::{Connector, Machine, PciFunction};
use crate::id::PciAddress;

/// What kind of GPU it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GpuKind {
    /// Part of the processor.
    Integrated,
    /// A card, or a chip of its own in a laptop.
    Discrete,
    /// A server's management controller.
    Bmc,
    /// Made by a hypervisor.
    Virtual,
    /// Nothing tells.
    Unknown,
}

const INTEL: u16 = 0x8086;
const AMD: u16 = 0x1002;
const AMD_PROCESSOR: u16 = 0x1022;
const NVIDIA: u16 = 0x10de;
const ASPEED: u16 = 0x1a03;
const MATROX: u16 = 0x102b;

/// Vendors whose GPUs exist in virtual machines only: Bochs and QEMU, virtio, QXL, `VMware`,
/// `VirtualBox`, Hyper-V, Xen.
const VIRTUAL: [u16; 7] = [0x1234, 0x1af4, 0x1b36, 0x15ad, 0x80ee, 0x1414, 0x5853];

/// What kind of GPU a display function is.
pub(super) fn kind(machine: &Machine, gpu: &PciFunction) -> GpuKind {
    let Some(id) = gpu.id else { return GpuKind::Unknown };
    match (id.vendor, id.device) {
        // Beside whole vendors: Cirrus GD 5446 (QEMU's old default), Amazon's instance console.
        (0x1013, 0x00b8) | (0x1d0f, 0x1111) => GpuKind::Virtual,
        (vendor, _) if VIRTUAL.contains(&vendor) => GpuKind::Virtual,
        // ASPEED; Matrox's G200 family in servers (its older chips are cards); ES1000; `HiSilicon`
        // Hibmc; XGI Z7 and Z9.
        (ASPEED, _)
        | (MATROX, 0x0522..=0x0540)
        | (AMD, 0x515e)
        | (0x19e5, 0x1711)
        | (0x18ca, 0x0020..=0x0021) => GpuKind::Bmc,
        _ if gpu.class.is_without_outputs() => GpuKind::Discrete,
        (INTEL, _) if gpu.address.bus() == 0 => GpuKind::Integrated,
        (AMD, _) if gpu.address.bus() == 0 || shares_slot_with_psp(machine, gpu) => GpuKind::Integrated,
        (INTEL | AMD | NVIDIA, _) => GpuKind::Discrete,
        _ if machine.connectors(gpu.address).any(Connector::is_internal) => GpuKind::Integrated,
        _ => GpuKind::Unknown,
    }
}

/// An APU's slot also holds the processor's security processor (PSP).
fn shares_slot_with_psp(machine: &Machine, gpu: &PciFunction) -> bool {
    machine.slot(gpu.address).any(|other| other.vendor() == AMD_PROCESSOR && other.class.kind() == 0x1080)
}

/// The functions that belong to the same GPU: its audio, USB and UCSI functions.
pub(super) fn companions<'a>(
    machine: &'a Machine,
    gpu: &'a PciFunction,
    kind: GpuKind,
) -> Vec<&'a PciFunction> {
    let in_slot = machine.slot(gpu.address).filter(|other| {
        other.address != gpu.address && other.class.is_companion_kind() && !other.is_virtual_function
    });
    match kind {
        GpuKind::Bmc => Vec::new(),
        // An APU's slot holds functions of the whole processor; only the sound of its displays,
        // which bears the GPU's vendor, is the GPU's.
        GpuKind::Integrated => {
            in_slot.filter(|other| other.class.is_audio() && other.vendor() == gpu.vendor()).collect()
        }
        GpuKind::Discrete | GpuKind::Virtual | GpuKind::Unknown => {
            in_slot.chain(behind_the_same_switch(machine, gpu)).collect()
        }
    }
}

/// An Intel card carries a switch; GPU and sound hang below its ports, each on a bus of its own.
fn behind_the_same_switch<'a>(
    machine: &'a Machine,
    gpu: &'a PciFunction,
) -> impl Iterator<Item = &'a PciFunction> {
    let own = (gpu.vendor() == INTEL).then(|| above_the_ports(gpu)).flatten();
    machine.functions.values().filter(move |other| {
        other.class.is_audio() && other.vendor() == INTEL && own.is_some() && above_the_ports(other) == own
    })
}

/// The way to a switch, its upstream port included, where a function hangs below one of its ports.
fn above_the_ports(function: &PciFunction) -> Option<&[PciAddress]> {
    match function.parents.as_slice() {
        [above @ .., _downstream] if above.len() >= 2 => Some(above),
        _ => None,
    }
}
