//! A target that wants Looking Glass.

use std::fs;

use neuron_tests::program::Output;
use neuron_tests::scenario::Ground;

const MACHINE: &str = "z390m-9900k-rtx2080s-usbc";
pub(crate) const TMPFILES: &str = "etc/tmpfiles.d/10-looking-glass.conf";
pub(crate) const SYSUSERS: &str = "etc/sysusers.d/neuron-passthrough.conf";
pub(crate) const CLIENT: &str = "etc/looking-glass-client.ini";

/// A target and the answers that it is set up by.
pub(crate) struct Host {
    pub(crate) ground: Ground,
}

impl Host {
    pub(crate) fn new(target: &str) -> Self {
        let mut ground = Ground::new(MACHINE, target).unwrap();
        ground.answers = Some(ground.beside("answers.toml"));
        Self { ground }
    }

    pub(crate) fn run(&self, arguments: &[&str], code: i32) -> Output {
        let output = self.ground.run(arguments).unwrap();
        assert_eq!(output.code, code, "{arguments:?}: {}{}", output.stdout, output.stderr);
        output
    }

    pub(crate) fn apply(&self, answers: &str) {
        fs::write(self.ground.beside("answers.toml"), answers).unwrap();
        self.run(&["apply", "--yes"], 4);
    }

    /// The text of a file of the target; none where it is not there.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.ground.target().join(path)).ok()
    }
}
