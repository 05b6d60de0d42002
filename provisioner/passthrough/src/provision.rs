//! The whole trip, for whoever starts one: the program's verbs and the installer's job.
//!
//! ```text
//! read machine and target -> judge -> plan -> apply (or refuse, and keep the reason)
//! ```

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::answers::{Answers, InvalidAnswers, Mode};
use crate::apply::{Applied, ApplyError, Outcome, State, View};
use crate::bootloader::Proven;
use crate::boots::{self, Boots};
use crate::facts::{FactsError, Machine, Port, Running, SharedMemory, Target};
use crate::guest::bridge;
use crate::guest::domain::DomainError;
use crate::id::TargetPath;
use crate::libvirt::{ImageError, LibvirtError};
use crate::plan::{self, ANSWERS, Inputs, Ours, OwnFile, Plan, Purpose, Stage};
use crate::policy::{self, Decision, Judgement, Verdict};
use crate::root::{ReadError, Root};
use crate::step::FileState;

mod again;
mod carry_out;
mod define;
mod doctor;
mod domains;
mod first_boot;
mod followed;
mod forget;
mod guest;
mod handed;
mod hugepages;
mod kernel_install;
mod left;
mod looking_glass;
mod refusal;
mod renew;
mod status;
mod trial;
mod undefine;
mod upkeep;

pub use carry_out::{apply, is_cut_off, recover, revert, still_holds};
pub use define::{DefineError, Definition, capabilities, define, prepare_definition};
pub use doctor::doctor;
pub use first_boot::{
    AskedAbout, Asking, Due, FIRST_BOOT, FirstBoot, FirstBootOutcome, WISH, Work, asking, due, keep_wish,
    leave_questions, let_go,
};
pub use forget::{Forgetting, forget, prepare_forgetting};
pub use guest::{domain, gpus as gpus_of, guide, named};
pub use handed::handed;
pub use looking_glass::{GlassState, LookingGlass, MemoryNow, looking_glass};
pub use refusal::{REFUSAL, keep_reason, unreadable};
pub use renew::{Renewed, renew};
pub use status::status;
pub use trial::{asks, trial};
pub use undefine::{Undefinition, defined, prepare_undefinition, undefine};
pub use upkeep::{Upkeep, upkeep};

/// Where the answers come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The target's own file, or the defaults where there is none.
    Target,
    /// A text that somebody handed in, and what it is called in messages.
    Text {
        /// Its name: a path, or where else it came from.
        name: String,
        /// The text.
        text: String,
    },
    /// Answers that are no text yet.
    Given(Box<Answers>),
}

