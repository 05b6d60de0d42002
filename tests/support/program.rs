//! Running the built `neuron-provisioner`, as a user would.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What a run left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The exit code; 128 plus the signal's number when one ended it, as a shell has it.
    pub code: i32,
    /// What it printed as result.
    pub stdout: String,
    /// What it told beside it.
    pub stderr: String,
}

/// Where the program that belongs to the running test was built.
///
/// Cargo tells a test the path of its own package's programs only; this one is another package's
/// and lies two folders above the test (`target/<profile>/deps/<test>`).
pub fn path() -> io::Result<PathBuf> {
    let this = env::current_exe()?;
    let program = this.ancestors().nth(2).map(|folder| folder.join("neuron-provisioner"));
    program.filter(|path| path.is_file()).ok_or_else(|| {
        let hint = format!(
            "the program is not built for {}: run `cargo build -p neuron-provisioner` first \
             (`tests/run` does), with --release for a release test",
            this.display()
        );
        io::Error::new(io::ErrorKind::NotFound, hint)
    })
}

/// The program, ready to get arguments: nothing on standard input, a plain environment.
pub fn command() -> io::Result<Command> {
    let mut command = Command::new(path()?);
    command.stdin(Stdio::null()).env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
    command.env("LC_ALL", "C.UTF-8");
    Ok(command)
}

/// Runs the program with these arguments.
pub fn run<I, S>(args: I) -> io::Result<Output>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    output(command()?.args(args))
}

/// Runs a prepared command to its end.
pub fn output(command: &mut Command) -> io::Result<Output> {
    use std::os::unix::process::ExitStatusExt;
    let done = command.output()?;
    let by_signal = done.status.signal().map_or(-1, |signal| 128 + signal);
    Ok(Output {
        code: done.status.code().unwrap_or(by_signal),
        stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
    })
}
