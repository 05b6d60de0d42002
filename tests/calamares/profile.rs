//! The sequence of `iso-profile`, with its own configuration, onto what its medium would copy.
//!
//! The jobs that touch a disk are left out: the target is an empty folder. The medium is the profile's
//! `airootfs` over a small system, and lies where archiso mounts it. The profile is written for
//! Calamares 3.3 and later; what is called otherwise in 3.2 is added, or not looked at.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::installation::Installation;
use crate::installer::{Installer, Outcome, here, is_other_suite};

const MACHINE: &str = "z390m-9900k-rtx2080s-usbc";
const CARD: &str = "0000:01:00.0";

/// What the package mkinitcpio has; the clean-up makes a preset of it.
const PRESET: &str = "# mkinitcpio preset file for the '%PKGBASE%' package
PRESETS=('default')
ALL_kver=\"/boot/vmlinuz-%PKGBASE%\"
default_image=\"/boot/initramfs-%PKGBASE%.img\"
";

/// Stands for a program of the target: notes how it was called.
const NOTES: &str = "#!/bin/sh\necho \"${0##*/} $*\" >>/var/log/stand-ins\n";
const NOTING: [&str; 3] = ["pacman-key", "userdel", "systemctl"];

/// Stands for systemd-machine-id-setup, which 3.2 calls: entries are called by the machine.
const MACHINE_ID: &str = "#!/bin/sh\necho 4ddbf9bcd4f94b2aa4f9b1f6d6c2d7a1 >/etc/machine-id\n";

/// What the stock module asks for in Calamares 3.2; the profile is written for 3.3 and later.
const OLDER: &str = "\nkernel: /boot/vmlinuz-linux\nimg: /boot/initramfs-linux.img\ntimeout: 5\n";

/// Jobs that work on disks, on the running system, or with what is asked on a page.
const LEFT_OUT: [&str; 7] = ["fstab", "locale", "keyboard", "localecfg", "users", "networkcfg", "hwclock"];

/// The profile for one boot loader of the new system, as `build-iso` lays it out.
struct Medium {
    folder: tempfile::TempDir,
}

impl Medium {
    fn new(loader: &str) -> Self {
        let medium = Self { folder: tempfile::tempdir().unwrap() };
        let profile = here().join("../../iso-profile");
        copy(&profile.join("airootfs"), medium.folder.path());
        if loader != "grub" {
            copy(&profile.join(loader).join("airootfs"), medium.folder.path());
        }
        medium
    }

    fn calamares(&self) -> PathBuf {
        self.folder.path().join("etc/calamares")
    }

    /// The jobs of the last `exec`, without those left out and with the stand-in for the end.
    fn jobs(&self) -> Vec<String> {
        let settings = fs::read_to_string(self.calamares().join("settings.conf")).unwrap();
        let last = settings.rsplit_once("- exec:").unwrap().1;
        let names = last.split("\n- show:").next().unwrap().lines();
        let names = names.filter_map(|line| line.strip_prefix("  - ")).filter(|name| *name != "umount");
        let mut jobs: Vec<String> =
            names.filter(|name| !LEFT_OUT.contains(name)).map(str::to_owned).collect();
        jobs.push("standin-verdict".to_owned());
        jobs
    }

    /// Every file and link of it, relative to the root.
    fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                } else {
                    found.push(path.strip_prefix(self.folder.path()).unwrap().display().to_string());
                }
            }
        }
        found
    }
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(done.success(), "cp -a {} {}", from.display(), to.display());
}

