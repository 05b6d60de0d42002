//! A step: one change of the target, as data. Five closed verbs and no more.
//!
//! Knowledge of boot loaders or guests lives in whoever *emits* steps; whoever runs them knows
//! these five.

use serde::{Deserialize, Serialize};

use crate::id::TargetPath;

/// Who owns a file, by number: the target's names are not the running system's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Owner {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
}

/// What stands at a path: nothing, a file with its bytes, or a symlink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FileState {
    /// There is nothing at the path.
    Absent,
    /// A regular file.
    Regular {
        /// Its content, byte for byte.
        #[serde(with = "bytes_as_text")]
        bytes: Vec<u8>,
        /// Its permission bits (`0o7777`).
        mode: u32,
        /// Its owner.
        owner: Owner,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points to, unresolved.
        points_to: String,
    },
}

impl FileState {
    /// A root-owned file with this content, mode 0644: what a new configuration file is.
    pub fn config(text: impl Into<String>) -> Self {
        Self::Regular { bytes: text.into().into_bytes(), mode: 0o644, owner: Owner::default() }
    }

    /// The same file with other content; a new one where there was none.
    #[must_use]
    pub fn with_text(&self, text: impl Into<String>) -> Self {
        match self {
            Self::Regular { mode, owner, .. } => {
                Self::Regular { bytes: text.into().into_bytes(), mode: *mode, owner: *owner }
            }
            Self::Absent | Self::Symlink { .. } => Self::config(text),
        }
    }

    /// The content, if this is a file.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Regular { bytes, .. } => Some(bytes),
            Self::Absent | Self::Symlink { .. } => None,
        }
    }

    /// The content as text, if this is a file of valid UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

/// One of the five things that can be done to a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// Give a file this content. `before` is an optimistic lock: if the path no longer holds
    /// that, the apply refuses.
    WriteFile {
        /// Which file.
        path: TargetPath,
        /// What must stand there now.
        before: FileState,
        /// What stands there afterwards.
        after: FileState,
    },
    /// Take a file away.
    RemoveFile {
        /// Which file.
        path: TargetPath,
        /// What must stand there now.
        before: FileState,
    },
    /// Put a symlink at a path.
    MakeSymlink {
        /// Where the link goes.
        path: TargetPath,
        /// What must stand there now.
        before: FileState,
        /// Where it points to.
        points_to: String,
    },
    /// Keep a copy of derived output as it is now (a kernel, an initramfs), before anything is built
    /// anew. What the copy holds later on is nobody's edit.
    CopyFile {
        /// What is copied.
        from: TargetPath,
        /// Where the copy goes: nothing may stand there.
        path: TargetPath,
        /// Whether a copy of ours is there already.
        is_there: bool,
    },
    /// Make derived output anew (initramfs, grub.cfg) from what the other steps wrote.
    Rebuild {
        /// The program in the target and its arguments.
        argv: Vec<String>,
        /// What it writes, for the message; may be empty when only the program knows.
        outputs: Vec<TargetPath>,
        /// What is run instead when the files go back; empty where the same program makes it anew
        /// from them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        undo: Vec<String>,
    },
}

impl Action {
    /// The path that is changed; none for a rebuild.
    pub fn path(&self) -> Option<&TargetPath> {
        match self {
            Self::WriteFile { path, .. }
            | Self::RemoveFile { path, .. }
            | Self::MakeSymlink { path, .. }
            | Self::CopyFile { path, .. } => Some(path),
            Self::Rebuild { .. } => None,
        }
    }

    /// What must stand at the path before.
    pub fn before(&self) -> Option<&FileState> {
        match self {
            Self::WriteFile { before, .. }
            | Self::RemoveFile { before, .. }
            | Self::MakeSymlink { before, .. } => Some(before),
            Self::CopyFile { .. } => Some(&FileState::Absent),
            Self::Rebuild { .. } => None,
        }
    }

    /// What stands at the path afterwards; none where only whoever carries it out can know.
    pub fn after(&self) -> Option<FileState> {
        match self {
            Self::WriteFile { after, .. } => Some(after.clone()),
            Self::RemoveFile { .. } => Some(FileState::Absent),
            Self::MakeSymlink { points_to, .. } => Some(FileState::Symlink { points_to: points_to.clone() }),
            Self::CopyFile { .. } | Self::Rebuild { .. } => None,
        }
    }
}

/// One change, with what a person needs to judge it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// A stable name, unique in its plan: `vfio-conf`, `grub-default`, `initramfs`.
    pub id: String,
    /// What is done, in a few words.
    pub title: String,
    /// Why, in a sentence.
    pub because: String,
    /// The change itself.
    pub action: Action,
}

impl Step {
    /// The step that gives a file this content; what stands there now becomes the lock.
    pub fn write(
        id: &str,
        title: &str,
        because: &str,
        path: TargetPath,
        before: &FileState,
        after: String,
    ) -> Self {
        let action = Action::WriteFile { path, before: before.clone(), after: before.with_text(after) };
        Self { id: id.to_owned(), title: title.to_owned(), because: because.to_owned(), action }
    }

    /// Whether it would change nothing: its file already is what it should be.
    pub fn is_settled(&self) -> bool {
        matches!(self.action, Action::CopyFile { is_there: true, .. })
            || self.action.after().is_some_and(|after| self.action.before() == Some(&after))
    }
}

/// How every file that is written whole begins.
pub const HEAD_MARK: &str = "# Written by neuron-provisioner:";

/// The comment lines at the head of every file that is written whole.
pub fn file_head(purpose: &str) -> String {
    format!(
        "{HEAD_MARK} {purpose}\n\
         # Do not edit: change /etc/neuron/provisioner.toml and run `neuron-provisioner apply`.\n\
         # Undo: `neuron-provisioner revert`.\n"
    )
}

/// Bytes in JSON: a string where they are text, else a list of numbers, so that a saved plan can
/// be read by a person and still holds any file.
mod bytes_as_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Wire<'a> {
        Text(std::borrow::Cow<'a, str>),
        Bytes(std::borrow::Cow<'a, [u8]>),
    }

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Wire::Text(text.into()).serialize(serializer),
            Err(_) => Wire::Bytes(bytes.into()).serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        Ok(match Wire::deserialize(deserializer)? {
            Wire::Text(text) => text.into_owned().into_bytes(),
            Wire::Bytes(bytes) => bytes.into_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive_json() {
        for bytes in [b"quiet\n".to_vec(), vec![0xff, 0x00, 0x41], Vec::new()] {
            let state = FileState::Regular { bytes, mode: 0o600, owner: Owner { uid: 0, gid: 5 } };
            let json = serde_json::to_string(&state).unwrap();
            assert_eq!(serde_json::from_str::<FileState>(&json).unwrap(), state);
        }
    }
}
