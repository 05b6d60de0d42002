//! The pages, in their order; one file each. A page is a list of steps, a step is one question.
#![allow(clippy::unnecessary_wraps, reason = "every answer is taken by a function of one shape")]

mod begin;
mod card;
mod devices;
mod disk;
mod host;
mod looking_glass;
mod network;
mod start;
mod virtual_machine;

use super::{Answer, Draft, Place, Question, Seen};

pub(crate) use begin::FIRST_QUESTION;
pub(crate) use card::candidates;

/// What becomes of an answer that can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// On to the next question.
    Next,
    /// There is more to be said to this one, if it still applies.
    Again,
    /// To the question before.
    Back,
    /// Nothing is wanted.
    Leave,
}

/// One question of a page.
#[derive(Debug)]
pub(super) struct Step {
    /// Its name, for whoever follows what is done.
    pub(super) id: &'static str,
    /// Whether it has to be asked.
    pub(super) applies: fn(&Seen<'_>, &Draft) -> bool,
    /// The question.
    pub(super) ask: fn(&Seen<'_>, &Draft) -> Question,
    /// Takes the answer, or says why not.
    pub(super) take: fn(&Seen<'_>, &mut Draft, &Answer) -> Result<Taken, String>,
}

/// Every page with its title; the one that shows the plan comes behind them.
const ALL: &[(&str, &[Step])] = &[
    ("What is in this computer", begin::STEPS),
    ("The graphics card", card::STEPS),
    ("How the computer starts", start::STEPS),
    ("Looking Glass", looking_glass::STEPS),
    ("The virtual machine", virtual_machine::STEPS),
    ("Disk and installation media", disk::STEPS),
    ("Network", network::STEPS),
    ("Devices beside the card", devices::STEPS),
];

/// The title of the last page.
const LAST: &str = "What is written";

/// The step with this number, and the number of its page.
pub(super) fn step(at: usize) -> Option<(usize, &'static Step)> {
    let mut all =
        ALL.iter().enumerate().flat_map(|(page, (_, steps))| steps.iter().map(move |step| (page, step)));
    all.nth(at)
}

/// Where a page stands.
pub(super) fn place(page: usize, is_first: bool) -> Place {
    let title = ALL.get(page).map_or(LAST, |(title, _)| title);
    Place { title, number: page + 1, of: ALL.len() + 1, is_first, has_before: page > 0 }
}

impl Place {
    /// What has to be settled before any page.
    pub(crate) fn before_all() -> Self {
        Self { title: "Before anything else", ..place(0, true) }
    }

    /// The page that shows the plan.
    pub(crate) fn last(is_first: bool) -> Self {
        place(ALL.len(), is_first)
    }
}

/// Always.
fn always(_: &Seen<'_>, _: &Draft) -> bool {
    true
}

/// Where something is given away.
fn is_on(_: &Seen<'_>, draft: &Draft) -> bool {
    !draft.is_off()
}

/// Where a virtual machine is described.
fn has_machine(_: &Seen<'_>, draft: &Draft) -> bool {
    !draft.is_off() && draft.vm().is_some()
}

/// A whole number in a range.
fn whole(text: &str, least: u64, most: u64) -> Result<u64, String> {
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("`{text}` is no whole number from {least} to {most}")),
    }
}
