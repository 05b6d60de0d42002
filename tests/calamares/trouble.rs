//! Refusals, broken targets, and stages that cannot follow one another.

use std::fs;

use crate::installation::{Installation, STATE};
use crate::installer::is_other_suite;

/// The entry that the stock module wrote is edited by the stage behind it, and still has its root.
#[test]
fn the_stock_modules_own_entry_gets_the_parameters() {
    let installation = Installation::new("z390m-9900k-rtx2080s-usbc", "arch-systemd-boot", "systemd-boot");
    installation.stored(Some("0000:01:00.0"));
    installation.sequence(true);
    let log = installation.installer.run().log;
    if is_other_suite() {
        // From 3.3 on the stock module writes this file and has kernel-install make the entry of it.
        let line = installation.file("etc/kernel/cmdline").unwrap_or_else(|| panic!("{log}"));
        let words: Vec<&str> = line.split_whitespace().collect();
        assert!(words.contains(&"quiet") && words.ends_with(&["intel_iommu=on", "iommu=pt"]), "{line}");
        let machine = installation.file("etc/machine-id").unwrap();
        let made = format!("boot/loader/entries/{}-", machine.trim());
        let tree = installation.tree();
        let made = tree.iter().find(|(path, _)| path.starts_with(&made)).unwrap_or_else(|| panic!("{log}"));
        assert!(made.1.text().unwrap().contains(&format!("options {}\n", words.join(" "))), "{made:?}");
        return;
    }
    let entry = fs::read_to_string(installation.installer.target().join("boot/loader/entries/Plain.conf"))
        .unwrap_or_else(|error| panic!("{error}\n{log}"));
    let options = entry.lines().find(|line| line.starts_with("options")).unwrap();
    assert_eq!(
        options,
        "options quiet root=UUID=0b1fd2c4-5a0e-4f43-9d5c-3d9a6b2f7e11 rw intel_iommu=on iommu=pt"
    );
}

/// The same installation, with the whole tree before and after; the machine is a twin's.
fn refusing(on_refused: &str) -> Installation {
    let installation = Installation::new("dual-gtx480-identical", "arch-grub", "grub");
    installation.stored(Some("0000:02:00.0"));
    let machine = installation.installer.path("machine");
    let ours = format!(
        "stage: all\nchoice: packagechooser_gpu\nonRefused: {on_refused}\nmachineRoot: {}",
        machine.display()
    );
    installation.installer.configure("vfio-setup", &ours);
    installation.only(&["vfio-setup"]);
    installation
}

#[test]
fn a_medium_that_insists_stops_with_the_reason() {
    let installation = refusing("fail");
    let outcome = installation.installer.run();
    let (title, detail) = outcome.failure();
    assert_eq!(title, "This computer cannot hand a graphics card to a virtual machine");
    assert!(detail.contains("neuron-initcpio-hooks"), "{detail}");
    assert!(installation.installer.target().join(STATE).join("refusal.json").exists());

    let skipping = refusing("skip");
    skipping.installer.run().globals();
}

#[test]
fn a_broken_target_fails_in_our_words_and_is_put_back() {
    let installation = Installation::new("z390m-9900k-rtx2080s-usbc", "arch-grub", "grub");
    installation.stored(Some("0000:01:00.0"));
    installation.only(&["vfio-setup"]);
    // A file where a folder has to be.
    let folder = installation.installer.target().join("etc/modprobe.d");
    fs::remove_dir(&folder).unwrap();
    fs::write(&folder, "not a folder\n").unwrap();
    let before = installation.tree();
    let outcome = installation.installer.run();
    let (title, detail) = outcome.failure();
    assert_eq!(title, "The new system could not be prepared for GPU passthrough");
    assert!(detail.contains("/etc/modprobe.d"), "{detail}");
    assert_eq!(installation.changes_since(&before), [""; 0]);
}

