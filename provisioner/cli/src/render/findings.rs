//! The verdict, what was found, and what to do about it.

use std::fmt::Write as _;

use console::style;
use neuron_passthrough::answers::Mode;
use neuron_passthrough::policy::{Decision, Matching, Severity, Verdict};

use super::plain;

/// The verdict in a sentence, then every finding with its hint.
pub(crate) fn decision(decision: &Decision) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}", headline(decision));
    for finding in &decision.findings {
        let (mark, subject) = (mark(finding.severity), finding.subject.as_deref());
        let about = subject.map_or_else(String::new, |subject| format!("{}: ", plain(subject)));
        let _ = writeln!(
            out,
            "  {mark} {about}{} {}",
            plain(&finding.message),
            style(format!("[{}]", finding.code)).dim()
        );
        let _ = writeln!(out, "      {} {}", style("->").cyan(), plain(&finding.hint));
    }
    if let Some(question) = &decision.question {
        let _ = writeln!(out, "\n{} {}", style("Question:").yellow().bold(), plain(question));
        out.push_str("Answer it in /etc/neuron/provisioner.toml, or in a file given with --answers.\n");
    }
    out
}

fn mark(severity: Severity) -> console::StyledObject<&'static str> {
    match severity {
        Severity::Blocker => style("stop").red().bold(),
        Severity::Warning => style("warn").yellow().bold(),
        Severity::Info => style("note").blue(),
    }
}

fn headline(decision: &Decision) -> String {
    let list = |addresses: &[neuron_passthrough::id::PciAddress]| {
        addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let host = decision.host_gpu.map_or_else(|| "no GPU".to_owned(), |host| host.to_string());
    match decision.verdict {
        Verdict::Ready if decision.mode == Mode::Off => {
            format!("{}: nothing is given away.", style("Off").bold())
        }
        Verdict::Ready => {
            let how = match decision.matching {
                Matching::Ids => "by their ids",
                Matching::Address => "by their addresses",
            };
            format!(
                "{}: {} can go to a guest (functions {}, matched {how}); the host keeps {host}.",
                style("Ready").green().bold(),
                list(&decision.guest_gpus),
                list(&decision.bind),
            )
        }
        Verdict::Pending => format!(
            "{}: {} is the candidate; it is judged again after a reboot with the IOMMU on. The host keeps {host}.",
            style("Pending").yellow().bold(),
            list(&decision.guest_gpus),
        ),
        Verdict::Ask => format!(
            "{}: this needs an answer first. Nothing is given away.",
            style("Undecided").yellow().bold()
        ),
        Verdict::Refused => format!("{}: nothing can be given away safely.", style("Refused").red().bold()),
    }
}
