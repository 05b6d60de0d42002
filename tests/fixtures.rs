//! The fixtures themselves: every machine and target can be laid out and is what it says.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use neuron_tests::machine::{self, Function, Machine};
use neuron_tests::tree::{self, Difference};
use neuron_tests::{target, tests_folder};

fn all() -> io::Result<Vec<Machine>> {
    machine::ids()?.iter().map(|id| Machine::load(id)).collect()
}

#[test]
fn there_are_78_real_machines_and_each_is_itself() {
    let machines = all().unwrap();
    assert_eq!(machines.iter().filter(|machine| !machine.made).count(), 78);
    for (id, machine) in machine::ids().unwrap().iter().zip(&machines) {
        assert_eq!(*id, machine.id);
        assert_eq!(machine.made, id.starts_with("made-"), "{id}");
        assert_eq!(machine.made, machine.source.starts_with("made for "), "{id}");
        assert!(machine.made || machine.expected.verdict.is_none(), "{id}: the source gave no verdict");
        let addresses: BTreeSet<&str> = machine.functions.iter().map(|f| f.address.as_str()).collect();
        assert_eq!(addresses.len(), machine.functions.len(), "{id}: an address stands twice");
        let named = machine.expected.passthrough.iter().flatten().chain(&machine.expected.host_gpu);
        for address in named {
            assert!(addresses.contains(address.as_str()), "{id}: {address} is not there");
        }
    }
}

#[test]
fn the_index_names_every_machine_once() {
    let index = fs::read_to_string(tests_folder().join("machines/README.md")).unwrap();
    for id in machine::ids().unwrap() {
        assert_eq!(index.matches(&format!("| `{id}` |")).count(), 1, "{id}");
    }
}

/// What the layout shows of a function, read back through the links a program would follow.
fn read_back(root: &Path, function: &Function) -> Vec<(&'static str, Option<String>)> {
    let device = root.join("sys/bus/pci/devices").join(&function.address);
    let text = |name: &str| fs::read_to_string(device.join(name)).ok().map(|text| text.trim().to_owned());
    let link = |name: &str| {
        let to = fs::canonicalize(device.join(name)).ok()?;
        Some(to.file_name()?.to_string_lossy().into_owned())
    };
    vec![
        ("class", text("class")),
        ("vendor", text("vendor")),
        ("device", text("device")),
        ("driver", link("driver")),
        ("group", link("iommu_group")),
        ("boot_vga", text("boot_vga")),
        ("reset_method", text("reset_method")),
    ]
}

#[test]
fn a_layout_shows_the_facts_and_nothing_for_what_is_not_known() {
    for machine in all().unwrap() {
        let dir = neuron_tests::scratch().unwrap();
        machine::lay_out(&machine, dir.path()).unwrap();
        let listed = fs::read_dir(dir.path().join("sys/bus/pci/devices")).unwrap().count();
        assert_eq!(listed, machine.functions.len(), "{}", machine.id);
        for function in &machine.functions {
            let boot = function.boot_vga.filter(|_| function.class.starts_with("0300"));
            let wanted = vec![
                ("class", Some(format!("0x{:0<6}", function.class))),
                ("vendor", Some(format!("0x{}", function.vendor))),
                ("device", Some(format!("0x{}", function.device))),
                ("driver", function.driver.clone()),
                ("group", function.iommu_group.map(|group| group.to_string())),
                ("boot_vga", boot.map(|boot| u8::from(boot).to_string())),
                ("reset_method", function.reset_method.clone()),
            ];
            assert_eq!(read_back(dir.path(), function), wanted, "{} {}", machine.id, function.address);
        }
        assert_eq!(dir.path().join("sys/firmware").exists(), machine.made, "{}", machine.id);
    }
}

