//! What first boot came to, kept in the state directory: the stamp that it runs once for every state.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Work;
use crate::apply::{ApplyError, Options, Store, View};
use crate::provision::ProvisionError;
use crate::root::Root;

/// The file, in the state directory.
pub const FIRST_BOOT: &str = "first-boot.json";

const SCHEMA: &str = "neuron-first-boot/1";

/// How often work is begun that never came to an end: the machine went down under it.
const MOST_TRIES: u32 = 3;

/// What first boot came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It began, and nobody has seen its end yet.
    Running,
    /// What was left to be done is done, by first boot or by somebody since.
    Done,
    /// The IOMMU was to come on with this boot, and did not.
    Waiting,
    /// A question has no answer.
    Undecided,
    /// This machine cannot, or not safely.
    Refused,
    /// It failed. It is not tried again by itself.
    Failed,
    /// Somebody was asked on the console, and nobody answered.
    Unanswered,
}

/// What is kept of it (`neuron-first-boot/1`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstBoot {
    schema: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What to tell a person, in sentences.
    pub message: String,
    /// Which work this was: a digest of its kind and of the answers behind it.
    work: String,
    /// How often that began.
    tries: u32,
    /// The digest of the answers that were last handed in and carried out.
    handed_in: Option<String>,
    /// The boot in which it was looked at last.
    boot: Option<String>,
    /// The digest of the state in which somebody was asked on the console.
    #[serde(default)]
    asked: Option<String>,
    /// Whether an installer left questions for it.
    #[serde(default)]
    questions: bool,
}

impl Default for FirstBoot {
    fn default() -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            outcome: Outcome::Done,
            message: String::new(),
            work: String::new(),
            tries: 0,
            handed_in: None,
            boot: None,
            asked: None,
            questions: false,
        }
    }
}

impl FirstBoot {
    /// Reads it; nothing where first boot never had anything to do.
    pub fn load(target: &Root) -> Result<Option<Self>, ProvisionError> {
        let Some(bytes) = View::open(target)?.read_state_file(FIRST_BOOT)? else { return Ok(None) };
        let record: Self = serde_json::from_slice(&bytes).map_err(|error| damaged(&error.to_string()))?;
        if record.schema == SCHEMA {
            Ok(Some(record))
        } else {
            Err(damaged(&format!("its schema is `{}`, and this program knows `{SCHEMA}`", record.schema)))
        }
    }

    /// The same for somebody who only looks: one that cannot be understood is told as such.
    pub(in crate::provision) fn shown(target: &Root) -> Result<Option<Self>, ProvisionError> {
        Self::load(target).or_else(|error| match error {
            ProvisionError::FirstBoot(_) => {
                Ok(Some(Self::default().ended(Outcome::Failed, error.to_string(), None)))
            }
            other => Err(other),
        })
    }

    /// Keeps it.
    pub fn keep(&self, target: &Root) -> Result<(), ApplyError> {
        self.keep_in(&mut Store::open(target, Options::default())?)
    }

    pub(super) fn keep_in(&self, store: &mut Store<'_>) -> Result<(), ApplyError> {
        store.write_state_file(FIRST_BOOT, self.render().as_bytes())
    }

    fn render(&self) -> String {
        // Strings and numbers always have a JSON text.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// The same, with this work begun in this boot.
    #[must_use]
    pub fn begun(&self, work: &Work, boot: Option<String>) -> Self {
        let is_same = self.work == work.digest && self.outcome == Outcome::Running;
        Self {
            outcome: Outcome::Running,
            message: "it began, and its end was not seen yet".to_owned(),
            work: work.digest.clone(),
            tries: if is_same { self.tries + 1 } else { 1 },
            boot,
            ..self.clone()
        }
    }

    /// The same, with this end. `handed_in`: the digest of the answers that are carried out by it.
    #[must_use]
    pub fn ended(&self, outcome: Outcome, message: String, handed_in: Option<String>) -> Self {
        Self { outcome, message, handed_in: handed_in.or_else(|| self.handed_in.clone()), ..self.clone() }
    }

    /// The same, looked at in this boot and left alone.
    #[must_use]
    pub fn seen(&self, boot: Option<String>) -> Self {
        Self { boot, ..self.clone() }
    }

    /// The same, with somebody asked in this state. Until it is known how that ends, nobody answered.
    #[must_use]
    pub fn asked(&self, state: String, message: String) -> Self {
        Self { outcome: Outcome::Unanswered, message, asked: Some(state), ..self.clone() }
    }

    /// Whether somebody was asked in this state.
    pub(super) fn was_asked(&self, state: &str) -> bool {
        self.asked.as_deref() == Some(state)
    }

    /// The same, with questions that an installer left.
    pub(super) fn with_questions(&self) -> Self {
        Self { questions: true, ..self.clone() }
    }

    /// Whether an installer left questions.
    pub(super) fn leaves_questions(&self) -> bool {
        self.questions
    }

    /// Why this work is not begun by itself.
    pub(super) fn keeps_from(&self, work: &str, boot: Option<&str>) -> Option<&'static str> {
        // The first start in a boot is the boot's own; a later one is a person's wish.
        let is_asked_for = self.boot.as_deref() == boot;
        match self.outcome {
            _ if self.work != work => None,
            Outcome::Done => Some("it is done"),
            Outcome::Failed if !is_asked_for => Some("it failed before, and is not tried again by itself"),
            Outcome::Running if self.tries >= MOST_TRIES && !is_asked_for => {
                Some("it never came to an end, and is not begun again by itself")
            }
            Outcome::Running
            | Outcome::Waiting
            | Outcome::Undecided
            | Outcome::Refused
            | Outcome::Failed
            | Outcome::Unanswered => None,
        }
    }

