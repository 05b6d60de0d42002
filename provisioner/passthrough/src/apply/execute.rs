//! Carrying out a transaction.

use super::command::{RunResult, Runner, command_line};
use super::content::{Content, Fingerprint, Keeps};
use super::error::{ApplyError, Failure};
use super::journal::{Begin, Intent, Record};
use super::ledger::{Rebuild, Unfinished};
use super::order::{self, Turn};
use super::place::Last;
use super::store::Store;
use super::{Operation, Outcome, Progress, RebuildState, StepOutcome, StepResult};
use crate::id::TargetPath;

/// What stands for a step where an image of ours is made by a program.
const MADE: &str = "made";

/// One path and what becomes of it.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) path: TargetPath,
    pub(super) real: TargetPath,
    pub(super) before: Content,
    pub(super) after: Content,
    /// Directories that are missing for it, outermost first.
    pub(super) directories: Vec<TargetPath>,
    pub(super) hard_linked: bool,
    /// A copy of derived output: its bytes are not saved.
    pub(super) copy: bool,
}

/// One step, ready to be carried out.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) work: Work,
}

#[derive(Debug)]
pub(super) enum Work {
    Nothing,
    Change(Box<Change>),
    /// A program, and what is run instead of it when the files go back (empty: the same).
    Rebuild(Vec<String>, Vec<String>),
}

impl Job {
    pub(super) fn change(&self) -> Option<&Change> {
        match &self.work {
            Work::Change(change) => Some(change),
            Work::Nothing | Work::Rebuild(..) => None,
        }
    }
}

/// What a failing rebuild does to the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnRebuildFailure {
    /// They go back: half of a set-up is worse than none.
    PutBack,
    /// They stay: a revert must not depend on a generator that works.
    GoOn,
}

/// A whole transaction, ready to be carried out.
pub(super) struct Course {
    pub(super) begin: Begin,
    pub(super) jobs: Vec<Job>,
    /// Images of ours that its programs make, now or whenever somebody runs them.
    pub(super) makes: Vec<TargetPath>,
    /// Paths that are no longer ours afterwards.
    pub(super) forgotten: Vec<TargetPath>,
    /// Directories to take away, once the files are done, where they are empty.
    pub(super) directories: Vec<TargetPath>,
    pub(super) on_rebuild_failure: OnRebuildFailure,
    /// Everything of ours goes: where an image could not be built, the menus stay as they are.
    pub(super) retires: bool,
}

/// What was done, and what was not done of what was to be.
#[derive(Default)]
struct Progressed {
    steps: Vec<StepOutcome>,
    /// The program that has to run first, as a person would type it.
    awaited: Option<String>,
    /// The files that stay for now.
    held: Vec<TargetPath>,
    /// Whether something is perhaps not made that names what goes.
    is_open: bool,
}

/// How a course ended.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    /// Whether a menu or an image may still name the copies.
    pub(super) is_open: bool,
}

