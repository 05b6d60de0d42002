//! What doctor saw: the verdict, every check with its evidence, what to do next.

use std::fmt::Write as _;

use console::style;
use neuron_passthrough::verify::{Check, Status};

use super::{plain, wrapped};

/// The verdict in a sentence, the checks, and the next step. `only_trouble` leaves out what passed.
pub(crate) fn checks(checks: &[Check], only_trouble: bool) -> String {
    let mut out = wrapped(&verdict(checks), "", "  ") + "\n";
    // Wide enough for every name that was given, so that the evidence stands in a column.
    let width = checks.iter().map(|check| check.id.len()).max().unwrap_or_default();
    for check in checks.iter().filter(|check| !only_trouble || check.status != Status::Pass) {
        let label = format!("  {} {:width$}  ", mark(check.status), check.id);
        let rest = " ".repeat(width + 9);
        let about = check.subject.as_deref().filter(|subject| !check.evidence.contains(subject));
        let about = about.map_or_else(String::new, |subject| format!("{}: ", plain(subject)));
        let _ = writeln!(out, "{}", wrapped(&format!("{about}{}", plain(&check.evidence)), &label, &rest));
        if let Some(hint) = check.hint.as_deref().filter(|_| check.status != Status::Pass) {
            let arrow = format!("{rest}{} ", style("->").cyan());
            let _ = writeln!(out, "{}", wrapped(&plain(hint), &arrow, &format!("{rest}   ")));
        }
    }
    if let Some(next) = next(checks) {
        let _ = writeln!(out, "\n{}", wrapped(next, "Next: ", "  "));
    }
    out
}

/// As wide as each other, and to be told apart without colours.
fn mark(status: Status) -> console::StyledObject<&'static str> {
    match status {
        Status::Pass => style("pass").green(),
        Status::Warn => style("warn").yellow().bold(),
        Status::Fail => style("FAIL").red().bold(),
        Status::Unknown => style("?   ").blue(),
    }
}

fn count(checks: &[Check], status: Status) -> usize {
    checks.iter().filter(|check| check.status == status).count()
}

fn is(checks: &[Check], id: &str, status: Status) -> bool {
    checks.iter().any(|check| check.id == id && check.status == status)
}

fn verdict(checks: &[Check]) -> String {
    let count = |status| self::count(checks, status);
    let number = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    if is(checks, "set-up", Status::Unknown) {
        let evidence = checks.first().map(|check| plain(&check.evidence)).unwrap_or_default();
        return format!("{}: {evidence}.", style("Nothing to check").bold());
    }
    let (failed, warned, unknown) = (count(Status::Fail), count(Status::Warn), count(Status::Unknown));
    let mut rest = Vec::new();
    if failed > 0 && warned > 0 {
        rest.push(number(warned, "warning"));
    }
    if unknown > 0 {
        rest.push(format!("{unknown} could not be told"));
    }
    let rest = if rest.is_empty() { String::new() } else { format!(" ({})", rest.join(", ")) };
    if failed > 0 {
        let word = style("Not as it should be").red().bold();
        return format!("{word}: {} of {} checks failed{rest}.", failed, checks.len());
    }
    let (word, what) = if is(checks, "reboot", Status::Warn) {
        (style("Not in force yet").yellow().bold(), "a reboot is owed, and nothing speaks against it")
    } else if is(checks, "boot-entry", Status::Warn) {
        (style("Off in this boot").yellow().bold(), "it leaves everything with the host, as its entry says")
    } else if is(checks, "set-up", Status::Warn) {
        (style("Not finished").yellow().bold(), "see `set-up`")
    } else if is(checks, "bound", Status::Pass) {
        (style("In force").green().bold(), "the functions are with vfio-pci, and the host keeps its own")
    } else {
        (style("Nothing failed").bold(), "and nothing shows that the functions are with vfio-pci")
    };
    let warnings = if warned > 0 { format!("; {}", number(warned, "warning")) } else { String::new() };
    format!("{word}: {what}{warnings}{rest}.")
}

fn next(checks: &[Check]) -> Option<&'static str> {
    let any = |status| count(checks, status) > 0;
    if any(Status::Fail) {
        Some("follow the arrow of the first FAIL; what stands below it often goes with it.")
    } else if is(checks, "set-up", Status::Unknown) {
        None
    } else if is(checks, "reboot", Status::Warn) {
        Some("reboot, then run `neuron-provisioner doctor` again.")
    } else {
        None
    }
}
