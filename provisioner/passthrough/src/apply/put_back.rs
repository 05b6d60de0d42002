//! Putting a transaction back: one that failed, or that a crash cut off.
//!
//! What it took out of the menus comes back first, and what it put there goes last. Where an image is not
//! built again, half of one may be what boots: then the entry without passthrough stays, with what it
//! starts, and is ours until a later apply or revert has built the image.

use super::command::{RunResult, Runner, command_line};
use super::content::{Content, Fingerprint};
use super::error::{ApplyError, DAMAGED_FAT, Failure};
use super::execute::Course;
use super::journal::{Intent, Record};
use super::ledger::{Rebuild, Unfinished};
use super::order::{self, Turn};
use super::store::Store;
use super::{Operation, Progress, RebuildState, StepOutcome, StepResult};
use crate::id::TargetPath;

/// What became of putting a transaction back.
#[derive(Default)]
struct PutBack {
    /// What is not back.
    left: Vec<TargetPath>,
    not_rebuilt: Vec<Vec<String>>,
    /// What a person has to do, one sentence each.
    remaining: Vec<String>,
    /// What stays for now because of programs that were put off: no surprise to who asked for that.
    put_off: Option<String>,
}

/// The changes of a run, newest first, by when they go back. One path is in one of them: the order of its
/// changes among each other stays.
#[derive(Default)]
struct Changes<'r> {
    /// Gone from the menus.
    come: Vec<&'r Intent>,
    /// What images are built from.
    inputs: Vec<&'r Intent>,
    menus: Vec<&'r Intent>,
    copies: Vec<&'r Intent>,
}

/// The programs that ran, by their turn.
#[derive(Default)]
struct Programs<'r> {
    once: Vec<&'r Rebuild>,
    images: Vec<&'r Rebuild>,
    menus: Vec<&'r Rebuild>,
}

/// A program that did not make its output again.
struct NotMade {
    turn: Turn,
    command: String,
    /// None where it was put off.
    why: Option<String>,
}

impl<'r> Changes<'r> {
    fn of(run: &'r Unfinished, fat: &[TargetPath]) -> Self {
        let was_absent = |intent: &Intent| {
            let first = run.intents.iter().find(|first| first.real == intent.real);
            first.is_some_and(|first| first.before == Fingerprint::Absent)
        };
        let is_absent = |intent: &Intent| {
            let last = run.intents.iter().rfind(|last| last.real == intent.real);
            last.is_some_and(|last| last.after == Fingerprint::Absent)
        };
        let turn = |intent: &Intent| order::of_file(&intent.real, fat, was_absent(intent));
        let mut changes = Self::default();
        for intent in run.intents.iter().rev() {
            let place = match turn(intent) {
                _ if intent.copy => &mut changes.copies,
                Turn::Inputs => &mut changes.inputs,
                _ if is_absent(intent) && !was_absent(intent) => &mut changes.come,
                _ => &mut changes.menus,
            };
            place.push(intent);
        }
        changes.menus.sort_by_key(|intent| turn(intent));
        changes
    }
}

impl<'r> Programs<'r> {
    fn of(run: &'r Unfinished) -> Self {
        let mut programs = Self::default();
        // A program that was deferred has seen nothing of this; what makes an image that goes has nothing to
        // make.
        let goes =
            |rebuild: &Rebuild| run.intents.iter().any(|intent| intent.copy && rebuild.names(&intent.path));
        let ran = run.rebuilds.iter().filter(|rebuild| rebuild.state != RebuildState::Deferred);
        for rebuild in ran.filter(|rebuild| !goes(rebuild)) {
            let place = match order::of_program(rebuild.on_return()) {
                Turn::Once => &mut programs.once,
                Turn::Images => &mut programs.images,
                _ => &mut programs.menus,
            };
            place.push(rebuild);
        }
        programs
    }
}

impl PutBack {
    /// Says what a person has to do about programs that made nothing. `told` is what was said already.
    fn tell(&mut self, not_made: &[NotMade], is_held: bool, told: &str) {
        let files = if self.left.is_empty() { "the files are back, but " } else { "" };
        for NotMade { turn, command, why } in not_made {
            let text = match (is_held, turn) {
                (true, Turn::Images) => format!(
                    "what images are built from is back, and the boot menu with its entry without passthrough \
                     stays as it is until then: mend what made `{command}` fail, then apply or revert again"
                ),
                (true, Turn::MenuBuilds) => format!(
                    "what `{command}` makes may still start the copies for the entry without passthrough, so they \
                     stay: run it once its error is mended, then revert again"
                ),
                _ => format!("{files}what `{command}` makes may be stale: run it once its error is mended"),
            };
            match why {
                Some(why) if told.contains(why) => self.remaining.push(text),
                Some(why) => self.remaining.push(format!("{text} ({why})")),
                None if is_held => {
                    let text = format!("the way back stays until the next apply or revert runs `{command}`");
                    self.put_off.get_or_insert(text);
                }
                None => {}
            }
        }
    }
}

