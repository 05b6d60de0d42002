//! What literally stands at a path, with everything that has to come back on a revert.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::step::{FileState, Owner};
use crate::text::digest;

/// The most that the kernel returns for a list of names or for one value (`limits.h`: 65536).
const XATTR_MAX: usize = 65536;

/// Extended attributes: the name, and the value as hexadecimal digits.
pub(super) type Xattrs = BTreeMap<String, String>;

/// What stands at a path whose last component is not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Absent,
    Regular { bytes: Vec<u8>, mode: u32, owner: Owner, xattrs: Xattrs },
    Symlink { points_to: String, owner: Owner },
}

/// [`Content`] with a digest instead of the bytes: what the journal holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Fingerprint {
    Absent,
    Regular {
        sha256: String,
        mode: u32,
        owner: Owner,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        xattrs: Xattrs,
    },
    Symlink {
        points_to: String,
        owner: Owner,
    },
}

/// What a comparison can rely on: FAT keeps no modes or owners, and an ordinary user cannot give
/// a file to somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keeps {
    pub(super) mode: bool,
    pub(super) owner: bool,
}

impl Content {
    pub(super) fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Absent => Fingerprint::Absent,
            Self::Regular { bytes, mode, owner, xattrs } => Fingerprint::Regular {
                sha256: sha256(bytes),
                mode: *mode,
                owner: *owner,
                xattrs: xattrs.clone(),
            },
            Self::Symlink { points_to, owner } => {
                Fingerprint::Symlink { points_to: points_to.clone(), owner: *owner }
            }
        }
    }

    /// As a plan sees it.
    pub(super) fn state(&self) -> FileState {
        match self {
            Self::Absent => FileState::Absent,
            Self::Regular { bytes, mode, owner, .. } => {
                FileState::Regular { bytes: bytes.clone(), mode: *mode, owner: *owner }
            }
            Self::Symlink { points_to, .. } => FileState::Symlink { points_to: points_to.clone() },
        }
    }

    /// What a plan wants there, keeping the extended attributes of what it replaces.
    pub(super) fn wanted(state: &FileState, replaces: &Self) -> Self {
        match state {
            FileState::Absent => Self::Absent,
            FileState::Regular { bytes, mode, owner } => Self::Regular {
                bytes: bytes.clone(),
                mode: *mode,
                owner: *owner,
                xattrs: match replaces {
                    Self::Regular { xattrs, .. } => xattrs.clone(),
                    Self::Absent | Self::Symlink { .. } => Xattrs::new(),
                },
            },
            FileState::Symlink { points_to } => {
                Self::Symlink { points_to: points_to.clone(), owner: Owner::default() }
            }
        }
    }

    pub(super) fn owner(&self) -> Option<Owner> {
        match self {
            Self::Absent => None,
            Self::Regular { owner, .. } | Self::Symlink { owner, .. } => Some(*owner),
        }
    }

    pub(super) fn owner_mut(&mut self) -> Option<&mut Owner> {
        match self {
            Self::Absent => None,
            Self::Regular { owner, .. } | Self::Symlink { owner, .. } => Some(owner),
        }
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Absent => 0,
            Self::Regular { bytes, .. } => bytes.len() as u64,
            Self::Symlink { points_to, .. } => points_to.len() as u64,
        }
    }
}

impl Fingerprint {
    pub(super) fn sha256(&self) -> Option<&str> {
        match self {
            Self::Regular { sha256, .. } => Some(sha256),
            Self::Absent | Self::Symlink { .. } => None,
        }
    }

    /// Whether both are one file as far as this place can tell. Extended attributes are not
    /// asked: a relabelled file system is not somebody's edit.
    pub(super) fn same(&self, other: &Self, keeps: Keeps) -> bool {
        match (self, other) {
            (Self::Absent, Self::Absent) => true,
            (
                Self::Regular { sha256: left, mode: left_mode, owner: left_owner, .. },
                Self::Regular { sha256: right, mode: right_mode, owner: right_owner, .. },
            ) => {
                left == right
                    && (!keeps.mode || left_mode == right_mode)
                    && (!keeps.owner || left_owner == right_owner)
            }
            (Self::Symlink { points_to: left, .. }, Self::Symlink { points_to: right, .. }) => left == right,
            _ => false,
        }
    }
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    digest::sha256(&[bytes])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// The extended attributes of an open file; none where the file system has none.
pub(super) fn xattrs_of(file: impl AsFd) -> io::Result<Xattrs> {
    let file = file.as_fd();
    let mut names = vec![0; XATTR_MAX];
    let length = match flistxattr(file, &mut names[..]) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => return Ok(Xattrs::new()),
        Err(errno) => return Err(errno.into()),
    };
    let mut xattrs = Xattrs::new();
    let mut value = vec![0; XATTR_MAX];
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = std::str::from_utf8(name).map_err(io::Error::other)?;
        match fgetxattr(file, name, &mut value[..]) {
            Ok(length) => {
                xattrs.insert(name.to_owned(), hex(&value[..length]));
            }
            // Listed but gone meanwhile, or not for us to see (`security.*` of some modules).
            Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(xattrs)
}

/// Gives an open file exactly these extended attributes.
pub(super) fn set_xattrs(file: impl AsFd, wanted: &Xattrs) -> io::Result<()> {
    let file = file.as_fd();
    let present = xattrs_of(file)?;
    for (name, value) in wanted {
        if present.get(name) != Some(value) {
            let value = unhex(value).ok_or_else(|| io::Error::other("a value that is not hexadecimal"))?;
            fsetxattr(file, name, &value, XattrFlags::empty())?;
        }
    }
    for name in present.keys().filter(|name| !wanted.contains_key(*name)) {
        // A label that the security module put on the new file is its own business.
        if !name.starts_with("security.") {
            fremovexattr(file, name)?;
        }
    }
    Ok(())
}
