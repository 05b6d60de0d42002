//! What host entries start: copies of the kernel and the initramfs that booted last, so that a build
//! that went wrong does not take the way back with it.

mod room;

use std::collections::BTreeSet;

use super::host_entry::HostEntry;
use crate::facts::Target;
use crate::facts::target::{KEPT, is_kept};
use crate::id::TargetPath;
use crate::step::{Action, Step};

pub(super) use room::{SPARE, mount_of, no_room, no_room_for_all, too_many};
use room::{has_room, new_copy};

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

    /// Whether it makes a copy of one of these.
    fn makes_any(&self, files: &BTreeSet<String>) -> bool {
        self.steps.iter().filter_map(new_copy).any(|(from, _)| files.contains(from.as_str()))
    }

    /// The originals and their copies.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &TargetPath)> {
        self.files.iter().map(|(file, copy)| (file.as_str(), copy))
    }
}

/// How the names of copies begin, so that no generator of entries takes one for a kernel. A new pair
/// goes beside the one in use: the entry changes from whole to whole, whenever the power goes.
pub(super) const SLOTS: [&str; 2] = ["kept-", "kept2-"];

/// What the boot that was good is known to have started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proven {
    /// Kernels of the very build that runs.
    pub kernels: BTreeSet<String>,
    /// Files that are as they were when this boot began.
    pub files: BTreeSet<String>,
}

impl Proven {
    fn covers(&self, own: &[&String]) -> bool {
        let all = own.iter().all(|file| self.files.contains(*file));
        all && own.iter().any(|file| self.kernels.contains(*file))
    }

    /// The same of images with a kernel in each.
    pub(super) fn shows(&self, images: &[&str]) -> bool {
        images.iter().all(|image| self.files.contains(*image) && self.kernels.contains(*image))
    }
}

/// The copies that lost their modules, while what they are copies of has its own: an update replaced it.
pub(super) fn lost(target: &Target) -> impl Iterator<Item = &str> {
    let without = |path: &str| target.without_modules.contains(path);
    let is_replaced = move |copy: &&str| {
        let Some((mount, name)) = copy.split_once(&format!("/{KEPT}/")) else { return false };
        let Some(name) = SLOTS.iter().find_map(|slot| name.strip_prefix(slot)) else { return false };
        let others = target.boot_files.keys().filter(|path| !is_kept(path) && path.starts_with(mount));
        others.filter(|path| path.rsplit('/').next() == Some(name)).any(|path| !without(path))
    };
    target.without_modules.iter().map(String::as_str).filter(is_replaced)
}

/// What a copy is a copy of, by name: the one in the other slot.
pub(super) fn counterpart(copy: &TargetPath) -> Option<TargetPath> {
    let other = |(own, other): (&str, &str)| {
        let name = copy.file_name().strip_prefix(own)?;
        format!("{}/{other}{name}", copy.parent()).parse().ok()
    };
    other((SLOTS[0], SLOTS[1])).or_else(|| other((SLOTS[1], SLOTS[0])))
}

/// Where the copy of a file goes.
fn place(mount: &str, slot: &str, file: &str) -> Option<TargetPath> {
    let (_, name) = file.rsplit_once('/')?;
    format!("{mount}/{KEPT}/{slot}{name}").parse().ok()
}

/// Whether a file belongs to one kernel; microcode serves them all.
fn is_own(file: &str) -> bool {
    !file.rsplit('/').next().unwrap_or_default().contains("ucode")
}

