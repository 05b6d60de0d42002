//! Looking Glass on the host's side: what becomes of it when answers change or somebody edits, what
//! systemd's own programs make of what is written, and how it is told.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

mod changes;
mod host;
mod status;
mod systemd;

use std::fs;

use host::{CLIENT, Host, SYSUSERS, TMPFILES};

impl Host {
    /// What a file says, without our head.
    fn rules(&self, path: &str) -> String {
        let text = self.text(path).unwrap_or_default();
        let said = text.lines().filter(|line| !line.starts_with(['#', ';']));
        said.collect::<Vec<_>>().join("\n")
    }

    fn append(&self, path: &str, text: &str) {
        let was = self.text(path).unwrap();
        fs::write(self.ground.target().join(path), was + text).unwrap();
    }
}
