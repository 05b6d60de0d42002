//! A kernel command line: tokens, as the kernel itself cuts them.
//!
//! Source: `next_arg` and `parse_args` in the kernel's `lib/cmdline.c` and `kernel/params.c`. White
//! space separates, a double quote may enclose it, `-` and `_` are one in a key, and a bare `--`
//! hands the rest to init.

use std::ops::Range;

use super::TextError;

/// One parameter: `quiet`, or `intel_iommu=on`.
#[derive(Debug, Clone, Copy)]
pub struct Parameter<'a> {
    /// What stands before the first `=`.
    pub key: &'a str,
    /// What stands behind it, without enclosing quotes; none without a `=`.
    pub value: Option<&'a str>,
}

impl<'a> Parameter<'a> {
    /// Reads one token.
    pub fn parse(token: &'a str) -> Self {
        let inner = token.strip_prefix('"').map_or(token, |rest| rest.strip_suffix('"').unwrap_or(rest));
        // A `=` in front is part of the key, as in the kernel.
        let equals = inner.char_indices().skip(1).find(|&(_, c)| c == '=').map(|(at, _)| at);
        match equals {
            None => Self { key: inner, value: None },
            Some(at) => {
                let value = &inner[at + 1..];
                let value = value.strip_prefix('"').map_or(value, |v| v.strip_suffix('"').unwrap_or(v));
                Self { key: &inner[..at], value: Some(value) }
            }
        }
    }

    /// Whether both have the same key, `-` and `_` being one.
    pub fn same_key(self, other: Parameter<'_>) -> bool {
        same_key(self.key, other.key)
    }

    /// Whether this one already does everything that `wanted` asks for: it is the same, or its
    /// list of flags holds the wanted flag (`intel_iommu=on,sm_on`).
    fn satisfies(self, wanted: Parameter<'_>) -> bool {
        self.same_key(wanted)
            && (self.value == wanted.value
                || flag_list(wanted.key).is_some() && wanted.value.is_some_and(|flag| self.lists(flag)))
            && !self.contradicts(wanted)
    }

    fn lists(self, flag: &str) -> bool {
        self.value.is_some_and(|value| value.split(',').any(|item| item == flag))
    }

    /// Whether this one (of the same key) stands in the way of `wanted`.
    fn contradicts(self, wanted: Parameter<'_>) -> bool {
        match flag_list(wanted.key) {
            None => self.value != wanted.value,
            Some(off) => off.iter().any(|flag| self.lists(flag) && wanted.value != Some(flag)),
        }
    }
}

/// Keys whose value is a list of flags and which add up when given several times, with the flags
/// that undo the others (`intel_iommu_setup`, `parse_amd_iommu_options`, x86 `iommu_setup`).
const FLAG_LISTS: &[(&str, &[&str])] =
    &[("intel_iommu", &["off"]), ("amd_iommu", &["off"]), ("iommu", &["off", "nopt", "soft"])];

fn flag_list(key: &str) -> Option<&'static [&'static str]> {
    FLAG_LISTS.iter().find(|(name, _)| same_key(name, key)).map(|&(_, off)| off)
}

fn same_key(a: &str, b: &str) -> bool {
    let folded = |byte| if byte == b'-' { b'_' } else { byte };
    a.len() == b.len() && a.bytes().map(folded).eq(b.bytes().map(folded))
}

fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

/// Where the tokens stand.
fn spans(line: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let (mut start, mut quoted) = (None, false);
    for (at, c) in line.char_indices() {
        match start {
            Some(begin) if is_space(c) && !quoted => {
                spans.push(begin..at);
                start = None;
            }
            None if is_space(c) => {}
            _ => {
                start.get_or_insert(at);
                quoted ^= c == '"';
            }
        }
    }
    spans.extend(start.map(|begin| begin..line.len()));
    spans
}

/// The tokens with their quotes, init's behind `--` among them.
pub fn tokens(line: &str) -> impl Iterator<Item = &str> {
    spans(line).into_iter().map(|span| &line[span])
}

