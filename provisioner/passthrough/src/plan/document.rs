//! A plan as a document (`neuron-plan/1`): for people and programs to read, to be saved, and to be
//! applied later as it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use similar::TextDiff;

use super::{Follows, Plan, Stage};
use crate::id::TargetPath;
use crate::policy::{Assignment, Decision, Identity};
use crate::step::{Action, FileState, Step};
use crate::text::digest::sha256;

const SCHEMA: &str = "neuron-plan/1";

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanDocument {
    /// `neuron-plan/1`.
    pub schema: String,
    /// A digest of the steps and of all that goes with them: parameters, stage, decision.
    pub id: String,
    /// Which part of the work.
    pub stage: Stage,
    /// The decision behind it.
    pub decision: Decision,
    /// The functions that are assigned, with their identity.
    pub assignments: Vec<Assignment>,
    /// The GPU that the host keeps, with its identity.
    pub host: Option<Identity>,
    /// The kernel parameters that are ours afterwards.
    pub tokens: Vec<String>,
    /// The copies that are ours afterwards, and the images of the host's that programs make.
    #[serde(default)]
    pub copies: Vec<TargetPath>,
    /// Whether it takes effect only after a reboot.
    pub reboot_needed: bool,
    /// What changes, in this order.
    pub steps: Vec<StepDocument>,
    /// The ids of steps that would change nothing.
    pub settled: Vec<String>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepDocument {
    /// Its stable name.
    pub id: String,
    /// What is done.
    pub title: String,
    /// Why.
    pub because: String,
    /// The change.
    pub action: ActionDocument,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ActionKind {
    /// A file gets new content.
    Write,
    /// A file goes.
    Remove,
    /// A symlink is made.
    Symlink,
    /// A copy of a file is kept.
    Copy,
    /// A program makes derived output anew.
    Rebuild,
}

/// One change. Fields that have no meaning for its kind are null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionDocument {
    /// What is done.
    pub kind: ActionKind,
    /// To which path.
    pub path: Option<TargetPath>,
    /// The permission bits afterwards, in octal.
    pub mode: Option<String>,
    /// The digest of what stands there now; null when nothing does.
    pub before_sha256: Option<String>,
    /// The digest of what stands there afterwards.
    pub after_sha256: Option<String>,
    /// The change as a unified diff.
    pub diff: Option<String>,
    /// The program and its arguments.
    pub argv: Option<Vec<String>>,
    /// What a revert runs instead of it; empty where it runs the same again.
    #[serde(default)]
    pub undo: Vec<String>,
    /// Where a symlink points to, or what is copied.
    pub points_to: Option<String>,
    /// What the program writes.
    pub outputs: Vec<TargetPath>,
    /// What must stand there now.
    #[schemars(with = "Option<serde_json::Value>")]
    pub before: Option<FileState>,
    /// What stands there afterwards.
    #[schemars(with = "Option<serde_json::Value>")]
    pub after: Option<FileState>,
}

/// A text that is no plan, or not the plan that it says it is.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPlan {
    /// It is not JSON of the right shape.
    #[error("it is no plan: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It was written by another version.
    #[error("its schema is `{0}`, this program reads `{SCHEMA}`")]
    Schema(String),
    /// It was changed after it was made.
    #[error("it was changed after it was made: its id is {given}, and its content makes {found}")]
    Changed {
        /// The id that it bears.
        given: String,
        /// The id of its content.
        found: String,
    },
    /// A step lacks what its kind needs.
    #[error("step `{0}` lacks a path, content or program")]
    Incomplete(String),
}

/// The digest of everything in a plan that has an effect or stands for its reason; 16 hexadecimal
/// digits are enough to tell plans apart.
pub(super) fn digest(plan: &Plan) -> String {
    let Plan {
        id: _,
        stage,
        decision,
        assignments,
        host,
        tokens,
        copies,
        steps,
        settled: _,
        reboot_needed,
        follows: _,
    } = plan;
    let covered = (stage, decision, assignments, host, tokens, copies, steps, reboot_needed);
    let text = serde_json::to_string(&covered).unwrap_or_default();
    sha256(&[text.as_bytes()])[..16].to_owned()
}

