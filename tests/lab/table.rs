//! The table of what was proved: `provisioner/docs/proved.md`, written when `LAB_TABLE` is 1.
//!
//! One row a boot, sorted, without dates: two runs differ in the times only. A run that writes replaces
//! the rows of what it boots; rows of a part that were written with other versions, and those of boots that
//! are no more, go. Every other run holds what it finds against the rows that are there. What was not run
//! since it was written is named, and a test holds rows and names against what the sources have.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

/// What the tier `lab` shows.
pub(crate) const CLAIM: &str = "The early claim and inspect";

/// What a boot is called in the table. Only [`row!`] makes one, so that all of them are known before
/// anything runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    /// Which part of the lab, a heading.
    pub(crate) part: &'static str,
    /// What was tried.
    pub(crate) text: &'static str,
}

inventory::collect!(Name);

impl Name {
    fn is(self, part: &str, text: &str) -> bool {
        self.part == part && self.text == text
    }
}

impl fmt::Display for Name {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.text)
    }
}

/// The name of a boot, below the heading of a part (else [`CLAIM`]).
macro_rules! row {
    ($text:expr) => {
        row!($crate::table::CLAIM, $text)
    };
    ($part:expr, $text:expr) => {{
        const NAME: $crate::table::Name = $crate::table::Name { part: $part, text: $text };
        inventory::submit! { NAME }
        NAME
    }};
}
pub(crate) use row;

/// A boot, as the table tells it.
#[derive(Debug)]
pub(crate) struct Row {
    /// What it is called.
    pub(crate) name: Name,
    /// On which machine.
    pub(crate) machine: String,
    /// From which image or disk.
    pub(crate) image: &'static str,
    /// What held; a control also says what did not.
    pub(crate) proved: String,
    /// How long the boot took.
    pub(crate) took: Duration,
}

/// What stands above the rows of a part.
const COLUMNS: &str = "| what | machine | image | outcome | s |\n|---|---|---|---|---|\n";

const HEAD: &str = "# What was proved, and on what\n\n\
    Written by the lab (`LAB_TABLE=1 tests/run --tier lab`; the tiers `mutations`, `lab-install` and `lab-vm` write parts of\n\
    their own), not by hand. A row is a boot of a virtual machine; a control, and what is broken on purpose, has to fail in what it\n\
    names. What is proved here is proved with QEMU's devices, not with a graphics card.\n\n\
    Not proved: mdev devices. QEMU emulates none, and those of the kernel's samples hang on no PCI function, which are\n\
    all that the program looks at.\n";

fn path() -> PathBuf {
    neuron_tests::tests_folder().join("../provisioner/docs/proved.md")
}

/// Adds a row, if the table was asked for; else it must be there already. `with` says which kernel, QEMU
/// and accelerator.
pub(crate) fn add(row: &Row, with: &str) -> io::Result<()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().map_err(|error| io::Error::other(error.to_string()))?;
    let mut parts = read(&fs::read_to_string(path())?);
    if std::env::var("LAB_TABLE").as_deref() != Ok("1") {
        return holds(row, &parts);
    }
    parts.entry(row.name.part.to_owned()).or_default().put(row, with);
    fs::write(path(), written(&parts))
}

/// The table has this row; the time may be another one.
fn holds(row: &Row, parts: &BTreeMap<String, Part>) -> io::Result<()> {
    let rows = parts.get(row.name.part);
    // Then the document says that it was not run yet.
    let Some(there) = rows.and_then(|rows| rows.lines.get(row.name.text)) else { return Ok(()) };
    let here = line(row);
    if without_time(there) == without_time(&here) {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{} does not tell what was found; LAB_TABLE=1 writes it anew\n\
         there: {there}\nfound: {here}",
        path().display()
    )))
}

fn without_time(line: &str) -> Option<&str> {
    line.trim_end_matches([' ', '|']).rsplit_once(" |").map(|(row, _)| row)
}

/// The rows of a part by what was tried, and what all of them ran with.
#[derive(Debug, Default, PartialEq, Eq)]
struct Part {
    with: String,
    lines: BTreeMap<String, String>,
}

impl Part {
    fn put(&mut self, row: &Row, with: &str) {
        let is_known =
            |text: &str| inventory::iter::<Name>.into_iter().any(|name| name.is(row.name.part, text));
        let is_same = self.with == with;
        self.lines.retain(|text, _| is_same && is_known(text));
        with.clone_into(&mut self.with);
        self.lines.insert(row.name.text.to_owned(), line(row));
    }
}

fn line(row: &Row) -> String {
    let Row { name: Name { text, .. }, machine, image, proved, took } = row;
    format!("| {text} | {machine} | {image} | {proved} | {:.0} |", took.as_secs_f32())
}

fn read(text: &str) -> BTreeMap<String, Part> {
    let mut parts = BTreeMap::new();
    for section in text.split("\n## ").skip(1) {
        let (part, rest) = section.split_once('\n').unwrap_or((section, ""));
        let with = rest.trim_start().lines().next().unwrap_or_default().to_owned();
        let rows = rest.lines().filter(|line| line.starts_with("| ")).skip(1);
        let name = |line: &str| line.split('|').nth(1).unwrap_or_default().trim().to_owned();
        let lines = rows.map(|line| (name(line), line.to_owned())).collect();
        parts.insert(part.to_owned(), Part { with, lines });
    }
    parts
}

