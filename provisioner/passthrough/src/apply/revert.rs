//! Undoing everything that was applied, byte for byte.

use super::command::Runner;
use super::content::Content;
use super::error::ApplyError;
use super::execute::{Change, Course, Ended, Job, OnRebuildFailure, Work};
use super::journal::Begin;
use super::ledger::{Owned, Rebuild};
use super::order::{self, Turn};
use super::store::Store;
use super::{Operation, Outcome, Progress, RebuildState, StepOutcome, StepResult, room};
use crate::id::TargetPath;
use crate::step::FileState;

/// What a revert writes into the journal about itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RevertRequest {
    /// As in [`super::Transaction`].
    pub stage: String,
    /// The boot during which it runs.
    pub boot_id: Option<String>,
    /// Kept for the caller.
    pub note: serde_json::Value,
    /// Programs that nobody recorded, to be run behind everything else: what they make is nobody's
    /// file, and was made from files that go back now.
    pub also: Vec<Vec<String>>,
    /// Files that stay as they are, since others that they work with were changed.
    pub held: Vec<TargetPath>,
}

/// A file that somebody changed after we wrote it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangedFile {
    /// As the step named it.
    pub path: TargetPath,
    /// From before the first of our transactions.
    pub original: FileState,
    /// What we wrote.
    pub written: FileState,
    /// What stands there now.
    pub present: FileState,
}

/// How a revert ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reverted {
    /// The steps.
    pub outcome: Outcome,
    /// Files that somebody else changed since and that were left alone. Their originals are kept,
    /// so the revert can be repeated.
    pub left: Vec<TargetPath>,
    /// Files that somebody else changed since and from which the caller took what was ours.
    pub merged: Vec<TargetPath>,
    /// Whether something of ours stays until what was deferred has run: the next revert takes it away.
    pub waits: bool,
}

/// What a look at every file of ours found out.
#[derive(Default)]
struct Sorted {
    jobs: Vec<Job>,
    forgotten: Vec<TargetPath>,
    left: Vec<TargetPath>,
    merged: Vec<TargetPath>,
}

