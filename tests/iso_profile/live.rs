//! What lies over the packages on the live medium.

use std::fs;

use neuron_passthrough::answers::Answers;

use crate::profile::Profile;

/// What an installation leaves where it is: written anew by the installer, or right on any system.
const STAYS: [&str; 6] = [
    "etc/hostname",
    "etc/locale.conf",
    // A builder's: the first boot asks at the console.
    "etc/neuron/first-boot",
    "etc/neuron/provisioner.toml",
    "etc/systemd/system/display-manager.service",
    "etc/systemd/system/multi-user.target.wants/NetworkManager.service",
];

const CLEAN_UP: &str = "airootfs/etc/calamares/modules/shellprocess@live.conf";

/// mkarchiso copies it before the packages come, and a package that has the same path ends the build.
pub(crate) fn no_code(profile: &Profile) -> Vec<String> {
    let files = profile.files("airootfs").into_iter();
    let strange = files.filter(|file| !file.starts_with("etc/"));
    strange.map(|file| format!("airootfs/{file}: code comes from packages; only etc may be here")).collect()
}

/// mkarchiso makes every file 644 that is not named.
pub(crate) fn permissions(profile: &Profile) -> Vec<String> {
    let named: Vec<(&str, &str)> =
        profile.values("permissions").iter().filter_map(|line| line.split_once(' ')).collect();
    let mut found = Vec::new();
    for (file, _) in &named {
        if !profile.path("airootfs").join(file.trim_start_matches('/')).exists() {
            found.push(format!("profiledef.sh: file_permissions: there is no {file}"));
        }
    }
    for file in profile.files("airootfs") {
        let path = profile.path("airootfs").join(&file);
        let is_script = !path.is_symlink() && fs::read(&path).is_ok_and(|bytes| bytes.starts_with(b"#!"));
        let runs = |mode: &str| mode.ends_with(":755");
        if is_script && !named.iter().any(|(name, mode)| *name == format!("/{file}") && runs(mode)) {
            found.push(format!("airootfs/{file}: it cannot run: name it in file_permissions, with 0:0:755"));
        }
    }
    found
}

pub(crate) fn nothing_is_downloaded(profile: &Profile) -> Vec<String> {
    let mut found = Vec::new();
    for file in profile.files("airootfs") {
        let text = profile.text(&format!("airootfs/{file}")).unwrap_or_default();
        for word in ["curl ", "wget ", "git clone"].iter().filter(|word| text.contains(**word)) {
            found.push(format!(
                "airootfs/{file}: {word}: what comes from elsewhere comes as a signed package"
            ));
        }
    }
    found
}

pub(crate) fn locale(profile: &Profile) -> Vec<String> {
    let text = profile.text("airootfs/etc/locale.conf").unwrap_or_default();
    if text.lines().any(|line| line.starts_with("LANG=")) {
        return Vec::new();
    }
    vec!["airootfs/etc/locale.conf: LANG= is missing".to_owned()]
}

/// Answers in a profile are for the installer and for the first boot of the new system.
pub(crate) fn answers(profile: &Profile) -> Vec<String> {
    let name = "airootfs/etc/neuron/provisioner.toml";
    let Some(text) = profile.text(name) else { return Vec::new() };
    let mut found: Vec<String> =
        Answers::parse(&text).err().map(|problem| format!("{name}: {problem}")).into_iter().collect();
    if is_taken_out(profile, "etc/neuron/provisioner.toml") {
        found.push(format!("{name}: {CLEAN_UP} takes it out of the new system, whose first boot needs it"));
    }
    found
}

/// Whether the clean-up names a file of the medium, or a folder that it lies in.
fn is_taken_out(profile: &Profile, file: &str) -> bool {
    let script = profile.text(CLEAN_UP).unwrap_or_default();
    let mut words = script.lines().filter(|line| line.starts_with("- ")).flat_map(str::split_whitespace);
    words.any(|word| {
        let path = word.trim_start_matches('>').trim_start_matches('/');
        path == file || file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
    })
}

/// The new system is a copy of the medium: what is for the medium alone has to be taken out of it.
pub(crate) fn nothing_of_it_is_installed(profile: &Profile) -> Vec<String> {
    let files = profile.files("airootfs").into_iter();
    let left = files.filter(|file| !STAYS.contains(&file.as_str()) && !is_taken_out(profile, file));
    left.map(|file| format!("airootfs/{file} would stay in the new system: take it out in {CLEAN_UP}"))
        .collect()
}
