//! Which groups the users of virtual machines belong to.

use std::fmt::Write as _;

use super::looking_glass::{GROUP, Wanted};
use crate::facts::Target;
use crate::step::{Step, file_head};
use crate::text::accounts;

/// The rule for systemd-sysusers.
pub const SYSUSERS: &str = "/etc/sysusers.d/neuron-passthrough.conf";
/// The group whose members may speak to libvirt's daemon, where libvirt is installed.
const LIBVIRT: &str = "libvirt";

/// The groups that these users are to be in.
///
/// Never `input`: every process of theirs could read the keyboard, and libvirt hands devices over itself.
pub fn wanted(target: &Target) -> Vec<&'static str> {
    let groups = target.text("/etc/group").unwrap_or_default();
    // A group that is not there would be made, and only its package knows with which number.
    let libvirt = accounts::group(groups, LIBVIRT).map(|_| LIBVIRT);
    [GROUP].into_iter().chain(libvirt).collect()
}

/// The rule, where there is somebody whom it is about.
///
/// Only users that the target has: of another name systemd-sysusers would make a system's user.
pub fn step(of: &Wanted, target: &Target) -> Option<Step> {
    if of.users.is_empty() {
        return None;
    }
    let mut text = file_head("who may run virtual machines and see their picture.");
    for group in wanted(target) {
        for user in &of.users {
            let _ = writeln!(text, "m {user} {group}");
        }
    }
    let path = SYSUSERS.parse().ok()?;
    let before = target.state(&path);
    Some(Step::write(
        "groups",
        "Let the users run virtual machines",
        "QEMU and the shared memory belong to the group kvm, libvirt's daemon to the group libvirt",
        path.clone(),
        before,
        text,
    ))
}

/// Who is not in a group yet: user and group.
pub fn missing(of: &Wanted, target: &Target) -> Vec<(String, &'static str)> {
    let text = |path: &str| target.text(path).unwrap_or_default();
    let (passwd, groups) = (text("/etc/passwd"), text("/etc/group"));
    let all = wanted(target).into_iter().flat_map(|group| of.users.iter().map(move |user| (user, group)));
    let outside = all.filter(|(user, group)| !accounts::is_member(passwd, groups, user, group));
    outside.map(|(user, group)| (user.clone(), group)).collect()
}
