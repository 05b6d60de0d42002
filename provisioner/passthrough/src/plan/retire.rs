//! Taking back what earlier applies wrote: whole where nobody touched it since, else only what is
//! ours.

use super::{ANSWERS, Draft, Inputs, OwnFile, answers, images, loaders};
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Severity};
use crate::step::{Action, FileState, Step};
use crate::text::command_line::displaced;
use crate::text::{
    block, grub_default, kernel_cmdline, limine_conf, loader_conf, loader_entry, refind, sdboot_manage,
};
use crate::{binding, bootloader};

/// Takes one file of ours back; nothing happens to one that is not ours. What somebody changed
/// since keeps their change, or is left alone and named where that cannot be told apart.
pub(super) fn one(inputs: &Inputs<'_>, path: &str, draft: &mut Draft) {
    let Some((path, own)) =
        path.parse().ok().and_then(|path: TargetPath| inputs.ours.files.get_key_value(&path))
    else {
        return;
    };
    let before = inputs.target.files.get(path).unwrap_or(&own.written);
    let action = if *before == own.written {
        restored(path, own, before)
    } else if let Some(text) = without_ours(path, own, before, &inputs.ours.tokens) {
        Some(Action::WriteFile { path: path.clone(), before: before.clone(), after: before.with_text(text) })
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
    let (path, before) = (path.clone(), before.clone());
    match &own.original {
        FileState::Absent if before == FileState::Absent => None,
        FileState::Absent => Some(Action::RemoveFile { path, before }),
        original => Some(Action::WriteFile { path, before, after: original.clone() }),
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
    for path in inputs.ours.files.keys().filter(|path| path.as_str() != ANSWERS) {
        one(inputs, path.as_str(), draft);
    }
    if !inputs.ours.files.is_empty() || inputs.answers_text.is_some() {
        draft.steps.extend(answers(inputs));
    }
    draft.steps.extend(images(inputs, draft));
    let menus = loaders::rebuilds(inputs, draft);
    draft.steps.extend(menus);
    draft.rebuilds_last();
}

/// Names the files of ours that somebody changed and that this plan writes anew.
pub(super) fn name_edits(inputs: &Inputs<'_>, steps: &[Step], findings: &mut Vec<Finding>) {
    for step in steps.iter().filter(|step| !step.is_settled() && !step.id.starts_with("retire-")) {
        let Some((path, own)) = step.action.path().and_then(|path| inputs.ours.files.get_key_value(path))
        else {
            continue;
        };
        let whole = own.original == FileState::Absent || path.as_str() == binding::VFIO_CONF;
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

/// A file's text without what is ours; `None` where that cannot be told apart.
///
/// Parameters of ours go, and what they had displaced comes back. Of a file that we made, the lines
/// that we wrote go.
pub fn without_ours(
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
    let kept = if name == "/etc/default/grub" {
        let without = grub_default::remove_parameters(text, tokens).ok()?;
        let without = grub_default::set_parameters(&without, &displaced).ok()?;
        grub_default::unset_default_entry(&without, original, bootloader::HOST_NAME).ok()?
    } else if own.original == FileState::Absent || name == binding::VFIO_CONF {
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
    } else if name.starts_with("/etc/mkinitcpio") || name == "/etc/default/limine" {
        block::remove_block(text)
    } else {
        return None;
    };
    (kept != text).then_some(kept)
}

/// The lines of a text that we did not write; those of the original stay.
fn lines_of_others(present: &str, written: &str, original: &str) -> String {
    let ours: Vec<&str> =
        written.lines().filter(|line| !original.lines().any(|other| other == *line)).collect();
    present.lines().filter(|line| !ours.contains(line)).fold(String::new(), |text, line| text + line + "\n")
}
