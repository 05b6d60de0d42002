//! `vfio.conf`, told by kmod.

use std::collections::BTreeSet;
use std::path::Path;

use neuron_tests::readers::{self, ids, position};

use super::{Applied, for_each};

fn modprobe(root: &Path, kernel: &str, arguments: &[&str]) -> Vec<String> {
    readers::modprobe(root, kernel, arguments).unwrap()
}

/// The modules that udev would load for what is assigned, in a kernel that has them as modules.
fn drivers(applied: &Applied, kernel: &str) -> BTreeSet<String> {
    let root = applied.untouched();
    let aliases = applied.assigned().map(|function| {
        let event =
            applied.ground.machine().join("sys/bus/pci/devices").join(&function.address).join("uevent");
        let event = std::fs::read_to_string(event).unwrap();
        event.lines().find_map(|line| line.strip_prefix("MODALIAS=")).unwrap().to_owned()
    });
    let modules = aliases.flat_map(|alias| modprobe(&root, kernel, &["-R", &alias]));
    modules.filter(|module| module != "vfio_pci").collect()
}

#[test]
fn vfio_pci_is_loaded_first_with_the_ids_of_what_is_assigned() {
    let (mut claimed, mut asked) = (0, 0);
    let checked = for_each(|applied| {
        let (name, root) = (&applied.scenario.name, applied.ground.target());
        for kernel in applied.kernels() {
            let before = modprobe(&applied.untouched(), &kernel, &["--show-depends", "vfio-pci"]);
            assert_eq!(ids(&before), None, "{name}: the untouched target has ids");
            let after = modprobe(&root, &kernel, &["--show-depends", "vfio-pci"]);
            let built_in = after == ["builtin vfio_pci"];
            if !applied.claims() {
                assert_eq!(
                    (ids(&after), after.len()),
                    (None, before.len()),
                    "{name}: pending claims nothing"
                );
                continue;
            }
            claimed += 1;
            if !built_in {
                let mut wanted: Vec<String> = Vec::new();
                for function in applied.assigned() {
                    let id = format!("{}:{}", function.vendor, function.device);
                    if !wanted.contains(&id) {
                        wanted.push(id);
                    }
                }
                let wanted = Some(wanted).filter(|_| !applied.by_address);
                assert_eq!(ids(&after), wanted, "{name}, {kernel}: {after:?}");
            }
            for driver in drivers(applied, &kernel) {
                let show = |root: &Path| modprobe(root, &kernel, &["--show-depends", &driver]);
                let untouched = show(&applied.untouched());
                assert_eq!(position(&untouched, "vfio_pci"), None, "{name}, {driver}: {untouched:?}");
                if untouched.iter().any(|line| line.starts_with("builtin")) {
                    continue;
                }
                let loads = show(&root);
                let (vfio, own) = (position(&loads, "vfio_pci"), position(&loads, &driver));
                assert!(own.is_some() && vfio.is_some() && vfio < own, "{name}, {driver}: {loads:?}");
                asked += 1;
            }
        }
    });
    assert!(checked > 20 && claimed > 20 && asked > 50, "{checked} {claimed} {asked}");
}

#[test]
fn what_the_source_of_a_machine_says_is_what_is_bound() {
    let mut told = 0;
    for_each(|applied| {
        let Some(expected) = &applied.machine.expected.passthrough else { return };
        if applied.claims() && applied.scenario.answers().is_none() {
            assert_eq!(&applied.bind, expected, "{}", applied.scenario.name);
            told += 1;
        }
    });
    assert!(told > 15, "only {told} machines tell");
}

#[test]
fn a_misspelt_configuration_has_no_effect_and_is_told_apart() {
    let applied = Applied::new("grub-single-quotes").unwrap();
    let (root, kernel) = (applied.ground.target(), &applied.kernels()[0]);
    let file = root.join("etc/modprobe.d/vfio.conf");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("options vfio-pci", "option vfio-pci").replace("softdep", "softdeb"))
        .unwrap();
    assert_eq!(ids(&modprobe(&root, kernel, &["--show-depends", "vfio-pci"])), None);
    assert_eq!(position(&modprobe(&root, kernel, &["--show-depends", "nouveau"]), "vfio_pci"), None);
}
