//! Which entry of the boot menu is the default, and whether it is tried first.

use neuron_passthrough::answers::DefaultEntry;

use super::{Step, Taken, is_on};
use crate::wizard::Question;

pub(super) const STEPS: &[Step] = &[Step {
    id: "start",
    applies: is_on,
    ask: |_, draft| {
        let wishes = &draft.answers.passthrough;
        let proposed = match (wishes.default_entry, wishes.trial) {
            (DefaultEntry::Passthrough, true) => 0,
            (DefaultEntry::Passthrough, false) => 1,
            (DefaultEntry::Host, _) => 2,
        };
        let options = [
            "With passthrough, on trial first",
            "With passthrough at once",
            "Without; I choose it in the menu",
        ];
        Question::choice("How does this computer start from now on?", options.map(str::to_owned).to_vec())
            .proposing(proposed)
            .text(
                "The boot menu gets two entries: one that hands the card over, and one that leaves everything \
                 as it is today. Both stay.",
            )
            .text(
                "On trial, the first start asks at the screen whether the picture is there. Without an answer \
                 the card goes back, so a black screen mends itself. \"At once\" is for machines without a \
                 screen, where nobody could answer.",
            )
    },
    take: |_, draft, answer| {
        let wishes = &mut draft.answers.passthrough;
        wishes.default_entry =
            if answer.index() == 2 { DefaultEntry::Host } else { DefaultEntry::Passthrough };
        // Where the host entry is the default nothing is tried; what was said of it stays.
        match answer.index() {
            0 => wishes.trial = true,
            1 => wishes.trial = false,
            _ => {}
        }
        Ok(Taken::Next)
    },
}];
