//! Taking back what earlier applies wrote: whole where nobody touched it since, else only what is
//! ours.

use super::{ANSWERS, Draft, Inputs, OwnFile, answers, answers_head, bridges, images, loaders, trial};
use crate::facts::target::{QEMU_CONF, is_entry};
use crate::guest::looking_glass::{self, CLIENT_INI, WHOLE};
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Severity};
use crate::step::{Action, FileState, Step};
use crate::text::command_line::displaced;
use crate::text::{
    block, grub_default, kernel_cmdline, limine_conf, loader_conf, loader_entry, refind, sdboot_manage,
};
use crate::{binding, bootloader};

/// What makes entries out of `/etc/kernel/cmdline`.
pub const KERNEL_INSTALL: &str = "kernel-install";

/// Takes one file of ours back; nothing happens to one that is not ours. What somebody changed
/// since keeps their change, or is left alone and named where that cannot be told apart.
pub(super) fn one(inputs: &Inputs<'_>, path: &str, draft: &mut Draft) {
    let Some((path, own)) =
        path.parse().ok().and_then(|path: TargetPath| inputs.ours.files.get_key_value(&path))
    else {
        return;
    };
    let here = inputs.target.files.get(path);
    if here.is_none() && is_entry(path) {
        // It went with the kernel that it started, or somebody took it away.
        return;
    }
    let before = here.unwrap_or(&own.written);
    let action = if *before == own.original {
        None
    } else if *before == own.written && !own.is_mixed {
        restored(path, own, before)
    } else if let Some(after) = without_ours(path, own, before, &inputs.ours.tokens) {
        changed(path, before, after)
    } else {
        draft.findings.push(left_alone(path));
        None
    };
    draft.steps.extend(action.map(|action| Step {
        id: format!("retire-{}", path.file_name()),
        title: format!("Take back {path}"),
        because: "it is not wanted any more".to_owned(),
        action,
    }));
}

fn restored(path: &TargetPath, own: &OwnFile, before: &FileState) -> Option<Action> {
    changed(path, before, own.original.clone())
}

fn changed(path: &TargetPath, before: &FileState, after: FileState) -> Option<Action> {
    let (path, before) = (path.clone(), before.clone());
    match after {
        FileState::Absent if before == FileState::Absent => None,
        FileState::Absent => Some(Action::RemoveFile { path, before }),
        after => Some(Action::WriteFile { path, before, after }),
    }
}

fn left_alone(path: &TargetPath) -> Finding {
    Finding::new(
        Code::TargetConflict,
        Severity::Warning,
        format!("{path} was changed since it was written, and it is left alone"),
        "look at it, and take out by hand what should not be there",
    )
    .in_file(path.as_str())
}

/// Mode `off`: everything of ours goes.
pub(super) fn everything(inputs: &Inputs<'_>, draft: &mut Draft) {
    let stays = |path: &TargetPath| path.as_str() == ANSWERS || bridges::is_left(inputs, path);
    for path in inputs.ours.files.keys().filter(|path| !stays(path)) {
        one(inputs, path.as_str(), draft);
    }
    bridges::name_left(inputs, draft);
    if !inputs.ours.files.is_empty() || inputs.answers_text.is_some() {
        draft.steps.extend(answers(inputs));
    }
    let images = images(inputs, draft);
    draft.steps.extend(images);
    draft.steps.extend(entries(inputs));
    let menus = loaders::rebuilds(inputs, draft);
    draft.steps.extend(menus);
    draft.steps.extend(trial::cleared(inputs));
    draft.in_order();
}

/// The steps that have entries made anew which others made of what we wrote, and those of them that are due.
fn entries(inputs: &Inputs<'_>) -> impl Iterator<Item = Step> {
    let program = |argv: &[String]| argv.first().cloned();
    let found = &inputs.ours.entries_to_make;
    let due = inputs.ours.due_rebuilds.iter();
    let due =
        due.filter(move |argv| program(argv).as_deref() == Some(KERNEL_INSTALL) && !found.contains(argv));
    found.iter().chain(due).zip(1..).map(|(argv, number)| Step {
        id: format!("entry-anew-{number}"),
        title: "Have kernel-install make an entry anew".to_owned(),
        because: "it made that one of a command line that held parameters of ours".to_owned(),
        action: Action::Rebuild { argv: argv.clone(), outputs: Vec::new(), undo: Vec::new() },
    })
}

