//! `firstboot run`: carries out what answers or an installer left to be done, and asks nobody.
//!
//! It keeps no desktop waiting and never reboots: where a reboot is needed, it asks for one. How it
//! ended is kept in the target, told to who logs in, and shown by `status`.

use neuron_passthrough::apply::{Chroot, StepResult};
use neuron_passthrough::facts::boot_id;
use neuron_passthrough::plan::{Plan, Stage};
use neuron_passthrough::policy::{Decision, Severity, Verdict};
use neuron_passthrough::provision::{self, Due, FirstBoot, FirstBootOutcome, ProvisionError, Work};
use neuron_passthrough::root::Root;

use crate::args::Common;
use crate::commands::apply;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::interrupt::Stop;
use crate::report::ResultReport;
use crate::{narrate, notice, render, roots};

/// How to have it tried again.
const AGAIN: &str =
    "`systemctl start neuron-firstboot` tries it again, and so does `neuron-provisioner apply`.";

pub(crate) fn run(common: &Common) -> Result<ExitCode, Failure> {
    let (machine, target) = (roots::machine(common)?, roots::target(common)?);
    let place = Place { common, machine: &machine, target: &target };
    let stop = Stop::watch()?;
    place.attempt(&stop).inspect_err(|failure| {
        // The system goes down: what was put back is begun anew at the next boot.
        if !matches!(failure, Failure::Interrupted | Failure::PutBack { .. }) {
            place.failed(failure);
        }
    })
}

struct Place<'a> {
    common: &'a Common,
    machine: &'a Root,
    target: &'a Root,
}

impl Place<'_> {
    fn attempt(&self, stop: &Stop) -> Result<ExitCode, Failure> {
        let given = roots::source(self.common, self.target)?;
        let mut due = provision::due(self.machine, self.target, &given)?;
        if matches!(due, Due::PutBack) {
            self.say("the machine went down under this work: it is put back, and begun anew");
            let mut runner = Chroot::new(self.target).ended_by(|| stop.ends_program());
            provision::recover(self.machine, self.target, stop.options(), &mut runner, &mut |_| ())
                .map_err(|error| apply::ended(error, stop))?;
            due = provision::due(self.machine, self.target, &given)?;
        }
        match due {
            Due::Work(work) => self.work(&work, stop),
            Due::Nothing(why) => {
                self.say(&why);
                self.seen()?;
                Ok(ExitCode::Done)
            }
            Due::PutBack => {
                let problem = "what was cut off could not be put back".to_owned();
                Err(ProvisionError::FirstBoot(problem).into())
            }
        }
    }

    fn work(&self, work: &Work, stop: &Stop) -> Result<ExitCode, Failure> {
        self.say(work.title);
        let boot = boot_id(self.machine);
        let record = FirstBoot::load(self.target)?.unwrap_or_default().begun(work, boot);
        record.keep(self.target).map_err(ProvisionError::from)?;
        let plan = provision::plan(self.machine, self.target, &work.source, Stage::All)?.plan;
        if !plan.is_allowed() {
            provision::keep_reason(self.target, &plan.decision);
            let (outcome, message) = forbidden(&plan.decision);
            self.ended(&record, outcome, message, None)?;
            return Ok(ExitCode::Refused);
        }
        for step in &plan.steps {
            self.say(&step.title);
        }
        let mut runner = Chroot::new(self.target).ended_by(|| stop.ends_program());
        let done =
            provision::apply(self.machine, self.target, &plan, stop.options(), &mut runner, &mut |_| ())
                .map_err(|error| apply::ended(error, stop))?;
        let (report, code) = apply::outcome(done);
        narrate::part(&apply::deferred(&report));
        let (outcome, message) = reached(&plan, &report);
        self.ended(&record, outcome, message, work.handed_in.clone())?;
        Ok(code)
    }

    /// Keeps how it ended, and tells whoever has to know.
    fn ended(
        &self,
        record: &FirstBoot,
        outcome: FirstBootOutcome,
        message: String,
        handed_in: Option<String>,
    ) -> Result<(), Failure> {
        if message.is_empty() {
            notice::withdraw(self.machine);
        } else {
            self.tell(&message)?;
        }
        Ok(record.ended(outcome, message, handed_in).keep(self.target).map_err(ProvisionError::from)?)
    }

    /// Nothing is begun in this boot; what is still not done is told in every boot.
    fn seen(&self) -> Result<(), Failure> {
        let Some(record) = FirstBoot::load(self.target)? else { return Ok(()) };
        if record.outcome == FirstBootOutcome::Done {
            return Ok(());
        }
        self.tell(&record.message)?;
        let seen = record.seen(boot_id(self.machine));
        if seen == record { Ok(()) } else { Ok(seen.keep(self.target).map_err(ProvisionError::from)?) }
    }

    /// That it failed is the worst to lose: what cannot be kept is told all the same.
    fn failed(&self, failure: &Failure) {
        let message = format!("the first boot's work failed: {}. {AGAIN}", failure.message());
        notice::leave(self.machine, &message);
        let record = FirstBoot::load(self.target).map(Option::unwrap_or_default);
        let kept = record.map_err(Failure::from).and_then(|record| {
            let failed = record.seen(boot_id(self.machine)).ended(FirstBootOutcome::Failed, message, None);
            failed.keep(self.target).map_err(|error| ProvisionError::from(error).into())
        });
        if let Err(error) = kept {
            tracing::warn!("that it failed could not be kept: {}", error.message());
        }
    }

    fn tell(&self, message: &str) -> Result<(), Failure> {
        notice::leave(self.machine, message);
        render::print(&(render::wrapped(&render::plain(message), "GPU passthrough: ", "  ") + "\n"))
    }

    /// For the journal.
    fn say(&self, text: &str) {
        if !self.common.quiet {
            narrate::line(&format!("first boot: {text}"));
        }
    }
}

