//! Which graphics card goes: only what policy allows, with the reason where it does not.

use neuron_passthrough::answers::{Answers, Gpus, HostGpu, Mode, Override};
use neuron_passthrough::id::{FunctionName, PciAddress};
use neuron_passthrough::policy::{Code, Decision, Finding, Gpu, Severity, Verdict};

use super::{Step, Taken, always, host, is_on};
use crate::render::plain;
use crate::wizard::{Draft, Part, Question, Seen};

pub(super) const STEPS: &[Step] = &[
    Step { id: "card", applies: always, ask, take },
    host::STEP,
    Step {
        id: "doubt",
        applies: |seen, draft| is_on(seen, draft) && doubt(seen, &draft.answers).is_some(),
        ask: ask_doubt,
        take: take_doubt,
    },
];

/// What may stand in the way of a card.
enum Way {
    /// Nothing, or what somebody can accept; with what is worth knowing of it.
    Free(Vec<String>),
    /// This.
    Barred(String),
}

/// One card, and whether it can go.
struct Candidate<'a> {
    gpu: &'a Gpu,
    way: Way,
}

/// One thing that can be chosen.
struct Offer {
    label: String,
    gpus: Option<Gpus>,
    guests: Vec<PciAddress>,
}

/// How many cards can go.
pub(crate) fn candidates(seen: &Seen<'_>, draft: &Draft) -> usize {
    offers(seen, draft).iter().filter(|offer| offer.gpus.is_some()).count()
}

/// These answers with these GPUs, and whether policy lets them go.
fn with(seen: &Seen<'_>, draft: &Draft, gpus: Gpus) -> (Answers, Way) {
    let mut answers = draft.clone();
    answers.forget_doubts();
    let mut answers = answers.answers;
    answers.passthrough.guest_gpus = gpus;
    if answers.passthrough.mode == Mode::Off {
        answers.passthrough.mode = Mode::Auto;
    }
    // The card that was to stay is the one that goes: another one stays.
    if seen.judge(&answers).decision.findings.iter().any(|finding| finding.code == Code::HostIsGuest) {
        answers.passthrough.host_gpu = HostGpu::Auto;
    }
    let mut tried = answers.clone();
    loop {
        let decision = seen.judge(&tried).decision;
        match decision.verdict {
            Verdict::Ready | Verdict::Pending => return (answers, Way::Free(catches(&decision))),
            Verdict::Refused => return (answers, Way::Barred(reason(&decision))),
            Verdict::Ask => match doubt(seen, &tried) {
                Some((rule, _)) => tried.passthrough.allow.push(rule),
                None => return (answers, Way::Barred(reason(&decision))),
            },
        }
    }
}

/// Why a decision forbids it, with what to do about it.
fn reason(decision: &Decision) -> String {
    let matters = if decision.verdict == Verdict::Refused { Severity::Blocker } else { Severity::Warning };
    let of = |finding: &Finding| format!("{}; {}", finding.message, finding.hint);
    let reasons = decision.findings.iter().filter(|finding| finding.severity >= matters);
    plain(&reasons.map(of).collect::<Vec<_>>().join(". Also: "))
}

/// What is worth knowing of the cards that would go, besides what is asked about.
fn catches(decision: &Decision) -> Vec<String> {
    let is_it = |finding: &&Finding| {
        let about = finding.subject.as_deref().and_then(|subject| subject.parse().ok());
        let is_guest = about.is_some_and(|address| decision.guest_gpus.contains(&address));
        finding.severity == Severity::Warning && is_guest && rule(finding.code).is_none()
    };
    decision.findings.iter().filter(is_it).map(|finding| plain(&finding.message)).collect()
}

/// How a GPU is named in the answers: by its id, which fits no other card that is put in its place;
/// by its address where another one has the same id.
pub(super) fn name(seen: &Seen<'_>, gpu: &Gpu) -> FunctionName {
    match gpu.id {
        Some(id) if seen.machine.with_id(id).count() == 1 => FunctionName::Id(id),
        _ => FunctionName::Address(gpu.address),
    }
}

fn all<'a>(seen: &Seen<'_>, draft: &Draft, gpus: &'a [Gpu]) -> Vec<Candidate<'a>> {
    let way = |gpu| with(seen, draft, Gpus::Named(vec![name(seen, gpu)])).1;
    gpus.iter().map(|gpu| Candidate { gpu, way: way(gpu) }).collect()
}

fn offers(seen: &Seen<'_>, draft: &Draft) -> Vec<Offer> {
    let judgement = seen.judge(&draft.answers);
    let candidates = all(seen, draft, &judgement.gpus);
    let free: Vec<&Gpu> =
        candidates.iter().filter(|one| matches!(one.way, Way::Free(_))).map(|one| one.gpu).collect();
    let mut offers: Vec<Offer> = free
        .iter()
        .map(|gpu| Offer {
            label: seen.name(gpu),
            gpus: Some(Gpus::Named(vec![name(seen, gpu)])),
            guests: vec![gpu.address],
        })
        .collect();
    if free.len() > 1
        && let (answers, Way::Free(_)) = with(seen, draft, Gpus::All)
    {
        let guests = seen.judge(&answers).decision.guest_gpus;
        if guests.len() > 1 {
            offers.push(Offer {
                label: format!("All {} that this computer can do without", guests.len()),
                gpus: Some(Gpus::All),
                guests,
            });
        }
    }
    offers.extend(present(draft, &judgement.decision, &offers));
    let label = if seen.is_set_up() { "None: take passthrough back" } else { "None: no passthrough" };
    offers.push(Offer { label: label.to_owned(), gpus: None, guests: Vec::new() });
    offers
}

