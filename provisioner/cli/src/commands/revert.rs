//! `revert`: everything as it was.

mod domains;

use std::fmt::Write as _;

use neuron_passthrough::apply::{Reverted, StepResult};
use neuron_passthrough::boots;
use neuron_passthrough::provision::{self, ProvisionError};

use crate::args::{Common, RevertOptions};
use crate::commands::revert::domains::Domains;
use crate::commands::{apply, consent};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::interrupt::Stop;
use crate::progress::Steps;
use crate::report::ResultReport;
use crate::{narrate, notice, render, roots};

pub(crate) fn run(common: &Common, options: &RevertOptions) -> Result<ExitCode, Failure> {
    let (machine, target) = (roots::machine(common)?, roots::target(common)?);
    let status = provision::status(&machine, &target)?;
    let domains = Domains::look(common, &target)?;
    let nothing = status.files.is_empty()
        && status.due_rebuilds.is_empty()
        && !status.interrupted
        && domains.are_none();
    if nothing && !status.in_progress {
        boots::forget(&target).map_err(ProvisionError::from)?;
        provision::let_go(&target).map_err(ProvisionError::from)?;
        notice::withdraw(&machine);
        let nothing = ResultReport::new(false, false, Vec::new());
        return Ok(apply::told(finish(common, &nothing, false), code(&nothing)));
    }
    if !common.json && !common.quiet {
        let mut text = domains.text();
        text.push_str("These files go back to what they were:\n");
        for path in &status.files {
            let _ = writeln!(text, "  {path}");
        }
        render::print(&text)?;
    }
    if !options.yes {
        consent::ask("Put them back now?", "use --yes")?;
    }
    let stop = Stop::watch()?;
    let reverted = {
        let steps = Steps::new(common);
        let mut runner = apply::runner(options.no_reload, &target, &stop);
        provision::revert(&machine, &target, stop.options(), runner.as_mut(), &mut |progress| {
            steps.show(&progress);
        })
    };
    match reverted {
        Ok(reverted) => {
            let waits = reverted.waits;
            let (mut report, code) = outcome(reverted);
            // While an image or a menu is still to be made, what boots next may claim all the same.
            if !is_something_due(&report) {
                boots::forget(&target).map_err(ProvisionError::from)?;
            }
            notice::withdraw(&machine);
            let is_unknown = domains.are_unknown();
            let undefined = domains.take_back(&target);
            report.changed |= undefined.iter().any(|step| step.outcome != StepResult::Deferred);
            let is_half_done = undefined.iter().any(|step| step.outcome == StepResult::Failed);
            report.steps.extend(undefined);
            let code = if is_half_done || is_unknown { ExitCode::NotPutBack } else { code };
            Ok(apply::told(finish(common, &report, waits), code))
        }
        Err(error) => Err(apply::ended(error, &stop)),
    }
}

fn finish(common: &Common, report: &ResultReport, waits: bool) -> Result<(), Failure> {
    if common.json {
        return render::json(report);
    }
    if common.quiet {
        narrate::part(&apply::deferred(report));
        return render::print(&left(report));
    }
    render::print(&text(report, waits))
}

/// How a revert ended, as a document and as an exit code.
pub(crate) fn outcome(reverted: Reverted) -> (ResultReport, ExitCode) {
    let changed = reverted.outcome.changed;
    let mut report = ResultReport::new(changed, changed, reverted.outcome.steps);
    (report.left, report.merged) = (reverted.left, reverted.merged);
    let code = code(&report);
    (report, code)
}

fn code(report: &ResultReport) -> ExitCode {
    let foreign = !report.left.is_empty() || !report.merged.is_empty();
    match (foreign, report.reboot_needed) {
        (true, _) => ExitCode::Changed,
        (false, true) => ExitCode::RebootNeeded,
        (false, false) => ExitCode::Done,
    }
}

/// Whether a program that makes an image or a menu was left to others.
fn is_something_due(report: &ResultReport) -> bool {
    report.steps.iter().any(|step| step.outcome == StepResult::Deferred && !domains::is_of_domain(step))
}

/// How a revert ended, for a person; `waits` where the way back stays for now.
pub(crate) fn text(report: &ResultReport, waits: bool) -> String {
    let mut text = apply::deferred(report) + &left(report);
    text.push_str(if report.changed { "\nReverted.\n" } else { "Nothing to revert.\n" });
    if report.reboot_needed {
        text.push_str(if is_something_due(report) && waits {
            "Next: have that done first: until then the machine still boots with what was built before. Then \
             `neuron-provisioner revert` once more: the way back goes last.\n"
        } else if is_something_due(report) {
            "Next: have that done first: until then the machine still boots with what was built before. Then \
             reboot, and the GPU is the host's again.\n"
        } else if report.left.is_empty() && report.merged.is_empty() {
            "Next: reboot, and the GPU is the host's again.\n"
        } else {
            "Next: look at these files, since they may still give the GPU away; then reboot.\n"
        });
    }
    text
}

/// What somebody else changed since.
fn left(report: &ResultReport) -> String {
    let mut text = String::new();
    for path in &report.left {
        let _ = writeln!(text, "{path} was changed by somebody else since; it was left as it is.");
    }
    for path in &report.merged {
        let _ =
            writeln!(text, "{path} was changed by somebody else since; only what was ours was taken out.");
    }
    text
}
