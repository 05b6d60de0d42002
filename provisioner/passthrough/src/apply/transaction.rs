//! From a plan's steps to what has to change: every lock is checked before anything is written.

use std::collections::BTreeMap;

use nix::unistd::{getegid, geteuid};

use super::command::Runner;
use super::content::{Content, Keeps, Xattrs};
use super::error::ApplyError;
use super::execute::{Change, Course, Ended, Job, OnRebuildFailure, Work};
use super::journal::Begin;
use super::place::Last;
use super::store::Store;
use super::{Operation, Outcome, Progress, RebuildState, StepOutcome, StepResult, Transaction, order, room};
use crate::id::TargetPath;
use crate::step::{Action, Owner, Step};

impl Store<'_> {
    /// Carries out a transaction, or puts everything back.
    ///
    /// First whatever an earlier run left half done is put back. A transaction whose files all
    /// stand as they should writes nothing, not even to the journal, and rebuilds nothing but what
    /// failed or was put off before; one that has only rebuilds is a request to run them.
    pub fn apply(
        &mut self,
        transaction: &Transaction,
        runner: &mut dyn Runner,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Outcome, ApplyError> {
        self.recover(runner, progress)?;
        let mut jobs = self.prepare(&transaction.steps)?;
        let files = jobs.iter().any(|job| !matches!(job.work, Work::Rebuild(..)));
        if files && jobs.iter().all(|job| job.change().is_none()) {
            self.keep_due(&mut jobs);
        }
        if transaction.retires {
            let fat = &self.tree().fat_points;
            jobs.sort_by_key(|job| order::of_job(job, fat));
        }
        let changes: Vec<&Change> = jobs.iter().filter_map(Job::change).collect();
        if jobs.iter().all(|job| matches!(job.work, Work::Nothing)) {
            let unchanged = |job: &Job| StepOutcome::new(&job.id, StepResult::Unchanged);
            return Ok(Outcome::of(jobs.iter().map(unchanged).collect()));
        }
        room::check(self.tree(), &changes, &self.journal_path()?)?;
        let begin = Begin {
            transaction: self.next_transaction(),
            operation: Operation::Apply,
            plan: transaction.plan_id.clone(),
            stage: transaction.stage.clone(),
            boot_id: transaction.boot_id.clone(),
            tokens: transaction.tokens.clone(),
            note: transaction.note.clone(),
        };
        let makes = self.makes(transaction)?;
        let course = Course {
            begin,
            jobs,
            makes,
            forgotten: Vec::new(),
            directories: Vec::new(),
            on_rebuild_failure: OnRebuildFailure::PutBack,
            retires: transaction.retires,
        };
        let Ended { outcome, is_open } = self.execute(&course, runner, progress)?;
        // A menu that is not made anew may still start them.
        if !is_open && let Err(error) = self.drop_copies(&transaction.copies) {
            // It only takes room, and the next run tries again.
            tracing::warn!(error = %error.in_full(), "a copy that nothing needs stays");
        }
        Ok(outcome)
    }

    /// The images that are to be ours, are not yet, and that no step copies: a program makes them.
    fn makes(&self, transaction: &Transaction) -> Result<Vec<TargetPath>, ApplyError> {
        let copied = |path: &TargetPath| {
            let mut paths = transaction.steps.iter().filter_map(|step| step.action.path());
            paths.any(|other| other == path)
        };
        let mut makes = Vec::new();
        for path in transaction.copies.iter().filter(|path| !copied(path)) {
            let real = self.tree().resolve(path, Last::Keep)?;
            if !self.ledger().files.contains_key(&real) {
                // Where nothing may be written, nothing is made either.
                self.tree().missing_directories(&real)?;
                makes.push(path.clone());
            }
        }
        Ok(makes)
    }

    /// Of the programs only those that failed or were put off: the others made what they make from
    /// these very files.
    fn keep_due(&self, jobs: &mut [Job]) {
        let due = |argv: &[String]| {
            let known = self.ledger().rebuilds.iter().find(|rebuild| rebuild.argv == argv);
            known.is_some_and(|rebuild| rebuild.state == RebuildState::Failed)
        };
        for job in jobs {
            if matches!(&job.work, Work::Rebuild(argv, _) if !due(argv)) {
                job.work = Work::Nothing;
            }
        }
    }

    fn prepare(&self, steps: &[Step]) -> Result<Vec<Job>, ApplyError> {
        // What earlier steps of this transaction will have put there.
        let mut ahead = BTreeMap::new();
        let job = |step: &Step| -> Result<Job, ApplyError> {
            let work = match &step.action {
                Action::Rebuild { argv, undo, .. } => Work::Rebuild(argv.clone(), undo.clone()),
                action => match self.change(action, &mut ahead)? {
                    Some(change) => Work::Change(Box::new(change)),
                    None => Work::Nothing,
                },
            };
            Ok(Job { id: step.id.clone(), title: step.title.clone(), work })
        };
        steps.iter().map(job).collect()
    }

    /// Whether a file of ours holds by somebody else's hand what is wanted there: then it is written
    /// all the same, so that the journal knows it and it no longer counts as changed.
    fn is_edited(&self, real: &TargetPath, wanted: &Content, keeps: Keeps) -> bool {
        let own = self.ledger().files.get(real).filter(|owned| !owned.is_taken_back());
        own.is_some_and(|owned| !owned.written.same(&wanted.fingerprint(), keeps))
    }

    /// What an action changes; `None` when everything is already as it wants it.
    fn change(
        &self,
        action: &Action,
        ahead: &mut BTreeMap<TargetPath, Content>,
    ) -> Result<Option<Change>, ApplyError> {
        if let Action::CopyFile { from, path, .. } = action {
            return self.copy(from, path);
        }
        let (Some(path), Some(lock), Some(after)) = (action.path(), action.before(), action.after()) else {
            return Ok(None);
        };
        // A write goes to the file behind a symlink; the other two are about the entry itself.
        let last = if matches!(action, Action::WriteFile { .. }) { Last::Follow } else { Last::Keep };
        let real = self.tree().resolve(path, last)?;
        let found = self.tree().read(&real)?;
        let expected = ahead.get(&real).cloned();
        let hard_linked = found.hard_linked;
        let before = expected.clone().unwrap_or(found.content);
        let mut after = Content::wanted(&after, &before);
        let (place, directories) = self.tree().missing_directories(&real)?;
        if !geteuid().is_root()
            && let Some(owner) = after.owner_mut()
        {
            // An ordinary user cannot give files away: a new one is theirs, an old one stays whose it is.
            let own = Owner { uid: geteuid().as_raw(), gid: getegid().as_raw() };
            *owner = before.owner().unwrap_or(own);
        }
        let is_as_wanted = before.fingerprint().same(&after.fingerprint(), place.keeps());
        if is_as_wanted && (expected.is_some() || !self.is_edited(&real, &after, place.keeps())) {
            return Ok(None);
        }
        let seen = match (&expected, last) {
            (Some(expected), _) => expected.state(),
            (None, Last::Follow) => before.state(),
            (None, Last::Keep) => self.root().file_state(path.as_str())?,
        };
        // FAT reports modes and owners of the mount, not of the file.
        if !Content::wanted(&seen, &before).fingerprint().same(
            &Content::wanted(lock, &before).fingerprint(),
            Keeps { mode: !place.fat, owner: !place.fat },
        ) {
            return Err(ApplyError::Changed { path: path.clone() });
        }
        ahead.insert(real.clone(), after.clone());
        Ok(Some(Change { path: path.clone(), real, before, after, directories, hard_linked, copy: false }))
    }

    /// What keeping a copy changes; `None` when it is there already.
    fn copy(&self, from: &TargetPath, path: &TargetPath) -> Result<Option<Change>, ApplyError> {
        let real = self.tree().resolve(path, Last::Keep)?;
        let before = self.tree().read(&real)?.content;
        if before != Content::Absent {
            let is_ours = self.ledger().files.get(&real).is_some_and(|owned| owned.copy);
            return if is_ours { Ok(None) } else { Err(ApplyError::Changed { path: path.clone() }) };
        }
        let source = self.tree().resolve(from, Last::Follow)?;
        let Content::Regular { bytes, .. } = self.tree().read(&source)?.content else {
            return Err(ApplyError::Changed { path: from.clone() });
        };
        // An initramfs can hold keys.
        let owner = Owner { uid: geteuid().as_raw(), gid: getegid().as_raw() };
        let after = Content::Regular { bytes, mode: 0o600, owner, xattrs: Xattrs::new() };
        let (_, directories) = self.tree().missing_directories(&real)?;
        Ok(Some(Change {
            path: path.clone(),
            real,
            before,
            after,
            directories,
            hard_linked: false,
            copy: true,
        }))
    }
}
