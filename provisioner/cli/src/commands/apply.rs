//! `apply`: plan and write.

use console::style;
use neuron_passthrough::apply::{ApplyError, Chroot, ErrorKind, Postponed, Runner, StepResult};
use neuron_passthrough::boots;
use neuron_passthrough::plan::{Plan, PlanDocument};
use neuron_passthrough::provision::{self, Done, ProvisionError};
use neuron_passthrough::root::Root;

use crate::args::{ApplyOptions, Common};
use crate::commands::{consent, plan};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::given::Given;
use crate::interrupt::Stop;
use crate::progress::Steps;
use crate::render::plain;
use crate::report::ResultReport;
use crate::{narrate, notice, render, roots};

pub(crate) fn run(common: &Common, options: &ApplyOptions) -> Result<ExitCode, Failure> {
    let (machine, target) = (roots::machine(common)?, roots::target(common)?);
    if provision::is_cut_off(&target)? {
        recover(common, options, &machine, &target)?;
    }
    let plan = saved_or_new(common, options, &machine, &target)?;
    let document = PlanDocument::from(&plan);
    let is_shown = !common.json && !common.quiet;
    if is_shown {
        render::print(&render::plan(&document))?;
    }
    if plan.is_allowed() && !plan.steps.is_empty() && !options.yes {
        consent::ask("Write this now?", "review it with `plan`, then use --yes")?;
    }
    let stop = Stop::watch()?;
    let done = {
        let mut runner = runner(options.no_reload, &target, &stop);
        carry_out(&machine, &target, &plan, runner.as_mut(), &stop, Steps::new(common))
    };
    match done {
        Ok(done) => {
            let (report, code) = outcome(done);
            Ok(told(finish(common, &report), code))
        }
        // Somebody who has just read the reasons and hints need not read them again.
        Err(ProvisionError::Refused(_)) if is_shown && roots::shows_both() => Err(Failure::RefusedAsShown),
        Err(error) => Err(ended(error, &stop)),
    }
}

/// Writes what was agreed to, and shows how it goes.
pub(super) fn carry_out(
    machine: &Root,
    target: &Root,
    plan: &Plan,
    runner: &mut dyn Runner,
    stop: &Stop,
    steps: Steps,
) -> Result<Done, ProvisionError> {
    let mut done = provision::apply(machine, target, plan, stop.options(), runner, &mut |progress| {
        steps.show(&progress);
    })?;
    drop(steps);
    // Who applies wants it, whatever earlier boots were like.
    done.reboot_needed |= boots::clear(machine, target)?;
    notice::withdraw(machine);
    Ok(done)
}

/// A run that was cut off is put back first: what is planned from a half-written tree fits nothing.
fn recover(common: &Common, options: &ApplyOptions, machine: &Root, target: &Root) -> Result<(), Failure> {
    if !options.yes {
        consent::ask("A run was cut off. Put back what it left?", "use --yes")?;
    }
    let stop = Stop::watch()?;
    let mut runner = runner(options.no_reload, target, &stop);
    put_back(machine, target, runner.as_mut(), &stop, &Steps::new(common))
}

/// Puts back what a run that was cut off left.
pub(super) fn put_back(
    machine: &Root,
    target: &Root,
    runner: &mut dyn Runner,
    stop: &Stop,
    steps: &Steps,
) -> Result<(), Failure> {
    match provision::recover(machine, target, stop.options(), runner, &mut |progress| steps.show(&progress)) {
        Ok(()) if stop.is_wanted() => Err(Failure::PutBack { steps: Vec::new() }),
        Ok(()) => Ok(()),
        Err(error) => Err(ended(error, stop)),
    }
}

/// Who builds the initramfs and the boot menu.
pub(super) fn runner<'a>(no_reload: bool, target: &'a Root, stop: &'a Stop) -> Box<dyn Runner + 'a> {
    if no_reload {
        Box::new(Postponed)
    } else {
        Box::new(Chroot::new(target).ended_by(|| stop.ends_program()))
    }
}

fn saved_or_new(
    common: &Common,
    options: &ApplyOptions,
    machine: &Root,
    target: &Root,
) -> Result<Plan, Failure> {
    match &options.plan {
        // The parser sees this conflict only where both stand behind the verb.
        Some(_) if common.answers.is_some() => Err(Failure::TwoFiles("--plan")),
        Some(path) => {
            let problem = |problem| Failure::Plan { path: path.clone(), problem };
            let text = Given::open(path)?.trusted_for(target)?.read()?;
            let plan = PlanDocument::parse(&text).map_err(problem)?;
            provision::still_holds(machine, target, &plan)?;
            Ok(plan)
        }
        None => plan::make(machine, target, &roots::source(common, target)?),
    }
}

/// What an error is in the end: an end that was asked for, with everything put back, is none.
pub(super) fn ended(error: ProvisionError, stop: &Stop) -> Failure {
    match error {
        ProvisionError::Apply(ApplyError::Failed(failure)) if failure.put_back && stop.is_wanted() => {
            Failure::PutBack { steps: failure.steps }
        }
        ProvisionError::Apply(error) if error.kind() == ErrorKind::Failed && stop.is_wanted() => {
            Failure::Interrupted
        }
        error => error.into(),
    }
}

fn finish(common: &Common, report: &ResultReport) -> Result<(), Failure> {
    if common.json {
        return render::json(report);
    }
    if common.quiet {
        narrate::part(&deferred(report));
        return Ok(());
    }
    render::print(&text(report))
}

/// What is done is done, also where it could not be told: the code stays that of the work.
pub(super) fn told(shown: Result<(), Failure>, code: ExitCode) -> ExitCode {
    if let Err(failure) = shown {
        failure.print();
    }
    code
}

/// How an apply ended, as a document and as an exit code.
pub(crate) fn outcome(done: Done) -> (ResultReport, ExitCode) {
    let code = if done.reboot_needed { ExitCode::RebootNeeded } else { ExitCode::Done };
    (ResultReport::new(done.changed, done.reboot_needed, done.outcome.steps), code)
}

/// How an apply ended, for a person.
pub(crate) fn text(report: &ResultReport) -> String {
    let mut text = deferred(report);
    text.push_str(if report.changed { "\nDone.\n" } else { "\nNothing changed: it is all in place.\n" });
    if report.reboot_needed {
        text.push_str("Next: reboot, then run `neuron-provisioner status`.\n");
        text.push_str("To undo everything: `neuron-provisioner revert`.\n");
    }
    text
}

/// What is left to others, and why; even `--quiet` does not hide that something is not done.
pub(super) fn deferred(report: &ResultReport) -> String {
    let mut text = String::new();
    for step in report.steps.iter().filter(|step| step.outcome == StepResult::Deferred) {
        let why = step.why.as_deref().unwrap_or("somebody else does it");
        let label = format!("{} {}: ", style("not done here:").yellow().bold(), step.id);
        text.push_str(&render::wrapped(&plain(why), &label, "  "));
        text.push('\n');
    }
    text
}
