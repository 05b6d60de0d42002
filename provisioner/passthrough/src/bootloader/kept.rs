//! What host entries start: copies of the kernel and the initramfs that booted last, so that a build
//! that went wrong does not take the way back with it.

use super::host_entry::HostEntry;
use crate::facts::Target;
use crate::facts::target::KEPT;
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Severity};
use crate::step::{Action, Step};

/// Room that is left to a build: image files are written anew before the old ones go.
const SPARE: u64 = 16 << 20;

/// The copies of a kernel and its images: all of them, or none.
#[derive(Debug, Default)]
pub(super) struct Kept {
    files: Vec<(String, TargetPath)>,
    pub(super) steps: Vec<Step>,
}

impl Kept {
    /// What stands for a file: the place of its copy, or its own.
    pub(super) fn path<'a>(&'a self, original: &'a str) -> &'a str {
        let copy = self.files.iter().find(|(file, _)| file == original);
        copy.map_or(original, |(_, copy)| copy.as_str())
    }

    /// The originals and their copies.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &TargetPath)> {
        self.files.iter().map(|(file, copy)| (file.as_str(), copy))
    }
}

/// Where the copy of a file goes. No generator of entries takes it for a kernel.
fn place(mount: &str, file: &str) -> Option<TargetPath> {
    let (_, name) = file.rsplit_once('/')?;
    format!("{mount}/{KEPT}/kept-{name}").parse().ok()
}

/// Whether a file belongs to one kernel; microcode serves them all.
fn is_own(file: &str) -> bool {
    !file.rsplit('/').next().unwrap_or_default().contains("ucode")
}

/// The copies of these files of a boot partition. None where something is not there yet (the
/// installer builds it later) or there is no room.
pub(super) fn keep(target: &Target, host: &HostEntry, mount: &str, files: &[String]) -> Kept {
    let mut kept = Kept::default();
    for file in files.iter().filter(|file| is_own(file)) {
        let (Some(path), Ok(from)) = (place(mount, file), file.parse::<TargetPath>()) else {
            return Kept::default();
        };
        let is_there = host.copies.contains(&path) && target.boot_files.contains_key(path.as_str());
        if !is_there && !target.boot_files.contains_key(file) {
            return Kept::default();
        }
        kept.steps.push(Step {
            id: format!("keep-{}", path.file_name().trim_start_matches("kept-")),
            title: "Keep what boots now for the entry without passthrough".to_owned(),
            because: "a build that goes wrong must not take the way back with it".to_owned(),
            action: Action::CopyFile { from, path: path.clone(), is_there },
        });
        kept.files.push((file.clone(), path));
    }
    if needed(target, &kept) > target.boot_room.get(mount).copied().unwrap_or(u64::MAX) {
        return Kept::default();
    }
    kept
}

/// The bytes that are needed for copies that are still to be made, and for a build afterwards.
fn needed(target: &Target, kept: &Kept) -> u64 {
    let size = |file: &str| target.boot_files.get(file).copied().unwrap_or_default();
    let new = kept.steps.iter().filter(|step| !step.is_settled()).zip(&kept.files);
    let new: u64 = new.map(|(_, (file, _))| size(file)).sum();
    let largest = kept.files.iter().map(|(file, _)| size(file)).max().unwrap_or_default();
    if new == 0 { 0 } else { new + largest + SPARE }
}

/// What is worth knowing where a boot partition has no room for copies.
pub(super) fn no_room(target: &Target) -> Option<Finding> {
    let kernel = |mount: &str| {
        let inside = target
            .boot_files
            .iter()
            .filter(|(path, _)| path.rsplit_once('/').is_some_and(|(folder, _)| folder == mount));
        inside.map(|(_, size)| size).sum::<u64>()
    };
    let kept =
        |mount: &str| target.boot_files.keys().any(|path| path.starts_with(&format!("{mount}/{KEPT}/")));
    let full = target.boot_room.iter().find(|(mount, free)| {
        let whole = kernel(mount);
        whole > 0 && !kept(mount) && **free < whole + SPARE
    });
    full.map(|(mount, free)| {
        Finding::new(
            Code::NoRoomForCopies,
            Severity::Warning,
            format!(
                "{mount} has only {} MiB free, so the entry without passthrough starts the same kernel and \
                 initramfs as the other one",
                free >> 20
            ),
            "make room there, then run `neuron-provisioner apply` again: it keeps copies of its own",
        )
        .in_file(mount)
    })
}
