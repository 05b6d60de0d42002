//! Replacing one file so that a crash at any moment leaves the old one or the new one.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, geteuid, symlinkat, syncfs, unlinkat};

use super::content::{Content, Xattrs, set_xattrs};
use super::place::{Place, Tree};
use crate::id::TargetPath;
use crate::step::Owner;

/// Asked before and after everything that changes something on disk.
///
/// Tests fail or stop the work here; a front end can end it at a safe moment: an error is handled
/// as if the disk had returned it, so everything is put back.
pub trait Interrupt {
    /// `point` is `before` or `after` and what is done, for people only.
    fn at(&mut self, point: &str) -> io::Result<()>;

    /// From now on everything is put back. Whoever wanted an end gets it, and must not ask for it
    /// again on the way: that would leave half of it.
    fn putting_back(&mut self) {}
}

/// Never interrupts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Uninterrupted;

impl Interrupt for Uninterrupted {
    fn at(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }
}

/// Whoever changes something on disk goes through this hand.
pub(super) struct Hand<'a>(pub(super) Box<dyn Interrupt + 'a>);

impl Hand<'_> {
    pub(super) fn perform<T, E: Into<io::Error>>(
        &mut self,
        what: &str,
        act: impl FnOnce() -> Result<T, E>,
    ) -> io::Result<T> {
        self.0.at(&format!("before {what}"))?;
        let value = act().map_err(Into::into)?;
        self.0.at(&format!("after {what}"))?;
        Ok(value)
    }

    /// Brings the entry at `place` from whatever it is to `content`, by way of `temporary`, a
    /// name beside it that is free.
    pub(super) fn put(&mut self, place: &Place, content: &Content, temporary: &str) -> io::Result<()> {
        match content {
            Content::Absent => self.remove(place),
            Content::Symlink { points_to, owner } => self.put_symlink(place, points_to, *owner, temporary),
            Content::Regular { bytes, mode, owner, xattrs } => {
                let meta = Meta { mode: *mode, owner: *owner, xattrs };
                self.put_file(place, bytes, &meta, temporary)
            }
        }
    }

    fn put_file(&mut self, place: &Place, bytes: &[u8], meta: &Meta<'_>, temporary: &str) -> io::Result<()> {
        let name = &place.name;
        // FAT: as long as the old file is open the kernel keeps its clusters; without this a
        // crash between rename and the write-back of the table leaves the name unreadable.
        let old = held(place, OFlag::O_NONBLOCK)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let made = self.perform(&format!("create {name}"), || {
            openat(&place.directory, temporary, flags, Mode::from_bits_truncate(0o600))
        })?;
        let mut file = File::from(made);
        self.perform(&format!("write {name}"), || file.write_all(bytes))?;
        if !place.fat {
            self.perform(&format!("set owner and mode of {name}"), || meta.give_to(&file))?;
        }
        self.perform(&format!("fsync {name}"), || nix::unistd::fsync(&file))?;
        self.rename(place, temporary)?;
        if place.fat {
            if old.is_some() {
                // The temporary name goes from the disk before the other one leads to the same clusters: of two
                // such names `fsck.fat -a` empties the second. A name that is new would be empty meanwhile.
                self.sync_directory(&place.directory, name)?;
            }
            self.perform(&format!("fsync {name} again"), || nix::unistd::fsync(&file))?;
            self.perform(&format!("syncfs of {name}"), || syncfs(&file))?;
            self.flush_disk(&place.directory, name)?;
        } else {
            self.sync_directory(&place.directory, name)?;
        }
        drop(old);
        Ok(())
    }

    fn put_symlink(
        &mut self,
        place: &Place,
        points_to: &str,
        owner: Owner,
        temporary: &str,
    ) -> io::Result<()> {
        let name = &place.name;
        self.perform(&format!("link {name}"), || symlinkat(points_to, &place.directory, temporary))?;
        if geteuid().is_root() {
            let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
            self.perform(&format!("set owner of {name}"), || {
                fchownat(&place.directory, temporary, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)
            })?;
        }
        self.rename(place, temporary)?;
        self.sync_directory(&place.directory, name)
    }

    fn rename(&mut self, place: &Place, temporary: &str) -> io::Result<()> {
        self.perform(&format!("rename {}", place.name), || {
            renameat(&place.directory, temporary, &place.directory, place.name.as_str())
        })
    }

    /// Takes an entry away; one that is not there is no error.
    pub(super) fn remove(&mut self, place: &Place) -> io::Result<()> {
        let name = &place.name;
        // FAT, as above: a name that outlives its clusters leads to nothing.
        let old = held(place, OFlag::O_NONBLOCK)?;
        let removed = self.perform(&format!("remove {name}"), || {
            unless_missing(unlinkat(&place.directory, name.as_str(), UnlinkatFlags::NoRemoveDir))
        })?;
        if removed {
            self.sync_directory(&place.directory, name)?;
            drop(old);
            if place.fat {
                self.perform(&format!("syncfs of {name}"), || syncfs(&place.directory))?;
                self.flush_disk(&place.directory, name)?;
            }
        }
        Ok(())
    }

    /// Takes away what nobody needs: a power cut that brings it back does no harm, so nothing is flushed.
    pub(super) fn discard(&mut self, place: &Place) -> io::Result<()> {
        self.perform(&format!("discard {}", place.name), || {
            unless_missing(unlinkat(&place.directory, place.name.as_str(), UnlinkatFlags::NoRemoveDir))
        })?;
        Ok(())
    }

    pub(super) fn sync_directory(&mut self, directory: &OwnedFd, name: &str) -> io::Result<()> {
        self.perform(&format!("fsync directory of {name}"), || nix::unistd::fsync(directory))
    }

    /// What `syncfs` wrote to a FAT may still be in the cache of the disk: the kernel's `fat_sops` has no
    /// `sync_fs` that would flush it. `fsync` ends with that, whatever it is asked about.
    fn flush_disk(&mut self, directory: &OwnedFd, name: &str) -> io::Result<()> {
        self.perform(&format!("flush the disk of {name}"), || nix::unistd::fsync(directory))
    }

    /// Puts everything that was written to a file system on disk.
    pub(super) fn settle(&mut self, directory: &OwnedFd, is_fat: bool, point: &str) -> io::Result<()> {
        self.perform(&format!("syncfs of {point}"), || syncfs(directory))?;
        if is_fat { self.flush_disk(directory, point) } else { Ok(()) }
    }

    /// Makes one directory with this mode (whatever the umask says); one that is there stays.
    pub(super) fn make_directory(&mut self, place: &Place, permissions: u32) -> io::Result<()> {
        let name = place.name.as_str();
        let permissions = Mode::from_bits_truncate(permissions);
        let is_new = self.perform(&format!("make directory {name}"), || {
            match mkdirat(&place.directory, name, permissions) {
                Ok(()) => Ok(true),
                Err(Errno::EEXIST) => Ok(false),
                Err(errno) => Err(errno),
            }
        })?;
        if is_new {
            if !place.fat {
                let opened = place.open_entry(OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
                self.perform(&format!("set mode of {name}"), || fchmod(&opened, permissions))?;
            }
            self.sync_directory(&place.directory, name)?;
        }
        Ok(())
    }

    /// Makes the directories that a file needs.
    pub(super) fn make_directories(&mut self, tree: &Tree<'_>, missing: &[TargetPath]) -> io::Result<()> {
        for path in missing {
            let place = tree.place(path).map_err(io::Error::other)?;
            let place = place.ok_or_else(|| io::Error::other(format!("{} is gone", path.parent())))?;
            self.make_directory(&place, 0o755)?;
        }
        Ok(())
    }

    /// Takes directories away, innermost (last) first; one that is not empty or not there stays.
    pub(super) fn remove_directories(&mut self, tree: &Tree<'_>, made: &[TargetPath]) -> io::Result<()> {
        for path in made.iter().rev() {
            let Some(place) = tree.place(path).map_err(io::Error::other)? else { continue };
            let name = place.name.as_str();
            let old = held(&place, OFlag::O_DIRECTORY)?;
            let removed = self.perform(&format!("remove directory {name}"), || {
                match unlinkat(&place.directory, name, UnlinkatFlags::RemoveDir) {
                    Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => Ok(false),
                    other => unless_missing(other),
                }
            })?;
            if removed {
                self.sync_directory(&place.directory, name)?;
            }
            drop(old);
        }
        Ok(())
    }
}

