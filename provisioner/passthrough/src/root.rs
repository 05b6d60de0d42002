//! A root: a directory that stands for `/`, and that no path can leave.
//!
//! Every path is resolved by the kernel with `openat2(RESOLVE_IN_ROOT)`, so an absolute symlink or
//! a `..` inside the root ends inside the root, as it would for a process that was chrooted there.
//! A machine root can also be a *capture*: what was read on another machine, in one file.
//! Reading is here; writing is the business of [`crate::apply`].
#![allow(clippy::disallowed_types, reason = "this is where the file system is read")]

mod capture;

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::sys::statvfs::fstatvfs;
use nix::unistd::{Whence, lseek};

pub use capture::{Capture, CaptureError, Entry};

use crate::step::{FileState, Owner};

/// How much of two files is compared at a time.
const BLOCK: usize = 1 << 16;

/// Where the kernel keeps who may use a file beside its owner and group. Source: acl(5).
const ACL: &str = "system.posix_acl_access";

/// A path that could not be read though it may be there.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}")]
pub struct ReadError {
    /// The path, as the root's own process would see it.
    pub path: String,
    /// What the kernel said.
    pub source: io::Error,
}

/// A directory (or a capture of one) that stands for `/`.
#[derive(Debug)]
pub struct Root {
    place: Place,
    /// What was read so far, when somebody wants to keep it.
    recording: Option<RefCell<Capture>>,
}

#[derive(Debug)]
enum Place {
    Directory { fd: OwnedFd, path: PathBuf },
    Capture(Capture),
}

