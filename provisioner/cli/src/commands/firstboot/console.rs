//! `firstboot asks` and `firstboot wizard`: a person is asked on the console, before the display manager.
//!
//! The first is the condition of the unit whose work the second is: no console is taken where there is
//! nothing to ask. That somebody is asked is kept before it is done, with the end that it has when nothing
//! else is heard of it: whatever happens, it comes up once in every state.

use neuron_passthrough::provision::{self, Asking, FirstBoot, FirstBootOutcome, ProvisionError};
use neuron_passthrough::root::Root;

use crate::args::{Common, ConsoleOptions, WizardOptions};
use crate::commands::wizard;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::{keyboard, narrate, notice, render, roots};

/// What is told until somebody has answered.
const UNANSWERED: &str = "it was not set up yet, since nobody answered the questions of the first boot. \
                          `neuron-provisioner wizard` asks them again, `neuron-provisioner revert` drops them.";
/// The same where an installer did the rest.
const REST_UNANSWERED: &str = "Looking Glass and the virtual machine are not set up yet, since nobody answered the \
                               questions of the first boot. `neuron-provisioner wizard` asks them again; \
                               `neuron-provisioner apply` leaves it at what there is.";
const AGAIN: &str = "`neuron-provisioner wizard` asks again.";
const REBOOT: &str = "it is set up: reboot to put it into effect. `neuron-provisioner revert` undoes it.";

/// Whether somebody is to be asked; writes nothing.
pub(super) fn asks(common: &Common) -> Result<ExitCode, Failure> {
    match look(common, &roots::machine(common)?, &roots::target(common)?)? {
        Asking::Now(_) => Ok(ExitCode::Done),
        Asking::No(why) => {
            say(common, &why);
            Ok(ExitCode::Failed)
        }
    }
}

fn look(common: &Common, machine: &Root, target: &Root) -> Result<Asking, Failure> {
    Ok(provision::asking(machine, target, &roots::source(common, target)?)?)
}

/// For the journal.
fn say(common: &Common, why: &str) {
    if !common.quiet {
        narrate::line(&format!("first boot: nobody is asked: {why}"));
    }
}

/// Asks, where somebody is to be asked.
pub(super) fn wizard(common: &Common, options: &ConsoleOptions) -> Result<ExitCode, Failure> {
    let (machine, target) = (roots::machine(common)?, roots::target(common)?);
    let about = match look(common, &machine, &target)? {
        Asking::Now(about) => about,
        Asking::No(why) => {
            say(common, &why);
            return Ok(ExitCode::Done);
        }
    };
    wizard::need_terminal()?;
    let untold = if about.is_in_force { REST_UNANSWERED } else { UNANSWERED };
    let record = FirstBoot::load(&target)?.unwrap_or_default();
    record.asked(about.state, untold.to_owned()).keep(&target).map_err(ProvisionError::from)?;
    notice::leave(&machine, untold);
    let asking = WizardOptions { plain: false, idle_timeout: Some(options.seconds.into()), no_reload: false };
    let ended = wizard::run_from(common, &asking, &about.source);
    let kept = match &ended {
        Ok(_)
        | Err(
            Failure::Interrupted | Failure::PutBack { .. } | Failure::Provision(ProvisionError::Refused(_)),
        ) => keep(&machine, &target, FirstBootOutcome::Done, String::new()),
        // It is kept so already.
        Err(Failure::NobodyAnswered { .. }) => Ok(()),
        Err(failure) => {
            let message = format!("the dialogue of the first boot failed: {}. {AGAIN}", failure.message());
            keep(&machine, &target, FirstBootOutcome::Failed, message)
        }
    };
    // What is done is done, and what failed is the worse news.
    if let Err(error) = kept {
        tracing::warn!("how the dialogue ended could not be kept: {}", error.message());
    }
    match ended {
        Ok(code @ (ExitCode::Done | ExitCode::RebootNeeded)) => {
            if code == ExitCode::RebootNeeded {
                notice::leave(&machine, REBOOT);
            }
            wait_for_a_reader(options.seconds)?;
            Ok(code)
        }
        ended => ended,
    }
}

/// Keeps how it ended, and tells whoever has to know.
fn keep(machine: &Root, target: &Root, outcome: FirstBootOutcome, message: String) -> Result<(), Failure> {
    if message.is_empty() {
        notice::withdraw(machine);
    } else {
        notice::leave(machine, &message);
    }
    let record = FirstBoot::load(target)?.unwrap_or_default();
    Ok(record.ended(outcome, message, None).keep(target).map_err(ProvisionError::from)?)
}

/// The desktop would cover what is to be read: it waits until that is done, or until nobody is there.
fn wait_for_a_reader(seconds: u16) -> Result<(), Failure> {
    narrate::line(&render::wrapped_for_stderr(
        &format!(
            "Press any key when you have read this: then the system goes on. Without one it does so in {seconds} seconds."
        ),
        "",
        "",
    ));
    // Whatever is heard, all of it is done.
    keyboard::listen(seconds, &mut |_| ()).map(drop)
}
