//! The stages that write: `files`, `cmdline` and `all`.

use neuron_passthrough::apply::{Chroot, Deferred, ErrorKind, Options, Progress, Runner};
use neuron_passthrough::id::TargetPath;
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
    /// This machine cannot; the reason is in the target, and nothing else of ours.
    Refused(String),
}

/// A stage of an installation.
pub(crate) struct Installation<'a> {
    pub(crate) machine: &'a Root,
    pub(crate) target: &'a Root,
    pub(crate) stage: Stage,
    /// Whether an earlier stage of the same installation wrote into the target.
    pub(crate) is_continued: bool,
}

impl Installation<'_> {
    /// Carries out the stage, or takes back what the earlier ones wrote: a system with half of a
    /// set-up would have its card bound by nobody or by the wrong driver.
    pub(crate) fn run(&self, source: &Source, progress: &dyn Fn(f64)) -> Result<Ended, Trouble> {
        let mut deferred = Deferred { who: "a later job of the installer".into() };
        let mut chroot = Chroot::new(self.target);
        // Behind the job that installs the boot loader nobody makes its menu anew but we.
        let runner: &mut dyn Runner = if self.stage == Stage::Cmdline { &mut chroot } else { &mut deferred };
        let decision = match self.attempt(source, runner, progress) {
            Ok(()) => return Ok(Ended::Done),
            Err(ProvisionError::Refused(decision)) => *decision,
            Err(ProvisionError::Machine(error)) => provision::unreadable(&error),
            Err(error) => {
                let trouble = trouble(&error);
                self.take_back(runner, progress, &trouble.detail)?;
                return Err(trouble);
            }
        };
        self.take_back(runner, progress, &reasons(&decision))?;
        provision::keep_wish(self.target, &decision, source);
        Ok(Ended::Refused(reasons(&decision)))
    }

    fn attempt(
        &self,
        source: &Source,
        runner: &mut dyn Runner,
        progress: &dyn Fn(f64),
    ) -> Result<(), ProvisionError> {
        let mut tell = |step: Progress<'_>| progress(fraction(&step));
        // An installer that was killed leaves half of a set-up, and no plan fits that.
        provision::recover(self.machine, self.target, Options::default(), runner, &mut tell)?;
        let planned = provision::plan(self.machine, self.target, source, self.stage)?;
        progress(0.2);
        provision::apply(self.machine, self.target, &planned.plan, Options::default(), runner, &mut tell)?;
        Ok(())
    }

    /// Undoes what earlier stages wrote; `why` is told where even that fails.
    fn take_back(&self, runner: &mut dyn Runner, progress: &dyn Fn(f64), why: &str) -> Result<(), Trouble> {
        if !self.is_continued {
            return Ok(());
        }
        let mut tell = |step: Progress<'_>| progress(fraction(&step));
        let reverted = provision::revert(self.machine, self.target, Options::default(), runner, &mut tell)
            .map_err(|error| Kind::NotPutBack.with(format!("{why}\n{}", trouble(&error).detail)))?;
        if reverted.left.is_empty() {
            return Ok(());
        }
        let left: Vec<&str> = reverted.left.iter().map(TargetPath::as_str).collect();
        let left = left.join(", ");
        Err(Kind::NotPutBack.with(format!("{why}\nchanged by a later job, and so not put back: {left}")))
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

pub(crate) fn trouble(error: &ProvisionError) -> Trouble {
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
    let hint = match error {
        ProvisionError::Apply(error) => error.hint(),
        ProvisionError::Answers { problem, .. } => problem.hint.clone(),
        _ => None,
    };
    if let Some(hint) = hint {
        detail = format!("{detail}\n{hint}");
    }
    kind.with(detail)
}