/// The tokens that are the kernel's: those before a bare `--`.
fn kernel_tokens(line: &str) -> impl Iterator<Item = &str> {
    tokens(line).take_while(|&token| token != "--")
}

/// The value that counts for `key`, the last one; `Some(None)` for a key without value.
pub fn value<'a>(line: &'a str, key: &str) -> Option<Option<&'a str>> {
    kernel_tokens(line)
        .map(Parameter::parse)
        .filter(|parameter| same_key(parameter.key, key))
        .last()
        .map(|parameter| parameter.value)
}

/// Whether the line already does what `token` asks for, and nothing behind undoes it.
pub fn has(line: &str, token: &str) -> bool {
    let wanted = Parameter::parse(token);
    let same: Vec<_> = kernel_tokens(line).map(Parameter::parse).filter(|p| p.same_key(wanted)).collect();
    let last = same.iter().rposition(|p| p.satisfies(wanted));
    last.is_some_and(|at| same[at + 1..].iter().all(|p| !p.contradicts(wanted)))
}

/// Keys, or beginnings of keys, that say where the root file system is and how it is reached.
const ROOT_KEYS: &[&str] = &["root", "rootflags", "rootfstype", "rootwait", "rootdelay", "ro", "rw"];
const ROOT_KEYS_TOO: &[&str] = &[
    "resume",
    "resume_offset",
    "cryptdevice",
    "cryptkey",
    "crypto",
    "zfs",
    "bootfs",
    "init",
    "rd.luks",
    "luks",
    "rd.lvm",
    "rd.md",
    "rd.dm",
    "rd.zfs",
];

/// The tokens without which the system would not find its root: to compare before and after.
pub fn root_tokens(line: &str) -> Vec<&str> {
    let is_root = |token: &&str| {
        let key = Parameter::parse(token).key;
        ROOT_KEYS
            .iter()
            .chain(ROOT_KEYS_TOO)
            .any(|root| key.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    };
    kernel_tokens(line).filter(is_root).collect()
}

/// Refuses what is not one plain parameter that the kernel, sh and GRUB all take literally.
///
/// `;` would end GRUB's command, `$` and quotes mean something to sh, white space would make two.
pub fn check(tokens: &[String]) -> Result<(), TextError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:=/+@%".contains(c);
    let good = |token: &String| {
        token != "--" && token.chars().all(plain) && token.starts_with(|c: char| c.is_ascii_alphanumeric())
    };
    match tokens.iter().find(|token| !good(token)) {
        None => Ok(()),
        Some(bad) => Err(TextError::whole(
            bad,
            "is not a kernel parameter that can be written to any loader; \
             only letters, digits and -_.,:=/+@% may stand in it",
        )),
    }
}

/// The line with these tokens *set*, every other token with its bytes and spacing.
///
/// A token already there stays where it is; another value of its key is replaced in place and
/// further ones are dropped; what is new goes to the end, before `--`. A key that is wanted more
/// than once keeps all its wanted values. For `intel_iommu`, `amd_iommu` and `iommu`, whose flags
/// add up, only what undoes the wanted flag is replaced.
#[must_use]
pub fn set(line: &str, wanted: &[String]) -> String {
    let spans = spans(line);
    let end = insertion(line, &spans);
    let ours = &spans[..end];
    let mut edits: Vec<Option<&str>> = vec![None; ours.len()];
    let mut added: Vec<&str> = Vec::new();
    for (index, token) in wanted.iter().enumerate() {
        if wanted[..index].contains(token) {
            continue;
        }
        let parameter = Parameter::parse(token);
        let rivals: Vec<_> = wanted.iter().map(|other| Parameter::parse(other)).collect();
        let mut placed = ours.iter().any(|span| Parameter::parse(&line[span.clone()]).satisfies(parameter));
        for (span, edit) in ours.iter().zip(&mut edits) {
            let here = Parameter::parse(&line[span.clone()]);
            let asked = rivals.iter().any(|rival| here.satisfies(*rival));
            if !here.same_key(parameter) || asked || !here.contradicts(parameter) || edit.is_some() {
                continue;
            }
            *edit = Some(if placed { "" } else { token });
            placed = true;
        }
        if !placed {
            added.push(token);
        }
    }
    render(line, &spans, &edits, &added)
}

