//! What writes: apply, revert, and putting back what a run that was cut off left.

use super::first_boot::{WISH, supersede};
use super::kernel_install::{self, ForTheKernelsOfToday};
use super::{Done, Note, ProvisionError, REFUSAL, followed, keep_reason, left};
use crate::answers::{Answers, Mode, Override, Passthrough};
use crate::apply::{
    Applied, ChangedFile, Options, Outcome, Progress, RevertRequest, Reverted, Runner, State, StepOutcome,
    StepResult, Store, Transaction, View,
};
use crate::facts::{FactsError, Machine, boot_id, firmware_version};
use crate::id::PciAddress;
use crate::plan::{self, OwnFile, Plan, Stage};
use crate::policy::{self, AssignmentRole, Code, Finding, Identity, KILL_SWITCH, Verdict, has_kill_switch};
use crate::root::Root;
use crate::step::FileState;
use crate::verify::Reboot;

/// The file, in the state directory, with the version of the firmware.
pub(super) const FIRMWARE: &str = "firmware";

/// Whether a plan that was saved still fits the machine: everything that it gives away, and the
/// GPU that the host keeps, is where it was and what it was, the host uses none of it since, and this
/// boot has no kill switch.
pub fn still_holds(machine: &Root, target: &Root, plan: &Plan) -> Result<(), ProvisionError> {
    let facts = facts_for(machine, target, plan)?;
    let recorded = plan.assignments.iter().map(Identity::from).chain(plan.host.clone());
    for was in recorded {
        let is = facts.functions.get(&was.address).map(Identity::from);
        if is.as_ref() != Some(&was) {
            let now = is.and_then(|is| is.id).map_or_else(|| "nothing".to_owned(), |id| id.to_string());
            let then = was.id.map_or_else(|| "an unknown device".to_owned(), |id| id.to_string());
            return Err(ProvisionError::MachineChanged(format!(
                "at {} there was {then} when it was planned, and now there is {now}",
                was.address
            )));
        }
    }
    let line = facts.command_line.as_deref().unwrap_or_default();
    // What gives nothing away anew may be carried out in such a boot, too.
    if has_kill_switch(line) && !plan.assignments.is_empty() {
        return Err(ProvisionError::MachineChanged(format!("this boot runs with {KILL_SWITCH}")));
    }
    if plan.decision.verdict == Verdict::Ready
        && !plan.assignments.is_empty()
        && facts.iommu.groups == Some(0)
    {
        return Err(ProvisionError::MachineChanged("the IOMMU is off now, and it was on".to_owned()));
    }
    match losses(machine, &facts, plan).first() {
        Some(loss) => Err(ProvisionError::MachineChanged(loss.message.clone())),
        None => Ok(()),
    }
}

/// The machine, with everything that a plan gives away.
fn facts_for(machine: &Root, target: &Root, plan: &Plan) -> Result<Machine, FactsError> {
    let given: Vec<PciAddress> = plan.assignments.iter().map(|one| one.address).collect();
    Machine::read_for_with(machine, Some(target), &Answers::default(), &given)
}

/// What the host would lose now. What the answers allowed is told by a plan's own findings. A capture is of
/// no machine that runs here, and shows nothing of what a card's own functions are used for.
fn losses(machine: &Root, facts: &Machine, plan: &Plan) -> Vec<Finding> {
    let is_capture = machine.descriptor().is_none();
    let mut assignments = plan.assignments.clone();
    assignments
        .retain(|one| !is_capture || matches!(one.role, AssignmentRole::Device | AssignmentRole::GroupPeer));
    let is_told = |code: Code| plan.decision.findings.iter().any(|finding| finding.code == code);
    let rules = [(Code::HostNetwork, Override::HostNetwork), (Code::HostKeyboard, Override::HostKeyboard)];
    let allow = rules.into_iter().filter(|(code, _)| is_told(*code)).map(|(_, rule)| rule).collect();
    policy::losses(facts, &assignments, &Passthrough { allow, ..Passthrough::default() })
}

