//! The IOMMU's state, and what it means for the verdict.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Code, Finding, Notes, Severity, override_name};
use crate::answers::{Override, Passthrough};
use crate::facts::{CpuVendor, Machine};
use crate::text::command_line::{self, Parameter};

/// Whether the IOMMU works. Only groups prove that it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IommuState {
    /// There are groups.
    On,
    /// None yet; a kernel parameter turns it on.
    Pending,
    /// Somebody turned it off on the kernel command line.
    OffOnCmdline,
    /// The firmware has it off.
    OffInFirmware,
    /// This machine has none.
    Absent,
    /// Nothing tells.
    Unknown,
}

/// The state, and how one knows.
pub fn state(machine: &Machine) -> (IommuState, String) {
    let (state, why) = look(machine);
    (state, why.to_owned())
}

/// The state to judge by: where the answers let our parameters replace what turns the IOMMU off,
/// and they can, it comes with the next boot.
pub(super) fn with_answers(
    machine: &Machine,
    parameters: &[String],
    wishes: &Passthrough,
) -> (IommuState, String) {
    if wishes.allows(Override::IommuOffOnCmdline) && replaceable(machine, parameters).is_some() {
        let why = "the kernel command line turns it off, and the answers let our parameter replace that";
        return (IommuState::Pending, why.to_owned());
    }
    state(machine)
}

/// The token of the running command line that turns the IOMMU off, if our parameters replace it
/// and nothing else stands in the way: an Intel processor with its table (DMAR).
fn replaceable<'a>(machine: &'a Machine, parameters: &[String]) -> Option<&'a str> {
    let line = machine.command_line.as_deref()?;
    let token = turned_off_by(line)?;
    let comes_back = machine.iommu.groups == Some(0)
        && without_groups(machine).0 == IommuState::Pending
        && turned_off_by(&command_line::set(line, parameters)).is_none();
    comes_back.then_some(token)
}

fn look(machine: &Machine) -> (IommuState, &'static str) {
    let iommu = &machine.iommu;
    match iommu.groups {
        None => return (IommuState::Unknown, "the list of IOMMU groups cannot be read"),
        Some(1..) => return (IommuState::On, "there are IOMMU groups"),
        Some(0) => {}
    }
    if machine.command_line.as_deref().and_then(turned_off_by).is_some() {
        return (IommuState::OffOnCmdline, "the kernel command line turns it off");
    }
    without_groups(machine)
}

/// The state where there are no groups and no word on the command line.
fn without_groups(machine: &Machine) -> (IommuState, &'static str) {
    let iommu = &machine.iommu;
    let intel = machine.cpu.vendor == CpuVendor::Intel;
    match (machine.cpu.virtualization, machine.cpu.hypervisor, iommu.tables) {
        (_, true, Some(tables)) if tables.dmar && intel => {
            (IommuState::Pending, "this virtual machine has a virtual IOMMU that the kernel does not use yet")
        }
        (_, true, _) => (IommuState::Absent, "this is a virtual machine without a virtual IOMMU"),
        (Some(false), ..) => (IommuState::Absent, "the processor offers no virtualization (no vmx or svm)"),
        (None, ..) => (IommuState::Unknown, "the processor's features cannot be read"),
        (_, _, None) => {
            (IommuState::Unknown, "there are no groups, and the firmware's tables cannot be listed")
        }
        (_, _, Some(tables)) if intel && tables.dmar => {
            (IommuState::Pending, "the firmware offers it (DMAR table) and the kernel was not told to use it")
        }
        (_, _, Some(tables)) if tables.ivrs => (
            IommuState::OffOnCmdline,
            "the firmware offers it (IVRS table) and yet there are no groups: somebody turned it off, or the firmware is at fault",
        ),
        (_, _, Some(_)) => (
            IommuState::OffInFirmware,
            "the processor can, but the firmware offers no IOMMU (no DMAR or IVRS table)",
        ),
    }
}

/// The token of a kernel command line that turns the IOMMU off, if one does.
///
/// Values are lists of flags, and every token counts: only `intel_iommu=on` takes an `off` back
/// (`intel_iommu_setup`, `parse_amd_iommu_options`, x86 `iommu_setup`).
pub(super) fn turned_off_by(line: &str) -> Option<&str> {
    let (mut intel, mut other) = (None, None);
    for token in command_line::tokens(line).take_while(|token| *token != "--") {
        let parameter = Parameter::parse(token);
        let key = parameter.key.replace('-', "_");
        for flag in parameter.value.unwrap_or_default().split(',') {
            match (key.as_str(), flag) {
                ("intel_iommu", "on") => intel = None,
                ("intel_iommu", "off") => intel = Some(token),
                ("amd_iommu", "off") | ("iommu", "off" | "soft") => other = Some(token),
                _ => {}
            }
        }
    }
    intel.or(other)
}

