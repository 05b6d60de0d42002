//! In which order things go back: as long as an image is being built, the way back stays in the menu.
//!
//! A build can leave half an image, and a power cut makes that what boots. So what a loader reads, with the
//! entry and the copies that need no build, goes back only after the images are whole again; menus that are
//! made from other files are made last.

use super::execute::{Job, Work};
use crate::id::TargetPath;

/// Where loaders, and those who make their menus, read. Everything else may go into an image.
const MENUS: [&str; 5] = ["/boot/", "/efi/", "/etc/default/grub", "/etc/default/grub.d/", "/etc/grub.d/"];

/// When something goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turn {
    /// What a loader was told to start once: it must not start what is half taken back.
    Once,
    /// What images are built from.
    Inputs,
    /// Building them.
    Images,
    /// What was in the menus before.
    Menus,
    /// What we put there beside it.
    Additions,
    /// Making menus.
    MenuBuilds,
}

/// The turn of a file; `goes` when it was not there before.
pub(super) fn of_file(real: &TargetPath, fat: &[TargetPath], goes: bool) -> Turn {
    let path = real.as_str();
    let on_fat = fat.iter().any(|point| path.starts_with(&format!("{point}/")));
    let is_menu =
        on_fat || MENUS.iter().any(|menu| path == *menu || (menu.ends_with('/') && path.starts_with(menu)));
    match (is_menu, goes) {
        (false, _) => Turn::Inputs,
        (true, false) => Turn::Menus,
        (true, true) => Turn::Additions,
    }
}

/// The turn of a program. Only what builds images and nothing else comes before the menus: one that makes
/// entries as well (limine-mkinitcpio, kernel-install) would change them under our hands.
pub(super) fn of_program(argv: &[String]) -> Turn {
    let name = argv.first().and_then(|program| program.rsplit('/').next()).unwrap_or_default();
    match name {
        "grub-editenv" | "bootctl" => Turn::Once,
        "mkinitcpio" | "dracut" | "dracut-rebuild" => Turn::Images,
        _ => Turn::MenuBuilds,
    }
}

/// The turn of a job of a revert.
pub(super) fn of_job(job: &Job, fat: &[TargetPath]) -> Turn {
    match &job.work {
        Work::Nothing => Turn::Inputs,
        Work::Change(change) => of_file(&change.real, fat, change.after == super::content::Content::Absent),
        Work::Rebuild(argv, _) => of_program(argv),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn menus_go_back_after_images() {
        let turn = |path: &str, goes| of_file(&path.parse().unwrap(), &["/esp".parse().unwrap()], goes);
        assert_eq!(turn("/etc/modprobe.d/vfio.conf", true), Turn::Inputs);
        assert_eq!(turn("/etc/kernel/cmdline", false), Turn::Inputs);
        assert_eq!(turn("/etc/default/limine", false), Turn::Inputs);
        assert_eq!(turn("/etc/default/grub", false), Turn::Menus);
        assert_eq!(turn("/boot/loader/entries/arch.conf", false), Turn::Menus);
        assert_eq!(turn("/esp/loader/entries/aa-neuron-host-arch.conf", true), Turn::Additions);
        assert_eq!(turn("/etc/grub.d/99_neuron_host", true), Turn::Additions);
        assert_eq!(of_program(&["/usr/bin/grub-mkconfig".to_owned()]), Turn::MenuBuilds);
        assert_eq!(of_program(&["limine-mkinitcpio".to_owned()]), Turn::MenuBuilds);
        assert_eq!(of_program(&["mkinitcpio".to_owned(), "-P".to_owned()]), Turn::Images);
        assert_eq!(of_program(&["dracut-rebuild".to_owned()]), Turn::Images);
        assert_eq!(of_program(&["bootctl".to_owned(), "set-oneshot".to_owned()]), Turn::Once);
        assert!(
            Turn::Once < Turn::Inputs
                && Turn::Inputs < Turn::Images
                && Turn::Images < Turn::Menus
                && Turn::Additions < Turn::MenuBuilds
        );
    }
}
