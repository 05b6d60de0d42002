//! Bridges in a plan: made, and taken back, where somebody sets up. What only keeps a set-up in place leaves
//! them as they stand, and none of it hangs on them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Draft, Inputs, Purpose, retire};
use crate::guest::bridge;
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Severity};
use crate::step::FileState;

/// What the answers want; what makes other bridges goes.
pub(super) fn steps(inputs: &Inputs<'_>, draft: &mut Draft) -> Result<(), Vec<Finding>> {
    if inputs.purpose != Purpose::SetUp {
        return Ok(());
    }
    let edited = edited(inputs);
    let left: BTreeSet<&str> = edited.keys().copied().collect();
    let own = own(inputs).filter(|(bridge, _)| !left.contains(bridge)).map(|(_, path)| path);
    let own: BTreeSet<&TargetPath> = own.collect();
    let standing = own.iter().copied().filter(|path| {
        inputs.ours.files.get(*path).is_some_and(|own| inputs.target.state(path) == &own.written)
    });
    let ground = bridge::Ground {
        target: inputs.target,
        interfaces: inputs.interfaces,
        own: &standing.collect(),
        left: &left,
    };
    let made = bridge::steps(inputs.answers, ground)?;
    let is_made = |path: &TargetPath| made.iter().any(|step| step.action.path() == Some(path));
    for path in own.into_iter().filter(|path| !is_made(path)) {
        retire::one(inputs, path.as_str(), draft);
    }
    draft.findings.extend(edited.values().copied().map(left_alone));
    draft.steps.extend(made);
    Ok(())
}

/// Whether a file is of a bridge that is left as it is.
pub(super) fn is_left(inputs: &Inputs<'_>, path: &TargetPath) -> bool {
    bridge::of(path.as_str()).is_some_and(|bridge| edited(inputs).contains_key(bridge))
}

/// Names the bridges that are left as they are.
pub(super) fn name_left(inputs: &Inputs<'_>, draft: &mut Draft) {
    draft.findings.extend(edited(inputs).values().copied().map(left_alone));
}

/// The files of bridges that are ours.
fn own<'a>(inputs: &Inputs<'a>) -> impl Iterator<Item = (&'a str, &'a TargetPath)> + use<'a> {
    inputs.ours.files.keys().filter_map(|path| Some((bridge::of(path.as_str())?, path)))
}

/// The bridges that are left, and a file of each that somebody changed.
fn edited<'a>(inputs: &Inputs<'a>) -> BTreeMap<&'a str, &'a TargetPath> {
    let is_changed = |path: &&TargetPath| {
        let (here, own) = (inputs.target.files.get(*path), inputs.ours.files.get(*path));
        here.zip(own).is_some_and(|(here, own)| *here != own.written)
    };
    let changed = own(inputs).map(|(_, path)| path).filter(is_changed);
    bridge::left(changed, |path| inputs.target.files.get(path) == Some(&FileState::Absent))
}

fn left_alone(path: &TargetPath) -> Finding {
    let bridge = bridge::of(path.as_str()).unwrap_or_default();
    Finding::new(
        Code::Bridge,
        Severity::Warning,
        format!("{path} was changed since it was written: everything that makes {bridge} is left as it is"),
        "to have it made by the answers again, delete that file and apply",
    )
    .in_file(path.as_str())
}