/// Names the files of ours that somebody changed and that this plan writes anew.
pub(super) fn name_edits(inputs: &Inputs<'_>, steps: &[Step], findings: &mut Vec<Finding>) {
    for step in steps.iter().filter(|step| !step.is_settled() && !step.id.starts_with("retire-")) {
        let Some((path, own)) = step.action.path().and_then(|path| inputs.ours.files.get_key_value(path))
        else {
            continue;
        };
        let whole = own.original == FileState::Absent || is_whole(path.as_str());
        if whole && path.as_str() != ANSWERS && inputs.target.state(path) != &own.written {
            findings.push(
                Finding::new(
                    Code::TargetConflict,
                    Severity::Warning,
                    format!("{path} was changed since it was written, and it is written anew"),
                    "keep changes of your own in another file; the difference is in the plan",
                )
                .in_file(path.as_str()),
            );
        }
    }
}

/// A file without what is ours; `None` where that cannot be told apart.
///
/// Parameters of ours go, and what they had displaced comes back. Of a file that we wrote whole, the
/// lines that we wrote go, and those that we left out come back; one that we made goes with its
/// last line.
pub fn without_ours(
    path: &TargetPath,
    own: &OwnFile,
    present: &FileState,
    tokens: &[String],
) -> Option<FileState> {
    let kept = text_without_ours(path, own, present, tokens)?;
    let is_empty = own.original == FileState::Absent && kept.trim().is_empty();
    Some(if is_empty { FileState::Absent } else { present.with_text(kept) })
}

fn text_without_ours(
    path: &TargetPath,
    own: &OwnFile,
    present: &FileState,
    tokens: &[String],
) -> Option<String> {
    let text = present.text()?;
    let name = path.as_str();
    let original = own.original.text().unwrap_or_default();
    let displaced = displaced(original, tokens);
    let file = path.file_name();
    Some(if name == ANSWERS {
        // Whoever edited them made them theirs.
        text.strip_prefix(&answers_head()).unwrap_or(text).to_owned()
    } else if name == "/etc/default/grub" {
        let without = grub_default::remove_parameters(text, tokens).ok()?;
        let without = grub_default::set_parameters(&without, &displaced).ok()?;
        grub_default::unset_default_entry(&without, original, bootloader::HOST_NAME).ok()?
    } else if name == CLIENT_INI {
        looking_glass::without_head(text)
    } else if name == QEMU_CONF {
        looking_glass::without_ours(text, original).ok()?
    } else if own.original == FileState::Absent || is_whole(name) {
        lines_of_others(text, own.written.text()?, original)
    } else if name == "/etc/sdboot-manage.conf" {
        let without = sdboot_manage::remove_parameters(text, tokens).ok()?;
        let without = sdboot_manage::set_parameters(&without, &displaced).ok()?;
        sdboot_manage::unkeep_foreign(&without, original).ok()?
    } else if ["limine.conf", "limine.cfg"].contains(&file) {
        let text = block::remove_block(text);
        limine_conf::remove_added(&text, original, limine_conf::Format::of(file), tokens)
    } else if ["refind_linux.conf", "refind.conf"].contains(&file) {
        refind::remove_added(&block::remove_block(text), original, refind::Format::of(file), tokens)
    } else if file == "loader.conf" {
        let ours = loader_conf::default(own.written.text()?)?;
        loader_conf::unset_default(text, original, ours)
    } else if name.starts_with("/etc/kernel/") || name.starts_with("/etc/cmdline.d/") {
        let without = kernel_cmdline::remove_parameters(text, tokens);
        if displaced.is_empty() {
            without
        } else {
            kernel_cmdline::set_parameters(&without, &displaced).ok()?
        }
    } else if path.parent().ends_with("/loader/entries") {
        loader_entry::set_parameters(&loader_entry::remove_parameters(text, tokens), &displaced).ok()?
    } else {
        // A configuration of mkinitcpio lies wherever a preset has it.
        let without = block::remove_block(text);
        let ours = name.starts_with("/etc/mkinitcpio") || name == "/etc/default/limine" || without != text;
        return ours.then_some(without);
    })
}

/// Whether a file is written whole, whatever stood there before.
fn is_whole(path: &str) -> bool {
    path == binding::VFIO_CONF || WHOLE.contains(&path)
}

/// The lines of a text that we did not write: those of the original, but for what somebody took out
/// since, then what somebody added.
fn lines_of_others(present: &str, written: &str, original: &str) -> String {
    let has = |text: &str, line: &str| text.lines().any(|other| other == line);
    let kept = original.lines().filter(|line| !has(written, line) || has(present, line));
    let added = present.lines().filter(|line| !has(written, line) && !has(original, line));
    kept.chain(added).fold(String::new(), |text, line| text + line + "\n")
}
