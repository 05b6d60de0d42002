//! `apply`: plan and write.

use console::style;
use neuron_passthrough::apply::{Chroot, Deferred, ErrorKind, Runner, StepResult};
use neuron_passthrough::plan::{Plan, PlanDocument, Stage};
use neuron_passthrough::provision::{self, Done, ProvisionError};
use neuron_passthrough::root::Root;

use crate::args::{ApplyOptions, Common};
use crate::commands::consent;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::interrupt::Stop;
use crate::progress::Steps;
use crate::report::ResultReport;
use crate::{render, roots};

pub(crate) fn run(common: &Common, options: &ApplyOptions) -> Result<ExitCode, Failure> {
    let (machine, target) = (roots::machine(common)?, roots::target(common)?);
    let plan = plan(common, options, &machine, &target)?;
    let document = PlanDocument::from(&plan);
    if !common.json && !common.quiet {
        render::print(&render::plan(&document))?;
    }
    if plan.is_allowed() && !plan.steps.is_empty() && !options.yes {
        consent::ask("Write this now?", "review it with `plan`, then use --yes")?;
    }
    let stop = Stop::watch()?;
    let done = {
        let steps = Steps::new(common);
        let mut runner = runner(options.no_reload, &target);
        provision::apply(&machine, &target, &plan, stop.options(), runner.as_mut(), &mut |progress| {
            steps.show(&progress);
        })
    };
    match done {
        Ok(done) => finish(common, done),
        Err(error) => Err(report_failure(common, error, &stop)?),
    }
}

/// Who builds the initramfs and the boot menu.
pub(super) fn runner<'a>(no_reload: bool, target: &'a Root) -> Box<dyn Runner + 'a> {
    if no_reload {
        Box::new(Deferred { who: "whoever gave --no-reload".to_owned() })
    } else {
        Box::new(Chroot::new(target))
    }
}

fn plan(common: &Common, options: &ApplyOptions, machine: &Root, target: &Root) -> Result<Plan, Failure> {
    match &options.plan {
        Some(path) => {
            let problem = |problem| Failure::Plan { path: path.clone(), problem };
            PlanDocument::parse(&roots::read(path)?).map_err(problem)
        }
        None => Ok(provision::plan(machine, target, &roots::source(common)?, Stage::All)?.plan),
    }
}

/// With `--json` a failure is a result as well; the error goes on to standard error and exit code.
pub(super) fn report_failure(
    common: &Common,
    error: ProvisionError,
    stop: &Stop,
) -> Result<Failure, Failure> {
    if common.json {
        let steps = match &error {
            ProvisionError::Apply(neuron_passthrough::apply::ApplyError::Failed(failure)) => {
                failure.steps.clone()
            }
            _ => Vec::new(),
        };
        let mut report = ResultReport::new(false, false, steps);
        report.error = Some(error.to_string());
        render::json(&report)?;
    }
    let put_back = matches!(&error, ProvisionError::Apply(error) if error.kind() == ErrorKind::Failed);
    Ok(if put_back && stop.is_wanted() { Failure::Interrupted } else { error.into() })
}

fn finish(common: &Common, done: Done) -> Result<ExitCode, Failure> {
    let code = if done.reboot_needed { ExitCode::RebootNeeded } else { ExitCode::Done };
    let report = ResultReport::new(done.changed, done.reboot_needed, done.outcome.steps);
    if common.json {
        render::json(&report)?;
    } else {
        say_deferred(&report);
    }
    if !common.json && !common.quiet {
        let mut text =
            String::from(if done.changed { "\nDone.\n" } else { "\nNothing changed: it is all in place.\n" });
        if done.reboot_needed {
            text.push_str("Next: reboot, then run `neuron-provisioner status`.\n");
            text.push_str("To undo everything: `neuron-provisioner revert`.\n");
        }
        render::print(&text)?;
    }
    Ok(code)
}

/// Says what is left to others, and why; even `--quiet` does not hide that something is not done.
pub(super) fn say_deferred(report: &ResultReport) {
    for step in report.steps.iter().filter(|step| step.outcome == StepResult::Deferred) {
        let why = step.why.as_deref().unwrap_or("somebody else does it");
        eprintln!("{} {}: {why}", style("not done here:").for_stderr().yellow().bold(), step.id);
    }
}
