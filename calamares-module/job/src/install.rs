//! The stages that write: `files`, `cmdline` and `all`.

use std::path::Path;

use neuron_passthrough::answers::Answers;
use neuron_passthrough::apply::{Chroot, Deferred, ErrorKind, Options, Progress, Runner};
use neuron_passthrough::plan::Stage;
use neuron_passthrough::policy::{Decision, Severity};
use neuron_passthrough::provision::{self, ProvisionError, Source};
use neuron_passthrough::root::Root;

use crate::config::OnRefused;
use crate::report::{Kind, Trouble};

/// How a stage that wrote, or had nothing to write, ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The target is as it should be.
    Done,
    /// This machine cannot; the reason is in the target.
    Refused(String),
}

/// Carries out one stage in the target.
pub(crate) fn run(
    machine: &Root,
    target: &Path,
    answers: Answers,
    stage: Stage,
    progress: &dyn Fn(f64),
) -> Result<Ended, Trouble> {
    let target = Root::directory(target).map_err(|error| Kind::Surroundings.with(error.to_string()))?;
    let planned = provision::plan(machine, &target, &Source::Given(Box::new(answers)), stage)
        .map_err(|error| trouble(&error))?;
    progress(0.2);
    let mut deferred = Deferred { who: "a later job of the installer".into() };
    let mut chroot = Chroot::new(&target);
    // Behind the job that installs the boot loader nobody makes its menu anew but we.
    let runner: &mut dyn Runner = if stage == Stage::Cmdline { &mut chroot } else { &mut deferred };
    let mut tell = |step: Progress<'_>| progress(fraction(&step));
    match provision::apply(machine, &target, &planned.plan, Options::default(), runner, &mut tell) {
        Ok(_) => Ok(Ended::Done),
        Err(ProvisionError::Refused(decision)) => Ok(Ended::Refused(reasons(&decision))),
        Err(error) => Err(trouble(&error)),
    }
}

/// What a refusal means for the installation.
pub(crate) fn refused(reasons: String, on_refused: OnRefused) -> Result<(), Trouble> {
    match on_refused {
        OnRefused::Skip => Ok(()),
        OnRefused::Fail => Err(Kind::Refused.with(reasons)),
    }
}

/// Reading and planning are the first fifth.
fn fraction(step: &Progress<'_>) -> f64 {
    match step {
        Progress::Step { index, total, .. } => {
            let [index, total] = [*index, (*total).max(1)].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
            0.2 + 0.8 * f64::from(index) / f64::from(total)
        }
        Progress::PuttingBack | Progress::Recovering { .. } => 0.2,
    }
}

fn reasons(decision: &Decision) -> String {
    let mut lines: Vec<String> = decision
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Blocker)
        .map(|finding| format!("{}: {}", finding.message, finding.hint))
        .collect();
    lines.extend(decision.question.clone());
    lines.join("\n")
}

fn trouble(error: &ProvisionError) -> Trouble {
    let mut detail = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        detail = format!("{detail}: {error}");
        cause = error.source();
    }
    let kind = match error {
        ProvisionError::Answers { .. } | ProvisionError::Untrusted { .. } => Kind::Configuration,
        ProvisionError::Apply(error) if error.kind() == ErrorKind::NotPutBack => Kind::NotPutBack,
        _ => Kind::Target,
    };
    if let ProvisionError::Apply(error) = error
        && let Some(hint) = error.hint()
    {
        detail = format!("{detail}\n{hint}");
    }
    kind.with(detail)
}
