//! Disk images: looked at and made by `qemu-img`, never over something that is there.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::LibvirtError;
use super::program::Program;

/// What stands where a disk image is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// Nothing, and the folder has so many free bytes.
    Absent {
        /// Free bytes.
        free: u64,
    },
    /// Nothing, and the folder is not there either.
    NoFolder,
    /// Something that is no file.
    NoFile,
    /// An image.
    There {
        /// Its format, as `qemu-img` finds it: `qcow2`, `raw`.
        format: String,
    },
    /// A file that some program has locked: a machine that runs.
    InUse,
}

/// Why an image could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file system did not allow it.
    #[error("cannot {attempt} {}", path.display())]
    File {
        /// What was tried.
        attempt: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// `qemu-img` did not do it.
    #[error(transparent)]
    Program(#[from] LibvirtError),
}

impl Image {
    /// Looks what stands there.
    pub fn look(path: &Path) -> Result<Self, ImageError> {
        let found = match fs::metadata(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return absent(path),
            Err(source) => return Err(file("look at", path)(source)),
        };
        if !found.is_file() {
            return Ok(Self::NoFile);
        }
        let told = Program::named("qemu-img")
            .run(&format!("look at {}", path.display()), &["info", "--output=json", &path.to_string_lossy()]);
        match told {
            Ok(text) => format(&text).map(|format| Self::There { format }).ok_or_else(|| {
                let attempt = format!("look at {}", path.display());
                LibvirtError::Said { attempt, said: "qemu-img does not tell its format".to_owned() }.into()
            }),
            Err(LibvirtError::Said { said, .. }) if is_locked(&said, path) => Ok(Self::InUse),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes an image of this format and size. Whatever came to stand there meanwhile stays.
    ///
    /// The caller holds the lock of the state directory: what another run is making is not told from what a
    /// run left that was cut off.
    pub fn make(path: &Path, format: &str, gib: u32) -> Result<(), ImageError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".neuron-new");
        let unfinished = path.with_file_name(name);
        begin(&unfinished)?;
        let done = fill(&unfinished, format, gib)
            .and_then(|()| give_name(&unfinished, path).map_err(file("make", path)));
        if done.is_err() {
            // What is told is why there is no image; a rest of it only takes room.
            let _ = fs::remove_file(&unfinished);
        }
        done
    }

    /// Takes an image away that was made in this very run and that nobody has used.
    pub fn take_back(path: &Path) -> Result<(), ImageError> {
        fs::remove_file(path).map_err(file("remove", path))
    }
}

/// Whether a medium or a ROM is a file that can be read.
pub fn is_file(path: &str) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file())
}

/// Whether two paths lead to one file.
pub fn is_same_file(one: &str, other: &str) -> bool {
    let real = |path: &str| fs::canonicalize(path).ok();
    one == other || real(one).is_some_and(|one| real(other) == Some(one))
}

/// Whether `qemu-img` complains that another program has locked an image; a path may say anything.
fn is_locked(said: &str, path: &Path) -> bool {
    let said = said.replace(&*path.to_string_lossy(), "");
    let refused = said.split_once("Failed to get ").and_then(|(_, rest)| rest.split_once("\" lock"));
    refused.is_some_and(|(which, _)| which.trim_start_matches("shared ").starts_with('"'))
}

/// Makes the file of an image that is being made. What a run left there that was cut off is taken away.
fn begin(path: &Path) -> Result<(), ImageError> {
    let create = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut made = create();
    if made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
        is_left_behind(path)?;
        fs::remove_file(path).map_err(file("remove", path))?;
        made = create();
    }
    made.map(drop).map_err(file("make", path))
}

/// Whether a run left it there; an error says why not.
fn is_left_behind(path: &Path) -> Result<(), ImageError> {
    let found = fs::symlink_metadata(path).map_err(file("look at", path))?;
    if !found.is_file() || found.uid() != nix::unistd::geteuid().as_raw() || found.nlink() != 1 {
        let other = "it is no file of an earlier run; move it away and run this again";
        return Err(file("make", path)(io::Error::new(io::ErrorKind::AlreadyExists, other)));
    }
    Ok(())
}

