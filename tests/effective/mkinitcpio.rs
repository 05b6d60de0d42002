//! mkinitcpio's configuration, told by bash in mkinitcpio's own order.

use std::fs;
use std::process::Command;

use neuron_tests::readers::{mkinitcpio as read, output};

use super::{Applied, for_each};

/// The modules that must come first: those that kmod finds in every kernel; with `?` where only some
/// have it.
fn wanted(applied: &Applied) -> Vec<String> {
    let kernels = applied.kernels();
    let has = |module: &str, kernel: &String| {
        let mut command = Command::new("modprobe");
        command.args(["-S", kernel, "-d"]).arg(applied.untouched()).args(["--show-depends", module]);
        let (_, said, _) = output(&mut command, "kmod").unwrap();
        said.contains("insmod")
    };
    let modules = ["vfio_pci", "vfio", "vfio_iommu_type1", "vfio_virqfd"];
    let name = |module: &str| match kernels.iter().filter(|kernel| has(module, kernel)).count() {
        0 => None,
        all if all == kernels.len() => Some(module.to_owned()),
        _ => Some(format!("{module}?")),
    };
    modules.into_iter().filter_map(name).collect()
}

#[test]
fn vfio_pci_comes_first_in_the_image_of_every_preset() {
    let (mut checked, mut hooked, mut built_in) = (0, 0, 0);
    for_each(|applied| {
        if applied.is_for_dracut() {
            return;
        }
        let name = &applied.scenario.name;
        let before = read(&applied.untouched()).unwrap();
        assert!(!before.is_empty(), "{name} has no preset");
        assert!(!before.iter().any(|one| one.modules.iter().any(|module| module.contains("vfio"))), "{name}");
        let mut after = read(&applied.ground.target()).unwrap();
        let host: Vec<_> = after.extract_if(.., |one| one.preset.starts_with("neuron-host-")).collect();
        // Their images hold the same, and keep it to themselves.
        assert!(host.iter().all(|one| after.iter().any(|other| other.modules == one.modules)), "{name}");
        if !applied.claims() {
            assert_eq!(after, before, "{name}: a pending machine changes no image");
            return;
        }
        let first = wanted(applied);
        for (before, after) in before.iter().zip(&after) {
            let all: Vec<&String> = first.iter().chain(&before.modules).collect();
            assert_eq!(after.modules.iter().collect::<Vec<_>>(), all, "{name}, {}", after.preset);
            assert_eq!(after.files, before.files, "{name}");
            let own = applied.untouched().join("usr/lib/initcpio/install/neuron-vfio").exists();
            let hook = own.then(|| "neuron-vfio".to_owned());
            let all: Vec<&String> = before.hooks.iter().chain(&hook).collect();
            assert_eq!(after.hooks.iter().collect::<Vec<_>>(), all, "{name}, {}", after.preset);
            hooked += usize::from(own);
            built_in += usize::from(own && first.is_empty());
            checked += 1;
        }
        assert_eq!(before.len(), after.len(), "{name}");
    });
    assert!(checked > 20 && hooked > 1 && built_in > 0, "only {checked} presets, {hooked}, {built_in}");
}

#[test]
fn without_modconf_the_configuration_is_brought_along() {
    let applied = Applied::new("grub-single-quotes").unwrap();
    let root = applied.ground.target();
    assert_eq!(applied.ground.run(&["revert", "--yes"]).unwrap().code, 4);
    let main = root.join("etc/mkinitcpio.conf");
    let text = fs::read_to_string(&main).unwrap();
    fs::write(&main, text.replace(" modconf ", " ")).unwrap();
    assert_eq!(applied.ground.run(&["apply", "--yes"]).unwrap().code, 4);
    assert_eq!(read(&root).unwrap()[0].files, ["/etc/modprobe.d/vfio.conf"]);
}

#[test]
fn the_order_of_drop_ins_is_the_one_of_sort() {
    let applied = Applied::new("grub-single-quotes").unwrap();
    let root = applied.ground.target();
    let folder = root.join("etc/mkinitcpio.conf.d");
    fs::write(folder.join("9-early.conf"), "MODULES+=(early)\n").unwrap();
    fs::write(folder.join("100-late.conf"), "MODULES=(late)\n").unwrap();
    assert_eq!(read(&root).unwrap()[0].modules, ["late"], "a later file resets MODULES");
    fs::remove_file(folder.join("100-late.conf")).unwrap();
    let modules = read(&root).unwrap().remove(0).modules;
    assert_eq!(modules.first().map(String::as_str), Some("vfio_pci"));
    assert_eq!(modules.last().map(String::as_str), Some("early"));
}

#[test]
fn the_reader_does_not_take_a_broken_file() {
    let applied = Applied::new("grub-single-quotes").unwrap();
    let root = applied.ground.target();
    let main = root.join("etc/mkinitcpio.conf");
    let text = fs::read_to_string(&main).unwrap();
    fs::write(&main, format!("{text}MODULES=(never closed\n")).unwrap();
    assert!(read(&root).is_err());
    fs::write(&main, text.trim_end().to_owned() + "\nMODULES=(a)").unwrap();
    assert!(read(&root).is_ok(), "a file without a last line end is not broken by the drop-in");
}
