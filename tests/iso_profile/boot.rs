//! What starts the medium.

use std::path::Path;

use crate::profile::Profile;

/// Those that mkarchiso does not call deprecated, without `uefi.grub`, for which there is no menu.
const MODES: [&str; 2] = ["bios.syslinux", "uefi.systemd-boot"];

const KERNEL: &str = "/%INSTALL_DIR%/boot/%ARCH%/vmlinuz-linux";
const IMAGE: &str = "/%INSTALL_DIR%/boot/%ARCH%/initramfs-linux.img";
const WHERE: [&str; 2] = ["archisobasedir=%INSTALL_DIR%", "archisosearchuuid=%ARCHISO_UUID%"];
const IOMMU: [&str; 2] = ["intel_iommu=on", "iommu=pt"];

/// How many letters of a label are seen in the menu of syslinux.
const LABEL: usize = 56;

const ENTRIES: &str = "efiboot/loader/entries";

/// An entry of any loader.
struct Entry {
    name: String,
    kernel: String,
    image: String,
    options: Vec<String>,
}

pub(crate) fn modes(profile: &Profile) -> Vec<String> {
    let named = profile.values("bootmodes");
    let strange = named.iter().filter(|mode| !MODES.contains(&mode.as_str()));
    let mut found: Vec<String> =
        strange.map(|mode| format!("profiledef.sh: boot mode {mode}: use {MODES:?}")).collect();
    let absent = MODES.iter().filter(|mode| !named.iter().any(|name| name == **mode));
    found.extend(absent.map(|mode| format!("profiledef.sh: boot mode {mode} is missing")));
    found
}

pub(crate) fn what_modes_need(profile: &Profile) -> Vec<String> {
    let mut found = Vec::new();
    if !profile.packages.iter().any(|name| name == "syslinux") {
        found.push("packages.x86_64: syslinux is missing, for bios.syslinux".to_owned());
    }
    for file in ["syslinux/syslinux.cfg", "efiboot/loader/loader.conf"] {
        if !profile.path(file).is_file() {
            found.push(format!("{file} is missing"));
        }
    }
    found
}

pub(crate) fn systemd_boot_entries(profile: &Profile) -> Vec<String> {
    let files = profile.files(ENTRIES);
    let mut entries = Vec::new();
    for file in &files {
        let text = profile.text(&format!("{ENTRIES}/{file}")).unwrap_or_default();
        let value = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(char::is_whitespace));
            lines.find(|(name, _)| *name == key).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let options = value("options").split_whitespace().map(str::to_owned).collect();
        let name = format!("{ENTRIES}/{file}");
        entries.push(Entry { name, kernel: value("linux"), image: value("initrd"), options });
    }
    let mut found = wrong_with(&entries, ENTRIES);
    let loader = profile.text("efiboot/loader/loader.conf").unwrap_or_default();
    let default = loader.lines().find_map(|line| line.strip_prefix("default ")).unwrap_or_default();
    if !files.iter().any(|file| file == default) {
        found.push(format!("efiboot/loader/loader.conf: default {default:?} is no file in {ENTRIES}"));
    }
    found
}

pub(crate) fn syslinux_entries(profile: &Profile) -> Vec<String> {
    let mut found = Vec::new();
    let mut entries: Vec<Entry> = Vec::new();
    for file in profile.files("syslinux") {
        let text = profile.text(&format!("syslinux/{file}")).unwrap_or_default();
        for line in text.lines() {
            let (key, value) = line.trim().split_once(' ').unwrap_or_default();
            match (key.to_ascii_uppercase().as_str(), entries.last_mut()) {
                ("LABEL", _) => entries.push(Entry {
                    name: value.to_owned(),
                    kernel: String::new(),
                    image: String::new(),
                    options: Vec::new(),
                }),
                ("LINUX", Some(entry)) => value.clone_into(&mut entry.kernel),
                ("INITRD", Some(entry)) => value.clone_into(&mut entry.image),
                ("APPEND", Some(entry)) => {
                    entry.options = value.split_whitespace().map(str::to_owned).collect();
                }
                ("MENU", _) if value.strip_prefix("LABEL ").is_some_and(|label| label.len() > LABEL) => {
                    found.push(format!("syslinux/{file}: {value}: the menu shows {LABEL} letters of it"));
                }
                ("INCLUDE" | "CONFIG", _) if !profile.path("syslinux").join(value).is_file() => {
                    found.push(format!("syslinux/{file}: {key} {value}: there is no such file"));
                }
                _ => {}
            }
        }
    }
    let main = profile.text("syslinux/syslinux.cfg").unwrap_or_default();
    let default = main.lines().find_map(|line| line.strip_prefix("DEFAULT ")).unwrap_or_default();
    if !entries.iter().any(|entry| entry.name == default) {
        found.push(format!("syslinux/syslinux.cfg: DEFAULT {default:?} is no label"));
    }
    found.extend(wrong_with(&entries, "syslinux"));
    found
}

fn wrong_with(entries: &[Entry], place: &str) -> Vec<String> {
    let mut found = Vec::new();
    for Entry { name, kernel, image, options } in entries {
        if (kernel.as_str(), image.as_str()) != (KERNEL, IMAGE) {
            found.push(format!("{name}: {kernel}, {image}: mkarchiso puts them at {KERNEL}, {IMAGE}"));
        }
        for needed in WHERE.iter().filter(|needed| !options.iter().any(|option| option == *needed)) {
            found.push(format!("{name}: {needed} is missing"));
        }
    }
    // With the first the installer sees IOMMU groups; the second starts where the first does not.
    let with = |wanted: usize| {
        let of =
            |entry: &Entry| IOMMU.iter().filter(|one| entry.options.iter().any(|had| had == *one)).count();
        entries.iter().any(|entry| of(entry) == wanted)
    };
    if !with(IOMMU.len()) {
        found.push(format!("{place}: no entry has {IOMMU:?}"));
    }
    if !with(0) {
        found.push(format!("{place}: no entry is without {IOMMU:?}"));
    }
    found
}

/// A GRUB that starts the image out of a file has to say which file.
pub(crate) fn loopback(profile: &Profile) -> Vec<String> {
    let name = Path::new("grub/loopback.cfg").display().to_string();
    let text = profile.text(&name).unwrap_or_default();
    let kernels = text.lines().filter(|line| line.trim_start().starts_with("linux "));
    kernels
        .filter(|line| !line.contains("img_dev=") || !line.contains("img_loop="))
        .map(|line| format!("{name}: {}: img_dev= and img_loop= are missing", line.trim()))
        .collect()
}
