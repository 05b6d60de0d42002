//! libvirt's `qemu.conf`: the devices that every QEMU may open (`cgroup_device_acl`), and as whom it runs
//! (`user`, `group`).
//!
//! The form is that of libvirt's `virConfParse`: statements `name = value`, parted by line ends or `;`,
//! a value being a number, a string, or a list over several lines without comments in it.

use std::ops::Range;

use super::{TextError, block};

const KEY: &str = "cgroup_device_acl";
/// What libvirt allows by itself, where the file does not show it in a comment. A list replaces all of
/// it, so a list without one of these takes something away.
const BY_ITSELF: [&str; 8] = [
    "/dev/null",
    "/dev/full",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
    "/dev/ptmx",
    "/dev/kvm",
    "/dev/userfaultfd",
];
/// Newer versions of libvirt leave it out of the comment, and allow it by itself all the same.
const KVM: &str = "/dev/kvm";

/// The active list.
#[derive(Debug)]
struct List {
    /// Where its first element could stand: behind `[`.
    begin: usize,
    elements: Vec<Element>,
}

#[derive(Debug)]
struct Element {
    /// With its quotes.
    place: Range<usize>,
    device: String,
}

/// The devices of the active list; `None` where libvirt's own list is in force.
pub fn devices(text: &str) -> Result<Option<Vec<String>>, TextError> {
    let list = list(text)?;
    Ok(list.map(|list| list.elements.into_iter().map(|element| element.device).collect()))
}

/// As whom QEMU runs; `None` where libvirt's own choice is in force. libvirt follows the first line.
pub fn user(text: &str) -> Result<Option<String>, TextError> {
    named(text, "user")
}

/// As which group QEMU runs; `None` where libvirt's own choice is in force.
pub fn group(text: &str) -> Result<Option<String>, TextError> {
    named(text, "group")
}

fn named(text: &str, key: &str) -> Result<Option<String>, TextError> {
    let mut reader = Reader { text, at: 0 };
    while let Some((line, name)) = reader.name()? {
        if name != key {
            reader.value()?;
            continue;
        }
        reader.skip(is_blank);
        let Some(value) = reader.string()? else {
            return Err(TextError::at(line, name, "is no name; write it like `user = \"vera\"`"));
        };
        return Ok(Some(value.to_owned()));
    }
    Ok(None)
}

/// libvirt's own choice for a key, which the file that it brings shows in a comment.
pub fn own_choice<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let shown = |line: &'a str| {
        let value = line.strip_prefix('#')?.strip_prefix(key)?.trim_start().strip_prefix('=')?.trim();
        value.strip_prefix('"')?.strip_suffix('"')
    };
    text.lines().find_map(shown)
}

/// Adds devices to the list, where they are not in it. Where there is no list, one that holds what is
/// allowed without one goes into a marked block at the end.
pub fn allow(text: &str, wanted: &[&str]) -> Result<String, TextError> {
    let bare = block::remove_block(text);
    if let Some(list) = list(&bare)? {
        return Ok(added(&bare, &list, wanted));
    }
    if wanted.is_empty() {
        return Ok(bare);
    }
    let mut all = in_comment(&bare);
    let missing = |all: &[String], device: &str| !all.iter().any(|known| known == device);
    for device in [KVM].iter().chain(wanted) {
        if missing(&all, device) {
            all.push((*device).to_owned());
        }
    }
    let lines: Vec<String> = all.iter().map(|device| format!("    \"{device}\"")).collect();
    Ok(block::append_block(text, &format!("{KEY} = [\n{}\n]", lines.join(",\n"))))
}

/// Takes devices out of the list, and the list that [`allow`] made.
pub fn disallow(text: &str, unwanted: &[&str]) -> Result<String, TextError> {
    let mut text = block::remove_block(text);
    while let Some(place) = list(&text)?.and_then(|list| first_of(&list, unwanted)) {
        text.replace_range(place, "");
    }
    Ok(text)
}

fn added(text: &str, list: &List, wanted: &[&str]) -> String {
    let is_new = |device: &&&str| !list.elements.iter().any(|element| element.device == **device);
    let new: Vec<String> = wanted.iter().filter(is_new).map(|device| format!("\"{device}\"")).collect();
    if new.is_empty() {
        return text.to_owned();
    }
    let (at, gap) = list.elements.last().map_or((list.begin, ""), |last| (last.place.end, ", "));
    let (before, behind) = text.split_at(at);
    [before, gap, &new.join(", "), behind].concat()
}

/// The place of the first of these devices, with the comma that goes with it.
fn first_of(list: &List, unwanted: &[&str]) -> Option<Range<usize>> {
    let at = list.elements.iter().position(|element| unwanted.contains(&element.device.as_str()))?;
    let own = list.elements[at].place.clone();
    Some(match (at.checked_sub(1), list.elements.get(at + 1)) {
        (Some(before), _) => list.elements[before].place.end..own.end,
        (None, Some(next)) => own.start..next.place.start,
        (None, None) => own,
    })
}

