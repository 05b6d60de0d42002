//! The host's image that a good boot leaves: a copy that no build writes over.
//!
//! mkinitcpio's package hook builds every preset anew whenever something that goes into images was updated,
//! systemd or firmware for example: the host's image and the other one by one run, and broken together. What was
//! built beside an image whose boot was good is therefore kept, in the menu as well.

use super::{Image, all_presets, host_images, presets, room};
use crate::bootloader::Lost;
use crate::bootloader::host_entry::{self, HostEntry};
use crate::bootloader::kept::{SLOTS, SPARE, mount_of};
use crate::facts::Target;
use crate::id::TargetPath;
use crate::step::{Action, Step};

/// Where the copy of a host's image goes.
fn place(slot: &str, image: &str) -> Option<TargetPath> {
    let (folder, name) = image.rsplit_once('/')?;
    let stem = name.strip_prefix(host_entry::NAME)?.strip_prefix('-')?;
    format!("{folder}/{}-{slot}{stem}", host_entry::NAME).parse().ok()
}

/// The copy in the other slot.
pub(in crate::bootloader) fn counterpart(copy: &TargetPath) -> Option<TargetPath> {
    let rest = copy.file_name().strip_prefix(host_entry::NAME)?.strip_prefix('-')?;
    let [first, second] = SLOTS;
    let swapped = match (rest.strip_prefix(first), rest.strip_prefix(second)) {
        (Some(stem), _) => format!("{second}{stem}"),
        (_, Some(stem)) => format!("{first}{stem}"),
        _ => return None,
    };
    format!("{}/{}-{swapped}", copy.parent(), host_entry::NAME).parse().ok()
}

/// The step that keeps a host's image, or tells that it is kept. One is kept only after a boot that was good: of
/// the image that it stands beside (`twin`), by the kernel that is in both, and neither was written since.
pub(super) fn step(target: &Target, host: &HostEntry, twin: &str, image: &str) -> Option<Step> {
    let places: Vec<TargetPath> = SLOTS.iter().filter_map(|slot| place(slot, image)).collect();
    let is_there =
        |path: &&TargetPath| host.copies.contains(path) && target.boot_files.contains_key(path.as_str());
    let without = |path: &str| target.without_modules.contains(path);
    // Not before there is something better: an image whose kernel has its modules.
    let is_lost = |path: &TargetPath| without(path.as_str()) && !without(image);
    let present = places.iter().find(|path| is_there(path) && !is_lost(path));
    let free = places.iter().find(|path| Some(*path) != present && !is_there(path));
    let is_proven = host.renewal.as_ref().is_some_and(|proven| proven.shows(&[twin, image]));
    let new = free
        .filter(|_| is_proven && full(target, image).is_none() && !host.unkept.contains(image))
        .map(|path| (path, false));
    let (path, is_there) = new.or(present.map(|path| (path, true)))?;
    Some(Step {
        id: format!("keep-{}", image.rsplit('/').next()?),
        title: "Keep the image without passthrough that is there now".to_owned(),
        because: "a build that goes wrong must not take the way back with it".to_owned(),
        action: Action::CopyFile { from: image.parse().ok()?, path: path.clone(), is_there },
    })
}

/// The boot partition of an image, and the bytes that are free there, where it has no room for a copy and for a
/// build of an image as large; for the image itself, too, where that is still to be made.
pub(super) fn full<'a>(target: &'a Target, image: &str) -> Option<(&'a str, u64)> {
    let image: TargetPath = image.parse().ok()?;
    let mount = mount_of(target, &image);
    let free = target.boot_room.get(mount).copied()?;
    let needed = match target.boot_files.get(image.as_str()) {
        Some(size) => 2 * size,
        None => 3 * room::largest_beside(target, &image),
    };
    (needed + SPARE > free).then_some((mount, free))
}

/// Whether a copy of this host's image is there.
pub(super) fn is_kept(target: &Target, image: &str) -> bool {
    let mut places = SLOTS.iter().filter_map(|slot| place(slot, image));
    places.any(|path| target.boot_files.contains_key(path.as_str()))
}

/// Whether a file is a copy of an image that a preset of the host's builds.
pub(super) fn is_copy(target: &Target, path: &str) -> bool {
    host_images::made(target).iter().any(|image| {
        SLOTS.iter().filter_map(|slot| place(slot, image.as_str())).any(|copy| copy.as_str() == path)
    })
}

