//! The kernel command lines that the loaders hand over, each with the files that it is made from.

use super::{ALL, Bootloader, KERNEL_CMDLINE, Parameters};
use crate::facts::Target;
use crate::id::TargetPath;
use crate::text::{command_line, kernel_cmdline};

/// One kernel command line as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// The files that it is made from; the one that is edited first.
    pub files: Vec<TargetPath>,
    /// What the kernel gets, as far as it can be told.
    pub line: String,
}

impl CommandLine {
    /// One that stands in one file.
    pub(super) fn of_file(path: &TargetPath, line: impl Into<String>) -> Self {
        Self { files: vec![path.clone()], line: line.into() }
    }

    /// One that stands in several; none where it says nothing.
    pub(super) fn of_files<'a>(
        files: impl IntoIterator<Item = &'a TargetPath>,
        line: String,
    ) -> Option<Self> {
        let files: Vec<TargetPath> = files.into_iter().cloned().collect();
        (!files.is_empty() && !line.trim().is_empty()).then_some(Self { files, line })
    }
}

/// A command line as it stands, and as it is when the parameters were set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// As it stands.
    pub before: CommandLine,
    /// With the parameters.
    pub after: String,
}

/// Every command line that some loader would edit, each once. What cannot be edited is refused by
/// whoever plans the edit; it is told all the same.
pub fn command_lines(target: &Target, parameters: &[String]) -> Vec<Edited> {
    let mut all: Vec<Edited> = Vec::new();
    for loader in ALL {
        for edited in of_loader(*loader, target, parameters) {
            if !all.iter().any(|other| other.before == edited.before) {
                all.push(edited);
            }
        }
    }
    all
}

fn of_loader(loader: &dyn Bootloader, target: &Target, parameters: &[String]) -> Vec<Edited> {
    let present = loader.command_lines(target);
    let wanted = Parameters { set: parameters.to_vec(), ..Parameters::default() };
    let mut changed = target.clone();
    let is_edited = loader.steps(target, &wanted).is_ok_and(|steps| {
        for action in steps.iter().map(|step| &step.action) {
            changed.files.extend(action.path().cloned().zip(action.after()));
        }
        !steps.is_empty()
    });
    // The edit adds no line and takes none away.
    let then = if is_edited { loader.command_lines(&changed) } else { Vec::new() };
    let is_same = then.len() == present.len();
    let edited = |(index, before): (usize, CommandLine)| Edited {
        after: match then.get(index).filter(|_| is_same) {
            Some(then) => then.line.clone(),
            None => command_line::set(&before.line, parameters),
        },
        before,
    };
    present.into_iter().enumerate().map(edited).collect()
}

/// The one of `/etc/kernel/cmdline`, where the target has that.
pub(super) fn of_kernel_cmdline(target: &Target) -> Option<CommandLine> {
    let path: TargetPath = KERNEL_CMDLINE.parse().ok()?;
    let line = kernel_cmdline::command_line(target.text(KERNEL_CMDLINE)?);
    CommandLine::of_files([&path], line)
}