impl Root {
    /// Opens a directory as a root.
    pub fn directory(path: &Path) -> Result<Self, ReadError> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd = nix::fcntl::open(path, flags, Mode::empty())
            .map_err(|errno| ReadError { path: path.display().to_string(), source: errno.into() })?;
        Ok(Self { place: Place::Directory { fd, path: path.to_owned() }, recording: None })
    }

    /// A root that answers from a capture. A path that the capture does not hold is an error,
    /// not an absent file: nobody looked there.
    pub fn capture(capture: Capture) -> Self {
        Self { place: Place::Capture(capture), recording: None }
    }

    /// The same root, remembering everything that is read from now on.
    #[must_use]
    pub fn recording(mut self) -> Self {
        self.recording = Some(RefCell::default());
        self
    }

    /// What was read since [`Self::recording`].
    pub fn recorded(&self) -> Option<Capture> {
        self.recording.as_ref().map(|recording| recording.borrow().clone())
    }

    /// The directory's descriptor, to resolve paths from; none for a capture.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.place {
            Place::Directory { fd, .. } => Some(fd.as_fd()),
            Place::Capture(_) => None,
        }
    }

    /// The directory, for messages and for `chroot`; none for a capture.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Directory { path, .. } => Some(path),
            Place::Capture(_) => None,
        }
    }

    /// The bytes of a file; `None` when there is none.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ReadError> {
        self.look(
            path,
            |bytes: &Vec<u8>| Entry::file(bytes),
            Entry::into_file,
            |fd| contents(open_in(fd, path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?, u64::MAX),
        )
    }

    /// The first `limit` bytes of a file as text; `None` when there is none.
    pub fn read_head(&self, path: &str, limit: u64) -> Result<Option<String>, ReadError> {
        let head = self.look(
            path,
            |bytes: &Vec<u8>| Entry::file(bytes),
            Entry::into_file,
            |fd| contents(open_in(fd, path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?, limit),
        )?;
        Ok(head.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The first `limit` bytes of a file; `None` when there is none. A capture has no such files.
    pub fn read_start(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, ReadError> {
        self.read_part(path, 0, limit)
    }

    /// `limit` bytes of a file, or as many as there are, from an offset on; `None` when there is no file. A
    /// capture has no such files.
    pub fn read_part(&self, path: &str, from: u64, limit: u64) -> Result<Option<Vec<u8>>, ReadError> {
        self.of_file(path, |fd| {
            let opened = open_in(fd, path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?;
            // What begins behind the end of a file is empty.
            lseek(&opened, i64::try_from(from).unwrap_or(i64::MAX), Whence::SeekSet)?;
            contents(opened, limit)
        })
    }

    /// What changes when somebody writes a regular file: its size and when that was, to the
    /// nanosecond where the file system keeps it. `None` for anything else; a capture holds neither.
    pub fn stamp(&self, path: &str) -> Result<Option<String>, ReadError> {
        self.of_file(path, |fd| {
            let stat = fstat(open_in(fd, path, OFlag::O_PATH)?)?;
            Ok(format!("{} bytes, {}.{:09}", stat.st_size, stat.st_mtime, stat.st_mtime_nsec))
        })
    }

    /// Whether two regular files hold the same bytes; `false` where one of them is not there.
    pub fn same(&self, one: &str, other: &str) -> Result<bool, ReadError> {
        let opened = |path: &str| {
            let open = |fd: BorrowedFd<'_>| open_in(fd, path, OFlag::O_RDONLY | OFlag::O_NONBLOCK);
            Ok(self.of_file(path, open)?.map(|fd| BufReader::with_capacity(BLOCK, File::from(fd))))
        };
        let (Some(mut left), Some(mut right)) = (opened(one)?, opened(other)?) else { return Ok(false) };
        loop {
            let fail = |path: &str| {
                let path = absolute(path);
                move |source| ReadError { path, source }
            };
            let (here, there) = (left.fill_buf().map_err(fail(one))?, right.fill_buf().map_err(fail(other))?);
            let length = here.len().min(there.len());
            if here[..length] != there[..length] {
                return Ok(false);
            }
            if length == 0 {
                return Ok(here.len() == there.len());
            }
            left.consume(length);
            right.consume(length);
        }
    }

    /// Something about a regular file of a directory root.
    fn of_file<T>(
        &self,
        path: &str,
        ask: impl FnOnce(BorrowedFd<'_>) -> Result<T, Errno>,
    ) -> Result<Option<T>, ReadError> {
        if self.size(path)?.is_none() {
            return Ok(None);
        }
        let Some(fd) = self.descriptor() else { return Ok(None) };
        match ask(fd) {
            Ok(answer) => Ok(Some(answer)),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(errno) => Err(ReadError { path: absolute(path), source: errno.into() }),
        }
    }

    /// A file as text with its surrounding white space gone: one sysfs attribute.
    ///
    /// Bytes that are no UTF-8 become U+FFFD: they are shown, or compared and found wrong.
    pub fn attribute(&self, path: &str) -> Result<Option<String>, ReadError> {
        Ok(self.read(path)?.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()))
    }

    /// The names in a directory, sorted; `None` when there is no such directory.
    pub fn list(&self, path: &str) -> Result<Option<Vec<String>>, ReadError> {
        self.look(
            path,
            |names| Entry::Directory(names.clone()),
            Entry::into_directory,
            |fd| {
                let opened = open_in(fd, path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
                let mut directory = nix::dir::Dir::from_fd(opened)?;
                let mut names = Vec::new();
                for entry in directory.iter() {
                    let name = entry?.file_name().to_string_lossy().into_owned();
                    if name != "." && name != ".." {
                        names.push(name);
                    }
                }
                names.sort_unstable();
                Ok(names)
            },
        )
    }

    /// Where a symlink points to, unresolved; `None` when there is none.
    pub fn read_link(&self, path: &str) -> Result<Option<String>, ReadError> {
        self.look(
            path,
            |to| Entry::Link(to.clone()),
            Entry::into_link,
            |fd| {
                let link = open_in(fd, path, OFlag::O_PATH | OFlag::O_NOFOLLOW)?;
                let target = nix::fcntl::readlinkat(&link, "")?;
                Ok(target.to_string_lossy().into_owned())
            },
        )
    }

    /// Whether there is anything at the path (symlinks resolved).
    pub fn exists(&self, path: &str) -> Result<bool, ReadError> {
        let seen = self.look(
            path,
            |()| Entry::Present,
            |_| Some(()),
            |fd| {
                open_in(fd, path, OFlag::O_PATH)?;
                Ok(())
            },
        )?;
        Ok(seen.is_some())
    }

    /// The size of a regular file in bytes; `None` for anything else. A capture holds no sizes.
    pub fn size(&self, path: &str) -> Result<Option<u64>, ReadError> {
        let Some(fd) = self.descriptor() else { return Ok(None) };
        match open_in(fd, path, OFlag::O_PATH).and_then(fstat) {
            Ok(stat) if SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFREG => {
                Ok(u64::try_from(stat.st_size).ok())
            }
            Ok(_) | Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(errno) => Err(ReadError { path: absolute(path), source: errno.into() }),
        }
    }

    /// What stands at a path, symlinks resolved, without its content; `None` where there is nothing. A
    /// capture has none.
    pub fn node(&self, path: &str) -> Result<Option<Node>, ReadError> {
        let Some(fd) = self.descriptor() else { return Ok(None) };
        match open_in(fd, path, OFlag::O_PATH).and_then(fstat) {
            Ok(stat) => Ok(Some(Node::of(&stat))),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(errno) => Err(ReadError { path: absolute(path), source: errno.into() }),
        }
    }

    /// Whether what stands at a path, symlinks resolved, has an access control list: who may use it is then
    /// more than its mode tells. A capture has none.
    pub fn has_acl(&self, path: &str) -> Result<bool, ReadError> {
        let Some(fd) = self.descriptor() else { return Ok(false) };
        let wrong = |source: io::Error| ReadError { path: absolute(path), source };
        let found = match open_in(fd, path, OFlag::O_PATH) {
            Ok(found) => found,
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(false),
            Err(errno) => return Err(wrong(errno.into())),
        };
        // Of a descriptor that opens nothing, the kernel tells attributes by this name only.
        let name = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&found));
        match rustix::fs::getxattr(name, ACL, &mut [0_u8; 0][..]) {
            Ok(_) => Ok(true),
            Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP) => Ok(false),
            Err(errno) => Err(wrong(errno.into())),
        }
    }

    /// Whether somebody has a block device for himself: a file system, the kernel's swap, a program that
    /// wants no other beside it. `None` where there is no such device; a capture has none.
    pub fn is_held(&self, path: &str) -> Result<Option<bool>, ReadError> {
        let Some(fd) = self.descriptor() else { return Ok(None) };
        match open_in(fd, path, OFlag::O_RDONLY | OFlag::O_EXCL | OFlag::O_NONBLOCK) {
            // A drive without a medium holds nothing.
            Ok(_) | Err(Errno::ENOMEDIUM) => Ok(Some(false)),
            Err(Errno::EBUSY) => Ok(Some(true)),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(errno) => Err(ReadError { path: absolute(path), source: errno.into() }),
        }
    }

    /// The path without a symlink in it, as a process in the root would see it; `None` where nothing is
    /// there. A capture has none.
    pub fn resolved(&self, path: &str) -> Result<Option<String>, ReadError> {
        let Some(fd) = self.descriptor() else { return Ok(None) };
        let name = |fd: BorrowedFd<'_>| {
            nix::fcntl::readlink(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd)).as_str())
        };
        let found = open_in(fd, path, OFlag::O_PATH).and_then(|found| Ok((name(found.as_fd())?, name(fd)?)));
        match found {
            Ok((found, root)) => {
                let (found, root) = (found.to_string_lossy(), root.to_string_lossy());
                Ok(Some(absolute(found.strip_prefix(root.as_ref()).unwrap_or(&found))))
            }
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(errno) => Err(ReadError { path: absolute(path), source: errno.into() }),
        }
    }

    /// When a file was last written, in nanoseconds since 1970; `None` where there is none. A capture
    /// holds no times.
    pub fn modified(&self, path: &str) -> Result<Option<i128>, ReadError> {
        self.time(path, |stat| i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec))
    }

    /// When anything about a file was changed last, its place and owner included, in nanoseconds since
    /// 1970; unlike [`Self::modified`], no archive that it comes out of can set it. A capture has none.
    pub fn status_changed(&self, path: &str) -> Result<Option<i128>, ReadError> {
        let time =
            |stat: FileStat| i128::from(stat.st_ctime) * 1_000_000_000 + i128::from(stat.st_ctime_nsec);
        self.time(path, time)
    }

    fn time(&self, path: &str, of: impl Fn(FileStat) -> i128) -> Result<Option<i128>, ReadError> {
        let Some(fd) = self.descriptor() else { return Ok(None) };
        match open_in(fd, path, OFlag::O_PATH).and_then(fstat) {
            Ok(stat) => Ok(Some(of(stat))),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(errno) => Err(ReadError { path: absolute(path), source: errno.into() }),
        }
    }

    /// The bytes that are free in the file system of a directory; `None` where there is no such
    /// directory or the file system does not count. A capture has none.
    pub fn free(&self, path: &str) -> Result<Option<u64>, ReadError> {
        let Some(fd) = self.descriptor() else { return Ok(None) };
        match open_in(fd, path, OFlag::O_RDONLY | OFlag::O_DIRECTORY).and_then(|opened| fstatvfs(&opened)) {
            Ok(system) if system.blocks() > 0 => Ok(Some(system.blocks_available() * system.fragment_size())),
            Ok(_) | Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(errno) => Err(ReadError { path: absolute(path), source: errno.into() }),
        }
    }

    /// What stands at a path, symlinks resolved inside the root: what an apply would replace.
    ///
    /// A last symlink that dangles, or leads to something that is no file, reads as
    /// [`FileState::Symlink`]: a link to `/dev/null` is how configuration is masked. A directory,
    /// device or fifo is an error. A capture holds no modes or owners and cannot answer.
    pub fn file_state(&self, path: &str) -> Result<FileState, ReadError> {
        let fail = |source: io::Error| ReadError { path: absolute(path), source };
        let Some(fd) = self.descriptor() else {
            return Err(fail(io::Error::other("a capture holds no modes or owners")));
        };
        match regular_file(fd, path) {
            Ok(state) => Ok(state),
            Err(Errno::ENOENT) => Ok(match self.read_link(path)? {
                Some(points_to) => FileState::Symlink { points_to },
                None => FileState::Absent,
            }),
            Err(Errno::ENOTDIR) => Ok(FileState::Absent),
            Err(Errno::ENOTSUP) => match self.read_link(path)? {
                Some(points_to) => Ok(FileState::Symlink { points_to }),
                None => Err(fail(io::Error::other("it is not a regular file"))),
            },
            Err(errno) => Err(fail(errno.into())),
        }
    }

    /// One look at the root: from the directory or the capture, recorded if somebody asked.
    fn look<T>(
        &self,
        path: &str,
        record: impl FnOnce(&T) -> Entry,
        replay: impl FnOnce(Entry) -> Option<T>,
        read: impl FnOnce(BorrowedFd<'_>) -> Result<T, Errno>,
    ) -> Result<Option<T>, ReadError> {
        let fail = |source: io::Error| ReadError { path: absolute(path), source };
        let result = match &self.place {
            Place::Directory { fd, .. } => match read(fd.as_fd()) {
                Ok(value) => Ok(Some(value)),
                // EINVAL is what a symlink reader gets for something that is no link, ENODEV what
                // sysfs says of a device that was unplugged while its file was open.
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EINVAL | Errno::ENODEV) => Ok(None),
                Err(errno) => Err(fail(errno.into())),
            },
            Place::Capture(capture) => match capture.entry(path) {
                None => Err(fail(io::Error::other("this capture does not hold it"))),
                Some(Entry::Absent) => Ok(None),
                Some(Entry::Unreadable(why)) => Err(fail(io::Error::other(why.clone()))),
                Some(entry) => match replay(entry.clone()) {
                    Some(value) => Ok(Some(value)),
                    None => Err(fail(io::Error::other("this capture holds something of another kind there"))),
                },
            },
        };
        if let Some(recording) = &self.recording {
            let entry = match &result {
                Ok(Some(value)) => record(value),
                Ok(None) => Entry::Absent,
                Err(error) => Entry::Unreadable(error.source.to_string()),
            };
            recording.borrow_mut().insert(path, entry);
        }
        result
    }
}