/// What the installed version allows by itself: the list that its file shows in a comment.
fn in_comment(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.strip_prefix('#').map(str::trim));
    let begins = |line: Option<&str>| line.is_some_and(|line| line.starts_with(KEY));
    let shown: Vec<&str> = lines.skip_while(|line| !begins(*line)).map_while(|line| line).collect();
    let found: Option<Vec<String>> =
        (0..shown.len()).find_map(|last| devices(&shown[..=last].join("\n")).ok()?);
    let known = || BY_ITSELF.map(str::to_owned).to_vec();
    found.filter(|devices| !devices.is_empty()).unwrap_or_else(known)
}

fn list(text: &str) -> Result<Option<List>, TextError> {
    let mut found: Option<(usize, List)> = None;
    let mut reader = Reader { text, at: 0 };
    while let Some((line, name)) = reader.name()? {
        let list = reader.value()?;
        if name != KEY {
            continue;
        }
        let Some(list) = list else {
            return Err(TextError::at(line, KEY, "is no list; write it like `[ \"/dev/null\" ]`"));
        };
        if let Some((first, _)) = found {
            let why =
                format!("is set in line {first} already, and libvirt follows the first; leave one of them");
            return Err(TextError::at(line, KEY, why));
        }
        found = Some((line, list));
    }
    Ok(found.map(|(_, list)| list))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip(&mut self, is_skipped: impl Fn(char) -> bool) -> &'a str {
        let skipped = &self.rest()[..self.rest().find(|c| !is_skipped(c)).unwrap_or(self.rest().len())];
        self.at += skipped.len();
        skipped
    }

    fn takes(&mut self, wanted: &str) -> bool {
        let is_there = self.rest().starts_with(wanted);
        self.at += if is_there { wanted.len() } else { 0 };
        is_there
    }

    fn line(&self) -> usize {
        self.text[..self.at].matches('\n').count() + 1
    }

    fn error<T>(&self, wanted: &str) -> Result<T, TextError> {
        let start = self.text[..self.at].rfind('\n').map_or(0, |end| end + 1);
        let here: String = self.text[start..].chars().take_while(|c| *c != '\n').take(40).collect();
        Err(TextError::at(self.line(), here, format!("is not what libvirt reads: it expects {wanted}")))
    }

    /// The next statement's name and its line; `None` at the end.
    fn name(&mut self) -> Result<Option<(usize, &'a str)>, TextError> {
        loop {
            self.skip(|c| c.is_ascii_whitespace() || c == ';');
            if self.rest().is_empty() {
                return Ok(None);
            }
            if !self.rest().starts_with('#') {
                break;
            }
            self.skip(|c| c != '\n');
        }
        let line = self.line();
        let name = self.skip(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        self.skip(is_blank);
        if name.is_empty() || !self.takes("=") {
            return self.error("`NAME = VALUE`");
        }
        Ok(Some((line, name)))
    }

    /// A value; of interest only if it is a list of strings.
    fn value(&mut self) -> Result<Option<List>, TextError> {
        self.skip(is_blank);
        if self.takes("[") {
            return self.elements().map(Some);
        }
        if self.string()?.is_none() && self.skip(|c| c.is_ascii_digit() || c == '-').is_empty() {
            return self.error("a number, a string in quotes or a list in brackets");
        }
        Ok(None)
    }

    fn elements(&mut self) -> Result<List, TextError> {
        let mut list = List { begin: self.at, elements: Vec::new() };
        loop {
            self.skip(|c| c.is_ascii_whitespace());
            if self.takes("]") {
                return Ok(list);
            }
            let start = self.at;
            let Some(device) = self.string()? else { return self.error("a string in quotes, or `]`") };
            list.elements.push(Element { place: start..self.at, device: device.to_owned() });
            self.skip(|c| c.is_ascii_whitespace());
            if !self.takes(",") && !self.rest().starts_with(']') {
                return self.error("`,` or `]`");
            }
        }
    }

    /// What a string holds; `None` where no string begins.
    fn string(&mut self) -> Result<Option<&'a str>, TextError> {
        let Some(quote) = ["\"\"\"", "\"", "'"].into_iter().find(|quote| self.rest().starts_with(quote))
        else {
            return Ok(None);
        };
        let inner = &self.rest()[quote.len()..];
        let is_whole = |inside: &&str| quote.len() == 3 || !inside.contains('\n');
        match inner.find(quote).map(|end| &inner[..end]).filter(is_whole) {
            Some(inside) => {
                self.at += inside.len() + 2 * quote.len();
                Ok(Some(inside))
            }
            None => self.error("a string that is closed"),
        }
    }
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

#[cfg(test)]
#[path = "tests/qemu_conf.rs"]
mod tests;