/// What is known, and has no row.
fn without_row(parts: &BTreeMap<String, Part>) -> Vec<Name> {
    let has_row = |name: &&Name| parts.get(name.part).is_some_and(|part| part.lines.contains_key(name.text));
    let mut names: Vec<Name> =
        inventory::iter::<Name>.into_iter().filter(|name| !has_row(name)).copied().collect();
    names.sort_unstable();
    names
}

fn written(parts: &BTreeMap<String, Part>) -> String {
    let mut text = HEAD.to_owned();
    let missing = without_row(parts);
    if !missing.is_empty() {
        text.push_str("\nNot proved: these boots were not run yet, as they are now.\n\n");
    }
    for name in missing {
        let _ = writeln!(text, "- {}: {name}", name.part);
    }
    for (part, Part { with, lines }) in parts {
        let _ = write!(text, "\n## {part}\n\n{with}\n\n{COLUMNS}");
        for line in lines.values() {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

fn a_row(part: &'static str, text: &'static str, proved: &str, seconds: u64) -> Row {
    Row {
        name: Name { part, text },
        machine: "Intel: two".to_owned(),
        image: "tiny",
        proved: proved.to_owned(),
        took: Duration::from_secs(seconds),
    }
}

#[test]
fn the_table_is_read_as_it_was_written() {
    let lines = ["b", "a"].map(|name| (name.to_owned(), line(&a_row("A", name, "3 held", 6)))).into();
    let parts = BTreeMap::from([
        ("A".to_owned(), Part { with: "Linux, QEMU".to_owned(), lines }),
        ("B".to_owned(), Part { with: "Linux".to_owned(), lines: BTreeMap::new() }),
    ]);
    let text = written(&parts);
    assert_eq!(read(&text), parts);
    assert!(text.contains("| a | Intel: two | tiny | 3 held | 6 |\n| b |"), "{text}");
}

#[test]
fn what_was_found_is_held_against_the_table() {
    let lines = BTreeMap::from([("a".to_owned(), line(&a_row("A", "a", "3 held", 5)))]);
    let parts = BTreeMap::from([("A".to_owned(), Part { with: String::new(), lines })]);
    holds(&a_row("A", "a", "3 held", 50), &parts).unwrap();
    holds(&a_row("A", "a", "2 held", 5), &parts).unwrap_err();
    // What has no row is named as not proved.
    holds(&a_row("A", "b", "2 held", 5), &parts).unwrap();
    let part = |lines: &[&str]| Part {
        with: String::new(),
        lines: lines.iter().map(|text| ((*text).to_owned(), "old".to_owned())).collect(),
    };
    let missing = |lines: &[&str]| {
        let parts = BTreeMap::from([(CLAIM.to_owned(), part(lines))]);
        written(&parts).contains("- The early claim and inspect: plain claim\n")
    };
    assert!(missing(&[]) && missing(&["kill switch"]) && !missing(&["plain claim"]));
}

#[test]
fn a_row_takes_the_place_of_the_old_one_and_nothing_stale_stays() {
    let lines = ["plain claim", "nobody boots this"].map(|text| (text.to_owned(), "old".to_owned()));
    let mut part = Part { with: "Linux 1".to_owned(), lines: lines.into() };
    part.put(&a_row(CLAIM, "kill switch", "3 held", 1), "Linux 1");
    let texts = |part: &Part| part.lines.keys().cloned().collect::<Vec<_>>();
    assert_eq!(texts(&part), ["kill switch", "plain claim"]);
    // What was proved with another kernel says nothing about this one.
    part.put(&a_row(CLAIM, "plain claim", "3 held", 1), "Linux 2");
    assert_eq!(texts(&part), ["plain claim"]);
}

/// No row without a boot that could write it, and every boot either has a row or is named as not proved.
#[test]
fn the_table_tells_of_every_boot_and_of_no_other() {
    let text = fs::read_to_string(path()).unwrap();
    let parts = read(&text);
    let names: Vec<Name> = inventory::iter::<Name>.into_iter().copied().collect();
    let known: BTreeSet<Name> = names.iter().copied().collect();
    assert_eq!(known.len(), names.len(), "two boots have one name, and would share a row");
    let is_stale = |part: &str, text: &str| !known.iter().any(|name| name.is(part, text));
    let rows = parts.iter().flat_map(|(part, rows)| rows.lines.keys().map(move |text| (part, text)));
    let stale: Vec<_> = rows.filter(|(part, text)| is_stale(part, text)).collect();
    assert!(stale.is_empty(), "proved.md has rows of boots that are no more: {stale:#?}");
    let right = written(&parts);
    if std::env::var("LAB_TABLE").as_deref() == Ok("1") {
        fs::write(path(), right).unwrap();
    } else {
        assert!(text == right, "what is no row of proved.md is not as LAB_TABLE=1 writes it:\n{right}");
    }
}
