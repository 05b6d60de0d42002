//! The profile for mkarchiso: what mkarchiso itself demands, what it only warns of or never looks at,
//! and that the installer in it stands as the examples of the Calamares module say.
//!
//! Every rule passes the profile as it is, and finds the faults that are put into a copy of it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

mod boot;
mod faults;
mod installer;
mod live;
mod profile;

use std::fs;
use std::path::Path;
use std::process::Command;

use neuron_tests::{bootctl, tests_folder};
use profile::Profile;

/// One thing that a profile has to be; gives what is wrong, and what would be right.
type Rule = fn(&Profile) -> Vec<String>;

const RULES: &[Rule] = &[
    profile::definition,
    profile::packages,
    profile::repositories,
    boot::modes,
    boot::what_modes_need,
    boot::systemd_boot_entries,
    boot::syslinux_entries,
    boot::loopback,
    live::no_code,
    live::permissions,
    live::nothing_is_downloaded,
    live::locale,
    live::answers,
    live::nothing_of_it_is_installed,
    installer::instances,
    installer::sequence,
    installer::source,
    installer::branding,
];

fn problems(folder: &Path) -> Vec<String> {
    match Profile::read(folder) {
        Ok(profile) => RULES.iter().flat_map(|rule| rule(&profile)).collect(),
        Err(problem) => vec![problem],
    }
}

/// The profile with GRUB in the new system, and with systemd-boot.
fn variants() -> [tempfile::TempDir; 2] {
    let copies = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let profile = tests_folder().join("../iso-profile");
    for copy in &copies {
        run(Command::new("cp").arg("-a").arg(profile.join(".")).arg(copy.path()));
    }
    let changed = copies[1].path();
    run(Command::new("cp").arg("-a").arg(profile.join("systemd-boot/airootfs")).arg(changed));
    let more = fs::read_to_string(profile.join("systemd-boot/packages.x86_64")).unwrap();
    let list = changed.join("packages.x86_64");
    fs::write(&list, fs::read_to_string(&list).unwrap() + &more).unwrap();
    copies
}

fn run(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}\n{said}");
    said
}

#[test]
fn nothing_is_wrong_with_the_profile() {
    for variant in variants() {
        assert_eq!(problems(variant.path()), Vec::<String>::new());
    }
}

#[test]
fn answers_may_be_in_it() {
    for variant in variants() {
        let folder = variant.path().join("airootfs/etc/neuron");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("provisioner.toml"), "[passthrough]\nguest_gpus = \"all\"\n").unwrap();
        assert_eq!(problems(variant.path()), Vec::<String>::new());
    }
}

#[test]
fn every_fault_is_found() {
    for fault in faults::ALL {
        let [grub, systemd_boot] = variants();
        let copy = if fault.in_systemd_boot { systemd_boot } else { grub };
        (fault.put)(copy.path());
        let found = problems(copy.path());
        assert!(found.iter().any(|problem| problem.contains(fault.says)), "{}: {found:?}", fault.says);
    }
}

/// The user of the live medium, and its home, as systemd's own programs make them.
#[test]
fn systemd_makes_the_live_user() {
    let [copy, _] = variants();
    let root = copy.path().join("airootfs");
    let of_root = |program: &str| {
        let mut command = Command::new(program);
        command.arg(format!("--root={}", root.display()));
        command
    };
    run(of_root("systemd-sysusers").arg(root.join("etc/sysusers.d/neuron-live.conf")));
    let accounts = fs::read_to_string(root.join("etc/passwd")).unwrap();
    assert!(accounts.contains("live:x:1000:"), "{accounts}");
    let groups = fs::read_to_string(root.join("etc/group")).unwrap();
    assert!(groups.lines().any(|line| line.starts_with("autologin:") && line.ends_with(":live")), "{groups}");
    run(of_root("systemd-tmpfiles").args(["--create"]).arg(root.join("etc/tmpfiles.d/neuron-live.conf")));
    assert!(root.join("home/live").is_dir());
}

/// The menu of the medium, as systemd reads what mkarchiso makes of it: the first entry is the default
/// one and has the IOMMU on, the second one starts where that does not.
#[test]
fn systemd_reads_the_entries_of_the_medium() {
    if !bootctl::is_there() {
        return;
    }
    let [copy, _] = variants();
    let boot = copy.path().join("efiboot");
    let entries = boot.join("loader/entries");
    for entry in fs::read_dir(&entries).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let made = [("%INSTALL_DIR%", "neuron"), ("%ARCH%", "x86_64"), ("%ARCHISO_UUID%", "2026-01-01")];
        fs::write(&path, made.iter().fold(text, |text, (name, value)| text.replace(name, value))).unwrap();
    }
    let same = "archisobasedir=neuron archisosearchuuid=2026-01-01";
    let entry = |name: &str, options: &str| (name.to_owned(), format!("{same}{options}"));
    let with = entry("01-neuron.conf", " intel_iommu=on iommu=pt");
    let without = entry("02-neuron-without-iommu.conf", "");
    assert_eq!(bootctl::list(&boot).unwrap(), [with, without.clone()]);

    // The control: a key that systemd does not know is not read.
    let first = entries.join("01-neuron.conf");
    let text = fs::read_to_string(&first).unwrap();
    fs::write(&first, text.replace("options", "option")).unwrap();
    assert_eq!(bootctl::list(&boot).unwrap(), [("01-neuron.conf".to_owned(), String::new()), without]);
}
