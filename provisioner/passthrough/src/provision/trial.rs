//! Whether a trial is on, and whether this boot is one in which somebody has to answer.

use super::{ProvisionError, Source, again, answers};
use crate::apply::View;
use crate::boots;
use crate::plan::TrialRecord;
use crate::root::Root;

/// The trial that an apply began and nobody confirmed.
pub fn trial(target: &Root) -> Result<Option<TrialRecord>, ProvisionError> {
    again::recorded(&View::open(target)?)
}

/// The trial that this boot belongs to: passthrough is in force, nobody kept it or gave it back, and
/// the answers do not say that nobody sits there.
pub fn asks(machine: &Root, target: &Root) -> Result<Option<TrialRecord>, ProvisionError> {
    let Some(record) = trial(target)? else { return Ok(None) };
    let in_force = boots::in_force(machine, target)?.is_some();
    let is_given_back = boots::load(target)?.given_back.is_some();
    // Answers that cannot be read say nothing against it.
    let is_wanted = answers(target, &Source::Target).map_or(true, |answers| answers.passthrough.trial);
    Ok(Some(record).filter(|_| in_force && !is_given_back && is_wanted))
}