impl Store<'_> {
    pub(super) fn execute(
        &mut self,
        course: &Course,
        runner: &mut dyn Runner,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Ended, ApplyError> {
        self.prepare_state()?;
        self.append(&Record::Begin(course.begin.clone()))?;
        // Had an earlier run been put back without a record of it, this one now stands in its place.
        self.ledger_mut().unfinished = None;
        let mut run = Unfinished::new(course.begin.clone());
        let mut so_far = Progressed::default();
        if let Err(cause) = self.carry_out(course, &mut run, &mut so_far, runner, progress) {
            return Err(self.give_up(course, run, so_far.steps, cause, runner, progress));
        }
        let is_partial = !so_far.held.is_empty();
        self.ledger_mut().commit(run, &forgotten(course, &so_far.held), is_partial);
        self.drop_unneeded();
        still_to_run(course, so_far)
    }

    /// Every step, then the commit. The step that failed is the one after the last outcome.
    fn carry_out(
        &mut self,
        course: &Course,
        run: &mut Unfinished,
        so_far: &mut Progressed,
        runner: &mut dyn Runner,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), ApplyError> {
        for path in &course.makes {
            self.expect(run, path)?;
        }
        let total = course.jobs.len();
        for (index, job) in course.jobs.iter().enumerate() {
            if let Some(command) = so_far.awaited.as_ref().filter(|_| self.turn(job) > Turn::Images) {
                let why = Some(format!("the way back stays until `{command}` has run"));
                so_far.steps.push(StepOutcome { why, ..StepOutcome::new(&job.id, StepResult::Unchanged) });
                so_far.held.extend(job.change().map(|change| change.real.clone()));
                continue;
            }
            progress(Progress::Step { index, total, id: &job.id, title: &job.title });
            let outcome = match &job.work {
                Work::Nothing => StepOutcome::new(&job.id, StepResult::Unchanged),
                Work::Change(change) => self.change_one(run, &job.id, change)?,
                Work::Rebuild(argv, undo) => {
                    // Derived output is made from the tree as it will be.
                    self.remove_directories(&course.directories)?;
                    let (outcome, state) = self.rebuild(course, run, &job.id, (argv, undo), runner)?;
                    let is_open = self.is_open(argv, state);
                    so_far.is_open |= is_open;
                    if course.retires && is_open && self.turn(job) == Turn::Images {
                        so_far.awaited.get_or_insert_with(|| command_line(argv));
                    }
                    outcome
                }
            };
            so_far.steps.push(outcome);
        }
        self.remove_directories(&course.directories)?;
        let transaction = course.begin.transaction;
        let forgotten = forgotten(course, &so_far.held);
        self.append(&Record::Commit { transaction, forgotten, partial: !so_far.held.is_empty() })
    }

    fn turn(&self, job: &Job) -> Turn {
        order::of_job(job, &self.tree().fat_points)
    }

    /// Whether what a program makes is perhaps still what an apply had it make. What was left to
    /// somebody else then, too, is theirs: nobody here ever knew what it made.
    fn is_open(&self, argv: &[String], state: RebuildState) -> bool {
        let known =
            self.ledger().rebuilds.iter().find(|known| known.on_return() == argv || known.argv == argv);
        let was_left = known.is_some_and(|known| known.state == RebuildState::Deferred);
        match state {
            RebuildState::Done => false,
            RebuildState::Deferred => !was_left,
            RebuildState::Failed => true,
        }
    }

    fn change_one(
        &mut self,
        run: &mut Unfinished,
        step: &str,
        change: &Change,
    ) -> Result<StepOutcome, ApplyError> {
        let Change { path, real, before, after, .. } = change;
        let keeps = self.tree().keeps(real)?;
        if !self.tree().read(real)?.content.fingerprint().same(&before.fingerprint(), keeps) {
            return Err(ApplyError::Changed { path: path.clone() });
        }
        let intent = Intent {
            transaction: run.begin.transaction,
            step: step.to_owned(),
            path: path.clone(),
            real: real.clone(),
            before: before.fingerprint(),
            after: after.fingerprint(),
            temporary: temporary(real.file_name(), run.begin.transaction, run.intents.len()),
            directories: change.directories.clone(),
            copy: change.copy,
            foreign_edit: self.edited_since(run, real, &before.fingerprint(), keeps),
        };
        let write = ApplyError::io("save", path.as_str());
        if !change.copy {
            self.keep([before, after]).map_err(write)?;
        }
        self.append(&Record::Intent(intent.clone()))?;
        run.intents.push(intent.clone());
        self.put(real, after, &intent.temporary)?;
        self.append(&Record::Done { transaction: run.begin.transaction, step: step.to_owned() })?;
        let result = match run.begin.operation {
            Operation::Apply => StepResult::Done,
            Operation::Revert => StepResult::Reverted,
        };
        let mut outcome = StepOutcome::new(step, result);
        if change.hard_linked {
            outcome.why = Some(format!("{path} had other names (hard links): those keep the old content"));
        }
        Ok(outcome)
    }

    /// Makes an image ours before a program makes it: whoever runs that, and whenever, it goes with us.
    fn expect(&mut self, run: &mut Unfinished, path: &TargetPath) -> Result<(), ApplyError> {
        let real = self.tree().resolve(path, Last::Keep)?;
        let (_, directories) = self.tree().missing_directories(&real)?;
        let intent = Intent {
            transaction: run.begin.transaction,
            step: MADE.to_owned(),
            path: path.clone(),
            temporary: temporary(real.file_name(), run.begin.transaction, run.intents.len()),
            real,
            before: Fingerprint::Absent,
            after: Fingerprint::Absent,
            directories,
            copy: true,
            foreign_edit: false,
        };
        self.append(&Record::Intent(intent.clone()))?;
        run.intents.push(intent);
        Ok(())
    }

    /// Whether the file is ours, but not as we left it.
    fn edited_since(&self, run: &Unfinished, real: &TargetPath, present: &Fingerprint, keeps: Keeps) -> bool {
        let in_this_run = run.intents.iter().rev().find(|intent| intent.real == *real);
        let owned = self.ledger().files.get(real).filter(|owned| !owned.is_taken_back());
        let left = in_this_run.map(|intent| &intent.after).or(owned.map(|owned| &owned.written));
        left.is_some_and(|left| !left.same(present, keeps))
    }

    fn rebuild(
        &mut self,
        course: &Course,
        run: &mut Unfinished,
        step: &str,
        (argv, undo): (&[String], &[String]),
        runner: &mut dyn Runner,
    ) -> Result<(StepOutcome, RebuildState), ApplyError> {
        let transaction = run.begin.transaction;
        let (step, argv, undo) = (step.to_owned(), argv.to_vec(), undo.to_vec());
        let rebuild = |state| Rebuild { step: step.clone(), argv: argv.clone(), undo: undo.clone(), state };
        self.append(&Record::RebuildIntent {
            transaction,
            step: step.clone(),
            argv: argv.clone(),
            undo: undo.clone(),
        })?;
        run.rebuilt(rebuild(RebuildState::Failed));
        let mut outcome = StepOutcome::new(&step, StepResult::Done);
        let state = match runner.run(&argv) {
            RunResult::Done => {
                self.settle()?;
                RebuildState::Done
            }
            RunResult::Deferred { who, why } => {
                outcome =
                    StepOutcome { outcome: StepResult::Deferred, who: Some(who), why: Some(why), ..outcome };
                RebuildState::Deferred
            }
            RunResult::Postponed => {
                let why = format!("run `{}`, or this program again", command_line(&argv));
                outcome = StepOutcome {
                    outcome: StepResult::Deferred,
                    who: Some("you".to_owned()),
                    why: Some(why),
                    ..outcome
                };
                RebuildState::Failed
            }
            RunResult::Failed { why } if course.on_rebuild_failure == OnRebuildFailure::GoOn => {
                outcome = StepOutcome { outcome: StepResult::Failed, why: Some(why), ..outcome };
                RebuildState::Failed
            }
            RunResult::Failed { why } => return Err(ApplyError::Rebuild { why }),
        };
        run.rebuilt(rebuild(state));
        self.append(&Record::Rebuilt { transaction, step, argv, undo, outcome: state })?;
        Ok((outcome, state))
    }
}

