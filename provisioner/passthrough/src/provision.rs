//! The whole trip, for whoever starts one: the program's verbs and the installer's job.
//!
//! ```text
//! read machine and target -> judge -> plan -> apply (or refuse, and keep the reason)
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::answers::{Answers, InvalidAnswers};
use crate::apply::{
    Applied, ApplyError, Options, Outcome, Progress, RevertRequest, Reverted, Runner, State, Store,
    Transaction, View,
};
use crate::facts::{FactsError, Machine, Target, boot_id};
use crate::id::TargetPath;
use crate::plan::{self, ANSWERS, Inputs, Ours, OwnFile, Plan, Stage};
use crate::policy::{self, Decision, Judgement, Verdict};
use crate::root::{ReadError, Root};
use crate::step::FileState;

mod merge;
mod refusal;

pub use refusal::{REFUSAL, keep_reason, unreadable};

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
    /// The target could not be written, or not be put back.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// Policy forbids it, or somebody has to answer first; nothing was written but the reason.
    #[error("{}", refusal(.0))]
    Refused(Box<Decision>),
}

fn refusal(decision: &Decision) -> String {
    if let (Some(question), Verdict::Ask) = (&decision.question, decision.verdict) {
        return format!("a question has no answer: {question}");
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
    /// The first passthrough boot is on trial.
    Trial,
    /// It is in place.
    Active,
    /// Files of ours are no longer as they were written, or a run was cut off.
    Drifted,
    /// It was undone.
    Reverted,
}

/// Where a set-up stands, with the evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// In a word.
    pub standing: Standing,
    /// Whether a reboot is still owed.
    pub reboot_needed: bool,
    /// Files of ours that somebody changed.
    pub drifted: Vec<TargetPath>,
    /// Files of ours.
    pub files: Vec<TargetPath>,
    /// Kernel parameters of ours.
    pub parameters: Vec<String>,
    /// Programs that somebody else was to run.
    pub open_rebuilds: Vec<Vec<String>>,
    /// Whether a run was cut off in the middle.
    pub interrupted: bool,
    /// Why the last run did nothing.
    pub refusal: Option<Decision>,
}

/// Finds the answers. A target that is the running system must keep its file to itself.
pub fn answers(target: &Root, source: &Source) -> Result<Answers, ProvisionError> {
    let parse = |name: &str, text: &str| {
        Answers::parse(text).map_err(|problem| ProvisionError::Answers { name: name.to_owned(), problem })
    };
    match source {
        Source::Given(answers) => Ok(answers.as_ref().clone()),
        Source::Text { name, text } => parse(name, text),
        Source::Target => match target.file_state(ANSWERS)? {
            FileState::Regular { bytes, mode, owner } => {
                let running = target.path() == Some(std::path::Path::new("/"));
                if running && (owner.uid != 0 || mode & 0o022 != 0) {
                    return Err(ProvisionError::Untrusted { path: ANSWERS.to_owned() });
                }
                let text = String::from_utf8(bytes).map_err(|_| ProvisionError::Answers {
                    name: ANSWERS.to_owned(),
                    problem: InvalidAnswers {
                        line: None,
                        message: "it is not UTF-8 text".to_owned(),
                        hint: Some("write it anew as plain text".to_owned()),
                    },
                })?;
                parse(ANSWERS, &text)
            }
            FileState::Absent | FileState::Symlink { .. } => Ok(Answers::default()),
        },
    }
}

/// Reads a machine and judges it, without a target.
pub fn inspect(machine: &Root, answers: &Answers) -> Result<(Machine, Judgement), ProvisionError> {
    let machine = Machine::read(machine).map_err(ProvisionError::Machine)?;
    let judgement = policy::judge(&machine, answers);
    Ok((machine, judgement))
}

/// Makes the plan for a target; writes nothing.
pub fn plan(machine: &Root, target: &Root, source: &Source, stage: Stage) -> Result<Planned, ProvisionError> {
    let answers = self::answers(target, source)?;
    let (facts, judgement) = inspect(machine, &answers)?;
    let read = Target::read(target, &facts)?;
    let judgement = policy::target::judge(judgement, &facts, &answers, &read);
    let view = View::open(target)?;
    let ours = ours(&view)?;
    let text = answers_text(&read, source, &answers)?;
    let plan = plan::make(Inputs {
        machine: &facts,
        target: &read,
        judgement: &judgement,
        answers_text: text.as_deref(),
        ours: &ours,
        stage,
    });
    Ok(Planned { machine: facts, answers, judgement, plan })
}

/// The answers file to write: what was handed in; nothing where the target has its own already.
fn answers_text(
    target: &Target,
    source: &Source,
    answers: &Answers,
) -> Result<Option<String>, ProvisionError> {
    match source {
        Source::Text { text, .. } => Ok(Some(text.clone())),
        Source::Target if target.text(ANSWERS).is_some() => Ok(None),
        Source::Target | Source::Given(_) => answers
            .render()
            .map(Some)
            .map_err(|problem| ProvisionError::Answers { name: ANSWERS.to_owned(), problem }),
    }
}

