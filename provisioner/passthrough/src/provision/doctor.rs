//! The look after the reboot: what the journal knows, handed to who checks as plain data.

use super::carry_out::{FIRMWARE, reboot};
use super::define::read;
use super::domains::{Defined, Domains};
use super::guest::render;
use super::status::orphans;
use super::{Note, ProvisionError, REFUSAL, Source, answers, kernel_install, left};
use crate::answers::Answers;
use crate::apply::{Applied, State, View};
use crate::boots;
use crate::facts::boot_id;
use crate::root::Root;
use crate::verify::{self, Check, KnownDomain, Missing, Reboot, Recorded, in_full};

/// Looks whether what was applied holds; writes nothing. A journal that cannot be read is a finding,
/// and everything else is looked at all the same.
pub fn doctor(machine: &Root, target: &Root) -> Result<Vec<Check>, ProvisionError> {
    let opened = View::open(target).and_then(|view| view.status().map(|_| view));
    let mut recorded = match opened {
        Ok(view) => recorded(machine, target, &view, &kernel_install::settled(target, &view)?)?,
        Err(error) => Recorded::of_no_journal(error.in_full(), orphans(target)?, given(target)),
    };
    recorded.domains = domains(machine, target).map_err(|error| missing(&error));
    Ok(verify::report(machine, target, &recorded))
}

/// A refusal is an answer; what could not be read is none.
fn missing(error: &ProvisionError) -> Missing {
    let why = in_full(error);
    match error {
        ProvisionError::Domains(_)
        | ProvisionError::Refused(_)
        | ProvisionError::Domain(_)
        | ProvisionError::Answers { .. } => Missing::Broken(why),
        _ => Missing::Unreadable(why),
    }
}

/// What was defined, and what would be now, with what libvirt could do then.
fn domains(machine: &Root, target: &Root) -> Result<Vec<KnownDomain>, ProvisionError> {
    let answers = answers(target, &Source::Target);
    let known = |(name, defined): (String, Defined)| {
        let again = answers.as_ref().map_err(missing).and_then(|answers| {
            let as_it_is = defined.understood.as_ref().unwrap_or(&defined.rendered);
            let kept = read(&name, as_it_is).map(|there| there.kept);
            kept.and_then(|kept| render(machine, target, answers, &name, &defined.capabilities, Some(&kept)))
                .map(|domain| domain.xml)
                .map_err(|error| missing(&error))
        });
        let Defined { connect, uuid, rendered, understood, .. } = defined;
        KnownDomain { name, connect, uuid, rendered, understood, again }
    };
    Ok(Domains::load(target)?.defined.into_iter().map(known).collect())
}

fn given(target: &Root) -> Result<Answers, String> {
    answers(target, &Source::Target).map_err(|error| error.to_string())
}

/// What the journal says, for who must not read it.
pub(super) fn recorded(
    machine: &Root,
    target: &Root,
    view: &View<'_>,
    applied: &Applied,
) -> Result<Recorded, ProvisionError> {
    let is_busy = view.is_busy()?;
    let mut drifted = applied.drifted.clone();
    if matches!(applied.state, State::Unconfigured | State::Reverted) {
        drifted.extend(orphans(target)?);
    }
    let text = |name: &str| -> Result<Option<String>, ProvisionError> {
        Ok(view.read_state_file(name)?.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()))
    };
    let note: Option<Note> =
        applied.last.as_ref().and_then(|last| serde_json::from_value(last.note.clone()).ok());
    let boots = boots::load(target)?;
    let ours = applied.files.iter().filter(|file| !file.is_taken_back);
    Ok(Recorded {
        unreadable: None,
        files: ours.map(|file| file.path.clone()).collect(),
        left: left::among(target, &drifted, &drifted),
        drifted,
        unseen: applied.unseen.clone(),
        parameters: applied.tokens.clone(),
        open_rebuilds: applied.rebuilds_open.clone(),
        due_rebuilds: applied.rebuilds_due.clone(),
        is_busy,
        is_cut_off: applied.state == State::Interrupted && !is_busy,
        is_reverted: applied.state == State::Reverted,
        reboot: if applied.state == State::Unconfigured {
            Reboot::Done
        } else {
            reboot(applied, boot_id(machine).as_deref())
        },
        verdict: note.map(|note| note.verdict),
        refusal: text(REFUSAL)?.and_then(|text| serde_json::from_str(&text).ok()),
        unproven_boots: boots.unproven.len(),
        given_back: boots.given_back.map(|given| given.because),
        firmware: text(FIRMWARE)?,
        answers: given(target),
        domains: Ok(Vec::new()),
    })
}
