//! Standard error: narration for whoever looks. Nobody has to look, so a reader that has gone away
//! or a full disk behind it ends nothing and changes no exit code (`eprintln!` would panic).

use std::io::{self, Write};

/// Says something and ends the line.
pub(crate) fn line(text: &str) {
    part(&format!("{text}\n"));
}

/// Says something that brings its own line ends.
pub(crate) fn part(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Warnings of the library always reach standard error; `-v` adds what is done, `-vv` everything.
pub(crate) fn events(verbose: u8) {
    let level = match verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        // An event that cannot be written would be told to standard error, by way of a panic.
        .log_internal_errors(false)
        // The subscriber is built without colours, and panics where they are asked for.
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .init();
}
