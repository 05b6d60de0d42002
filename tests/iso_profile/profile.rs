//! A profile as a folder, and what stands in its own three files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What has to be in the image beside what a boot mode asks for.
const NEEDED: [&str; 18] = [
    "amd-ucode",
    "base",
    "calamares",
    // Without these a virtual machine with the defaults is refused.
    "dnsmasq",
    "edk2-ovmf",
    "intel-ucode",
    "linux",
    "linux-firmware",
    "linux-headers",
    "looking-glass",
    "looking-glass-module-dkms",
    "mkinitcpio",
    "mkinitcpio-archiso",
    "neuron-calamares-vfio",
    "neuron-initcpio-hooks",
    "neuron-provisioner",
    "polkit",
    "swtpm",
];

pub(crate) struct Profile {
    folder: PathBuf,
    /// What `profiledef.sh` sets; a plain variable has one value.
    pub(crate) set: BTreeMap<String, Vec<String>>,
    pub(crate) packages: Vec<String>,
}

impl Profile {
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let mut profile = Self { folder: folder.to_owned(), set: BTreeMap::new(), packages: Vec::new() };
        profile.set = definition_of(&folder.join("profiledef.sh"))?;
        let list = profile.text("packages.x86_64").ok_or("packages.x86_64 is missing")?;
        let names = list.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        profile.packages = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Ok(profile)
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// A file's text; `None` where there is no such file.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    pub(crate) fn values(&self, name: &str) -> &[String] {
        self.set.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn value(&self, name: &str) -> &str {
        self.values(name).first().map(String::as_str).unwrap_or_default()
    }

    /// Every file and link below a folder, relative to it.
    pub(crate) fn files(&self, below: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.path(below)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                } else {
                    found.push(path.strip_prefix(self.path(below)).unwrap().display().to_string());
                }
            }
        }
        found.sort();
        found
    }
}

/// As mkarchiso does: bash reads it.
fn definition_of(path: &Path) -> Result<BTreeMap<String, Vec<String>>, String> {
    let script = "set -eu; declare -A file_permissions; . \"$1\"
        for name in iso_name iso_label install_dir pacman_conf airootfs_image_type; do
            declare -n plain=$name; echo \"$name=${plain-}\"; done
        for name in buildmodes bootmodes; do
            declare -n list=$name; for value in \"${list[@]}\"; do echo \"$name=$value\"; done; done
        for file in \"${!file_permissions[@]}\"; do echo \"permissions=$file ${file_permissions[$file]}\"; done";
    let done = Command::new("bash").args(["-c", script, "bash"]).arg(path).output().unwrap();
    if !done.status.success() {
        return Err(format!("profiledef.sh: {}", String::from_utf8_lossy(&done.stderr)));
    }
    let mut set: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&done.stdout).lines() {
        let (name, value) = line.split_once('=').unwrap();
        set.entry(name.to_owned()).or_default().push(value.to_owned());
    }
    Ok(set)
}

pub(crate) fn definition(profile: &Profile) -> Vec<String> {
    let mut found = Vec::new();
    let folder = profile.value("install_dir");
    let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    if folder.is_empty() || folder.len() > 8 || !folder.chars().all(is_plain) {
        found.push(format!("profiledef.sh: install_dir={folder}: up to 8 of a-z and 0-9"));
    }
    let label = profile.value("iso_label");
    if label.is_empty() || label.len() > 32 {
        found.push(format!("profiledef.sh: iso_label={label}: 1 to 32 letters"));
    }
    if profile.values("buildmodes") != ["iso"] {
        found.push("profiledef.sh: buildmodes has to be iso".to_owned());
    }
    if profile.value("airootfs_image_type") != "squashfs" {
        // With ext4+squashfs only another image is mounted where the installer copies from.
        found.push("profiledef.sh: airootfs_image_type: it has to be squashfs".to_owned());
    }
    found
}

pub(crate) fn packages(profile: &Profile) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let twice = profile.packages.iter().filter(|name| !seen.insert(*name));
    let mut found: Vec<String> = twice.map(|name| format!("packages.x86_64: {name} stands twice")).collect();
    let missing = NEEDED.iter().filter(|name| !seen.contains(&(**name).to_owned()));
    found.extend(missing.map(|name| format!("packages.x86_64: {name} is missing")));
    found
}

pub(crate) fn repositories(profile: &Profile) -> Vec<String> {
    let Some(text) = profile.text(profile.value("pacman_conf")) else {
        return vec!["the file that pacman_conf names is missing".to_owned()];
    };
    let sections = text.lines().filter(|line| line.starts_with('[')).collect::<Vec<_>>();
    let mut found = Vec::new();
    if sections != ["[options]", "[neuron]", "[core]", "[extra]"] {
        found
            .push(format!("pacman.conf: {sections:?}: our repository has to be [neuron], before Arch's own"));
    }
    if text.lines().filter(|line| *line == "Server = @REPOSITORY@").count() != 1 {
        found.push("pacman.conf: `Server = @REPOSITORY@` has to stand there once, for the build".to_owned());
    }
    let options = text.split("[neuron]").next().unwrap_or_default();
    if !options.contains("SigLevel = Required") {
        found.push("pacman.conf: packages from elsewhere have to be signed: SigLevel = Required".to_owned());
    }
    found
}
