//! What is asked next, and what was asked before: the order of the questions, and nothing else.

use neuron_passthrough::answers::Answers;

use super::pages::{self, Step, Taken};
use super::{Answer, Draft, Place, Question, Seen};

/// Where an answer leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// On: to another question, or to the end of them.
    On,
    /// It cannot be taken, for this reason: the same question again.
    Again(String),
    /// Away: nothing is wanted.
    Leave,
}

/// The questions on their way.
#[derive(Debug)]
pub(crate) struct Dialogue<'a> {
    seen: &'a Seen<'a>,
    draft: Draft,
    /// The step that is asked now; behind the last one there is nothing left to ask.
    at: usize,
    /// The steps that were answered, in order.
    trail: Vec<usize>,
}

impl<'a> Dialogue<'a> {
    /// Begins with the answers that are followed now.
    pub(crate) fn new(seen: &'a Seen<'a>, answers: Answers) -> Self {
        Self { seen, draft: Draft::new(answers), at: 0, trail: Vec::new() }
    }

    /// The answers by now.
    pub(crate) fn draft(&self) -> &Draft {
        &self.draft
    }

    /// What is asked now, and where it stands; nothing once all is answered.
    pub(crate) fn question(&self) -> Option<(Place, Question)> {
        let (page, step) = pages::step(self.at)?;
        let is_same_page = |at: &usize| pages::step(*at).is_some_and(|(other, _)| other == page);
        let place = pages::place(page, !self.trail.last().is_some_and(is_same_page));
        Some((place, (step.ask)(self.seen, &self.draft)))
    }

    /// Takes an answer.
    pub(crate) fn answer(&mut self, answer: &Answer) -> Next {
        let Some((_, step)) = pages::step(self.at) else { return Next::On };
        tracing::debug!("wizard: {} is answered", step.id);
        match (step.take)(self.seen, &mut self.draft, answer) {
            Err(why) => return Next::Again(why),
            Ok(Taken::Leave) => return Next::Leave,
            Ok(Taken::Again) => {}
            Ok(Taken::Back) => {
                self.back();
            }
            Ok(Taken::Next) => {
                self.trail.push(self.at);
                self.at += 1;
            }
        }
        self.skip();
        Next::On
    }

    /// Goes to the question before; false at the first one. What was answered stays proposed.
    pub(crate) fn back(&mut self) -> bool {
        match self.trail.pop() {
            Some(before) => {
                self.at = before;
                true
            }
            None => false,
        }
    }

    /// Passes over what need not be asked.
    fn skip(&mut self) {
        let applies = |step: &Step| (step.applies)(self.seen, &self.draft);
        while pages::step(self.at).is_some_and(|(_, step)| !applies(step)) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests;
