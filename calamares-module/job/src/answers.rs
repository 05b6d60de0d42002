//! The module's `answers:` and the user's choice become one [`Answers`].

use neuron_passthrough::answers::{Answers, InvalidAnswers, Mode};
use serde_json::{Map, Value};

use crate::choice::Choice;
use crate::detect::naming;

/// Reads `answers:` and lets the choice win over it.
pub(crate) fn read(configured: &Map<String, Value>, choice: Choice) -> Result<Answers, InvalidAnswers> {
    let mut configured = configured.clone();
    restore_off(&mut configured);
    let mut answers = Answers::from_value(Value::Object(configured)).map_err(explain_yaml)?;
    match choice {
        Choice::NotAsked => {}
        Choice::Off => answers.passthrough.mode = Mode::Off,
        Choice::Card(address) => {
            // Whoever names a card on the page overrules a medium that has passthrough off.
            if answers.passthrough.mode == Mode::Off {
                answers.passthrough.mode = Mode::Auto;
            }
            return Ok(naming(&answers, address));
        }
    }
    Ok(answers)
}

/// Puts `off` back where Calamares made a truth value of it; there is no way to write it otherwise.
fn restore_off(answers: &mut Map<String, Value>) {
    let restore = |table: Option<&mut Value>, keys: &[&str]| {
        let Some(Value::Object(table)) = table else { return };
        for key in keys {
            if table.get(*key) == Some(&Value::Bool(false)) {
                table.insert((*key).to_owned(), Value::from("off"));
            }
        }
    };
    restore(answers.get_mut("passthrough"), &["mode"]);
    if let Some(Value::Object(machines)) = answers.get_mut("vm") {
        for (_, machine) in machines.iter_mut() {
            restore(Some(machine), &["hugepages", "cpu_pinning"]);
        }
    }
}

/// Says what nobody who reads their own file would guess.
fn explain_yaml(mut error: InvalidAnswers) -> InvalidAnswers {
    if error.message.contains("invalid type: integer") || error.message.contains("invalid type: boolean") {
        let yaml = "Calamares takes digits for a number and on, off, true and false for a truth value, quoted or not";
        error.hint = Some(error.hint.map_or_else(|| yaml.into(), |hint| format!("{hint}; {yaml}")));
    }
    error
}
