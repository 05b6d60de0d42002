//! `vm`: the libvirt domain of a virtual machine.

use std::fmt::Write as _;

use console::style;
use neuron_passthrough::apply::{StepOutcome, StepResult};
use neuron_passthrough::guest::capabilities::Capabilities;
use neuron_passthrough::guest::domain::Problem;
use neuron_passthrough::libvirt::{FirmwareState, Libvirt, SYSTEM};
use neuron_passthrough::provision::{self, Undefinition};
use neuron_passthrough::root::Root;

use crate::args::{Common, DefineOptions, GuideOptions, RenderOptions, UndefineOptions, VmVerb};
use crate::commands::consent;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::given::Given;
use crate::report::{DomainReport, GuideReport, ResultReport};
use crate::{narrate, render, roots};

pub(crate) fn run(common: &Common, verb: &VmVerb) -> Result<ExitCode, Failure> {
    match verb {
        VmVerb::Render(options) => print(common, options),
        VmVerb::Guide(options) => guide(common, options),
        VmVerb::Define(options) => define(common, options),
        VmVerb::Undefine(options) => undefine(common, options),
    }
}

/// `vm render`: its XML.
fn print(common: &Common, options: &RenderOptions) -> Result<ExitCode, Failure> {
    let (machine, target) = (roots::machine(common)?, roots::target(common)?);
    let capabilities = capabilities(&machine, &target, options)?;
    let source = roots::source(common, &target)?;
    let domain = provision::domain(&machine, &target, &source, options.name.as_deref(), &capabilities)?;
    if common.json {
        render::json(&DomainReport::from(domain))?;
        return Ok(ExitCode::Done);
    }
    narrate_notes(common, &domain.notes);
    render::print(&domain.xml)?;
    Ok(ExitCode::Done)
}

/// `vm guide`: what is to be done inside.
fn guide(common: &Common, options: &GuideOptions) -> Result<ExitCode, Failure> {
    let (machine, target) = (roots::machine(common)?, roots::target(common)?);
    let source = roots::source(common, &target)?;
    let (name, markdown) = provision::guide(&machine, &target, &source, options.name.as_deref())?;
    if common.json {
        render::json(&GuideReport::new(name, markdown))?;
    } else {
        render::print(&markdown)?;
    }
    Ok(ExitCode::Done)
}

fn narrate_notes(common: &Common, notes: &[Problem]) {
    for note in notes.iter().filter(|_| !common.quiet) {
        narrate::line(&format!("note: {}: {}; {}", note.key, note.why, note.hint));
    }
}

/// What libvirt can do: it is asked, unless somebody kept an answer.
fn capabilities(machine: &Root, target: &Root, options: &RenderOptions) -> Result<Capabilities, Failure> {
    if let Some(path) = &options.capabilities {
        let problem = |problem| Failure::Capabilities { path: path.clone(), problem };
        return Capabilities::parse(&Given::open(path)?.read()?).map_err(problem);
    }
    let uri = options.connection.connect.as_deref().unwrap_or(SYSTEM);
    Ok(provision::capabilities(machine, target, &Libvirt::at(uri))?)
}

/// `vm define`: it is defined, with all that it needs.
fn define(common: &Common, options: &DefineOptions) -> Result<ExitCode, Failure> {
    let (machine, target) = (roots::machine(common)?, roots::target(common)?);
    let source = roots::source(common, &target)?;
    let name = provision::named(&target, &source, options.name.as_deref())?;
    let libvirt = roots::libvirt(common, &options.connection, &target, Some(&name))?;
    let definition =
        provision::prepare_definition(&machine, &target, &source, &name, &libvirt, options.replace)?;
    narrate_notes(common, &definition.domain.notes);
    let sentences = definition.sentences();
    let is_shown = !common.json && !common.quiet;
    if is_shown && !sentences.is_empty() {
        render::print(&listed("This would be done:", &sentences))?;
    }
    for note in definition.notes.iter().filter(|_| !common.quiet) {
        narrate::line(&format!("note: {note}"));
    }
    if !sentences.is_empty() && !options.yes {
        consent::ask("Do this now?", "use --yes")?;
    }
    let steps = provision::define(&target, &libvirt, &definition)?;
    let mut next = format!("Next: `virsh start {name}`, or open it in virt-manager.\n");
    if definition.is_windows {
        let _ = writeln!(next, "`neuron-provisioner vm guide {name}` tells what to do inside.");
    }
    finish(common, steps, &next)
}

