//! `limine.conf`, and `limine.cfg` as Limine before 8 had it.
//!
//! Source: Limine's `common/lib/config.c`. Blanks at the beginning of a line and carriage returns
//! do not count; an entry begins with `/` (`:` in a cfg) and holds `key: value` (`KEY=value`), the
//! key in any case; `${NAME}=text` at the beginning of a line defines what `${NAME}` stands for.

use std::fmt::Write as _;
use std::ops::Range;

use super::lines::lines;
use super::{TextError, command_line};

const BLANKS: [char; 2] = [' ', '\t'];
/// What stands before the checksum in Limine's own program.
const CHECKSUM_MARK: &str = "++CONFIG_B2SUM_SIGNATURE++";
const CHECKSUM_LENGTH: usize = 128;

/// Which of the two languages a configuration is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `limine.conf`: `/Title` and `key: value`.
    Conf,
    /// `limine.cfg`: `:Title` and `KEY=value`.
    Cfg,
}

impl Format {
    /// The language of a file, by its name.
    pub fn of(name: &str) -> Self {
        if name.to_ascii_lowercase().ends_with(".cfg") { Self::Cfg } else { Self::Conf }
    }

    fn entry_mark(self) -> char {
        if self == Self::Conf { '/' } else { ':' }
    }

    fn assignment_mark(self) -> char {
        if self == Self::Conf { ':' } else { '=' }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    /// In lower case.
    key: String,
    line: usize,
    span: Range<usize>,
    /// With all macros replaced.
    value: String,
}

/// One entry of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its title with all the marks before it, which tell its depth.
    pub title: String,
    /// Where it begins, counted from 1.
    pub line: usize,
    fields: Vec<Field>,
}

impl Entry {
    /// The values of a key (in lower case), macros replaced, with their lines.
    pub fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
        self.fields.iter().filter(move |field| field.key == key).map(|field| (field.line, &*field.value))
    }

    /// The title as a person sees it in the menu.
    pub fn name(&self) -> &str {
        self.title.trim_start_matches(['/', ':', '+']).trim()
    }

    /// The first value of a key (in lower case): the one that Limine takes.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.key == key).map(|field| field.value.as_str())
    }

    /// The kernel command line, if the entry has one.
    pub fn command_line(&self) -> Option<&str> {
        self.command_lines().next().map(|field| field.value.as_str())
    }

    /// The kernel's path, if the entry names one.
    pub fn kernel(&self) -> Option<&str> {
        ["kernel_path", "path"].into_iter().find_map(|key| self.value(key))
    }

    fn command_lines(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| ["cmdline", "kernel_cmdline"].contains(&field.key.as_str()))
    }
}

/// Reads the entries. Never fails: Limine skips what it does not know.
pub fn entries(text: &str, format: Format) -> Vec<Entry> {
    let macros = macros(text);
    let mut entries: Vec<Entry> = Vec::new();
    for line in lines(text) {
        let body = line.text.trim_start_matches(BLANKS);
        if body.starts_with(format.entry_mark()) {
            entries.push(Entry { title: body.trim_end().to_owned(), line: line.number, fields: Vec::new() });
            continue;
        }
        let Some(entry) = entries.last_mut() else { continue };
        let Some((key, _)) = body.split_once(format.assignment_mark()) else { continue };
        if !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        let value = body[key.len() + 1..].trim_start_matches(BLANKS);
        let end = line.start + line.text.trim_end_matches(['\r', ' ', '\t']).len();
        let start = (line.start + line.text.len() - value.len()).min(end);
        entry.fields.push(Field {
            key: key.to_ascii_lowercase(),
            line: line.number,
            span: start..end,
            value: expanded(&text[start..end], &macros),
        });
    }
    entries
}

/// The macros, the last definition of a name first, as Limine looks them up.
fn macros(text: &str) -> Vec<(&str, &str)> {
    let mut found: Vec<(&str, &str)> = lines(text)
        .filter_map(|line| line.text.trim_matches(BLANKS).strip_prefix("${")?.split_once("}="))
        .collect();
    found.reverse();
    found
}

/// A value with its macros replaced; Limine replaces an unknown one by nothing. What it knows by
/// itself (`ARCH`) stays as it is.
fn expanded(value: &str, macros: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, behind)) = rest.split_once("${") {
        let Some((name, tail)) = behind.split_once('}') else { break };
        out.push_str(before);
        match macros.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => out.push_str(text),
            None if name == "ARCH" => out.push_str("${ARCH}"),
            None => {}
        }
        rest = tail;
    }
    out + rest
}

