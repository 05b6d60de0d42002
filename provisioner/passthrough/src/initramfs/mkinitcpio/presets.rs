//! Which of mkinitcpio's presets have something to build.

use super::PRESETS;
use crate::facts::Target;
use crate::facts::target::BOOT_MOUNTS;
use crate::id::TargetPath;
use crate::step::FileState;
use crate::text::mkinitcpio_preset::{Image, Presets};

/// Which presets are built.
pub(super) enum ToBuild<'a> {
    /// All of them.
    All,
    /// These, by their names.
    These(Vec<&'a str>),
    /// There is none whose kernel is there.
    Nothing,
}

/// A preset stays where kernel-install took over, and the kernel that it names is gone: there
/// `mkinitcpio -P` fails, whatever it built for the others.
pub(super) fn to_build(target: &Target) -> ToBuild<'_> {
    let all = target.in_directory(PRESETS).count();
    let names = with_kernels(target).filter_map(|(path, _)| path.file_name().strip_suffix(".preset"));
    let these: Vec<&str> = names.collect();
    match these.len() {
        0 => ToBuild::Nothing,
        // A unified image's host image has a preset that is not there yet, which `-P` finds.
        some if some == all || images(target).any(|image| image.unified) => ToBuild::All,
        _ => ToBuild::These(these),
    }
}

/// The preset files whose kernels are there; one that cannot be read is mkinitcpio's to complain of.
fn with_kernels(target: &Target) -> impl Iterator<Item = (&TargetPath, Option<Presets>)> {
    let parsed = |state: &FileState| Presets::parse(state.text()?).ok();
    let is_gone = |path: &str| {
        // Of these it is known whether they are there.
        let is_known = path
            .rsplit_once('/')
            .is_some_and(|(folder, name)| BOOT_MOUNTS.contains(&folder) && name.starts_with("vmlinuz"));
        is_known && !target.boot_kernels.iter().any(|kernel| kernel == path)
    };
    let all = target.in_directory(PRESETS).map(move |(path, state)| (path, parsed(state)));
    all.filter(move |(_, presets)| {
        let presets = presets.iter();
        !presets.flat_map(|one| one.active().filter_map(|name| one.kernel(name))).any(is_gone)
    })
}

/// The images that the presets build.
pub(super) fn images(target: &Target) -> impl Iterator<Item = Image> {
    with_kernels(target).filter_map(|(_, presets)| presets).flat_map(|preset| preset.images())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::Owner;

    /// A target whose presets name these kernels, and where those of `there` lie.
    fn target(named: &[(&str, &str)], there: &[&str]) -> Target {
        let mut target = Target::default();
        for (name, kernel) in named {
            let text =
                format!("ALL_kver={kernel}\nPRESETS=('default')\ndefault_image=/boot/initramfs-{name}.img\n");
            let path = format!("{PRESETS}/{name}.preset").parse().expect("a path");
            let state = FileState::Regular { bytes: text.into(), mode: 0o644, owner: Owner::default() };
            target.files.insert(path, state);
        }
        target.boot_kernels = there.iter().map(|&path| path.to_owned()).collect();
        target
    }

    fn names(target: &Target) -> Option<Vec<&str>> {
        match to_build(target) {
            ToBuild::All => None,
            ToBuild::These(names) => Some(names),
            ToBuild::Nothing => Some(Vec::new()),
        }
    }

    #[test]
    fn a_preset_whose_kernel_is_gone_is_not_built() {
        let (linux, lts) = (("linux", "/boot/vmlinuz-linux"), ("linux-lts", "/boot/vmlinuz-linux-lts"));
        let both = [linux, lts];
        assert_eq!(names(&target(&both, &["/boot/vmlinuz-linux", "/boot/vmlinuz-linux-lts"])), None);
        let one = target(&both, &["/boot/vmlinuz-linux"]);
        assert_eq!(names(&one), Some(vec!["linux"]));
        assert_eq!(images(&one).map(|image| image.path).collect::<Vec<_>>(), ["/boot/initramfs-linux.img"]);
        assert_eq!(names(&target(&both, &[])), Some(Vec::new()));
        // By its release, and where nobody looked.
        for kernel in ["6.12.1-arch1-1", "/boot/kernel.efi", "/boot/id/6.12.1/vmlinuz"] {
            assert_eq!(names(&target(&[("linux", kernel)], &[])), None, "{kernel}");
        }
    }
}