impl PlanDocument {
    /// Reads a saved plan and checks that it is the one that was made.
    pub fn parse(text: &str) -> Result<Plan, InvalidPlan> {
        let document: Self = serde_json::from_str(text)?;
        if document.schema != SCHEMA {
            return Err(InvalidPlan::Schema(document.schema));
        }
        let steps = document.steps.into_iter().map(StepDocument::into_step).collect::<Result<Vec<_>, _>>()?;
        let plan = Plan {
            id: document.id,
            stage: document.stage,
            decision: document.decision,
            assignments: document.assignments,
            host: document.host,
            tokens: document.tokens,
            copies: document.copies,
            steps,
            settled: document.settled,
            reboot_needed: document.reboot_needed,
            follows: Follows::Unknown,
        };
        let found = digest(&plan);
        if found == plan.id { Ok(plan) } else { Err(InvalidPlan::Changed { given: plan.id, found }) }
    }
}

impl From<&Plan> for PlanDocument {
    fn from(plan: &Plan) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            id: plan.id.clone(),
            stage: plan.stage,
            decision: plan.decision.clone(),
            assignments: plan.assignments.clone(),
            host: plan.host.clone(),
            tokens: plan.tokens.clone(),
            copies: plan.copies.clone(),
            reboot_needed: plan.reboot_needed,
            steps: plan.steps.iter().map(StepDocument::from).collect(),
            settled: plan.settled.clone(),
        }
    }
}

impl From<&Step> for StepDocument {
    fn from(step: &Step) -> Self {
        let action = ActionDocument::from(&step.action);
        Self { id: step.id.clone(), title: step.title.clone(), because: step.because.clone(), action }
    }
}

impl From<&Action> for ActionDocument {
    fn from(action: &Action) -> Self {
        let after = action.after();
        let digest =
            |state: Option<&FileState>| state.and_then(FileState::bytes).map(|bytes| sha256(&[bytes]));
        let mode = match &after {
            Some(FileState::Regular { mode, .. }) => Some(format!("{mode:04o}")),
            _ => None,
        };
        let kind = match action {
            Action::WriteFile { .. } => ActionKind::Write,
            Action::RemoveFile { .. } => ActionKind::Remove,
            Action::MakeSymlink { .. } => ActionKind::Symlink,
            Action::CopyFile { .. } => ActionKind::Copy,
            Action::Rebuild { .. } => ActionKind::Rebuild,
        };
        let (argv, outputs, undo) = match action {
            Action::Rebuild { argv, outputs, undo } => (Some(argv.clone()), outputs.clone(), undo.clone()),
            _ => Default::default(),
        };
        Self {
            kind,
            path: action.path().cloned(),
            mode,
            before_sha256: digest(action.before()),
            after_sha256: digest(after.as_ref()),
            diff: diff(action),
            argv,
            undo,
            points_to: match action {
                Action::MakeSymlink { points_to, .. } => Some(points_to.clone()),
                Action::CopyFile { from, .. } => Some(from.to_string()),
                _ => None,
            },
            outputs,
            before: action.before().cloned(),
            after,
        }
    }
}

/// The change as a unified diff; `None` for what is no text.
fn diff(action: &Action) -> Option<String> {
    let path = action.path()?;
    let after = action.after()?;
    let text = |state: &FileState| match state {
        FileState::Absent => Some(String::new()),
        FileState::Symlink { points_to } => Some(format!("symlink to {points_to}\n")),
        FileState::Regular { .. } => state.text().map(str::to_owned),
    };
    let name = |state: &FileState, side: &str| match state {
        FileState::Absent => "/dev/null".to_owned(),
        _ => format!("{side}{path}"),
    };
    let before = action.before()?;
    let (old, new) = (text(before)?, text(&after)?);
    let diff = TextDiff::from_lines(&old, &new);
    Some(diff.unified_diff().context_radius(3).header(&name(before, "a"), &name(&after, "b")).to_string())
}

impl StepDocument {
    fn into_step(self) -> Result<Step, InvalidPlan> {
        let ActionDocument { kind, path, argv, undo, points_to, outputs, before, after, .. } = self.action;
        let action = match (kind, path, before) {
            (ActionKind::Write, Some(path), Some(before)) => {
                after.map(|after| Action::WriteFile { path, before, after })
            }
            (ActionKind::Remove, Some(path), Some(before)) => Some(Action::RemoveFile { path, before }),
            (ActionKind::Symlink, Some(path), Some(before)) => {
                points_to.map(|points_to| Action::MakeSymlink { path, before, points_to })
            }
            (ActionKind::Copy, Some(path), _) => points_to
                .and_then(|from| from.parse().ok())
                .map(|from| Action::CopyFile { from, path, is_there: false }),
            (ActionKind::Rebuild, ..) => argv.map(|argv| Action::Rebuild { argv, outputs, undo }),
            _ => None,
        };
        let action = action.ok_or_else(|| InvalidPlan::Incomplete(self.id.clone()))?;
        Ok(Step { id: self.id, title: self.title, because: self.because, action })
    }
}
