//! Disk images: looked at and made by `qemu-img`, never over something that is there.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

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
            Err(LibvirtError::Said { said, .. }) if said.contains("lock") => Ok(Self::InUse),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes an image of this format and size. Whatever came to stand there meanwhile stays.
    pub fn make(path: &Path, format: &str, gib: u32) -> Result<(), ImageError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".neuron-new");
        let unfinished = path.with_file_name(name);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished);
        made.map(drop).map_err(file("make", &unfinished))?;
        let done = fill(&unfinished, format, gib).and_then(|()| {
            let moved = renameat2(AT_FDCWD, &unfinished, AT_FDCWD, path, RenameFlags::RENAME_NOREPLACE);
            moved.map_err(|errno| file("make", path)(errno.into()))
        });
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
}
