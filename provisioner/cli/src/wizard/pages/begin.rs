//! What was found, and whether to go on.

use neuron_passthrough::policy::{Gpu, GpuRole, IommuState, Judgement, Verdict};

use super::{Step, Taken, always};
use crate::wizard::{Draft, Question, Seen};

/// What is asked first; named where nobody can be asked.
pub(crate) const FIRST_QUESTION: &str = "Shall we set up GPU passthrough, question by question?";

pub(super) const STEPS: &[Step] = &[Step {
    id: "begin",
    applies: always,
    ask,
    take: |_, _, answer| Ok(if answer.index() == 0 { Taken::Next } else { Taken::Leave }),
}];

fn ask(seen: &Seen<'_>, draft: &Draft) -> Question {
    let judgement = seen.judge(&draft.answers);
    let options = vec!["Yes, go on".to_owned(), "No, leave everything as it is".to_owned()];
    let mut question = Question::choice(FIRST_QUESTION, options)
        .text(
            "GPU passthrough hands one graphics card of this computer to a virtual machine, which then draws \
             at full speed. This computer goes on with another one.",
        )
        .items(judgement.gpus.iter().map(|gpu| line(seen, gpu)));
    if seen.is_set_up() {
        question = question.text(
            "It is set up here already. At every question the present answer is the one that is proposed.",
        );
    } else {
        question = question.text(proposal(seen, &judgement));
    }
    question
        .text("Nothing is written before the last page, and `neuron-provisioner revert` undoes all of it.")
}

/// A card, and what is seen of it.
pub(super) fn line(seen: &Seen<'_>, gpu: &Gpu) -> String {
    let mut facts = Vec::new();
    if gpu.boot_vga == Some(true) {
        facts.push("shows the first picture after power-on");
    }
    if gpu.drives_panel {
        facts.push("drives the built-in screen");
    } else if gpu.has_display {
        facts.push("has a monitor plugged in");
    }
    if !gpu.has_outputs {
        facts.push("has no outputs of its own");
    }
    let facts = if facts.is_empty() { String::new() } else { format!(": {}", facts.join(", ")) };
    format!("{}{facts}", seen.name(gpu))
}

fn proposal(seen: &Seen<'_>, judgement: &Judgement) -> String {
    let named = |role| {
        let of = judgement.gpus.iter().filter(move |gpu| gpu.role == role);
        of.map(|gpu| seen.name(gpu)).collect::<Vec<_>>().join(" and ")
    };
    match judgement.decision.verdict {
        Verdict::Ready | Verdict::Pending => {
            let iommu = if judgement.iommu == IommuState::On {
                "The IOMMU, which keeps the virtual machine apart from the rest, is on."
            } else {
                "The IOMMU, which keeps the virtual machine apart from the rest, is off; it is turned on first, \
                 and after a reboot it is judged whether the card can go."
            };
            format!(
                "The proposal: {} goes to the virtual machine, {} stays with this computer. {iommu}",
                named(GpuRole::Guest),
                named(GpuRole::Host)
            )
        }
        Verdict::Ask | Verdict::Refused => {
            "Which card can go is not plain on this computer; the next page says what stands against each."
                .to_owned()
        }
    }
}
