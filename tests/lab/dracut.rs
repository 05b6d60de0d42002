//! The early claim in images that the real dracut built, with and without systemd in them.

use crate::case::Case;
use crate::claim::{AUDIO, TWIN_GUEST, TWIN_HOST, does_not_hold, holds, twins};

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
    let case = Case::new(twins()).dracut(SHELL).without_hook().ids(&[TWIN_GUEST, AUDIO]);
    let case = case.with_vfio(&[TWIN_GUEST, AUDIO]).with_host(&[TWIN_HOST]);
    let lost = ["0000:02:00.0 is with bochs-drm"];
    does_not_hold("control: dracut without our module, ids alone", &case, &lost);
}
