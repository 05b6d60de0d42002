//! `/etc/mkinitcpio.d/*.preset`: which images a kernel gets, and from which configuration.
//!
//! Source: `process_preset` in mkinitcpio. What matters most: a configuration that is named, by
//! `ALL_config`, `NAME_config` or `-c` in `NAME_options`, turns the drop-ins off.

use super::TextError;
use super::shell::{self, Value, Word};

/// A configuration that an active preset names: its drop-ins are not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigUse {
    /// The preset's name, one of `PRESETS`.
    pub preset: String,
    /// Where the configuration is named, counted from 1.
    pub line: usize,
    /// The configuration file as written.
    pub path: String,
}

/// Where a unified kernel image of an active preset gets its command line from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLineUse {
    /// The preset's name, one of `PRESETS`.
    pub preset: String,
    /// Where that, or else the image, is named; counted from 1.
    pub line: usize,
    /// The file or folder as written; none for mkinitcpio's own places.
    pub path: Option<String>,
}

/// An image that an active preset builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The preset's name, one of `PRESETS`.
    pub preset: String,
    /// Where it is named, counted from 1.
    pub line: usize,
    /// The file, as written.
    pub path: String,
    /// A unified kernel image (`NAME_uki`) rather than an initramfs (`NAME_image`).
    pub unified: bool,
}

/// A parsed preset file.
#[derive(Debug, Clone)]
pub struct Presets {
    names: Vec<String>,
    variables: Vec<Variable>,
}

/// One assignment: name, line, words; a string is one word.
#[derive(Debug, Clone)]
struct Variable {
    name: String,
    line: usize,
    is_array: bool,
    words: Option<Vec<String>>,
}

/// Options of mkinitcpio that take the next word, as in its `_opt_short`.
const SHORT_WITH_VALUE: &str = "AcDIgHkprSdtUz";

impl Presets {
    /// Reads a preset file. An error is a text that bash cannot parse, or a `PRESETS` that is not
    /// a plain list of names.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let variables: Vec<_> = shell::assignments(text)?.into_iter().map(variable).collect();
        let mut presets = Self { names: Vec::new(), variables };
        for variable in presets.variables.iter().filter(|variable| variable.name == "PRESETS") {
            let is_name = |word: &String| {
                word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                    && word.starts_with(|c: char| !c.is_ascii_digit())
            };
            let words = variable.words.as_deref().unwrap_or_default();
            if variable.words.is_none() || !words.iter().all(is_name) {
                let why = "is not a plain list of names like ('default' 'fallback')";
                return Err(TextError::at(variable.line, "PRESETS", why));
            }
            presets.names = words.to_vec();
        }
        Ok(presets)
    }

    /// The active presets: those that `PRESETS` lists and that build something.
    pub fn active(&self) -> impl Iterator<Item = &str> {
        let builds = |name: &&String| {
            ["image", "uki", "efi_image"].iter().any(|what| self.set(&format!("{name}_{what}")).is_some())
        };
        self.names.iter().filter(builds).map(String::as_str)
    }

    /// The kernel (a version, or an image's path) of a preset: its own `NAME_kver`, else
    /// `ALL_kver`. None where neither is set, or only bash could tell.
    pub fn kernel(&self, preset: &str) -> Option<&str> {
        self.own_or_all(preset, "kver")?.words.as_ref()?.first().map(String::as_str)
    }

    /// Every image of the active presets; those whose path only bash could tell are left out.
    pub fn images(&self) -> Vec<Image> {
        let of = |preset: &str, what: &str| {
            let variable = self.set(&format!("{preset}_{what}"))?;
            let path = variable.words.as_ref()?.first()?.clone();
            Some(Image { preset: preset.to_owned(), line: variable.line, path, unified: what != "image" })
        };
        self.active()
            .flat_map(|preset| [of(preset, "image"), of(preset, "uki").or_else(|| of(preset, "efi_image"))])
            .flatten()
            .collect()
    }

    /// Every configuration that active presets name. An error is one that only bash could tell.
    pub fn configs(&self) -> Result<Vec<ConfigUse>, TextError> {
        let mut uses = Vec::new();
        for preset in self.active() {
            let named = match self.option(preset, "--config", Some('c'))? {
                Some(found) => Some(found),
                None => match self.own_or_all(preset, "config") {
                    Some(variable) => Some((variable.line, literal(variable)?.join(" "))),
                    None => None,
                },
            };
            uses.extend(named.map(|(line, path)| ConfigUse { preset: preset.to_owned(), line, path }));
        }
        Ok(uses)
    }

    /// Where every active preset's unified kernel image gets its command line from; those that hold
    /// none (`--no-cmdline`) are left out. An error is one that only bash could tell.
    pub fn command_lines(&self) -> Result<Vec<CommandLineUse>, TextError> {
        let mut uses = Vec::new();
        for image in self.images().into_iter().filter(|image| image.unified) {
            let preset = image.preset;
            if self.options(&preset)?.is_some_and(|(_, words)| words.contains(&"--no-cmdline")) {
                continue;
            }
            let named = match self.option(&preset, "--cmdline", None)? {
                Some(found) => Some(found),
                None => match self.own_or_all(&preset, "cmdline") {
                    Some(variable) => Some((variable.line, literal(variable)?.join(" "))),
                    None => None,
                },
            };
            let (line, path) = named.map_or((image.line, None), |(line, path)| (line, Some(path)));
            uses.push(CommandLineUse { preset, line, path });
        }
        Ok(uses)
    }

    /// The words of `NAME_options`, with its line.
    fn options(&self, preset: &str) -> Result<Option<(usize, Vec<&str>)>, TextError> {
        let Some(variable) = self.set(&format!("{preset}_options")) else { return Ok(None) };
        let words = literal(variable)?;
        let words = if variable.is_array {
            words.iter().map(String::as_str).collect()
        } else {
            words.iter().flat_map(|text| text.split(' ')).filter(|word| !word.is_empty()).collect()
        };
        Ok(Some((variable.line, words)))
    }

    /// What an option in `NAME_options` names, with its line. It comes behind `NAME_config` and the
    /// like on mkinitcpio's command line, so it counts.
    fn option(
        &self,
        preset: &str,
        long: &str,
        short: Option<char>,
    ) -> Result<Option<(usize, String)>, TextError> {
        let Some((line, words)) = self.options(preset)? else { return Ok(None) };
        Ok(argument(&words, long, short).map(|path| (line, path.to_owned())))
    }

    /// The last assignment that gives the variable something.
    fn set(&self, name: &str) -> Option<&Variable> {
        let last = self.variables.iter().rev().find(|variable| variable.name == name)?;
        let empty = last.words.as_ref().is_some_and(|words| words.iter().all(String::is_empty));
        (!empty).then_some(last)
    }

    fn own_or_all(&self, preset: &str, what: &str) -> Option<&Variable> {
        self.set(&format!("{preset}_{what}")).or_else(|| self.set(&format!("ALL_{what}")))
    }
}

