//! What the target adds to a decision: whether its kernels, drivers and configuration can carry it.

mod configuration;
mod host_driver;
mod lines;
mod xorg;

use super::drivers::native_drivers;
use super::{Code, Finding, Judgement, Matching, Notes, Severity, Verdict};
use crate::answers::{Answers, MatchBy, Mode};
use crate::facts::target::Provides;
use crate::facts::{Machine, Target};
use crate::id::PciAddress;
use crate::text::command_line;

/// The package that brings the early hook.
pub const HOOK_PACKAGE: &str = "neuron-initcpio-hooks";

/// Parameters by which huge pages are reserved: somebody else's would be added to ours, or undo them.
const HUGE_PAGES: [&str; 3] = ["hugepages", "hugepagesz", "default_hugepagesz"];

/// The judgement of a machine, judged again with what the target says.
///
/// Only a decision that would change something is looked at: a refusal stays one.
pub fn judge(judgement: Judgement, machine: &Machine, answers: &Answers, target: &Target) -> Judgement {
    let mut judgement = judgement;
    let decision = &judgement.decision;
    if decision.mode == Mode::Off || !matches!(decision.verdict, Verdict::Ready | Verdict::Pending) {
        return judgement;
    }
    let mut notes = Notes::default();
    kernels(target, &mut notes);
    builtin_drivers(&mut judgement, machine, target, &mut notes);
    let claim = vfio_builtin(&mut judgement, target);
    if judgement.decision.matching == Matching::Address && !target.has_early_hook() {
        notes.find(hook_missing(answers));
    }
    let lines = lines::of(target, &judgement.parameters);
    let away = host_driver::kept_away(target, &lines);
    host_driver::judge(&judgement, machine, target, &away, &mut notes);
    configuration::judge(
        &configuration::Seen { judgement: &judgement, machine, answers, target, lines: &lines },
        claim.as_deref(),
        &mut notes,
    );
    configuration::vfio_kept_away(&away, &mut notes);
    conclude(&mut judgement, notes);
    judgement
}

/// The same with parameters that reserve huge pages, or with why there are none. `ours` are the
/// parameters that earlier applies added.
pub fn reserve(
    judgement: Judgement,
    target: &Target,
    wanted: Result<Vec<String>, Finding>,
    ours: &[String],
) -> Judgement {
    let mut judgement = judgement;
    let decision = &judgement.decision;
    if decision.mode == Mode::Off || !matches!(decision.verdict, Verdict::Ready | Verdict::Pending) {
        return judgement;
    }
    let mut notes = Notes::default();
    match wanted {
        Ok(parameters) if parameters.is_empty() => {}
        Ok(parameters) => {
            let mut foreign = foreign_pages(target, &parameters, ours);
            let asked = judgement.parameters.iter().filter(|token| reserves_pages(token)).cloned();
            foreign.extend(asked.map(|token| ("extra_parameters".to_owned(), token)));
            for (place, token) in foreign {
                let message = format!(
                    "{token} reserves huge pages as well, and virtual machines want {}",
                    parameters.join(" ")
                );
                let hint = "take it out, or set hugepages = \"off\" for the virtual machines";
                let finding = Finding::new(Code::Hugepages, Severity::Blocker, message, hint);
                notes.find(finding.in_file(place));
            }
            judgement.parameters.extend(parameters);
        }
        Err(finding) => notes.find(finding),
    }
    conclude(&mut judgement, notes);
    judgement
}

fn reserves_pages(token: &str) -> bool {
    HUGE_PAGES.contains(&command_line::Parameter::parse(token).key)
}

/// Huge pages that somebody else reserves: where, and by which parameter.
fn foreign_pages(target: &Target, wanted: &[String], ours: &[String]) -> Vec<(String, String)> {
    let is_known = |token: &str| wanted.iter().chain(ours).any(|own| own == token);
    let mut found = Vec::new();
    for line in lines::of(target, &[]) {
        let foreign =
            command_line::tokens(&line.before).find(|token| reserves_pages(token) && !is_known(token));
        found.extend(foreign.map(|token| (line.place(token).to_owned(), token.to_owned())));
    }
    found
}

