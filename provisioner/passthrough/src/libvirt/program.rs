//! Starting a program and listening to it.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::LibvirtError;

/// Where programs are; nobody's environment decides what root runs.
const PATH: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];

pub(super) struct Program<'a> {
    name: &'static str,
    first: Vec<&'a str>,
    input: Option<&'a str>,
}

impl<'a> Program<'a> {
    pub(super) fn named(name: &'static str) -> Self {
        Self { name, first: Vec::new(), input: None }
    }

    pub(super) fn with_arguments(self, first: &[&'a str]) -> Self {
        Self { first: first.to_vec(), ..self }
    }

    /// What it reads from its standard input.
    pub(super) fn with_input(self, input: &'a str) -> Self {
        Self { input: Some(input), ..self }
    }

    /// What it printed; an error where it did not end with 0.
    pub(super) fn run(self, attempt: &str, arguments: &[&str]) -> Result<String, LibvirtError> {
        let missing = |why: String| LibvirtError::Missing { program: self.name, why };
        let path = find(self.name).ok_or_else(|| missing("it is not installed".to_owned()))?;
        let mut command = Command::new(path);
        command.args(&self.first).args(arguments).env_clear();
        command.env("PATH", PATH.join(":")).env("LC_ALL", "C.UTF-8");
        let input = if self.input.is_some() { Stdio::piped() } else { Stdio::null() };
        let started = command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = started.map_err(|error| missing(error.to_string()))?;
        if let (Some(text), Some(mut pipe)) = (self.input, child.stdin.take()) {
            // A program that ends before it read everything says why itself.
            let _ = pipe.write_all(text.as_bytes());
        }
        let done = child.wait_with_output().map_err(|error| missing(error.to_string()))?;
        if done.status.success() {
            return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
        }
        Err(LibvirtError::Said { attempt: attempt.to_owned(), said: complaint(&done.stderr) })
    }
}

pub(super) fn find(name: &str) -> Option<PathBuf> {
    PATH.iter().map(|folder| PathBuf::from(folder).join(name)).find(|path| path.is_file())
}

/// What a program complained of, in one line.
fn complaint(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines =
        text.lines().map(|line| line.trim().trim_start_matches("error: ")).filter(|line| !line.is_empty());
    let all: Vec<&str> = lines.collect();
    if all.is_empty() { "it did not say why".to_owned() } else { all.join("; ") }
}