impl Store<'_> {
    /// Puts a transaction back that failed; the error says how that went.
    pub(super) fn give_up(
        &mut self,
        course: &Course,
        run: Unfinished,
        mut steps: Vec<StepOutcome>,
        cause: ApplyError,
        runner: &mut dyn Runner,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> ApplyError {
        progress(Progress::PuttingBack);
        let why = cause.in_full();
        let mut back = self.put_back(run, &why, runner);
        back.remaining.extend(back.put_off.take());
        let put_back = back.remaining.is_empty();
        for step in &mut steps {
            if matches!(step.outcome, StepResult::Done | StepResult::Reverted) {
                step.outcome = if put_back { StepResult::Reverted } else { StepResult::Failed };
            }
        }
        let failed = course.jobs.get(steps.len()).map_or("commit", |job| job.id.as_str()).to_owned();
        if put_back && matches!(cause, ApplyError::Changed { .. }) {
            return cause;
        }
        for job in course.jobs.iter().skip(steps.len()) {
            let result = if job.id == failed { StepResult::Failed } else { StepResult::Unchanged };
            steps.push(StepOutcome::new(&job.id, result));
        }
        ApplyError::Failed(Box::new(Failure {
            step: failed,
            why,
            put_back,
            remaining: back.remaining,
            steps,
        }))
    }

    /// Puts back whatever a crash left half done; nothing when there is nothing.
    ///
    /// [`Self::apply`] and [`Self::revert`] begin with it. Call it before planning, too: a plan
    /// made from a half-written tree would not fit the tree that this leaves.
    pub fn recover(
        &mut self,
        runner: &mut dyn Runner,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), ApplyError> {
        let Some(run) = self.ledger_mut().unfinished.take() else { return Ok(()) };
        progress(Progress::Recovering { plan_id: &run.begin.plan });
        if let Err(error) = self.prepare_state() {
            self.ledger_mut().unfinished = Some(run);
            return Err(error);
        }
        let back = self.put_back(run, "", runner);
        if back.remaining.is_empty() {
            return Ok(());
        }
        Err(ApplyError::Failed(Box::new(Failure {
            step: "recovery".to_owned(),
            why: "an earlier run was cut off".to_owned(),
            put_back: false,
            remaining: back.remaining,
            steps: Vec::new(),
        })))
    }

    /// `told` is what is said of the failure already.
    fn put_back(&mut self, run: Unfinished, told: &str, runner: &mut dyn Runner) -> PutBack {
        let mut back = PutBack::default();
        self.interrupt_mut().putting_back();
        let fat = self.tree().fat_points.clone();
        let (changes, programs) = (Changes::of(&run, &fat), Programs::of(&run));
        self.put_back_all(&changes.come, &mut back);
        let mut not_made = self.build_again(&programs.once, runner, &mut back);
        self.put_back_all(&changes.inputs, &mut back);
        let images = self.build_again(&programs.images, runner, &mut back);
        let before = back.left.len();
        // In a revert that is put back, what is in the menus is the way back itself.
        let may_stay = run.begin.operation == Operation::Apply;
        if may_stay && !images.is_empty() {
            self.hold(&[changes.menus, changes.copies].concat(), &mut back);
            // Whoever takes those away makes the menus without them.
            back.not_rebuilt.extend(programs.menus.iter().map(|rebuild| rebuild.argv.clone()));
        } else {
            not_made.extend(self.put_menus_back(&changes, &programs, may_stay, runner, &mut back));
        }
        let is_held = back.left.len() > before;
        not_made.extend(images);
        back.tell(&not_made, is_held, told);
        self.close(run, &back);
        back
    }

    /// The menus, what makes them, and the copies: until a menu is made anew it may start those.
    fn put_menus_back(
        &mut self,
        changes: &Changes<'_>,
        programs: &Programs<'_>,
        may_stay: bool,
        runner: &mut dyn Runner,
        back: &mut PutBack,
    ) -> Vec<NotMade> {
        self.put_back_all(&changes.menus, back);
        let not_made = self.build_again(&programs.menus, runner, back);
        if may_stay && !not_made.is_empty() {
            self.hold(&changes.copies, back);
        } else {
            self.put_back_all(&changes.copies, back);
        }
        not_made
    }

    /// Tells the journal. Without this record the next run puts the same things back once more, which
    /// changes nothing; so a disk that is too full for it is no reason to report a failure.
    fn close(&mut self, run: Unfinished, back: &PutBack) {
        let record = Record::RolledBack {
            transaction: run.begin.transaction,
            left: back.left.clone(),
            not_rebuilt: back.not_rebuilt.clone(),
        };
        if let Err(error) = self.append(&record) {
            tracing::warn!(error = %error.in_full(), "the journal does not know that everything was put back");
            self.ledger_mut().unfinished = Some(run);
        } else {
            self.ledger_mut().roll_back(run, &back.left, &back.not_rebuilt);
            self.drop_unneeded();
        }
    }

    fn put_back_all(&mut self, intents: &[&Intent], back: &mut PutBack) {
        for intent in intents {
            if let Err(error) = self.put_back_one(intent) {
                self.leave(intent, &error, back);
            }
        }
    }

    /// What could not be put back stays, and a person is told.
    fn leave(&self, intent: &Intent, error: &ApplyError, back: &mut PutBack) {
        let is_fat = || self.tree().keeps(&intent.real).is_ok_and(|keeps| !keeps.mode);
        let text = format!("look at {}: {}", intent.path, error.in_full());
        // Once is enough for all of its files.
        let is_told = || back.remaining.iter().any(|told| told.ends_with(DAMAGED_FAT));
        let is_damaged = error.is_for_read_only() && is_fat() && !is_told();
        back.remaining.push(if is_damaged { format!("{text}; {DAMAGED_FAT}") } else { text });
        back.left.push(intent.real.clone());
    }

    /// Leaves what a run put there, and ours.
    fn hold(&mut self, intents: &[&Intent], back: &mut PutBack) {
        for intent in intents {
            match self.stands(intent) {
                Ok(false) => {}
                Ok(true) => back.left.push(intent.real.clone()),
                Err(error) => self.leave(intent, &error, back),
            }
        }
    }

    /// Whether a change was made before the run ended; what it had only begun goes.
    fn stands(&mut self, intent: &Intent) -> Result<bool, ApplyError> {
        self.remove_temporary(&intent.real, &intent.temporary)?;
        let keeps = self.tree().keeps(&intent.real)?;
        let present = self.tree().read(&intent.real)?.content.fingerprint();
        let stands = !present.same(&intent.before, keeps);
        if !stands {
            self.remove_directories(&intent.directories)?;
        }
        Ok(stands)
    }

    /// Runs these again; gives those that did not do their work.
    fn build_again(
        &mut self,
        programs: &[&Rebuild],
        runner: &mut dyn Runner,
        back: &mut PutBack,
    ) -> Vec<NotMade> {
        let mut not_made = Vec::new();
        for rebuild in programs {
            let argv = rebuild.on_return();
            let why = match runner.run(argv) {
                RunResult::Done => match self.settle() {
                    Ok(()) => continue,
                    Err(error) => Some(error.in_full()),
                },
                RunResult::Deferred { why, .. } | RunResult::Failed { why } => Some(why),
                // It was asked for, and the journal keeps what the next run has to make up for.
                RunResult::Postponed => None,
            };
            back.not_rebuilt.push(rebuild.argv.clone());
            not_made.push(NotMade { turn: order::of_program(argv), command: command_line(argv), why });
        }
        not_made
    }

    fn put_back_one(&mut self, intent: &Intent) -> Result<(), ApplyError> {
        let Intent { path, real, before, after, temporary, directories, copy, .. } = intent;
        self.remove_temporary(real, temporary)?;
        let keeps = self.tree().keeps(real)?;
        let found = self.tree().read(real)?.content;
        let present = found.fingerprint();
        if !present.same(before, keeps) {
            // What derived output of ours holds is nobody's edit.
            let is_derived = *copy && matches!(present, Fingerprint::Regular { .. });
            // A new name of a FAT, whose temporary one was on the disk as well: a repair emptied it.
            let is_emptied = !keeps.mode
                && *before == Fingerprint::Absent
                && matches!(&found, Content::Regular { bytes, .. } if bytes.is_empty());
            if !is_derived && !is_emptied && !present.same(after, keeps) {
                return Err(ApplyError::Changed { path: path.clone() });
            }
            let content = self.view().content_of(before)?;
            if let Err(error) = self.put(real, &content, temporary) {
                // Half a temporary file on a full disk helps nobody; the first error is the one to tell.
                let _ = self.remove_temporary(real, temporary);
                return Err(error);
            }
        }
        self.remove_directories(directories)
    }
}
