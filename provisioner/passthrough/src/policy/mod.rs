//! Judges: facts and answers in, a decision out. Pure and total; nothing here reads or writes.
//!
//! Six rules hold on every machine:
//!
//! 1. The host keeps a GPU that can show a picture; its GPU is never assigned.
//! 2. Only the guest GPU and its companion functions are assigned, and the devices that the answers name
//!    for a virtual machine, unless group peers were allowed. What the host runs from never is.
//! 3. `ready` means that every endpoint of every group that is touched is assigned.
//! 4. Where an id would also name a function that is not assigned, matching is by address.
//! 5. Doubt is a question, never a guess.
//! 6. Explicit answers win over heuristics; over 1 and 3 only with the override's name.

mod assign;
mod choose;
mod devices;
mod doubts;
mod drivers;
mod extras;
mod finding;
mod gpu;
mod host_use;
mod iommu;
mod kind;
pub mod target;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use assign::{Assignment, AssignmentRole, Identity};
pub use devices::devices_of;
pub use drivers::native_drivers;
pub use finding::{Code, Finding, Severity};
pub use gpu::{Gpu, GpuRole, Viability};
pub use host_use::losses;
pub use iommu::{IommuState, state as iommu_state};
pub use kind::GpuKind;

use crate::answers::{Answers, DefaultEntry, Mode, Override, Passthrough, Vgpu};
use crate::facts::{CpuVendor, Machine};
use crate::id::PciAddress;

/// What the kernel command line says to give everything back to the host.
pub const KILL_SWITCH: &str = "neuron.passthrough=off";

/// Whether a kernel command line says so.
pub fn has_kill_switch(line: &str) -> bool {
    line.split_whitespace().any(|token| token == KILL_SWITCH)
}

/// Whether it can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It can be done now.
    Ready,
    /// It can be prepared; groups can be judged only after a reboot.
    Pending,
    /// Somebody has to answer a question first.
    Ask,
    /// It cannot be done, or not safely.
    Refused,
}

/// How vfio-pci is told which functions it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Matching {
    /// By vendor:device, in `vfio.conf`.
    Ids,
    /// By PCI address, by the early hook.
    Address,
}

/// What is to be done, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Whether it can be done.
    pub verdict: Verdict,
    /// When the GPU changes hands.
    pub mode: Mode,
    /// The GPU that the host keeps.
    pub host_gpu: Option<PciAddress>,
    /// The GPUs that go to a guest.
    pub guest_gpus: Vec<PciAddress>,
    /// The functions that vfio-pci gets; empty unless ready or pending.
    pub bind: Vec<PciAddress>,
    /// How it is told.
    #[serde(rename = "match")]
    pub matching: Matching,
    /// What somebody has to answer; only with [`Verdict::Ask`].
    pub question: Option<String>,
    /// What is worth knowing, the worst first.
    pub findings: Vec<Finding>,
}

/// Everything that policy says of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Every GPU with its role and the reasons.
    pub gpus: Vec<Gpu>,
    /// The decision.
    pub decision: Decision,
    /// Every function that would be assigned, with its identity; also where the verdict forbids it.
    pub assignments: Vec<Assignment>,
    /// The parameters that the next boot needs.
    pub parameters: Vec<String>,
    /// Whether the host entry is to boot when nobody chooses (`default_entry = "host"`).
    pub host_is_default: bool,
    /// Whether the first passthrough boot is to be on trial (`trial = true`). Where the host entry is
    /// the default for good there is nothing to try.
    pub trial: bool,
    /// The IOMMU's state.
    pub iommu: IommuState,
    /// How one knows that state.
    pub iommu_why: String,
}

