//! The early claim in images that the real dracut built, with and without systemd in them.

use crate::case::Case;
use crate::claim::{AUDIO, GUEST, HOST, TWIN_GUEST, TWIN_HOST, does_not_hold, holds, twins, two_gpus};

/// Dracut's own init is a shell script here; the hook runs before udev.
const SHELL: &[&str] = &["base", "kernel-modules", "udev-rules"];
/// Systemd is the init here; the unit runs before udev and before modules-load.d is read.
const SYSTEMD: &[&str] = &[
    "base",
    "kernel-modules",
    "udev-rules",
    "systemd",
    "systemd-initrd",
    "systemd-modules-load",
    "systemd-udevd",
    "dracut-systemd",
];

#[test]
fn an_image_of_dracut_claims_what_is_listed() {
    for (name, modules) in [("dracut", SHELL), ("dracut with systemd", SYSTEMD)] {
        let case = Case::new(twins()).dracut(modules).listed(&[TWIN_GUEST, AUDIO], TWIN_HOST);
        let case = case.ids(&[TWIN_GUEST, AUDIO]).with_vfio(&[TWIN_GUEST, AUDIO]).with_host(&[TWIN_HOST]);
        holds(&format!("{name}: identical twins, ids too"), &case);
    }
    for (name, modules) in [("dracut", SHELL), ("dracut with systemd", SYSTEMD)] {
        let case = Case::new(twins()).dracut(modules).without_hook().ids(&[TWIN_GUEST, AUDIO]);
        let case = case.with_vfio(&[TWIN_GUEST, AUDIO]).with_host(&[TWIN_HOST]);
        let lost = ["0000:02:00.0 is with bochs-drm"];
        does_not_hold(&format!("control: {name} without our module, ids alone"), &case, &lost);
    }
}

#[test]
fn without_the_hook_the_ids_win_over_drivers_that_are_forced_first() {
    let forced = "force_drivers+=\" bochs virtio_pci snd_hda_intel \"\n";
    for (name, modules) in [("dracut", SHELL), ("dracut with systemd", SYSTEMD)] {
        let case = Case::new(two_gpus()).dracut(modules).without_hook().other_drop_in(forced);
        let case = case.with_vfio(&[GUEST, AUDIO]).with_host(&[HOST]);
        let softdeps = case.clone().ids(&[GUEST, AUDIO]);
        holds(&format!("{name}: ids, and others that are forced first"), &softdeps);
        let missing = ["0000:01:00.0 is with vfio-pci", "0000:01:00.1 is with vfio-pci"];
        does_not_hold(&format!("control: {name} without vfio.conf"), &case, &missing);
    }
}
