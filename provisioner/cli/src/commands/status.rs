//! `status`: where the set-up stands.

use std::fmt::Write as _;

use console::style;
use neuron_passthrough::provision::{self, FirstBootOutcome, Standing, TrialStage};

use crate::args::Common;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::report::StatusReport;
use crate::{render, roots};

pub(crate) fn run(common: &Common) -> Result<ExitCode, Failure> {
    let (machine, target) = (roots::machine(common)?, roots::target(common)?);
    let report = StatusReport::from(provision::status(&machine, &target)?);
    if common.json {
        render::json(&report)?;
    } else {
        render::print(&text(&report))?;
    }
    Ok(code(&report))
}

pub(crate) fn code(report: &StatusReport) -> ExitCode {
    if report.state == Standing::Drifted { ExitCode::Changed } else { ExitCode::Done }
}

fn word(report: &StatusReport) -> &'static str {
    match report.state {
        Standing::Unconfigured => "unconfigured",
        _ if report.in_progress => "in progress",
        Standing::Pending => "pending",
        Standing::Trial => "trial",
        Standing::Active => "active",
        Standing::Drifted => "drifted",
        Standing::GivenBack => "given back",
        Standing::Reverted => "reverted",
    }
}

fn sentence(report: &StatusReport) -> &'static str {
    match report.state {
        Standing::Unconfigured => {
            "nothing was set up here. `neuron-provisioner inspect` looks at the machine."
        }
        _ if report.in_progress => "another run is writing right now.",
        Standing::Pending if report.reverting => {
            "a revert is not finished: what is below is still in place, with the entry without passthrough in the \
             boot menu. Have run what has to run, then `neuron-provisioner revert` again."
        }
        Standing::Pending
            if !report.due_rebuilds.is_empty() && report.runs_without && report.trial.is_none() =>
        {
            "a program failed or was put off, and has to run before the reboot. Choose the passthrough entry in the \
             boot menu, then run `neuron-provisioner apply`; or `neuron-provisioner revert` here."
        }
        Standing::Pending if !report.due_rebuilds.is_empty() => {
            "a program failed or was put off, and has to run before the reboot: the next `apply` or `revert` runs it."
        }
        Standing::Pending if report.reboot_needed => "it is written; reboot to put it into effect.",
        Standing::Pending if report.runs_without => {
            "the IOMMU comes on with the usual entry, and this boot runs without it: choose that one in the boot \
             menu, then run `neuron-provisioner apply` to go on."
        }
        Standing::Pending => {
            "the IOMMU was to come on with this boot; run `neuron-provisioner apply` to go on."
        }
        Standing::Trial => trial(report),
        Standing::Active if report.runs_without => {
            "everything is as it was applied, and this boot runs without it. Choose the passthrough entry in the \
             boot menu to use it, or to apply something else."
        }
        Standing::Active => "everything is as it was applied.",
        Standing::Drifted if report.interrupted => {
            "a run was cut off; the next `apply` or `revert` puts it right."
        }
        Standing::Drifted if report.files.is_empty() => {
            "files of ours are there, but their journal is lost; `revert` cannot undo them: remove them by hand."
        }
        Standing::Drifted if report.drifted.is_empty() => {
            "what was applied is in place, and a part of it has no effect any more:"
        }
        Standing::Drifted => "files were changed since they were applied.",
        Standing::GivenBack => {
            "the host has the card back, and it stays so in every boot. Find out what went wrong in the boots \
             before (`journalctl -b -1`); `neuron-provisioner apply` tries again with the next boot, and \
             `revert` undoes everything."
        }
        Standing::Reverted => "everything is as it was before.",
    }
}

/// While passthrough is on trial.
fn trial(report: &StatusReport) -> &'static str {
    match report.trial {
        Some(TrialStage::Over) => {
            "passthrough was started once, and nobody kept it; this boot runs without it. \
             `neuron-provisioner apply` has the next boot try it again, and `revert` takes it back."
        }
        Some(TrialStage::Aside) if !report.runs_without => {
            "passthrough is on trial, and it is not in force in this boot: `neuron-provisioner doctor` says why."
        }
        Some(TrialStage::Aside) => {
            "passthrough is on trial, and this boot runs without it: choose the passthrough entry in the boot \
             menu to go on, or take it back with `neuron-provisioner revert`."
        }
        Some(TrialStage::Waits) => {
            "it is written; reboot to try it. `neuron-provisioner confirm` then keeps it."
        }
        Some(TrialStage::Runs) | None => {
            "passthrough is on trial until `neuron-provisioner confirm` keeps it, or `revert` takes it back."
        }
    }
}

/// Where it stands, for a person.
pub(crate) fn text(report: &StatusReport) -> String {
    let (word, sentence) = (word(report), sentence(report));
    let mut out = render::wrapped(sentence, &format!("{}: ", style(word).bold()), "  ") + "\n";
    for sentence in &report.not_in_force {
        let _ = writeln!(out, "{}", render::wrapped(&render::plain(sentence), "  ", "    "));
    }
    if !report.not_in_force.is_empty() {
        out.push_str("Next: `neuron-provisioner doctor` says what to do about it.\n");
    }
    let width = report.files.iter().map(|path| path.as_str().len()).max().unwrap_or_default();
    for path in &report.files {
        let mark = match (report.drifted.contains(path), report.left.contains(path)) {
            (false, _) => style("in place").green(),
            (true, false) => style("changed").red(),
            (true, true) => style("changed, and left as it is").yellow(),
        };
        let _ = writeln!(out, "  {:width$}  {mark}", path.as_str());
    }
    for path in report.drifted.iter().filter(|path| !report.files.contains(path)) {
        let _ = writeln!(out, "  {path}  {}", style("not in the journal").red());
    }
    let boots = &report.boots;
    if let Some(because) = &boots.given_back {
        let _ = writeln!(out, "Given back to the host: {because}");
    } else if boots.unproven > 0 {
        let _ = writeln!(
            out,
            "Boots in a row that were not good yet: {}; after {} the host gets the card back",
            boots.unproven, boots.limit
        );
    }
    if !report.parameters.is_empty() {
        let _ = writeln!(out, "Kernel parameters of ours: {}", report.parameters.join(" "));
    }
    for argv in &report.open_rebuilds {
        let is_due = report.due_rebuilds.contains(argv);
        let label = if is_due { "Has to run" } else { "Left to somebody else" };
        let _ = writeln!(out, "{label}: {}", argv.join(" "));
    }
    if let Some(first) = report.first_boot.as_ref().filter(|first| first.outcome != FirstBootOutcome::Done) {
        let _ = writeln!(out, "{}", render::wrapped(&render::plain(&first.message), "First boot: ", "  "));
    }
    if let Some(refusal) = &report.refusal {
        let _ = write!(out, "\nThe last run did nothing:\n{}", render::decision(refusal));
    }
    out
}
