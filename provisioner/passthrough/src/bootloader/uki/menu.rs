//! Whether a boot menu shows the host's images: one that the firmware starts by itself stands in none.

use super::{UnifiedImages, all_presets, dracut, host_images};
use crate::bootloader::grub::Grub;
use crate::bootloader::systemd_boot::SystemdBoot;
use crate::bootloader::{ALL, Bootloader};
use crate::facts::target::BOOT_MOUNTS;
use crate::facts::{Running, Target};
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Severity};

/// What is to be said where the firmware starts the images and knows none without passthrough: there is
/// nothing to choose that in, and no kernel parameter can be typed.
pub(in crate::bootloader) fn missing(target: &Target, running: &Running) -> Option<Finding> {
    let mut images = host_images::made(target);
    images.extend(dracut::made(target));
    let image = images.iter().find(|image| !is_shown(target, running, image) && !is_known(running, image))?;
    Some(
        Finding::new(
            Code::NoBootMenu,
            Severity::Warning,
            format!(
                "no boot menu shows {image}, which starts without passthrough: the firmware starts the other image by \
                 itself, and lets nobody type a kernel parameter"
            ),
            format!(
                "once it is built, put it into the firmware's own menu, with the disk and the number of the boot \
                 partition: `efibootmgr --create --index 1 --disk DISK --part NUMBER --label \"Linux without GPU passthrough\" \
                 --loader '{}'`, and find the key that shows that menu; or have a menu installed by `bootctl install`",
                in_firmware(image.as_str())
            ),
        )
        .in_file(image.as_str()),
    )
}

/// systemd-boot shows what lies in one folder. Any other loader that starts the system has entries of its own, a
/// host entry among them.
fn is_shown(target: &Target, running: &Running, image: &TargetPath) -> bool {
    let is_in = |mount: &str| image.parent().eq_ignore_ascii_case(&format!("{mount}/EFI/Linux"));
    let is_at_work = |loader: &dyn Bootloader| is_at_work(target, running, loader.name());
    let by_systemd_boot = is_at_work(&SystemdBoot)
        && target.boot_mounts.iter().any(|mount| mount.has_systemd_boot)
        && BOOT_MOUNTS.iter().any(|mount| is_in(mount));
    let names = [UnifiedImages.name(), SystemdBoot.name()];
    let others = ALL.iter().filter(|loader| !names.contains(&loader.name()));
    by_systemd_boot || others.into_iter().any(|loader| loader.detect(target).is_some() && is_at_work(*loader))
}

/// Whether a loader whose files are there starts the system, by what the boot that runs tells: a package that was
/// left behind shows no menu. systemd-boot and GRUB leave a mark in every boot. Others need not: they count
/// unless another one left its mark, or the firmware started an image.
fn is_at_work(target: &Target, running: &Running, loader: &str) -> bool {
    let grub = Grub.name();
    if !running.is_target {
        return true;
    }
    if let Some(told) = &running.loader {
        return told.starts_with(loader);
    }
    if running.has_boot_image || loader == grub || loader == SystemdBoot.name() {
        return running.has_boot_image && loader == grub;
    }
    let started = running.firmware_started.as_deref().unwrap_or_default().to_ascii_lowercase();
    let mut built = all_presets(target).flat_map(|(_, presets)| presets.images());
    !built.any(|image| image.unified && started.contains(&in_firmware(&image.path).to_ascii_lowercase()))
}

/// Whether the firmware has an option of its own for an image.
fn is_known(running: &Running, image: &TargetPath) -> bool {
    let wanted = in_firmware(image.as_str()).to_ascii_lowercase();
    running.firmware_options.iter().any(|option| option.to_ascii_lowercase().contains(&wanted))
}

