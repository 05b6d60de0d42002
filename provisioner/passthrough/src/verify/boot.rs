//! The boot that is running: its command line and the IOMMU.

use super::Finding;
use super::seen::{Boot, Seen, VFIO_PCI, kill_switch, read_error};
use crate::policy::{IommuState, iommu_state};
use crate::text::command_line;

const NO_LINE: &str = "/proc/cmdline cannot be read";

pub(super) fn entry(seen: &Seen<'_>) -> Vec<Finding> {
    let Some(line) = seen.command_line() else { return vec![Finding::unreadable(NO_LINE)] };
    vec![match (seen.boot, kill_switch(line)) {
        (Boot::Host, Some(switch)) => Finding::warn(
            format!("this boot leaves everything with the host: {switch} is on the kernel command line"),
            "for passthrough, reboot and choose the entry without that parameter in the boot menu",
        ),
        _ => Finding::pass("no kill switch: an entry with passthrough was started"),
    }]
}

pub(super) fn parameters(seen: &Seen<'_>) -> Vec<Finding> {
    if let Some(excuse) = seen.excuse() {
        return vec![Finding::not_told(excuse)];
    }
    if seen.recorded.unreadable.is_some() {
        return vec![Finding::without_journal()];
    }
    let Some(line) = seen.command_line() else { return vec![Finding::unreadable(NO_LINE)] };
    let wanted = &seen.recorded.parameters;
    let missing: Vec<&str> =
        wanted.iter().map(String::as_str).filter(|token| !command_line::has(line, token)).collect();
    vec![if missing.is_empty() && wanted.is_empty() {
        Finding::pass("no parameter is ours: those that are needed were there before")
    } else if missing.is_empty() {
        Finding::pass(format!("in force: {}", wanted.join(" ")))
    } else {
        Finding::fail(
            format!("not on this boot's kernel command line: {}", missing.join(" ")),
            "reboot and choose the usual entry; if it is missing there too, see `entries` and `menu`, or another \
             boot loader starts this system",
        )
    }]
}

pub(super) fn iommu(seen: &Seen<'_>) -> Vec<Finding> {
    let machine = match &seen.machine {
        Ok(machine) => machine,
        Err(error) => return vec![Finding::unreadable(error)],
    };
    vec![match machine.iommu.groups {
        Some(0) if seen.excuse().is_some() => {
            Finding::not_told("it is off in this boot, which was not to turn it on")
        }
        Some(0) => {
            let (state, why) = iommu_state(machine);
            let hint = match state {
                IommuState::OffOnCmdline => "find out who put that on the command line, and take it away",
                IommuState::OffInFirmware => {
                    "turn VT-d (Intel) or AMD-Vi/IOMMU (AMD) on in the firmware's setup"
                }
                IommuState::Absent => "this machine cannot isolate devices: `neuron-provisioner revert`",
                IommuState::On | IommuState::Pending | IommuState::Unknown => {
                    "see `parameters`; in the firmware's setup, VT-d or AMD-Vi has to be on"
                }
            };
            Finding::fail(format!("there is no IOMMU group: {why}"), hint)
        }
        Some(groups) => Finding::pass(format!("on: {groups} groups")),
        None => Finding::unreadable("/sys/kernel/iommu_groups cannot be read"),
    }]
}

/// With remapping, the names of interrupt chips in `/proc/interrupts` begin with `IR-`.
pub(super) fn interrupt_remapping(seen: &Seen<'_>) -> Vec<Finding> {
    if seen.excuse().is_some() {
        return vec![Finding::not_told("not asked of this boot")];
    }
    let text = match seen.machine_root.attribute("proc/interrupts") {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => return vec![Finding::unreadable(&read_error(&error))],
    };
    let has = |wanted: &str| text.split_whitespace().any(|word| word.starts_with(wanted));
    vec![if has("IR-") {
        Finding::pass("on")
    } else if has("IO-APIC") || has("PCI-MSI") {
        Finding::warn(
            "off: a guest could raise interrupts of the host's, and vfio refuses to start one",
            "turn x2APIC and interrupt remapping on in the firmware's setup, and leave `intremap=off` away",
        )
    } else {
        Finding::not_told("/proc/interrupts does not say")
    }]
}

/// What vfio-pci holds; `None` when the driver is not there.
pub(super) fn held(seen: &Seen<'_>) -> Result<Option<Vec<String>>, Finding> {
    let read =
        |path: &str| seen.machine_root.list(path).map_err(|error| Finding::unreadable(&read_error(&error)));
    match read("sys/bus/pci/drivers")? {
        None => Err(Finding::unreadable("/sys/bus/pci/drivers is not there")),
        Some(drivers) if drivers.iter().any(|name| name == "vfio-pci") => read(VFIO_PCI),
        Some(_) => Ok(None),
    }
}
