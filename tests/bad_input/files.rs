//! Files of the target.

use std::fs;

use neuron_tests::scenario::{Ground, without_state};
use neuron_tests::tree;

use super::{fails, ground, works};

#[test]
fn what_cannot_be_carried_out_is_refused_with_its_place() {
    for (target, words) in [
        ("no-loader", &["no boot loader", "systemd-boot, Limine, rEFInd", "intel_iommu=on iommu=pt"][..]),
        ("limine-enrolled", &["/boot/limine.conf", "checksum", "intel_iommu=on iommu=pt"]),
        ("limine-hashed", &["/boot/limine.conf", "line 7", "/initramfs-linux.img"]),
        ("limine-tool-nothing", &["/etc/kernel/cmdline", "root=UUID=0b1fd2c4", "intel_iommu=on iommu=pt"]),
        ("limine-tool-late", &["/etc/limine-entry-tool.d/99-late.conf", "intel_iommu=on"]),
        ("uki-lone-drop-in", &["/etc/cmdline.d/20-quiet.conf", "root=", "intel_iommu=on iommu=pt"]),
        ("uki-no-cmdline", &["/etc/kernel/cmdline", "root=", "intel_iommu=on iommu=pt"]),
        ("uki-kernel-install", &["/etc/kernel/install.conf", "layout=uki", "intel_iommu=on iommu=pt"]),
        ("grub-drop-ins-late", &["/etc/default/grub.d/99-late.cfg", "intel_iommu=on"]),
        ("sdboot-manage-late", &["/etc/sdboot-manage.conf.d/90-late.conf", "intel_iommu=on"]),
        ("empty", &["no kernel", "/usr/lib/modules"]),
        ("no-generator", &["no generator", "/etc/mkinitcpio.conf", "/usr/bin/dracut"]),
        ("dracut-late", &["/etc/dracut.conf.d/nvidia.conf, line 2", "force_drivers", "sorts before 95-"]),
        ("dracut-uki-no-cmdline", &["kernel_cmdline=\"root=... rw\"", "/etc/dracut.conf.d"]),
        ("dracut-uki-computed", &["/etc/dracut.conf.d/cmdline.conf", "line 1", "iommu=pt"]),
        (
            "two-generators",
            &["mkinitcpio (", "dracut (", "90-dracut-install.hook", "/etc/kernel/install.conf"],
        ),
        ("grub-not-shell", &["/etc/default/grub", "line "]),
        ("archiso-left-behind", &["/etc/mkinitcpio.conf.d/archiso.conf", "line ", "remove the file"]),
        ("kernel-without-vfio", &["vfio_pci", "6.12.1-arch1-1"]),
        ("kernel-xhci-built-in", &["neuron-initcpio-hooks"]),
        ("host-driver-blacklisted", &["/etc/modprobe.d/blacklist-gpu.conf", "line ", "i915"]),
        ("nomodeset", &["/etc/default/grub", "nomodeset"]),
        ("vfio-by-hand", &["/etc/default/grub", "vfio-pci.ids="]),
    ] {
        let ground = ground(target);
        let output = fails(&ground, &["apply", "--yes"], 3, words);
        assert!(output.stderr.contains("hint:"), "{target}: {}", output.stderr);
        let shown = ground.run(&["plan"]).unwrap();
        assert!(
            shown.code == 0 && shown.stdout.contains("Nothing is written."),
            "{target}: {}",
            shown.stdout
        );
    }
}

