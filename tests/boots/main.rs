//! Boots that are counted, as the system's own units ask for it, and what the units themselves are.
//!
//! The machines here are made: their functions do not move. That they do in a real kernel is shown in
//! the lab.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

mod copies;
mod good;
mod kernels;
mod unified;
mod units;

use std::fs;

use neuron_tests::program::{self, Output};
use neuron_tests::scenario::Ground;
use serde_json::Value;

const BOOTS: &str = "var/lib/neuron-provisioner/boots.json";

/// A machine on which a set-up was applied, and then booted.
pub(crate) fn booted(result: &str) -> Ground {
    let ground = Ground::new("made-rtx-usbc-igpu", "arch-grub").unwrap();
    ends(&ground, &["apply", "--yes"], 4);
    boot(&ground, 1, result);
    ground
}

/// The machine boots, and the early hook says what it did.
pub(crate) fn boot(ground: &Ground, number: u32, result: &str) {
    ground.boot(&format!("00000000-0000-4000-8000-{number:012}")).unwrap();
    let claim = ground.machine().join("run/neuron/claim");
    fs::create_dir_all(claim.parent().unwrap()).unwrap();
    fs::write(claim, format!("result={result}\nreason=as the test wants\n")).unwrap();
}

pub(crate) fn ends(ground: &Ground, arguments: &[&str], code: i32) -> Output {
    let output = ground.run(arguments).unwrap();
    assert_eq!(output.code, code, "{arguments:?}: {}{}", output.stdout, output.stderr);
    output
}

/// What doctor says of the way back.
pub(crate) fn way_back(ground: &Ground) -> String {
    let output = ground.run(&["doctor", "--json"]).unwrap();
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["id"] == "way-back").unwrap();
    check["status"].as_str().unwrap().to_owned()
}

pub(crate) fn begin(ground: &Ground) -> String {
    ends(ground, &["boot", "begin"], 0).stderr
}

pub(crate) fn status(ground: &Ground) -> Value {
    serde_json::from_str(&ground.run(&["status", "--json"]).unwrap().stdout).unwrap()
}

#[test]
fn after_three_boots_that_were_never_good_the_card_stays_with_the_host_until_somebody_says_otherwise() {
    let ground = booted("claimed");
    for number in 1..=3 {
        boot(&ground, number, "claimed");
        assert!(begin(&ground).contains(&format!("boot {number} of 3")));
        assert!(begin(&ground).contains(&format!("boot {number} of 3")), "one boot counts once");
        let status = status(&ground);
        assert_eq!((&status["state"], &status["boots"]["unproven"]), (&"active".into(), &number.into()));
    }
    let neutral = ground.machine().join("run/modprobe.d/zz-neuron-vfio.conf");
    assert!(!neutral.exists());
    for (number, expected) in [(4, "3 boots in a row were never good"), (5, "nobody said otherwise")] {
        boot(&ground, number, "claimed");
        assert!(begin(&ground).contains(expected));
        assert!(fs::read_to_string(&neutral).unwrap().ends_with("\noptions vfio-pci ids=\n"));
        fs::remove_file(&neutral).unwrap();
        assert_eq!(status(&ground)["state"], "given-back");
        assert!(ends(&ground, &["status"], 0).stdout.contains("3 boots in a row"));
    }
    ends(&ground, &["apply", "--yes"], 4);
    ends(&ground, &["apply", "--yes"], 4);
    let state = status(&ground);
    assert_eq!((&state["state"], &state["reboot_needed"]), (&"pending".into(), &true.into()));
    boot(&ground, 6, "claimed");
    assert!(begin(&ground).contains("boot 1 of 3"));
    assert_eq!(status(&ground)["state"], "active");
    ends(&ground, &["apply", "--yes"], 0);
    // Nobody can build the images here: the next boot may claim all the same, so it still counts.
    ends(&ground, &["revert", "--yes"], 4);
    assert!(ground.target().join(BOOTS).exists());
    ends(&ground, &["revert", "--yes"], 0);
    assert!(!ground.target().join(BOOTS).exists());
}

