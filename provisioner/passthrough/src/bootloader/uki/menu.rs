//! Whether a boot menu shows the host's images: one that the firmware starts by itself stands in none.

use super::{UnifiedImages, dracut, host_images};
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
    let image = images.iter().find(|image| !is_shown(target, image) && !is_known(running, image))?;
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
                as_firmware_has_it(image)
            ),
        )
        .in_file(image.as_str()),
    )
}

/// systemd-boot shows what lies in one folder. Any other loader that is here has entries of its own, a host
/// entry among them.
fn is_shown(target: &Target, image: &TargetPath) -> bool {
    let is_in = |mount: &str| image.parent().eq_ignore_ascii_case(&format!("{mount}/EFI/Linux"));
    let by_systemd_boot = target.boot_mounts.iter().any(|mount| mount.has_systemd_boot)
        && BOOT_MOUNTS.iter().any(|mount| is_in(mount));
    let names = [UnifiedImages.name(), SystemdBoot.name()];
    let others = ALL.iter().filter(|loader| !names.contains(&loader.name()));
    by_systemd_boot || others.into_iter().any(|loader| loader.detect(target).is_some())
}

/// Whether the firmware has an option of its own for an image.
fn is_known(running: &Running, image: &TargetPath) -> bool {
    let wanted = as_firmware_has_it(image).to_ascii_lowercase();
    running.firmware_options.iter().any(|option| option.to_ascii_lowercase().contains(&wanted))
}

/// The path on its partition, as the firmware spells it.
fn as_firmware_has_it(image: &TargetPath) -> String {
    let image = image.as_str();
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
}