/// Why a trip ended early.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The machine could not be read.
    #[error(transparent)]
    Machine(FactsError),
    /// The target could not be read.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// A file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The answers are not valid.
    #[error("{name}: {problem}")]
    Answers {
        /// The file.
        name: String,
        /// Where in it, and what is wrong.
        problem: InvalidAnswers,
    },
    /// The answers file of the running system could be written by others than root.
    #[error("{path} must belong to root and not be writable by others, since root follows it")]
    Untrusted {
        /// The file.
        path: String,
    },
    /// A run was cut off in this target, and nobody put back yet what it left.
    #[error("an earlier run was cut off in the middle, so what stands in the target is half of a set-up")]
    CutOff,
    /// The record of a trial cannot be understood.
    #[error("/var/lib/neuron-provisioner/trial.json: {0}")]
    Trial(String),
    /// What first boot left behind cannot be understood.
    #[error("/var/lib/neuron-provisioner/first-boot.json: {0}")]
    FirstBoot(String),
    /// A saved plan was made for another machine, or for this one in another state.
    #[error("the machine is no longer what it was when this was planned: {0}")]
    MachineChanged(String),
    /// The target could not be written, or not be put back.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// A virtual machine cannot be made as the answers want it.
    #[error(transparent)]
    Domain(#[from] DomainError),
    /// libvirt did not answer, or refused.
    #[error(transparent)]
    Libvirt(#[from] LibvirtError),
    /// The libvirt that has a domain of ours did not answer.
    #[error("the libvirt at {connect}, which has `{name}`, does not answer: {said}")]
    LibvirtGone {
        /// The domain.
        name: String,
        /// The libvirt.
        connect: String,
        /// What came of asking it.
        said: LibvirtError,
    },
    /// A disk image could not be looked at.
    #[error(transparent)]
    Image(ImageError),
    /// The record of what was defined cannot be understood.
    #[error("/var/lib/neuron-provisioner/domains.json: {0}")]
    Domains(String),
    /// libvirt has a domain of that name that is not as we wrote it.
    #[error("libvirt has a domain `{name}` that {}", if *.is_foreign { "somebody else defined" } else { "was changed since it was defined" })]
    DomainNotAsWritten {
        /// Its name.
        name: String,
        /// Whether it was never ours.
        is_foreign: bool,
    },
    /// The domain that was defined does not bear its name now.
    #[error("{}", other_domain(name, renamed.as_deref()))]
    OtherDomain {
        /// The name it was defined with.
        name: String,
        /// What it is called now; `None` where another one bears its name.
        renamed: Option<String>,
    },
    /// A domain was to be defined, and something on the way did not work.
    #[error(transparent)]
    Define(#[from] DefineError),
    /// Policy forbids it, or somebody has to answer first; nothing was written but the reason.
    #[error("{}", refusal(.0))]
    Refused(Box<Decision>),
}

fn other_domain(name: &str, renamed: Option<&str>) -> String {
    match renamed {
        Some(now) => format!("the domain `{name}` was renamed: it is called `{now}` now"),
        None => format!(
            "the domain `{name}` is another one than the one that was defined: its UUID is not the same"
        ),
    }
}

fn refusal(decision: &Decision) -> String {
    if let (Some(question), Verdict::Ask) = (&decision.question, decision.verdict) {
        return format!("a question has no answer: {question}");
    }
    if decision.verdict == Verdict::Pending {
        return "refused: the IOMMU is off in this boot, and comes on with the next one".to_owned();
    }
    let reasons = decision.findings.iter().filter(|one| one.severity == policy::Severity::Blocker);
    let reasons: Vec<&str> = reasons.map(|finding| finding.message.as_str()).collect();
    format!("refused: {}", reasons.join("; "))
}

/// Everything that was found out on the way to a plan.
#[derive(Debug)]
pub struct Planned {
    /// The machine.
    pub machine: Machine,
    /// The target.
    pub target: Target,
    /// The answers that were followed.
    pub answers: Answers,
    /// What policy says of the machine and the target.
    pub judgement: Judgement,
    /// What is to be done.
    pub plan: Plan,
}

/// How an apply ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Whether anything is different now.
    pub changed: bool,
    /// Whether a reboot is still owed to this or an earlier apply.
    pub reboot_needed: bool,
    /// Every step and how it ended.
    pub outcome: Outcome,
}

/// What the last apply keeps in the journal for later runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    verdict: Verdict,
    reboot_needed: bool,
}

/// Where a set-up stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Nothing of ours is there.
    Unconfigured,
    /// It goes on after a reboot.
    Pending,
    /// Passthrough is on trial: an apply began it, and nobody confirmed it yet.
    Trial,
    /// It is in place.
    Active,
    /// Files of ours are no longer as they were written or have no effect, or a run was cut off.
    Drifted,
    /// It is in place, and the host has the card back all the same: too many boots were never good.
    GivenBack,
    /// It was undone.
    Reverted,
}

/// Where a trial stands, by the boot that is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TrialStage {
    /// The next boot begins it.
    Waits,
    /// This boot is it: passthrough is in force.
    Runs,
    /// The loader started it once, and nobody kept it: the next apply has it started again.
    Over,
    /// Passthrough is the default, and this boot is without it.
    Aside,
}

/// Where a set-up stands, with the evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// In a word.
    pub standing: Standing,
    /// Where the trial stands, while one is on.
    pub trial: Option<TrialStage>,
    /// Whether this boot was told to leave everything with the host: then nothing new can be applied.
    pub runs_without: bool,
    /// Whether a reboot is still owed.
    pub reboot_needed: bool,
    /// Boots with passthrough, and whether they were good.
    pub boots: Boots,
    /// Files of ours that somebody changed.
    pub drifted: Vec<TargetPath>,
    /// Those of them that belong to a bridge which is left as it is.
    pub left: Vec<TargetPath>,
    /// Files of ours.
    pub files: Vec<TargetPath>,
    /// Kernel parameters of ours.
    pub parameters: Vec<String>,
    /// Programs that somebody else was to run.
    pub open_rebuilds: Vec<Vec<String>>,
    /// Those of them that failed or were put off: the next apply or revert runs them.
    pub due_rebuilds: Vec<Vec<String>>,
    /// Whether another run is writing right now.
    pub in_progress: bool,
    /// Whether a run was cut off in the middle.
    pub interrupted: bool,
    /// Whether a revert left something in place: what somebody changed, or the way back while a program
    /// has not run. The next one goes on.
    pub reverting: bool,
    /// What is in place and without effect, in sentences.
    pub not_in_force: Vec<String>,
    /// Why the last run did nothing.
    pub refusal: Option<Decision>,
    /// What first boot came to, where it had something to do.
    pub first_boot: Option<FirstBoot>,
}