/// The path on its partition, as the firmware spells it.
fn in_firmware(image: &str) -> String {
    let inside = BOOT_MOUNTS.iter().filter_map(|mount| image.strip_prefix(mount));
    let inside = inside.filter(|rest| rest.starts_with('/')).min_by_key(|rest| rest.len());
    inside.unwrap_or(image).replace('/', "\\")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::target::BootMount;
    use crate::step::FileState;

    /// A target whose firmware starts an image of mkinitcpio.
    fn target(image: &str) -> Target {
        let mount = BootMount {
            path: "/boot/efi".to_owned(),
            has_systemd_boot: false,
            has_program: false,
            kernels: Vec::new(),
            unified_images: Vec::new(),
        };
        let mut target = Target { boot_mounts: vec![mount], ..Target::default() };
        put(&mut target, "/etc/mkinitcpio.d/linux.preset", &format!("PRESETS=('a')\na_uki=\"{image}\"\n"));
        target
    }

    fn put(target: &mut Target, path: &str, text: &str) {
        target.files.insert(path.parse().unwrap(), FileState::config(text));
    }

    fn knows(option: &str) -> Running {
        Running { firmware_options: vec![option.to_owned()], ..Running::default() }
    }

    const LINUX: &str = "/boot/efi/EFI/Linux/arch-linux.efi";
    const FALLBACK: &str = "/boot/efi/EFI/BOOT/BOOTX64.EFI";

    #[test]
    fn an_image_that_the_firmware_starts_has_no_menu() {
        for (image, option) in
            [(LINUX, "\\EFI\\Linux\\neuron-host-linux.efi"), (FALLBACK, "\\EFI\\BOOT\\neuron-host-linux.efi")]
        {
            let found = missing(&target(image), &knows("Windows Boot Manager")).unwrap();
            assert_eq!((found.code, found.severity), (Code::NoBootMenu, Severity::Warning));
            assert!(found.hint.contains(&format!("--loader '{option}'")), "{}", found.hint);
            let shown = option.to_ascii_uppercase();
            assert_eq!(missing(&target(image), &knows(&format!("Linux\0..{shown}\0"))), None, "{image}");
        }
        assert_eq!(missing(&Target::default(), &Running::default()), None);
    }

    #[test]
    fn a_menu_shows_what_lies_where_it_looks() {
        let with_menu = |image: &str| {
            let mut target = target(image);
            target.boot_mounts[0].has_systemd_boot = true;
            missing(&target, &Running::default())
        };
        assert_eq!(with_menu(LINUX), None);
        assert_eq!(with_menu(&LINUX.replace("EFI/Linux", "efi/linux")), None, "FAT ignores case");
        assert!(with_menu(FALLBACK).is_some());
        for (path, text) in
            [("/boot/efi/EFI/refind/refind.conf", "timeout 5\n"), ("/etc/default/grub", "GRUB_TIMEOUT=5\n")]
        {
            let mut target = target(LINUX);
            put(&mut target, path, text);
            assert_eq!(missing(&target, &Running::default()), None, "{path}");
        }
    }

    /// The boot that runs tells which of the loaders whose files are there shows a menu.
    #[test]
    fn a_loader_that_did_not_start_this_boot_shows_no_menu() {
        let mut with_systemd_boot = target(LINUX);
        with_systemd_boot.boot_mounts[0].has_systemd_boot = true;
        let with = |path: &str| {
            let mut target = target(LINUX);
            put(&mut target, path, "timeout 5\n");
            target
        };
        let (grub, refind) = (with("/etc/default/grub"), with("/boot/efi/EFI/refind/refind.conf"));
        let here = Running { is_target: true, ..Running::default() };
        let by = |loader: &str| Running { loader: Some(loader.to_owned()), ..here.clone() };
        let by_line = Running { has_boot_image: true, ..here.clone() };
        let by_firmware =
            |path: &str| Running { firmware_started: Some(format!("Linux\0..{path}\0")), ..here.clone() };
        let image = by_firmware("\\EFI\\LINUX\\arch-linux.efi");
        for (name, target, running, is_missing) in [
            ("GRUB", &grub, &by_line, false),
            ("GRUB", &grub, &by("GRUB 2.12"), false),
            ("GRUB", &grub, &here, true),
            ("GRUB", &grub, &by("systemd-boot 257"), true),
            ("systemd-boot", &with_systemd_boot, &by("systemd-boot 257"), false),
            ("systemd-boot", &with_systemd_boot, &here, true),
            ("systemd-boot", &with_systemd_boot, &by_line, true),
            ("rEFInd", &refind, &here, false),
            ("rEFInd", &refind, &by("rEFInd 0.14.2"), false),
            ("rEFInd", &refind, &by_firmware("\\EFI\\refind\\refind_x64.efi"), false),
            ("rEFInd", &refind, &image, true),
            ("rEFInd", &refind, &by_line, true),
        ] {
            assert_eq!(missing(target, running).is_some(), is_missing, "{name}: {running:?}");
        }
    }
}