/// Adds what was found, and takes back what must not be done now.
fn conclude(judgement: &mut Judgement, notes: Notes) {
    let decision = &mut judgement.decision;
    if notes.is_blocked() {
        decision.verdict = Verdict::Refused;
    } else if !notes.questions.is_empty() {
        decision.verdict = Verdict::Ask;
        decision.question = Some(notes.questions.join(" "));
    }
    if !matches!(decision.verdict, Verdict::Ready | Verdict::Pending) {
        decision.bind.clear();
    }
    decision.findings.extend(notes.findings);
    decision.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
}

fn hook_missing(answers: &Answers) -> Finding {
    let hint = if answers.passthrough.r#match == MatchBy::Address {
        "install it in the target, or use match = \"auto\""
    } else {
        "install it in the target, then try again; ids would take functions that stay with the host"
    };
    Finding::new(
        Code::EarlyHookMissing,
        Severity::Blocker,
        format!(
            "claiming by address needs the early hook of the package {HOOK_PACKAGE}, which the target has not got"
        ),
        hint,
    )
}

/// The same where the hook is there, but not for the images of this generator.
pub fn hook_missing_for(generator: &str) -> Finding {
    Finding::new(
        Code::EarlyHookMissing,
        Severity::Blocker,
        format!(
            "claiming by address needs the early hook in the images of {generator}, and the target has it not"
        ),
        format!("install a {HOOK_PACKAGE} that has it for {generator}, then try again"),
    )
}

fn kernels(target: &Target, notes: &mut Notes) {
    if target.kernels.is_empty() {
        notes.find(
            Finding::new(
                Code::NoKernel,
                Severity::Blocker,
                "the target has no kernel: no directory of /usr/lib/modules holds a modules.dep",
                "install a kernel first, or check that --target-root is the root of an installed system",
            )
            .in_file("/usr/lib/modules"),
        );
    }
    for kernel in &target.kernels {
        let missing: Vec<&str> = ["vfio_pci", "vfio", "vfio_iommu_type1"]
            .into_iter()
            .filter(|module| kernel.provides(module) == Provides::Nothing)
            .collect();
        if !missing.is_empty() {
            notes.find(
                Finding::new(
                    Code::VfioMissing,
                    Severity::Blocker,
                    format!("the kernel {} has no module {}", kernel.release, missing.join(", ")),
                    "use a kernel with vfio-pci (every Arch kernel has it), or remove this one",
                )
                .in_file(format!("/usr/lib/modules/{}/modules.dep", kernel.release)),
            );
        }
    }
}

/// A built-in driver has the function before any module could be loaded, so ids come too late.
fn builtin_drivers(judgement: &mut Judgement, machine: &Machine, target: &Target, notes: &mut Notes) {
    let addresses: Vec<PciAddress> =
        judgement.assignments.iter().map(|assignment| assignment.address).collect();
    for address in addresses {
        let Some(function) = machine.functions.get(&address) else { continue };
        for kernel in &target.kernels {
            let builtin = native_drivers(function, target)
                .into_iter()
                .find(|driver| kernel.provides(driver) == Provides::Builtin);
            let Some(driver) = builtin else { continue };
            judgement.decision.matching = Matching::Address;
            notes.find(
                Finding::new(
                    Code::BuiltinDriver,
                    Severity::Warning,
                    format!("the driver {driver} is built into the kernel {}", kernel.release),
                    "it takes the function before any module is loaded; only the early hook can take it back",
                )
                .about(address),
            );
        }
    }
}

/// vfio-pci built in reads its ids from the kernel command line only. Gives the parameter that is
/// ours, which only this may be.
fn vfio_builtin(judgement: &mut Judgement, target: &Target) -> Option<String> {
    let builtin = target.kernels.iter().any(|kernel| kernel.provides("vfio_pci") == Provides::Builtin);
    let decision = &judgement.decision;
    if !builtin || decision.matching != Matching::Ids || decision.verdict != Verdict::Ready {
        return None;
    }
    let claim = format!("vfio-pci.ids={}", judgement.ids().join(","));
    judgement.parameters.push(claim.clone());
    Some(claim)
}
