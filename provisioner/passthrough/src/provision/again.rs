//! Whoever applies in a boot without passthrough, after a trial that nobody kept, wants another one.
//!
//! Such a boot judges nothing: with the kill switch on the command line the IOMMU may be off, and every
//! function is with the host. So what was applied is started once more as it is, or not at all.

use super::carry_out::reboot;
use super::{ProvisionError, followed, runs_without};
use crate::answers::Answers;
use crate::apply::{Applied, State, View};
use crate::boots;
use crate::facts::boot_id;
use crate::id::TargetPath;
use crate::plan::{ANSWERS, Purpose, TRIAL, TrialRecord};
use crate::root::Root;
use crate::verify::Reboot;

/// What an apply is for, by the boot that it runs in.
pub(super) fn purpose(
    machine: &Root,
    target: &Root,
    view: &View<'_>,
    applied: &Applied,
    answers: &Answers,
) -> Result<Purpose, ProvisionError> {
    let is_applied = applied.state == State::Applied && runs_without(machine)?;
    if !is_applied || !were_followed(view, answers)? {
        return Ok(Purpose::SetUp);
    }
    let is_once = recorded(view)?.is_some_and(|record| record.once.is_some());
    let is_given_back = boots::load(target)?.given_back.is_some();
    Ok(if is_once || is_given_back { Purpose::TryAgain } else { Purpose::SetUp })
}

/// Whether these answers were followed last. Where an earlier version did that, its own file of them tells.
fn were_followed(view: &View<'_>, answers: &Answers) -> Result<bool, ProvisionError> {
    if let Some(are) = followed::are(view, answers)? {
        return Ok(are);
    }
    Ok(written(view, ANSWERS)?.and_then(|text| Answers::parse(&text).ok()).as_ref() == Some(answers))
}

/// Whether passthrough was started once, or could not be, and is not in force in this boot.
pub(super) fn is_over(machine: &Root, target: &Root, applied: &Applied) -> Result<bool, ProvisionError> {
    // What was kept up meanwhile asks for no reboot, and is no other try.
    let is_later = reboot(applied, boot_id(machine).as_deref()) != Reboot::Owed;
    Ok(is_later && boots::in_force(machine, target)?.is_none())
}

/// The trial that is on, as it was written.
pub(super) fn recorded(view: &View<'_>) -> Result<Option<TrialRecord>, ProvisionError> {
    let text = written(view, TRIAL)?;
    text.map(|text| TrialRecord::parse(&text).map_err(ProvisionError::Trial)).transpose()
}

/// What an apply wrote to a path.
fn written(view: &View<'_>, path: &str) -> Result<Option<String>, ProvisionError> {
    let Ok(path) = path.parse::<TargetPath>() else { return Ok(None) };
    Ok(view.written(&path)?.as_ref().and_then(|state| state.text().map(str::to_owned)))
}
