//! Starting an entry for one boot only, where a loader really can.
//!
//! It is runtime state of the loader, not a file of the target: a program of the loader's sets it,
//! and another call of that program takes it back.

use crate::step::{Action, Step};

/// How the passthrough entry is started once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// The loader's name.
    pub loader: &'static str,
    /// What the loader calls the entry.
    pub entry: String,
    /// The program that says it, and its arguments.
    pub set: Vec<String>,
    /// The one that takes it back; it is content where there is nothing to take back.
    pub clear: Vec<String>,
}

/// The id of the step that sets it.
pub const SET: &str = "trial-once";

impl Once {
    pub(super) fn new(loader: &'static str, entry: &str, set: &[&str], clear: &[&str]) -> Self {
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Self { loader, entry: entry.to_owned(), set: owned(set), clear: owned(clear) }
    }

    /// The step that makes passthrough the entry of the next boot, and of that one only.
    pub fn step(&self) -> Step {
        Step {
            id: SET.to_owned(),
            title: "Start passthrough once, at the next boot".to_owned(),
            because: "the boot after that starts the entry without passthrough again, unless somebody \
                      kept it"
                .to_owned(),
            action: Action::Rebuild { argv: self.set.clone(), outputs: Vec::new(), undo: self.clear.clone() },
        }
    }

    /// The step that takes back what is left of it.
    pub fn clear_step(&self) -> Step {
        Step {
            id: "trial-once-over".to_owned(),
            title: "Take back the entry of the next boot".to_owned(),
            because: "the trial is over: what boots is the default entry".to_owned(),
            action: Action::Rebuild { argv: self.clear.clone(), outputs: Vec::new(), undo: Vec::new() },
        }
    }
}