impl Judgement {
    /// The ids of what is assigned, each once, in the order of the addresses.
    pub fn ids(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for assignment in &self.assignments {
            let id = assignment.id.to_string();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }
}

/// What was found wrong or doubtful on the way to a decision.
#[derive(Debug, Default)]
struct Notes {
    findings: Vec<Finding>,
    questions: Vec<String>,
}

impl Notes {
    fn find(&mut self, finding: Finding) {
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// A doubt: a finding that somebody has to answer.
    fn ask(&mut self, finding: Finding, question: String) {
        self.find(finding);
        self.questions.push(question);
    }

    /// Asks, unless the answers set the doubt aside; the finding stays either way.
    fn ask_unless(&mut self, is_allowed: bool, finding: Finding, question: impl Into<String>) {
        if is_allowed {
            self.find(finding);
        } else {
            self.ask(finding, question.into());
        }
    }

    fn is_blocked(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Blocker)
    }
}

/// Judges a machine.
pub fn judge(machine: &Machine, answers: &Answers) -> Judgement {
    let wishes = &answers.passthrough;
    let off = wishes.mode == Mode::Off;
    let own = if off { Vec::new() } else { own_parameters(machine, wishes) };
    let (state, why) = iommu::with_answers(machine, &own, wishes);
    let mut notes = Notes::default();
    let mut gpus = gpu::assemble(machine, state);
    let choice =
        if off { choose::Choice::host_only(&gpus) } else { choose::choose(&gpus, wishes, &mut notes) };
    let devices = if off { Vec::new() } else { devices::resolve(machine, &gpus, answers, &mut notes) };
    let assignments = assign::assign(machine, &gpus, &choice, &devices, wishes, state, &mut notes);
    if !off {
        devices::ports(machine, &devices, answers, &mut notes);
        devices::shared_groups(machine, &gpus, &choice.guests, answers, &mut notes);
        host_use::judge(machine, &assignments, wishes, &mut notes);
        iommu::judge(machine, state, &own, &mut notes);
        extras::judge(machine, choice.host, &own, wishes, &mut notes);
        doubts::of_machine(machine, wishes, &mut notes);
        for guest in gpus.iter().filter(|gpu| choice.guests.contains(&gpu.address)) {
            doubts::of_guest(machine, guest, &gpus, choice.host, wishes, &mut notes);
        }
    }
    let matching = assign::matching(machine, &assignments, wishes.r#match, &mut notes);
    let mode = mode(machine, wishes.mode, &mut notes);
    not_yet(answers, &mut notes);
    let verdict = verdict(state, off, &notes);
    let kept = matches!(verdict, Verdict::Ready | Verdict::Pending);
    gpu::settle(&mut gpus, &choice, &notes.findings);
    notes.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Judgement {
        decision: Decision {
            verdict,
            mode,
            host_gpu: choice.host,
            bind: if kept { assignments.iter().map(|one| one.address).collect() } else { Vec::new() },
            guest_gpus: choice.guests,
            matching,
            question: (verdict == Verdict::Ask).then(|| notes.questions.join(" ")),
            findings: notes.findings,
        },
        gpus,
        parameters: if off { Vec::new() } else { with_extras(own, &wishes.extra_parameters) },
        host_is_default: wishes.default_entry == DefaultEntry::Host,
        trial: wishes.trial && wishes.default_entry == DefaultEntry::Passthrough,
        assignments,
        iommu: state,
        iommu_why: why,
    }
}

fn mode(machine: &Machine, wished: Mode, notes: &mut Notes) -> Mode {
    // Asked for nothing, the kill switch forbids nothing.
    if wished == Mode::Off {
        return Mode::Off;
    }
    if machine.command_line.as_deref().is_some_and(has_kill_switch) {
        notes.find(Finding::kill_switch());
        return Mode::Off;
    }
    match wished {
        Mode::Auto | Mode::AtBoot => Mode::AtBoot,
        Mode::Off => Mode::Off,
        Mode::OnDemand | Mode::Paravirtual => {
            notes.find(Finding::mode_not_available(wished));
            wished
        }
    }
}

fn verdict(state: IommuState, off: bool, notes: &Notes) -> Verdict {
    if notes.is_blocked() {
        Verdict::Refused
    } else if !notes.questions.is_empty() {
        Verdict::Ask
    } else if state == IommuState::Pending && !off {
        Verdict::Pending
    } else {
        Verdict::Ready
    }
}

/// What the answers ask for and nothing acts on yet.
fn not_yet(answers: &Answers, notes: &mut Notes) {
    if answers.vgpu != Vgpu::default() {
        notes.find(Finding::new(
            Code::KeptForLater,
            Severity::Info,
            "the answers hold [vgpu]; it is kept for later, nothing acts on it yet",
            "nothing has to be done; set up by hand what has to be there now",
        ));
    }
}

/// What the kernel needs to be told: on Intel the IOMMU is off unless asked for; AMD's is on by
/// itself, and `amd_iommu=on` is no option that its driver knows.
fn own_parameters(machine: &Machine, wishes: &Passthrough) -> Vec<String> {
    let mut parameters = Vec::new();
    if machine.cpu.vendor == CpuVendor::Intel {
        parameters.push("intel_iommu=on".to_owned());
    }
    if wishes.iommu_pt {
        parameters.push("iommu=pt".to_owned());
    }
    parameters
}

fn with_extras(own: Vec<String>, extras: &[String]) -> Vec<String> {
    let mut parameters = own;
    for extra in extras {
        if !parameters.contains(extra) {
            parameters.push(extra.clone());
        }
    }
    parameters
}

/// The override's name as it stands in an answers file.
fn override_name(rule: Override) -> String {
    serde_json::to_value(rule).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
