//! `boot good`: waits until this boot has shown that it is good, then the count begins anew.
//!
//! What shows it is the library's to say (`boots`); here it is waited for. It runs beside the
//! desktop and keeps nothing waiting.

use std::thread;
use std::time::Duration;

use neuron_passthrough::apply::ApplyError;
use neuron_passthrough::boots::{self, BootsError};
use neuron_passthrough::provision::{self, Source};
use neuron_passthrough::root::Root;

use super::say;
use super::witness::{Wanted, Witness};
use crate::args::Common;
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
    Ok(ExitCode::Done)
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