#[test]
fn odd_but_valid_files_are_edited_and_restored() {
    for target in [
        "modules-string",
        "modules-multi-line",
        "modules-no-newline",
        "arch-grub",
        "grub-double-quotes",
        "grub-computed",
        "options-tab",
        "entries-crlf",
        "options-twice",
        "preset-own-config",
        "limine-several",
        "limine-tool-anew",
        "refind-stanzas",
        "uki-own-cmdline",
    ] {
        works(&ground(target));
    }
    let tree = works(&ground("entries-crlf"));
    let entry = tree["boot/loader/entries/arch.conf"].text().unwrap();
    assert_eq!(entry.matches('\n').count(), entry.matches("\r\n").count(), "every line keeps its end");
    assert!(entry.contains(" intel_iommu=on iommu=pt\r\n"));
    let tree = works(&ground("options-tab"));
    assert!(tree["boot/loader/entries/arch.conf"].text().unwrap().contains("\noptions\troot="));
}

#[test]
fn configuration_of_dracut_that_would_undo_ours_is_named() {
    for (path, text, words) in [
        ("etc/dracut.conf", "omit_drivers+=\" nouveau vfio_pci_core \"\n", &["line 1", "vfio_pci_core"][..]),
        ("etc/dracut.conf.d/10-a.conf", "\nomit_drivers+=\" vfio.* \"\n", &["line 2", "vfio.*"]),
        ("etc/dracut.conf.d/10-a.conf", "omit_dracutmodules+=\" kernel-modules \"\n", &["kernel-modules"]),
        ("etc/dracut.conf.d/10-a.conf", "no_kernel=\"yes\"\n", &["line 1", "no_kernel"]),
        ("etc/dracut.conf.d/99-a.conf", "install_items=\" /etc/x \"\n", &["install_items", "before 95-"]),
        ("usr/lib/dracut/dracut.conf.d/99-a.conf", "force_drivers=\" a \"\n", &["force_drivers"]),
        ("etc/dracut.conf.d/10-a.conf", "force_drivers+=\" never closed\n", &["line 1", "never closed"]),
        ("etc/dracut.conf.d/10-a.conf", "if grep -q x /x; then\nuefi=yes\nfi\n", &["line 2", "uefi"]),
    ] {
        broken_in("dracut-only", path, text, words);
    }
    // What looks like it and does no harm.
    for (path, text) in [
        ("etc/dracut.conf", "force_drivers=\" ahci \"\n"),
        ("etc/dracut.conf.d/10-a.conf", "omit_drivers+=\" nouveau vfio_pci \"\n# omit_drivers+=\" vfio \"\n"),
        ("etc/dracut.conf.d/10-a.conf", "omit_dracutmodules+=\" neuron-vfio \"\nno_kernel=no\n"),
        ("etc/dracut.conf.d/99-a.conf", "install_items+=\" /etc/x \"\n"),
        // Without this ending it is not read.
        ("etc/dracut.conf.d/99-a", "force_drivers=\" a \"\n"),
    ] {
        let ground = ground("dracut-only");
        fs::write(ground.target().join(path), text).unwrap();
        works(&ground);
    }
    let words = &["line 1", "neuron-vfio"];
    let path = "etc/dracut.conf.d/10-a.conf";
    broken_in("dracut-early-hook", path, "omit_dracutmodules+=\" neuron-vfio \"\n", words);
}

#[test]
fn an_image_of_dracut_that_was_not_found_is_said() {
    let said =
        |ground: &Ground| ground.run(&["plan"]).unwrap().stdout.contains("no image of the kernel 6.12.1");
    let ground = ground("dracut-only");
    assert!(!said(&ground));
    fs::rename(ground.target().join("boot/initramfs-linux.img"), ground.target().join("boot/mine.img"))
        .unwrap();
    assert!(said(&ground));
    fs::rename(
        ground.target().join("boot/mine.img"),
        ground.target().join("boot/initramfs-6.12.1-arch1-1.img"),
    )
    .unwrap();
    assert!(!said(&ground));
}

/// A broken file in an otherwise good target.
fn broken(path: &str, text: impl AsRef<[u8]>, words: &[&str]) {
    broken_in("arch-grub", path, text, words);
}

