//! Kernel parameters that the answers add, judged before they are written anywhere: none of them
//! may take the host's GPU away, undo what we set, or keep the system from starting.

use super::drivers::{known, switched_off};
use super::iommu::turned_off_by;
use super::{Code, Finding, Notes, Severity};
use crate::answers::Passthrough;
use crate::facts::{Machine, PciFunction};
use crate::id::PciAddress;
use crate::text::command_line::{self, Parameter};
use crate::text::modprobe_conf::normal;

/// The modules without which nothing is claimed.
pub(super) const VFIO: [&str; 4] = ["vfio_pci", "vfio_pci_core", "vfio", "vfio_iommu_type1"];

/// Keys by which udev, dracut, kmod and the kernel keep modules from loading.
pub(super) const BLACKLISTS: [&str; 3] = ["modprobe.blacklist", "module_blacklist", "rd.driver.blacklist"];

/// Keys (with `_`) that say how the system starts.
const STARTS: [&str; 8] =
    ["root", "rootflags", "rootfstype", "init", "rdinit", "initrd", "systemd.unit", "rd.systemd.unit"];

/// Words that systemd takes for a target to start.
const TARGETS: [&str; 10] = ["single", "s", "S", "emergency", "rescue", "1", "2", "3", "4", "5"];

/// Keys (with `_`) that other drivers claim PCI functions by.
const CLAIMS: [&str; 3] = ["vfio_pci.ids", "pci_stub.ids", "xen_pciback.hide"];

/// Keys (with `_`) that may be given several times: every one counts.
const REPEATABLE: [&str; 16] = [
    "acpi_osi",
    "console",
    "crashkernel",
    "dyndbg",
    "earlycon",
    "hugepages",
    "hugepagesz",
    "memmap",
    "modprobe.blacklist",
    "pci",
    "rd.driver.blacklist",
    "rd.driver.pre",
    "systemd.mask",
    "systemd.setenv",
    "systemd.wants",
    "video",
];

/// Why a parameter is refused, and what would be right.
type Refusal = (String, String);

/// Refuses the extra parameters that must not be written. `own` are those that we set ourselves.
pub(super) fn judge(
    machine: &Machine,
    host: Option<PciAddress>,
    own: &[String],
    wishes: &Passthrough,
    notes: &mut Notes,
) {
    let host = host.and_then(|address| machine.functions.get(&address));
    for (index, extra) in wishes.extra_parameters.iter().enumerate() {
        let refusal = of_one(extra, host)
            .or_else(|| against_ours(extra, own))
            .or_else(|| against_another(extra, &wishes.extra_parameters[..index]));
        if let Some((why, hint)) = refusal {
            let message = format!("extra_parameters holds {extra}: {why}");
            notes.find(Finding::new(Code::ParameterRefused, Severity::Blocker, message, hint));
        }
    }
}

/// What is wrong with one parameter by itself.
fn of_one(extra: &str, host: Option<&PciFunction>) -> Option<Refusal> {
    let parameter = Parameter::parse(extra);
    let (key, value) = (normal(parameter.key), parameter.value.unwrap_or_default());
    let says = |why: &str, hint: &str| Some((why.to_owned(), hint.to_owned()));
    if CLAIMS.contains(&key.as_str()) {
        return says(
            "it would claim functions that nobody judged",
            "take it out; name the GPU in guest_gpus, and its functions are claimed",
        );
    }
    if key.starts_with("neuron.") {
        return says(
            "parameters that begin with `neuron.` are set by this program alone",
            "take it out; mode = \"off\" gives nothing away",
        );
    }
    if STARTS.contains(&key.as_str()) || (parameter.value.is_none() && TARGETS.contains(&parameter.key)) {
        return says(
            "it changes what the system starts from",
            "take it out; whoever set the loader up writes it there",
        );
    }
    if key == "nomodeset" {
        return says(
            "the host's GPU would have no driver, and no picture after the hand-over",
            "take it out",
        );
    }
    if key == "amd_iommu" && value.split(',').any(|flag| flag == "on") {
        return says(
            "AMD's IOMMU knows no `on`; it is on unless the firmware has it off",
            "take it out; switch the IOMMU on in the firmware's setup if it is off",
        );
    }
    if turned_off_by(extra).is_some() {
        return says(
            "it turns the IOMMU off, without which nothing can be given away",
            "take it out; mode = \"off\" gives nothing away",
        );
    }
    if key == "nointremap" || (key == "intremap" && value.split(',').any(|flag| flag == "off")) {
        return says("vfio gives nothing away without the remapping of interrupts", "take it out");
    }
    of_modules(parameter, &key, value, host)
}

/// Modules that a parameter keeps away: vfio's own, or a driver of the host's GPU.
fn of_modules(
    parameter: Parameter<'_>,
    key: &str,
    value: &str,
    host: Option<&PciFunction>,
) -> Option<Refusal> {
    let drivers = host.map(host_drivers).unwrap_or_default();
    let lost = |module: &str| {
        let hint = format!("take it out; the host's GPU is driven by {}", drivers.join(" or "));
        Some((format!("the host's GPU would have no picture without {module}"), hint))
    };
    if BLACKLISTS.contains(&key) {
        for module in value.split(',').map(normal) {
            if VFIO.contains(&module.as_str()) {
                let hint = format!("take {module} out of it");
                return Some((format!("nothing is claimed without {module}"), hint));
            }
            if drivers.contains(&module) {
                return lost(&module);
            }
        }
    }
    let off = switched_off(parameter)?;
    if drivers.contains(&off) { lost(&off) } else { None }
}

/// The drivers that the host's GPU may need: the one that it has now, else all that are known.
fn host_drivers(host: &PciFunction) -> Vec<String> {
    let now = host.driver.as_deref().map(normal).filter(|driver| !driver.starts_with("vfio"));
    match now {
        Some(driver) => vec![driver],
        None => known(host.class, host.vendor()).iter().map(|&driver| driver.to_owned()).collect(),
    }
}

/// An extra that undoes a parameter of ours.
fn against_ours(extra: &str, own: &[String]) -> Option<Refusal> {
    let undone = own.iter().find(|own| !command_line::has(&format!("{own} {extra}"), own));
    // `iommu.passthrough=` says the same as `iommu=pt` in another way.
    let other_way = || {
        let parameter = Parameter::parse(extra);
        let same = normal(parameter.key) == "iommu.passthrough" && parameter.value != Some("1");
        own.iter().find(|own| same && *own == "iommu=pt")
    };
    let undone = undone.or_else(other_way)?;
    let hint = if undone == "iommu=pt" {
        "take it out; iommu_pt = false leaves iommu=pt away"
    } else {
        "take it out; passthrough needs ours"
    };
    Some((format!("it undoes {undone}, which is set as well"), hint.to_owned()))
}

/// An extra that says something else than an earlier one of the same key.
fn against_another(extra: &str, earlier: &[String]) -> Option<Refusal> {
    let parameter = Parameter::parse(extra);
    if REPEATABLE.contains(&normal(parameter.key).as_str()) {
        return None;
    }
    let other = earlier.iter().find(|other| {
        parameter.same_key(Parameter::parse(other))
            && !(command_line::has(&format!("{other} {extra}"), other)
                && command_line::has(&format!("{extra} {other}"), extra))
    })?;
    Some((format!("it contradicts {other}, which stands there too"), "keep one of the two".to_owned()))
}
