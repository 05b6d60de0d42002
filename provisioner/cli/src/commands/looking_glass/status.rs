//! `looking-glass status`: what is wanted, what is there, who uses it.

use std::fmt::Write as _;

use console::style;
use neuron_passthrough::guest::looking_glass::size;
use neuron_passthrough::provision::{self, GlassState};

use crate::args::Common;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::report::{GlassReport, MemoryReport};
use crate::{render, roots};

pub(super) fn run(common: &Common) -> Result<ExitCode, Failure> {
    let (machine, target) = (roots::machine(common)?, roots::target(common)?);
    let source = roots::source(common, &target)?;
    let report = GlassReport::from(provision::looking_glass(&machine, &target, &source)?);
    if common.json {
        render::json(&report)?;
    } else {
        render::print(&text(&report))?;
    }
    Ok(if report.state == GlassState::Wrong { ExitCode::Changed } else { ExitCode::Done })
}

fn text(report: &GlassReport) -> String {
    let (word, sentence) = match report.state {
        GlassState::Off => (
            style("off"),
            "the answers name neither a virtual machine that needs Looking Glass nor a user of it.",
        ),
        GlassState::NotSetUp => {
            (style("not set up").yellow(), "`neuron-provisioner apply` makes what is below, as root.")
        }
        GlassState::Ready => (style("ready").green(), "everything is as the answers want it."),
        GlassState::Wrong => (style("not as it should be").red(), "see below."),
    };
    let mut out = render::wrapped(sentence, &format!("{}: ", word.bold()), "  ") + "\n";
    let mut line = |label: &str, text: &str| {
        let _ = writeln!(
            out,
            "{}",
            render::wrapped(&render::plain(text), &format!("  {label:<9}"), "           ")
        );
    };
    for memory in &report.memories {
        line("Memory", &one(memory, report));
    }
    for person in &report.people {
        let says = match (person.exists, person.lacks.as_slice()) {
            (false, _) => "no such user".to_owned(),
            (true, []) => "may start virtual machines and open their memory".to_owned(),
            (true, lacks) => format!("not in {}", lacks.join(" and ")),
        };
        line("User", &format!("{}: {says}", person.name));
    }
    line("Client", &client(report));
    if report.kvmfr_loaded || report.transport.as_deref() == Some("kvmfr") {
        line("Module", if report.kvmfr_loaded { "kvmfr is loaded" } else { "kvmfr is not loaded" });
    }
    if report.state == GlassState::Wrong {
        for problem in &report.problems {
            let _ = writeln!(out, "{}", render::wrapped(&render::plain(problem), "  - ", "    "));
        }
        out.push_str("Next: `neuron-provisioner doctor` says what to do about it.\n");
    }
    out
}

/// One memory: whose, how large it is to be, what is there.
fn one(memory: &MemoryReport, report: &GlassReport) -> String {
    let whose = memory.vm.as_ref().map_or_else(String::new, |vm| format!(" of {vm}"));
    let wanted = report.size_mib.map_or_else(String::new, |mib| format!(", {mib} MiB wanted"));
    let there = match &memory.there {
        None => "not there".to_owned(),
        Some(there) => {
            let what = match there.size {
                None => there.kind.clone(),
                Some(0) => "empty until the virtual machine starts".to_owned(),
                Some(bytes) => format!("{} there", size(bytes)),
            };
            format!("{what}, {}:{} {}", there.owner, there.group, there.mode)
        }
    };
    let host =
        memory.host_release.as_ref().map_or_else(String::new, |host| format!("; host application {host}"));
    let by: Vec<String> = memory
        .used_by
        .iter()
        .map(|user| match &user.vm {
            Some(vm) => format!("the virtual machine {vm}"),
            None => format!("{} ({})", user.program, user.pid),
        })
        .collect();
    let used = match (by.is_empty(), report.users_known) {
        (false, _) => format!("; used by {}", by.join(", ")),
        (true, true) => "; used by nobody".to_owned(),
        (true, false) => "; only root sees who uses it".to_owned(),
    };
    format!("{}{whose}{wanted}: {there}{host}{used}", memory.path)
}

fn client(report: &GlassReport) -> String {
    let client = &report.client;
    match (client.installed, &client.release, &client.version) {
        (false, ..) => "not installed".to_owned(),
        (true, Some(release), Some(version)) if release != version => format!("{release} ({version})"),
        (true, Some(release), _) => release.clone(),
        (true, None, Some(version)) => version.clone(),
        (true, None, None) => "installed; no package tells its release".to_owned(),
    }
}
