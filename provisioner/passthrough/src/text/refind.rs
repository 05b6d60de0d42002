//! `refind_linux.conf` and the stanzas of `refind.conf`.
//!
//! Source: `ReadTokenLine` in rEFInd's `refind/config.c`: blanks, `=` and `,` separate words, double
//! quotes hold one together and a doubled quote in it is one, `#` outside of them begins a comment.

use std::ops::Range;

use super::lines::lines;
use super::{TextError, block, command_line};

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `refind_linux.conf` beside a kernel: a label, options, perhaps more; line 1 is the default.
    Linux,
    /// `refind.conf`: `options` in `menuentry` stanzas.
    Stanzas,
}

impl Format {
    /// The format of a file, by its name.
    pub fn of(name: &str) -> Self {
        if name.eq_ignore_ascii_case("refind_linux.conf") { Self::Linux } else { Self::Stanzas }
    }
}

/// One kernel command line in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options<'a> {
    /// The label, or the stanza's title.
    pub label: &'a str,
    /// Counted from 1.
    pub line: usize,
    /// What stands between the quotes.
    pub text: &'a str,
    /// Whether it belongs to an entry that hides behind another one (`submenuentry`).
    pub is_sub: bool,
    /// The line with its end.
    pub whole: Range<usize>,
    span: Range<usize>,
    is_closed: bool,
}

struct Word {
    span: Range<usize>,
    is_quoted: bool,
    is_closed: bool,
}

/// The words of a line, with their places in it, without their quotes.
fn words(line: &str) -> Vec<Word> {
    let separates = |c: char| [' ', '\t', '=', ','].contains(&c);
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        at += line[at..].find(|c| !separates(c)).unwrap_or(line.len() - at);
        let rest = &line[at..];
        if rest.is_empty() || rest.starts_with('#') {
            return found;
        }
        if let Some(inner) = rest.strip_prefix('"') {
            let mut end = 0;
            while let Some(quote) = inner[end..].find('"') {
                end += quote;
                if !inner[end + 1..].starts_with('"') {
                    break;
                }
                end += 2;
            }
            let is_closed = inner[end..].starts_with('"');
            let end = if is_closed { end } else { inner.len() };
            found.push(Word { span: at + 1..at + 1 + end, is_quoted: true, is_closed });
            at += 1 + end + usize::from(is_closed);
        } else {
            let end = rest.find(|c| separates(c) || c == '"' || c == '#').unwrap_or(rest.len());
            found.push(Word { span: at..at + end, is_quoted: false, is_closed: true });
            at += end;
        }
    }
}

/// The kernel command lines of a file. Options without quotes end at the first `=` and can name no
/// root: they are left out.
pub fn options(text: &str, format: Format) -> Vec<Options<'_>> {
    let mut found = Vec::new();
    let mut stanza = "";
    let mut is_sub = false;
    for line in lines(text) {
        let words = words(line.text);
        let word = |at: usize| words.get(at).map(|word| &line.text[word.span.clone()]);
        let label = match format {
            Format::Linux => word(0).unwrap_or_default(),
            Format::Stanzas => {
                let first = word(0).unwrap_or_default().to_ascii_lowercase();
                match first.as_str() {
                    "menuentry" => (stanza, is_sub) = (word(1).unwrap_or_default(), false),
                    "submenuentry" => is_sub = true,
                    "}" => is_sub = false,
                    _ => {}
                }
                if !["options", "add_options"].contains(&first.as_str()) || stanza.is_empty() {
                    continue;
                }
                stanza
            }
        };
        if let Some(second) = words.get(1).filter(|word| word.is_quoted) {
            let span = line.start + second.span.start..line.start + second.span.end;
            let text = &text[span.clone()];
            let (whole, is_closed) = (line.start..line.end, second.is_closed);
            found.push(Options { label, line: line.number, text, is_sub, whole, span, is_closed });
        }
    }
    found
}