/// What earlier applies left in the target.
fn ours(view: &View<'_>) -> Result<Ours, ProvisionError> {
    let applied = view.status()?;
    let mut ours = Ours {
        tokens: applied.tokens.clone(),
        failed_rebuilds: applied.rebuilds_failed.clone(),
        ..Ours::default()
    };
    for file in &applied.files {
        if let (Some(original), Some(written)) = (view.original(&file.path)?, view.written(&file.path)?) {
            ours.files.insert(file.path.clone(), OwnFile { original, written });
        }
    }
    Ok(ours)
}

/// Carries out a plan in a target, or keeps the reason why not.
pub fn apply(
    machine: &Root,
    target: &Root,
    plan: &Plan,
    options: Options<'_>,
    runner: &mut dyn Runner,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Done, ProvisionError> {
    if !plan.is_allowed() {
        keep_reason(target, &plan.decision);
        return Err(ProvisionError::Refused(Box::new(plan.decision.clone())));
    }
    let now = boot_id(machine);
    let note = Note { verdict: plan.decision.verdict, reboot_needed: plan.reboot_needed };
    let transaction = Transaction {
        plan_id: plan.id.clone(),
        stage: plan.stage.name().to_owned(),
        boot_id: now.clone(),
        steps: plan.steps.clone(),
        tokens: plan.tokens.clone(),
        note: serde_json::to_value(&note).unwrap_or_default(),
    };
    if transaction.steps.is_empty() {
        let view = View::open(target)?;
        let owed = reboot_owed(&view.status()?, now.as_deref());
        return Ok(Done {
            changed: false,
            reboot_needed: owed,
            outcome: with_settled(plan, Outcome::default()),
        });
    }
    let mut store = Store::open(target, options)?;
    let outcome = store.apply(&transaction, runner, progress)?;
    store.remove_state_file(REFUSAL)?;
    let owed = reboot_owed(&store.view().status()?, now.as_deref());
    Ok(Done { changed: outcome.changed, reboot_needed: owed, outcome: with_settled(plan, outcome) })
}

/// Adds the steps that the plan found already done.
fn with_settled(plan: &Plan, mut outcome: Outcome) -> Outcome {
    outcome.steps.extend(plan.settled.iter().map(|id| crate::apply::StepOutcome {
        id: id.clone(),
        outcome: crate::apply::StepResult::Unchanged,
        who: None,
        why: None,
    }));
    outcome
}

/// Whether the boot that is running began before the last change. Where boots cannot be told
/// apart, a reboot is owed.
fn reboot_owed(applied: &Applied, now: Option<&str>) -> bool {
    applied.last.as_ref().is_some_and(|last| {
        let note: Option<Note> = serde_json::from_value(last.note.clone()).ok();
        let same_boot = match (last.boot_id.as_deref(), now) {
            (Some(then), Some(now)) => then == now,
            _ => true,
        };
        same_boot && note.is_none_or(|note| note.reboot_needed)
    })
}

/// Undoes everything that was applied. Of a file that somebody changed since, only what is ours is
/// taken out; a file of which that cannot be done is left alone and named.
pub fn revert(
    machine: &Root,
    target: &Root,
    options: Options<'_>,
    runner: &mut dyn Runner,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Reverted, ProvisionError> {
    let view = View::open(target)?;
    let applied = view.status()?;
    if applied.files.is_empty() && applied.state != State::Interrupted && applied.rebuilds_open.is_empty() {
        return Ok(Reverted { outcome: Outcome::default(), left: Vec::new(), merged: Vec::new() });
    }
    let request = RevertRequest {
        stage: Stage::All.name().to_owned(),
        boot_id: boot_id(machine),
        note: serde_json::to_value(Note { verdict: Verdict::Ready, reboot_needed: true }).unwrap_or_default(),
    };
    let tokens = applied.tokens;
    let mut store = Store::open(target, options)?;
    let reverted =
        store.revert(&request, &mut |file| merge::without_ours(file, &tokens), runner, progress)?;
    store.remove_state_file(REFUSAL)?;
    Ok(reverted)
}

/// Where a target's set-up stands; creates nothing.
pub fn status(machine: &Root, target: &Root) -> Result<Status, ProvisionError> {
    let view = View::open(target)?;
    let applied = view.status()?;
    let refusal = view.read_state_file(REFUSAL)?;
    let owed = applied.state == State::Applied && reboot_owed(&applied, boot_id(machine).as_deref());
    Ok(Status {
        standing: standing(&applied, owed),
        reboot_needed: owed,
        files: applied.files.iter().map(|file| file.path.clone()).collect(),
        drifted: applied.drifted,
        parameters: applied.tokens,
        open_rebuilds: applied.rebuilds_open,
        interrupted: applied.state == State::Interrupted,
        refusal: refusal.and_then(|bytes| serde_json::from_slice(&bytes).ok()),
    })
}

fn standing(applied: &Applied, reboot_owed: bool) -> Standing {
    let verdict = applied.last.as_ref().and_then(|last| {
        let note: Note = serde_json::from_value(last.note.clone()).ok()?;
        Some(note.verdict)
    });
    match applied.state {
        State::Unconfigured => Standing::Unconfigured,
        State::Reverted => Standing::Reverted,
        State::Interrupted => Standing::Drifted,
        State::Applied if !applied.drifted.is_empty() => Standing::Drifted,
        State::Applied if reboot_owed || verdict == Some(Verdict::Pending) => Standing::Pending,
        State::Applied => Standing::Active,
    }
}
