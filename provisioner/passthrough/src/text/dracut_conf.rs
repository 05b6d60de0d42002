//! `dracut.conf` and its drop-ins: which lines say what the image holds. Analysis only; what we add
//! comes as a drop-in of our own.
//!
//! Source: dracut, which sources the main file with bash, then `*.conf` of `/etc/dracut.conf.d` and
//! `/usr/lib/dracut/dracut.conf.d` in the order of `sort -Vu` by name; of one name only that of `/etc`.
//! Its lists are strings, parted by blanks.

use super::shell::{self, Value};
use super::{TextError, command_line};

/// One assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The variable.
    pub variable: String,
    /// Where it begins, counted from 1.
    pub line: usize,
    /// `+=`: what was there before stays.
    pub appends: bool,
    /// Inside an `if`, a function or behind `&&`: bash may skip it.
    pub conditional: bool,
    /// The value, quotes resolved; of an array its words. None where only bash could tell.
    pub value: Option<String>,
}

impl Setting {
    /// The words of the value as dracut splits it; none where only bash could tell.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.value.iter().flat_map(|value| value.split_ascii_whitespace())
    }
}

/// Every assignment of a text, in order. An error is a text that bash cannot parse.
pub fn settings(text: &str) -> Result<Vec<Setting>, TextError> {
    let analysed = |assignment: shell::Assignment<'_>| Setting {
        variable: assignment.name.to_owned(),
        line: assignment.line,
        appends: assignment.appends,
        conditional: !assignment.alone,
        value: match assignment.value {
            Value::Word(word) => word.literal,
            Value::Array(words) => {
                let words: Option<Vec<String>> = words.into_iter().map(|word| word.literal).collect();
                words.map(|words| words.join(" "))
            }
        },
    };
    Ok(shell::assignments(text)?.into_iter().map(analysed).collect())
}

/// What a variable holds when dracut has read all of these texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// This, perhaps nothing.
    Known(String),
    /// Only bash could tell: which text, and the line in it.
    Computed(usize, usize),
}

/// What a variable holds after these texts, in dracut's order. A text that bash cannot parse is
/// left out, as dracut goes on without it.
pub fn held<'a>(texts: impl IntoIterator<Item = &'a str>, variable: &str) -> Held {
    let mut held = Held::Known(String::new());
    for (index, text) in texts.into_iter().enumerate() {
        for setting in settings(text).unwrap_or_default() {
            if setting.variable != variable {
                continue;
            }
            let computed = Held::Computed(index, setting.line);
            held = match (setting.value, held, setting.appends) {
                _ if setting.conditional => computed,
                (None, ..) => computed,
                (Some(value), _, false) => Held::Known(value),
                (Some(value), Held::Known(before), true) => Held::Known(before + &value),
                (Some(_), unknown, true) => unknown,
            };
        }
    }
    held
}

/// A line that adds these parameters to the command line of unified kernel images, but for those
/// that are built with `switch` among the parameters on dracut's own command line.
///
/// An error is a parameter that cannot be written plainly.
pub fn command_line_unless(switch: &str, parameters: &[String]) -> Result<String, TextError> {
    command_line::check(parameters)?;
    // dracut has read its own command line (`--kernel-cmdline`) before it sources this.
    Ok(format!(
        "[[ \" ${{kernel_cmdline_l[*]-}} \" == *\" {switch} \"* ]] || kernel_cmdline+=\" {} \"\n",
        parameters.join(" ")
    ))
}

#[cfg(test)]
#[path = "tests/dracut_conf.rs"]
mod tests;
