//! Files of the target.

use std::fs;

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
        ("no-generator", &["no generator", "mkinitcpio"]),
        ("dracut-only", &["dracut"]),
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

/// A broken file in an otherwise good target.
fn broken(path: &str, text: impl AsRef<[u8]>, words: &[&str]) {
    let ground = ground("arch-grub");
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
