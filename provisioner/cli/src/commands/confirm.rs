//! `confirm`: ends the trial; passthrough becomes the default entry.

use neuron_passthrough::apply::Progress;
use neuron_passthrough::boots;
use neuron_passthrough::provision::{self, Done, ProvisionError};
use neuron_passthrough::root::Root;

use crate::args::{Common, ConfirmOptions};
use crate::commands::apply;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::interrupt::Stop;
use crate::progress::Steps;
use crate::report::ResultReport;
use crate::{narrate, render, roots};

pub(crate) fn run(common: &Common, options: &ConfirmOptions) -> Result<ExitCode, Failure> {
    let (machine, target) = (roots::machine(common)?, roots::target(common)?);
    let was_on = provision::trial(&target)?.is_some();
    let done = {
        let steps = Steps::new(common);
        carry_out(&machine, &target, options, &mut |progress| steps.show(&progress))?
    };
    let (report, code) = apply::outcome(done);
    Ok(apply::told(finish(common, &report, was_on), code))
}

/// Ends the trial. Nobody is asked: whoever confirms has answered.
pub(super) fn carry_out(
    machine: &Root,
    target: &Root,
    options: &ConfirmOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Done, Failure> {
    let planned = provision::plan_confirm(machine, target, options.unproven)?;
    let stop = Stop::watch()?;
    let mut runner = apply::runner(options.no_reload, target, &stop);
    let done = provision::apply(machine, target, &planned.plan, stop.options(), runner.as_mut(), progress);
    let mut done = done.map_err(|error| apply::ended(error, &stop))?;
    done.reboot_needed |= boots::clear(machine, target).map_err(ProvisionError::from)?;
    Ok(done)
}

fn finish(common: &Common, report: &ResultReport, was_on: bool) -> Result<(), Failure> {
    if common.json {
        return render::json(report);
    }
    if common.quiet {
        narrate::part(&apply::deferred(report));
        return Ok(());
    }
    render::print(&text(report, was_on))
}

fn text(report: &ResultReport, was_on: bool) -> String {
    let mut text = apply::deferred(report);
    text.push_str(match (was_on, report.changed) {
        (true, _) => "Kept: passthrough is the default from now on.\n",
        (false, _) => "Nothing to confirm: no trial is on.\n",
    });
    if report.reboot_needed {
        text.push_str("This boot has not shown it: reboot, and look whether the picture is there.\n");
    }
    text
}
