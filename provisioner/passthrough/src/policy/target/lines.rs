//! The kernel command lines of a target: as they stand, and as they will be.

use crate::bootloader;
use crate::facts::Target;
use crate::policy::KILL_SWITCH;
use crate::text::command_line::{self, Parameter};

/// One kernel command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The files that it is made from, with their texts.
    files: Vec<(String, String)>,
    /// As it stands.
    pub(super) before: String,
    /// With our parameters set.
    pub(super) after: String,
}

impl Line {
    /// The file in which this parameter stands, or would: one token, or a key with any value.
    pub(super) fn place(&self, token: &str) -> &str {
        let wanted = Parameter::parse(token);
        let is_it = |word: &str| {
            let here = Parameter::parse(word);
            here.same_key(wanted) && (wanted.value.is_none() || here.value == wanted.value)
        };
        let says = |(_, text): &&(String, String)| command_line::words(text).any(is_it);
        let found = self.files.iter().find(says).or(self.files.first());
        found.map_or("", |(path, _)| path)
    }
}

/// The command lines that the target's loaders give to the kernel, now and with `parameters`.
pub(super) fn of(target: &Target, parameters: &[String]) -> Vec<Line> {
    let all = bootloader::command_lines(target, parameters).into_iter();
    let lines = all.map(|edited| Line {
        files: edited
            .before
            .files
            .iter()
            .map(|path| (path.to_string(), target.text(path.as_str()).unwrap_or_default().to_owned()))
            .collect(),
        before: edited.before.line,
        after: edited.after,
    });
    // What keeps everything with the host says nothing about passthrough.
    lines.filter(|line| !command_line::has(&line.before, KILL_SWITCH)).collect()
}
