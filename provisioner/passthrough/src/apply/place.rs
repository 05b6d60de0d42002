//! Where a path really is inside the target, and what may be written there.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::unistd::{AccessFlags, faccessat, geteuid};
use rustix::fs::{AtFlags as StatAt, StatxFlags, statx};

use super::content::{Content, Keeps, xattrs_of};
use super::error::ApplyError;
use crate::id::TargetPath;
use crate::root::Root;
use crate::step::Owner;

/// As many symlinks as the kernel follows in one path (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;
/// exFAT, which `statfs(2)` does not list (`EXFAT_SUPER_MAGIC` in the kernel's `magic.h`).
const EXFAT: u64 = 0x2011_bab0;

/// Why nothing is written there.
pub(super) const UNDECLARED: &str = "another file system is mounted there that the target does not declare";

/// Whether the last component of a path is followed when it is a symlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    Follow,
    Keep,
}

/// The target as somebody who writes sees it.
#[derive(Debug)]
pub(super) struct Tree<'r> {
    root: BorrowedFd<'r>,
    /// The mounts that may be written; none when any may.
    mounts: Option<Vec<u64>>,
    /// Where the target's own `/etc/fstab` mounts FAT: loaders read it.
    pub(super) fat_points: Vec<TargetPath>,
    pub(super) is_fat: fn(BorrowedFd<'_>) -> io::Result<bool>,
}

/// A directory that holds (or will hold) an entry.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) directory: OwnedFd,
    pub(super) name: String,
    pub(super) fat: bool,
    /// Whether what is mounted on the entry itself may be entered: in the running system only.
    pub(super) any_mount: bool,
}

/// What was found at a path.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) content: Content,
    /// Whether other names lead to the same file.
    pub(super) hard_linked: bool,
}

impl<'r> Tree<'r> {
    /// The tree under `root`. Mounts inside it may be written when the target's own `/etc/fstab`
    /// declares them or `declared` does; all of them when the root is the running system's.
    pub(super) fn new(root: &'r Root, declared: &[TargetPath]) -> Result<Self, ApplyError> {
        let Some(fd) = root.descriptor() else {
            return Err(ApplyError::refused("/", "a capture is no target"));
        };
        let fstab = root.read("/etc/fstab")?.unwrap_or_default();
        let fstab = String::from_utf8_lossy(&fstab);
        let fat = mount_points(&fstab).filter(|(_, kind)| ["vfat", "msdos", "exfat"].contains(kind));
        let fat_points = fat.map(|(point, _)| point).collect();
        let mut tree = Self { root: fd, mounts: None, fat_points, is_fat };
        if !is_running_system(fd).map_err(ApplyError::io("read", "/"))? {
            let mut points = declared.to_vec();
            points.extend(mount_points(&fstab).map(|(point, _)| point));
            let mut mounts = vec![mount_of(fd).map_err(ApplyError::io("read", "/"))?];
            for point in points {
                if let Ok(opened) = tree.open_point(point.as_str(), OFlag::O_PATH) {
                    mounts.push(mount_of(opened.as_fd()).map_err(ApplyError::io("read", point.as_str()))?);
                }
            }
            tree.mounts = Some(mounts);
        }
        Ok(tree)
    }

    /// Whether this is the `/` of the process itself, where whatever is mounted belongs to it.
    pub(super) fn is_running_system(&self) -> bool {
        self.mounts.is_none()
    }

    /// Opens a place as the target names it, whatever links lead there.
    pub(super) fn open_point(&self, point: &str, flags: OFlag) -> Result<OwnedFd, Errno> {
        crate::root::open_in(self.root, point, flags)
    }

