//! The `detect` stage: what the page may offer on this machine.

use neuron_passthrough::answers::{Answers, Gpus, Mode};
use neuron_passthrough::facts::{self, Machine};
use neuron_passthrough::id::{FunctionName, PciAddress, PciId};
use neuron_passthrough::policy::{self, Gpu, GpuKind, Judgement, Matching, Severity, Verdict};
use neuron_passthrough::provision;
use neuron_passthrough::root::Root;

use crate::page::{Choosable, OFF, Page, State};

/// Where the early hook lies, which claims by address; a live medium is what gets installed.
const EARLY_HOOK: &str = "/usr/lib/initcpio/install/neuron-vfio";

/// A page for when nothing could be found out; it is skipped.
pub(crate) fn nothing(why: String) -> Page {
    Page {
        state: State::Nothing,
        headline: String::new(),
        explanation: why,
        reason: String::new(),
        options: Vec::new(),
        preset: OFF.into(),
    }
}

/// Looks at a machine. `system` is where this program runs and has the names of devices.
pub(crate) fn look(machine: &Root, system: &Root, answers: &Answers) -> Page {
    let (facts, judgement) = match provision::inspect(machine, None, answers) {
        Ok(inspected) => inspected,
        Err(error) => return nothing(error.to_string()),
    };
    if answers.passthrough.mode == Mode::Off {
        return nothing("the configuration of this medium has passthrough off".into());
    }
    if judgement.gpus.len() < 2 {
        return nothing("there are no two graphics cards".into());
    }
    let has_hook = machine.exists(EARLY_HOOK).unwrap_or(false);
    let names = Names::of(&judgement, system);
    let offers: Vec<Offer> = judgement
        .gpus
        .iter()
        .filter(|gpu| matches!(gpu.kind, GpuKind::Discrete | GpuKind::Unknown))
        .filter_map(|gpu| offer(&facts, gpu, answers, has_hook))
        .collect();
    let headline = judgement.gpus.iter().map(|gpu| names.name(gpu)).collect::<Vec<_>>().join(", ");
    if offers.is_empty() {
        return refused(&judgement, headline);
    }
    let pending = offers.iter().any(|offer| offer.verdict == Verdict::Pending);
    let card = |offer: &Offer<'_>| Choosable {
        id: offer.gpu.address.to_string(),
        title: names.name(offer.gpu),
        detail: offer.functions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let off = Choosable {
        id: OFF.into(),
        title: "No passthrough".into(),
        detail: "Every card stays with this system.".into(),
    };
    Page {
        state: if pending { State::Pending } else { State::Choice },
        headline,
        explanation: judgement.iommu_why.clone(),
        reason: String::new(),
        options: std::iter::once(off).chain(offers.iter().map(card)).collect(),
        preset: OFF.into(),
    }
}

/// A card that can be handed over if the user says so.
struct Offer<'a> {
    gpu: &'a Gpu,
    verdict: Verdict,
    functions: Vec<PciAddress>,
}

/// Asks policy what it would say if the user named this card: nothing else decides here.
fn offer<'a>(facts: &Machine, gpu: &'a Gpu, answers: &Answers, has_hook: bool) -> Option<Offer<'a>> {
    let judgement = policy::judge(facts, &naming(answers, gpu.address));
    let decision = judgement.decision;
    let possible = matches!(decision.verdict, Verdict::Ready | Verdict::Pending)
        && decision.guest_gpus == [gpu.address]
        && (decision.matching == Matching::Ids || has_hook);
    possible.then_some(Offer { gpu, verdict: decision.verdict, functions: decision.bind })
}

/// The answers, with this card as the guest's.
pub(crate) fn naming(answers: &Answers, card: PciAddress) -> Answers {
    let mut answers = answers.clone();
    answers.passthrough.guest_gpus = Gpus::Named(vec![FunctionName::Address(card)]);
    answers
}

fn refused(judgement: &Judgement, headline: String) -> Page {
    let decision = &judgement.decision;
    let worst = decision.findings.iter().find(|finding| finding.severity == Severity::Blocker);
    let worst = worst.or_else(|| decision.findings.first());
    let (reason, explanation) = match worst {
        Some(finding) => (
            serde_json::to_value(finding.code).ok().and_then(|code| code.as_str().map(str::to_owned)),
            sentence(&finding.message) + " " + &sentence(&finding.hint),
        ),
        None => (None, decision.question.clone().unwrap_or_default()),
    };
    Page {
        state: State::Refused,
        headline,
        explanation,
        reason: reason.unwrap_or_default(),
        options: Vec::new(),
        preset: OFF.into(),
    }
}

/// A fragment as a sentence.
fn sentence(fragment: &str) -> String {
    let mut letters = fragment.chars();
    let first: String = letters.next().map(|letter| letter.to_uppercase().collect()).unwrap_or_default();
    let end = if fragment.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// What people call the cards.
struct Names(std::collections::BTreeMap<PciId, String>);

impl Names {
    fn of(judgement: &Judgement, system: &Root) -> Self {
        let ids: Vec<_> = judgement.gpus.iter().filter_map(|gpu| gpu.id).collect();
        Self(facts::names(system, &ids))
    }

    fn name(&self, gpu: &Gpu) -> String {
        let name = gpu.id.map(|id| match self.0.get(&id) {
            Some(name) => shortened(name),
            None => format!("{} {id}", brand(id)),
        });
        name.unwrap_or_else(|| format!("graphics card at {}", gpu.address))
    }
}

/// What to call a card that no list has: newer than the medium, or the medium has no list.
fn brand(id: PciId) -> &'static str {
    match id.vendor {
        0x10de => "NVIDIA graphics card",
        0x1002 => "AMD graphics card",
        0x8086 => "Intel graphics card",
        _ => "graphics card",
    }
}

/// `NVIDIA Corporation GA104 [GeForce RTX 3070]` is `NVIDIA GeForce RTX 3070` on a box in a shop.
fn shortened(name: &str) -> String {
    let vendor = name.split_whitespace().next().unwrap_or_default();
    let vendor = if name.starts_with("Advanced Micro Devices") { "AMD" } else { vendor };
    let Some((_, rest)) = name.rsplit_once('[').filter(|_| name.ends_with(']')) else {
        return name.replace(" Corporation", "");
    };
    format!("{vendor} {}", rest.trim_end_matches(']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_on_the_box() {
        assert_eq!(shortened("NVIDIA Corporation GA104 [GeForce RTX 3070]"), "NVIDIA GeForce RTX 3070");
        assert_eq!(
            shortened("Advanced Micro Devices, Inc. [AMD/ATI] Navi 21 [Radeon RX 6800]"),
            "AMD Radeon RX 6800"
        );
        assert_eq!(shortened("Intel Corporation HD Graphics 630"), "Intel HD Graphics 630");
    }

    #[test]
    fn fragments_become_sentences() {
        assert_eq!(sentence("add a second GPU"), "Add a second GPU.");
        assert_eq!(sentence("Is it?"), "Is it?");
        assert_eq!(sentence(""), ".");
    }
}
