//! What the tests from outside share: captured machines and target roots as directories, a
//! comparer of trees, and how the built program is run.

use std::io;
use std::path::{Path, PathBuf};

pub mod bootctl;
pub mod disk;
pub mod dracut;
pub mod kernel;
pub mod keys;
pub mod left_out;
pub mod machine;
pub mod program;
pub mod readers;
pub mod rules;
pub mod scenario;
pub mod seen;
pub mod story;
pub mod target;
pub mod trace;
pub mod tree;

/// The folder of all tests: machines, targets and scenarios lie below it.
pub fn tests_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// An empty folder that goes when it is dropped: in memory where the system has a place for that,
/// since a hundred machines are some ten thousand files.
pub fn scratch() -> io::Result<tempfile::TempDir> {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())
}

/// The names of the folders in `folder` that hold a file called `marker`, sorted.
fn names_with(folder: &Path, marker: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| at(folder, "list", &error))? {
        let entry = entry?;
        if entry.path().join(marker).is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// An error of the operating system that also says what was tried with which path.
fn at(path: &Path, attempt: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {attempt} {}: {error}", path.display()))
}

/// Writes a file and, where they are missing, the folders above it.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    in_folder(path, || std::fs::write(path, &bytes)).map_err(|error| at(path, "write", &error))
}

/// Tries to make an entry; only where its folder is missing, makes that and tries again. (Asking
/// for the folder first doubles the system calls, and a layout is some ten thousand files.)
fn in_folder(path: &Path, make: impl Fn() -> io::Result<()>) -> io::Result<()> {
    match make() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_folder(path.parent().unwrap_or(path))?;
            make()
        }
        result => result,
    }
}

/// Makes a folder and those above it.
fn make_folder(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path).map_err(|error| at(path, "make the folder", &error))
}