/// Carries out a plan in a target, or keeps the reason why not.
pub fn apply(
    machine: &Root,
    target: &Root,
    plan: &Plan,
    options: Options<'_>,
    runner: &mut dyn Runner,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Done, ProvisionError> {
    if !plan.is_allowed() {
        keep_reason(target, &plan.decision);
        return Err(ProvisionError::Refused(Box::new(plan.decision.clone())));
    }
    if !plan.steps.is_empty() {
        nothing_is_lost(machine, target, plan)?;
    }
    let now = boot_id(machine);
    let mut store = Store::open(target, options)?;
    let owed = reboot_owed(&store.view().status()?, now.as_deref());
    if plan.steps.is_empty() {
        forget_refusal(&mut store);
        followed::keep(&mut store, &plan.follows);
        let applied = store.view().status()?;
        if !applied.files.is_empty() {
            keep_firmware(machine, &mut store);
        }
        if applied.rebuilds_due.is_empty() {
            // Copies that stayed while a menu was left to somebody else.
            store.drop_unwanted_copies(&plan.copies)?;
        }
        return Ok(Done {
            changed: false,
            reboot_needed: owed,
            outcome: with_settled(plan, Outcome::default()),
        });
    }
    let note = Note { verdict: plan.decision.verdict, reboot_needed: owed || plan.reboot_needed };
    let transaction = Transaction {
        plan_id: plan.id.clone(),
        stage: plan.stage.name().to_owned(),
        boot_id: now,
        steps: plan.steps.clone(),
        tokens: plan.tokens.clone(),
        copies: plan.copies.clone(),
        retires: plan.decision.mode == Mode::Off,
        note: note.value(),
    };
    let mut runner = ForTheKernelsOfToday::new(machine, target, runner);
    let before = followed::forget(&mut store, &plan.follows)?;
    let outcome = match store.apply(&transaction, &mut runner, progress) {
        Ok(outcome) => outcome,
        Err(error) => {
            followed::restore(&mut store, before);
            return Err(error.into());
        }
    };
    forget_refusal(&mut store);
    followed::keep(&mut store, &plan.follows);
    keep_firmware(machine, &mut store);
    // What was left to somebody else takes effect at the same reboot.
    let has_acted = outcome.steps.iter().any(|step| step.outcome != StepResult::Unchanged);
    let reboot_needed = if has_acted { note.reboot_needed } else { owed };
    Ok(Done { changed: outcome.changed, reboot_needed, outcome: with_settled(plan, outcome) })
}

/// What is given away is looked at once more, and now not to know is a reason to refuse: who inspects may
/// be somebody who cannot see everything, or look at a picture of a machine.
fn nothing_is_lost(machine: &Root, target: &Root, plan: &Plan) -> Result<(), ProvisionError> {
    let found = losses(machine, &facts_for(machine, target, plan)?, plan);
    if found.is_empty() {
        return Ok(());
    }
    let mut decision = plan.decision.clone();
    decision.verdict = Verdict::Refused;
    decision.bind.clear();
    decision.findings.splice(0..0, found);
    keep_reason(target, &decision);
    Err(ProvisionError::Refused(Box::new(decision)))
}

/// Whether a run was cut off in this target, and has to be put back first. One that is writing
/// right now was not.
pub fn is_cut_off(target: &Root) -> Result<bool, ProvisionError> {
    let view = View::open(target)?;
    Ok(view.status()?.state == State::Interrupted && !view.is_busy()?)
}

/// Puts back what a run that was cut off left half done. To be called before planning: a plan that
/// was made from a half-written tree does not fit the tree that this leaves.
pub fn recover(
    machine: &Root,
    target: &Root,
    options: Options<'_>,
    runner: &mut dyn Runner,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), ProvisionError> {
    if is_cut_off(target)? {
        let mut runner = ForTheKernelsOfToday::new(machine, target, runner);
        Store::open(target, options)?.recover(&mut runner, progress)?;
    }
    Ok(())
}

/// What was refused before is of no interest once something else was carried out; that it could
/// not be taken away changes nothing of what was done.
pub(super) fn forget_refusal(store: &mut Store<'_>) {
    for name in [REFUSAL, WISH] {
        if let Err(error) = store.remove_state_file(name) {
            tracing::warn!("{name} of an earlier run could not be removed: {}", error.in_full());
        }
    }
    supersede(store);
}

impl Note {
    fn value(&self) -> serde_json::Value {
        serde_json::json!({ "verdict": self.verdict, "reboot_needed": self.reboot_needed })
    }
}

/// Adds the steps that the plan found already done.
fn with_settled(plan: &Plan, mut outcome: Outcome) -> Outcome {
    outcome.steps.extend(plan.settled.iter().map(|id| StepOutcome {
        id: id.clone(),
        outcome: StepResult::Unchanged,
        who: None,
        why: None,
    }));
    outcome
}

/// Whether the boot that is running began before the last change. Where boots cannot be told
/// apart, a reboot is owed.
pub(super) fn reboot_owed(applied: &Applied, now: Option<&str>) -> bool {
    reboot(applied, now) != Reboot::Done
}

pub(super) fn reboot(applied: &Applied, now: Option<&str>) -> Reboot {
    let Some(last) = &applied.last else { return Reboot::Done };
    let note: Option<Note> = serde_json::from_value(last.note.clone()).ok();
    match (last.boot_id.as_deref(), now) {
        _ if note.is_some_and(|note| !note.reboot_needed) => Reboot::Done,
        (Some(then), Some(now)) if then != now => Reboot::Done,
        (Some(_), Some(_)) => Reboot::Owed,
        _ => Reboot::CannotTell,
    }
}

/// Keeps the version of the firmware that this was applied under. That it could not be kept changes
/// nothing of what was done.
fn keep_firmware(machine: &Root, store: &mut Store<'_>) {
    let Some(version) = firmware_version(machine) else { return };
    let kept = store.view().read_state_file(FIRMWARE).and_then(|kept| {
        let text = version + "\n";
        let is_same = kept.is_some_and(|bytes| bytes == text.as_bytes());
        if is_same { Ok(()) } else { store.write_state_file(FIRMWARE, text.as_bytes()) }
    });
    if let Err(error) = kept {
        tracing::warn!("the firmware's version could not be kept: {}", error.in_full());
    }
}

/// Undoes everything that was applied. Of a file that somebody changed since, only what is ours is
/// taken out; a file of which that cannot be done is left alone and named.
pub fn revert(
    machine: &Root,
    target: &Root,
    options: Options<'_>,
    runner: &mut dyn Runner,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Reverted, ProvisionError> {
    let applied = View::open(target)?.status()?;
    if applied.files.is_empty() && applied.state != State::Interrupted && applied.rebuilds_due.is_empty() {
        return Ok(Reverted::default());
    }
    let request = RevertRequest {
        stage: Stage::All.name().to_owned(),
        boot_id: boot_id(machine),
        note: Note { verdict: Verdict::Ready, reboot_needed: true }.value(),
        also: kernel_install::makes_anew(target, &applied)?,
        held: left::among(target, &applied.drifted, applied.files.iter().map(|file| &file.path)),
    };
    let tokens = applied.tokens;
    let mut store = Store::open(target, options)?;
    let mut merge = |file: &ChangedFile| {
        if kernel_install::is_moot(target, file) {
            return Some(FileState::Absent);
        }
        let (original, written) = (file.original.clone(), file.written.clone());
        plan::without_ours(&file.path, &OwnFile { original, written, is_mixed: true }, &file.present, &tokens)
    };
    let mut runner = ForTheKernelsOfToday::new(machine, target, runner);
    let reverted = store.revert(&request, &mut merge, &mut runner, progress)?;
    forget_refusal(&mut store);
    Ok(reverted)
}
