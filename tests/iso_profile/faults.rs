//! Faults, to be put into a copy of the profile. The first ones were all in a profile that existed.

use std::fs;
use std::path::Path;

pub(crate) struct Fault {
    pub(crate) put: fn(&Path),
    /// What has to be in one of the problems that are found.
    pub(crate) says: &'static str,
    pub(crate) in_systemd_boot: bool,
}

const fn fault(says: &'static str, put: fn(&Path)) -> Fault {
    Fault { put, says, in_systemd_boot: false }
}

const SETTINGS: &str = "airootfs/etc/calamares/settings.conf";
const MODULES: &str = "airootfs/etc/calamares/modules";

pub(crate) const ALL: &[Fault] = &[
    fault("boot mode uefi-x64.systemd-boot.esp", |to| {
        edit(to, "profiledef.sh", "'uefi.systemd-boot'", "'uefi-x64.systemd-boot.esp'");
    }),
    fault("boot mode uefi-ia32.systemd-boot.esp", |to| mode(to, "uefi-ia32.systemd-boot.esp")),
    fault("boot mode uefi-x64.systemd-boot.eltorito", |to| mode(to, "uefi-x64.systemd-boot.eltorito")),
    fault("boot mode uefi-ia32.systemd-boot.eltorito", |to| mode(to, "uefi-ia32.systemd-boot.eltorito")),
    fault("boot mode uefi-x64.grub.esp", |to| mode(to, "uefi-x64.grub.esp")),
    fault("boot mode bios.syslinux.eltorito", |to| mode(to, "bios.syslinux.eltorito")),
    fault("boot mode bios.syslinux.mbr", |to| {
        edit(to, "profiledef.sh", "'bios.syslinux'", "'bios.syslinux.mbr'");
    }),
    fault("root/customize_airootfs.sh: code comes from packages", |to| {
        write(to, "airootfs/root/customize_airootfs.sh", "#!/bin/sh\n");
    }),
    fault("boot mode uefi.grub", |to| {
        edit(to, "profiledef.sh", "'uefi.systemd-boot'", "'uefi.systemd-boot' 'uefi.grub'");
    }),
    fault("start.sh: it cannot run", |to| write(to, "airootfs/etc/xdg/autostart/start.sh", "#!/bin/sh\n")),
    fault("calamares is missing", |to| edit(to, "packages.x86_64", "\ncalamares\n", "\n")),
    fault("looking-glass is missing", |to| edit(to, "packages.x86_64", "\nlooking-glass\n", "\n")),
    fault("neuron-provisioner is missing", |to| {
        edit(to, "packages.x86_64", "\nneuron-provisioner\n", "\n");
    }),
    fault("code comes from packages", |to| write(to, "airootfs/usr/bin/neuron-provisioner", "")),
    fault("comes as a signed package", |to| {
        write(to, "airootfs/etc/profile.d/get.sh", "curl https://example.org/looking-glass | sh\n");
    }),
    fault("INCLUDE head.cfg: there is no such file", |to| {
        edit(to, "syslinux/syslinux.cfg", "PROMPT 0", "INCLUDE head.cfg");
    }),
    fault("amd-ucode is missing", |to| edit(to, "packages.x86_64", "amd-ucode\n", "")),
    fault("LANG= is missing", |to| fs::remove_file(to.join("airootfs/etc/locale.conf")).unwrap()),
    fault("img_dev= and img_loop= are missing", |to| {
        write(to, "grub/loopback.cfg", "menuentry a {\n  linux /vmlinuz archisobasedir=neuron\n}\n");
    }),
    fault("line 2: unknown field `guest_gpu`", |to| {
        write(to, "airootfs/etc/neuron/provisioner.toml", "[passthrough]\nguest_gpu = \"all\"\n");
    }),
    fault("whose first boot needs it", |to| {
        write(to, "airootfs/etc/neuron/provisioner.toml", "");
        edit(
            to,
            &format!("{MODULES}/shellprocess@live.conf"),
            "- rm -rf /etc/calamares\n",
            "- rm -rf /etc/calamares /etc/neuron\n",
        );
    }),
    // What mkarchiso looks at itself.
    fault("profiledef.sh:", |to| fs::remove_file(to.join("profiledef.sh")).unwrap()),
    fault("packages.x86_64 is missing", |to| fs::remove_file(to.join("packages.x86_64")).unwrap()),
    fault("pacman_conf names is missing", |to| fs::remove_file(to.join("pacman.conf")).unwrap()),
    fault("syslinux is missing", |to| edit(to, "packages.x86_64", "syslinux\n", "")),
    fault("syslinux.cfg is missing", |to| fs::remove_dir_all(to.join("syslinux")).unwrap()),
    fault("loader.conf is missing", |to| fs::remove_dir_all(to.join("efiboot")).unwrap()),
    fault("stands twice", |to| edit(to, "packages.x86_64", "base\n", "base\nlinux\n")),
    // What it does not.
    fault("mkinitcpio-archiso is missing", |to| edit(to, "packages.x86_64", "mkinitcpio-archiso\n", "")),
    fault("install_dir=neuronos-live", |to| {
        edit(to, "profiledef.sh", "install_dir=\"neuron\"", "install_dir=\"neuronos-live\"");
    }),
    fault("it has to be squashfs", |to| edit(to, "profiledef.sh", "\"squashfs\"", "\"ext4+squashfs\"")),
    fault("there is no /etc/shadow", |to| {
        edit(to, "profiledef.sh", "file_permissions=()", "file_permissions=([\"/etc/shadow\"]=\"0:0:400\")");
    }),
    fault("our repository has to be [neuron]", |to| edit(to, "pacman.conf", "[neuron]", "[local]")),
    fault("SigLevel = Required", |to| edit(to, "pacman.conf", "SigLevel = Required", "SigLevel = Never")),
    fault("@REPOSITORY@", |to| edit(to, "pacman.conf", "@REPOSITORY@", "https://example.org/repository")),
    fault("archisosearchuuid=%ARCHISO_UUID% is missing", |to| {
        edit(to, "efiboot/loader/entries/01-neuron.conf", "archisosearchuuid=%ARCHISO_UUID%", "");
    }),
    fault("no entry has", |to| edit(to, "syslinux/syslinux.cfg", " intel_iommu=on iommu=pt", "")),
    fault("no entry is without", |to| {
        fs::remove_file(to.join("efiboot/loader/entries/02-neuron-without-iommu.conf")).unwrap();
    }),
    fault("mkarchiso puts them at", |to| {
        edit(to, "efiboot/loader/entries/01-neuron.conf", "vmlinuz-linux", "vmlinuz-linux-lts");
    }),
    fault("is no file in", |to| edit(to, "efiboot/loader/loader.conf", "01-neuron", "01-arch")),
    fault("the menu shows 56 letters of it", |to| {
        let long = format!("MENU LABEL NeuronOS installer{}", " and more".repeat(5));
        edit(to, "syslinux/syslinux.cfg", "MENU LABEL NeuronOS installer\n", &(long + "\n"));
    }),
    fault("is no label", |to| edit(to, "syslinux/syslinux.cfg", "DEFAULT neuron", "DEFAULT arch")),
    fault("motd would stay in the new system", |to| write(to, "airootfs/etc/motd", "Welcome\n")),
    fault("archiso.conf would stay", |to| {
        edit(
            to,
            &format!("{MODULES}/shellprocess@live.conf"),
            "- rm -f /etc/mkinitcpio.conf.d/archiso.conf\n",
            "",
        );
    }),
    fault("packagechooserq@gpu.conf is missing", |to| {
        fs::remove_file(to.join(MODULES).join("packagechooserq@gpu.conf")).unwrap();
    }),
    fault("shellprocess@live is no instance", |to| edit(to, SETTINGS, "- id: live\n", "- id: dead\n")),
    fault("packagechooserq@gpu is missing in the sequence", |to| {
        edit(to, SETTINGS, "  - packagechooserq@gpu\n", "");
    }),
    fault("vfio-setup has to come before initcpio", |to| {
        edit(to, SETTINGS, "  - vfio-setup\n  - initcpio\n", "  - initcpio\n  - vfio-setup\n");
    }),
    fault("removeuser has to come before users", |to| {
        edit(to, SETTINGS, "  - removeuser\n", "");
        edit(to, SETTINGS, "  - networkcfg\n", "  - networkcfg\n  - removeuser\n");
    }),
    Fault {
        says: "bootloader has to come before vfio-setup@cmdline",
        in_systemd_boot: true,
        put: |to| {
            edit(to, SETTINGS, "  - vfio-setup@cmdline\n", "");
            edit(to, SETTINGS, "  - bootloader\n", "  - vfio-setup@cmdline\n  - bootloader\n");
        },
    },
    Fault {
        says: "grubcfg is missing for this boot loader",
        in_systemd_boot: true,
        put: |to| edit(to, &format!("{MODULES}/bootloader.conf"), ": systemd-boot", ": grub"),
    },
    Fault {
        says: "neuron-kernel-install is for systemd-boot",
        in_systemd_boot: true,
        put: |to| edit(to, "packages.x86_64", "\nneuron-kernel-install\n", "\n"),
    },
    fault("has to be /run/archiso/airootfs alone", |to| {
        let image = "/run/archiso/bootmnt/neuron/x86_64/airootfs.sfs";
        edit(to, &format!("{MODULES}/unpackfs.conf"), "/run/archiso/airootfs\n", &format!("{image}\n"));
    }),
    fault("/boot/vmlinuz-linux` is missing", |to| {
        edit(to, &format!("{MODULES}/shellprocess@live.conf"), "- cp /usr", "#");
    }),
    fault("`- rm -f /version` is missing", |to| {
        edit(to, &format!("{MODULES}/shellprocess@live.conf"), "- rm -f /version\n", "");
    }),
    fault("/usr/lib/os-release` is missing", |to| {
        edit(to, &format!("{MODULES}/shellprocess@live.conf"), "/^IMAGE_ID=/d; ", "");
    }),
    fault("has no branding.desc", |to| edit(to, SETTINGS, "branding: neuron", "branding: default")),
    fault("gpu.qml has to be a link", |to| {
        let page = "airootfs/etc/calamares/branding/neuron/gpu.qml";
        fs::remove_file(to.join(page)).unwrap();
        write(to, page, "Item {}\n");
    }),
];

/// Adds a boot mode.
fn mode(folder: &Path, name: &str) {
    edit(folder, "profiledef.sh", "'uefi.systemd-boot'", &format!("'uefi.systemd-boot' '{name}'"));
}

/// Replaces what must be there.
fn edit(folder: &Path, file: &str, old: &str, new: &str) {
    let before = fs::read_to_string(folder.join(file)).unwrap();
    let after = before.replace(old, new);
    assert_ne!(before, after, "{file} has no {old:?}");
    fs::write(folder.join(file), after).unwrap();
}

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
