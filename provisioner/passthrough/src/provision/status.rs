//! Where a set-up stands.

use super::carry_out::reboot_owed;
use super::doctor::recorded;
use super::{
    FirstBoot, Note, ProvisionError, REFUSAL, Standing, Status, TrialStage, again, kernel_install, left,
    runs_without,
};
use crate::apply::{Applied, Operation, State, View};
use crate::facts::boot_id;
use crate::guest::looking_glass;
use crate::id::TargetPath;
use crate::plan::{ANSWERS, TRIAL};
use crate::policy::Verdict;
use crate::root::Root;
use crate::step::HEAD_MARK;
use crate::{binding, boots, initramfs, verify};

/// Where a target's set-up stands; creates nothing.
pub fn status(machine: &Root, target: &Root) -> Result<Status, ProvisionError> {
    let view = View::open(target)?;
    let applied = kernel_install::settled(target, &view)?;
    let busy = view.is_busy()?;
    let refusal = view.read_state_file(REFUSAL)?;
    // Their names only: what they held before is for root alone to see.
    let ours = applied.files.iter().filter(|file| !file.is_taken_back);
    let ours: Vec<TargetPath> = ours.map(|file| file.path.clone()).collect();
    let now = boot_id(machine);
    let boots = boots::load(target)?;
    let is_wanted_again = boots.wanted_in.is_some() && boots.wanted_in == now;
    let owed =
        applied.state != State::Unconfigured && (is_wanted_again || reboot_owed(&applied, now.as_deref()));
    let mut drifted = applied.drifted.clone();
    if matches!(applied.state, State::Unconfigured | State::Reverted) {
        drifted.extend(orphans(target)?);
    }
    // Nothing of ours hangs on such a bridge, and every apply leaves it: there is nothing to see to.
    let left = left::among(target, &drifted, &drifted);
    let is_drifted = drifted.iter().any(|path| !left.contains(path));
    let mut standing = standing(&applied, &ours, is_drifted, owed, busy);
    let not_in_force = if matches!(standing, Standing::Active | Standing::Pending | Standing::Trial) && !busy
    {
        verify::not_in_force(machine, target, &recorded(machine, target, &view, &applied)?)
    } else {
        Vec::new()
    };
    if boots.given_back.is_some()
        && matches!(standing, Standing::Active | Standing::Pending | Standing::Trial)
    {
        standing = Standing::GivenBack;
    } else if !not_in_force.is_empty() {
        standing = Standing::Drifted;
    }
    Ok(Status {
        standing,
        trial: trial_stage(machine, target, &view, owed)?,
        runs_without: runs_without(machine)?,
        boots,
        reboot_needed: owed,
        files: ours,
        drifted,
        left,
        parameters: applied.tokens.clone(),
        open_rebuilds: applied.rebuilds_open.clone(),
        due_rebuilds: applied.rebuilds_due.clone(),
        interrupted: applied.state == State::Interrupted && !busy,
        reverting: is_reverting(&applied) && !busy,
        in_progress: busy,
        not_in_force,
        refusal: refusal.and_then(|bytes| serde_json::from_slice(&bytes).ok()),
        first_boot: FirstBoot::shown(target)?,
    })
}

/// Whether the last thing that was done is a revert that is not whole.
pub(super) fn is_reverting(applied: &Applied) -> bool {
    let last = applied.last.as_ref().map(|last| last.operation);
    applied.state == State::Applied && last == Some(Operation::Revert)
}

/// Where the trial stands that is on. A record that cannot be understood is no reason to say nothing of
/// everything else.
fn trial_stage(
    machine: &Root,
    target: &Root,
    view: &View<'_>,
    owed: bool,
) -> Result<Option<TrialStage>, ProvisionError> {
    let recorded = again::recorded(view).unwrap_or_else(|error| {
        tracing::warn!("{error}");
        None
    });
    let Some(record) = recorded else { return Ok(None) };
    Ok(Some(match (owed, boots::in_force(machine, target)?, record.once) {
        (true, ..) => TrialStage::Waits,
        (false, Some(_), _) => TrialStage::Runs,
        (false, None, Some(_)) => TrialStage::Over,
        (false, None, None) => TrialStage::Aside,
    }))
}

/// Files that say that we wrote them and of which the journal knows nothing: it was lost, as after
/// a snapshot of the root was rolled back.
pub(super) fn orphans(target: &Root) -> Result<Vec<TargetPath>, ProvisionError> {
    let mut found = Vec::new();
    let drop_ins = initramfs::ALL.iter().map(|generator| generator.drop_in());
    let whole = drop_ins.chain(looking_glass::WHOLE);
    for path in [binding::VFIO_CONF, binding::VFIO_DEVICES].into_iter().chain(whole) {
        let state = target.file_state(path)?;
        let is_ours =
            |text: &str| text.trim_start().starts_with(HEAD_MARK) || looking_glass::is_ours_by_head(text);
        if state.text().is_some_and(is_ours) {
            found.extend(path.parse());
        }
    }
    Ok(found)
}

fn standing(
    applied: &Applied,
    ours: &[TargetPath],
    is_drifted: bool,
    reboot_owed: bool,
    busy: bool,
) -> Standing {
    let verdict = applied.last.as_ref().and_then(|last| {
        let note: Note = serde_json::from_value(last.note.clone()).ok()?;
        Some(note.verdict)
    });
    let only_answers = ours.iter().all(|path| path.as_str() == ANSWERS);
    match applied.state {
        _ if busy => Standing::Pending,
        State::Interrupted => Standing::Drifted,
        _ if is_drifted => Standing::Drifted,
        _ if !applied.rebuilds_due.is_empty() => Standing::Pending,
        State::Unconfigured => Standing::Unconfigured,
        State::Reverted => Standing::Reverted,
        State::Applied if is_reverting(applied) => Standing::Pending,
        // Also before the reboot: from the apply that began it until somebody confirms it.
        State::Applied if ours.iter().any(|path| path.as_str() == TRIAL) => Standing::Trial,
        State::Applied if reboot_owed || verdict == Some(Verdict::Pending) => Standing::Pending,
        State::Applied if only_answers => Standing::Unconfigured,
        State::Applied => Standing::Active,
    }
}