/// The paths that are no longer ours: not those that stay for now.
fn forgotten(course: &Course, held: &[TargetPath]) -> Vec<TargetPath> {
    course.forgotten.iter().filter(|path| !held.contains(path)).cloned().collect()
}

/// A revert whose files are back but whose programs failed is not done.
fn still_to_run(course: &Course, so_far: Progressed) -> Result<Ended, ApplyError> {
    let Progressed { steps, held, is_open, .. } = so_far;
    let Some(failed) = steps.iter().find(|step| step.outcome == StepResult::Failed) else {
        return Ok(Ended { outcome: Outcome::of(steps), is_open });
    };
    let back = if held.is_empty() {
        "the files are back"
    } else {
        "what images are built from is back, and the boot menu with its entry without passthrough stays as it is \
         until then"
    };
    let commands = course.jobs.iter().zip(&steps).filter_map(|(job, step)| match &job.work {
        Work::Rebuild(argv, _) if step.outcome == StepResult::Failed => {
            let command = command_line(argv);
            Some(if held.is_empty() {
                format!("{back}; run `{command}` by hand or revert again")
            } else {
                format!("mend what made `{command}` fail, then revert again; {back}")
            })
        }
        _ => None,
    });
    Err(ApplyError::Failed(Box::new(Failure {
        step: failed.id.clone(),
        why: failed.why.clone().unwrap_or_default(),
        put_back: false,
        remaining: commands.collect(),
        steps,
    })))
}

/// A free name beside the file: `.NAME.neuron-TRANSACTION-NUMBER`, not longer than FAT and the
/// rest allow.
fn temporary(name: &str, transaction: u64, number: usize) -> String {
    let mut kept = name.len().min(200);
    while !name.is_char_boundary(kept) {
        kept -= 1;
    }
    format!(".{}.neuron-{transaction:x}-{number:x}", &name[..kept])
}
