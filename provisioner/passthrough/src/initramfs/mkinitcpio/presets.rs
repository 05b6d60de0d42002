//! Which of mkinitcpio's presets have something to build.

use super::PRESETS;
use crate::facts::Target;
use crate::facts::target::BOOT_MOUNTS;
use crate::id::TargetPath;
use crate::step::FileState;
use crate::text::mkinitcpio_preset::{Image, Presets};

/// What is planned and recorded: every preset, whichever those are when it runs.
pub(super) const ALL: [&str; 2] = ["mkinitcpio", "-P"];

/// Whether a build is of presets; an earlier version recorded them by their names.
pub(super) fn is_build(argv: &[String]) -> bool {
    let [program, option, ..] = argv else { return false };
    program.rsplit('/').next() == Some(ALL[0]) && [ALL[1], "-p"].contains(&option.as_str())
}

/// The command that builds the presets as they are now; none where no file of them has a kernel any more.
///
/// A preset stays where kernel-install took over, and the kernel that it names is gone: there
/// `mkinitcpio -P` fails, whatever it built for the others.
pub(super) fn build(target: &Target) -> Option<Vec<String>> {
    let all = target.in_directory(PRESETS).count();
    let names = with_kernels(target).filter_map(|(path, _)| path.file_name().strip_suffix(".preset"));
    let these: Vec<&str> = names.collect();
    let words = match these.len() {
        // mkinitcpio itself says best that there is none.
        some if some == all => ALL.to_vec(),
        0 => return None,
        _ => [ALL[0]].into_iter().chain(these.into_iter().flat_map(|name| ["-p", name])).collect(),
    };
    Some(words.into_iter().map(str::to_owned).collect())
}

/// The preset files but those of which every kernel is gone. Where only one of several is, or the file cannot
/// be read, it is mkinitcpio's to complain of.
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
        let Some(presets) = presets else { return true };
        let mut kernels = presets.active().map(|name| presets.kernel(name)).peekable();
        kernels.peek().is_none() || !kernels.all(|kernel| kernel.is_some_and(is_gone))
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

    fn words(target: &Target) -> Option<String> {
        build(target).map(|argv| argv.join(" "))
    }

    #[test]
    fn a_preset_whose_kernel_is_gone_is_not_built() {
        let (linux, lts) = (("linux", "/boot/vmlinuz-linux"), ("linux-lts", "/boot/vmlinuz-linux-lts"));
        let both = [linux, lts];
        let every = Some("mkinitcpio -P".to_owned());
        assert_eq!(words(&target(&both, &["/boot/vmlinuz-linux", "/boot/vmlinuz-linux-lts"])), every);
        let one = target(&both, &["/boot/vmlinuz-linux"]);
        assert_eq!(words(&one), Some("mkinitcpio -p linux".to_owned()));
        assert_eq!(images(&one).map(|image| image.path).collect::<Vec<_>>(), ["/boot/initramfs-linux.img"]);
        assert_eq!(words(&target(&both, &[])), None);
        assert_eq!(words(&target(&[], &[])), every);
        // By its release, and where nobody looked.
        for kernel in ["6.12.1-arch1-1", "/boot/kernel.efi", "/boot/id/6.12.1/vmlinuz"] {
            assert_eq!(words(&target(&[("linux", kernel)], &[])), every, "{kernel}");
        }
    }

    #[test]
    fn a_file_with_one_of_two_kernels_is_built_and_fails_loudly() {
        let text = "ALL_kver=/boot/vmlinuz-linux\nPRESETS=('default' 'old')\ndefault_image=/boot/a.img\n\
                    old_image=/boot/b.img\nold_kver=/boot/vmlinuz-old\n";
        let with = |there: &[&str]| {
            let mut target = target(&[("linux-lts", "/boot/vmlinuz-linux-lts")], there);
            let state = FileState::Regular { bytes: text.into(), mode: 0o644, owner: Owner::default() };
            target.files.insert(format!("{PRESETS}/linux.preset").parse().expect("a path"), state);
            words(&target)
        };
        let all = Some("mkinitcpio -P".to_owned());
        assert_eq!(with(&["/boot/vmlinuz-linux", "/boot/vmlinuz-linux-lts"]), all);
        // Beside a file that is left out, too.
        assert_eq!(with(&["/boot/vmlinuz-linux"]), Some("mkinitcpio -p linux".to_owned()));
        assert_eq!(with(&["/boot/vmlinuz-linux-lts"]), Some("mkinitcpio -p linux-lts".to_owned()));
    }

    #[test]
    fn builds_of_presets_are_told_from_the_others() {
        let is = |line: &str| is_build(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert!(
            ["mkinitcpio -P", "/usr/bin/mkinitcpio -P", "mkinitcpio -p linux -p lts"].map(is) == [true; 3]
        );
        assert!(["mkinitcpio -k 6.12.1 -g /a", "mkimage -P", "mkinitcpio"].map(is) == [false; 3]);
    }
}
