//! The journal: what was going to be done and what was done, one JSON record a line.
//!
//! Every line is on disk before the thing that it announces is begun. A last line that a crash
//! tore is what never happened.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::MetadataExt as _;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};

use super::content::Fingerprint;
use super::error::ApplyError;
use super::place::Place;
use super::write::Hand;
use super::{Operation, RebuildState};
use crate::id::TargetPath;

/// The form of the file, raised when its meaning changes.
const SCHEMA: &str = "neuron-journal/1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    schema: String,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub(super) enum Record {
    Begin(Begin),
    /// This path will be changed.
    Intent(Intent),
    /// The path of the step is changed.
    Done {
        transaction: u64,
        step: String,
    },
    /// This program will be run.
    RebuildIntent {
        transaction: u64,
        step: String,
        argv: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        undo: Vec<String>,
    },
    /// It ran, or somebody else will run it.
    Rebuilt {
        transaction: u64,
        step: String,
        argv: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        undo: Vec<String>,
        outcome: RebuildState,
    },
    /// The transaction is whole. `forgotten`: paths that are no longer ours; `partial`: what is in the
    /// menus was to go, and stays for now.
    Commit {
        transaction: u64,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        forgotten: Vec<TargetPath>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        partial: bool,
    },
    /// A copy of ours is gone, after the transaction that no longer wanted it.
    Dropped {
        real: TargetPath,
    },
    /// The transaction is undone, but for the paths that are `left` and the programs that could
    /// not be run again.
    RolledBack {
        transaction: u64,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left: Vec<TargetPath>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        not_rebuilt: Vec<Vec<String>>,
    },
}

/// The first record of a transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Begin {
    pub(super) transaction: u64,
    pub(super) operation: Operation,
    pub(super) plan: String,
    pub(super) stage: String,
    pub(super) boot_id: Option<String>,
    pub(super) tokens: Vec<String>,
    pub(super) note: serde_json::Value,
}

/// One path about to be changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Intent {
    pub(super) transaction: u64,
    pub(super) step: String,
    /// As the step names it.
    pub(super) path: TargetPath,
    /// Where that is, symlinks followed.
    pub(super) real: TargetPath,
    pub(super) before: Fingerprint,
    pub(super) after: Fingerprint,
    /// The name, beside the file, that its new content has until it is renamed.
    pub(super) temporary: String,
    /// Directories that have to be made for it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) directories: Vec<TargetPath>,
    /// Whether it is a copy of derived output: its bytes are not saved.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) copy: bool,
    /// Whether the file is ours from an earlier transaction and somebody changed it since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) foreign_edit: bool,
}

/// What the file holds, and how much of it is whole.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) records: Vec<Record>,
    whole: u64,
}

/// The file, open for appending.
pub(super) struct Journal {
    file: File,
    length: u64,
}

