//! Our own program as it runs in a machine: static, so that it needs nothing beside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::case::mutate;
use crate::kernel::run;

/// The system's own target with libc inside: an installed one for another libc is not asked for.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What of the workspace is not needed to build it, and large.
const NOT_COPIED: [&str; 3] = ["target", ".cache", ".git"];

/// The static program; built when the sources are newer.
pub(crate) fn built() -> io::Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let built = workspace().and_then(|workspace| build(&workspace, &workspace.join("target/lab")));
            built.map_err(|error| error.to_string())
        })
        .as_deref()
        .map_err(|error| io::Error::other(error.as_str()))
}

/// The same program after sed over one of its source files.
pub(crate) fn mutated(file: &str, sed: &str) -> io::Result<PathBuf> {
    let workspace = workspace()?;
    let folder = workspace.join("target/lab-mutated");
    let copy = folder.join("source");
    match fs::remove_dir_all(&copy) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::create_dir_all(&copy)?,
    }
    let mut cp = Command::new("cp");
    cp.args(["--recursive", "--target-directory"]).arg(&copy);
    for entry in fs::read_dir(&workspace)? {
        let entry = entry?;
        if !NOT_COPIED.iter().any(|name| entry.file_name() == *name) {
            cp.arg(entry.path());
        }
    }
    run(&mut cp)?;
    fs::write(copy.join(file), source_mutated(file, sed)?)?;
    build(&copy, &folder.join("target"))
}

/// A source file of the program after sed.
pub(crate) fn source_mutated(file: &str, sed: &str) -> io::Result<String> {
    mutate(&fs::read_to_string(workspace()?.join(file))?, sed)
}

fn workspace() -> io::Result<PathBuf> {
    neuron_tests::tests_folder().join("..").canonicalize()
}

/// Builds into a folder of its own: with other flags, everything else would be built anew.
fn build(workspace: &Path, folder: &Path) -> io::Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--locked", "--quiet", "-p", "neuron-provisioner", "--target", TARGET]);
    cargo.arg("--target-dir").arg(folder).current_dir(workspace);
    cargo.env("RUSTFLAGS", "-Ctarget-feature=+crt-static").env_remove("CARGO_ENCODED_RUSTFLAGS");
    // What a debugger needs would fill the memory of the machine; without any speed it is slow there.
    for (name, value) in [("DEBUG", "0"), ("STRIP", "true"), ("OPT_LEVEL", "1")] {
        cargo.env(format!("CARGO_PROFILE_DEV_{name}"), value);
    }
    run(&mut cargo)?;
    let program = folder.join(TARGET).join("debug/neuron-provisioner");
    let headers = run(Command::new("readelf").arg("--program-headers").arg(&program))?;
    // What asks for an interpreter would not start in an image without libraries.
    if headers.contains("INTERP") {
        return Err(io::Error::other(format!("{} is not static:\n{headers}", program.display())));
    }
    Ok(program)
}