/// The host's images whose kernel lost its modules, whether or not it is known how each is built: what builds it
/// by hand is told where an apply would not.
pub(in crate::bootloader) fn lost(target: &Target) -> Vec<Lost> {
    let stale: Vec<String> = stale(target).map(|stale| stale.image).collect();
    let by_hand = |own: &TargetPath, image: &str| {
        // Without a preset beside ours an apply takes both away.
        let is_needed = host_images::beside(own).is_some_and(|beside| target.text(&beside).is_some());
        let name = own.file_name().trim_end_matches(".preset");
        (is_needed && !stale.iter().any(|known| known == image)).then(|| format!("mkinitcpio -p {name}"))
    };
    let ours = all_presets(target).filter(|(path, _)| host_images::is_ours(path));
    let ours =
        ours.flat_map(|(own, presets)| presets.images().into_iter().map(move |image| (own, image.path)));
    let lost = ours.filter(|(_, image)| target.without_modules.contains(image));
    lost.map(|(own, path)| Lost { by_hand: by_hand(own, &path), path }).collect()
}

/// Of those, the ones that an apply builds, each with the preset that builds it and its twin: an update built that
/// one anew, and left the host's.
pub(super) fn stale(target: &Target) -> impl Iterator<Item = Stale> {
    let without = |path: &str| target.without_modules.contains(path);
    presets(target).filter_map(move |(path, presets)| {
        let (_, twin) = host_images::twin(&presets).ok()??;
        let image = host_images::place(path, &twin.path)?;
        let is_new = target.boot_files.contains_key(&twin.path) && !without(&twin.path);
        let kernel = presets.kernel(&twin.preset)?.to_owned();
        let config = presets.configs().ok()?.into_iter().find(|config| config.preset == twin.preset);
        let config = config.map(|config| config.path);
        (without(&image) && is_new).then_some(Stale { image, twin, kernel, config })
    })
}

/// A host's image that is no way back any more, and how it is one again.
#[derive(Debug)]
pub(super) struct Stale {
    image: String,
    twin: Image,
    kernel: String,
    config: Option<String>,
}