/// Reads the journal; empty when there is none.
pub(super) fn read(place: &Place) -> Result<Contents, ApplyError> {
    let bytes = match place.open_entry(OFlag::O_RDONLY | OFlag::O_NONBLOCK) {
        Ok(opened) => {
            let mut bytes = Vec::new();
            File::from(opened).read_to_end(&mut bytes).map_err(ApplyError::io("read", &place.name))?;
            bytes
        }
        Err(Errno::ENOENT) => Vec::new(),
        Err(errno) => return Err(ApplyError::io("open", &place.name)(errno.into())),
    };
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<Contents, ApplyError> {
    let mut records = Vec::new();
    let mut whole = 0;
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
    for (index, line) in lines {
        let last = whole + line.len() == bytes.len();
        let parsed = match line.strip_suffix(b"\n") {
            None => Err("it is cut off".to_owned()),
            Some(line) if index == 0 => header(line).map(|()| None),
            Some(line) => serde_json::from_slice(line).map(Some).map_err(|error| error.to_string()),
        };
        match parsed {
            Ok(record) => records.extend(record),
            Err(_) if last && is_torn(line) => break,
            Err(why) => return Err(ApplyError::Journal { line: index + 1, why }),
        }
        whole += line.len();
    }
    Ok(Contents { records, whole: whole as u64 })
}

/// Whether a crash left this of a line, which it does to the last one only: its end is not there, or a
/// block before that was not written. What is whole and says something else is somebody's record.
fn is_torn(line: &[u8]) -> bool {
    !line.ends_with(b"\n") || line.contains(&0)
}

fn header(line: &[u8]) -> Result<(), String> {
    let header: Header = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if header.schema == SCHEMA {
        Ok(())
    } else {
        Err(format!("schema `{}` where {SCHEMA} is right", header.schema))
    }
}

impl Journal {
    /// Opens the journal to append to what [`read`] found: makes it when there is none, cuts off
    /// a torn last line.
    pub(super) fn open(hand: &mut Hand<'_>, place: &Place, found: &Contents) -> Result<Self, ApplyError> {
        let path = format!("/var/lib/neuron-provisioner/{}", place.name);
        Self::try_open(hand, place, found).map_err(ApplyError::io("open", path))
    }

    fn try_open(hand: &mut Hand<'_>, place: &Place, found: &Contents) -> io::Result<Self> {
        // O_NONBLOCK: a fifo in its place must not hang.
        let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_NONBLOCK;
        let opened = hand
            .perform("open the journal", || place.open_new_entry(flags, Mode::from_bits_truncate(0o644)))?;
        let file = File::from(opened);
        let meta = file.metadata()?;
        // It is the one file that is written in place, so another name of it may lie anywhere.
        if !meta.is_file() || meta.nlink() != 1 {
            return Err(io::Error::other("it is no file of its own: it has other names (hard links)"));
        }
        if meta.len() != found.whole {
            hand.perform("cut the journal", || file.set_len(found.whole))?;
        }
        let mut journal = Self { file, length: found.whole };
        if found.whole == 0 {
            journal.line(hand, &Header { schema: SCHEMA.to_owned() })?;
            hand.sync_directory(&place.directory, &place.name)?;
        }
        Ok(journal)
    }

    /// Puts a record on disk; when this returns an error it is not there.
    pub(super) fn append(&mut self, hand: &mut Hand<'_>, record: &Record) -> io::Result<()> {
        self.line(hand, record)
    }

    fn line(&mut self, hand: &mut Hand<'_>, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        let file = &mut self.file;
        let written = hand
            .perform("append to the journal", || file.write_all(&line))
            .and_then(|()| hand.perform("fsync the journal", || file.sync_data()));
        match written {
            Ok(()) => self.length += line.len() as u64,
            Err(error) => {
                // A half line in the middle would make the whole journal unreadable.
                self.file.set_len(self.length)?;
                return Err(error);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Result<Contents, ApplyError> {
        parse(text.as_bytes())
    }

    const HEAD: &str = "{\"schema\":\"neuron-journal/1\"}\n";
    const COMMIT: &str = "{\"record\":\"commit\",\"transaction\":1}\n";

    #[test]
    fn a_torn_last_line_never_happened() {
        for torn in ["", "{\"rec", "{\"record\":\"commit\",\"transaction\":1}", "\0\0\0\n"] {
            let contents = lines(&format!("{HEAD}{COMMIT}{torn}")).unwrap();
            assert_eq!(contents.records.len(), 1, "{torn:?}");
            assert_eq!(contents.whole, (HEAD.len() + COMMIT.len()) as u64);
        }
        assert_eq!(lines("{\"sche").unwrap().whole, 0);
    }

    #[test]
    fn damage_elsewhere_names_its_line() {
        let damaged = lines(&format!("{HEAD}nonsense\n{COMMIT}"));
        assert!(matches!(damaged, Err(ApplyError::Journal { line: 2, .. })));
        let newer = lines("{\"schema\":\"neuron-journal/9\"}\n");
        assert!(matches!(newer, Err(ApplyError::Journal { line: 1, .. })));
        // Whole, and nothing that this version knows: cut off, it would be lost without a word.
        for last in ["{\"record\":\"forgotten\",\"transaction\":1}\n", "nonsense\n", "\n"] {
            let damaged = lines(&format!("{HEAD}{COMMIT}{last}"));
            assert!(matches!(damaged, Err(ApplyError::Journal { line: 3, .. })), "{last:?}");
        }
    }
}
