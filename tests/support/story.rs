//! What must be true of a target after the power was cut.

use std::io;
use std::path::{Path, PathBuf};

use crate::scenario::{STATE, without_state};
use crate::tree::{self, Entry, Kind, Tree};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What the stand-in for mkinitcpio makes.
const IMAGE: &str = "boot/initramfs-linux.img";

/// A run, from one tree to another.
pub struct Story {
    /// The machine's root.
    pub machine: PathBuf,
    /// `apply` or `revert`.
    pub verb: &'static str,
    /// Before anything was applied.
    pub original: Tree,
    /// With everything applied.
    pub applied: Tree,
}

/// One of how many points is tried: all of them where nobody says otherwise.
pub fn share() -> usize {
    let named = std::env::var("NEURON_POWER_SHARE").ok().and_then(|text| text.parse().ok());
    named.filter(|share| *share > 0).unwrap_or(1)
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// In the middle of the run.
    During,
    /// After it had ended.
    After,
}

/// What a target looks like to somebody who boots it: without our state, and without what stand-ins note.
pub fn seen(root: &Path) -> io::Result<Tree> {
    let mut tree = without_state(&tree::snapshot(root)?);
    // The last is what fsck.fat found of nobody's.
    let left_out = ["var/log/", "lost+found", "boot/FSCK"];
    tree.retain(|path, _| {
        !left_out.iter().any(|prefix| path.starts_with(prefix)) && !path.ends_with("/lost+found")
    });
    Ok(in_first_place(tree))
}

/// A kept kernel has two places, and a run after a cut takes the one that is whole or free: which of
/// them is no difference, as long as it is one of them.
fn in_first_place(tree: Tree) -> Tree {
    const PLACES: [&str; 2] = ["neuron-host/kept-", "neuron-host/kept2-"];
    if tree.keys().any(|path| path.contains(PLACES[0])) {
        return tree;
    }
    let renamed = |text: &str| text.replace(PLACES[1], PLACES[0]);
    let entry = |(path, mut entry): (String, Entry)| {
        if let Some(text) = entry.text().map(renamed) {
            entry.kind = Kind::File(text.into_bytes());
        }
        (renamed(&path), entry)
    };
    tree.into_iter().map(entry).collect()
}

impl Story {
    /// What a run that ends leaves.
    pub fn end(&self) -> &Tree {
        if self.verb == "apply" { &self.applied } else { &self.original }
    }

    /// Every file is the old or the new one, and whatever the journal calls done is done.
    pub fn look(&self, root: &Path, when: When) -> io::Result<Vec<String>> {
        let tree = seen(root)?;
        let mut wrong = Vec::new();
        let paths = self.original.keys().chain(self.applied.keys()).chain(tree.keys());
        for path in paths.collect::<std::collections::BTreeSet<_>>() {
            let is = tree.get(path);
            let is_known = is == self.original.get(path) || is == self.applied.get(path);
            // What a program of the target writes is its own; at the end it must be there.
            if !is_known && path != IMAGE && !is_temporary(path) {
                wrong.push(format!("{path} is neither old nor new: {}", told(is)));
            }
        }
        let journal = std::fs::read_to_string(root.join(STATE).join("journal.jsonl")).unwrap_or_default();
        wrong.extend(self.unannounced(&tree, &journal));
        wrong.extend(unkept(root, &journal));
        wrong.extend(undone(&tree, &journal));
        if when == When::After && last_word(&journal) != Some(self.verb) {
            wrong.push("the program said that it was done, and the journal does not".to_owned());
        }
        let promised = match (when, last_word(&journal)) {
            (When::After, _) => Some(self.end()),
            (_, Some("apply")) => Some(&self.applied),
            (_, Some("revert")) => Some(&self.original),
            _ => None,
        };
        if let Some(promised) = promised {
            // The copies go after a revert, when nothing names them any more.
            let copies = |path: &str| path.starts_with("boot/neuron-host") && when == When::During;
            let differences = tree::diff(promised, &tree);
            let differences = differences.iter().filter(|difference| !copies(difference.path()));
            wrong.extend(differences.map(|difference| format!("called done, but {difference}")));
        }
        Ok(wrong)
    }

    /// What is changed without a line of the journal that says so first.
    fn unannounced(&self, tree: &Tree, journal: &str) -> Vec<String> {
        let mut announced = std::collections::BTreeSet::new();
        for intent in intents(journal) {
            let directories = intent["directories"].as_array().cloned().unwrap_or_default();
            let paths = directories.iter().chain([&intent["real"]]);
            announced.extend(paths.filter_map(Value::as_str).map(|path| path[1..].to_owned()));
        }
        let start = if self.verb == "apply" { &self.original } else { &self.applied };
        let differences = tree::diff(start, tree);
        let is_free = |path: &str| {
            // A revert takes these away after its commit.
            let goes = self.verb == "revert" && path.starts_with("boot/neuron-host");
            goes || path == IMAGE || announced.contains(path)
        };
        let unannounced = differences.iter().filter(|difference| !is_free(difference.path()));
        // Directories go at the end of a revert, and are empty by then.
        let is_directory = |path: &str| start.get(path).is_some_and(|e| e.kind == tree::Kind::Directory);
        let unannounced = unannounced.filter(|difference| !is_directory(difference.path()));
        let unannounced =
            unannounced.filter(|difference| !is_announced_temporary(difference.path(), &announced));
        unannounced.map(|difference| format!("not in the journal, but {difference}")).collect()
    }
}