/// The text with these parameters set on the command lines that `chosen` takes, each only once.
///
/// An error is a parameter that cannot be written plainly, or a quote that is never closed.
pub fn set_parameters(
    text: &str,
    format: Format,
    parameters: &[String],
    chosen: impl Fn(&Options<'_>) -> bool,
) -> Result<String, TextError> {
    command_line::check(parameters)?;
    if let Some(open) = options(text, format).iter().find(|one| !one.is_closed && chosen(one)) {
        return Err(TextError::at(open.line, open.text, "opens with a quote that is never closed"));
    }
    Ok(edited(text, format, |one| {
        if !chosen(one) {
            return one.text.to_owned();
        }
        let missing: Vec<_> =
            parameters.iter().filter(|token| !command_line::has(one.text, token)).cloned().collect();
        command_line::set(one.text, &missing)
    }))
}

/// What the stanza of a command line starts, in its order: `loader` and `initrd` with their paths. In its
/// entries that hide behind it, both may be named anew.
pub fn started<'a>(text: &'a str, of: &Options<'_>) -> Vec<(&'static str, &'a str)> {
    let mut found = Vec::new();
    let (mut is_sub, mut is_passed) = (false, false);
    for line in lines(text) {
        let words = words(line.text);
        let mut words = words.iter().map(|word| &line.text[word.span.clone()]);
        let (first, second) = (words.next().unwrap_or_default().to_ascii_lowercase(), words.next());
        match (first.as_str(), second) {
            ("menuentry", _) if is_passed => break,
            ("menuentry", _) => (is_sub, found) = (false, Vec::new()),
            ("submenuentry", _) => is_sub = true,
            ("}", _) => is_sub = false,
            ("loader", Some(path)) if !is_sub => found.push(("loader", path)),
            ("initrd", Some(path)) if !is_sub => found.push(("initrd", path)),
            _ => {}
        }
        is_passed |= line.number == of.line;
    }
    found
}

/// A way back: its label, its command line, and what it starts where that is something of its own.
#[derive(Debug, Clone, Copy)]
pub struct WayBack<'a> {
    /// Its label.
    pub label: &'a str,
    /// Its command line.
    pub line: &'a str,
    /// As [`started`] gives it; only a stanza can name it.
    pub starts: &'a [(&'static str, String)],
}

/// The text with a way back in a marked block: in `refind_linux.conf` a line of its own behind line
/// `beside` (or before it, where it is to be the default), in a stanza an entry behind it.
pub fn with_way_back(
    text: &str,
    format: Format,
    beside: &Options<'_>,
    way_back: WayBack<'_>,
    is_default: bool,
) -> String {
    let WayBack { label, line, starts } = way_back;
    let body = match format {
        Format::Linux => format!("\"{label}\" \"{line}\""),
        Format::Stanzas => {
            let starts = starts
                .iter()
                .fold(String::new(), |text, (key, path)| text + "        " + key + " \"" + path + "\"\n");
            format!("    submenuentry \"{label}\" {{\n{starts}        options \"{line}\"\n    }}")
        }
    };
    let before = is_default && format == Format::Linux;
    block::insert_block(text, if before { beside.whole.start } else { beside.whole.end }, &body)
}

/// The text without these parameters on the command lines that `chosen` takes.
pub fn remove_parameters(
    text: &str,
    format: Format,
    parameters: &[String],
    chosen: impl Fn(&Options<'_>) -> bool,
) -> String {
    edited(text, format, |one| {
        if chosen(one) { command_line::remove(one.text, parameters) } else { one.text.to_owned() }
    })
}

/// The text without those of these parameters that the same line of `original` had not; lines
/// that are not in it stay as they are.
pub fn remove_added(text: &str, original: &str, format: Format, parameters: &[String]) -> String {
    let originals = options(original, format);
    let all = options(text, format);
    edited(text, format, |one| {
        let nth = all.iter().filter(|other| other.label == one.label && other.line < one.line).count();
        let Some(then) = originals.iter().filter(|other| other.label == one.label).nth(nth) else {
            return one.text.to_owned();
        };
        let stood = |token: &str| command_line::tokens(then.text).any(|here| here == token);
        let added: Vec<_> = parameters.iter().filter(|token| !stood(token)).cloned().collect();
        command_line::remove(one.text, &added)
    })
}

fn edited(text: &str, format: Format, edit: impl Fn(&Options<'_>) -> String) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut from = 0;
    for one in options(text, format) {
        out.push_str(&text[from..one.span.start]);
        out.push_str(&edit(&one));
        from = one.span.end;
    }
    out + &text[from..]
}

#[cfg(test)]
#[path = "tests/refind.rs"]
mod tests;