/// Finds the answers. A target that is the running system must keep its file to itself.
pub fn answers(target: &Root, source: &Source) -> Result<Answers, ProvisionError> {
    let parse = |name: &str, text: &str| {
        Answers::parse(text).map_err(|problem| ProvisionError::Answers { name: name.to_owned(), problem })
    };
    match source {
        Source::Given(answers) => Ok(answers.as_ref().clone()),
        Source::Text { name, text } => parse(name, text),
        Source::Target => match own_text(target, ANSWERS)? {
            Some(text) => parse(ANSWERS, &text),
            None => Ok(Answers::default()),
        },
    }
}

/// Answers that lie in a system; those of the running one must not have been written by others than root.
fn own_text(system: &Root, path: &str) -> Result<Option<String>, ProvisionError> {
    let wrong = |message: String, hint: &str| ProvisionError::Answers {
        name: path.to_owned(),
        problem: InvalidAnswers { line: None, message, hint: Some(hint.to_owned()) },
    };
    match system.file_state(path)? {
        FileState::Regular { bytes, mode, owner } => {
            let running = system.path() == Some(std::path::Path::new("/"));
            if running && (owner.uid != 0 || mode & 0o022 != 0) {
                return Err(ProvisionError::Untrusted { path: path.to_owned() });
            }
            let text = String::from_utf8(bytes)
                .map_err(|_| wrong("it is not UTF-8 text".to_owned(), "write it anew as plain text"))?;
            Ok(Some(text))
        }
        FileState::Absent => Ok(None),
        FileState::Symlink { points_to } => Err(wrong(
            format!("it is a symlink to {points_to}, and no file is there"),
            "mount what it points to, or put a file there",
        )),
    }
}

/// Reads a machine and judges it. Of a target, where there is one, only what it needs of the machine's
/// disks counts.
pub fn inspect(
    machine: &Root,
    target: Option<&Root>,
    answers: &Answers,
) -> Result<(Machine, Judgement), ProvisionError> {
    let machine = Machine::read_for(machine, target, answers).map_err(ProvisionError::Machine)?;
    let judgement = policy::judge(&machine, answers);
    Ok((machine, judgement))
}

/// Makes the plan for a target; writes nothing. A target in which a run was cut off has to be
/// [recovered](recover) first: a plan for half of a set-up would fit nothing.
pub fn plan(machine: &Root, target: &Root, source: &Source, stage: Stage) -> Result<Planned, ProvisionError> {
    let occasion = Occasion { purpose: Purpose::SetUp, ..Occasion::default() };
    plan_with(machine, target, source, stage, occasion)
}

/// Makes the plan that ends the trial: passthrough becomes the default. Nothing else that the answers
/// say by now is followed; where no trial is on, it changes nothing. A boot that does not show
/// passthrough is a reason to refuse, unless a person wants it though it is `unproven`.
pub fn plan_confirm(machine: &Root, target: &Root, unproven: bool) -> Result<Planned, ProvisionError> {
    let is_given_back = boots::load(target)?.given_back.is_some();
    let in_force = !is_given_back && boots::in_force(machine, target)?.is_some();
    let occasion = Occasion { purpose: Purpose::Confirm { in_force, unproven }, ..Occasion::default() };
    plan_with(machine, target, &Source::Target, Stage::All, occasion)
}

/// Why a plan is made.
#[derive(Debug, Default)]
struct Occasion<'a> {
    /// What it is for.
    purpose: Purpose,
    /// A boot was good: what is known of it.
    renewal: Option<&'a Proven>,
    /// Programs that have to run whatever else changes.
    due: Vec<Vec<String>>,
}

/// The machine and the target, read once, and what was applied.
struct Reading<'r> {
    view: View<'r>,
    applied: Applied,
    answers: Answers,
    facts: Machine,
    judgement: Judgement,
    target: Target,
}

