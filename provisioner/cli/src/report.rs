//! The results as documents (`--json`): versioned, with committed schemas.

mod looking_glass;

use std::collections::BTreeMap;

use neuron_passthrough::apply::StepOutcome;
use neuron_passthrough::boots::{Boots, LIMIT};
use neuron_passthrough::facts::{Chassis, CpuVendor, Firmware, Machine};
use neuron_passthrough::guest::domain::{Domain, Problem};
use neuron_passthrough::id::{GroupId, PciAddress, PciId, TargetPath};
use neuron_passthrough::policy::{Code, Decision, Gpu, GpuKind, GpuRole, IommuState, Judgement, Viability};
use neuron_passthrough::provision::{FirstBoot, FirstBootOutcome, Standing, Status, TrialStage};
use neuron_passthrough::verify::Check;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use looking_glass::{GlassReport, MemoryReport};

/// What `inspect` says (`neuron-inspect/1`).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InspectReport {
    /// `neuron-inspect/1`.
    schema: String,
    /// The box.
    machine: MachineReport,
    /// The IOMMU.
    iommu: IommuReport,
    /// Every GPU, by address.
    pub(crate) gpus: Vec<GpuReport>,
    /// What would be given away, and why or why not.
    pub(crate) decision: Decision,
    /// The kernel parameters that the next boot would get.
    parameters: Vec<String>,
}

/// The box. What it does not tell is null or `unknown`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MachineReport {
    /// `intel`, `amd` or `other`.
    cpu_vendor: String,
    /// `desktop`, `laptop`, `server`, `vm` or `unknown`.
    chassis: String,
    /// Whether the processor can run virtual machines.
    virtualization: Option<bool>,
    /// `uefi`, `bios` or `unknown`.
    firmware: String,
    /// Whether Secure Boot is on.
    secure_boot: Option<bool>,
}

/// The IOMMU.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct IommuReport {
    /// Whether it works.
    state: IommuState,
    /// How many IOMMU groups there are.
    groups: Option<usize>,
    /// How one knows, in a sentence.
    why: String,
}

/// One GPU.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GpuReport {
    /// Its PCI address, lower case, with the domain as the kernel writes it.
    pub(crate) address: PciAddress,
    /// Vendor and device, four hexadecimal digits each.
    pub(crate) ids: Option<PciId>,
    /// What people call it, from this system's `pci.ids`.
    pub(crate) name: Option<String>,
    /// What kind of GPU it is.
    pub(crate) kind: GpuKind,
    /// Who gets it.
    pub(crate) role: GpuRole,
    /// Why it has this role, in sentences.
    pub(crate) because: Vec<String>,
    /// Whether the firmware shows its picture here.
    boot_vga: Option<bool>,
    /// The driver that has it now.
    pub(crate) driver: Option<String>,
    /// Its IOMMU group.
    pub(crate) iommu_group: Option<GroupId>,
    /// The GPU itself and its companion functions.
    functions: Vec<PciAddress>,
    /// Foreign endpoints in the groups of these.
    pub(crate) group_peers: Vec<PciAddress>,
    /// Whether it could be given away, as far as its group is concerned.
    pub(crate) viability: Viability,
    /// Codes of the findings about it.
    findings: Vec<Code>,
}

impl InspectReport {
    pub(crate) fn new(machine: &Machine, judgement: Judgement, names: &BTreeMap<PciId, String>) -> Self {
        let gpus = judgement.gpus.into_iter().map(|gpu| GpuReport::new(gpu, names)).collect();
        Self {
            schema: "neuron-inspect/1".to_owned(),
            machine: MachineReport {
                cpu_vendor: match machine.cpu.vendor {
                    CpuVendor::Intel => "intel",
                    CpuVendor::Amd => "amd",
                    CpuVendor::Other => "other",
                }
                .to_owned(),
                chassis: match machine.chassis {
                    Chassis::Desktop => "desktop",
                    Chassis::Laptop => "laptop",
                    Chassis::Server => "server",
                    Chassis::Vm => "vm",
                    Chassis::Unknown => "unknown",
                }
                .to_owned(),
                virtualization: machine.cpu.virtualization,
                firmware: match machine.firmware {
                    Firmware::Uefi => "uefi",
                    Firmware::Bios => "bios",
                    Firmware::Unknown => "unknown",
                }
                .to_owned(),
                secure_boot: machine.secure_boot,
            },
            iommu: IommuReport {
                state: judgement.iommu,
                groups: machine.iommu.groups,
                why: judgement.iommu_why,
            },
            gpus,
            decision: judgement.decision,
            parameters: judgement.parameters,
        }
    }
}

