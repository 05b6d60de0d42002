//! Results for people: tables, diffs, findings, what to do next.

mod checks;
mod diff;
mod findings;
mod gpus;
mod wrap;

use std::io::{self, Write};

use serde::Serialize;

pub(crate) use checks::checks;
pub(crate) use diff::plan;
pub(crate) use findings::{decision, next_step};
pub(crate) use gpus::{inspect, short as card_name};
pub(crate) use wrap::{wrapped, wrapped_for_stderr};

use crate::failure::Failure;

/// Prints a result to standard output. A reader that has gone away is no error (`| head`).
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    // What stays in the buffer fails when nobody asks any more.
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Output(error)),
        _ => Ok(()),
    }
}

/// Prints a document.
pub(crate) fn json(document: &impl Serialize) -> Result<(), Failure> {
    print(&(serde_json::to_string_pretty(document)? + "\n"))
}

/// Removes what could steer a terminal from text that came out of files.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}