    /// Whether these answers were handed in before and carried out.
    pub(super) fn has_carried_out(&self, handed_in: &str) -> bool {
        self.handed_in.as_deref() == Some(handed_in)
    }
}

fn damaged(problem: &str) -> ProvisionError {
    ProvisionError::FirstBoot(problem.to_owned())
}

/// Somebody carried something else out since: what first boot could not do is of no interest any more.
pub(in crate::provision) fn supersede(store: &mut Store<'_>) {
    let superseded = store.view().read_state_file(FIRST_BOOT).and_then(|kept| {
        let Some(bytes) = kept else { return Ok(()) };
        // One that cannot be read is replaced: whoever applies or reverts has decided.
        let record: FirstBoot = serde_json::from_slice(&bytes).unwrap_or_default();
        let after = FirstBoot { questions: false, ..record.ended(Outcome::Done, String::new(), None) };
        let is_same = bytes == after.render().as_bytes();
        if is_same { Ok(()) } else { store.write_state_file(FIRST_BOOT, after.render().as_bytes()) }
    });
    if let Err(error) = superseded {
        tracing::warn!("{FIRST_BOOT} could not be brought up to date: {}", error.in_full());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(digest: &str) -> Work {
        let (source, title) = (crate::provision::Source::Target, "");
        Work { digest: digest.to_owned(), source, title, handed_in: None, is_wish: false }
    }

    fn record(outcome: Outcome) -> FirstBoot {
        let record = FirstBoot::default().begun(&work("work"), Some("one".to_owned()));
        record.ended(outcome, String::new(), None)
    }

    #[test]
    fn a_record_is_read_again_and_nothing_else_is() {
        let tree = tempfile::tempdir().unwrap();
        let root = Root::directory(tree.path()).unwrap();
        assert_eq!(FirstBoot::load(&root).unwrap(), None);
        let kept = record(Outcome::Failed);
        kept.keep(&root).unwrap();
        assert_eq!(FirstBoot::load(&root).unwrap(), Some(kept.clone()));
        for text in ["", "{}", "[]", &kept.render().replace("boot/1", "boot/2")] {
            let mut store = Store::open(&root, Options::default()).unwrap();
            store.write_state_file(FIRST_BOOT, text.as_bytes()).unwrap();
            drop(store);
            FirstBoot::load(&root).unwrap_err();
        }
    }

    #[test]
    fn work_is_begun_once_for_every_state() {
        let later = Some("two");
        for (outcome, is_over) in [
            (Outcome::Done, true),
            (Outcome::Failed, true),
            (Outcome::Refused, false),
            (Outcome::Undecided, false),
            (Outcome::Waiting, false),
            (Outcome::Running, false),
            (Outcome::Unanswered, false),
        ] {
            assert_eq!(record(outcome).keeps_from("work", later).is_some(), is_over, "{outcome:?}");
            assert_eq!(record(outcome).keeps_from("other work", later), None, "{outcome:?}");
        }
    }

    #[test]
    fn what_failed_is_tried_again_only_when_somebody_starts_it() {
        let failed = record(Outcome::Failed);
        assert_eq!(failed.keeps_from("work", Some("one")), None);
        let seen = failed.seen(Some("two".to_owned()));
        assert_eq!(seen.keeps_from("work", Some("two")), None);
        assert!(seen.keeps_from("work", Some("three")).is_some());
    }

    #[test]
    fn a_machine_that_goes_down_under_the_work_does_not_do_so_for_ever() {
        let mut record = FirstBoot::default();
        for boot in 1..=MOST_TRIES {
            assert_eq!(record.keeps_from("work", Some(&boot.to_string())), None, "{boot}");
            record = record.begun(&work("work"), Some(boot.to_string()));
        }
        assert!(record.keeps_from("work", Some("later")).is_some());
    }

    #[test]
    fn answers_that_were_handed_in_are_remembered_over_other_work() {
        let record = record(Outcome::Done).ended(Outcome::Done, String::new(), Some("text".to_owned()));
        let record = record.begun(&work("go on"), None).ended(Outcome::Done, String::new(), None);
        assert!(record.has_carried_out("text") && !record.has_carried_out("another"));
    }
}
