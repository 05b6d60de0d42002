//! After a boot that was good: what it started becomes what the host entry starts.

use super::{Done, Occasion, ProvisionError, Source, carry_out, plan_with};
use crate::apply::{Options, Outcome, Progress, Runner, Store};
use crate::bootloader::{Proven, counterpart};
use crate::boots;
use crate::plan::{Plan, Stage};
use crate::root::Root;
use crate::step::Action;

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewed {
    /// The host entries start copies of what this boot started.
    Done(Outcome),
    /// They did already, or there is nothing that could be copied.
    AsBefore,
    /// Something else is to be applied first, and that is a person's to say.
    NotNow(String),
}

/// Copies what this boot is known to have started, beside the copies that are in use; then the host
/// entries change to them, and the old ones go. An ordinary transaction: wherever it is cut off, the
/// entries start a whole pair, and the next run puts right what is left.
pub fn renew(
    machine: &Root,
    target: &Root,
    mut options: impl FnMut() -> Options<'static>,
    runner: &mut dyn Runner,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Renewed, ProvisionError> {
    carry_out::recover(machine, target, options(), runner, progress)?;
    let planned = |proven: &Proven| -> Result<Plan, ProvisionError> {
        let occasion = Occasion { renewal: Some(proven), ..Occasion::default() };
        Ok(plan_with(machine, target, &Source::Target, Stage::All, occasion)?.plan)
    };
    let usual = planned(&Proven::default())?;
    if !usual.is_allowed() {
        return Ok(Renewed::NotNow("this machine would not be set up like this any more".to_owned()));
    }
    if let Some(step) = usual.steps.first() {
        return Ok(Renewed::NotNow(format!(
            "`neuron-provisioner apply` has something to do: {}",
            step.title
        )));
    }
    // A copy that nothing needs may be a leftover of a run that was cut off.
    Store::open(target, options())?.drop_unwanted_copies(&usual.copies)?;
    let plan = planned(&boots::proven(machine, target, &boots::load(target)?)?)?;
    if !plan.is_allowed() || !copies_something_new(target, &usual, &plan)? {
        return Ok(Renewed::AsBefore);
    }
    let Done { outcome, .. } = carry_out::apply(machine, target, &plan, options(), runner, progress)?;
    Ok(Renewed::Done(outcome))
}

/// Whether a copy would hold something else than the one that is in use.
fn copies_something_new(target: &Root, usual: &Plan, plan: &Plan) -> Result<bool, ProvisionError> {
    for step in &plan.steps {
        let Action::CopyFile { from, path, is_there: false } = &step.action else { continue };
        let in_use = counterpart(path).filter(|other| usual.copies.contains(other));
        let is_same = match in_use {
            Some(copy) => target.same(from.as_str(), copy.as_str())?,
            None => false,
        };
        if !is_same {
            return Ok(true);
        }
    }
    Ok(false)
}
