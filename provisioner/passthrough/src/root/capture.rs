//! A capture: what was read from a machine root, in one file that can stand in for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The form of the file, raised when its meaning changes.
const SCHEMA: &str = "neuron-capture/1";

/// Everything that was read on a machine, by path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    schema: String,
    /// Path (without its leading `/`) to what was found there.
    entries: BTreeMap<String, Entry>,
}

/// What a look at one path found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// Nothing.
    Absent,
    /// Something, of which only the presence was asked.
    Present,
    /// A file of text.
    Text(String),
    /// A file that is no text.
    Bytes(Vec<u8>),
    /// A symlink, and where it points to.
    Link(String),
    /// A directory, and the names in it.
    Directory(Vec<String>),
    /// It could not be read; what the kernel said.
    Unreadable(String),
}

impl Entry {
    pub(super) fn file(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes(bytes.to_owned()),
        }
    }

    pub(super) fn into_file(self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.into_bytes()),
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(super) fn into_directory(self) -> Option<Vec<String>> {
        match self {
            Self::Directory(names) => Some(names),
            _ => None,
        }
    }

    pub(super) fn into_link(self) -> Option<String> {
        match self {
            Self::Link(to) => Some(to),
            _ => None,
        }
    }
}

/// A text that is no capture.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// It is not JSON of the right shape.
    #[error("it is not a capture: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It was written by another version.
    #[error("its schema is `{0}`, this program reads `{SCHEMA}`")]
    Schema(String),
}

impl Default for Capture {
    fn default() -> Self {
        Self { schema: SCHEMA.to_owned(), entries: BTreeMap::new() }
    }
}

impl Capture {
    /// Reads the text of a capture file.
    pub fn parse(text: &str) -> Result<Self, CaptureError> {
        let capture: Self = serde_json::from_str(text)?;
        if capture.schema == SCHEMA { Ok(capture) } else { Err(CaptureError::Schema(capture.schema)) }
    }

    /// The text of the capture file.
    pub fn render(&self) -> Result<String, CaptureError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// What was found at a path; `None` when nobody looked.
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path.trim_start_matches('/'))
    }

    /// Adds what was found at a path.
    pub fn insert(&mut self, path: &str, entry: Entry) {
        self.entries.insert(path.trim_start_matches('/').to_owned(), entry);
    }

    /// Every path that was looked at, with what was found; for the scrubber.
    pub fn entries_mut(&mut self) -> impl Iterator<Item = (&str, &mut Entry)> {
        self.entries.iter_mut().map(|(path, entry)| (path.as_str(), entry))
    }
}
