//! The early claim in images that the real dracut built, with and without systemd in them.

use crate::case::Case;
use crate::claim::{
    AUDIO, GUEST, HOST, TWIN_GUEST, TWIN_HOST, another_identity, does_not_hold, holds, kill_switch, twins,
    two_gpus,
};

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

/// The ids of vfio.conf lie in such an image, and the drivers are loaded there by udev.
#[test]
fn in_an_image_of_dracut_a_switch_or_a_doubt_gives_everything_to_the_host() {
    for (name, modules) in [("dracut", SHELL), ("dracut with systemd", SYSTEMD)] {
        holds(&format!("{name}: kill switch"), &kill_switch().dracut(modules));
        holds(&format!("{name}: another identity"), &another_identity().dracut(modules));
    }
    // The control: the same list without the hook, and with the word on the command line.
    let taken = ["0000:01:00.0 is with virtio-pci", "0000:01:00.1 is with snd_hda_intel"];
    let control = Case::new(two_gpus()).dracut(SHELL).without_hook().ids(&[GUEST, AUDIO]);
    let control = control.parameters("neuron.passthrough=off").with_host(&[HOST, GUEST, AUDIO]);
    does_not_hold("control: dracut without our module, kill switch", &control, &taken);
}