/// An empty target, and the medium that is to be copied into it.
fn started(medium: &Medium, target: &str, loader: &str) -> Installation {
    let installation = Installation::new(MACHINE, target, loader);
    let root = installation.installer.target();
    copy(medium.folder.path(), &root);
    fs::create_dir_all(root.join("usr/share/mkinitcpio")).unwrap();
    fs::write(root.join("usr/share/mkinitcpio/hook.preset"), PRESET).unwrap();
    fs::create_dir_all(root.join("etc/pacman.d")).unwrap();
    fs::write(root.join("etc/pacman.d/mirrorlist"), "#Server = https://mirror.example/$repo\n").unwrap();
    fs::create_dir_all(root.join("var/log")).unwrap();
    let programs = NOTING.map(|name| (name, NOTES));
    for (name, text) in programs.into_iter().chain([("systemd-machine-id-setup", MACHINE_ID)]) {
        let program = root.join("usr/bin").join(name);
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for name in ["cp", "rm", "sed"] {
        if !root.join("usr/bin").join(name).exists() {
            std::os::unix::fs::symlink("busybox", root.join("usr/bin").join(name)).unwrap();
        }
    }
    // As mkarchiso leaves it.
    fs::remove_file(root.join("boot/vmlinuz-linux")).unwrap();
    fs::write(root.join("version"), "2026.01.01\n").unwrap();
    let release = fs::read_to_string(root.join("etc/os-release")).unwrap();
    fs::write(root.join("usr/lib/os-release"), release + "IMAGE_ID=neuronos\nIMAGE_VERSION=2026.01.01\n")
        .unwrap();
    fs::remove_file(root.join("etc/os-release")).unwrap();
    std::os::unix::fs::symlink("../usr/lib/os-release", root.join("etc/os-release")).unwrap();
    fs::rename(&root, live(&installation)).unwrap();
    fs::create_dir(&root).unwrap();
    configure(medium, &installation.installer);
    installation
}

/// The root of the live system.
fn live(installation: &Installation) -> PathBuf {
    installation.installer.path("medium")
}

/// The profile's own configuration, but for another machine and for the jobs that are left out.
fn configure(medium: &Medium, installer: &Installer) {
    for entry in fs::read_dir(medium.calamares().join("modules")).unwrap() {
        let path = entry.unwrap().path();
        let instance = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if LEFT_OUT.contains(&instance.as_str()) {
            continue;
        }
        let mut text = fs::read_to_string(&path).unwrap().replace("---\n", "");
        if instance.starts_with("vfio-setup") {
            write!(text, "\nmachineRoot: {}", installer.path("machine").display()).unwrap();
        }
        if instance == "bootloader" && !is_other_suite() {
            text += OLDER;
        }
        installer.configure(&instance, &text);
    }
}

/// Runs the sequence with a choice.
fn run(medium: &Medium, installation: &Installation, choice: &str) -> Outcome {
    installation.stored(Some(choice));
    let jobs = medium.jobs();
    let jobs: Vec<&str> = jobs.iter().map(String::as_str).collect();
    installation.installer.sequence(&[("exec", &jobs), ("show", &["finished"])]);
    installation.installer.run()
}

/// The same to a good end; gives what the programs of the target were called with.
fn install(medium: &Medium, installation: &Installation, choice: &str) -> Vec<String> {
    run(medium, installation, choice).globals();
    let calls = installation.file("var/log/stand-ins").unwrap_or_default();
    calls.lines().map(str::to_owned).collect()
}

/// What of the medium is still in the target, beside what the profile lets stay.
fn left_of(medium: &Medium, installation: &Installation) -> Vec<String> {
    let stays = |file: &str| {
        ["etc/hostname", "etc/locale.conf", "etc/mkinitcpio.d/linux.preset"].contains(&file)
            || file.starts_with("etc/systemd/system/")
    };
    let root = installation.installer.target();
    let there = |file: &str| root.join(file).symlink_metadata().is_ok();
    medium.files().into_iter().filter(|file| !stays(file) && there(file)).collect()
}

fn check(loader: &str, target: &str, parameters_in: fn(&Installation) -> String) {
    let medium = Medium::new(loader);
    let with = started(&medium, target, loader);
    let calls = install(&medium, &with, CARD);

    // It was copied, and what is for the medium alone went again.
    assert!(live(&with).join("etc/calamares/settings.conf").exists());
    assert_eq!(with.file("etc/hostname").unwrap(), "neuron-live\n");
    assert_eq!(left_of(&medium, &with), Vec::<String>::new());
    let preset = with.file("etc/mkinitcpio.d/linux.preset").unwrap();
    assert_eq!(preset, PRESET.replace("%PKGBASE%", "linux"));
    let kernel = with.file("usr/lib/modules/6.12.1-arch1-1/vmlinuz");
    assert!(kernel.is_some() && with.file("boot/vmlinuz-linux") == kernel);
    let release = with.file("etc/os-release").unwrap();
    assert!(release.contains("PRETTY_NAME=") && !release.contains("IMAGE_"), "{release}");
    assert_eq!(with.file("version"), None);
    assert_eq!(with.file("etc/pacman.d/mirrorlist").unwrap(), "Server = https://mirror.example/$repo\n");
    let mut wanted = vec!["pacman-key --init", "pacman-key --populate archlinux", "userdel -f -r live"];
    if is_other_suite() {
        wanted.extend(["systemctl enable NetworkManager.service", "systemctl enable libvirtd.socket"]);
    }
    for wanted in wanted {
        assert!(calls.iter().any(|call| call == wanted), "{wanted}: {calls:?}");
    }
    // One image is built; that it comes after ours is held by tests/iso_profile.
    let built = calls.iter().filter(|call| call.starts_with("mkinitcpio")).count();
    assert_eq!(built, 1, "{calls:?}");

    let modprobe = with.file("etc/modprobe.d/vfio.conf").unwrap_or_default();
    assert!(modprobe.contains("10de:1e81"), "{modprobe}");
    let (place, parameters) = parameters_of(&with, parameters_in);
    assert!(parameters.contains("intel_iommu=on iommu=pt"), "{place}: {parameters}");

    // Said no: the same sequence sets the system up, without any of it.
    let without = started(&medium, target, loader);
    install(&medium, &without, "none");
    assert_eq!(left_of(&medium, &without), Vec::<String>::new());
    assert_eq!(without.file("etc/modprobe.d/vfio.conf"), None);
    assert!(!parameters_of(&without, parameters_in).1.contains("iommu"));
}

/// Where the kernel parameters are, and what is there.
fn parameters_of(installation: &Installation, place: fn(&Installation) -> String) -> (String, String) {
    let place = place(installation);
    let text = installation.file(&place);
    let entries = || fs::read_dir(installation.installer.target().join("boot/loader/entries")).unwrap();
    let entries = || entries().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    let text = text.unwrap_or_else(|| panic!("{place} is not there: {:?}", entries()));
    (place, text)
}

/// As `build-iso --answers` makes it: nobody is asked, and the new system has the answers.
#[test]
fn the_profile_with_answers_installs_without_a_choice() {
    let answers = format!("[passthrough]\nguest_gpus = [\"{CARD}\"]\ntrial = false\n");
    let place = Path::new("etc/neuron/provisioner.toml");
    let medium = Medium::new("grub");
    let with = started(&medium, "arch-grub", "grub");
    // The target is a copy of the live system.
    for root in [with.installer.path("machine"), live(&with)] {
        fs::create_dir_all(root.join("etc/neuron")).unwrap();
        fs::write(root.join(place), &answers).unwrap();
    }
    install(&medium, &with, "none");
    assert!(with.file("etc/modprobe.d/vfio.conf").unwrap_or_default().contains("10de:1e81"));
    assert!(with.file("etc/default/grub").unwrap().contains("intel_iommu=on iommu=pt"));
    assert_eq!(with.file("etc/neuron/provisioner.toml").unwrap(), answers);
}

/// The control: nothing else is copied.
#[test]
fn without_the_mounted_root_of_the_medium_the_installation_says_what_is_missing() {
    let medium = Medium::new("grub");
    let installation = started(&medium, "arch-grub", "grub");
    fs::remove_dir_all(live(&installation)).unwrap();
    let outcome = run(&medium, &installation, CARD);
    assert!(
        outcome.failure().1.contains("\"/run/archiso/airootfs\" does not exist"),
        "{:?}",
        outcome.failure()
    );
}

#[test]
fn the_profile_installs_with_grub() {
    check("grub", "arch-grub", |_| "etc/default/grub".to_owned());
}

#[test]
fn the_profile_installs_with_systemd_boot() {
    check("systemd-boot", "arch-systemd-boot", |installation| {
        // From 3.3 on kernel-install makes the entry, which 3.2 writes itself.
        let machine = installation.file("etc/machine-id").unwrap_or_default();
        let entry =
            if is_other_suite() { machine.trim().to_owned() + "-6.12.1-arch1-1" } else { "Plain".into() };
        format!("boot/loader/entries/{entry}.conf")
    });
}
