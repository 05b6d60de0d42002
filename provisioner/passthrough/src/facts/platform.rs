//! The box around the processor: chassis, firmware, Secure Boot, a laptop's multiplexer.

use super::{Cpu, FactsError};
use crate::root::Root;

/// What kind of box it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chassis {
    /// A desktop.
    Desktop,
    /// Something with a panel of its own.
    Laptop,
    /// A server.
    Server,
    /// A virtual machine.
    Vm,
    /// It does not say.
    Unknown,
}

/// What booted the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    /// UEFI.
    Uefi,
    /// A BIOS.
    Bios,
    /// It does not say.
    Unknown,
}

/// Which GPU a laptop's multiplexer gives the panel to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mux {
    /// The discrete one; connector states lie then.
    Discrete,
    /// The integrated one.
    Integrated,
}

/// The chassis by its SMBIOS number (DSP0134, table 17).
pub(super) fn chassis(root: &Root, cpu: Cpu) -> Result<Chassis, FactsError> {
    if cpu.hypervisor {
        return Ok(Chassis::Vm);
    }
    let number = root.attribute("sys/class/dmi/id/chassis_type")?.and_then(|text| text.parse::<u8>().ok());
    Ok(match number {
        Some(3..=7 | 13 | 15 | 16 | 24 | 34..=36) => Chassis::Desktop,
        Some(8..=11 | 14 | 30..=32) => Chassis::Laptop,
        Some(17 | 23 | 25 | 28 | 29) => Chassis::Server,
        _ => Chassis::Unknown,
    })
}

pub(super) fn firmware(root: &Root) -> Result<Firmware, FactsError> {
    if root.exists("sys/firmware/efi")? {
        Ok(Firmware::Uefi)
    } else if root.exists("sys/firmware")? {
        Ok(Firmware::Bios)
    } else {
        Ok(Firmware::Unknown)
    }
}

/// The EFI variable: four bytes of attributes, then the value.
pub(super) fn secure_boot(root: &Root) -> Option<bool> {
    let variable = root.read("sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c");
    variable.ok().flatten().and_then(|bytes| bytes.get(4).map(|value| *value == 1))
}

/// ASUS names it in two places, the second since Linux 6.19; 0 is the discrete GPU.
pub(super) fn mux(root: &Root) -> Result<Option<Mux>, FactsError> {
    for path in [
        "sys/devices/platform/asus-nb-wmi/gpu_mux_mode",
        "sys/class/firmware-attributes/asus-armoury/attributes/gpu_mux_mode/current_value",
    ] {
        match root.attribute(path)?.as_deref() {
            Some("0") => return Ok(Some(Mux::Discrete)),
            Some("1") => return Ok(Some(Mux::Integrated)),
            _ => {}
        }
    }
    Ok(None)
}