#[test]
fn nested_bridges_connectors_and_tables_are_where_the_kernel_puts_them() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    machine::lay_out(&Machine::load("made-arc-a770-and-a380").unwrap(), root).unwrap();
    let audio = fs::canonicalize(root.join("sys/bus/pci/devices/0000:04:00.0")).unwrap();
    let below_port = "sys/devices/pci0000:00/0000:00:03.1/0000:01:00.0/0000:02:04.0/0000:04:00.0";
    assert_eq!(audio, fs::canonicalize(root.join(below_port)).unwrap());
    let status = fs::read_to_string(root.join("sys/class/drm/card0-DP-1/status")).unwrap();
    assert_eq!(status, "connected\n");
    let card = fs::canonicalize(root.join("sys/class/drm/card0-DP-1/device/device")).unwrap();
    assert!(card.ends_with("0000:0a:00.0"), "{}", card.display());
    assert!(root.join("sys/firmware/acpi/tables/IVRS").is_file());
    assert!(!root.join("sys/firmware/acpi/tables/DMAR").exists());
    let event = fs::read_to_string(root.join("sys/bus/pci/devices/0000:03:00.0/uevent")).unwrap();
    assert!(event.contains("MODALIAS=pci:v00008086d000056A0sv00008086sd00001020bc03sc00i00\n"), "{event}");
}

#[test]
fn a_domain_behind_vmd_lies_below_its_controller() {
    let dir = tempfile::tempdir().unwrap();
    machine::lay_out(&Machine::load("made-vmd-five-digit-gpu").unwrap(), dir.path()).unwrap();
    let gpu = "sys/devices/pci0000:00/0000:00:0e.0/pci10000:00/10000:00:01.0/10000:01:00.0/class";
    assert_eq!(fs::read_to_string(dir.path().join(gpu)).unwrap(), "0x030000\n");
}

#[test]
fn a_synthetic_machine_has_the_size_asked_for() {
    for size in [16, 256, 2048] {
        let machine = machine::synthetic(size);
        let addresses: BTreeSet<&str> = machine.functions.iter().map(|f| f.address.as_str()).collect();
        assert_eq!(addresses.len(), size);
    }
    let dir = tempfile::tempdir().unwrap();
    machine::lay_out(&machine::synthetic(16), dir.path()).unwrap();
    assert!(machine::lay_out(&machine::synthetic(16), dir.path()).is_err(), "a second layout on top");
}

#[test]
fn every_target_can_be_copied() {
    for name in target::names().unwrap() {
        let dir = tempfile::tempdir().unwrap();
        target::copy(&name, dir.path()).unwrap();
        assert!(!tree::snapshot(dir.path()).unwrap().is_empty(), "{name}");
    }
    assert!(target::copy("no-such-target", &std::env::temp_dir().join("never-made")).is_err());
}

fn copied(name: &str) -> io::Result<tree::Tree> {
    let dir = tempfile::tempdir()?;
    target::copy(name, dir.path())?;
    tree::snapshot(dir.path())
}

#[test]
fn a_variant_is_its_base_with_what_differs() {
    let base = copied("arch-grub").unwrap();
    assert_eq!(base["tmp"].mode, 0o1777);
    assert_eq!(base["boot/grub/grub.cfg"].mode, 0o600);
    assert_eq!(base["usr/bin/mkinitcpio"].mode, 0o755);
    let string_form = copied("modules-string").unwrap();
    let wanted = [Difference::Content("etc/mkinitcpio.conf".to_owned())];
    assert_eq!(tree::diff(&base, &string_form), wanted);
    let without = copied("no-loader").unwrap();
    assert!(tree::diff(&base, &without).iter().all(|d| matches!(d, Difference::Removed(_))));
    assert!(!without.contains_key("etc/default/grub"));
}

#[test]
fn fixtures_about_single_bytes_still_hold_them() {
    let entry =
        |target: &str| copied(target).unwrap()["boot/loader/entries/arch.conf"].text().unwrap().to_owned();
    assert!(entry("entries-crlf").lines().count() > 5 && entry("entries-crlf").matches("\r\n").count() > 5);
    assert!(!entry("arch-systemd-boot").contains('\r'));
    assert!(entry("options-tab").contains("\noptions\troot="));
    assert!(entry("arch-systemd-boot").contains("\noptions root="));
    let config = copied("modules-no-newline").unwrap()["etc/mkinitcpio.conf"].text().unwrap().to_owned();
    assert!(!config.ends_with('\n'));
}

