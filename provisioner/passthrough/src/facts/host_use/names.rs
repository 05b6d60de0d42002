//! What the kernel calls the disks that tables and command lines name in their own ways.

use std::collections::BTreeMap;

use crate::root::{ReadError, Root};

/// How a table names a disk by what is on it, and where the links of these names lie.
const TAGS: [(&str, &str); 4] =
    [("UUID", "by-uuid"), ("PARTUUID", "by-partuuid"), ("LABEL", "by-label"), ("PARTLABEL", "by-partlabel")];
/// What stands before and behind a name: `rd.luks.key=/key:LABEL=stick`, `header=/dev/sdb,discard`.
const SEPARATORS: [char; 5] = ['=', ':', ',', '"', '\''];

/// The links below `/dev/disk`.
pub(super) struct Names<'a> {
    root: &'a Root,
    /// By folder and name, in small letters: a table may write an id in others.
    links: BTreeMap<(&'static str, String), String>,
}

impl<'a> Names<'a> {
    pub(super) fn read(root: &'a Root) -> Result<Self, ReadError> {
        let mut links = BTreeMap::new();
        for (_, folder) in TAGS {
            for name in root.list(&format!("dev/disk/{folder}"))?.unwrap_or_default() {
                let to = root.read_link(&format!("dev/disk/{folder}/{name}"))?.unwrap_or_default();
                links.insert((folder, plain(&name)), last(&to));
            }
        }
        Ok(Self { root, links })
    }

    /// What one name means: `/dev/sda1`, `UUID=...`, or the id alone as dracut takes it.
    pub(super) fn of(&self, name: &str) -> Result<Option<String>, ReadError> {
        if let Some(path) = name.strip_prefix("/dev/") {
            return self.at(path).map(Some);
        }
        let tagged = name.split_once('=').and_then(|(tag, value)| {
            let (_, folder) = TAGS.iter().find(|(known, _)| tag.eq_ignore_ascii_case(known))?;
            Some((*folder, value.trim_matches('"')))
        });
        let (folder, value) = tagged.unwrap_or(("by-uuid", name.strip_prefix("luks-").unwrap_or(name)));
        Ok(self.links.get(&(folder, plain(value))).cloned())
    }

    /// Everything that is named somewhere in a word, whatever else it says.
    pub(super) fn among(&self, word: &str) -> Result<Vec<String>, ReadError> {
        let cuts = || word.match_indices(SEPARATORS).map(|(at, _)| at);
        let mut found = Vec::new();
        for start in std::iter::once(0).chain(cuts().map(|at| at + 1)) {
            for end in cuts().filter(|end| *end > start).chain([word.len()]) {
                found.extend(self.of(&word[start..end])?);
            }
        }
        Ok(found)
    }

    /// What a path below `/dev` leads to, as the kernel writes it in `/sys/class/block`.
    fn at(&self, path: &str) -> Result<String, ReadError> {
        let found = self.root.resolved(&format!("dev/{path}"))?;
        let found = found.as_deref().and_then(|found| found.strip_prefix("/dev/"));
        Ok(found.unwrap_or(path).replace('/', "!"))
    }
}

/// Blanks are written in one way by tables and in another by udev.
fn plain(name: &str) -> String {
    name.replace("\\040", " ").replace("\\x20", " ").to_ascii_lowercase()
}

fn last(path: &str) -> String {
    path.rsplit('/').next().unwrap_or_default().to_owned()
}