#[test]
fn boots_without_passthrough_are_not_counted() {
    let ground = booted("off");
    for (number, result) in (1..).zip(["off", "doubt", "off", "doubt", "off"]) {
        boot(&ground, number, result);
        assert!(begin(&ground).contains("not in force"));
        assert!(!ground.target().join(BOOTS).exists());
    }
    // And do not make the others good.
    for number in 11..=13 {
        boot(&ground, number, "claimed");
        begin(&ground);
        boot(&ground, number + 10, "off");
        begin(&ground);
    }
    boot(&ground, 14, "claimed");
    assert!(begin(&ground).contains("goes back to the host"));
}

#[test]
fn a_damaged_count_leaves_one_try() {
    for damage in ["", "{", "\u{0}\u{0}\u{0}", "{\"schema\":\"neuron-boots/2\",\"unproven\":[]}"] {
        let ground = booted("claimed");
        begin(&ground);
        fs::write(ground.target().join(BOOTS), damage).unwrap();
        boot(&ground, 2, "claimed");
        let said = begin(&ground);
        assert!(said.contains("boot 3 of 3") && said.contains("boots.json"), "{damage:?}: {said}");
        boot(&ground, 3, "claimed");
        assert!(begin(&ground).contains("goes back to the host"), "{damage:?}");
    }
    // The control: an undamaged one leaves two more.
    let ground = booted("claimed");
    begin(&ground);
    boot(&ground, 2, "claimed");
    assert!(begin(&ground).contains("boot 2 of 3"));
}

/// What was applied is not known any more then; that a boot begins is.
#[test]
fn a_damaged_journal_does_not_keep_boots_from_being_counted() {
    let ground = booted("claimed");
    let journal = ground.target().join("var/lib/neuron-provisioner/journal.jsonl");
    let whole = fs::read_to_string(&journal).unwrap();
    let mut lines: Vec<&str> = whole.lines().collect();
    let middle = lines.len() / 2;
    lines[middle] = "{\"record\":";
    fs::write(&journal, lines.join("\n") + "\n").unwrap();
    let said = ends(&ground, &["status"], 3).stderr;
    assert!(said.contains("journal"), "{said}");
    for number in 1..=3 {
        boot(&ground, number, "claimed");
        let said = begin(&ground);
        assert!(said.contains(&format!("boot {number} of 3")), "{said}");
    }
    boot(&ground, 4, "claimed");
    assert!(begin(&ground).contains("goes back to the host"));
    boot(&ground, 5, "claimed");
    assert!(begin(&ground).contains("nobody said otherwise"));
}

/// A function of a made machine does not move: that has to be told, with its name.
#[test]
fn what_could_not_be_given_back_is_told() {
    let ground = booted("claimed");
    let devices = fs::read_to_string(ground.target().join("etc/neuron/vfio-devices")).unwrap();
    let guest = devices.lines().find_map(|line| line.strip_prefix("guest ")?.split(' ').next()).unwrap();
    let device = ground.machine().join("sys/bus/pci/devices").join(guest);
    fs::write(device.join("driver_override"), "vfio-pci\n").unwrap();
    let _ = fs::remove_file(device.join("driver"));
    std::os::unix::fs::symlink("../../../../bus/pci/drivers/vfio-pci", device.join("driver")).unwrap();
    for number in 1..=3 {
        boot(&ground, number, "claimed");
        begin(&ground);
    }
    boot(&ground, 4, "claimed");
    let said = ends(&ground, &["boot", "begin"], 6).stderr;
    assert!(said.contains(guest) && said.contains("neuron.passthrough=off"), "{said}");
}

#[test]
fn the_verb_is_not_for_people() {
    let help = program::run(["--help"]).unwrap().stdout;
    let lists = |verb: &str| help.lines().any(|line| line.trim_start().starts_with(&format!("{verb} ")));
    assert!(lists("status") && !lists("boot"), "{help}");
}