impl GpuReport {
    fn new(gpu: Gpu, names: &BTreeMap<PciId, String>) -> Self {
        Self {
            name: gpu.id.and_then(|id| names.get(&id).cloned()),
            address: gpu.address,
            ids: gpu.id,
            kind: gpu.kind,
            role: gpu.role,
            because: gpu.because,
            boot_vga: gpu.boot_vga,
            driver: gpu.driver,
            iommu_group: gpu.group,
            functions: gpu.functions,
            group_peers: gpu.group_peers,
            viability: gpu.viability,
            findings: gpu.findings,
        }
    }
}

/// What `apply` and `revert` say (`neuron-result/1`).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResultReport {
    /// `neuron-result/1`.
    schema: String,
    /// Whether anything in the target is different now.
    pub(crate) changed: bool,
    /// Whether a reboot is owed.
    pub(crate) reboot_needed: bool,
    /// Every step and how it ended.
    pub(crate) steps: Vec<StepOutcome>,
    /// Files that somebody else changed and that were left alone (`revert`).
    pub(crate) left: Vec<TargetPath>,
    /// Files that somebody else changed, of which only what was ours was taken out (`revert`).
    pub(crate) merged: Vec<TargetPath>,
    /// Why it failed; null when it did not.
    pub(crate) error: Option<String>,
}

impl ResultReport {
    pub(crate) fn new(changed: bool, reboot_needed: bool, steps: Vec<StepOutcome>) -> Self {
        Self {
            schema: "neuron-result/1".to_owned(),
            changed,
            reboot_needed,
            steps,
            left: Vec::new(),
            merged: Vec::new(),
            error: None,
        }
    }

    /// Of a run that ended early.
    pub(crate) fn failed(error: String, steps: Vec<StepOutcome>) -> Self {
        Self { error: Some(error), ..Self::new(false, false, steps) }
    }
}

/// What `vm render` says (`neuron-domain/1`).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DomainReport {
    /// `neuron-domain/1`.
    schema: String,
    /// The domain's name.
    name: String,
    /// The domain, for `virsh define`.
    xml: String,
    /// What is worth knowing of it.
    notes: Vec<Problem>,
}

impl From<Domain> for DomainReport {
    fn from(domain: Domain) -> Self {
        let Domain { name, xml, notes, .. } = domain;
        Self { schema: "neuron-domain/1".to_owned(), name, xml, notes }
    }
}

/// What `vm guide` says (`neuron-guide/1`).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GuideReport {
    /// `neuron-guide/1`.
    schema: String,
    /// The virtual machine's name.
    name: String,
    /// What has to be done inside it, as Markdown.
    markdown: String,
}

impl GuideReport {
    pub(crate) fn new(name: String, markdown: String) -> Self {
        Self { schema: "neuron-guide/1".to_owned(), name, markdown }
    }
}

/// What `status` says (`neuron-status/1`).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatusReport {
    /// `neuron-status/1`.
    schema: String,
    /// In a word.
    pub(crate) state: Standing,
    /// Where the trial stands; null while none is on.
    pub(crate) trial: Option<TrialStage>,
    /// Whether this boot was told to leave everything with the host: then nothing new can be applied.
    pub(crate) runs_without: bool,
    /// Whether a reboot is owed.
    pub(crate) reboot_needed: bool,
    /// Whether a run was cut off in the middle.
    pub(crate) interrupted: bool,
    /// Whether a revert left something in place; the next one goes on.
    pub(crate) reverting: bool,
    /// Files of ours.
    pub(crate) files: Vec<TargetPath>,
    /// Files of ours that somebody changed.
    pub(crate) drifted: Vec<TargetPath>,
    /// Those of them that belong to a bridge which is left as it is.
    pub(crate) left: Vec<TargetPath>,
    /// Kernel parameters of ours.
    pub(crate) parameters: Vec<String>,
    /// What is in place and without effect, in sentences.
    pub(crate) not_in_force: Vec<String>,
    /// Programs that somebody else was to run, with their arguments.
    pub(crate) open_rebuilds: Vec<Vec<String>>,
    /// Those of them that failed or were put off: the next apply or revert runs them.
    pub(crate) due_rebuilds: Vec<Vec<String>>,
    /// Whether another run is writing right now.
    pub(crate) in_progress: bool,
    /// Boots with passthrough in force, and whether they were good.
    pub(crate) boots: BootsReport,
    /// Why the last run did nothing.
    pub(crate) refusal: Option<Decision>,
    /// What first boot came to; null where it had nothing to do.
    pub(crate) first_boot: Option<FirstBootReport>,
}