/// `vm undefine`: it is taken back.
fn undefine(common: &Common, options: &UndefineOptions) -> Result<ExitCode, Failure> {
    let target = roots::target(common)?;
    let name = options.name.as_deref();
    if options.forget {
        return forget(common, &target, options);
    }
    let libvirt = roots::libvirt(common, &options.connection, &target, name)?;
    let Some(undefinition) = provision::prepare_undefinition(&target, name, &libvirt)? else {
        return finish(common, Vec::new(), "");
    };
    let state = if options.forget_firmware { FirmwareState::Delete } else { FirmwareState::Keep };
    if !common.json && !common.quiet {
        render::print(&listed("This would be done:", &taken_back(&undefinition, state)))?;
    }
    if !options.yes {
        consent::ask("Do this now?", "use --yes")?;
    }
    let steps = provision::undefine(&target, &libvirt, &undefinition, state)?;
    finish(common, steps, "")
}

/// `vm undefine --forget`: nobody is left to take it back.
fn forget(common: &Common, target: &Root, options: &UndefineOptions) -> Result<ExitCode, Failure> {
    let Some(forgetting) = provision::prepare_forgetting(target, options.name.as_deref())? else {
        return finish(common, Vec::new(), "");
    };
    if !common.json && !common.quiet {
        let sentences = [
            format!("the domain `{}` of the libvirt at {} is forgotten", forgetting.name, forgetting.connect),
            "if that libvirt comes back, it has the domain, which is yours then".to_owned(),
        ];
        render::print(&listed("This would be done:", &sentences))?;
    }
    if !options.yes {
        consent::ask("Do this now?", "use --yes")?;
    }
    finish(common, provision::forget(target, forgetting)?, "")
}

/// What taking a domain back means, in sentences.
pub(super) fn taken_back(undefinition: &Undefinition, state: FirmwareState) -> Vec<String> {
    let name = &undefinition.name;
    let mut sentences = vec![if undefinition.has_former {
        format!("the domain `{name}` becomes what it was before it was taken over")
    } else {
        format!("the domain `{name}` is undefined")
    }];
    sentences.extend(undefinition.disks.iter().map(|disk| format!("its disk {disk} stays")));
    if !undefinition.has_former {
        sentences.push(match state {
            FirmwareState::Keep => {
                "what its firmware and its TPM remember stays: defined again, it finds it".to_owned()
            }
            FirmwareState::Delete => "what its firmware and its TPM remember is deleted".to_owned(),
        });
    }
    sentences
}

pub(super) fn listed(head: &str, sentences: &[String]) -> String {
    sentences.iter().fold(format!("{head}\n"), |mut text, sentence| {
        let _ = writeln!(text, "{}", render::wrapped(&render::plain(sentence), "  - ", "    "));
        text
    })
}

fn finish(common: &Common, steps: Vec<StepOutcome>, next: &str) -> Result<ExitCode, Failure> {
    let changed = steps.iter().any(|step| step.outcome != StepResult::Unchanged);
    let report = ResultReport::new(changed, false, steps);
    if common.json {
        render::json(&report)?;
    } else if !common.quiet {
        let mut text = String::new();
        for step in report.steps.iter().filter(|step| step.id == "backup") {
            let why = step.why.as_deref().unwrap_or_default();
            let _ = writeln!(text, "{}: {why}", style("kept").yellow().bold());
        }
        text.push_str(if changed { "\nDone.\n" } else { "Nothing changed: it is all in place.\n" });
        if changed {
            text.push_str(next);
        }
        render::print(&text)?;
    }
    Ok(ExitCode::Done)
}
