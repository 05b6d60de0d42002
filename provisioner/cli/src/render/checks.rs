//! What doctor saw: the verdict, every check with its evidence, what to do next.

use std::fmt::Write as _;

use console::style;
use neuron_passthrough::verify::{Check, Status};

use super::{plain, wrapped};

/// The checks, the verdict in a sentence, and the next step: what counts most stands last, where a
/// terminal that scrolled still shows it. `only_trouble` leaves out what needs nobody.
pub(crate) fn checks(checks: &[Check], only_trouble: bool) -> String {
    let mut out = String::new();
    // Of a system on which nothing is set up, the verdict says it all.
    let is_single = checks.len() == 1;
    let shown: Vec<&Check> =
        checks.iter().filter(|check| !is_single && (!only_trouble || is_trouble(check))).collect();
    // Wide enough for every name, so that the evidence stands in a column.
    let width = shown.iter().map(|check| check.id.len()).max().unwrap_or_default();
    let rest = " ".repeat(width + 9);
    for (index, check) in shown.iter().enumerate() {
        let label = format!("  {} {:width$}  ", mark(check), check.id);
        let about = check.subject.as_deref().filter(|subject| !check.evidence.contains(subject));
        let about = about.map_or_else(String::new, |subject| format!("{}: ", plain(subject)));
        let _ = writeln!(out, "{}", wrapped(&format!("{about}{}", plain(&check.evidence)), &label, &rest));
        // What is to be done about several is said once, below the last of them.
        let goes_on = shown.get(index + 1).is_some_and(|next| next.id == check.id && next.hint == check.hint);
        if let Some(hint) = check.hint.as_deref().filter(|_| !goes_on) {
            let arrow = format!("{rest}{} ", style("->").cyan());
            let _ = writeln!(out, "{}", wrapped(&plain(hint), &arrow, &format!("{rest}   ")));
        }
    }
    if !shown.is_empty() {
        out.push('\n');
    }
    let _ = writeln!(out, "{}", wrapped(&verdict(checks), "", "  "));
    if let Some(next) = next(checks) {
        let _ = writeln!(out, "{}", wrapped(&plain(&next), "Next: ", "  "));
    }
    out
}

/// Whether somebody could do something about it.
fn is_trouble(check: &Check) -> bool {
    check.status != Status::Pass && check.hint.is_some()
}

/// As wide as each other, and to be told apart without colours.
fn mark(check: &Check) -> console::StyledObject<&'static str> {
    match check.status {
        Status::Pass => style("pass").green(),
        Status::Warn => style("warn").yellow().bold(),
        Status::Fail => style("FAIL").red().bold(),
        Status::Unknown if is_trouble(check) => style("?   ").blue().bold(),
        Status::Unknown => style("-   ").dim(),
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
    let (failed, warned) = (count(Status::Fail), count(Status::Warn));
    let unknown = checks.iter().filter(|one| one.status == Status::Unknown && is_trouble(one)).count();
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

/// The hint of what matters most.
fn next(checks: &[Check]) -> Option<String> {
    let first = |status| checks.iter().find(|check| check.status == status);
    let of = |check: &Check| {
        let hint = check.hint.as_deref()?;
        Some(if checks.len() == 1 { hint.to_owned() } else { format!("({}) {hint}", check.id) })
    };
    match first(Status::Fail) {
        Some(failed) => of(failed),
        None if is(checks, "reboot", Status::Warn) => {
            Some("reboot, then run `neuron-provisioner doctor` again".to_owned())
        }
        None => {
            first(Status::Warn).or_else(|| first(Status::Unknown).filter(|one| is_trouble(one))).and_then(of)
        }
    }
}
