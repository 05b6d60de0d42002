//! Our own program as it runs in the tiny image: static, so that it needs nothing beside it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::kernel::run;

/// The system's own target with libc inside: an installed one for another libc is not asked for.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The static program; built when the sources are newer.
pub(crate) fn built() -> io::Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT
        .get_or_init(|| build().map_err(|error| error.to_string()))
        .as_deref()
        .map_err(|error| io::Error::other(error.as_str()))
}

/// Builds into a folder of its own: with other flags, everything else would be built anew.
fn build() -> io::Result<PathBuf> {
    let workspace = neuron_tests::tests_folder().join("..").canonicalize()?;
    let folder = workspace.join("target/lab");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--locked", "--quiet", "-p", "neuron-provisioner", "--target", TARGET]);
    cargo.arg("--target-dir").arg(&folder).current_dir(&workspace);
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