fn broken_in(target: &str, path: &str, text: impl AsRef<[u8]>, words: &[&str]) {
    let ground = ground(target);
    let file = ground.target().join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, text).unwrap();
    let named = format!("/{path}");
    let words: Vec<&str> = [named.as_str()].into_iter().chain(words.iter().copied()).collect();
    fails(&ground, &["apply", "--yes"], 3, &words);
}

#[test]
fn a_file_that_cannot_be_understood_is_not_edited() {
    broken("etc/mkinitcpio.conf", "HOOKS=(base udev)\nMODULES=(ext4\n", &["line 2"]);
    broken("etc/mkinitcpio.conf.d/20-other.conf", "# one\nMODULES+=(ext4\n", &["line 2"]);
    broken("etc/mkinitcpio.conf.d/99-late.conf", "MODULES=(nvidia)\n", &["line 1", "MODULES+="]);
    broken(
        "etc/mkinitcpio.d/linux.preset",
        "PRESETS=('default')\ndefault_config=\"/etc/none.conf\"\ndefault_image=\"/boot/a.img\"\n",
        &["line 2", "/etc/none.conf"],
    );
    broken("etc/mkinitcpio.d/linux.preset", "PRESETS=('archiso')\n", &["line 1"]);
    broken("etc/default/grub", "GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\n", &["line 2"]);
    broken("etc/modprobe.d/other.conf", "# mine\noptions vfio-pci ids=10de:1234\n", &["line 2"]);
}

#[test]
fn a_file_that_is_no_text_is_not_edited() {
    let ground = ground("arch-grub");
    fs::write(ground.target().join("etc/default/grub"), b"GRUB_CMDLINE_LINUX_DEFAULT='quiet'\n# \xff\xfe\n")
        .unwrap();
    fails(&ground, &["apply", "--yes"], 3, &[]);
}

#[test]
fn a_directory_where_a_file_should_be_is_not_touched() {
    for path in
        ["etc/modprobe.d/vfio.conf", "etc/neuron/vfio-devices", "etc/mkinitcpio.conf.d/95-neuron-vfio.conf"]
    {
        let ground = ground("arch-grub");
        fs::create_dir_all(ground.target().join(path).join("inner")).unwrap();
        let before = ground.tree().unwrap();
        let output = ground.run(&["apply", "--yes"]).unwrap();
        assert!([1, 3].contains(&output.code), "{path}: {} {}", output.code, output.stderr);
        assert!(output.stderr.contains(path), "{}", output.stderr);
        super::same(&before, &ground.tree().unwrap(), true);
    }
}

/// What is remembered of virtual machines is another matter than the files: these go back all the same.
#[test]
fn a_record_of_domains_that_cannot_be_understood_keeps_no_revert_from_going_on() {
    let ground = ground("arch-grub");
    works(&ground);
    for text in ["{", r#"{"schema":"neuron-domains/3","defined":{},"networks":[]}"#] {
        let before = ground.tree().unwrap();
        assert_eq!(ground.run(&["apply", "--yes"]).unwrap().code, 4);
        let record = ground.target().join("var/lib/neuron-provisioner/domains.json");
        fs::write(&record, text).unwrap();
        let back = ground.run(&["revert", "--yes", "--json"]).unwrap();
        assert_eq!(back.code, 6, "{}{}", back.stdout, back.stderr);
        let document: serde_json::Value = serde_json::from_str(&back.stdout).unwrap();
        let step = document["steps"].as_array().unwrap().iter().find(|step| step["id"] == "domains");
        let step = step.unwrap_or_else(|| panic!("{document:#}"));
        assert_eq!(step["outcome"], "deferred");
        assert!(step["why"].as_str().unwrap().contains("domains.json"), "{step}");
        assert_eq!(tree::diff(&without_state(&before), &without_state(&ground.tree().unwrap())), []);
        assert_eq!(fs::read_to_string(&record).unwrap(), text, "it is left to a person");
        fs::remove_file(&record).unwrap();
    }
}
