//! Trees of files: take a snapshot, compare two.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::at;

/// Everything below a directory, by path without a leading `/`.
pub type Tree = BTreeMap<String, Entry>;

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is, with its content.
    pub kind: Kind,
    /// Its permission bits (`0o7777`).
    pub mode: u32,
    /// Who owns it: user and group number.
    pub owner: (u32, u32),
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file and its bytes.
    File(Vec<u8>),
    /// A symlink and where it points to.
    Symlink(Vec<u8>),
    /// A device, fifo or socket.
    Special,
}

impl Entry {
    /// The text of a regular file.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::File(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }
}

/// Reads everything below `root`; no symlink is followed.
pub fn snapshot(root: &Path) -> io::Result<Tree> {
    let mut tree = Tree::new();
    below(root, "", &mut tree)?;
    Ok(tree)
}

fn below(folder: &Path, prefix: &str, tree: &mut Tree) -> io::Result<()> {
    for entry in fs::read_dir(folder).map_err(|error| at(folder, "list", &error))? {
        let entry = entry?;
        let path = entry.path();
        let meta = fs::symlink_metadata(&path).map_err(|error| at(&path, "look at", &error))?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = if meta.is_dir() {
            below(&path, &format!("{name}/"), tree)?;
            Kind::Directory
        } else if meta.is_symlink() {
            Kind::Symlink(fs::read_link(&path)?.as_os_str().as_bytes().to_owned())
        } else if meta.is_file() {
            Kind::File(fs::read(&path).map_err(|error| at(&path, "read", &error))?)
        } else {
            Kind::Special
        };
        tree.insert(name, Entry { kind, mode: meta.mode() & 0o7777, owner: (meta.uid(), meta.gid()) });
    }
    Ok(())
}

/// One way in which two trees differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Only the second has it.
    Added(String),
    /// Only the first has it.
    Removed(String),
    /// Kind or content differ.
    Content(String),
    /// Only mode or owner differ.
    Attributes(String),
}

impl Difference {
    /// The path that differs.
    pub fn path(&self) -> &str {
        match self {
            Self::Added(path) | Self::Removed(path) | Self::Content(path) | Self::Attributes(path) => path,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::Added(_) => "added",
            Self::Removed(_) => "removed",
            Self::Content(_) => "changed",
            Self::Attributes(_) => "mode or owner changed",
        };
        write!(f, "{word}: {}", self.path())
    }
}

/// How `after` differs from `before`, in the order of the paths.
pub fn diff(before: &Tree, after: &Tree) -> Vec<Difference> {
    let mut found: Vec<Difference> = before
        .iter()
        .filter_map(|(path, old)| match after.get(path) {
            None => Some(Difference::Removed(path.clone())),
            Some(new) if new.kind != old.kind => Some(Difference::Content(path.clone())),
            Some(new) if new != old => Some(Difference::Attributes(path.clone())),
            Some(_) => None,
        })
        .collect();
    let added = after.keys().filter(|path| !before.contains_key(*path));
    found.extend(added.cloned().map(Difference::Added));
    found.sort_by(|a, b| a.path().cmp(b.path()));
    found
}