/// What the answers say now, where that is none of the others.
fn present(draft: &Draft, decision: &Decision, offers: &[Offer]) -> Option<Offer> {
    let is_allowed = matches!(decision.verdict, Verdict::Ready | Verdict::Pending);
    let guests = &decision.guest_gpus;
    if draft.is_off() || !is_allowed || guests.is_empty() || offers.iter().any(|one| one.guests == *guests) {
        return None;
    }
    let names: Vec<String> = guests.iter().map(ToString::to_string).collect();
    Some(Offer {
        label: format!("As the answers say now: {}", names.join(", ")),
        gpus: Some(draft.answers.passthrough.guest_gpus.clone()),
        guests: guests.clone(),
    })
}

fn ask(seen: &Seen<'_>, draft: &Draft) -> Question {
    let judgement = seen.judge(&draft.answers);
    let offers = offers(seen, draft);
    let guests = &judgement.decision.guest_gpus;
    let candidates = all(seen, draft, &judgement.gpus);
    let proposed = if draft.is_off() {
        offers.len().saturating_sub(1)
    } else if guests.is_empty() {
        // Several could go. Whoever wants one is not meant to have none by a key too many.
        let fits = |one: &&Candidate<'_>| {
            let stays =
                one.gpu.boot_vga == Some(true) || Some(one.gpu.address) == judgement.decision.host_gpu;
            !stays && matches!(&one.way, Way::Free(catches) if catches.is_empty())
        };
        let first = candidates.iter().find(fits).map(|one| vec![one.gpu.address]);
        let first = offers.iter().position(|offer| Some(&offer.guests) == first.as_ref());
        first.unwrap_or(offers.len().saturating_sub(1))
    } else {
        offers.iter().position(|offer| offer.guests == *guests).unwrap_or_default()
    };
    let notes = candidates.into_iter().filter_map(|one| match one.way {
        Way::Free(catches) if catches.is_empty() => None,
        Way::Free(catches) => {
            Some(format!("{} can go, with a catch: {}.", seen.name(one.gpu), catches.join("; ")))
        }
        Way::Barred(why) => Some(format!("{} cannot go: {why}.", seen.name(one.gpu))),
    });
    let mut question = Question::choice(
        "Which graphics card goes to the virtual machine?",
        offers.into_iter().map(|offer| offer.label).collect(),
    )
    .proposing(proposed)
    .text("From the next start on the one that you choose belongs to virtual machines alone, with its sound and its USB ports.");
    question.text.extend(notes.map(Part::Item));
    question
}

fn take(seen: &Seen<'_>, draft: &mut Draft, answer: &crate::wizard::Answer) -> Result<Taken, String> {
    let Some(offer) = offers(seen, draft).into_iter().nth(answer.index()) else {
        return Err("that is none of them".to_owned());
    };
    let now = seen.judge(&draft.answers).decision;
    let is_now = matches!(now.verdict, Verdict::Ready | Verdict::Pending) && now.guest_gpus == offer.guests;
    match offer.gpus {
        None => draft.answers.passthrough.mode = Mode::Off,
        // However the answers say it: they say it already.
        Some(_) if seen.is_set_up() && is_now && !draft.is_off() => {}
        Some(gpus) => {
            if draft.answers.passthrough.guest_gpus != gpus || draft.is_off() {
                (draft.answers, _) = with(seen, draft, gpus);
            }
        }
    }
    Ok(Taken::Next)
}

/// The override that sets a doubt aside.
fn rule(code: Code) -> Option<Override> {
    Some(match code {
        Code::GuestIsBootVga => Override::GuestIsBootVga,
        Code::GuestDrivesPanel => Override::GuestDrivesPanel,
        Code::AcsOverridePresent => Override::AcsOverride,
        Code::EncryptedRootPrompt => Override::EncryptedRootPrompt,
        Code::TpmSealedRoot => Override::TpmSealedRoot,
        Code::OtherGpuSwitcher => Override::OtherGpuSwitcher,
        Code::DesktopNamesGuest => Override::DesktopNamesGuest,
        Code::IommuOffOnCmdline => Override::IommuOffOnCmdline,
        _ => return None,
    })
}

/// The first doubt that somebody can set aside.
fn doubt(seen: &Seen<'_>, answers: &Answers) -> Option<(Override, Finding)> {
    let decision = seen.judge(answers).decision;
    if decision.verdict != Verdict::Ask {
        return None;
    }
    let helps = |rule: Override| {
        let mut allowed = answers.clone();
        allowed.passthrough.allow.push(rule);
        seen.judge(&allowed).decision.question != decision.question
    };
    let of = |finding: &Finding| {
        let rule = rule(finding.code).filter(|rule| !answers.passthrough.allows(*rule))?;
        helps(rule).then(|| (rule, finding.clone()))
    };
    decision.findings.iter().find_map(of)
}

fn ask_doubt(seen: &Seen<'_>, draft: &Draft) -> Question {
    let options = vec!["No, choose again".to_owned(), "Yes, I know what that means".to_owned()];
    let question = Question::choice("Go on all the same?", options);
    match doubt(seen, &draft.answers) {
        Some((_, finding)) => question
            .text(format!("One thing to know first: {}.", plain(&finding.message)))
            .text(format!("What could be done: {}.", plain(&finding.hint))),
        None => question,
    }
}

fn take_doubt(seen: &Seen<'_>, draft: &mut Draft, answer: &crate::wizard::Answer) -> Result<Taken, String> {
    if answer.index() != 1 {
        return Ok(Taken::Back);
    }
    if let Some((rule, _)) = doubt(seen, &draft.answers) {
        draft.answers.passthrough.allow.push(rule);
    }
    Ok(if doubt(seen, &draft.answers).is_some() { Taken::Again } else { Taken::Next })
}