/// What the kernel says of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// What kind of thing it is.
    pub kind: NodeKind,
    /// Its permission bits (`0o7777`).
    pub mode: u32,
    /// Its owner.
    pub owner: Owner,
    /// Its size in bytes.
    pub size: u64,
}

/// A kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// A regular file.
    File,
    /// A character device.
    Device,
    /// Anything else.
    Other,
}

impl Node {
    fn of(stat: &FileStat) -> Self {
        let kind = match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
            SFlag::S_IFREG => NodeKind::File,
            SFlag::S_IFCHR => NodeKind::Device,
            _ => NodeKind::Other,
        };
        Self {
            kind,
            mode: stat.st_mode & 0o7777,
            owner: Owner { uid: stat.st_uid, gid: stat.st_gid },
            size: u64::try_from(stat.st_size).unwrap_or_default(),
        }
    }
}

fn absolute(path: &str) -> String {
    format!("/{}", path.trim_start_matches('/'))
}

/// Opens a path as if `root` were `/`. `path` may begin with `/`.
pub(crate) fn open_in(root: BorrowedFd<'_>, path: &str, flags: OFlag) -> Result<OwnedFd, Errno> {
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_IN_ROOT);
    let path = path.trim_start_matches('/');
    let path = if path.is_empty() { "." } else { path };
    // EAGAIN: the tree was renamed under us while `..` was resolved; the kernel asks to try again.
    for _ in 0..128 {
        match nix::fcntl::openat2(root, path, how) {
            Err(Errno::EAGAIN) => {}
            other => return other,
        }
    }
    Err(Errno::EAGAIN)
}

/// Everything in a file, up to a limit. Sysfs attributes report a size that is not theirs, so it is not asked for.
fn contents(file: OwnedFd, limit: u64) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    match File::from(file).take(limit).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)),
    }
}

/// The state of a regular file; `ENOTSUP` for a directory, device, socket or fifo, which must not
/// be opened for reading (a fifo would block, a device may act).
fn regular_file(root: BorrowedFd<'_>, path: &str) -> Result<FileState, Errno> {
    let found = open_in(root, path, OFlag::O_PATH)?;
    let stat = fstat(&found)?;
    if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
        return Err(Errno::ENOTSUP);
    }
    let bytes = contents(open_in(root, path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?, u64::MAX)?;
    Ok(FileState::Regular {
        bytes,
        mode: stat.st_mode & 0o7777,
        owner: Owner { uid: stat.st_uid, gid: stat.st_gid },
    })
}