fn variable(assignment: shell::Assignment<'_>) -> Variable {
    let literals = |words: Vec<Word>| words.into_iter().map(|word| word.literal).collect();
    let (is_array, words): (bool, Option<Vec<String>>) = match assignment.value {
        Value::Array(words) => (true, literals(words)),
        Value::Word(word) => (false, literals(vec![word])),
    };
    // What depends on a condition or on an earlier value is not known from here.
    let words = words.filter(|_| assignment.alone && !assignment.appends);
    Variable { name: assignment.name.to_owned(), line: assignment.line, is_array, words }
}

fn literal(variable: &Variable) -> Result<&[String], TextError> {
    variable.words.as_deref().ok_or_else(|| {
        let why = "is computed; only plain text tells which file mkinitcpio reads";
        TextError::at(variable.line, &variable.name, why)
    })
}

/// The argument of the last `-c X`, `-cX`, `--config X` or `--config=X`, for instance.
fn argument<'a>(words: &[&'a str], long: &str, short: Option<char>) -> Option<&'a str> {
    let mut found = None;
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        if word == "--" {
            break;
        } else if let Some(value) = word.strip_prefix(long).and_then(|rest| rest.strip_prefix('=')) {
            found = Some(value);
        } else if word.starts_with("--") {
            // Any unambiguous beginning of the long name will do.
            if word.len() > "--co".len() && long.starts_with(word) {
                found = words.next();
            }
        } else if let Some(letters) = word.strip_prefix('-')
            && let Some(at) = letters.find(|c| SHORT_WITH_VALUE.contains(c))
        {
            let attached = &letters[at + 1..];
            let value = if attached.is_empty() { words.next() } else { Some(attached) };
            if short.is_some_and(|short| letters[at..].starts_with(short)) {
                found = value;
            }
        }
    }
    found
}

#[cfg(test)]
#[path = "tests/mkinitcpio_preset.rs"]
mod tests;
