//! The early claim in images that the real dracut built, with and without systemd in them.

use crate::case::Case;
use crate::claim::{
    AUDIO, GUEST, HOST, TWIN_GUEST, TWIN_HOST, another_identity, does_not_hold, holds, kill_switch, twins,
    two_gpus,
};
use crate::table::row;

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
    for (name, modules) in [
        (row!("dracut: identical twins, ids too"), SHELL),
        (row!("dracut with systemd: identical twins, ids too"), SYSTEMD),
    ] {
        let case = Case::new(twins()).dracut(modules).listed(&[TWIN_GUEST, AUDIO], TWIN_HOST);
        let case = case.ids(&[TWIN_GUEST, AUDIO]).with_vfio(&[TWIN_GUEST, AUDIO]).with_host(&[TWIN_HOST]);
        holds(name, &case);
    }
    for (control, modules) in [
        (row!("control: dracut without our module, ids alone"), SHELL),
        (row!("control: dracut with systemd without our module, ids alone"), SYSTEMD),
    ] {
        let case = Case::new(twins()).dracut(modules).without_hook().ids(&[TWIN_GUEST, AUDIO]);
        let case = case.with_vfio(&[TWIN_GUEST, AUDIO]).with_host(&[TWIN_HOST]);
        let lost = ["0000:02:00.0 is with bochs-drm"];
        does_not_hold(control, &case, &lost);
    }
}

#[test]
fn without_the_hook_the_ids_win_over_drivers_that_are_forced_first() {
    let forced = "force_drivers+=\" bochs virtio_pci snd_hda_intel \"\n";
    for (name, control, modules) in [
        (
            row!("dracut: ids, and others that are forced first"),
            row!("control: dracut without vfio.conf"),
            SHELL,
        ),
        (
            row!("dracut with systemd: ids, and others that are forced first"),
            row!("control: dracut with systemd without vfio.conf"),
            SYSTEMD,
        ),
    ] {
        let case = Case::new(two_gpus()).dracut(modules).without_hook().other_drop_in(forced);
        let case = case.with_vfio(&[GUEST, AUDIO]).with_host(&[HOST]);
        let softdeps = case.clone().ids(&[GUEST, AUDIO]);
        holds(name, &softdeps);
        let missing = ["0000:01:00.0 is with vfio-pci", "0000:01:00.1 is with vfio-pci"];
        does_not_hold(control, &case, &missing);
    }
}

/// The ids of vfio.conf lie in such an image, and the drivers are loaded there by udev.
#[test]
fn in_an_image_of_dracut_a_switch_or_a_doubt_gives_everything_to_the_host() {
    for (switch, identity, modules) in [
        (row!("dracut: kill switch"), row!("dracut: another identity"), SHELL),
        (row!("dracut with systemd: kill switch"), row!("dracut with systemd: another identity"), SYSTEMD),
    ] {
        holds(switch, &kill_switch().dracut(modules));
        holds(identity, &another_identity().dracut(modules));
    }
    // The control: the same list without the hook, and with the word on the command line.
    let taken = ["0000:01:00.0 is with virtio-pci", "0000:01:00.1 is with snd_hda_intel"];
    let control = Case::new(two_gpus()).dracut(SHELL).without_hook().ids(&[GUEST, AUDIO]);
    let control = control.parameters("neuron.passthrough=off").with_host(&[HOST, GUEST, AUDIO]);
    does_not_hold(row!("control: dracut without our module, kill switch"), &control, &taken);
}
