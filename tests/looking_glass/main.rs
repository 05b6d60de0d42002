//! Looking Glass on the host's side: what becomes of it when answers change or somebody edits, and what
//! systemd's own programs make of what is written.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

mod changes;
mod status;
mod systemd;

use std::fs;

use neuron_tests::program::Output;
use neuron_tests::scenario::Ground;

const MACHINE: &str = "z390m-9900k-rtx2080s-usbc";
const TMPFILES: &str = "etc/tmpfiles.d/10-looking-glass.conf";
const SYSUSERS: &str = "etc/sysusers.d/neuron-passthrough.conf";
const CLIENT: &str = "etc/looking-glass-client.ini";

/// A target and the answers that it is set up by.
struct Host {
    ground: Ground,
}

impl Host {
    fn new(target: &str) -> Self {
        let mut ground = Ground::new(MACHINE, target).unwrap();
        ground.answers = Some(ground.beside("answers.toml"));
        Self { ground }
    }

    fn run(&self, arguments: &[&str], code: i32) -> Output {
        let output = self.ground.run(arguments).unwrap();
        assert_eq!(output.code, code, "{arguments:?}: {}{}", output.stdout, output.stderr);
        output
    }

    fn apply(&self, answers: &str) {
        fs::write(self.ground.beside("answers.toml"), answers).unwrap();
        self.run(&["apply", "--yes"], 4);
    }

    /// The text of a file of the target; none where it is not there.
    fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.ground.target().join(path)).ok()
    }

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