impl Store<'_> {
    /// Restores what every file was before the first of our transactions, takes away the
    /// directories that we made where they are empty, and runs the recorded programs once more.
    ///
    /// A file that is not as we left it goes to `merge`, which returns what stands there without
    /// what is ours; with `None` it is left alone and named. When a file cannot be written,
    /// everything goes back to how it was applied. When a program fails, the files stay restored
    /// and the error says what to run.
    pub fn revert(
        &mut self,
        request: &RevertRequest,
        merge: &mut dyn FnMut(&ChangedFile) -> Option<FileState>,
        runner: &mut dyn Runner,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Reverted, ApplyError> {
        self.recover(runner, progress)?;
        let Sorted { mut jobs, forgotten, left, merged } = self.sort(&request.held, merge)?;
        let changes: Vec<&Change> = jobs.iter().filter_map(Job::change).collect();
        if !changes.is_empty() {
            room::check(self.tree(), &changes, &self.journal_path()?)?;
        }
        let rebuilds = self.ledger().rebuilds.iter().filter(|rebuild| self.is_to_run(rebuild, &changes));
        let mut programs: Vec<&Rebuild> = Vec::new();
        for rebuild in rebuilds {
            // What takes another one back may have run by itself, in a revert before.
            if !programs.iter().any(|known| known.on_return() == rebuild.on_return()) {
                programs.push(rebuild);
            }
        }
        let programs = programs.into_iter().map(|rebuild| Job {
            id: rebuild.step.clone(),
            title: format!("run {}", rebuild.on_return().first().map_or("", String::as_str)),
            work: Work::Rebuild(rebuild.on_return().to_vec(), Vec::new()),
        });
        let programs: Vec<Job> = programs.collect();
        jobs.extend(programs);
        jobs.extend(request.also.iter().map(|argv| Job {
            id: "made-anew".to_owned(),
            title: format!("run {}", argv.first().map_or("", String::as_str)),
            work: Work::Rebuild(argv.clone(), Vec::new()),
        }));
        let fat = &self.tree().fat_points;
        jobs.sort_by_key(|job| order::of_job(job, fat));
        if jobs.is_empty() && forgotten.is_empty() {
            let mut left = left;
            left.extend(self.take_copies_away());
            return Ok(Reverted { outcome: Outcome::default(), waits: self.waits(&left), left, merged });
        }
        let begin = Begin {
            transaction: self.next_transaction(),
            operation: Operation::Revert,
            plan: self.ledger().last.as_ref().map_or_else(String::new, |last| last.plan.clone()),
            stage: request.stage.clone(),
            boot_id: request.boot_id.clone(),
            tokens: Vec::new(),
            note: request.note.clone(),
        };
        let directories = self.ledger().directories.clone();
        let on_rebuild_failure = OnRebuildFailure::GoOn;
        let course = Course {
            begin,
            jobs,
            makes: Vec::new(),
            forgotten,
            directories,
            on_rebuild_failure,
            retires: true,
        };
        let Ended { mut outcome, is_open } = self.execute(&course, runner, progress)?;
        let mut left = left;
        // A menu that could not be made anew still names the copies: they are the way back then, and
        // stay until a later revert has it made.
        if !is_open {
            left.extend(self.take_copies_away());
        }
        let unchanged = |path: &TargetPath| StepOutcome {
            why: Some(format!("{path} was changed by somebody else since")),
            ..StepOutcome::new(path.as_str(), StepResult::Unchanged)
        };
        outcome.steps.extend(left.iter().map(unchanged));
        Ok(Reverted { outcome, waits: self.waits(&left), left, merged })
    }

    /// Whether anything is still ours that nobody else has changed.
    fn waits(&self, left: &[TargetPath]) -> bool {
        let mut ours = self.ledger().files.values().filter(|owned| owned.copy || !owned.is_taken_back());
        ours.any(|owned| !left.contains(&owned.path))
    }

    /// Whether a program runs (once more) in a revert. Where an earlier one left only the menus, the images
    /// were built then, or left to somebody who says by this one that they are.
    fn is_to_run(&self, rebuild: &Rebuild, changes: &[&Change]) -> bool {
        let fat = &self.tree().fat_points;
        let turn = |change: &&Change| order::of_file(&change.real, fat, change.after == Content::Absent);
        let went_on = self.ledger().last.as_ref().is_some_and(|last| last.operation == Operation::Revert);
        let only_menus = went_on && changes.iter().all(|change| turn(change) > Turn::Images);
        // An image that goes is not built once more.
        let goes = self.ledger().is_for_derived(rebuild);
        let is_built = only_menus && order::of_program(rebuild.on_return()) == Turn::Images;
        !goes && (rebuild.state == RebuildState::Failed || (!changes.is_empty() && !is_built))
    }

    /// When all else is back. Gives the copies that are still there: the next revert tries again.
    fn take_copies_away(&mut self) -> Vec<TargetPath> {
        if self.ledger().copies_but(&[]).is_empty() {
            return Vec::new();
        }
        let gone = self.prepare_state().and_then(|()| self.drop_copies(&[]));
        if let Err(error) = gone {
            tracing::warn!(error = %error.in_full(), "a copy stays");
        }
        let left = self.ledger().copies_but(&[]);
        left.iter().filter_map(|real| self.ledger().files.get(real)).map(|owned| owned.path.clone()).collect()
    }

    fn sort(
        &self,
        held: &[TargetPath],
        merge: &mut dyn FnMut(&ChangedFile) -> Option<FileState>,
    ) -> Result<Sorted, ApplyError> {
        let mut sorted = Sorted::default();
        // Copies go last: what names them has gone by then.
        for (real, owned) in self.ledger().files.iter().filter(|(_, owned)| !owned.copy) {
            if owned.is_taken_back() {
                sorted.forgotten.push(real.clone());
                continue;
            }
            if held.contains(&owned.path) {
                sorted.left.push(owned.path.clone());
                continue;
            }
            let (before, hard_linked) = match self.tree().read(real) {
                Ok(found) => (found.content, found.hard_linked),
                // A directory, a device or a way round by a symlink: somebody's, not ours.
                Err(ApplyError::Refused { .. } | ApplyError::Changed { .. }) => {
                    sorted.left.push(owned.path.clone());
                    continue;
                }
                Err(error) => return Err(error),
            };
            let keeps = self.tree().keeps(real)?;
            let present = before.fingerprint();
            let after = if present.same(&owned.original, keeps) {
                None
            } else if present.same(&owned.written, keeps) && !owned.mixed {
                Some(self.view().content_of(&owned.original)?)
            } else if let Some(merged) = self.merged(owned, &before, merge)? {
                // What is away and stays away holds nothing of anybody's.
                if !matches!((&merged, &before), (Content::Absent, Content::Absent)) {
                    sorted.merged.push(owned.path.clone());
                }
                Some(merged)
            } else {
                sorted.left.push(owned.path.clone());
                continue;
            };
            sorted.forgotten.push(real.clone());
            if let Some(after) = after.filter(|after| *after != before) {
                let (_, directories) = self.tree().missing_directories(real)?;
                let path = owned.path.clone();
                let title = format!("restore {path}");
                let change =
                    Change { path, real: real.clone(), before, after, directories, hard_linked, copy: false };
                sorted.jobs.push(Job { id: owned.step.clone(), title, work: Work::Change(Box::new(change)) });
            }
        }
        Ok(sorted)
    }

    /// The present file without what is ours, if the caller knows what that is.
    fn merged(
        &self,
        owned: &Owned,
        present: &Content,
        merge: &mut dyn FnMut(&ChangedFile) -> Option<FileState>,
    ) -> Result<Option<Content>, ApplyError> {
        if matches!(present, Content::Symlink { .. }) {
            return Ok(None);
        }
        let changed = ChangedFile {
            path: owned.path.clone(),
            original: self.view().content_of(&owned.original)?.state(),
            written: self.view().content_of(&owned.written)?.state(),
            present: present.state(),
        };
        Ok(merge(&changed).map(|state| Content::wanted(&state, present)))
    }
}