/// What is told of a plan that may not be carried out.
fn forbidden(decision: &Decision) -> (FirstBootOutcome, String) {
    if let (Some(question), Verdict::Ask) = (&decision.question, decision.verdict) {
        let text = format!(
            "a question has no answer: {question} `neuron-provisioner inspect` says what is known of it, and \
             `apply` goes on when the answers hold it."
        );
        return (FirstBootOutcome::Undecided, text);
    }
    let blockers = decision.findings.iter().filter(|finding| finding.severity == Severity::Blocker);
    let reasons: Vec<String> =
        blockers.map(|finding| format!("{}: {}", finding.message, finding.hint)).collect();
    let text = format!(
        "it cannot be set up: {}. That is looked at again at every boot; `neuron-provisioner revert` ends it.",
        reasons.join("; ")
    );
    (FirstBootOutcome::Refused, text)
}

/// What is told of a plan that was carried out.
fn reached(plan: &Plan, report: &ResultReport) -> (FirstBootOutcome, String) {
    let is_pending = plan.decision.verdict == Verdict::Pending;
    let (outcome, text) = match (report.reboot_needed, is_pending) {
        (true, true) => (
            FirstBootOutcome::Done,
            "the first half is done: reboot, then it goes on by itself and asks for another reboot.",
        ),
        (true, false) => (
            FirstBootOutcome::Done,
            "it is set up: reboot to put it into effect. `neuron-provisioner revert` undoes it.",
        ),
        (false, true) => (
            FirstBootOutcome::Waiting,
            "the IOMMU is still off, though this boot was to bring it: `neuron-provisioner doctor` says what \
             to do. It is looked at again at every boot.",
        ),
        (false, false) => (FirstBootOutcome::Done, ""),
    };
    // What was left to somebody is not done, whatever else is.
    let left = report.steps.iter().filter(|step| step.outcome == StepResult::Deferred);
    let left: Vec<String> = left
        .map(|step| format!("{}: {}", step.id, step.why.as_deref().unwrap_or("somebody else does it")))
        .collect();
    if left.is_empty() {
        return (outcome, text.to_owned());
    }
    (outcome, format!("not everything is done. Left to you: {}. Apart from that: {text}", left.join("; ")))
}
