//! The results as documents (`--json`): versioned, with committed schemas.

use std::collections::BTreeMap;

use neuron_passthrough::apply::StepOutcome;
use neuron_passthrough::facts::{Chassis, CpuVendor, Firmware, Machine};
use neuron_passthrough::id::{GroupId, PciAddress, PciId, TargetPath};
use neuron_passthrough::policy::{Code, Decision, Gpu, GpuKind, GpuRole, IommuState, Judgement, Viability};
use neuron_passthrough::provision::{Standing, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What `inspect` says (`neuron-inspect/1`).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InspectReport {
    schema: String,
    machine: MachineReport,
    iommu: IommuReport,
    pub(crate) gpus: Vec<GpuReport>,
    pub(crate) decision: Decision,
    /// The kernel parameters that the next boot would get.
    parameters: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MachineReport {
    cpu_vendor: String,
    chassis: String,
    virtualization: Option<bool>,
    firmware: String,
    secure_boot: Option<bool>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct IommuReport {
    state: IommuState,
    groups: Option<usize>,
    why: String,
}

/// One GPU.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GpuReport {
    pub(crate) address: PciAddress,
    pub(crate) ids: Option<PciId>,
    pub(crate) name: Option<String>,
    pub(crate) kind: GpuKind,
    pub(crate) role: GpuRole,
    /// Why it has this role, in sentences.
    pub(crate) because: Vec<String>,
    boot_vga: Option<bool>,
    pub(crate) driver: Option<String>,
    pub(crate) iommu_group: Option<GroupId>,
    functions: Vec<PciAddress>,
    group_peers: Vec<PciAddress>,
    pub(crate) viability: Viability,
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
    schema: String,
    pub(crate) changed: bool,
    pub(crate) reboot_needed: bool,
    pub(crate) steps: Vec<StepOutcome>,
    /// Files that somebody else changed and that were left alone (`revert`).
    pub(crate) left: Vec<TargetPath>,
    /// Files that somebody else changed, of which only what was ours was taken out (`revert`).
    pub(crate) merged: Vec<TargetPath>,
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
}

/// What `status` says (`neuron-status/1`).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatusReport {
    schema: String,
    pub(crate) state: Standing,
    pub(crate) reboot_needed: bool,
    pub(crate) interrupted: bool,
    pub(crate) files: Vec<TargetPath>,
    pub(crate) drifted: Vec<TargetPath>,
    pub(crate) parameters: Vec<String>,
    pub(crate) open_rebuilds: Vec<Vec<String>>,
    pub(crate) refusal: Option<Decision>,
}

impl From<Status> for StatusReport {
    fn from(status: Status) -> Self {
        Self {
            schema: "neuron-status/1".to_owned(),
            state: status.standing,
            reboot_needed: status.reboot_needed,
            interrupted: status.interrupted,
            files: status.files,
            drifted: status.drifted,
            parameters: status.parameters,
            open_rebuilds: status.open_rebuilds,
            refusal: status.refusal,
        }
    }
}
