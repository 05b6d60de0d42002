//! Whoever builds at the same place gets the same file.

use std::fs;
use std::path::{Path, PathBuf};

use crate::build::{PACKAGES, built};

/// The packages, made once more; `environment` says what is different this time.
fn again(into: &Path, environment: &[(&str, &str)]) -> Vec<PathBuf> {
    fs::create_dir(into).unwrap();
    std::os::unix::fs::chown(into, Some(65534), Some(65534)).unwrap();
    let into = into.to_str().unwrap();
    let environment: Vec<(&str, &str)> = environment.iter().copied().chain([("PKGDEST", into)]).collect();
    for package in PACKAGES {
        built().make(&built().tree().join("archiso-hooks").join(package), &environment);
    }
    let mut files: Vec<PathBuf> = fs::read_dir(into).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), PACKAGES.len(), "{files:?}");
    files
}

#[test]
fn every_package_is_the_same_file_when_it_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(65534), Some(65534)).unwrap();
    let first = again(&folder.path().join("first"), &[]);
    // Elsewhere in the world, with other habits, and later.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let second = again(&folder.path().join("second"), &[("TZ", "Asia/Tokyo"), ("LC_ALL", "C")]);
    let at_another_time = again(&folder.path().join("third"), &[("SOURCE_DATE_EPOCH", "1700000001")]);
    for ((one, other), later) in first.iter().zip(&second).zip(&at_another_time) {
        assert_eq!(one.file_name(), other.file_name());
        let bytes = fs::read(one).unwrap();
        assert!(bytes == fs::read(other).unwrap(), "{} is another file each time", one.display());
        assert!(bytes != fs::read(later).unwrap(), "the control: {} does not say when", one.display());
    }
}
