//! Roots of another suite of Debian's, made by mmdebstrap: once by what they are made of.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::PathBuf;
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};

use crate::kernel::{cache, run};

/// The suite that comes nearest to Arch's versions and is stable.
const SUITE: &str = "trixie";

/// What no machine of the lab has a use for; every megabyte is copied and searched under emulation.
const LEFT_OUT: [&str; 13] = [
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/lib/modules/*/kernel/drivers/net/*",
    "/usr/lib/modules/*/kernel/drivers/media/*",
    "/usr/lib/modules/*/kernel/drivers/infiniband/*",
    "/usr/lib/modules/*/kernel/drivers/iio/*",
    "/usr/lib/modules/*/kernel/drivers/scsi/*",
    "/usr/lib/modules/*/kernel/drivers/gpu/drm/amd/*",
    "/usr/lib/modules/*/kernel/drivers/gpu/drm/nouveau/*",
    "/usr/lib/modules/*/kernel/drivers/gpu/drm/i915/*",
    "/usr/lib/modules/*/kernel/drivers/gpu/drm/xe/*",
    "/usr/lib/modules/*/kernel/drivers/gpu/drm/radeon/*",
];

/// Files of the lab in every root.
const OURS: [&str; 2] = ["lab.service", "run"];

/// A root that is to be there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipe<'a> {
    /// What it is for.
    pub(crate) name: &'a str,
    /// What is installed.
    pub(crate) packages: &'a [&'a str],
    /// The script that makes it: `make-root ROOT OUT SOURCE SUITE LABEL PACKAGES LEFT-OUT...`.
    pub(crate) script: &'a str,
    /// What its file system is called; of what is added to a root, which root that is.
    pub(crate) label: &'a str,
}

/// A folder with what the script left, and what stands for its content.
#[derive(Debug)]
pub(crate) struct Made {
    /// Its name.
    pub(crate) key: String,
    /// Where it is.
    pub(crate) folder: PathBuf,
}

/// The root; made where it is not there yet.
pub(crate) fn made(recipe: Recipe<'_>) -> io::Result<Made> {
    let Recipe { name, packages, script, label } = recipe;
    let source = neuron_tests::tests_folder().join("lab/install/root");
    let mut hash = DefaultHasher::new();
    (SUITE, packages, LEFT_OUT, script, label).hash(&mut hash);
    for file in OURS {
        fs::read(source.join(file))?.hash(&mut hash);
    }
    let key = format!("{SUITE}-{name}-{:016x}", hash.finish());
    let folder = cache().join(&key);
    fs::create_dir_all(cache())?;
    // Whoever comes second waits, and takes it again.
    let _turn = Flock::lock(File::create(cache().join(format!("making-{name}")))?, FlockArg::LockExclusive)
        .map_err(|(_, error)| io::Error::from(error))?;
    if !folder.exists() {
        println!("lab: making the root {key}: minutes, once");
        let scratch = tempfile::tempdir_in(cache())?;
        let made = scratch.path().join("made");
        fs::create_dir(&made)?;
        // In mounts of its own: whatever happens, none is left in which something could be removed.
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "--", "sh", "-euc", script, "make-root"]);
        command.args([&scratch.path().join("root"), &made, &source]);
        command.args([SUITE, label, &packages.join(",")]).args(LEFT_OUT);
        run(&mut command)?;
        fs::rename(made, &folder)?;
    }
    Ok(Made { key, folder })
}