impl<'r> Reading<'r> {
    fn of(machine: &Root, target: &'r Root, source: &Source) -> Result<Self, ProvisionError> {
        let view = View::open(target)?;
        let applied = view.status()?;
        if applied.state == State::Interrupted {
            return Err(if view.is_busy()? { view.busy().into() } else { ProvisionError::CutOff });
        }
        let answers = answers(target, source)?;
        let (facts, judgement) = inspect(machine, Some(target), &answers)?;
        let target = Target::read(target, &facts)?;
        Ok(Self { view, applied, answers, facts, judgement, target })
    }
}

/// The same, on an occasion of its own.
fn plan_with(
    machine: &Root,
    target: &Root,
    source: &Source,
    stage: Stage,
    occasion: Occasion<'_>,
) -> Result<Planned, ProvisionError> {
    let reading = Reading::of(machine, target, source)?;
    plan_from(reading, machine, target, source, stage, occasion)
}

/// The same, from what was read already.
fn plan_from(
    reading: Reading<'_>,
    machine: &Root,
    target: &Root,
    source: &Source,
    stage: Stage,
    occasion: Occasion<'_>,
) -> Result<Planned, ProvisionError> {
    let Reading { view, applied, answers, facts, judgement, target: read } = reading;
    let purpose = match occasion.purpose {
        Purpose::SetUp if stage == Stage::All => again::purpose(machine, target, &view, &applied, &answers)?,
        other => other,
    };
    let running = Running::read(machine, target);
    let memory = SharedMemory::read(machine, target)?;
    let interfaces = if bridge::is_wanted(&answers) {
        Port::all(machine).map_err(ProvisionError::Machine)?
    } else {
        BTreeMap::new()
    };
    let mut ours = ours(&view, &applied)?;
    let pages = hugepages::parameters(machine, &answers, &judgement)?;
    let judgement = policy::target::reserve(judgement, &read, pages, &ours.tokens);
    let judgement = policy::target::judge(judgement, &facts, &answers, &read);
    ours.wants_another_try = matches!(purpose, Purpose::SetUp | Purpose::TryAgain)
        && (boots::load(target)?.given_back.is_some() || again::is_over(machine, target, &applied)?);
    ours.due_rebuilds.extend(occasion.due);
    if judgement.decision.mode == Mode::Off {
        ours.entries_to_make = kernel_install::makes_anew(target, &applied)?;
    }
    let text = answers_text(&read, source, &answers)?;
    let plan = plan::make(Inputs {
        machine: &facts,
        target: &read,
        judgement: &judgement,
        answers: &answers,
        answers_text: text.as_deref(),
        ours: &ours,
        renewal: occasion.renewal,
        stage,
        running: &running,
        memory: &memory,
        interfaces: &interfaces,
        purpose,
    });
    Ok(Planned { machine: facts, target: read, answers, judgement, plan })
}

/// Whether this boot has the kill switch.
fn runs_without(machine: &Root) -> Result<bool, ProvisionError> {
    let line = machine.attribute("proc/cmdline")?.unwrap_or_default();
    Ok(policy::has_kill_switch(&line))
}

/// The answers file to write: what was handed in; nothing where the target has its own already.
fn answers_text(
    target: &Target,
    source: &Source,
    answers: &Answers,
) -> Result<Option<String>, ProvisionError> {
    match source {
        // A new system that is a copy of the medium has it too, and it stays as it is.
        Source::Text { text, .. } if target.text(ANSWERS) == Some(text) => Ok(None),
        Source::Text { text, .. } => Ok(Some(text.clone())),
        Source::Target if target.text(ANSWERS).is_some() => Ok(None),
        Source::Target | Source::Given(_) => answers
            .render()
            .map(Some)
            .map_err(|problem| ProvisionError::Answers { name: ANSWERS.to_owned(), problem }),
    }
}

/// What earlier applies left in the target.
fn ours(view: &View<'_>, applied: &Applied) -> Result<Ours, ProvisionError> {
    let mut ours = Ours {
        tokens: applied.tokens.clone(),
        due_rebuilds: applied.rebuilds_due.clone(),
        ..Ours::default()
    };
    let copies = applied.files.iter().filter(|file| file.is_copy);
    ours.copies = copies.map(|file| file.path.clone()).collect();
    for file in applied.files.iter().filter(|file| !file.is_taken_back && !file.is_copy) {
        if let (Some(original), Some(written)) = (view.original(&file.path)?, view.written(&file.path)?) {
            ours.files.insert(file.path.clone(), OwnFile { original, written, is_mixed: file.is_mixed });
        }
    }
    Ok(ours)
}
