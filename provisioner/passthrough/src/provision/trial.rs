//! Whether a trial is on, and whether this boot is one in which somebody has to answer.

use super::{ProvisionError, Source, again, answers};
use crate::apply::{Notes, View};
use crate::boots;
use crate::plan::{TRIAL, TrialRecord};
use crate::root::Root;

/// The trial that an apply began and nobody confirmed.
pub fn trial(target: &Root) -> Result<Option<TrialRecord>, ProvisionError> {
    again::recorded(&View::open(target)?)
}

/// The trial that this boot belongs to: passthrough is in force, nobody kept it or gave it back, and
/// the answers do not say that nobody sits there.
pub fn asks(machine: &Root, target: &Root) -> Result<Option<TrialRecord>, ProvisionError> {
    let Some(record) = trial(target).or_else(|error| beside_the_journal(target, error))? else {
        return Ok(None);
    };
    let in_force = boots::in_force(machine, target)?.is_some();
    let is_given_back = boots::load(target)?.given_back.is_some();
    // Answers that cannot be read say nothing against it.
    let is_wanted = answers(target, &Source::Target).map_or(true, |answers| answers.passthrough.trial);
    Ok(Some(record).filter(|_| in_force && !is_given_back && is_wanted))
}

/// Where the journal does not tell: a record that lies there means that a trial is on, whatever it says.
/// Somebody is asked once too often rather than left without a picture and without a way back.
fn beside_the_journal(target: &Root, error: ProvisionError) -> Result<Option<TrialRecord>, ProvisionError> {
    let name = TRIAL.rsplit('/').next().unwrap_or(TRIAL);
    let Ok(found) = Notes::read(target, name) else { return Err(error) };
    tracing::warn!("{error}; whether a trial is on is told by {TRIAL} alone");
    Ok(found.map(|bytes| {
        TrialRecord::parse(&String::from_utf8_lossy(&bytes)).unwrap_or_else(|problem| {
            tracing::warn!("{TRIAL}: {problem}; the card goes back in this boot unless somebody keeps it");
            TrialRecord::unknown()
        })
    }))
}
