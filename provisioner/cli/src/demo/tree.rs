//! A picture of a tree, to prove that it is the same again.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where this program keeps its journal in a target; it stays, so that the past can be told.
const STATE: &str = "var/lib/neuron-provisioner";

/// Everything below a directory but this program's own state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tree(BTreeMap<PathBuf, Entry>);

/// Bytes (none for a directory), mode with the file's type, owner and group.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    bytes: Option<Vec<u8>>,
    mode: u32,
    owner: (u32, u32),
}

impl Tree {
    /// Takes the picture; no symlink is followed.
    pub(super) fn of(root: &Path) -> io::Result<Self> {
        let mut entries = BTreeMap::new();
        add(root, Path::new(""), &mut entries)?;
        Ok(Self(entries))
    }

    /// How many files there are.
    pub(super) fn files(&self) -> usize {
        self.0.values().filter(|entry| entry.bytes.is_some()).count()
    }

    /// The paths at which the two are not the same.
    pub(super) fn differences(&self, other: &Self) -> Vec<PathBuf> {
        let missing_or_changed =
            self.0.iter().filter(|(path, entry)| other.0.get(*path) != Some(entry)).map(|(path, _)| path);
        let added = other.0.keys().filter(|path| !self.0.contains_key(*path));
        missing_or_changed.chain(added).cloned().collect()
    }
}

fn add(root: &Path, below: &Path, entries: &mut BTreeMap<PathBuf, Entry>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let name = below.join(entry?.file_name());
        if name == Path::new(STATE) {
            continue;
        }
        let path = root.join(&name);
        let found = fs::symlink_metadata(&path)?;
        let bytes = if found.is_dir() {
            add(root, &name, entries)?;
            None
        } else if found.is_symlink() {
            Some(fs::read_link(&path)?.as_os_str().as_bytes().to_owned())
        } else {
            Some(fs::read(&path)?)
        };
        entries.insert(name, Entry { bytes, mode: found.mode(), owner: (found.uid(), found.gid()) });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn every_kind_of_difference_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["kept", "changed", "removed", "mode"] {
            fs::write(root.join(name), name).unwrap();
        }
        let before = Tree::of(root).unwrap();
        assert!(before.differences(&Tree::of(root).unwrap()).is_empty());
        fs::write(root.join("changed"), "Changed").unwrap();
        fs::write(root.join("added"), "").unwrap();
        fs::remove_file(root.join("removed")).unwrap();
        fs::set_permissions(root.join("mode"), fs::Permissions::from_mode(0o600)).unwrap();
        let found = before.differences(&Tree::of(root).unwrap());
        assert_eq!(found, ["changed", "mode", "removed", "added"].map(PathBuf::from));
    }

    #[test]
    fn the_own_state_is_no_difference() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("var/lib")).unwrap();
        let before = Tree::of(folder.path()).unwrap();
        fs::create_dir_all(folder.path().join(STATE)).unwrap();
        fs::write(folder.path().join(STATE).join("journal.jsonl"), "x").unwrap();
        assert!(before.differences(&Tree::of(folder.path()).unwrap()).is_empty());
    }
}
