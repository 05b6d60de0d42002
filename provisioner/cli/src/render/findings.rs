//! The verdict, what was found, and what to do about it.

use std::fmt::Write as _;

use console::style;
use neuron_passthrough::answers::Mode;
use neuron_passthrough::policy::{Decision, Matching, Severity, Verdict};

use super::{plain, wrapped};

/// The verdict in a sentence, then every finding with its hint.
pub(crate) fn decision(decision: &Decision) -> String {
    let mut out = wrapped(&headline(decision), "", "  ") + "\n";
    for finding in &decision.findings {
        let subject = finding.subject.as_deref().filter(|subject| !finding.message.contains(subject));
        let about = subject.map_or_else(String::new, |subject| format!("{}: ", plain(subject)));
        let code = style(format!("[{}]", finding.code)).dim();
        let text = format!("{about}{} {code}", plain(&finding.message));
        let _ = writeln!(out, "{}", wrapped(&text, &format!("  {} ", mark(finding.severity)), "       "));
        let arrow = format!("       {} ", style("->").cyan());
        let _ = writeln!(out, "{}", wrapped(&plain(&finding.hint), &arrow, "          "));
    }
    if let Some(question) = &decision.question {
        let label = format!("{} ", style("Question:").yellow().bold());
        let _ = writeln!(out, "\n{}", wrapped(&plain(question), &label, "  "));
        out.push_str("Answer it in /etc/neuron/provisioner.toml, or in a file given with --answers.\n");
    }
    out
}

/// What somebody who has just read the verdict would do next.
pub(crate) fn next_step(decision: &Decision) -> String {
    let next = match decision.verdict {
        Verdict::Ready | Verdict::Pending if decision.mode == Mode::Off => return String::new(),
        Verdict::Ready => "`neuron-provisioner plan` shows what would be written.",
        Verdict::Pending => "`neuron-provisioner plan` shows what would be written to turn the IOMMU on.",
        Verdict::Ask => "answer the question, then run this again.",
        Verdict::Refused => "follow the arrows above, where there is something to do.",
    };
    format!("\n{}\n", wrapped(next, "Next: ", "  "))
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
