//! `boot good`: waits until this boot has shown that it is good. Then the count begins anew, and what
//! the boot started is kept for the entry without passthrough.
//!
//! What shows it is the library's to say (`boots`); here it is waited for. It runs beside the
//! desktop and keeps nothing waiting.

use std::thread;
use std::time::Duration;

use neuron_passthrough::apply::{ApplyError, Chroot};
use neuron_passthrough::boots::{self, BootsError};
use neuron_passthrough::provision::{self, ProvisionError, Renewed, Source};
use neuron_passthrough::root::Root;

use super::say;
use super::witness::{Wanted, Witness};
use crate::args::Common;
use crate::commands::apply;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::interrupt::Stop;
use crate::roots;

/// How often is looked.
const POLL: Duration = Duration::from_secs(3);
/// How soon a wish for an end is noticed.
const TICK: Duration = Duration::from_millis(100);

pub(crate) fn run(common: &Common) -> Result<ExitCode, Failure> {
    let (machine, target) = (roots::machine(common)?, roots::target(common)?);
    if boots::in_force(&machine, &target)?.is_none() {
        say(common, "passthrough is not in force in this boot: it proves nothing");
        return Ok(ExitCode::Done);
    }
    if boots::load(&target).map_err(BootsError::from)?.given_back.is_some() {
        say(common, "the card was given back to the host: this boot proves nothing");
        return Ok(ExitCode::Done);
    }
    let stop = Stop::watch()?;
    if !is_shown(&machine, wanted(&target), &stop)? {
        return Ok(ExitCode::Done);
    }
    if !mark(&target, &stop)? {
        return Ok(ExitCode::Done);
    }
    say(common, "this boot was good");
    renew(common, &machine, &target, &stop)?;
    Ok(ExitCode::Done)
}

/// What this boot started becomes what the entry without passthrough starts.
fn renew(common: &Common, machine: &Root, target: &Root, stop: &Stop) -> Result<(), Failure> {
    let mut runner = Chroot::new(target).ended_by(|| stop.ends_program());
    let renewed = provision::renew(machine, target, || stop.options(), &mut runner, &mut |_| ());
    match renewed {
        Ok(Renewed::Done(_)) => {
            say(
                common,
                "the entry without passthrough starts copies of this kernel and its image from now on",
            );
        }
        Ok(Renewed::AsBefore) => {}
        Ok(Renewed::NotNow(why)) => {
            say(common, &format!("the entry without passthrough keeps the copies that it has: {why}"));
        }
        // Somebody else writes; the next boot that is good does this.
        Err(ProvisionError::Apply(ApplyError::Busy { path })) => {
            say(common, &format!("{path}: somebody else is writing, so no copies are made after this boot"));
        }
        Err(error) => return Err(apply::ended(error, stop)),
    }
    Ok(())
}

/// Answers that cannot be read ask for a person: what is not known is not shown.
fn wanted(target: &Root) -> Wanted {
    match provision::answers(target, &Source::Target) {
        Ok(answers) if !answers.passthrough.trial => Wanted::Target,
        Ok(_) => Wanted::Person,
        Err(error) => {
            tracing::warn!("{error}; a person has to log in at the screen");
            Wanted::Person
        }
    }
}

/// Waits; `false` when the system goes down before.
fn is_shown(machine: &Root, wanted: Wanted, stop: &Stop) -> Result<bool, Failure> {
    let mut witness = Witness::new(machine, wanted);
    while !stop.is_wanted() {
        if witness.is_shown().map_err(Failure::Witness)? {
            return Ok(true);
        }
        pause(stop);
    }
    Ok(false)
}

/// Writes it down, as soon as nobody else writes.
fn mark(target: &Root, stop: &Stop) -> Result<bool, Failure> {
    while !stop.is_wanted() {
        match boots::mark_good(target) {
            Err(BootsError::Apply(ApplyError::Busy { .. })) => pause(stop),
            other => return Ok(other.map(|()| true)?),
        }
    }
    Ok(false)
}

fn pause(stop: &Stop) {
    let mut left = POLL;
    while left > Duration::ZERO && !stop.is_wanted() {
        thread::sleep(TICK);
        left = left.saturating_sub(TICK);
    }
}
