//! Kernel parameters in one variable of a piece of shell that some program sources.
//!
//! The variable is edited in place when the assignment that counts is one quoted literal on one
//! line, else by a marked block at the end.

use std::ops::Range;

use super::shell::{Assignment, Value, assignments};
use super::{TextError, block, command_line};

/// What a variable holds after the file was sourced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// The file does not set it.
    Unset,
    /// Exactly this.
    Literal(String),
    /// Only a shell could tell; what is known of it are these literal parts.
    Computed(String),
}

impl Setting {
    /// Everything that is surely in it.
    pub fn known(&self) -> &str {
        match self {
            Self::Unset => "",
            Self::Literal(text) | Self::Computed(text) => text,
        }
    }
}

/// What a variable holds. An error is a text that sh cannot parse either.
pub(super) fn setting(text: &str, name: &str) -> Result<Setting, TextError> {
    let all = assignments(text)?;
    let mut now = Setting::Unset;
    for assignment in all.iter().filter(|assignment| assignment.name == name) {
        let literal = match &assignment.value {
            Value::Word(word) if assignment.alone => word.literal.clone(),
            Value::Word(_) | Value::Array(_) => None,
        };
        now = match (literal, assignment.appends) {
            (Some(literal), false) => Setting::Literal(literal),
            (Some(literal), true) => match now {
                Setting::Unset => Setting::Literal(literal),
                Setting::Literal(before) => Setting::Literal(before + &literal),
                Setting::Computed(before) => Setting::Computed(before + &literal),
            },
            (None, _) => computed(text, assignment, &now),
        };
    }
    Ok(now)
}

/// What stays known behind `NAME="$NAME more"`; nothing behind any other computed value.
fn computed(text: &str, assignment: &Assignment<'_>, before: &Setting) -> Setting {
    let Value::Word(word) = &assignment.value else { return Setting::Computed(String::new()) };
    let raw = &text[word.span.clone()];
    let inner = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or_default();
    let own = [format!("${}", assignment.name), format!("${{{}}}", assignment.name)];
    for own in own {
        if let Some((head, tail)) = inner.split_once(&own)
            && !tail.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && !head.contains(['$', '`', '"', '\\'])
            && !tail.contains(['$', '`', '"', '\\'])
            && assignment.alone
            && !assignment.appends
        {
            let whole = [head, before.known(), tail].concat();
            return match before {
                Setting::Computed(_) => Setting::Computed(whole),
                Setting::Unset | Setting::Literal(_) => Setting::Literal(whole),
            };
        }
    }
    Setting::Computed(String::new())
}

/// The text with these parameters in the variable. `known` is what is known of the whole command
/// line: what it says already is not said again; `names` are all variables that make it.
///
/// An error is a text that sh cannot parse, or a parameter that cannot be written plainly.
pub(super) fn set_parameters(
    text: &str,
    variable: &str,
    names: &[&str],
    known: &str,
    parameters: &[String],
) -> Result<String, TextError> {
    command_line::check(parameters)?;
    let all = assignments(text)?;
    refuse_open_quotes(&all, names)?;
    let missing: Vec<_> =
        parameters.iter().filter(|token| !command_line::has(known, token)).cloned().collect();
    if missing.is_empty() {
        return Ok(text.to_owned());
    }
    if let Some(inner) = block_inner(text, variable) {
        let changed = command_line::set(&text[inner.clone()], &missing);
        return Ok(replaced(text, inner, &changed));
    }
    if let Some(inner) = editable(text, &all, variable) {
        let changed = command_line::set(&text[inner.clone()], &missing);
        return Ok(replaced(text, inner, &changed));
    }
    if text.trim_end_matches(['\r', '\n']).ends_with('\\') {
        let line = text.trim_end().matches('\n').count() + 1;
        return Err(TextError::at(line, "\\", "ends the file; a line must follow it, or it must go"));
    }
    let kept = block::body(text).unwrap_or_default();
    Ok(block::append_block(text, &format!("{kept}{}", addition(variable, &missing))))
}

/// A line that adds parameters to what the variable holds by then.
pub(super) fn addition(variable: &str, parameters: &[String]) -> String {
    format!("{variable}=\"${variable} {}\"", parameters.join(" "))
}

/// The text without these parameters (where they stand exactly so) in the variable, and without our
/// block once it holds nothing more.
pub(super) fn remove_parameters(
    text: &str,
    variable: &str,
    parameters: &[String],
) -> Result<String, TextError> {
    let mut text = text.to_owned();
    if let Some(inner) = block_inner(&text, variable) {
        let changed = command_line::remove(&text[inner.clone()], parameters);
        text = if changed.trim() == format!("${variable}") {
            let own = format!("{variable}=");
            without_block_line(&text, |line| line.starts_with(&own))
        } else {
            replaced(&text, inner, &changed)
        };
    }
    let all = assignments(&text)?;
    let last = all.iter().rposition(|assignment| assignment.name == variable && !in_block(&text, assignment));
    if let Some(inner) = last.and_then(|last| editable(&text, &all[..=last], variable)) {
        let changed = command_line::remove(&text[inner.clone()], parameters);
        text = replaced(&text, inner, &changed);
    }
    Ok(text)
}