impl Stale {
    /// The step that builds it with the kernel that is there now, as its preset would. By name, so that nothing
    /// else is built with it, nor is it once more when it goes.
    pub(super) fn build(self) -> Step {
        let Self { image, twin, kernel, config } = self;
        let [line, release] = [host_images::COMMAND_LINE, host_images::OS_RELEASE];
        let mut argv = vec!["mkinitcpio", "-k", &kernel];
        argv.extend(config.iter().flat_map(|config| ["-c", config]));
        argv.extend(["--cmdline", line, "--osrelease", release, "-U", &image]);
        Step {
            id: format!("host-image-{}", image.rsplit('/').next().unwrap_or_default()),
            title: "Build the image without GPU passthrough for the kernel that is there".to_owned(),
            because: format!(
                "an update took away the modules of the kernel in it, and built {} anew",
                twin.path
            ),
            action: Action::Rebuild {
                argv: argv.iter().map(|&word| word.to_owned()).collect(),
                outputs: image.parse().into_iter().collect(),
                undo: Vec::new(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::bootloader::kept::Proven;
    use crate::bootloader::{Bootloader as _, uki::UnifiedImages};
    use crate::policy::Code;
    use crate::step::FileState;

    const TWIN: &str = "/efi/EFI/Linux/arch-linux.efi";
    const IMAGE: &str = "/efi/EFI/Linux/neuron-host-linux.efi";
    const FIRST: &str = "/efi/EFI/Linux/neuron-host-kept-linux.efi";
    const SECOND: &str = "/efi/EFI/Linux/neuron-host-kept2-linux.efi";
    const MIB: u64 = 1 << 20;

    fn target(copies: &[&str], free: u64) -> Target {
        let mut target = Target::default();
        let there = [TWIN, IMAGE].iter().chain(copies);
        target.boot_files = there.map(|path| ((*path).to_owned(), 60 * MIB)).collect();
        target.boot_room.insert("/efi".to_owned(), free);
        target
    }

    fn host(copies: &[&str], files: Option<&[&str]>, kernels: &[&str]) -> HostEntry {
        let set = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<BTreeSet<_>>();
        HostEntry {
            copies: copies.iter().map(|path| path.parse().unwrap()).collect(),
            renewal: files.map(|files| Proven { files: set(files), kernels: set(kernels) }),
            ..HostEntry::default()
        }
    }

    /// Where the copy is, and whether it was there before.
    fn kept(target: &Target, host: &HostEntry) -> Option<(String, bool)> {
        let step = step(target, host, TWIN, IMAGE)?;
        let Action::CopyFile { from, path, is_there } = step.action else { panic!("no copy: {step:?}") };
        assert_eq!(from.as_str(), IMAGE);
        Some((path.to_string(), is_there))
    }

    const BOTH: &[&str] = &[TWIN, IMAGE];

    #[test]
    fn only_a_good_boot_keeps_an_image_and_beside_the_one_that_is_kept() {
        assert_eq!(kept(&target(&[], 999 * MIB), &host(&[], None, &[])), None);
        for (copies, new) in [(&[][..], FIRST), (&[FIRST], SECOND), (&[SECOND], FIRST)] {
            let proven = host(copies, Some(BOTH), BOTH);
            assert_eq!(kept(&target(copies, 136 * MIB), &proven), Some((new.to_owned(), false)));
            let in_use = copies.first().map(|path| ((*path).to_owned(), true));
            assert_eq!(kept(&target(copies, 136 * MIB - 1), &proven), in_use, "no room");
            assert_eq!(kept(&target(copies, 0), &host(copies, None, &[])), in_use, "an apply");
        }
        let full = [FIRST, SECOND];
        assert_eq!(
            kept(&target(&full, 999 * MIB), &host(&full, Some(BOTH), BOTH)),
            Some((FIRST.to_owned(), true))
        );
    }

    #[test]
    fn where_no_copy_will_ever_fit_that_is_said() {
        let said = |image_is_there: bool, free: u64| {
            let mut target = target(&[], free);
            let preset = FileState::config(format!("PRESETS=('a')\na_uki=\"{TWIN}\"\n"));
            target.files.insert("/etc/mkinitcpio.d/linux.preset".parse().unwrap(), preset);
            if !image_is_there {
                target.boot_files.remove(IMAGE);
            }
            let found = UnifiedImages.findings(&target);
            assert_eq!((found.len(), found[0].code), (1, Code::NoCopies));
            format!("{} {}", found[0].message, found[0].hint)
        };
        // Before the first build its own room goes, too.
        for (image_is_there, enough) in [(true, 136 * MIB), (false, 196 * MIB)] {
            let later = said(image_is_there, enough);
            assert!(later.contains("until a boot with passthrough was good"), "{later}");
            let never = said(image_is_there, enough - MIB);
            let free = format!("no room for a copy of it: /efi has only {} MiB free", (enough >> 20) - 1);
            assert!(never.contains(&free) && never.contains("make room in /efi"), "{never}");
            assert!(!never.contains("until a boot"), "{never}");
        }
    }

    #[test]
    fn what_the_boot_does_not_show_is_not_kept() {
        let target = target(&[], 999 * MIB);
        assert!(kept(&target, &host(&[], Some(BOTH), BOTH)).is_some());
        for (files, kernels) in
            [(&[][..], &[][..]), (&[TWIN], BOTH), (&[IMAGE], BOTH), (BOTH, &[TWIN]), (BOTH, &[IMAGE])]
        {
            assert_eq!(kept(&target, &host(&[], Some(files), kernels)), None, "{files:?} {kernels:?}");
        }
    }

    #[test]
    fn a_copy_without_modules_goes_once_the_image_has_its_own() {
        let mut target = target(&[FIRST], 999 * MIB);
        let host = host(&[FIRST], None, &[]);
        target.without_modules = [FIRST, IMAGE].map(str::to_owned).into();
        assert_eq!(kept(&target, &host), Some((FIRST.to_owned(), true)));
        target.without_modules.remove(IMAGE);
        assert_eq!(kept(&target, &host), None);
    }

    #[test]
    fn an_image_that_is_lost_is_named_whoever_can_build_it() {
        let linux = format!("PRESETS=('a')\na_uki=\"{TWIN}\"\n");
        let with_kernel = format!("{linux}a_kver=/boot/vmlinuz-linux\n");
        let by_hand = Some("mkinitcpio -p neuron-host-linux".to_owned());
        for (beside, is_built, wanted) in [
            (Some(with_kernel.clone()), true, None),
            (Some(linux), false, by_hand.clone()),
            (Some(format!("{with_kernel}a_config=$(theirs)\n")), false, by_hand.clone()),
            (Some(format!("{with_kernel}a_options=\"--cmdline $theirs\"\n")), false, by_hand),
            (None, false, None),
        ] {
            let mut target = target(&[], 0);
            let mut put = |name: &str, text: &str| {
                let path = format!("/etc/mkinitcpio.d/{name}.preset");
                target.files.insert(path.parse().unwrap(), FileState::config(text));
            };
            put("neuron-host-linux", &format!("PRESETS=('host')\nhost_uki=\"{IMAGE}\"\n"));
            if let Some(text) = &beside {
                put("linux", text);
            }
            assert!(lost(&target).is_empty(), "{beside:?}: the modules are there");
            target.without_modules = [IMAGE.to_owned()].into();
            let found: Vec<_> = lost(&target).into_iter().map(|lost| (lost.path, lost.by_hand)).collect();
            assert_eq!(found, [(IMAGE.to_owned(), wanted)], "{beside:?}");
            assert_eq!(stale(&target).count(), usize::from(is_built), "{beside:?}");
        }
    }

    #[test]
    fn the_other_slot_of_a_copy_is_found() {
        let other = |path: &str| Some(counterpart(&path.parse().unwrap())?.to_string());
        assert_eq!((other(FIRST).as_deref(), other(SECOND).as_deref()), (Some(SECOND), Some(FIRST)));
        assert_eq!((other(TWIN), other(IMAGE)), (None, None));
    }
}