    /// Where a path ends when its symlinks are followed inside the root. Parts that are not there
    /// stay as they are named; a last symlink that leads nowhere is its own end.
    pub(super) fn resolve(&self, path: &TargetPath, last: Last) -> Result<TargetPath, ApplyError> {
        let mut todo: Vec<String> = path.relative().rsplit('/').map(str::to_owned).collect();
        let mut done: Vec<String> = Vec::new();
        let mut own_end = None;
        let mut links = 0;
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    done.pop();
                    continue;
                }
                _ => done.push(part),
            }
            if todo.is_empty() && last == Last::Keep {
                break;
            }
            let Some(points_to) = self.link_at(&done.join("/"), path)? else { continue };
            links += 1;
            if links > MAX_LINKS {
                return Err(ApplyError::refused(path, "its symlinks lead round in a circle"));
            }
            if todo.is_empty() && own_end.is_none() {
                own_end = Some(done.join("/"));
            }
            done.pop();
            if points_to.starts_with('/') {
                done.clear();
            }
            todo.extend(points_to.rsplit('/').map(str::to_owned));
        }
        let mut end = done.join("/");
        if let Some(link) = own_end
            && matches!(self.open(&end, OFlag::O_PATH), Err(Errno::ENOENT | Errno::ENOTDIR))
        {
            end = link;
        }
        format!("/{end}").parse().map_err(|_| ApplyError::refused(path, "it leads to the root itself"))
    }

    /// Where the symlink at a resolved path points to; nothing where there is none.
    pub(super) fn link_at(&self, real: &str, asked: &TargetPath) -> Result<Option<String>, ApplyError> {
        let fail = |errno: Errno| ApplyError::io("resolve", asked.as_str())(errno.into());
        let opened = match self.open(real, OFlag::O_PATH | OFlag::O_NOFOLLOW) {
            Ok(opened) => opened,
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
            Err(errno) => return Err(fail(errno)),
        };
        if kind(&fstat(&opened).map_err(fail)?) != SFlag::S_IFLNK {
            return Ok(None);
        }
        let points_to = readlinkat(&opened, "").map_err(fail)?;
        points_to.into_string().map(Some).map_err(|_| ApplyError::refused(asked, "a symlink is not UTF-8"))
    }

    /// Opens a path that [`Self::resolve`] gave. A symlink that somebody put there since is an
    /// error, so nobody can lead us elsewhere between the look and the write.
    fn open(&self, real: &str, flags: OFlag) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_SYMLINKS;
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve);
        let path = real.trim_start_matches('/');
        nix::fcntl::openat2(self.root, if path.is_empty() { "." } else { path }, how)
    }

    /// The directory of a resolved path, or `None` when there is none yet.
    pub(super) fn place(&self, real: &TargetPath) -> Result<Option<Place>, ApplyError> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let directory = match self.open(real.parent(), flags) {
            Ok(directory) => directory,
            Err(Errno::ENOENT) => return Ok(None),
            Err(Errno::ENOTDIR) => {
                return Err(ApplyError::refused(real, format!("{} is not a directory", real.parent())));
            }
            Err(Errno::ELOOP) => return Err(ApplyError::Changed { path: real.clone() }),
            Err(errno) => return Err(ApplyError::io("open", real.parent())(errno.into())),
        };
        self.check_mount(&directory, real)?;
        let fat = (self.is_fat)(directory.as_fd()).map_err(ApplyError::io("examine", real.parent()))?;
        let any_mount = self.is_running_system();
        Ok(Some(Place { directory, name: real.file_name().to_owned(), fat, any_mount }))
    }

    fn check_mount(&self, opened: &OwnedFd, path: &TargetPath) -> Result<(), ApplyError> {
        let Some(mounts) = &self.mounts else { return Ok(()) };
        let mount = mount_of(opened.as_fd()).map_err(ApplyError::io("examine", path.as_str()))?;
        if mounts.contains(&mount) {
            return Ok(());
        }
        Err(ApplyError::refused(path, UNDECLARED))
    }

    /// The nearest directory above a resolved path that is there, and those below it that are
    /// not, outermost first.
    pub(super) fn missing_directories(
        &self,
        real: &TargetPath,
    ) -> Result<(Place, Vec<TargetPath>), ApplyError> {
        let mut missing = Vec::new();
        let mut at = real.clone();
        loop {
            if let Some(place) = self.place(&at)? {
                missing.reverse();
                return Ok((place, missing));
            }
            at = at.parent().parse().map_err(|_| ApplyError::refused(real, "the root itself is gone"))?;
            missing.push(at.clone());
        }
    }

    /// What stands at a resolved path. Anything but a file or a symlink is refused.
    pub(super) fn read(&self, real: &TargetPath) -> Result<Found, ApplyError> {
        match self.place(real)? {
            Some(place) => place.read(real),
            None => Ok(Found { content: Content::Absent, hard_linked: false }),
        }
    }

    /// What a comparison can rely on at a resolved path.
    pub(super) fn keeps(&self, real: &TargetPath) -> Result<Keeps, ApplyError> {
        let (place, _) = self.missing_directories(real)?;
        Ok(place.keeps())
    }
}

impl Place {
    pub(super) fn keeps(&self) -> Keeps {
        Keeps { mode: !self.fat, owner: !self.fat && geteuid().is_root() }
    }

    /// Opens what stands here: no link is followed, and nothing is entered that is mounted on it
    /// (`EXDEV`) where that was not declared.
    pub(super) fn open_entry(&self, flags: OFlag) -> Result<OwnedFd, Errno> {
        self.open_new_entry(flags, Mode::empty())
    }

