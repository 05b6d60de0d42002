//! What the journal adds up to.

use std::collections::{BTreeMap, BTreeSet};

use super::content::Fingerprint;
use super::journal::{Begin, Intent, Record};
use super::{Operation, RebuildState};
use crate::id::TargetPath;

/// A file of ours.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Owned {
    pub(super) path: TargetPath,
    pub(super) step: String,
    /// From before the first of our transactions.
    pub(super) original: Fingerprint,
    /// What we wrote last.
    pub(super) written: Fingerprint,
    /// Derived output of ours: a copy, or what a program makes. Nobody knows what it should hold.
    pub(super) copy: bool,
    /// Somebody else's change lies between two of ours: the original is no longer the whole truth.
    pub(super) mixed: bool,
}

impl Owned {
    /// Whether we put it back to what it was: it is nobody's but the user's again.
    pub(super) fn is_taken_back(&self) -> bool {
        self.original == self.written && !self.mixed
    }
}

/// A program that has to run again when files go back.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rebuild {
    pub(super) step: String,
    pub(super) argv: Vec<String>,
    /// What is run when the files go back; empty: the same again.
    pub(super) undo: Vec<String>,
    pub(super) state: RebuildState,
}

impl Rebuild {
    /// What is run when the files go back.
    pub(super) fn on_return(&self) -> &[String] {
        if self.undo.is_empty() { &self.argv } else { &self.undo }
    }

    /// Whether a path is among the arguments: that is what the program makes.
    pub(super) fn names(&self, path: &TargetPath) -> bool {
        self.argv.iter().any(|word| word == path.as_str())
    }
}

/// A transaction that is neither committed nor rolled back.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unfinished {
    pub(super) begin: Begin,
    pub(super) intents: Vec<Intent>,
    pub(super) rebuilds: Vec<Rebuild>,
}

/// Everything that is known of the target's past.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Ledger {
    /// The highest transaction number so far.
    pub(super) newest: u64,
    /// By real path.
    pub(super) files: BTreeMap<TargetPath, Owned>,
    /// Directories that we made, outermost first.
    pub(super) directories: Vec<TargetPath>,
    pub(super) rebuilds: Vec<Rebuild>,
    pub(super) tokens: Vec<String>,
    pub(super) last: Option<Begin>,
    pub(super) unfinished: Option<Unfinished>,
}

impl Unfinished {
    pub(super) fn new(begin: Begin) -> Self {
        Self { begin, intents: Vec::new(), rebuilds: Vec::new() }
    }

    pub(super) fn rebuilt(&mut self, rebuild: Rebuild) {
        note_rebuild(&mut self.rebuilds, rebuild);
    }
}