/// The copies of these files of a boot partition. None where something is not there yet (the
/// installer builds it later) or there is no room.
///
/// An apply keeps what is there before it changes anything. After a boot that was good, what that
/// boot started is copied anew, and nothing else: what nobody started yet is no way back.
pub(super) fn keep(target: &Target, host: &HostEntry, mount: &str, files: &[String]) -> Kept {
    let own: Vec<&String> = files.iter().filter(|file| is_own(file)).collect();
    let is_there =
        |path: &TargetPath| host.copies.contains(path) && target.boot_files.contains_key(path.as_str());
    let holds =
        |slot: &&&str| own.iter().all(|file| place(mount, slot, file).is_some_and(|path| is_there(&path)));
    // An update took the modules of what was kept: what it starts would find no driver.
    let lost: BTreeSet<&str> = lost(target).collect();
    let is_lost = |slot: &&&str| {
        own.iter().any(|file| place(mount, slot, file).is_some_and(|path| lost.contains(path.as_str())))
    };
    let present = SLOTS.iter().find(|slot| holds(slot) && !is_lost(slot)).copied();
    // Nothing of ours is there: what an earlier run left is no copy of what is there now.
    let is_empty =
        |slot: &&&str| !own.iter().any(|file| place(mount, slot, file).is_some_and(|path| is_there(&path)));
    let free = SLOTS.iter().filter(|slot| Some(**slot) != present).find(is_empty).copied();
    let copies = |slot: &str| {
        let kept = copies(target, mount, slot, &own, &is_there)?;
        (has_room(target, mount, &kept) && !kept.makes_any(&host.unkept)).then_some(kept)
    };
    let in_use = || present.and_then(copies).unwrap_or_default();
    match &host.renewal {
        None => present.or(free).and_then(copies).unwrap_or_default(),
        Some(proven) if proven.covers(&own) => free.and_then(copies).unwrap_or_else(in_use),
        Some(_) => in_use(),
    }
}

