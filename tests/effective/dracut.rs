//! dracut's configuration, told by bash in dracut's own order.

use std::fs;
use std::process::Command;

use neuron_tests::readers::{dracut as read, output};

use super::{Applied, for_each};

/// What stands in neither of two lists of words at the same place: `new` without what `old` has.
fn added(old: &[String], new: &[String]) -> Vec<String> {
    let mut rest = old.iter().peekable();
    let added = new.iter().filter(|word| rest.next_if(|next| next == word).is_none()).cloned().collect();
    assert!(rest.next().is_none(), "{old:?} is not kept in {new:?}");
    added
}

/// The modules that kmod finds in some kernel of the target.
fn wanted(applied: &Applied) -> Vec<String> {
    let has = |module: &&str| {
        applied.kernels().iter().any(|kernel| {
            let mut command = Command::new("modprobe");
            command.args(["-S", kernel, "-d"]).arg(applied.untouched()).args(["--show-depends", module]);
            output(&mut command, "kmod").unwrap().1.contains("insmod")
        })
    };
    ["vfio_pci", "vfio", "vfio_iommu_type1"].into_iter().filter(has).map(str::to_owned).collect()
}

#[test]
fn vfio_pci_is_forced_and_its_configuration_comes_along() {
    let mut checked = 0;
    for_each(|applied| {
        if !applied.is_for_dracut() {
            return;
        }
        let name = &applied.scenario.name;
        let before = read(&applied.untouched(), "").unwrap();
        let after = read(&applied.ground.target(), "").unwrap();
        let more = |variable: &str| added(&before[variable], &after[variable]);
        assert_eq!(more("force_drivers"), wanted(applied), "{name}");
        assert_eq!(more("install_items"), ["/etc/modprobe.d/vfio.conf"], "{name}");
        let module = applied.untouched().join("usr/lib/dracut/modules.d/90neuron-vfio");
        let hook: &[&str] = if module.exists() { &["neuron-vfio"] } else { &[] };
        assert_eq!(more("add_dracutmodules"), hook, "{name}");
        for variable in ["omit_drivers", "omit_dracutmodules", "uefi"] {
            assert_eq!(before[variable], after[variable], "{name}");
        }
        checked += 1;
    });
    assert!(checked >= 9, "only {checked} targets with dracut");
}

#[test]
fn the_command_line_of_images_gains_the_parameters_and_the_hosts_does_not() {
    let applied = Applied::new("dracut-uki").unwrap();
    let line = |given: &str| read(&applied.ground.target(), given).unwrap().remove("kernel_cmdline").unwrap();
    let before = read(&applied.untouched(), "").unwrap().remove("kernel_cmdline").unwrap();
    assert!(before.iter().any(|word| word.starts_with("root=")));
    assert_eq!(added(&before, &line("")), applied.scenario.parameters);
    // As the plan has dracut build it.
    let switches = "neuron.passthrough=off vfio-pci.ids=";
    let plan = fs::read_to_string(applied.scenario.folder().join("plan.txt")).unwrap();
    assert!(plan.contains(&format!("--kernel-cmdline {switches} ")), "{plan}");
    assert_eq!(added(&before, &line(switches)), switches.split(' ').collect::<Vec<_>>());
    // The control: with any other words there, nothing is left out.
    assert_eq!(line("quiet").iter().filter(|word| *word == "iommu=pt").count(), 1);
}

#[test]
fn a_later_file_that_sets_the_list_anew_loses_ours() {
    let applied = Applied::new("dracut-grub").unwrap();
    let root = applied.ground.target();
    let forced = || read(&root, "").unwrap().remove("force_drivers").unwrap();
    assert!(forced().contains(&"vfio_pci".to_owned()));
    let late = root.join("etc/dracut.conf.d/nvidia.conf");
    fs::write(&late, "force_drivers=\" nvidia \"\n").unwrap();
    assert_eq!(forced(), ["nvidia"], "which is why such a target is refused");
    fs::write(&late, "force_drivers+=\" nvidia \"\n").unwrap();
    assert_eq!(forced(), ["vfio_pci", "vfio", "vfio_iommu_type1", "nvidia"]);
    fs::rename(&late, root.join("etc/dracut.conf.d/9-nvidia.conf")).unwrap();
    assert_eq!(forced(), ["nvidia", "vfio_pci", "vfio", "vfio_iommu_type1"]);
}

#[test]
fn the_reader_does_not_take_a_broken_file() {
    let applied = Applied::new("dracut-grub").unwrap();
    let root = applied.ground.target();
    assert!(read(&root, "").is_ok());
    fs::write(root.join("etc/dracut.conf.d/broken.conf"), "force_drivers+=\" never closed\n").unwrap();
    assert!(read(&root, "").is_err());
}