/// What first boot came to.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FirstBootReport {
    /// How it ended.
    pub(crate) outcome: FirstBootOutcome,
    /// What a person has to know of it; empty when there is nothing.
    pub(crate) message: String,
}

impl From<FirstBoot> for FirstBootReport {
    fn from(record: FirstBoot) -> Self {
        Self { outcome: record.outcome, message: record.message }
    }
}

/// What was counted of boots with passthrough in force.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BootsReport {
    /// How many in a row were not good (yet); the one that is running counts.
    pub(crate) unproven: usize,
    /// How many may be.
    pub(crate) limit: usize,
    /// Why the host has the card back; null while it has not.
    pub(crate) given_back: Option<String>,
}

impl From<Boots> for BootsReport {
    fn from(boots: Boots) -> Self {
        Self {
            unproven: boots.unproven.len(),
            limit: LIMIT,
            given_back: boots.given_back.map(|given| given.because),
        }
    }
}

impl From<Status> for StatusReport {
    fn from(status: Status) -> Self {
        Self {
            schema: "neuron-status/1".to_owned(),
            state: status.standing,
            trial: status.trial,
            runs_without: status.runs_without,
            reboot_needed: status.reboot_needed,
            interrupted: status.interrupted,
            reverting: status.reverting,
            files: status.files,
            drifted: status.drifted,
            left: status.left,
            parameters: status.parameters,
            not_in_force: status.not_in_force,
            open_rebuilds: status.open_rebuilds,
            due_rebuilds: status.due_rebuilds,
            in_progress: status.in_progress,
            boots: status.boots.into(),
            refusal: status.refusal,
            first_boot: status.first_boot.map(FirstBootReport::from),
        }
    }
}

/// What `doctor` says (`neuron-doctor/1`).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DoctorReport {
    /// `neuron-doctor/1`.
    schema: String,
    /// Everything that was looked at, in the order of a report.
    pub(crate) checks: Vec<Check>,
}

impl From<Vec<Check>> for DoctorReport {
    fn from(checks: Vec<Check>) -> Self {
        Self { schema: "neuron-doctor/1".to_owned(), checks }
    }
}

/// What `demo` says (`neuron-demo/1`).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DemoReport {
    /// `neuron-demo/1`.
    schema: String,
    /// The machine that was looked at.
    machine: String,
    /// What was done, in this order.
    steps: Vec<DemoStep>,
    /// How many files the target has.
    files: usize,
    /// Whether every one of them is the same again after the revert: bytes, mode and owner.
    identical: bool,
    /// The folder, when it was kept.
    folder: Option<String>,
}

/// One step of the demo.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DemoStep {
    /// The verb that does it.
    verb: String,
    /// The exit code that this verb would end with.
    exit_code: u8,
    /// The document that this verb prints with `--json`.
    result: serde_json::Value,
}

impl DemoReport {
    pub(crate) fn new(
        machine: &str,
        steps: Vec<DemoStep>,
        files: usize,
        identical: bool,
        folder: Option<String>,
    ) -> Self {
        let (schema, machine) = ("neuron-demo/1".to_owned(), machine.to_owned());
        Self { schema, machine, steps, files, identical, folder }
    }
}

impl DemoStep {
    pub(crate) fn new(verb: &str, exit_code: u8, result: serde_json::Value) -> Self {
        Self { verb: verb.to_owned(), exit_code, result }
    }
}