/// The copies in one slot; `None` where something to copy is not there.
fn copies(
    target: &Target,
    mount: &str,
    slot: &str,
    own: &[&String],
    is_there: &impl Fn(&TargetPath) -> bool,
) -> Option<Kept> {
    let mut kept = Kept::default();
    for file in own {
        let (path, from) = (place(mount, slot, file)?, file.parse::<TargetPath>().ok()?);
        let is_there = is_there(&path);
        if !is_there && !target.boot_files.contains_key(*file) {
            return None;
        }
        kept.steps.push(Step {
            id: format!("keep-{}", path.file_name().trim_start_matches(slot)),
            title: "Keep what boots now for the entry without passthrough".to_owned(),
            because: "a build that goes wrong must not take the way back with it".to_owned(),
            action: Action::CopyFile { from, path: path.clone(), is_there },
        });
        kept.files.push(((*file).clone(), path));
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [&str; 3] = ["/boot/vmlinuz-linux", "/boot/initramfs-linux.img", "/boot/intel-ucode.img"];

    fn target(copies: &[&str]) -> Target {
        let mut target = Target::default();
        let there = FILES.iter().chain(copies);
        target.boot_files = there.map(|path| ((*path).to_owned(), 10 << 20)).collect();
        target
    }

    fn host(copies: &[&str], proven: Option<&[&str]>) -> HostEntry {
        let set = |files: &[&str]| files.iter().map(|file| (*file).to_owned()).collect::<BTreeSet<_>>();
        let renewal = proven.map(|files| Proven {
            kernels: set(files).into_iter().filter(|file| file.contains("vmlinuz")).collect(),
            files: set(files),
        });
        let copies = copies.iter().map(|path| path.parse().unwrap()).collect();
        HostEntry { copies, renewal, ..HostEntry::default() }
    }

    /// The copies, each with `+` where it is made now.
    fn kept(target: &Target, host: &HostEntry) -> Vec<String> {
        let kept = keep(target, host, "/boot", &FILES.map(str::to_owned));
        let shown = |step: &Step| {
            let sign = if step.is_settled() { "" } else { "+" };
            format!("{sign}{}", step.action.path().unwrap().file_name())
        };
        assert_eq!(kept.steps.len(), kept.files.len());
        kept.steps.iter().map(shown).collect()
    }

    const FIRST: [&str; 2] =
        ["/boot/neuron-host/kept-vmlinuz-linux", "/boot/neuron-host/kept-initramfs-linux.img"];
    const SECOND: [&str; 2] =
        ["/boot/neuron-host/kept2-vmlinuz-linux", "/boot/neuron-host/kept2-initramfs-linux.img"];
    const PROVEN: &[&str] = &["/boot/vmlinuz-linux", "/boot/initramfs-linux.img"];

    #[test]
    fn an_apply_keeps_what_is_there_and_leaves_copies_alone() {
        let new = ["+kept-vmlinuz-linux", "+kept-initramfs-linux.img"];
        assert_eq!(kept(&target(&[]), &host(&[], None)), new);
        let (first, second) = (["kept-vmlinuz-linux", "kept-initramfs-linux.img"], SECOND);
        assert_eq!(kept(&target(&FIRST), &host(&FIRST, None)), first);
        let in_second = ["kept2-vmlinuz-linux", "kept2-initramfs-linux.img"];
        assert_eq!(kept(&target(&second), &host(&second, None)), in_second);
    }

    #[test]
    fn after_a_good_boot_the_pair_goes_beside_the_one_in_use() {
        let first = ["+kept-vmlinuz-linux", "+kept-initramfs-linux.img"];
        let second = ["+kept2-vmlinuz-linux", "+kept2-initramfs-linux.img"];
        assert_eq!(kept(&target(&[]), &host(&[], Some(PROVEN))), first);
        assert_eq!(kept(&target(&FIRST), &host(&FIRST, Some(PROVEN))), second);
        assert_eq!(kept(&target(&SECOND), &host(&SECOND, Some(PROVEN))), first);
    }

    #[test]
    fn what_is_not_proven_is_not_copied() {
        for proven in [&[][..], &PROVEN[..1], &PROVEN[1..]] {
            assert_eq!(kept(&target(&[]), &host(&[], Some(proven))), Vec::<String>::new(), "{proven:?}");
            let in_use = ["kept-vmlinuz-linux", "kept-initramfs-linux.img"];
            assert_eq!(kept(&target(&FIRST), &host(&FIRST, Some(proven))), in_use, "{proven:?}");
        }
    }

    #[test]
    fn without_room_or_beside_a_leftover_the_pair_in_use_stays() {
        let in_use = ["kept-vmlinuz-linux", "kept-initramfs-linux.img"];
        let mut full = target(&FIRST);
        full.boot_room.insert("/boot".to_owned(), 20 << 20);
        assert_eq!(kept(&full, &host(&FIRST, Some(PROVEN))), in_use);
        let all = [FIRST[0], FIRST[1], SECOND[1]];
        assert_eq!(kept(&target(&all), &host(&all, Some(PROVEN))), in_use);
    }

    #[test]
    fn nobody_is_left_without_copies_and_without_a_word() {
        for (room, has_copies) in [(20 << 20, false), (40 << 20, false), (46 << 20, true)] {
            let mut target = target(&[]);
            target.boot_room.insert("/boot".to_owned(), room);
            assert_eq!(!kept(&target, &host(&[], None)).is_empty(), has_copies, "{room}");
            // Microcode is counted here, and serves all kernels: said too early rather than not at all.
            assert!(has_copies || no_room(&target).is_some(), "{room}");
            target.boot_files.remove(FILES[2]);
            assert_eq!(no_room(&target).is_some(), !has_copies, "{room}, without microcode");
        }
        assert!(no_room(&target(&[])).is_none());
    }

    #[test]
    fn the_other_slot_of_a_copy_is_found() {
        let (first, second) = (FIRST[0].parse().unwrap(), SECOND[0].parse().unwrap());
        assert_eq!(counterpart(&first).as_ref(), Some(&second));
        assert_eq!(counterpart(&second), Some(first));
        assert_eq!(counterpart(&"/boot/vmlinuz-linux".parse().unwrap()), None);
    }
}