/// Gives a file its name, unless something bears that already.
fn give_name(unfinished: &Path, path: &Path) -> io::Result<()> {
    match renameat2(AT_FDCWD, unfinished, AT_FDCWD, path, RenameFlags::RENAME_NOREPLACE) {
        // NFS knows no such flag.
        Err(Errno::EINVAL) => give_second_name(unfinished, path),
        given => Ok(given?),
    }
}

/// The same for file systems that have no other way.
fn give_second_name(unfinished: &Path, path: &Path) -> io::Result<()> {
    fs::hard_link(unfinished, path)?;
    fs::remove_file(unfinished)
}

fn fill(path: &Path, format: &str, gib: u32) -> Result<(), ImageError> {
    let size = format!("{gib}G");
    let attempt = format!("make a disk of {gib} GiB");
    Program::named("qemu-img")
        .run(&attempt, &["create", "-q", "-f", format, &path.to_string_lossy(), &size])?;
    Ok(())
}

fn absent(path: &Path) -> Result<Image, ImageError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    if !folder.is_dir() {
        return Ok(Image::NoFolder);
    }
    let system = nix::sys::statvfs::statvfs(folder).map_err(|errno| file("look at", folder)(errno.into()))?;
    Ok(Image::Absent { free: system.blocks_available() * system.fragment_size() })
}

/// The format that `qemu-img info --output=json` tells.
fn format(text: &str) -> Option<String> {
    let document: serde_json::Value = serde_json::from_str(text).ok()?;
    document.get("format")?.as_str().map(str::to_owned)
}

fn file(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ImageError {
    let path = path.to_owned();
    move |source| ImageError::File { attempt, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_there_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(matches!(Image::look(&at("a.qcow2")).unwrap(), Image::Absent { free } if free > 0));
        assert_eq!(Image::look(&at("none/a.qcow2")).unwrap(), Image::NoFolder);
        assert_eq!(Image::look(folder.path()).unwrap(), Image::NoFile);
        assert_eq!(format(r#"{"format": "qcow2"}"#).as_deref(), Some("qcow2"));
        assert_eq!(format("{}"), None);
    }

    #[test]
    fn a_lock_is_told_by_the_words_of_qemu_and_not_by_the_path() {
        let path = Path::new("/srv/Failed to get \"write\" lock/block.qcow2");
        let said = |what: &str| format!("qemu-img: Could not open '{}': {what}", path.display());
        for which in ["shared \"write\"", "\"consistent read\""] {
            assert!(is_locked(
                &said(&format!("Failed to get {which} lock; Is another process using it?")),
                path
            ));
        }
        for what in ["Image is corrupt", "Permission denied", "Failed to get a block of it"] {
            assert!(!is_locked(&said(what), path), "{what}");
        }
    }

    #[test]
    fn what_a_run_left_that_was_cut_off_is_replaced_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.qcow2.neuron-new");
        fs::write(&path, "half").unwrap();
        begin(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
        fs::hard_link(&path, folder.path().join("kept")).unwrap();
        assert!(begin(&path).is_err(), "somebody has it by another name, too");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(begin(&path).is_err());
        fs::remove_dir(&path).unwrap();
        let other = folder.path().join("other");
        fs::write(&other, "mine").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        assert!(begin(&path).is_err());
        assert_eq!(fs::read(&other).unwrap(), b"mine");
        let same = |path: &Path| is_same_file(path.to_str().unwrap(), other.to_str().unwrap());
        assert!(same(&path) && same(&other) && !same(folder.path()));
    }
    #[test]
    fn a_name_that_is_taken_is_given_to_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let [new, path] = ["new", "path"].map(|name| folder.path().join(name));
        for give in [give_name, give_second_name] {
            fs::write(&new, "new").unwrap();
            give(&new, &path).unwrap();
            assert!(!new.exists());
            fs::write(&new, "newer").unwrap();
            assert_eq!(give(&new, &path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read(&path).unwrap(), b"new");
            assert!(new.exists());
            fs::remove_file(&path).unwrap();
        }
    }
}
