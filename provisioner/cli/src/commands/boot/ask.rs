//! `boot ask`: on the first boot with passthrough, somebody has to say that the picture is there.
//!
//! Runs on the console before the display manager. Silence goes back: into the entry without
//! passthrough where that is the default, else the card is given back in this boot. Plain lines, no
//! control sequences: whatever shows them is good enough.

use std::io::{self, Write};
use std::time::Duration;

use neuron_passthrough::apply::{Chroot, RunResult, Runner};
use neuron_passthrough::boots;
use neuron_passthrough::plan::TrialRecord;
use neuron_passthrough::provision;
use neuron_passthrough::rebind::{self, Bounded};
use neuron_passthrough::root::Root;

use crate::args::{AskOptions, Common, ConfirmOptions};
use crate::commands::confirm;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::keyboard::{self, Heard};
use crate::roots;

/// For one write into sysfs. A card that is reset can take some seconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the time that is left is told where a line cannot be written over.
const SELDOM: u16 = 10;

pub(crate) fn run(common: &Common, options: &AskOptions) -> Result<ExitCode, Failure> {
    let (machine, target) = (roots::machine(common)?, roots::target(common)?);
    let Some(record) = provision::asks(&machine, &target)? else {
        say("This boot is not on trial: there is nothing to ask.\n");
        return Ok(ExitCode::Done);
    };
    say(&question(&record, options.seconds));
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    let heard =
        keyboard::listen(options.seconds, &mut |left| say(&left_text(left, options.seconds, is_dumb)))?;
    say("\n\n");
    match heard {
        Heard::Key => keep(&machine, &target),
        Heard::Ended => Ok(ExitCode::Done),
        // Somebody may have confirmed it from elsewhere meanwhile.
        Heard::No | Heard::Silence | Heard::Nobody if matches!(provision::trial(&target), Ok(None)) => {
            say("  It was kept from elsewhere.\n");
            Ok(ExitCode::Done)
        }
        Heard::No => {
            go_back(common, &machine, &target, &record, "at the screen somebody did not want to keep it")
        }
        Heard::Silence => go_back(
            common,
            &machine,
            &target,
            &record,
            "nobody pressed a key at the screen of the first boot",
        ),
        Heard::Nobody => go_back(
            common,
            &machine,
            &target,
            &record,
            "nobody could be asked at the screen of the first boot",
        ),
    }
}

fn question(record: &TrialRecord, seconds: u16) -> String {
    let back = if record.once.is_some() {
        "this computer starts again, without passthrough."
    } else {
        "the card goes back to this computer."
    };
    format!(
        "\n\n  GPU passthrough: is the picture all right?\n\n  \
         From this boot on, one graphics card of this computer is kept for a virtual\n  \
         machine. Who can read this still has a picture, on the other one.\n\n      \
         Press any key to keep it so.\n\n  \
         Without a key in {seconds} seconds, or with Ctrl-C,\n  {back}\n\n"
    )
}

fn left_text(left: u16, of: u16, is_dumb: bool) -> String {
    let seconds = if left == 1 { "second" } else { "seconds" };
    match is_dumb {
        false => format!("\r  {left} {seconds} left    "),
        true if left == of || left.is_multiple_of(SELDOM) => format!("  {left} {seconds} left\n"),
        true => String::new(),
    }
}

fn keep(machine: &Root, target: &Root) -> Result<ExitCode, Failure> {
    say("  A key was pressed: passthrough stays. Making it the default ...\n");
    // Nothing moves on a console that may know only lines.
    match confirm::carry_out(machine, target, &ConfirmOptions::default(), &mut |_| {}) {
        Ok(_) => {
            say("  Done.\n\n");
            Ok(ExitCode::Done)
        }
        Err(failure) => {
            say("  That did not work. In this boot the picture stays as it is; the next one\n  \
                 asks again, or starts without passthrough. The reason:\n\n");
            Err(failure)
        }
    }
}

/// First it is remembered, so that no later boot asks or gives away; then it is done.
fn go_back(
    common: &Common,
    machine: &Root,
    target: &Root,
    record: &TrialRecord,
    because: &str,
) -> Result<ExitCode, Failure> {
    let remembered = boots::give_back(machine, target, because);
    say("  Nobody keeps it: the card goes back.\n");
    if record.once.is_some() && is_rebooting(target) {
        remembered?;
        return Ok(ExitCode::Done);
    }
    let mut hand = Bounded::new(machine, PATIENCE)
        .map_err(|source| Failure::file("open", &common.machine_root, source))?;
    let done = rebind::give_back(machine, &mut hand)?;
    remembered?;
    if done.failed.is_empty() {
        say("  The card belongs to this computer again.\n\n");
        return Ok(ExitCode::Done);
    }
    let failed: Vec<String> = done.failed.into_iter().map(|error| Failure::from(error).message()).collect();
    Err(Failure::NotGivenBack(failed.join("; ")))
}

/// Starts the machine again; the default is the entry without passthrough.
fn is_rebooting(target: &Root) -> bool {
    let reboot = ["systemctl", "--no-block", "reboot"].map(str::to_owned);
    match Chroot::new(target).run(&reboot) {
        RunResult::Done => true,
        RunResult::Deferred { why, .. } | RunResult::Failed { why } => {
            tracing::warn!("it does not start again by itself: {why}");
            false
        }
        RunResult::Postponed => false,
    }
}

/// To the person at the console. One that is gone is no reason to do nothing.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
