//! The processor: who made it, and whether it can run virtual machines.

use super::FactsError;
use crate::root::Root;

/// What policy needs to know of the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpu {
    /// Who made it.
    pub vendor: CpuVendor,
    /// Whether it offers virtualization (vmx or svm); `None` when it does not tell.
    pub virtualization: Option<bool>,
    /// Whether this is itself a virtual machine.
    pub hypervisor: bool,
}

/// Who made the processor: it decides which IOMMU there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CpuVendor {
    /// Intel: VT-d, off by default on Arch kernels.
    Intel,
    /// AMD (and Hygon): AMD-Vi, on when the firmware has it on.
    Amd,
    /// Somebody else.
    Other,
}

pub(super) fn read(root: &Root) -> Result<Cpu, FactsError> {
    let text = first(root)?;
    let flags = field(&text, "flags");
    let has = |flag: &str| flags.map(|flags| lists(flags, flag));
    let vendor = match field(&text, "vendor_id") {
        Some("GenuineIntel") => CpuVendor::Intel,
        Some("AuthenticAMD" | "HygonGenuine") => CpuVendor::Amd,
        _ => CpuVendor::Other,
    };
    let virtualization = has("vmx").zip(has("svm")).map(|(vmx, svm)| vmx || svm);
    Ok(Cpu { vendor, virtualization, hypervisor: has("hypervisor").unwrap_or(false) })
}

/// Whether the processor can do what this flag names; `None` when it does not tell.
pub(super) fn has_flag(root: &Root, flag: &str) -> Result<Option<bool>, FactsError> {
    Ok(field(&first(root)?, "flags").map(|flags| lists(flags, flag)))
}

/// What `/proc/cpuinfo` says of the first processor: all are alike, and on a big machine the whole file
/// takes the kernel long to make.
fn first(root: &Root) -> Result<String, FactsError> {
    let text = root.read_head("proc/cpuinfo", 8192)?.unwrap_or_default();
    Ok(text.split("\n\n").next().unwrap_or_default().to_owned())
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

fn lists(flags: &str, flag: &str) -> bool {
    flags.split_whitespace().any(|other| other == flag)
}
