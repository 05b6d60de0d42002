//! The variable `LoaderEntryOneShot`: systemd-boot starts that entry and takes the variable away
//! before it does, whatever comes of it.
//!
//! Boot counting is no substitute: an explicit `default` ignores that an entry is marked bad, and a
//! black screen reaches `boot-complete.target` all the same.

use super::host_entries::twins;
use super::{entries, is_this_system, outranked};
use crate::bootloader::Once;
use crate::facts::{Running, Target};

pub(in crate::bootloader) const LOADER: &str = "systemd-boot";

/// `EFI_LOADER_FEATURE_ENTRY_ONESHOT` of systemd's `efi-loader.h`.
const ONE_SHOT: u64 = 1 << 3;

/// How an entry is started once.
pub(in crate::bootloader) fn once(entry: &str) -> Once {
    Once::new(LOADER, entry, &["bootctl", "set-oneshot", entry], &["bootctl", "set-oneshot", ""])
}

/// Whether systemd-boot started this machine and can start an entry once; an error says why not.
fn check(target: &Target, running: &Running) -> Result<(), String> {
    let Some(loader) = &running.loader else {
        return Err("the firmware's variables do not tell that systemd-boot started this machine".to_owned());
    };
    if !loader.starts_with("systemd-boot ") {
        return Err(format!("{loader} started this machine, not systemd-boot"));
    }
    if running.features & ONE_SHOT == 0 {
        return Err(format!("{loader} does not say that it can start an entry once"));
    }
    if let Some(named) = outranked::by(target, running) {
        return Err(format!(
            "{} names {} as what boots, over `default` of loader.conf",
            named.who, named.entry
        ));
    }
    Ok(())
}

/// The passthrough entry, by the name that systemd-boot gave to it when it started this boot.
pub(super) fn entry(target: &Target, running: &Running) -> Result<String, String> {
    let of_this_system = entries(target).filter(|(.., text)| is_this_system(target, text));
    let all: Vec<String> = of_this_system.map(|(path, ..)| name(path.file_name())).collect();
    let first = twins(target).first().map(|(path, _)| name(path.file_name()));
    among(target, running, &all, first)
}

/// The one of these entries that started this boot, else `first`; the loader has to know it.
pub(in crate::bootloader) fn among(
    target: &Target,
    running: &Running,
    all: &[String],
    first: Option<String>,
) -> Result<String, String> {
    check(target, running)?;
    let booted = running.selected.clone().filter(|selected| all.contains(selected));
    let Some(entry) = booted.or(first) else {
        return Err("systemd-boot has no entry of this system".to_owned());
    };
    if !running.entries.contains(&entry) {
        return Err(format!("systemd-boot, as it started this machine, knows no entry {entry}"));
    }
    Ok(entry)
}

/// What systemd-boot calls an entry or a unified image: its file in small letters, without what counts boots.
pub(in crate::bootloader) fn name(file: &str) -> String {
    let file = file.to_lowercase();
    let counted = file.rsplit_once('.').and_then(|(stem, end)| Some((stem.rsplit_once('+')?, end)));
    match counted {
        Some(((stem, count), end)) if is_count(count) => format!("{stem}.{end}"),
        _ => file,
    }
}

/// Tries left, and tries done behind a dash.
fn is_count(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::target::BootMount;
    use crate::step::FileState;

    fn target() -> Target {
        let mut target = Target {
            boot_mounts: vec![BootMount {
                path: "/boot".to_owned(),
                has_systemd_boot: true,
                has_program: true,
                kernels: vec!["vmlinuz-linux".to_owned()],
                unified_images: Vec::new(),
            }],
            ..Target::default()
        };
        for name in ["Arch.conf", "arch-fallback.conf"] {
            let text = "title Arch\nlinux /vmlinuz-linux\noptions root=UUID=1 rw\n";
            let path = format!("/boot/loader/entries/{name}").parse().unwrap();
            target.files.insert(path, FileState::config(text));
        }
        target
    }

    fn able() -> Running {
        Running {
            loader: Some("systemd-boot 256.8".to_owned()),
            features: ONE_SHOT,
            entries: vec!["arch.conf".to_owned(), "arch-fallback.conf".to_owned()],
            ..Running::default()
        }
    }

    #[test]
    fn only_where_the_firmware_shows_that_it_can() {
        let with = |running: Running| entry(&target(), &running);
        assert_eq!(with(able()).as_deref(), Ok("arch.conf"));
        let fallback = Running { selected: Some("arch-fallback.conf".to_owned()), ..able() };
        assert_eq!(with(fallback).as_deref(), Ok("arch-fallback.conf"));
        for (running, reason) in [
            (Running::default(), "do not tell"),
            (Running { loader: Some("GRUB 2.14".to_owned()), ..able() }, "GRUB 2.14 started"),
            (Running { features: !ONE_SHOT, ..able() }, "does not say"),
            (Running { default: Some("arch.conf".to_owned()), ..able() }, "set-default"),
            (Running { preferred: Some("arch.conf".to_owned()), ..able() }, "set-preferred"),
            (Running { entries: vec!["other.conf".to_owned()], ..able() }, "knows no entry arch.conf"),
        ] {
            assert!(with(running.clone()).unwrap_err().contains(reason), "{running:?}");
        }
        entry(&Target::default(), &able()).unwrap_err();
        for (conf, is_able) in [("timeout 3\ndefault arch.conf\n", true), ("preferred arch.conf\n", false)] {
            let mut target = target();
            target.files.insert("/boot/loader/loader.conf".parse().unwrap(), FileState::config(conf));
            assert_eq!(entry(&target, &able()).is_ok(), is_able, "{conf}");
        }
    }

    #[test]
    fn entries_are_called_as_systemd_boot_calls_them() {
        for (file, wanted) in [
            ("Arch.conf", "arch.conf"),
            ("arch+3-1.conf", "arch.conf"),
            ("arch+3.CONF", "arch.conf"),
            ("c++.conf", "c++.conf"),
            ("Linux-6.12+3.efi", "linux-6.12.efi"),
            ("6.1+deb.conf", "6.1+deb.conf"),
        ] {
            assert_eq!(name(file), wanted);
        }
    }
}
