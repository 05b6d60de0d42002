//! The policy: the rules on every machine, on generated ones, and what the target adds.

#![allow(clippy::unwrap_used, reason = "what a test prepares by a function of its own may fail it, too")]

mod controls;
mod devices;
mod every_line;
mod expected;
mod extras;
mod generated;
mod hints;
mod machines;
mod strategy;
mod target;

use std::sync::LazyLock;

use neuron_passthrough::answers::Answers;
use neuron_passthrough::facts::Machine;
use neuron_passthrough::policy::{self, Judgement};
use neuron_tests::rules::{self, Trial};
use neuron_tests::seen::Seen;

/// Every machine, read once for all tests.
static MACHINES: LazyLock<Vec<Seen>> = LazyLock::new(|| Seen::all().unwrap());

/// One machine, by its name.
fn seen(id: &str) -> &'static Seen {
    MACHINES.iter().find(|seen| seen.machine.id == id).unwrap()
}

/// Answers from the text of a file.
fn answers(text: &str) -> Answers {
    Answers::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What is wrong with the judgement of a machine.
fn complaints(machine: &Machine, answers: &Answers) -> Vec<String> {
    let judgement = policy::judge(machine, answers);
    rules::broken(Trial { machine, answers, judgement: &judgement })
}

/// The decision's verdict as the JSON shows it, and likewise for other enums.
fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
}

fn judged(machine: &Machine, text: &str) -> Judgement {
    policy::judge(machine, &answers(text))
}
