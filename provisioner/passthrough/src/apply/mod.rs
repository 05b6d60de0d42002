//! The writing half: a plan's steps are carried out, or everything is put back.
//!
//! ```text
//! recover -> check every lock -> check rights and room -> journal, save, write -> rebuild -> commit
//! ```
//!
//! What was done is remembered in `/var/lib/neuron-provisioner` *of the target*: `journal.jsonl`
//! and the bytes that files had before. A crash at any moment is finished by the next
//! [`Store::apply`] or [`Store::revert`], which first put back what the crash left half done.
//! Everything is opened with `openat2(RESOLVE_IN_ROOT)`: no symlink leads outside the target.

mod command;
mod content;
mod error;
mod execute;
mod journal;
mod ledger;
mod order;
mod place;
mod put_back;
mod revert;
mod room;
mod saved;
mod settle;
mod store;
mod transaction;
mod write;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use command::{Chroot, Deferred, Postponed, RunResult, Runner};
pub use error::{ApplyError, ErrorKind, Failure};
pub use revert::{ChangedFile, RevertRequest, Reverted};
pub use store::{Notes, Options, Store, View};
pub use write::{Interrupt, Uninterrupted};

use crate::id::TargetPath;
use crate::step::Step;

/// What [`Store::apply`] carries out: it is done whole or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Transaction {
    /// The plan's id.
    pub plan_id: String,
    /// Which part of an installation this is: `files`, `cmdline`, `all` ...
    pub stage: String,
    /// The kernel's `boot_id` at the time, so that "reboot needed" can be told later; none where
    /// the target is not the running system.
    pub boot_id: Option<String>,
    /// What is done, in this order.
    pub steps: Vec<Step>,
    /// All kernel parameters that are ours once this is done, those from before included.
    pub tokens: Vec<String>,
    /// All derived output that is ours once this is done, copied by a step or made by a program: other
    /// such that was ours is taken away.
    pub copies: Vec<TargetPath>,
    /// Whether everything of ours goes: then what is in the menus goes last, and stays for now where an
    /// image could not be built.
    pub retires: bool,
    /// Kept for the caller, never looked into.
    pub note: serde_json::Value,
}

/// What a transaction was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// It carried out a plan.
    Apply,
    /// It undid what earlier ones had done.
    Revert,
}

/// How one step ended (`neuron-result/1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepResult {
    /// It changed what it was to change.
    Done,
    /// There was nothing to change.
    Unchanged,
    /// Somebody else will run it.
    Deferred,
    /// It did not work.
    Failed,
    /// What it had changed is as it was.
    Reverted,
}

/// One step and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StepOutcome {
    /// The step's id.
    pub id: String,
    /// How it ended.
    pub outcome: StepResult,
    /// Who will run it, when it is deferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// What there is to say about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl StepOutcome {
    fn new(id: &str, outcome: StepResult) -> Self {
        Self { id: id.to_owned(), outcome, who: None, why: None }
    }
}

/// How a whole transaction ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Outcome {
    /// Whether anything in the target is different now.
    pub changed: bool,
    /// Every step, in order.
    pub steps: Vec<StepOutcome>,
}

impl Outcome {
    fn of(steps: Vec<StepOutcome>) -> Self {
        let changes = |step: &StepOutcome| matches!(step.outcome, StepResult::Done | StepResult::Reverted);
        Self { changed: steps.iter().any(changes), steps }
    }
}

/// What is going on, for a progress bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress<'a> {
    /// An earlier run was cut off; what it had done is put back first.
    Recovering {
        /// That run's plan.
        plan_id: &'a str,
    },
    /// A step begins.
    Step {
        /// Its number, from 0.
        index: usize,
        /// How many there are.
        total: usize,
        /// Its id.
        id: &'a str,
        /// What it does, in a few words.
        title: &'a str,
    },
    /// A step failed; what was done is put back.
    PuttingBack,
}

/// How a program that makes derived output ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RebuildState {
    /// It ran and was content.
    Done,
    /// Somebody else was to run it; whether they did is not known.
    Deferred,
    /// It has to be run again.
    Failed,
}

/// Where the set-up of a target stands, as far as the journal and the files tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing of ours is there.
    Unconfigured,
    /// Files of ours are in place.
    Applied,
    /// They were, and everything is as before.
    Reverted,
    /// A run was cut off; the next one puts back what it did.
    Interrupted,
}

/// The last transaction that was finished.
#[derive(Debug, Clone, PartialEq)]
pub struct Last {
    /// What it was for.
    pub operation: Operation,
    /// Its plan.
    pub plan_id: String,
    /// Its stage.
    pub stage: String,
    /// The boot during which it ran.
    pub boot_id: Option<String>,
    /// The kernel parameters that it named as ours.
    pub tokens: Vec<String>,
    /// The caller's note.
    pub note: serde_json::Value,
}

/// A file that is ours until a revert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedFile {
    /// As the step named it.
    pub path: TargetPath,
    /// Where that is, symlinks followed.
    pub real: TargetPath,
    /// The step that wrote it last.
    pub step: String,
    /// Whether it is derived output, a copy or made by a program: what it holds is nobody's edit.
    pub is_copy: bool,
    /// Whether somebody else's change lies between two of our writes: what it was before the first
    /// of them is no longer all that is not ours.
    pub is_mixed: bool,
    /// Whether we put it back to what it was, so that it is nobody's but the user's again.
    pub is_taken_back: bool,
}

/// What is applied to a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// Where it stands.
    pub state: State,
    /// Files of ours that are no longer as we wrote them.
    pub drifted: Vec<TargetPath>,
    /// Files of ours that whoever asks may not see.
    pub unseen: Vec<TargetPath>,
    /// The last finished transaction.
    pub last: Option<Last>,
    /// The kernel parameters that the last transaction named as ours.
    pub tokens: Vec<String>,
    /// Programs that somebody else was to run, or that have to be run again.
    pub rebuilds_open: Vec<Vec<String>>,
    /// Those of them that failed here or were put off: whoever comes next runs them.
    pub rebuilds_due: Vec<Vec<String>>,
    /// The files that are ours.
    pub files: Vec<OwnedFile>,
}
