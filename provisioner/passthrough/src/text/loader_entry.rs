//! A type 1 entry of the Boot Loader Specification, as systemd-boot reads it.
//!
//! Source: `line_get_key_value` in systemd's `src/boot`: a key, blanks (spaces or tabs), a value; a
//! line that begins with `#` is a comment; a value in double quotes loses them; several `options`
//! lines are joined by a space.

use std::ops::Range;

use super::lines::{ends_a_line, line_end, lines};
use super::{TextError, command_line};

const BLANKS: [char; 2] = [' ', '\t'];

/// One line of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Field<'a> {
    key: &'a str,
    /// Where the value stands, without quotes around all of it.
    span: Range<usize>,
    /// The whole line with its end.
    line: Range<usize>,
}

/// A parsed entry.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    text: &'a str,
    fields: Vec<Field<'a>>,
}

impl<'a> Entry<'a> {
    /// Reads an entry. Never fails: systemd-boot skips what it does not know.
    pub fn parse(text: &'a str) -> Self {
        let fields = lines(text).filter_map(|line| {
            let body = line.text.trim_matches(BLANKS);
            let key = body.split(BLANKS).next().filter(|key| !key.is_empty() && !key.starts_with('#'))?;
            let value = body[key.len()..].trim_start_matches(BLANKS);
            let end = line.start + line.text.trim_end_matches(BLANKS).len();
            let mut span = end - value.len()..end;
            if value.len() >= 2 && value.starts_with('"') && value.ends_with('"') {
                span = span.start + 1..span.end - 1;
            }
            Some(Field { key, span, line: line.start..line.end })
        });
        Self { text, fields: fields.collect() }
    }

    /// Every value of a key, in order.
    pub fn values(&self, key: &str) -> impl Iterator<Item = &'a str> {
        let text = self.text;
        let of_key = move |field: &&Field<'a>| field.key == key;
        self.fields
            .iter()
            .filter(of_key)
            .map(|field| &text[field.span.clone()])
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// The value of a key that may stand only once: systemd-boot takes the last.
    pub fn value(&self, key: &str) -> Option<&'a str> {
        self.values(key).last()
    }

    /// The name in the menu.
    pub fn title(&self) -> Option<&'a str> {
        self.value("title")
    }

    /// The kernel's path on the partition.
    pub fn linux(&self) -> Option<&'a str> {
        self.value("linux")
    }

    /// The path of an EFI program (a UKI, a shell) that is started in place of a kernel.
    pub fn efi(&self) -> Option<&'a str> {
        self.value("efi")
    }

    /// The images in the order the kernel gets them.
    pub fn initrds(&self) -> Vec<&'a str> {
        self.values("initrd").collect()
    }

    /// The machine that made the entry.
    pub fn machine_id(&self) -> Option<&'a str> {
        self.value("machine-id")
    }

    /// What the menu sorts by.
    pub fn sort_key(&self) -> Option<&'a str> {
        self.value("sort-key")
    }

    /// Every key with its value, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.fields.iter().map(|field| (field.key, &self.text[field.span.clone()]))
    }

    /// The kernel command line: all `options` lines, joined by a space.
    pub fn options(&self) -> String {
        self.values("options").filter(|value| !value.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// The options lines that hold something.
    fn option_fields(&self) -> Vec<&Field<'a>> {
        self.fields.iter().filter(|field| field.key == "options" && !field.span.is_empty()).collect()
    }

    /// Lets `edit` change all options as one line; lines that it empties go away whole.
    fn edited(&self, edit: impl FnOnce(&str) -> String) -> String {
        let fields = self.option_fields();
        // A newline keeps the lines apart: to the kernel it is white space like any other.
        let joined = fields.iter().map(|field| &self.text[field.span.clone()]).collect::<Vec<_>>().join("\n");
        let changed = edit(&joined);
        let mut out = String::with_capacity(self.text.len() + 32);
        let mut from = 0;
        for (field, value) in fields.iter().zip(changed.split('\n')) {
            if value.is_empty() {
                out.push_str(&self.text[from..field.line.start]);
                from = field.line.end;
            } else {
                out.extend([&self.text[from..field.span.start], value]);
                from = field.span.end;
            }
        }
        out.push_str(&self.text[from..]);
        // Only a dropped last line leaves a line end where there was none.
        if !ends_a_line(self.text)
            && let Some(kept) = out.strip_suffix("\r\n").or_else(|| out.strip_suffix('\n')).map(str::len)
        {
            out.truncate(kept);
        }
        out
    }
}

/// The text with these parameters set on its options, each in the line where it stands, new ones
/// at the end of the last line; an entry without options gets a line of them.
///
/// An error is an entry that boots nothing, or a parameter that cannot be written plainly.
pub fn set_parameters(text: &str, parameters: &[String]) -> Result<String, TextError> {
    command_line::check(parameters)?;
    let entry = Entry::parse(text);
    if !["linux", "efi", "uki"].iter().any(|key| entry.value(key).is_some()) {
        return Err(TextError::whole(
            "linux",
            "is missing: an entry names a kernel by `linux`, `efi` or `uki`",
        ));
    }
    let missing: Vec<_> = {
        let options = entry.options();
        parameters.iter().filter(|token| !command_line::has(&options, token)).cloned().collect()
    };
    if missing.is_empty() {
        return Ok(text.to_owned());
    }
    if !entry.option_fields().is_empty() {
        return Ok(entry.edited(|options| command_line::set(options, &missing)));
    }
    let line = format!("options {}", command_line::set("", &missing));
    let end = line_end(text);
    // Without a final newline before, none afterwards: taking the line out gives the bytes back.
    Ok(if ends_a_line(text) { [text, &line, end].concat() } else { [text, end, &line].concat() })
}

/// The text without these parameters in its options; a line left empty goes away.
pub fn remove_parameters(text: &str, parameters: &[String]) -> String {
    Entry::parse(text).edited(|options| command_line::remove(options, parameters))
}

#[cfg(test)]
#[path = "tests/loader_entry.rs"]
mod tests;
