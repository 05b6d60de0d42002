//! Which card this computer draws with: asked where there is a choice.

use neuron_passthrough::answers::{Answers, HostGpu};
use neuron_passthrough::policy::{Gpu, Verdict};

use super::card::name;
use super::{Step, Taken, begin, is_on};
use crate::wizard::{Answer, Draft, Question, Seen};

pub(super) const STEP: Step = Step {
    id: "host",
    applies: |seen, draft| is_on(seen, draft) && offers(seen, draft).len() > 1,
    ask,
    take,
};

/// The cards that stay, show a picture, and that policy lets this computer draw with.
fn offers(seen: &Seen<'_>, draft: &Draft) -> Vec<Gpu> {
    let judgement = seen.judge(&draft.answers);
    let guests = judgement.decision.guest_gpus;
    let stays = |gpu: &Gpu| gpu.has_outputs && !guests.contains(&gpu.address);
    judgement.gpus.into_iter().filter(stays).filter(|gpu| is_allowed(seen, draft, gpu)).collect()
}

fn is_allowed(seen: &Seen<'_>, draft: &Draft, gpu: &Gpu) -> bool {
    let decision = seen.judge(&with(seen, draft, gpu)).decision;
    // What is still to be asked of the guest's card says nothing against this one.
    decision.verdict != Verdict::Refused && decision.host_gpu == Some(gpu.address)
}

fn with(seen: &Seen<'_>, draft: &Draft, gpu: &Gpu) -> Answers {
    let mut answers = draft.answers.clone();
    answers.passthrough.host_gpu = HostGpu::Named(name(seen, gpu));
    answers
}

fn ask(seen: &Seen<'_>, draft: &Draft) -> Question {
    let now = seen.judge(&draft.answers).decision.host_gpu;
    let offers = offers(seen, draft);
    let proposed = offers.iter().position(|gpu| Some(gpu.address) == now).unwrap_or_default();
    let options: Vec<String> = offers.iter().map(|gpu| seen.name(gpu)).collect();
    let told = offers.iter().map(|gpu| begin::line(seen, gpu)).filter(|line| !options.contains(line));
    let told: Vec<String> = told.collect();
    Question::choice("Which one does this computer draw with?", options)
        .proposing(proposed)
        .text("Your monitor is plugged into that one from then on.")
        .items(told)
}

fn take(seen: &Seen<'_>, draft: &mut Draft, answer: &Answer) -> Result<Taken, String> {
    let offers = offers(seen, draft);
    let Some(gpu) = offers.get(answer.index()) else {
        return Err("that is none of them".to_owned());
    };
    // However the answers say it: they say it already.
    if seen.judge(&draft.answers).decision.host_gpu != Some(gpu.address) {
        draft.answers = with(seen, draft, gpu);
    }
    Ok(Taken::Next)
}
