//! The table of what was proved: `provisioner/docs/proved.md`, written when `LAB_TABLE` is 1.
//!
//! One row a boot, sorted, without dates: two runs differ in the times only. A run replaces the rows
//! of its own part, so it has to be the whole one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

/// A boot, as the table tells it.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    /// Which part of the lab, a heading: `The early claim and inspect`.
    pub(crate) part: &'a str,
    /// What was tried.
    pub(crate) name: &'a str,
    /// On which machine.
    pub(crate) machine: String,
    /// From which image or disk.
    pub(crate) image: &'a str,
    /// What held; a control also says what did not.
    pub(crate) proved: String,
    /// How long the boot took.
    pub(crate) took: Duration,
}

/// What stands above the rows of a part.
const COLUMNS: &str = "| what | machine | image | outcome | s |\n|---|---|---|---|---|\n";

const HEAD: &str = "# What was proved, and on what\n\n\
    Written by the lab (`LAB_TABLE=1 tests/run --tier lab`; the tiers `mutations` and `lab-install` write parts of their\n\
    own), not by hand. A row is a boot of a virtual machine; a control, and what is broken on purpose, has to fail in what it\n\
    names. What is proved here is proved with QEMU's devices, not with a graphics card.\n";

fn path() -> PathBuf {
    neuron_tests::tests_folder().join("../provisioner/docs/proved.md")
}

/// Adds a row, if the table was asked for. `with` says which kernel, QEMU and accelerator.
pub(crate) fn add(row: &Row<'_>, with: &str) -> io::Result<()> {
    static BEGUN: Mutex<Vec<String>> = Mutex::new(Vec::new());
    if std::env::var("LAB_TABLE").as_deref() != Ok("1") {
        return Ok(());
    }
    let mut begun = BEGUN.lock().map_err(|error| io::Error::other(error.to_string()))?;
    let mut parts = match fs::read_to_string(path()) {
        Ok(text) => read(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(error),
    };
    let rows = parts.entry(row.part.to_owned()).or_default();
    if !begun.iter().any(|part| part == row.part) {
        begun.push(row.part.to_owned());
        rows.lines.clear();
    }
    with.clone_into(&mut rows.with);
    rows.lines.insert(row.name.to_owned(), line(row));
    fs::write(path(), written(&parts))
}

/// The rows of a part by what was tried, and what all of them ran with.
#[derive(Debug, Default, PartialEq, Eq)]
struct Part {
    with: String,
    lines: BTreeMap<String, String>,
}

fn line(row: &Row<'_>) -> String {
    let Row { name, machine, image, proved, took, .. } = row;
    format!("| {name} | {machine} | {image} | {proved} | {:.0} |", took.as_secs_f32())
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

fn written(parts: &BTreeMap<String, Part>) -> String {
    let mut text = HEAD.to_owned();
    for (part, Part { with, lines }) in parts {
        let _ = write!(text, "\n## {part}\n\n{with}\n\n{COLUMNS}");
        for line in lines.values() {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

#[test]
fn the_table_is_read_as_it_was_written() {
    let row = |name: &'static str| Row {
        part: "A",
        name,
        machine: "Intel: two".to_owned(),
        image: "tiny",
        proved: "3 held".to_owned(),
        took: Duration::from_millis(5_600),
    };
    let lines = ["b", "a"].map(|name| (name.to_owned(), line(&row(name)))).into();
    let parts = BTreeMap::from([
        ("A".to_owned(), Part { with: "Linux, QEMU".to_owned(), lines }),
        ("B".to_owned(), Part { with: "Linux".to_owned(), lines: BTreeMap::new() }),
    ]);
    let text = written(&parts);
    assert_eq!(read(&text), parts);
    assert!(text.contains("| a | Intel: two | tiny | 3 held | 6 |\n| b |"), "{text}");
}
