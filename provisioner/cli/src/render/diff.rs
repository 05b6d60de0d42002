//! A plan, as a diff in colour.

use std::fmt::Write as _;

use console::style;
use neuron_passthrough::plan::{ActionDocument, ActionKind, PlanDocument};
use neuron_passthrough::policy::Verdict;

use super::{findings, plain, wrapped};

/// Where this program keeps what no person has to read.
const STATE: &str = "/var/lib/neuron-provisioner/";

/// The decision, then every step with its reason and its diff.
pub(crate) fn plan(plan: &PlanDocument) -> String {
    let mut out = findings::decision(&plan.decision);
    let total = plan.steps.len();
    for (index, step) in plan.steps.iter().enumerate() {
        let _ = writeln!(
            out,
            "\n{} {}",
            style(format!("[{}/{total}]", index + 1)).dim(),
            style(&step.title).bold()
        );
        let because = wrapped(&plain(&step.because), "      ", "      ");
        let _ = writeln!(out, "{}", style(because).dim());
        out.push_str(&what(&step.action));
        let own_state = step.action.path.as_ref().is_some_and(|path| path.as_str().starts_with(STATE));
        if own_state {
            let _ = writeln!(out, "  (in this program's own state below {STATE})");
            continue;
        }
        for line in step.action.diff.iter().flat_map(|diff| diff.lines()) {
            let _ = writeln!(out, "  {}", coloured(&plain(line)));
        }
    }
    if !matches!(plan.decision.verdict, Verdict::Ready | Verdict::Pending) {
        out.push_str("\nNothing is written.\n");
    } else if total == 0 {
        out.push_str("\nNothing would change.\n");
    } else if plan.reboot_needed {
        out.push_str("\nIt takes effect at the next boot.\n");
    }
    out
}

/// What is done, where no diff shows it.
fn what(action: &ActionDocument) -> String {
    match (action.kind, &action.argv, &action.points_to, &action.path) {
        (ActionKind::Rebuild, Some(argv), ..) => format!("  run {}\n", argv.join(" ")),
        (ActionKind::Copy, _, Some(from), Some(path)) => format!("  copy {from} to {path}\n"),
        _ => String::new(),
    }
}

fn coloured(line: &str) -> console::StyledObject<&str> {
    if line.starts_with("+++") || line.starts_with("---") {
        style(line).bold()
    } else if line.starts_with("@@") {
        style(line).cyan()
    } else if line.starts_with('+') {
        style(line).green()
    } else if line.starts_with('-') {
        style(line).red()
    } else {
        style(line)
    }
}
