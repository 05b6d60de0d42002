//! Saved bytes: what files held, by digest, kept until a revert can no longer be asked for.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::UnlinkatFlags;

use super::content::{Content, Fingerprint, Xattrs, sha256};
use super::error::ApplyError;
use super::place::Place;
use super::write::Hand;
use crate::step::Owner;

/// A name of its own for what is being written: no digest has it.
pub(super) const UNFINISHED: &str = ".unfinished";

/// The directory of saved bytes; `place` is the entry `saved` in the state directory.
pub(super) struct Saved<'a> {
    pub(super) place: &'a Place,
}

impl Saved<'_> {
    fn entry(&self, name: &str) -> Result<Place, Errno> {
        let directory = self.place.open_entry(OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        let Place { fat, any_mount, .. } = *self.place;
        Ok(Place { directory, name: name.to_owned(), fat, any_mount })
    }

    /// Keeps the bytes of a file; nothing for what has none.
    pub(super) fn keep(&self, hand: &mut Hand<'_>, content: &Content) -> io::Result<()> {
        let Content::Regular { bytes, .. } = content else { return Ok(()) };
        hand.make_directory(self.place, 0o700)?;
        let digest = sha256(bytes);
        if self.bytes(&digest).is_ok() {
            return Ok(());
        }
        hand.discard(&self.entry(UNFINISHED)?)?;
        let owner = Owner { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() };
        let content = Content::Regular { bytes: bytes.clone(), mode: 0o600, owner, xattrs: Xattrs::new() };
        hand.put(&self.entry(&digest)?, &content, UNFINISHED)
    }

    /// The bytes with this digest.
    pub(super) fn bytes(&self, digest: &str) -> Result<Vec<u8>, ApplyError> {
        let lost = |why: String| ApplyError::SavedLost { sha256: digest.to_owned(), why };
        if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(lost("that is not a digest".to_owned()));
        }
        let read = || -> io::Result<Vec<u8>> {
            let opened = self.entry(digest)?.open_entry(OFlag::O_RDONLY | OFlag::O_NONBLOCK)?;
            let mut bytes = Vec::new();
            File::from(opened).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                ApplyError::io("read", format!("/var/lib/neuron-provisioner/saved/{digest}"))(error)
            }
            _ => lost(error.to_string()),
        })?;
        if sha256(&bytes) == digest { Ok(bytes) } else { Err(lost("its bytes were changed".to_owned())) }
    }

    /// The content that a fingerprint was taken of.
    pub(super) fn content(&self, of: &Fingerprint) -> Result<Content, ApplyError> {
        Ok(match of {
            Fingerprint::Absent => Content::Absent,
            Fingerprint::Symlink { points_to, owner } => {
                Content::Symlink { points_to: points_to.clone(), owner: *owner }
            }
            Fingerprint::Regular { sha256, mode, owner, xattrs } => Content::Regular {
                bytes: self.bytes(sha256)?,
                mode: *mode,
                owner: *owner,
                xattrs: xattrs.clone(),
            },
        })
    }

    /// Drops everything but these digests, and the directory itself with the last of them.
    pub(super) fn retain(&self, hand: &mut Hand<'_>, digests: &BTreeSet<String>) -> io::Result<()> {
        let directory = match self.place.open_entry(OFlag::O_RDONLY | OFlag::O_DIRECTORY) {
            Ok(directory) => directory,
            Err(Errno::ENOENT) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        };
        let mut names = Vec::new();
        for entry in nix::dir::Dir::from_fd(directory)?.iter() {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        for name in names.into_iter().filter(|name| name != "." && name != ".." && !digests.contains(name)) {
            hand.discard(&self.entry(&name)?)?;
        }
        if digests.is_empty() {
            hand.perform("remove the saved bytes", || {
                nix::unistd::unlinkat(
                    &self.place.directory,
                    self.place.name.as_str(),
                    UnlinkatFlags::RemoveDir,
                )
            })?;
        }
        Ok(())
    }
}
