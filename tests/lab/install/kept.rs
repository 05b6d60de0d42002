//! Installed disks in the cache: one of a loader's is enough, and none goes while a run has it.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// A folder that nobody removes while this is there.
#[derive(Debug)]
pub(super) struct Held(#[expect(dead_code, reason = "what counts is that it is locked")] Flock<File>);

/// Holds a folder; none where it is not there.
pub(super) fn hold(folder: &Path) -> io::Result<Option<Held>> {
    let file = match File::open(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let lock = Flock::lock(file, FlockArg::LockShared).map_err(|(_, error)| io::Error::from(error))?;
    // It may have gone while somebody else had it.
    Ok(folder.exists().then_some(Held(lock)))
}

/// Removes the folders with this beginning but for one, and but for those that a run has.
pub(super) fn remove_others(cache: &Path, beginning: &str, kept: &Path) -> io::Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        let path = entry.path();
        if path == kept || !entry.file_name().to_string_lossy().starts_with(beginning) {
            continue;
        }
        match Flock::lock(File::open(&path)?, FlockArg::LockExclusiveNonblock) {
            Ok(_nobody_has_it) => fs::remove_dir_all(&path)?,
            Err((_, Errno::EWOULDBLOCK)) => (),
            Err((_, error)) => return Err(error.into()),
        }
    }
    Ok(())
}

#[test]
fn what_is_outdated_goes_unless_a_run_has_it() {
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch.path().join(name);
    for name in ["grub-1", "grub-2", "grub-3", "systemd-boot-1"] {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name).join("disk"), "").unwrap();
    }
    let held = hold(&at("grub-2")).unwrap();
    assert!(held.is_some() && hold(&at("grub-9")).unwrap().is_none());
    let left = || {
        let names = ["grub-1", "grub-2", "grub-3", "systemd-boot-1"];
        names.into_iter().filter(|name| at(name).exists()).collect::<Vec<_>>()
    };
    remove_others(scratch.path(), "grub-", &at("grub-3")).unwrap();
    assert_eq!(left(), ["grub-2", "grub-3", "systemd-boot-1"]);
    drop(held);
    remove_others(scratch.path(), "grub-", &at("grub-3")).unwrap();
    assert_eq!(left(), ["grub-3", "systemd-boot-1"]);
}