/// A tree in which the copies of the host entry lie where a first apply puts them: a later one puts them
/// beside those that it finds, whole or not, and takes these away.
pub fn in_first_slot(tree: Tree) -> Tree {
    const SLOTS: [&str; 2] = ["/neuron-host/kept-", "/neuron-host/kept2-"];
    if tree.keys().any(|path| path.contains(SLOTS[0])) {
        return tree;
    }
    let first = |text: &str| text.replace(SLOTS[1], SLOTS[0]);
    let of_text = |mut entry: Entry| {
        if let tree::Kind::File(bytes) = &mut entry.kind
            && let Ok(text) = std::str::from_utf8(bytes)
        {
            *bytes = first(text).into();
        }
        entry
    };
    tree.into_iter().map(|(path, entry)| (first(&path), of_text(entry))).collect()
}

/// Which operation the journal's last record calls whole.
fn last_word(journal: &str) -> Option<&'static str> {
    let last = journal.lines().rfind(|line| !line.contains("\"record\":\"dropped\""))?;
    let begin = journal.lines().rfind(|line| line.contains("\"record\":\"begin\""))?;
    let is = |word: &str| begin.contains(&format!("\"operation\":\"{word}\""));
    match last {
        _ if last.contains("\"record\":\"commit\"") && is("apply") => Some("apply"),
        _ if last.contains("\"record\":\"commit\"") && is("revert") => Some("revert"),
        _ => None,
    }
}

/// The lines of the journal's last transaction that announce a change.
fn intents(journal: &str) -> Vec<Value> {
    let lines = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut intents = Vec::new();
    for line in lines {
        if line["record"] == "begin" {
            intents.clear();
        } else if line["record"] == "intent" {
            intents.push(line);
        }
    }
    intents
}

/// Bytes that a revert will need and that are not kept.
fn unkept(root: &Path, journal: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for intent in intents(journal).iter().filter(|intent| intent["copy"] != true) {
        // Once nothing is to be put back any more they may go.
        if last_word(journal).is_some() {
            break;
        }
        for digest in
            [&intent["before"], &intent["after"]].iter().filter_map(|state| state["sha256"].as_str())
        {
            let kept = std::fs::read(root.join(STATE).join("saved").join(digest));
            let is_whole = kept.is_ok_and(|bytes| hex(&Sha256::digest(bytes)) == digest);
            if !is_whole {
                wrong.push(format!("{} cannot be put back: {digest} is not kept", intent["real"]));
            }
        }
    }
    wrong
}

/// Changes that the journal calls done and that are not.
fn undone(tree: &Tree, journal: &str) -> Vec<String> {
    // In the order of the lines: the n-th `done` belongs to the n-th intent.
    let begin = journal.rfind("\"record\":\"begin\"").unwrap_or_default();
    let done = journal[begin..].matches("\"record\":\"done\"").count();
    let is_after = |intent: &Value| {
        let entry = intent["real"].as_str().and_then(|path| tree.get(&path[1..]));
        match entry.map(|entry| &entry.kind) {
            Some(tree::Kind::File(bytes)) => {
                intent["after"]["sha256"] == hex(&Sha256::digest(bytes)).as_str()
            }
            Some(_) => intent["after"]["is"] != "regular",
            None => intent["after"]["is"] == "absent",
        }
    };
    // A path can be changed twice; and what a run before this one did is put back without a new line.
    let intents = intents(journal);
    let last = |intent: &Value| intents.iter().rfind(|other| other["real"] == intent["real"]) == Some(intent);
    let undone = intents.iter().take(done).filter(|intent| last(intent) && !is_after(intent));
    undone.map(|intent| format!("the journal calls {} done, and it is not", intent["real"])).collect()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether this is the unfinished file of a change that the journal announces.
fn is_announced_temporary(path: &str, announced: &std::collections::BTreeSet<String>) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let whose = name.strip_prefix('.').and_then(|name| name.split_once(".neuron-"));
    whose.is_some_and(|(name, _)| announced.contains(&format!("{folder}/{name}")))
}

fn is_temporary(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.starts_with('.') && name.contains(".neuron-")
}

fn told(entry: Option<&Entry>) -> String {
    match entry {
        None => "it is gone".to_owned(),
        Some(Entry { kind: tree::Kind::File(bytes), mode, .. }) => format!("{} bytes, {mode:o}", bytes.len()),
        Some(Entry { kind, .. }) => format!("{kind:?}"),
    }
}