/// What the real modprobe says for a module or alias of a copied target.
fn modprobe(root: &Path, arguments: &[&str]) -> io::Result<String> {
    let own_config = root.join("etc/modprobe.d");
    let output = Command::new("modprobe")
        .args(["-S", "6.12.1-arch1-1", "-d"])
        .arg(root)
        .arg("-C")
        .arg(own_config)
        .args(arguments)
        .output()
        .map_err(|error| io::Error::other(format!("cannot start modprobe (package kmod): {error}")))?;
    String::from_utf8(output.stdout).map_err(io::Error::other)
}

#[test]
fn the_real_modprobe_can_read_a_target() {
    let dir = tempfile::tempdir().unwrap();
    target::copy("arch-grub", dir.path()).unwrap();
    let ask = |arguments: &[&str]| modprobe(dir.path(), arguments).unwrap();
    let plain = ask(&["--show-depends", "vfio-pci"]);
    assert!(plain.trim_end().ends_with("vfio/pci/vfio-pci.ko.zst"), "{plain}");
    assert!(plain.contains("irqbypass.ko.zst"), "{plain}");
    fs::write(dir.path().join("etc/modprobe.d/vfio.conf"), "options vfio-pci ids=10de:2484\n").unwrap();
    let with_ids = ask(&["--show-depends", "vfio-pci"]);
    assert!(with_ids.trim_end().ends_with("vfio-pci.ko.zst ids=10de:2484"), "{with_ids}");
    let resolve =
        |alias: &str| -> BTreeSet<String> { ask(&["-R", alias]).lines().map(str::to_owned).collect() };
    let nvidia = resolve("pci:v000010DEd00002484sv00001458sd00004000bc03sc00i00");
    assert!(nvidia.contains("nvidia") && nvidia.contains("nouveau"), "{nvidia:?}");
    let usb = resolve("pci:v000010DEd00001AD8sv00001458sd000037A8bc0Csc03i30");
    assert_eq!(usb.into_iter().collect::<Vec<_>>(), ["xhci_pci"]);
    assert!(resolve("pci:v0000DEADd0000BEEFsv00000000sd00000000bc03sc00i00").is_empty());

    let dir = tempfile::tempdir().unwrap();
    target::copy("kernel-vfio-built-in", dir.path()).unwrap();
    assert_eq!(modprobe(dir.path(), &["--show-depends", "vfio-pci"]).unwrap(), "builtin vfio_pci\n");
    let dir = tempfile::tempdir().unwrap();
    target::copy("kernel-without-vfio", dir.path()).unwrap();
    assert_eq!(modprobe(dir.path(), &["--show-depends", "vfio-pci"]).unwrap(), "");
}

#[test]
fn the_index_names_every_target_once() {
    let index = fs::read_to_string(tests_folder().join("targets/README.md")).unwrap();
    for name in target::names().unwrap() {
        assert_eq!(index.matches(&format!("| `{name}` |")).count(), 1, "{name}");
    }
}

#[test]
fn the_comparer_sees_every_kind_of_difference() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for name in ["kept", "changed", "removed", "mode", "kind"] {
        fs::write(root.join(name), name).unwrap();
    }
    let before = tree::snapshot(root).unwrap();
    assert_eq!(tree::diff(&before, &tree::snapshot(root).unwrap()), []);
    fs::write(root.join("added"), "").unwrap();
    fs::write(root.join("changed"), "Changed").unwrap();
    fs::set_permissions(root.join("mode"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(root.join("removed")).unwrap();
    fs::remove_file(root.join("kind")).unwrap();
    symlink("kept", root.join("kind")).unwrap();
    let found = tree::diff(&before, &tree::snapshot(root).unwrap());
    let wanted = [
        Difference::Added("added".to_owned()),
        Difference::Content("changed".to_owned()),
        Difference::Content("kind".to_owned()),
        Difference::Attributes("mode".to_owned()),
        Difference::Removed("removed".to_owned()),
    ];
    assert_eq!(found, wanted);
}
