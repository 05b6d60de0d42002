//! `mkinitcpio.conf` and its drop-ins: which lines say what the image holds. Analysis only; what
//! we add comes as a drop-in of our own, or as a [block](super::block).
//!
//! Source: mkinitcpio, which since version 36 concatenates the main file and `*.conf` of
//! `mkinitcpio.conf.d`, ordered by `sort -zVu`, and sources the result with bash.

use std::cmp::Ordering;

use super::TextError;
use super::shell::{self, Value};

/// The shape of an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `MODULES=(a b)`, on one line or several: what can be added to as an array.
    Array,
    /// `MODULES="a b"`: one string, which an array expansion takes as a single item.
    Text,
}

/// One assignment to `MODULES` or `HOOKS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// `MODULES` or `HOOKS`.
    pub variable: String,
    /// Where it begins, counted from 1.
    pub line: usize,
    /// Array or string.
    pub form: Form,
    /// `+=`: what was there before stays.
    pub appends: bool,
    /// Inside an `if`, a function or behind `&&`: bash may skip it.
    pub conditional: bool,
    /// The items as written, quotes resolved; none where only bash could tell. A string is split
    /// at blanks, as mkinitcpio's `arrayize_config` does it.
    pub items: Option<Vec<String>>,
}

/// Every assignment to `MODULES` or `HOOKS`, in order. An error is a text that bash cannot parse.
pub fn assignments(text: &str) -> Result<Vec<Assignment>, TextError> {
    let ours = |assignment: &shell::Assignment<'_>| ["MODULES", "HOOKS"].contains(&assignment.name);
    Ok(shell::assignments(text)?.into_iter().filter(ours).map(analysed).collect())
}

fn analysed(assignment: shell::Assignment<'_>) -> Assignment {
    let (form, items) = match assignment.value {
        Value::Array(words) => (Form::Array, words.into_iter().map(|word| word.literal).collect()),
        Value::Word(word) => {
            let split = |text: String| text.split_ascii_whitespace().map(str::to_owned).collect();
            (Form::Text, word.literal.map(split))
        }
    };
    Assignment {
        variable: assignment.name.to_owned(),
        line: assignment.line,
        form,
        appends: assignment.appends,
        conditional: !assignment.alone,
        items,
    }
}

/// Whether mkinitcpio reads the drop-in `a` before `b` (file names without folder).
///
/// Of names that sort as equal (`1.conf`, `01.conf`) it reads only one, whichever was found first:
/// `sort -u` drops the other.
pub fn sorts_before(a: &str, b: &str) -> bool {
    version_order(a, b) == Ordering::Less
}

/// The order of `sort -V` in the C locale (gnulib's `filevercmp`): hidden names first, runs of
/// digits by their number, letters before everything else, `~` before the end, file suffixes only
/// to break a tie. Among hidden names, which no package ships, it is approximate.
pub fn version_order(a: &str, b: &str) -> Ordering {
    let hidden = |name: &str| match name {
        "" => 0_u8,
        "." => 1,
        ".." => 2,
        _ if name.starts_with('.') => 3,
        _ => 4,
    };
    let (a_bytes, b_bytes) = (a.as_bytes(), b.as_bytes());
    hidden(a)
        .cmp(&hidden(b))
        .then_with(|| by_runs(without_suffix(a_bytes), without_suffix(b_bytes)))
        .then_with(|| by_runs(a_bytes, b_bytes))
}

/// The name without its trailing suffixes, each a dot, a letter or `~`, then letters, digits and
/// `~`. The first character is never part of one.
fn without_suffix(name: &[u8]) -> &[u8] {
    let mut end = name.len();
    loop {
        let word = name[..end].iter().rev().take_while(|b| b.is_ascii_alphanumeric() || **b == b'~').count();
        let dot = (end - word).checked_sub(1).filter(|&dot| dot > 0 && name[dot] == b'.');
        match dot {
            Some(dot) if word > 0 && !name[dot + 1].is_ascii_digit() => end = dot,
            _ => return &name[..end],
        }
    }
}

/// Compares run by run: other characters by rank, then digits by number.
fn by_runs(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (a_text, a_rest) = split_run(a, |byte| !byte.is_ascii_digit());
        let (b_text, b_rest) = split_run(b, |byte| !byte.is_ascii_digit());
        // One place more: the end of the run ranks like the digit, or the end, that stands there.
        for at in 0..a_text.len().max(b_text.len()) {
            match rank(a, at).cmp(&rank(b, at)) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
        let (a_number, a_tail) = split_run(a_rest, u8::is_ascii_digit);
        let (b_number, b_tail) = split_run(b_rest, u8::is_ascii_digit);
        let (a_number, b_number) = (significant(a_number), significant(b_number));
        match a_number.len().cmp(&b_number.len()).then_with(|| a_number.cmp(b_number)) {
            Ordering::Equal => (a, b) = (a_tail, b_tail),
            unequal => return unequal,
        }
    }
    Ordering::Equal
}

fn split_run(bytes: &[u8], of: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().position(|byte| !of(byte)).unwrap_or(bytes.len()))
}

fn significant(digits: &[u8]) -> &[u8] {
    &digits[digits.iter().take_while(|&&digit| digit == b'0').count()..]
}

/// How a character outside a number sorts: `~`, the end, digits, letters, anything else.
fn rank(bytes: &[u8], at: usize) -> (u8, u8) {
    match bytes.get(at) {
        Some(b'~') => (0, 0),
        None => (1, 0),
        Some(byte) if byte.is_ascii_digit() => (2, 0),
        Some(&byte) if byte.is_ascii_alphabetic() => (3, byte),
        Some(&byte) => (4, byte),
    }
}

#[cfg(test)]
#[path = "tests/mkinitcpio_conf.rs"]
mod tests;
