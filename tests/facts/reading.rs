//! How little is read: never `config`, and of what is far from any GPU the class alone.

use std::collections::BTreeSet;
use std::fs;

use neuron_passthrough::facts::Machine;
use neuron_passthrough::id::PciAddress;
use neuron_tests::machine::{self, synthetic};
use neuron_tests::seen::Seen;

use super::{MACHINES, laid_out, read};

const DEVICES: &str = "sys/bus/pci/devices/";

/// Which attributes of a function were looked at.
fn looked_at(seen: &Seen, address: PciAddress) -> BTreeSet<String> {
    let folder = format!("{DEVICES}{address}/");
    let mut capture = seen.capture.clone();
    let paths = capture.entries_mut().filter_map(|(path, _)| path.strip_prefix(&folder).map(str::to_owned));
    paths.collect()
}

/// Functions that may be read in full: GPUs, their slots, the groups of these, and any sound.
fn near(machine: &Machine) -> BTreeSet<PciAddress> {
    let displays: Vec<_> = machine.functions.values().filter(|f| f.class.is_display()).collect();
    let in_slots = machine.functions.values().filter(|f| {
        f.class.is_audio() || displays.iter().any(|display| display.address.same_slot(f.address))
    });
    let mut near: BTreeSet<PciAddress> = in_slots.map(|function| function.address).collect();
    near.extend(machine.groups.values().flat_map(|group| group.members.iter().copied()));
    near
}

#[test]
fn the_configuration_space_is_never_opened() {
    for seen in MACHINES.iter() {
        let mut capture = seen.capture.clone();
        let paths: Vec<&str> = capture.entries_mut().map(|(path, _)| path).collect();
        assert!(
            paths.iter().any(|path| path.ends_with("/class")),
            "{}: nothing was recorded",
            seen.machine.id
        );
        let config = paths.iter().find(|path| path.split('/').any(|part| part == "config"));
        assert_eq!(config, None, "{}", seen.machine.id);
    }
}

#[test]
fn a_machine_whose_configuration_space_cannot_be_read_reads_the_same() {
    let folder = laid_out("made-rtx-usbc-igpu");
    let before = read(folder.path()).unwrap();
    for function in before.functions.keys() {
        let config = folder.path().join(format!("{DEVICES}{function}/config"));
        fs::remove_file(&config).unwrap();
        fs::create_dir(&config).unwrap();
    }
    assert_eq!(read(folder.path()).unwrap(), before);
    // The same done to a file that is read is noticed.
    let vendor = folder.path().join(DEVICES).join("0000:01:00.0/vendor");
    fs::remove_file(&vendor).unwrap();
    fs::create_dir(&vendor).unwrap();
    let error = read(folder.path()).unwrap_err().to_string();
    assert_eq!(error, "cannot read /sys/bus/pci/devices/0000:01:00.0/vendor");
}

#[test]
fn of_what_is_far_from_a_gpu_the_class_alone_is_read() {
    let (mut far, mut lookalikes) = (0, 0);
    for seen in MACHINES.iter() {
        let near = near(&seen.facts);
        for address in seen.facts.functions.keys().filter(|address| !near.contains(address)) {
            let files = looked_at(seen, *address);
            let class = BTreeSet::from(["class".to_owned()]);
            let ids: BTreeSet<String> = ["class", "device", "vendor"].map(str::to_owned).into();
            assert!(files == class || files == ids, "{} {address}: {files:?}", seen.machine.id);
            if files == ids { lookalikes += 1 } else { far += 1 }
        }
    }
    assert!(far > 1000 && lookalikes > 20, "{far} far functions, {lookalikes} that are alike");
}

#[test]
fn a_machine_of_many_functions_costs_one_look_for_each_of_them() {
    let looks = |size| Seen::read(synthetic(size)).unwrap().capture.entries_mut().count();
    assert_eq!(looks(512) - looks(256), 256);
}

#[test]
fn ids_are_read_of_what_could_be_a_twin() {
    let seen = Seen::load("made-rtx-usbc-igpu").unwrap();
    let usb =
        seen.facts.functions.values().find(|f| f.class.kind() == 0x0c03 && f.address.bus() == 0).unwrap();
    assert!(usb.id.is_some() && usb.driver.is_none(), "{usb:?}");
    let mut plain = machine::Machine::load("made-rtx-usbc-igpu").unwrap();
    plain.functions.retain(|function| !function.class.starts_with("03"));
    plain.connectors.clear();
    let without = Seen::read(plain).unwrap();
    assert_eq!(without.facts.functions[&usb.address].id, None);
}