/// Everything about a file but its bytes.
struct Meta<'a> {
    mode: u32,
    owner: Owner,
    xattrs: &'a Xattrs,
}

impl Meta<'_> {
    /// In this order: a change of owner clears capabilities and set-id bits, and an access list
    /// changes the mode.
    fn give_to(&self, file: &File) -> io::Result<()> {
        let stat = fstat(file)?;
        if (stat.st_uid, stat.st_gid) != (self.owner.uid, self.owner.gid) {
            fchown(file, Some(Uid::from_raw(self.owner.uid)), Some(Gid::from_raw(self.owner.gid)))?;
        }
        set_xattrs(file.as_fd(), self.xattrs)?;
        Ok(fchmod(file, Mode::from_bits_truncate(self.mode))?)
    }
}

/// Holds what stands on a FAT, so that its clusters stay its own. Only what is not there is a name that is new:
/// what is there and cannot be held is left alone, since no order of writing would be safe.
fn held(place: &Place, flags: OFlag) -> io::Result<Option<OwnedFd>> {
    if !place.fat {
        return Ok(None);
    }
    match place.open_entry(OFlag::O_RDONLY | flags) {
        Ok(opened) => Ok(Some(opened)),
        // ENOTDIR: no directory stands where one is asked for; ELOOP: a link, which has no clusters.
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn unless_missing(result: Result<(), Errno>) -> Result<bool, Errno> {
    match result {
        Ok(()) => Ok(true),
        Err(Errno::ENOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use super::*;

    fn place(folder: &Path, fat: bool) -> Place {
        let directory = File::open(folder).unwrap().into();
        Place { directory, name: "entry.conf".to_owned(), fat, any_mount: true }
    }

    fn content() -> Content {
        let owner = Owner { uid: geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() };
        Content::Regular { bytes: b"new\n".to_vec(), mode: 0o644, owner, xattrs: Xattrs::default() }
    }

    #[test]
    fn what_stands_on_a_fat_and_cannot_be_held_is_left_alone() {
        for wanted in [content(), Content::Absent] {
            for (fat, changes) in [(true, false), (false, true)] {
                let folder = tempfile::tempdir().unwrap();
                // Nobody can open a socket: ENXIO, and it is there.
                let path = folder.path().join("entry.conf");
                let _socket = UnixListener::bind(&path).unwrap();
                let socket = path.symlink_metadata().unwrap().file_type();
                let mut hand = Hand(Box::new(Uninterrupted));
                let done = hand.put(&place(folder.path(), fat), &wanted, ".temporary");
                assert_eq!(done.is_ok(), changes, "fat={fat}: {done:?}");
                let is_left = path.symlink_metadata().is_ok_and(|found| found.file_type() == socket);
                assert_eq!(is_left, !changes, "fat={fat}");
                assert!(!folder.path().join(".temporary").exists());
            }
        }
    }

    #[test]
    fn what_is_not_there_is_a_new_name_on_a_fat() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path(), true);
        let mut hand = Hand(Box::new(Uninterrupted));
        hand.put(&place, &Content::Absent, ".temporary").unwrap();
        hand.put(&place, &content(), ".temporary").unwrap();
        assert_eq!(std::fs::read(folder.path().join("entry.conf")).unwrap(), b"new\n");
    }
}
