//! The program under `strace`.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use neuron_tests::program::{self, Output};
use neuron_tests::trace::{Call, Instead, arguments, calls};

/// Runs the program; `instead` may change what happens to one of its calls.
pub(crate) fn run(
    machine: &Path,
    target: &Path,
    verb: &str,
    instead: Option<&Instead<'_>>,
) -> io::Result<(Output, Vec<Call>)> {
    let scratch = neuron_tests::scratch()?;
    let trace = scratch.path().join("trace");
    let mut command = Command::new("strace");
    command.args(arguments(&trace, instead));
    command.arg(program::path()?).arg("--machine-root").arg(machine).arg("--target-root").arg(target);
    let output = program::output(command.args([verb, "--yes"]))?;
    Ok((output, calls(&fs::read_to_string(&trace)?, &target.display().to_string())))
}
