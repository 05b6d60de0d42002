//! Room for copies on the boot partitions: of one kernel, and of all that are kept.

use std::collections::{BTreeMap, BTreeSet};

use super::Kept;
use crate::facts::Target;
use crate::facts::target::KEPT;
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Severity};
use crate::step::{Action, Step};

/// Room that is left to a build: image files are written anew before the old ones go.
pub(in crate::bootloader) const SPARE: u64 = 16 << 20;

/// Whether the copies of one kernel fit.
pub(super) fn has_room(target: &Target, mount: &str, kept: &Kept) -> bool {
    needed(target, mount, kept) <= target.boot_room.get(mount).copied().unwrap_or(u64::MAX)
}

/// The bytes that are needed for copies that are still to be made, and for a build afterwards.
fn needed(target: &Target, mount: &str, kept: &Kept) -> u64 {
    let size = |file: &str| target.boot_files.get(file).copied().unwrap_or_default();
    let new = kept.steps.iter().filter(|step| !step.is_settled()).zip(&kept.files);
    let new: u64 = new.map(|(_, (file, _))| size(file)).sum();
    let own = kept.files.iter().map(|(file, _)| size(file));
    let largest = own.chain(at_top(target, mount)).max().unwrap_or_default();
    if new == 0 { 0 } else { new + largest + SPARE }
}

/// The sizes of what lies at the top of a boot partition. Any image among it may be built next, that of a kernel
/// whose copy is there already as well.
fn at_top<'a>(target: &'a Target, mount: &'a str) -> impl Iterator<Item = u64> + Clone + 'a {
    let is_inside = move |path: &str| path.rsplit_once('/').is_some_and(|(folder, _)| folder == mount);
    target.boot_files.iter().filter(move |(path, _)| is_inside(path)).map(|(_, size)| *size)
}

/// The file that a step copies, and where to, if the copy is not there yet.
pub(super) fn new_copy(step: &Step) -> Option<(&TargetPath, &TargetPath)> {
    match &step.action {
        Action::CopyFile { from, path, is_there: false } => Some((from, path)),
        _ => None,
    }
}

/// The files whose copies do not fit beside those before them, by their boot partition. Those of one kernel are
/// known to fit alone; those of all have to be, before anything is written.
pub(in crate::bootloader) fn too_many(target: &Target, steps: &[Step]) -> BTreeMap<String, BTreeSet<String>> {
    // Two loaders may start one copy.
    let mut seen: BTreeSet<&TargetPath> = BTreeSet::new();
    let mut new: BTreeMap<&str, Vec<(&TargetPath, u64)>> = BTreeMap::new();
    for (from, path) in steps.iter().filter_map(new_copy).filter(|(_, path)| seen.insert(path)) {
        let size = target.boot_files.get(from.as_str()).copied().unwrap_or_default();
        new.entry(mount_of(target, path)).or_default().push((from, size));
    }
    let mut refused: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (mount, files) in new {
        let own = files.iter().map(|(_, size)| *size);
        let largest = own.chain(at_top(target, mount)).max().unwrap_or_default();
        let mut left =
            target.boot_room.get(mount).copied().unwrap_or(u64::MAX).saturating_sub(largest + SPARE);
        for (from, size) in files {
            match left.checked_sub(size) {
                Some(rest) => left = rest,
                None => {
                    refused.entry(mount.to_owned()).or_default().insert(from.to_string());
                }
            }
        }
    }
    refused
}

/// The boot partition of a file.
pub(in crate::bootloader) fn mount_of<'a>(target: &'a Target, file: &TargetPath) -> &'a str {
    let holds = |mount: &&String| file.as_str().starts_with(&format!("{mount}/"));
    let mounts = target.boot_room.keys().filter(holds);
    mounts.max_by_key(|mount| mount.len()).map_or("", String::as_str)
}

/// What is worth knowing where the copies of some kernels fit, and not of all.
pub(in crate::bootloader) fn no_room_for_all(
    target: &Target,
    mount: &str,
    files: &BTreeSet<String>,
) -> Finding {
    let free = target.boot_room.get(mount).copied().unwrap_or_default();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    Finding::new(
        Code::NoRoomForCopies,
        Severity::Warning,
        format!(
            "{mount} has only {} MiB free, which is not enough for the copies of every kernel: without passthrough, \
             the kernel of {} starts from the same files as with it",
            free >> 20,
            files.join(", ")
        ),
        "make room there, then run `neuron-provisioner apply` again: it keeps copies of its own",
    )
    .in_file(mount)
}