/// The text with one variable holding this value, a plain word: in place where the assignment that
/// counts is a literal, else in our block.
///
/// An error is a text that sh cannot parse.
pub(super) fn set_value(text: &str, variable: &str, value: &str) -> Result<String, TextError> {
    if setting(text, variable)? == Setting::Literal(value.to_owned()) {
        return Ok(text.to_owned());
    }
    let all = assignments(text)?;
    if let Some(word) = plain_word(&all, variable) {
        let raw = &text[word.clone()];
        let quote =
            raw.chars().next().filter(|c| ['"', '\''].contains(c)).map(String::from).unwrap_or_default();
        return Ok(replaced(text, word, &[&quote, value, &quote].concat()));
    }
    let kept = block::body(text).unwrap_or_default();
    Ok(block::append_block(text, &format!("{kept}{variable}={value}\n")))
}

/// The text without our value: what `original` had in its place comes back, else the line goes.
/// Where somebody gave it another value, that stays.
pub(super) fn unset_value(
    text: &str,
    original: &str,
    variable: &str,
    value: &str,
) -> Result<String, TextError> {
    if setting(text, variable)? != Setting::Literal(value.to_owned()) {
        return Ok(text.to_owned());
    }
    let line = format!("{variable}={value}");
    if block::body(text).is_some_and(|body| body.lines().any(|other| other == line)) {
        return Ok(without_block_line(text, |other| other == line));
    }
    let (all, before) = (assignments(text)?, assignments(original)?);
    match (plain_word(&all, variable), plain_word(&before, variable)) {
        (Some(word), Some(then)) => Ok(replaced(text, word, &original[then])),
        _ => Ok(text.to_owned()),
    }
}

/// The text without these lines of our block, and without a block that is left empty.
fn without_block_line(text: &str, goes: impl Fn(&str) -> bool) -> String {
    let body = block::body(text).unwrap_or_default();
    let kept: String = body.lines().filter(|line| !goes(line)).flat_map(|line| [line, "\n"]).collect();
    if kept.is_empty() { block::remove_block(text) } else { block::append_block(text, &kept) }
}

/// Where the value of a variable's last assignment stands, with its quotes, if that is one literal.
fn plain_word(all: &[Assignment<'_>], variable: &str) -> Option<Range<usize>> {
    let last = all.iter().rev().find(|assignment| assignment.name == variable)?;
    let Value::Word(word) = &last.value else { return None };
    (last.alone && !last.appends && word.literal.is_some()).then(|| word.span.clone())
}

/// A quote of the kernel's own that is never closed would swallow whatever we add behind it.
fn refuse_open_quotes(all: &[Assignment<'_>], names: &[&str]) -> Result<(), TextError> {
    for assignment in all.iter().filter(|assignment| names.contains(&assignment.name)) {
        if let Value::Word(word) = &assignment.value
            && word.literal.as_ref().is_some_and(|literal| literal.matches('"').count() % 2 == 1)
        {
            let why = "holds a double quote that is never closed; the kernel needs them in pairs";
            return Err(TextError::at(assignment.line, assignment.name, why));
        }
    }
    Ok(())
}

fn replaced(text: &str, range: Range<usize>, with: &str) -> String {
    [&text[..range.start], with, &text[range.end..]].concat()
}

fn in_block(text: &str, assignment: &Assignment<'_>) -> bool {
    let Value::Word(word) = &assignment.value else { return false };
    block::find(text).is_some_and(|block| block.body.contains(&word.span.start))
}

/// What stands between the double quotes of our block's assignment.
fn block_inner(text: &str, variable: &str) -> Option<Range<usize>> {
    let body = block::find(text)?.body;
    let start = body.start + text[body.clone()].find(variable)? + variable.len();
    let open = start + text[start..body.end].strip_prefix("=\"").map(|_| 2)?;
    let inner = open..open + text[open..body.end].find('"')?;
    text[inner.clone()].contains(&format!("${variable}")).then_some(inner)
}

/// What stands between the quotes of the variable's last assignment, if that is one quoted literal
/// on one line whose bytes are its value.
fn editable(text: &str, all: &[Assignment<'_>], variable: &str) -> Option<Range<usize>> {
    let last = all.iter().rev().find(|assignment| assignment.name == variable)?;
    let Value::Word(word) = &last.value else { return None };
    let raw = &text[word.span.clone()];
    let inner = word.span.start + 1..word.span.end.checked_sub(1)?;
    let quoted = raw.len() >= 2 && raw.starts_with(['"', '\'']) && raw.ends_with(&raw[..1]);
    // An escape, a second quoted part or a line continuation would make the bytes differ.
    let plain = quoted && word.literal.as_deref() == Some(&text[inner.clone()]) && !raw.contains('\n');
    (plain && last.alone && !last.appends).then_some(inner)
}