#[test]
fn a_second_run_in_the_same_process_changes_nothing() {
    let installation = Installation::new("z390m-9900k-rtx2080s-usbc", "arch-grub", "grub");
    installation.stored(Some("0000:01:00.0"));
    let once = Installation::new("z390m-9900k-rtx2080s-usbc", "arch-grub", "grub");
    once.stored(Some("0000:01:00.0"));
    once.only(&["vfio-setup"]);
    once.installer.run().globals();
    installation.installer.sequence(&[
        ("exec", &["partition", "vfio-setup"]),
        ("exec", &["vfio-setup", "standin-verdict"]),
        ("show", &["finished"]),
    ]);
    installation.installer.run().globals();
    assert_eq!(installation.changes_since(&once.tree()), [""; 0]);
}

/// With a machine of which nothing can be read: `/sys` is not mounted, or it has no PCI bus.
fn unreadable(on_refused: &str) -> Installation {
    let installation = refusing(on_refused);
    fs::remove_dir_all(installation.installer.path("machine/sys")).unwrap();
    installation
}

#[test]
fn a_machine_that_cannot_be_read_is_refused_and_the_installation_goes_on() {
    let skipping = unreadable("skip");
    let before = skipping.tree();
    skipping.installer.run().globals();
    assert_eq!(skipping.changes_since(&before), [""; 0]);
    let reason = skipping.file(&format!("{STATE}/refusal.json")).unwrap();
    assert!(reason.contains("machine-unreadable") && reason.contains("/sys/bus/pci/devices"), "{reason}");

    let failing = unreadable("fail");
    let outcome = failing.installer.run();
    let (title, detail) = outcome.failure();
    assert_eq!(title, "This computer cannot hand a graphics card to a virtual machine");
    assert!(detail.contains("this machine cannot be read: /sys/bus/pci/devices"), "{detail}");
}

/// Files first, parameters behind a boot loader that does or does not come.
fn in_two_stages(jobs: &[&str]) -> Installation {
    let installation = Installation::new("z390m-9900k-rtx2080s-usbc", "arch-systemd-boot", "systemd-boot");
    installation.stored(Some("0000:01:00.0"));
    installation.only(jobs);
    installation
}

/// Nothing of a boot loader is in the image that is unpacked.
fn without_loader(installation: &Installation) {
    let boot = installation.installer.target().join("boot");
    for folder in ["EFI", "loader"] {
        fs::remove_dir_all(boot.join(folder)).unwrap();
    }
}

const VFIO_CONF: &str = "etc/modprobe.d/vfio.conf";

#[test]
fn what_was_written_is_taken_back_when_no_boot_loader_appears() {
    let installation = in_two_stages(&["vfio-setup@files", "initcpio", "vfio-setup@cmdline"]);
    without_loader(&installation);
    let without = in_two_stages(&["initcpio"]);
    without_loader(&without);
    without.installer.run().globals();
    installation.installer.run().globals();
    // The image was made with what is gone again, so it is made once more: the stand-in noted that.
    assert_eq!(installation.changes_since(&without.tree()), ["changed: var/log/stand-ins"]);
    let reason = installation.file(&format!("{STATE}/refusal.json")).unwrap();
    assert!(reason.contains("loader-unknown"), "{reason}");

    // The same up to that stage, and with a boot loader: it had been written, and it stays.
    let half = in_two_stages(&["vfio-setup@files", "initcpio"]);
    without_loader(&half);
    half.installer.run().globals();
    assert!(half.file(VFIO_CONF).is_some());
    let whole = in_two_stages(&["vfio-setup@files", "initcpio", "vfio-setup@cmdline"]);
    whole.installer.run().globals();
    assert!(whole.file(VFIO_CONF).is_some() && whole.file(&format!("{STATE}/refusal.json")).is_none());
}

#[test]
fn what_was_written_is_taken_back_when_the_parameters_cannot_be_written() {
    let installation = in_two_stages(&["vfio-setup@files", "initcpio", "vfio-setup@cmdline"]);
    // Between the two stages something breaks the target: here the program that makes the image.
    let program = installation.installer.target().join("usr/bin/mkinitcpio");
    let text = "#!/bin/sh\nbusybox mkdir -p /etc/kernel/cmdline\n";
    fs::write(&program, text).unwrap();
    let outcome = installation.installer.run();
    let (title, detail) = outcome.failure();
    assert_eq!(title, "The new system could not be prepared for GPU passthrough");
    assert!(detail.contains("/etc/kernel/cmdline"), "{detail}");
    assert!(installation.file(VFIO_CONF).is_none());
}