/// What is worth knowing where a boot partition has no room for copies.
pub(in crate::bootloader) fn no_room(target: &Target) -> Option<Finding> {
    // As much as `needed` would ask for.
    let needed = |mount: &str| {
        let sizes = at_top(target, mount);
        let largest = sizes.clone().max()?;
        Some(sizes.sum::<u64>() + largest + SPARE)
    };
    let kept =
        |mount: &str| target.boot_files.keys().any(|path| path.starts_with(&format!("{mount}/{KEPT}/")));
    let full = target
        .boot_room
        .iter()
        .find(|(mount, free)| needed(mount).is_some_and(|needed| !kept(mount) && **free < needed));
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

#[cfg(test)]
mod tests {
    use super::super::{HostEntry, keep};
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Two kernels of 10 MiB, each with an image of 40.
    fn target(free: u64) -> Target {
        let mut target = Target::default();
        for kernel in ["linux", "lts"] {
            target.boot_files.insert(format!("/boot/vmlinuz-{kernel}"), 10 * MIB);
            target.boot_files.insert(format!("/boot/initramfs-{kernel}.img"), 40 * MIB);
        }
        target.boot_room.insert("/boot".to_owned(), free);
        target
    }

    /// What is kept of both kernels.
    fn kept(target: &Target, unkept: &BTreeSet<String>) -> Vec<Step> {
        let host = HostEntry { unkept: unkept.clone(), ..HostEntry::default() };
        let of = |kernel: &str| {
            let files = [format!("/boot/vmlinuz-{kernel}"), format!("/boot/initramfs-{kernel}.img")];
            keep(target, &host, "/boot", &files).steps
        };
        let steps: Vec<Step> = ["linux", "lts"].into_iter().flat_map(of).collect();
        assert!(steps.iter().all(|step| new_copy(step).is_some()));
        steps
    }

    fn refused(free: u64) -> (Vec<String>, usize) {
        let target = target(free);
        let all = kept(&target, &BTreeSet::new());
        // Two loaders may start the same copies.
        let twice: Vec<Step> = all.iter().chain(&all).cloned().collect();
        let found = too_many(&target, &twice);
        assert_eq!(found, too_many(&target, &all));
        let files: BTreeSet<String> = found.into_values().flatten().collect();
        let left = kept(&target, &files).len();
        (files.into_iter().collect(), left)
    }

    #[test]
    fn the_copies_of_all_kernels_have_to_fit_with_room_for_a_build() {
        let both = 2 * 50 * MIB + 40 * MIB + SPARE;
        assert_eq!(refused(both), (Vec::new(), 4));
        let image = "/boot/initramfs-lts.img".to_owned();
        assert_eq!(refused(both - 1), (vec![image.clone()], 2), "the first kernel has its copies");
        let one = 50 * MIB + 40 * MIB + SPARE;
        assert_eq!(refused(one), (vec![image, "/boot/vmlinuz-lts".to_owned()], 2));
        // Not even one: nothing is copied, and `no_room` says so.
        assert_eq!(refused(one - 1), (Vec::new(), 0));
        assert!(no_room(&target(one - 1)).is_some());
    }

    /// The other kernel has its copies, and its image is built anew in a while.
    #[test]
    fn a_larger_image_of_another_kernel_can_be_built_afterwards() {
        let largest = 80 * MIB;
        let enough = 50 * MIB + largest + SPARE;
        for (free, copies, fits) in [(enough, 2, true), (enough - 1, 0, false)] {
            let mut target = target(free);
            let all = kept(&target, &BTreeSet::new());
            target.boot_files.insert("/boot/initramfs-lts.img".to_owned(), largest);
            let files = ["/boot/vmlinuz-linux", "/boot/initramfs-linux.img"].map(str::to_owned);
            let steps = keep(&target, &HostEntry::default(), "/boot", &files).steps;
            assert_eq!(steps.len(), copies, "{free}");
            let of_one: Vec<Step> = all.into_iter().filter(|step| step.id.contains("-linux")).collect();
            assert_eq!(of_one.len(), 2);
            assert_eq!(too_many(&target, &of_one).is_empty(), fits, "{free}");
        }
    }

    #[test]
    fn what_fits_not_is_named_with_its_partition() {
        let files = ["/boot/initramfs-lts.img".to_owned()].into();
        let found = no_room_for_all(&target(120 * MIB), "/boot", &files);
        assert_eq!((found.code, found.subject.as_deref()), (Code::NoRoomForCopies, Some("/boot")));
        assert!(
            found.message.contains("120 MiB") && found.message.contains("initramfs-lts.img"),
            "{found:?}"
        );
    }
}