/// A copy of an entry at the top of the menu: another title, another command line, macros replaced,
/// every other value as `value` has it. Hashes behind paths are left out: they would not fit once
/// the files are built anew.
pub fn copy(
    entry: &Entry,
    format: Format,
    title: &str,
    command_line: &str,
    value: impl Fn(&str) -> String,
) -> String {
    let mut out = format!("{}{title}\n", format.entry_mark());
    let (mut lines, separator) = (0, if format == Format::Conf { ": " } else { "=" });
    for field in &entry.fields {
        let is_line = entry.command_lines().any(|line| line == field);
        lines += usize::from(is_line);
        if lines > 1 && is_line {
            // Limine takes the first.
            continue;
        }
        let key = if format == Format::Conf { field.key.clone() } else { field.key.to_ascii_uppercase() };
        let value = match path_hash(&field.value) {
            _ if is_line => command_line.to_owned(),
            Some(hash) => value(&field.value[..field.value.len() - hash.len() - 1]),
            None => value(&field.value),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "    {key}{separator}{value}");
    }
    out
}

/// The text with these parameters set on the command lines of the entries that `chosen` takes,
/// each only once, what is new at the end.
///
/// An error is a parameter that cannot be written plainly, or one that a macro says otherwise.
pub fn set_parameters(
    text: &str,
    format: Format,
    parameters: &[String],
    chosen: impl Fn(&Entry) -> bool,
) -> Result<String, TextError> {
    command_line::check(parameters)?;
    let after = edited(text, format, |entry, field, raw| {
        if !chosen(entry) {
            return raw.to_owned();
        }
        let missing: Vec<_> =
            parameters.iter().filter(|token| !command_line::has(&field.value, token)).cloned().collect();
        command_line::set(raw, &missing)
    });
    for entry in entries(&after, format).iter().filter(|entry| chosen(entry)) {
        for field in entry.command_lines() {
            if let Some(lost) = parameters.iter().find(|token| !command_line::has(&field.value, token)) {
                let why = "cannot be set here: a macro, or what stands behind `--`, says otherwise";
                return Err(TextError::at(field.line, lost, why));
            }
        }
    }
    Ok(after)
}

/// The text without these parameters on the command lines of the entries that `chosen` takes.
pub fn remove_parameters(
    text: &str,
    format: Format,
    parameters: &[String],
    chosen: impl Fn(&Entry) -> bool,
) -> String {
    edited(
        text,
        format,
        |entry, _, raw| {
            if chosen(entry) { command_line::remove(raw, parameters) } else { raw.to_owned() }
        },
    )
}

/// The text without those of these parameters that the same entry of `original` had not; entries
/// that are not in it stay as they are.
pub fn remove_added(text: &str, original: &str, format: Format, parameters: &[String]) -> String {
    let originals = entries(original, format);
    let all = entries(text, format);
    edited(text, format, |entry, _, raw| {
        let nth = all.iter().filter(|other| other.title == entry.title && other.line < entry.line).count();
        let Some(then) = originals.iter().filter(|other| other.title == entry.title).nth(nth) else {
            return raw.to_owned();
        };
        let stood = |token: &str| {
            then.command_lines().any(|field| command_line::tokens(&field.value).any(|here| here == token))
        };
        let added: Vec<_> = parameters.iter().filter(|token| !stood(token)).cloned().collect();
        command_line::remove(raw, &added)
    })
}

fn edited(text: &str, format: Format, edit: impl Fn(&Entry, &Field, &str) -> String) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut from = 0;
    for entry in entries(text, format) {
        for field in entry.command_lines() {
            out.push_str(&text[from..field.span.start]);
            out.push_str(&edit(&entry, field, &text[field.span.clone()]));
            from = field.span.end;
        }
    }
    out + &text[from..]
}

/// The hash behind `#` in a path that Limine checks the file with, if it has one.
pub fn path_hash(path: &str) -> Option<&str> {
    let (_, hash) = path.rsplit_once('#')?;
    (hash.len() == CHECKSUM_LENGTH && hash.chars().all(|c| c.is_ascii_hexdigit())).then_some(hash)
}

/// Whether Limine's own program (its bytes as text) bears a checksum of its configuration: with
/// another one it does not boot at all.
pub fn has_enrolled_checksum(program: &str) -> bool {
    program.match_indices(CHECKSUM_MARK).any(|(at, mark)| {
        let sum = program[at + mark.len()..].get(..CHECKSUM_LENGTH).unwrap_or_default();
        sum.chars().all(|c| c.is_ascii_hexdigit()) && sum.chars().any(|c| c != '0')
    })
}

#[cfg(test)]
#[path = "tests/limine_conf.rs"]
mod tests;
