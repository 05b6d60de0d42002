//! Starting an image once, and another one by default: systemd-boot does, where that is what starts the images.
//! The firmware, which may start one by itself, is told nothing.

use super::{LoaderError, dracut, host_images};
use crate::bootloader::Once;
use crate::bootloader::systemd_boot::{self, once};
use crate::facts::{Running, Target};
use crate::step::Step;

/// The image with passthrough as the entry of one boot.
pub(super) fn entry(target: &Target, running: &Running) -> Result<Once, String> {
    let mut images = host_images::twins(target);
    images.extend(dracut::own(target));
    let images: Vec<String> = images.iter().map(|image| once::name(image)).collect();
    once::among(target, running, &images, images.first().cloned()).map(|entry| once::once(&entry))
}

/// The step that makes an image without passthrough the default.
pub(super) fn default_step(target: &Target, image: &str) -> Result<Step, LoaderError> {
    let file = image.rsplit('/').next().unwrap_or_default();
    systemd_boot::default_step(target, &once::name(file)).ok_or_else(|| by_hand(image))
}

fn by_hand(image: &str) -> LoaderError {
    LoaderError::ByHand {
        path: image.to_owned(),
        why:
            "systemd-boot is not there, and which unified kernel image boots without it is the firmware's or \
              another boot menu's to say, so default_entry = \"host\" is not done here"
                .to_owned(),
        what: "leave default_entry out, and choose the image whose name holds neuron-host as the \
               default by hand"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::target::BootMount;
    use crate::step::FileState;

    fn target(has_systemd_boot: bool) -> Target {
        let mut target = Target {
            boot_mounts: vec![BootMount {
                path: "/efi".to_owned(),
                has_systemd_boot,
                has_program: has_systemd_boot,
                kernels: Vec::new(),
                unified_images: vec!["arch-linux.efi".to_owned()],
            }],
            ..Target::default()
        };
        let preset = "PRESETS=('default')\ndefault_uki=\"/efi/EFI/Linux/Arch-linux.efi\"\n";
        target.files.insert("/etc/mkinitcpio.d/linux.preset".parse().unwrap(), FileState::config(preset));
        target
    }

    fn able() -> Running {
        Running {
            loader: Some("systemd-boot 257.3".to_owned()),
            features: 1 << 3,
            entries: vec!["arch-linux.efi".to_owned(), "neuron-host-linux.efi".to_owned()],
            ..Running::default()
        }
    }

    #[test]
    fn only_where_systemd_boot_started_this_machine_and_knows_the_image() {
        let with = |running: Running| entry(&target(true), &running);
        let set = with(able()).unwrap();
        assert_eq!(
            (set.loader, set.set.join(" ")),
            ("systemd-boot", "bootctl set-oneshot arch-linux.efi".to_owned())
        );
        // In the image without passthrough, the other one is tried.
        let in_host = Running { selected: Some("neuron-host-linux.efi".to_owned()), ..able() };
        assert_eq!(with(in_host).unwrap().entry, "arch-linux.efi");
        for (running, reason) in [
            (Running::default(), "do not tell"),
            (Running { loader: Some("rEFInd 0.14".to_owned()), ..able() }, "rEFInd 0.14 started"),
            (Running { features: 0, ..able() }, "does not say"),
            (Running { default: Some("windows.conf".to_owned()), ..able() }, "set-default"),
            (Running { entries: vec!["arch.conf".to_owned()], ..able() }, "knows no entry arch-linux.efi"),
        ] {
            assert!(with(running.clone()).unwrap_err().contains(reason), "{running:?}");
        }
    }

    #[test]
    fn without_systemd_boot_nothing_names_a_default() {
        let image = "/efi/EFI/Linux/neuron-host-linux.efi";
        let step = default_step(&target(true), image).unwrap();
        assert_eq!(step.action.path().unwrap().as_str(), "/efi/loader/loader.conf");
        assert_eq!(step.action.after().unwrap().text(), Some("default neuron-host-linux.efi\n"));
        assert!(
            default_step(&target(false), image)
                .unwrap_err()
                .to_string()
                .contains("systemd-boot is not there")
        );
    }
}
