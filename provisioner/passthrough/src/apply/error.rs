//! What can go wrong when a target is written, and how it ended.

use std::io;

use super::StepOutcome;
use crate::id::TargetPath;
use crate::root::ReadError;

/// How an error left the target; one place of the program maps it to an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// It did not work; the target is as it was (exit 1).
    Failed,
    /// It would have been unsafe; nothing was written (exit 3).
    Refused,
    /// The target is no longer what the plan, or the last apply, saw (exit 5).
    Changed,
    /// It did not work, and something could not be put back (exit 6).
    NotPutBack,
}

/// Why a target was not written, or not reverted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// A second instance is at work on the same target.
    #[error("cannot lock {path}: another neuron-provisioner is writing to this target")]
    Busy {
        /// The state directory.
        path: String,
    },
    /// A file is not what the plan saw.
    #[error("cannot write {path}: it changed since it was planned")]
    Changed {
        /// Which file.
        path: TargetPath,
    },
    /// Writing there would be unsafe.
    #[error("cannot write {path}: {why}")]
    Refused {
        /// The path, as the target sees it.
        path: String,
        /// What was found there.
        why: String,
    },
    /// The directory cannot be written to: a read-only file system or missing rights.
    #[error("cannot write {path}")]
    NotWritable {
        /// The file that was to be written.
        path: TargetPath,
        /// Whether it is on FAT.
        fat: bool,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file system that holds the file is too full.
    #[error("cannot write {path}: {needed} bytes are needed there and {available} are free")]
    NoSpace {
        /// The first file that is to be written on that file system.
        path: TargetPath,
        /// Bytes needed for all of them.
        needed: u64,
        /// Bytes free for us.
        available: u64,
    },
    /// The kernel refused something before the target was touched.
    #[error("cannot {attempt} {path}")]
    Io {
        /// The verb.
        attempt: &'static str,
        /// The path, as the target sees it.
        path: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A program that makes derived output failed.
    #[error("cannot rebuild: {why}")]
    Rebuild {
        /// The program, how it ended and what it said.
        why: String,
    },
    /// A path could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The journal is not one that this program wrote.
    #[error("cannot read line {line} of /var/lib/neuron-provisioner/journal.jsonl: {why}")]
    Journal {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// Saved bytes are gone or no longer what they were.
    #[error("cannot restore from /var/lib/neuron-provisioner/saved/{sha256}: {why}")]
    SavedLost {
        /// Their name.
        sha256: String,
        /// What is wrong with them.
        why: String,
    },
    /// A step failed in the middle.
    #[error(
        "step `{}` failed: {}{}",
        .0.step, .0.why,
        if .0.put_back { "; everything was put back" } else { "; not everything could be put back" }
    )]
    Failed(Box<Failure>),
}

/// Said of a FAT that takes nothing. The kernel makes it so when it meets what a power cut left
/// (`fat_fs_error` in `fs/fat/misc.c`), and remounting alone does not help for long.
pub(super) const DAMAGED_FAT: &str = "the kernel makes a damaged FAT read-only: unmount it, run `fsck.fat -a` on its \
                                      partition, mount it again, and run this again";

fn is_read_only(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ReadOnlyFilesystem
}

/// A step that failed after others had been done, and what became of those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The step's id.
    pub step: String,
    /// What went wrong.
    pub why: String,
    /// Whether everything is as it was before.
    pub put_back: bool,
    /// What a person has to do when it is not, one sentence each.
    pub remaining: Vec<String>,
    /// How every step ended.
    pub steps: Vec<StepOutcome>,
}

impl ApplyError {
    /// Whether somebody with more rights would get further.
    pub(crate) fn is_for_lack_of_rights(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }

    /// How it left the target.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Changed { .. } => ErrorKind::Changed,
            Self::Refused { .. } | Self::Journal { .. } | Self::SavedLost { .. } => ErrorKind::Refused,
            Self::Failed(failure) if !failure.put_back => ErrorKind::NotPutBack,
            Self::Busy { .. }
            | Self::NotWritable { .. }
            | Self::NoSpace { .. }
            | Self::Io { .. }
            | Self::Rebuild { .. }
            | Self::Read(_)
            | Self::Failed(_) => ErrorKind::Failed,
        }
    }

    /// What to do about it, in a sentence.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Busy { .. } => "wait until the other one is done, then run this again".to_owned(),
            Self::Changed { .. } => "plan again, look at the differences, and apply the new plan".to_owned(),
            Self::Refused { .. } => "make that an ordinary file, or nothing, on a file system that the target's \
                                     /etc/fstab lists, then plan again"
                .to_owned(),
            Self::NotWritable { fat: true, source, .. } if is_read_only(source) => {
                format!("{DAMAGED_FAT}; or it was mounted so: mount it writable")
            }
            Self::NotWritable { .. } => "mount the target writable and run this as root".to_owned(),
            Self::NoSpace { .. } => "make room on that file system and run this again".to_owned(),
            Self::Io { source, .. } | Self::Read(ReadError { source, .. })
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                "run this as root".to_owned()
            }
            Self::Journal { .. } => {
                "the journal was damaged or written by a newer version; keep a copy of it, then repair that line"
                    .to_owned()
            }
            Self::SavedLost { .. } => "restore that file by hand from a backup, then revert again".to_owned(),
            Self::Failed(failure) if failure.put_back => "remove the cause and run this again".to_owned(),
            Self::Failed(failure) => failure.remaining.join("; "),
            Self::Io { .. } | Self::Rebuild { .. } | Self::Read(_) => return None,
        })
    }

    /// Whether the file system takes nothing.
    pub(super) fn is_for_read_only(&self) -> bool {
        matches!(self, Self::Io { source, .. } | Self::NotWritable { source, .. } if is_read_only(source))
    }

    pub(super) fn io(attempt: &'static str, path: impl Into<String>) -> impl FnOnce(io::Error) -> ApplyError {
        let path = path.into();
        move |source| Self::Io { attempt, path, source }
    }

    pub(super) fn refused(path: &(impl ToString + ?Sized), why: impl Into<String>) -> Self {
        Self::Refused { path: path.to_string(), why: why.into() }
    }

    /// The error and its causes in one line, for a report that holds no error values.
    pub fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}
