//! GRUB's `next_entry`: the menu starts it once and takes it out of the environment block.
//!
//! Only where GRUB can write that block at boot. It writes the blocks of the file in place
//! (`write_blocklists` in `commands/loadenv.c`), which its drivers for volumes, arrays and encrypted
//! disks cannot, and which would break a checksum of the file system: there `next_entry` would stay,
//! and the trial would begin anew with every boot.

use super::Once;
use super::grub::DEFAULTS;
use crate::facts::running::GRUB_ENVIRONMENT;
use crate::facts::{Running, Target};
use crate::id::TargetPath;
use crate::text::grub_default::{self, Setting};

pub(super) const LOADER: &str = "GRUB";

/// File systems without checksums of files, whose blocks GRUB knows and overwrites.
const WRITABLE: [&str; 5] = ["ext2", "ext3", "ext4", "vfat", "xfs"];

/// `GRUB_DEFAULT` where GRUB itself keeps what it starts.
pub(super) const SAVED: &str = "saved";

/// How an entry is started once.
pub(super) fn once(entry: &str) -> Once {
    let next = format!("next_entry={entry}");
    Once::new(
        LOADER,
        entry,
        &["grub-editenv", GRUB_ENVIRONMENT, "set", &next],
        &["grub-editenv", GRUB_ENVIRONMENT, "unset", "next_entry"],
    )
}

/// The passthrough entry: the one that boots by itself before the default is another one.
pub(super) fn entry(
    target: &Target,
    running: &Running,
    drop_ins: &[(&TargetPath, &str)],
) -> Result<&'static str, String> {
    if !running.is_target {
        return Err(
            "the system that is set up is not the one that runs here, so nothing is known of how its \
                    GRUB starts"
                .to_owned(),
        );
    }
    if let Some(loader) = running.loader.as_deref().filter(|loader| !loader.starts_with(LOADER)) {
        return Err(format!("{loader} started this machine, not GRUB"));
    }
    if !running.has_boot_image {
        return Err(
            "nothing shows that GRUB started this machine (no BOOT_IMAGE= on the kernel command line)"
                .to_owned(),
        );
    }
    let Some(place) = &running.grub_environment else {
        return Err(format!("{GRUB_ENVIRONMENT} is no environment block of GRUB's in a place that is known"));
    };
    if !place.is_plain_partition || !WRITABLE.contains(&place.file_system.as_str()) {
        let on = if place.is_plain_partition { "" } else { ", and not on a plain partition" };
        return Err(format!(
            "GRUB cannot write {GRUB_ENVIRONMENT} at boot ({}{on}), so the trial would never end",
            place.file_system
        ));
    }
    if !running.grub_menu_asks || !running.has_editenv {
        return Err("the target's GRUB knows no next_entry, or has no grub-editenv".to_owned());
    }
    let mut whole = target.text(DEFAULTS).unwrap_or_default().to_owned();
    for (_, text) in drop_ins {
        whole.extend(["\n", text]);
    }
    match grub_default::default_entry(&whole) {
        Ok(Setting::Unset) => Ok("0"),
        Ok(Setting::Literal(entry)) if entry == "0" || entry.is_empty() => Ok("0"),
        Ok(setting) if setting.known() == SAVED => Err(format!(
            "GRUB_DEFAULT is `{SAVED}`: GRUB starts what it was last told to or started last, and which entry that \
             is, no file of the system says; GRUB_DEFAULT=0 in {DEFAULTS} makes it known"
        )),
        Ok(setting) => Err(format!(
            "GRUB_DEFAULT is `{}`, and only the first entry is known to be this system",
            setting.known()
        )),
        Err(problem) => Err(format!("{DEFAULTS}: {problem}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::running::Place;
    use crate::step::FileState;

    fn able() -> Running {
        Running {
            is_target: true,
            has_boot_image: true,
            grub_environment: Some(Place { file_system: "ext4".to_owned(), is_plain_partition: true }),
            grub_menu_asks: true,
            has_editenv: true,
            ..Running::default()
        }
    }

    fn target(defaults: &str) -> Target {
        let mut target = Target::default();
        target.files.insert(DEFAULTS.parse().unwrap(), FileState::config(defaults));
        target
    }

    fn place(file_system: &str, is_plain_partition: bool) -> Running {
        let place = Place { file_system: file_system.to_owned(), is_plain_partition };
        Running { grub_environment: Some(place), ..able() }
    }

    #[test]
    fn only_where_grub_can_write_it_back() {
        let target = target("GRUB_DEFAULT=0\n");
        for (file_system, plain, can) in [
            ("ext4", true, true),
            ("vfat", true, true),
            ("xfs", true, true),
            ("ext4", false, false),
            ("btrfs", true, false),
            ("zfs", true, false),
            ("f2fs", true, false),
            ("overlay", false, false),
        ] {
            let found = entry(&target, &place(file_system, plain), &[]);
            assert_eq!(found.is_ok(), can, "{file_system} {plain}: {found:?}");
        }
    }

    #[test]
    fn every_doubt_is_a_no_with_its_reason() {
        let zero = target("GRUB_DEFAULT=0\n");
        let with = |running: Running| entry(&zero, &running, &[]);
        assert_eq!(with(able()), Ok("0"));
        assert_eq!(with(Running { loader: Some("GRUB 2.14".to_owned()), ..able() }), Ok("0"));
        for (running, reason) in [
            (Running { is_target: false, ..able() }, "not the one that runs here"),
            (Running { loader: Some("systemd-boot 257".to_owned()), ..able() }, "systemd-boot 257 started"),
            (Running { has_boot_image: false, ..able() }, "BOOT_IMAGE"),
            (Running { grub_environment: None, ..able() }, "no environment block"),
            (Running { grub_menu_asks: false, ..able() }, "next_entry"),
            (Running { has_editenv: false, ..able() }, "grub-editenv"),
        ] {
            assert!(with(running.clone()).unwrap_err().contains(reason), "{running:?}");
        }
        for (defaults, can) in [
            ("", true),
            ("GRUB_DEFAULT=\n", true),
            ("GRUB_DEFAULT=\"0\"\n", true),
            ("GRUB_DEFAULT=saved\n", false),
            ("GRUB_DEFAULT=2\n", false),
            ("GRUB_DEFAULT=$(cat /x)\n", false),
            ("GRUB_DEFAULT='\n", false),
        ] {
            assert_eq!(entry(&target(defaults), &able(), &[]).is_ok(), can, "{defaults}");
        }
        let saved = entry(&target("GRUB_DEFAULT=saved\n"), &able(), &[]).unwrap_err();
        assert!(saved.contains("started last") && saved.contains("GRUB_DEFAULT=0"), "{saved}");
        let path: TargetPath = "/etc/default/grub.d/50-x.cfg".parse().unwrap();
        entry(&zero, &able(), &[(&path, "GRUB_DEFAULT=saved\n")]).unwrap_err();
    }
}
