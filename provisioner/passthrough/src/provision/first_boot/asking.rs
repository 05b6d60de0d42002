//! Whether a person is to be asked on the console, before the display manager: once for every state.
//!
//! Somebody is asked where this system is one that asks (in its very first boot, or where its image says
//! so), where an installer asked about the GPU alone, and where an installer could not decide. Nobody is
//! asked where answers say what to do, and nobody where this machine has nothing to give away.

use super::{Due, FirstBoot, digest, due};
use crate::answers::Answers;
use crate::apply::{Options, Store};
use crate::facts::Target;
use crate::plan::{ANSWERS, Stage};
use crate::policy::{self, Verdict};
use crate::provision::{ProvisionError, Source, Standing, answers, inspect, plan, status};
use crate::root::Root;

/// The file by which an image says that its systems ask at their first boot.
const MARKER: &str = "/etc/neuron/first-boot";

/// That systemd found no machine id: this is the first boot of all (`ConditionFirstBoot=`).
const FIRST_OF_ALL: &str = "/run/systemd/first-boot";

/// Whether somebody is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asking {
    /// Yes, about this.
    Now(Subject),
    /// No, for this reason.
    No(String),
}

/// What somebody is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// A digest of the state in which that is so.
    pub state: String,
    /// The answers that it begins with.
    pub source: Source,
    /// Whether passthrough is in force, and only the rest is open.
    pub is_in_force: bool,
}

/// Looks whether somebody is to be asked; writes nothing. `given` is what was handed in with the boot.
pub fn asking(machine: &Root, target: &Root, given: &Source) -> Result<Asking, ProvisionError> {
    let no = |why: &str| Ok(Asking::No(why.to_owned()));
    let subject = match due(machine, target, given)? {
        Due::PutBack => return no("what was cut off is put back first"),
        Due::Work(work) if work.is_wish => {
            let decision = plan(machine, target, &work.source, Stage::All)?.plan.decision;
            match decision.question {
                Some(question) if decision.verdict == Verdict::Ask => {
                    Subject { state: digest("question", &question), source: work.source, is_in_force: false }
                }
                _ => return no("what an installer was told is carried out by itself"),
            }
        }
        Due::Work(_) => return no("what was said is carried out by itself"),
        Due::Nothing(why) => match unasked(machine, target)? {
            Some(standing) => Subject {
                state: digest("system", &format!("{standing:?}")),
                source: given.clone(),
                is_in_force: standing == Standing::Active,
            },
            None => return Ok(Asking::No(why)),
        },
    };
    let was_asked = FirstBoot::load(target)?.is_some_and(|record| record.was_asked(&subject.state));
    if was_asked {
        no("that was asked before; `neuron-provisioner wizard` asks again")
    } else {
        Ok(Asking::Now(subject))
    }
}

/// Where a system stands that asks, and in which nobody was asked yet.
fn unasked(machine: &Root, target: &Root) -> Result<Option<Standing>, ProvisionError> {
    let status = status(machine, target)?;
    if status.in_progress || status.interrupted || status.runs_without {
        return Ok(None);
    }
    let is_open = match status.standing {
        Standing::Unconfigured => {
            let is_first = target.exists(MARKER)? || machine.exists(FIRST_OF_ALL)?;
            is_first && !target.exists(ANSWERS)? && has_something_to_give(machine, target)?
        }
        Standing::Active => {
            let is_left = FirstBoot::load(target)?.is_some_and(|record| record.leaves_questions());
            is_left && answers(target, &Source::Target)?.vm.is_empty()
        }
        _ => false,
    };
    Ok(is_open.then_some(status.standing))
}

/// Whether what a plan is made of lets anything go: the wizard offers nothing else.
fn has_something_to_give(machine: &Root, target: &Root) -> Result<bool, ProvisionError> {
    let answers = Answers::default();
    let (facts, judgement) = inspect(machine, Some(target), &answers)?;
    let judgement = policy::target::judge(judgement, &facts, &answers, &Target::read(target, &facts)?);
    Ok(judgement.decision.verdict != Verdict::Refused)
}

/// An installer asked which GPU goes, and nothing else: the first boot in which that is in force asks for
/// the rest. A target that cannot keep this is left as it is: then nobody is asked.
pub fn leave_questions(target: &Root) {
    let record = FirstBoot::load(target).map(Option::unwrap_or_default);
    let kept = record.map_err(|error| error.to_string()).and_then(|record| {
        let mut store = Store::open(target, Options::default()).map_err(|error| error.in_full())?;
        record.with_questions().keep_in(&mut store).map_err(|error| error.in_full())
    });
    if let Err(error) = kept {
        tracing::warn!("that there is more to ask could not be kept for the first boot: {error}");
    }
}