/// The line without the tokens that equal one of these exactly, each with one space before it.
#[must_use]
pub fn remove(line: &str, unwanted: &[String]) -> String {
    let spans = spans(line);
    let end = insertion(line, &spans);
    let edits: Vec<_> = spans[..end]
        .iter()
        .map(|span| unwanted.iter().any(|token| *token == line[span.clone()]).then_some(""))
        .collect();
    render(line, &spans, &edits, &[])
}

/// The words of any configuration file that could be kernel parameters: what white space and quotes
/// separate.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || "'\"".contains(c)).filter(|word| !word.is_empty())
}

/// What stands in a file under the keys of these tokens and is none of them: what they displace.
pub fn displaced(text: &str, tokens: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in words(text).filter(|word| !word.starts_with('#')) {
        let here = Parameter::parse(word);
        let is_theirs = tokens.iter().any(|token| token == word);
        let takes_place = tokens.iter().any(|token| here.same_key(Parameter::parse(token)));
        if takes_place && !is_theirs && !found.iter().any(|other| other == word) {
            found.push(word.to_owned());
        }
    }
    if check(&found).is_ok() { found } else { Vec::new() }
}

/// The line with another token in the place of every one that equals `token` exactly.
#[must_use]
pub fn replace(line: &str, token: &str, with: &str) -> String {
    let spans = spans(line);
    let end = insertion(line, &spans);
    let edits: Vec<_> =
        spans[..end].iter().map(|span| (line[span.clone()] == *token).then_some(with)).collect();
    render(line, &spans, &edits, &[])
}

/// The index of the first token that new ones must stand before: `--`, or one whose quote is never
/// closed and would swallow them.
fn insertion(line: &str, spans: &[Range<usize>]) -> usize {
    let stops = |span: &Range<usize>| {
        let token = &line[span.clone()];
        token == "--" || token.matches('"').count() % 2 == 1
    };
    spans.iter().position(stops).unwrap_or(spans.len())
}

/// Replaces tokens (by nothing, to drop them) and puts new ones behind the last that has an edit.
fn render(line: &str, spans: &[Range<usize>], edits: &[Option<&str>], added: &[&str]) -> String {
    let mut out = String::with_capacity(line.len() + 32);
    let mut from = 0;
    for (span, edit) in spans.iter().zip(edits) {
        out.push_str(&line[from..span.start]);
        from = span.end;
        match edit {
            None => out.push_str(&line[span.clone()]),
            Some("") => from += drop_one_space(&mut out, &line[from..]),
            Some(new) => out.push_str(new),
        }
    }
    let rest = spans.get(edits.len()).map_or(line.len(), |span| span.start);
    out.push_str(&line[from..rest]);
    if rest == line.len() {
        for token in added {
            // A newline separates as well: the callers join several lines with it.
            out.push_str(if out.is_empty() || out.ends_with('\n') { "" } else { " " });
            out.push_str(token);
        }
        return out;
    }
    let gap = out.split_off(out.trim_end_matches(is_space).len());
    if out.is_empty() {
        return [&gap, &added.iter().flat_map(|token| [token, " "]).collect::<String>(), &line[rest..]]
            .concat();
    }
    out.extend(added.iter().flat_map(|token| [" ", token]));
    out + &gap + &line[rest..]
}

/// Takes away the space that belonged to a dropped token: the one before it, or the one behind
/// the first token of a line. Gives how many bytes of `rest` are gone with it.
fn drop_one_space(out: &mut String, rest: &str) -> usize {
    let first = out.rsplit('\n').next().is_none_or(|line| line.trim_matches(is_space).is_empty());
    if first && rest.starts_with([' ', '\t']) {
        return 1;
    }
    if out.ends_with([' ', '\t']) {
        out.pop();
    }
    0
}

#[cfg(test)]
#[path = "tests/command_line.rs"]
mod tests;