    /// The same for flags that may make a file, which gets this mode then.
    pub(super) fn open_new_entry(&self, flags: OFlag, mode: Mode) -> Result<OwnedFd, Errno> {
        let mut resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
        if !self.any_mount {
            resolve |= ResolveFlag::RESOLVE_NO_XDEV;
        }
        // What a link does without O_PATH is an error (ELOOP), as with O_NOFOLLOW.
        let how = OpenHow::new().flags(flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).mode(mode);
        nix::fcntl::openat2(&self.directory, self.name.as_str(), how.resolve(resolve))
    }

    /// What stands here; `path` is its name for messages.
    pub(super) fn read(&self, path: &TargetPath) -> Result<Found, ApplyError> {
        let fail = |errno: Errno| ApplyError::io("read", path.as_str())(errno.into());
        let found = match self.open_entry(OFlag::O_PATH) {
            Ok(found) => found,
            Err(Errno::ENOENT) => return Ok(Found { content: Content::Absent, hard_linked: false }),
            Err(Errno::EXDEV) => return Err(ApplyError::refused(path, UNDECLARED)),
            Err(errno) => return Err(fail(errno)),
        };
        let stat = fstat(&found).map_err(fail)?;
        let owner = Owner { uid: stat.st_uid, gid: stat.st_gid };
        let content = match kind(&stat) {
            SFlag::S_IFLNK => {
                let points_to = readlinkat(&found, "").map_err(fail)?;
                let points_to = points_to
                    .into_string()
                    .map_err(|_| ApplyError::refused(path, "it is a symlink that is not UTF-8"))?;
                Content::Symlink { points_to, owner }
            }
            SFlag::S_IFREG => {
                self.read_regular(&stat, owner).map_err(ApplyError::io("read", path.as_str()))?
            }
            other => return Err(ApplyError::refused(path, format!("it is {}", name_of(other)))),
        };
        Ok(Found { content, hard_linked: kind(&stat) == SFlag::S_IFREG && stat.st_nlink > 1 })
    }

    fn read_regular(&self, stat: &FileStat, owner: Owner) -> io::Result<Content> {
        // O_NONBLOCK: should a fifo have taken the file's place meanwhile, this must not hang.
        let mut file = File::from(self.open_entry(OFlag::O_RDONLY | OFlag::O_NONBLOCK)?);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Content::Regular { bytes, mode: stat.st_mode & 0o7777, owner, xattrs: xattrs_of(&file)? })
    }

    /// Whether entries can be made and replaced here.
    pub(super) fn check_writable(&self) -> io::Result<()> {
        let wanted = AccessFlags::W_OK | AccessFlags::X_OK;
        Ok(faccessat(&self.directory, ".", wanted, AtFlags::AT_EACCESS)?)
    }
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

fn name_of(kind: SFlag) -> &'static str {
    match kind {
        SFlag::S_IFDIR => "a directory",
        SFlag::S_IFIFO => "a fifo",
        SFlag::S_IFSOCK => "a socket",
        _ => "a device",
    }
}

fn is_fat(directory: BorrowedFd<'_>) -> io::Result<bool> {
    let magic = rustix::fs::fstatfs(directory)?.f_type;
    // The type of `f_type` differs between architectures; magics are 32 bits everywhere.
    let magic = u64::try_from(magic).unwrap_or_default();
    Ok(magic == 0x4d44 || magic == EXFAT)
}

/// The kernel's number of the mount that a path was found on; bind mounts differ, too.
fn mount_of(opened: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(statx(opened, "", StatAt::EMPTY_PATH, StatxFlags::MNT_ID)?.stx_mnt_id)
}

/// Whether this root is the `/` of the process itself.
pub(super) fn is_running_system(root: BorrowedFd<'_>) -> io::Result<bool> {
    let slash = nix::sys::stat::stat("/")?;
    let root = fstat(root)?;
    Ok((slash.st_dev, slash.st_ino) == (root.st_dev, root.st_ino))
}

/// The second and third field of each line of an fstab, where the second is a path (`fstab(5)`; a space
/// is `\040`).
fn mount_points(fstab: &str) -> impl Iterator<Item = (TargetPath, &str)> {
    let lines = fstab.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let point = fields.next()?.replace("\\040", " ").trim_end_matches('/').parse().ok()?;
        Some((point, fields.next().unwrap_or_default()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_fstab_declares_paths_only() {
        let fstab = "# /x /comment\nUUID=1 / ext4 rw 0 1\nUUID=2 /boot/ vfat rw\nUUID=3 none swap\nx /my\\040esp vfat\n";
        let points: Vec<_> = mount_points(fstab).map(|(point, kind)| format!("{point} {kind}")).collect();
        assert_eq!(points, ["/boot vfat", "/my esp vfat"]);
    }
}
