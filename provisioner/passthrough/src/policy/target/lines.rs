//! The kernel command lines of a target: as they stand, and as they will be.

use crate::facts::Target;
use crate::policy::KILL_SWITCH;
use crate::text::{command_line, grub_default, kernel_cmdline, loader_entry};

/// One kernel command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The file that it stands in.
    pub(super) place: String,
    /// As it stands.
    pub(super) before: String,
    /// With our parameters set.
    pub(super) after: String,
}

/// The command lines that the target's loaders give to the kernel, now and with `parameters`.
pub(super) fn of(target: &Target, parameters: &[String]) -> Vec<Line> {
    // What cannot be edited is refused by whoever plans the edit; it is judged all the same.
    let line = |place: &str, before: String, after: Option<String>| Line {
        place: place.to_owned(),
        after: after.unwrap_or_else(|| command_line::set(&before, parameters)),
        before,
    };
    let mut lines = Vec::new();
    let grub = |text: &str| grub_default::command_line(text).ok().map(|line| line.known());
    if let Some(text) = target.text("/etc/default/grub")
        && let Some(before) = grub(text)
    {
        let changed = grub_default::set_parameters(text, parameters).ok();
        lines.push(line("/etc/default/grub", before, changed.and_then(|text| grub(&text))));
    }
    if let Some(text) = target.text("/etc/kernel/cmdline") {
        let changed = kernel_cmdline::set_parameters(text, parameters).ok();
        let after = changed.map(|text| kernel_cmdline::command_line(&text));
        lines.push(line("/etc/kernel/cmdline", kernel_cmdline::command_line(text), after));
    }
    for (path, state) in &target.files {
        if path.parent().ends_with("/loader/entries")
            && let Some(text) = state.text()
        {
            let changed = loader_entry::set_parameters(text, parameters).ok();
            let after = changed.map(|text| loader_entry::Entry::parse(&text).options());
            lines.push(line(path.as_str(), loader_entry::Entry::parse(text).options(), after));
        }
    }
    // What keeps everything with the host says nothing about passthrough.
    lines.retain(|line| !command_line::has(&line.before, KILL_SWITCH));
    lines
}
