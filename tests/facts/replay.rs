//! What was read can be read again from its capture, and scrubbing changes no judgement.

use neuron_passthrough::answers::Answers;
use neuron_passthrough::facts::{Machine, scrub};
use neuron_passthrough::policy;
use neuron_passthrough::root::{Capture, Root};
use neuron_tests::seen::Seen;

use super::{MACHINES, laid_out};

#[test]
fn every_machine_replays_from_its_capture_and_judges_alike_when_scrubbed() {
    let mut guests = 0;
    for seen in MACHINES.iter() {
        let id = &seen.machine.id;
        let text = seen.capture.render().unwrap();
        let again = Capture::parse(&text).unwrap();
        assert_eq!(again, seen.capture, "{id}");
        assert_eq!(Machine::read(&Root::capture(again)).unwrap(), seen.facts, "{id}");

        let mut scrubbed = seen.capture.clone();
        scrub(&mut scrubbed);
        let text = scrubbed.render().unwrap();
        assert!(!text.contains("root=UUID") && !text.contains("boot_id"), "{id}");
        let facts = Machine::read(&Root::capture(scrubbed)).unwrap();
        for answers in ["", "[passthrough]\nguest_gpus = \"all\"\n"] {
            let answers = Answers::parse(answers).unwrap();
            let judgement = policy::judge(&facts, &answers);
            assert_eq!(judgement, policy::judge(&seen.facts, &answers), "{id}");
            guests += judgement.decision.guest_gpus.len();
        }
    }
    assert!(guests > 50, "only {guests} guests were judged");
}

#[test]
fn a_capture_knows_only_what_was_looked_at() {
    let seen = Seen::load("made-rtx-usbc-igpu").unwrap();
    let root = Root::capture(seen.capture.clone());
    assert!(root.read("sys/bus/pci/devices/0000:01:00.0/vendor").unwrap().is_some());
    let error = root.read("sys/bus/pci/devices/0000:01:00.0/config").unwrap_err();
    assert_eq!(error.path, "/sys/bus/pci/devices/0000:01:00.0/config");
    assert!(Capture::parse("{}").is_err());
    let text = seen.capture.render().unwrap();
    assert!(Capture::parse(&text.replace("neuron-capture/1", "neuron-capture/2")).is_err());
}

#[test]
fn a_changed_capture_is_another_machine() {
    let seen = Seen::load("made-rtx-usbc-igpu").unwrap();
    let text = seen.capture.render().unwrap();
    let changed = Capture::parse(&text.replace("0x10de", "0x1002")).unwrap();
    assert_ne!(Machine::read(&Root::capture(changed)).unwrap(), seen.facts);
}

#[test]
fn the_boot_identifier_is_read_and_is_no_part_of_a_machine() {
    let folder = laid_out("made-rtx-usbc-igpu");
    let root = Root::directory(folder.path()).unwrap().recording();
    Machine::read(&root).unwrap();
    assert!(root.recorded().unwrap().entry("proc/sys/kernel/random/boot_id").is_none());
    let id = neuron_passthrough::facts::boot_id(&root);
    assert_eq!(id.as_deref(), Some("6f1b2c1e-33a5-4f57-8b6e-0a4e6a0d9c01"));
    std::fs::remove_file(folder.path().join("proc/sys/kernel/random/boot_id")).unwrap();
    assert_eq!(neuron_passthrough::facts::boot_id(&root), None);
}
