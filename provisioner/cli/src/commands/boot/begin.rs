//! `boot begin`: counts this boot, and gives the card back where too many were never good.
//!
//! Runs before the display manager. Whatever it cannot do, it says so and ends: nothing waits for
//! more than its unit's limit.

use std::time::Duration;

use neuron_passthrough::boots::{self, LIMIT, Next};
use neuron_passthrough::rebind::{self, Bounded};
use neuron_passthrough::root::Root;

use super::say;
use crate::args::Common;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::roots;

/// For one write into sysfs. A card that is reset can take some seconds.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn run(common: &Common) -> Result<ExitCode, Failure> {
    let (machine, target) = (roots::machine(common)?, roots::target(common)?);
    if boots::in_force(&machine, &target)?.is_none() {
        say(common, "passthrough is not in force in this boot: nothing to count");
        return Ok(ExitCode::Done);
    }
    let begun = boots::begin(&machine, &target)?;
    // First what is to be done, then whether it could be remembered.
    match begun.next {
        Next::Try(number) => {
            say(common, &format!("boot {number} of {LIMIT} that may fail to become good"));
        }
        Next::GiveBack { again: false } => {
            say(common, &format!("{LIMIT} boots in a row were never good: the card goes back to the host"));
            give_back(common, &machine)?;
        }
        Next::GiveBack { again: true } => {
            say(common, "the card was given back to the host, and nobody said otherwise since");
            give_back(common, &machine)?;
        }
    }
    begun.saved.map_err(boots::BootsError::from)?;
    Ok(ExitCode::Done)
}

fn give_back(common: &Common, machine: &Root) -> Result<(), Failure> {
    let mut hand = Bounded::new(machine, PATIENCE)
        .map_err(|source| Failure::file("open", &common.machine_root, source))?;
    let done = rebind::give_back(machine, &mut hand)?;
    for bound in &done.returned {
        let driver = bound.driver.as_deref().unwrap_or("no driver yet");
        say(common, &format!("{}: {driver}", bound.address));
    }
    if done.failed.is_empty() {
        return Ok(());
    }
    let failed: Vec<String> = done.failed.into_iter().map(|error| Failure::from(error).message()).collect();
    Err(Failure::NotGivenBack(failed.join("; ")))
}