/// What the state means for the verdict. `state` is that of [`with_answers`].
pub(super) fn judge(machine: &Machine, state: IommuState, parameters: &[String], notes: &mut Notes) {
    match state {
        IommuState::On => {}
        IommuState::Pending => {
            if let Some(token) = replaceable(machine, parameters) {
                notes.find(Finding::new(
                    Code::IommuOffOnCmdline,
                    Severity::Warning,
                    format!("{token} turned the IOMMU off; the answers let our parameter replace it"),
                    "somebody had a reason for it; `neuron-provisioner revert` brings it back",
                ));
            }
            notes.find(Finding::new(
                Code::IommuPending,
                Severity::Info,
                "the IOMMU is off now; the parameter intel_iommu=on turns it on at the next boot",
                "reboot once, then the IOMMU groups are judged and the GPU is claimed",
            ));
        }
        IommuState::OffOnCmdline => off_on_command_line(machine, parameters, notes),
        IommuState::OffInFirmware => {
            let switch = match machine.cpu.vendor {
                CpuVendor::Intel => "\"VT-d\" or \"Intel Virtualization Technology for Directed I/O\"",
                CpuVendor::Amd => "\"IOMMU\" or \"AMD-Vi\" (not only \"SVM\"; on some boards under AMD CBS, NBIO)",
                CpuVendor::Other => "\"IOMMU\"",
            };
            notes.find(Finding::new(
                Code::IommuOffInFirmware,
                Severity::Blocker,
                "the firmware has the IOMMU switched off, or the board has none",
                format!("switch on {switch} in the firmware's setup, then try again"),
            ));
        }
        IommuState::Absent if machine.cpu.hypervisor => notes.find(Finding::new(
            Code::GuestInVm,
            Severity::Blocker,
            "this is a virtual machine without a virtual IOMMU; it has nothing of its own to give away",
            "run this on the real machine; a guest can use a paravirtual GPU",
        )),
        IommuState::Absent => notes.find(Finding::new(
            Code::NoVirtualization,
            Severity::Blocker,
            "the processor offers no virtualization",
            "switch on \"VT-x\" or \"SVM\" in the firmware's setup if it is there; else this machine cannot do it",
        )),
        IommuState::Unknown => notes.ask(
            Finding::new(
                Code::IommuUnknown,
                Severity::Warning,
                format!("whether the IOMMU works is not known: {}", look(machine).1),
                "run as root on the machine itself; look for \"DMAR\" or \"AMD-Vi\" in the kernel log and the firmware's setup",
            ),
            "Whether the IOMMU works is not known, and no answer can tell: can you look as root, on the machine itself?".to_owned(),
        ),
    }
}

/// Somebody turned it off: a question, and only sometimes one that the answers can settle.
fn off_on_command_line(machine: &Machine, parameters: &[String], notes: &mut Notes) {
    let find = |hint: String| {
        let message = format!("the IOMMU is off: {}", look(machine).1);
        Finding::new(Code::IommuOffOnCmdline, Severity::Warning, message, hint)
    };
    if let Some(token) = replaceable(machine, parameters) {
        let rule = override_name(Override::IommuOffOnCmdline);
        let hint = format!(
            "somebody had a reason for {token}; find it out, then take it away and reboot, or let our parameter replace it: allow = [\"{rule}\"]"
        );
        let question = format!("The IOMMU was turned off by {token}. May our parameter replace it?");
        notes.ask(find(hint), question);
        return;
    }
    let token = machine.command_line.as_deref().and_then(turned_off_by);
    let (hint, question) = match token {
        Some(token) => (
            format!(
                "no parameter of ours mends that; somebody had a reason for {token}: find it out, take it away, and reboot"
            ),
            format!("Why was the IOMMU turned off by {token}? It has to go first; no answer here turns the IOMMU on."),
        ),
        None => (
            "no parameter of ours mends that; switch \"IOMMU\" or \"AMD-Vi\" on in the firmware's setup, or update the firmware".to_owned(),
            "Why is the IOMMU off? Only the firmware can turn it on; no answer here does.".to_owned(),
        ),
    };
    notes.ask(find(hint), question);
}
