//! Calamares in the profile.

use std::fs;

use crate::profile::Profile;

const FOLDER: &str = "airootfs/etc/calamares";

/// What comes before what, where both are there; the same as in the module's examples.
const ORDER: [(&str, &str); 17] = [
    ("vfio-setup@detect", "packagechooserq@gpu"),
    ("packagechooserq@gpu", "summary"),
    ("summary", "mount"),
    ("mount", "unpackfs"),
    ("unpackfs", "shellprocess@live"),
    ("shellprocess@live", "initcpiocfg"),
    ("shellprocess@live", "removeuser"),
    ("removeuser", "users"),
    ("initcpiocfg", "vfio-setup"),
    ("grubcfg", "vfio-setup"),
    ("vfio-setup", "initcpio"),
    ("initcpiocfg", "vfio-setup@files"),
    ("vfio-setup@files", "initcpio"),
    ("initcpio", "bootloader"),
    ("bootloader", "vfio-setup@cmdline"),
    ("bootloader", "umount"),
    ("umount", "finished"),
];

const ALWAYS: [&str; 8] = [
    "vfio-setup@detect",
    "packagechooserq@gpu",
    "unpackfs",
    "shellprocess@live",
    "removeuser",
    "initcpio",
    "bootloader",
    "finished",
];

fn settings(profile: &Profile) -> String {
    profile.text(&format!("{FOLDER}/settings.conf")).unwrap_or_default()
}

/// The modules in the order in which they come.
fn modules(profile: &Profile) -> Vec<String> {
    let text = settings(profile);
    let Some((_, sequence)) = text.split_once("\nsequence:") else { return Vec::new() };
    let names = sequence.lines().filter_map(|line| line.strip_prefix("  - "));
    names.map(|name| name.split_whitespace().next().unwrap_or_default().to_owned()).collect()
}

/// An instance without its configuration ends Calamares when it starts.
pub(crate) fn instances(profile: &Profile) -> Vec<String> {
    let text = settings(profile);
    let mut found = Vec::new();
    for name in text.lines().filter_map(|line| line.trim().strip_prefix("config: ")) {
        if !profile.path(FOLDER).join("modules").join(name).is_file() {
            found.push(format!("{FOLDER}/settings.conf: {name} is missing"));
        }
    }
    for module in modules(profile).iter().filter(|name| name.contains('@')) {
        let (kind, id) = module.split_once('@').unwrap_or_default();
        if !text.contains(&format!("- id: {id}\n  module: {kind}\n")) {
            found.push(format!("{FOLDER}/settings.conf: {module} is no instance"));
        }
    }
    found
}

pub(crate) fn sequence(profile: &Profile) -> Vec<String> {
    let modules = modules(profile);
    // Some are a page first and a job later; the order is that of the jobs.
    let at = |name: &str| modules.iter().rposition(|module| module == name);
    let missing = ALWAYS.iter().filter(|name| at(name).is_none());
    let mut found: Vec<String> =
        missing.map(|name| format!("{FOLDER}/settings.conf: {name} is missing in the sequence")).collect();
    for (first, second) in ORDER {
        if let (Some(one), Some(other)) = (at(first), at(second))
            && one > other
        {
            found.push(format!("{FOLDER}/settings.conf: {first} has to come before {second}"));
        }
    }
    let loader = profile.text(&format!("{FOLDER}/modules/bootloader.conf")).unwrap_or_default();
    let ours: &[&str] = if loader.contains("efiBootLoader: systemd-boot") {
        &["vfio-setup@files", "vfio-setup@cmdline"]
    } else {
        &["grubcfg", "vfio-setup"]
    };
    // The stock module has kernel-install make the entries, once.
    let keeps_entries = profile.packages.iter().any(|name| name == "neuron-kernel-install");
    if keeps_entries != loader.contains("efiBootLoader: systemd-boot") {
        found.push("packages.x86_64: neuron-kernel-install is for systemd-boot, and needed there".to_owned());
    }
    for name in ours.iter().filter(|name| at(name).is_none()) {
        found.push(format!("{FOLDER}/settings.conf: {name} is missing for this boot loader"));
    }
    found
}

/// What mkarchiso took out of the root, or wrote into it, has to be put right in the new system.
const OF_MKARCHISO: [&str; 3] = [
    "- cp /usr/lib/modules/*/vmlinuz /boot/vmlinuz-linux",
    "- rm -f /version",
    "- sed -i \"/^IMAGE_ID=/d; /^IMAGE_VERSION=/d\" /usr/lib/os-release",
];

/// The installer copies the mounted root: the medium may be unmounted by then (copytoram).
pub(crate) fn source(profile: &Profile) -> Vec<String> {
    let text = profile.text(&format!("{FOLDER}/modules/unpackfs.conf")).unwrap_or_default();
    let sources: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("- source: ")).collect();
    let mut found = Vec::new();
    if sources != ["/run/archiso/airootfs"] || !text.lines().any(|line| line == "  sourcefs: file") {
        found.push(format!(
            "{FOLDER}/modules/unpackfs.conf: {sources:?}: it has to be /run/archiso/airootfs alone, with \
             sourcefs: file"
        ));
    }
    let script = profile.text(&format!("{FOLDER}/modules/shellprocess@live.conf")).unwrap_or_default();
    for line in OF_MKARCHISO.iter().filter(|line| !script.lines().any(|has| has == **line)) {
        found.push(format!("{FOLDER}/modules/shellprocess@live.conf: `{line}` is missing"));
    }
    found
}

pub(crate) fn branding(profile: &Profile) -> Vec<String> {
    let text = settings(profile);
    let name = text.lines().find_map(|line| line.strip_prefix("branding: ")).unwrap_or_default();
    let folder = profile.path(FOLDER).join("branding").join(name);
    let mut found = Vec::new();
    if name.is_empty() || !folder.join("branding.desc").is_file() {
        found.push(format!("{FOLDER}/settings.conf: branding {name:?} has no branding.desc"));
    }
    // The page itself comes with the package, so that there is one copy of it.
    let page = fs::read_link(folder.join("gpu.qml")).unwrap_or_default();
    if page.to_str() != Some("/usr/share/neuron-calamares-vfio/branding/gpu.qml") {
        found.push(format!("{}: gpu.qml has to be a link to the package's", folder.display()));
    }
    found
}