impl Ledger {
    pub(super) fn replay(records: &[Record]) -> Self {
        let mut ledger = Self::default();
        for record in records {
            ledger.take(record.clone());
        }
        ledger
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Begin(begin) => {
                self.newest = self.newest.max(begin.transaction);
                self.unfinished = Some(Unfinished::new(begin));
            }
            Record::Intent(intent) => {
                if let Some(open) = &mut self.unfinished {
                    open.intents.push(intent);
                }
            }
            Record::Done { .. } => {}
            Record::RebuildIntent { step, argv, undo, .. } => {
                if let Some(open) = &mut self.unfinished {
                    open.rebuilt(Rebuild { step, argv, undo, state: RebuildState::Failed });
                }
            }
            Record::Rebuilt { step, argv, undo, outcome, .. } => {
                if let Some(open) = &mut self.unfinished {
                    open.rebuilt(Rebuild { step, argv, undo, state: outcome });
                }
            }
            Record::Commit { forgotten, partial, .. } => {
                if let Some(open) = self.unfinished.take() {
                    self.commit(open, &forgotten, partial);
                }
            }
            Record::Dropped { real } => self.drop_copy(&real),
            Record::RolledBack { left, not_rebuilt, .. } => {
                if let Some(open) = self.unfinished.take() {
                    self.roll_back(open, &left, &not_rebuilt);
                }
            }
        }
    }

    pub(super) fn commit(&mut self, done: Unfinished, forgotten: &[TargetPath], is_partial: bool) {
        self.newest = self.newest.max(done.begin.transaction);
        match done.begin.operation {
            Operation::Apply => {
                // Whoever plans names all that are ours: one that is wanted no more is not ours, but
                // for those that are in the menus still.
                if !is_partial {
                    self.tokens.clone_from(&done.begin.tokens);
                }
                done.intents.into_iter().for_each(|intent| self.own(intent));
            }
            Operation::Revert => self.files.retain(|real, _| !forgotten.contains(real)),
        }
        done.rebuilds.into_iter().for_each(|rebuild| note_rebuild(&mut self.rebuilds, rebuild));
        if done.begin.operation == Operation::Revert && self.files.values().all(|owned| owned.copy) {
            self.forget_directories();
            self.tokens.clear();
            self.rebuilds.retain(|rebuild| rebuild.state != RebuildState::Done);
        }
        self.last = Some(done.begin);
    }

    pub(super) fn roll_back(&mut self, undone: Unfinished, left: &[TargetPath], not_rebuilt: &[Vec<String>]) {
        self.newest = self.newest.max(undone.begin.transaction);
        if undone.begin.operation == Operation::Apply {
            let stays: Vec<Intent> =
                undone.intents.into_iter().filter(|intent| left.contains(&intent.real)).collect();
            if stays.iter().any(|intent| !intent.copy) {
                // What stays may hold them.
                let new = undone.begin.tokens.iter().filter(|token| !self.tokens.contains(token));
                self.tokens.extend(new.cloned().collect::<Vec<_>>());
            }
            for intent in stays {
                self.own(intent);
            }
        }
        for mut rebuild in undone.rebuilds.into_iter().filter(|rebuild| not_rebuilt.contains(&rebuild.argv)) {
            rebuild.state = RebuildState::Failed;
            note_rebuild(&mut self.rebuilds, rebuild);
        }
    }

    fn own(&mut self, intent: Intent) {
        for directory in intent.directories {
            if !self.directories.contains(&directory) {
                self.directories.push(directory);
            }
        }
        let Intent { step, path, real, before, after, foreign_edit, copy, .. } = intent;
        if self.files.get(&real).is_some_and(Owned::is_taken_back) {
            // What stands there by now is what a revert brings back.
            self.files.remove(&real);
        }
        let owned = self.files.entry(real).or_insert_with(|| Owned {
            path,
            step: step.clone(),
            original: before,
            written: after.clone(),
            copy,
            mixed: false,
        });
        owned.mixed |= foreign_edit;
        owned.written = after;
        owned.step = step;
    }

    pub(super) fn drop_copy(&mut self, real: &TargetPath) {
        if let Some(owned) = self.files.remove(real) {
            self.rebuilds.retain(|rebuild| !rebuild.names(&owned.path));
        }
        self.forget_directories();
    }

    /// Once nothing is ours, the directories that we made for it are gone as well.
    fn forget_directories(&mut self) {
        if self.files.is_empty() {
            self.directories.clear();
        }
    }

    /// Whether derived output of ours is what a program makes.
    pub(super) fn is_for_derived(&self, rebuild: &Rebuild) -> bool {
        self.files.values().any(|owned| owned.copy && rebuild.names(&owned.path))
    }

    /// The copies of derived output that are ours and not among these.
    pub(super) fn copies_but(&self, wanted: &[TargetPath]) -> Vec<TargetPath> {
        let unwanted = |owned: &Owned| owned.copy && !wanted.contains(&owned.path);
        self.files.iter().filter(|(_, owned)| unwanted(owned)).map(|(real, _)| real.clone()).collect()
    }

    /// The saved bytes that are still needed.
    pub(super) fn digests(&self) -> BTreeSet<String> {
        let of_files = self
            .files
            .values()
            .filter(|owned| !owned.copy)
            .flat_map(|owned| [&owned.original, &owned.written]);
        let open = self.unfinished.iter().flat_map(|open| &open.intents).filter(|intent| !intent.copy);
        let of_open = open.flat_map(|intent| [&intent.before, &intent.after]);
        of_files.chain(of_open).filter_map(Fingerprint::sha256).map(str::to_owned).collect()
    }
}

/// One entry a command line, in the order of the first run.
fn note_rebuild(rebuilds: &mut Vec<Rebuild>, new: Rebuild) {
    if new.state == RebuildState::Done {
        // What was taken back need not be made up for any more.
        let undone = rebuilds.iter_mut().filter(|known| known.undo == new.argv);
        undone.for_each(|known| known.state = RebuildState::Done);
    }
    match rebuilds.iter_mut().find(|known| known.argv == new.argv) {
        Some(known) => known.state = new.state,
        None => rebuilds.push(new),
    }
}
