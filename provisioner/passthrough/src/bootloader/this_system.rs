//! Which entries boot this system: a shared boot partition also holds those of others.

use crate::facts::Target;
use crate::policy::KILL_SWITCH;
use crate::text::command_line;

/// Whether `root=` names what fstab mounts at `/`; `None` where either does not tell.
pub(super) fn root_agrees(target: &Target, options: &str) -> Option<bool> {
    let fstab = target.text("/etc/fstab").unwrap_or_default();
    let mounted = fstab.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let (device, place) = (fields.next()?, fields.next()?);
        (place == "/" && !device.starts_with('#')).then_some(device)
    })?;
    let named = command_line::value(options, "root").flatten()?;
    let (mounted, named) = (device(mounted), device(named));
    (mounted.0 == named.0).then(|| mounted.1.eq_ignore_ascii_case(named.1))
}

/// How a device is named, and its name: `/dev/disk/by-uuid/X` is `UUID=X`.
fn device(text: &str) -> (&str, &str) {
    let links = [
        ("/dev/disk/by-uuid/", "UUID"),
        ("/dev/disk/by-partuuid/", "PARTUUID"),
        ("/dev/disk/by-label/", "LABEL"),
        ("/dev/disk/by-partlabel/", "PARTLABEL"),
    ];
    let link = links.into_iter().find_map(|(folder, kind)| Some((kind, text.strip_prefix(folder)?)));
    link.or_else(|| text.split_once('=').map(|(kind, name)| (kind, name.trim_matches('"'))))
        .unwrap_or(if text.starts_with("/dev/mapper/") { ("/dev/mapper", text) } else { ("", text) })
}

/// Whether a command line is somebody's way back: the host entry has the kill switch.
pub(super) fn is_way_back(options: &str) -> bool {
    command_line::has(options, KILL_SWITCH)
}

/// Whether a command line boots this system: its root is this one's; where fstab names that in
/// another way, when the kernel of this one is what it goes to.
pub(super) fn boots_this_system(target: &Target, options: &str, kernel_is_here: bool) -> bool {
    let has_root = command_line::value(options, "root").flatten().is_some();
    has_root && !is_way_back(options) && root_agrees(target, options).unwrap_or(kernel_is_here)
}

/// Whether a command line with a root may or may not boot this system.
pub(super) fn is_doubtful(target: &Target, options: &str, kernel_is_here: bool) -> bool {
    let has_root = command_line::value(options, "root").flatten().is_some();
    has_root && !is_way_back(options) && root_agrees(target, options).is_none() && !kernel_is_here
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::FileState;

    #[test]
    fn roots_are_compared_by_what_they_name() {
        let mut target = Target::default();
        let agrees = |target: &Target, options: &str| root_agrees(target, options);
        assert_eq!(agrees(&target, "root=UUID=1"), None);
        for (fstab, options, wanted) in [
            ("UUID=ab / ext4 rw", "quiet root=UUID=AB rw", Some(true)),
            ("UUID=ab / ext4 rw", "root=UUID=cd", Some(false)),
            ("UUID=ab / ext4 rw", "root=/dev/disk/by-uuid/ab", Some(true)),
            ("UUID=ab / ext4 rw", "root=PARTUUID=ab", None),
            ("/dev/mapper/root / ext4 rw", "root=/dev/mapper/root", Some(true)),
            ("/dev/mapper/root / ext4 rw", "root=/dev/mapper/other", Some(false)),
            ("/dev/mapper/root / ext4 rw", "root=UUID=ab", None),
            ("#UUID=ab / ext4 rw\nUUID=cd /home ext4 rw", "root=UUID=ab", None),
        ] {
            target.files.insert("/etc/fstab".parse().unwrap(), FileState::config(fstab));
            assert_eq!(agrees(&target, options), wanted, "{fstab}: {options}");
        }
    }

    #[test]
    fn a_way_back_is_left_alone() {
        let target = Target::default();
        assert!(boots_this_system(&target, "root=UUID=1", true));
        assert!(!boots_this_system(&target, "root=UUID=1", false));
        assert!(!boots_this_system(&target, &format!("root=UUID=1 {KILL_SWITCH}"), true));
        assert!(!boots_this_system(&target, "quiet", true));
    }
}
