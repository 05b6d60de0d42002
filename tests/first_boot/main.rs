//! The first boot, as its unit asks for it: what somebody said and nobody carried out is done once for
//! every state, and what came of it is told.
//!
//! That the unit starts in a real systemd is shown in the lab.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

mod asking;
mod cut_off;
mod trouble;

use std::fs;

use neuron_tests::machine::{self, Machine};
use neuron_tests::program::{self, Output};
use neuron_tests::scenario::Ground;
use neuron_tests::tree::diff;
use serde_json::Value;

pub(crate) const OWN: &str = "etc/neuron/provisioner.toml";
const MOTD: &str = "run/motd.d/neuron-provisioner";

pub(crate) fn ground(machine: &str) -> Ground {
    Ground::new(machine, "arch-grub").unwrap()
}

/// The target's own answers file.
pub(crate) fn answers(ground: &Ground, text: &str) {
    let path = ground.target().join(OWN);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub(crate) fn first_boot(ground: &Ground) -> Output {
    ground.run(&["firstboot", "run"]).unwrap()
}

/// With this text as the credential.
fn with_credential(ground: &Ground, text: &str) -> Output {
    let folder = ground.beside("credentials");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("neuron.answers"), text).unwrap();
    let mut command = program::command().unwrap();
    command.arg("--machine-root").arg(ground.machine()).arg("--target-root").arg(ground.target());
    program::output(command.args(["firstboot", "run"]).env("CREDENTIALS_DIRECTORY", &folder)).unwrap()
}

pub(crate) fn reboot(ground: &Ground, number: u32) {
    ground.boot(&format!("00000000-0000-4000-8000-{number:012}")).unwrap();
    let _ = fs::remove_dir_all(ground.machine().join("run"));
}

pub(crate) fn ends(output: &Output, code: i32) {
    assert_eq!(output.code, code, "{}{}", output.stdout, output.stderr);
}

pub(crate) fn status(ground: &Ground) -> Value {
    serde_json::from_str(&ground.run(&["status", "--json"]).unwrap().stdout).unwrap()
}

pub(crate) fn outcome(ground: &Ground) -> String {
    status(ground)["first_boot"]["outcome"].as_str().unwrap_or("null").to_owned()
}

/// What a person reads who logs in; empty without a message.
pub(crate) fn motd(ground: &Ground) -> String {
    fs::read_to_string(ground.machine().join(MOTD)).unwrap_or_default().replace("\n  ", " ")
}

fn command_line(ground: &Ground) -> String {
    fs::read_to_string(ground.target().join("etc/default/grub")).unwrap()
}

/// The machine is another one at its next boot.
pub(crate) fn becomes(ground: &Ground, machine: &str, boot: u32) {
    fs::remove_dir_all(ground.machine()).unwrap();
    machine::lay_out(&Machine::load(machine).unwrap(), &ground.machine()).unwrap();
    reboot(ground, boot);
}

/// Runs it and looks that the target is not touched.
pub(crate) fn changes_nothing(ground: &Ground, code: i32) -> Output {
    let before = ground.tree().unwrap();
    let output = first_boot(ground);
    ends(&output, code);
    assert_eq!(diff(&before, &ground.tree().unwrap()), [], "{}", output.stderr);
    output
}

/// The machine boots with its IOMMU on: every function gets a group, behind one bridge the same.
pub(crate) fn with_groups(ground: &Ground) {
    let mut machine = Machine::load("made-intel-pending").unwrap();
    machine.iommu = Some(true);
    machine.cmdline = machine.cmdline.map(|line| line + " intel_iommu=on iommu=pt");
    for (number, function) in (0..).zip(&mut machine.functions) {
        function.iommu_group = Some(if function.address.starts_with("0000:01") { 100 } else { number });
    }
    fs::remove_dir_all(ground.machine()).unwrap();
    machine::lay_out(&machine, &ground.machine()).unwrap();
}

#[test]
fn answers_in_a_system_that_was_never_set_up_are_carried_out_once() {
    let ground = ground("made-rtx-usbc-igpu");
    answers(&ground, "schema = 1\n[passthrough]\nextra_parameters = [\"quirk=1\"]\n");
    let done = first_boot(&ground);
    ends(&done, 4);
    let said = done.stdout.replace("\n  ", " ");
    assert!(said.starts_with("GPU passthrough: "), "{said}");
    assert!(said.contains("it is set up: reboot"), "{said}");
    // Nothing starts in the fixture, so nothing was built there.
    assert!(said.contains("not everything is done. Left to you: grub-cfg: "), "{said}");
    assert!(motd(&ground).contains("reboot to put it into effect"), "{}", motd(&ground));
    assert!(command_line(&ground).contains("quirk=1"));
    assert_eq!((outcome(&ground).as_str(), &status(&ground)["reboot_needed"]), ("done", &true.into()));
    let again = changes_nothing(&ground, 0);
    assert_eq!(again.stdout, "");
    // Later boots change nothing either, also when a person is in the middle of other answers.
    reboot(&ground, 2);
    answers(&ground, "schema = 1\n[passthrough]\nextra_parameters = [\"quirk=2\"]\n");
    changes_nothing(&ground, 0);
    assert_eq!(motd(&ground), "");
}

#[test]
fn where_nobody_said_anything_nothing_is_done() {
    let ground = ground("made-rtx-usbc-igpu");
    let output = changes_nothing(&ground, 0);
    assert!(output.stderr.contains("nothing was left to be done"), "{}", output.stderr);
    assert_eq!((output.stdout.as_str(), motd(&ground).as_str()), ("", ""));
    assert_eq!(status(&ground)["first_boot"], Value::Null);
}

#[test]
fn what_was_switched_off_or_taken_back_stays_so() {
    let off = ground("made-rtx-usbc-igpu");
    answers(&off, "schema = 1\n[passthrough]\nmode = \"off\"\n");
    ends(&first_boot(&off), 0);
    assert!(!off.target().join("etc/modprobe.d/vfio.conf").exists());
    reboot(&off, 2);
    changes_nothing(&off, 0);
    let reverted = ground("made-rtx-usbc-igpu");
    answers(&reverted, "schema = 1\n");
    ends(&first_boot(&reverted), 4);
    ends(&reverted.run(&["revert", "--yes"]).unwrap(), 4);
    assert_eq!(motd(&reverted), "", "it is not true any more");
    reboot(&reverted, 2);
    changes_nothing(&reverted, 0);
    assert_eq!(status(&reverted)["state"], "reverted");
}

/// Kernel command line, `--answers`, credential, the target's file: each wins over all that follow.
#[test]
fn who_wins_is_as_the_contract_says() {
    let quirk = |number: u32| format!("schema = 1\n[passthrough]\nextra_parameters = [\"quirk={number}\"]\n");
    let off = ground("made-rtx-usbc-igpu");
    let line = off.machine().join("proc/cmdline");
    let old = fs::read_to_string(&line).unwrap();
    fs::write(&line, format!("{} neuron.passthrough=off\n", old.trim())).unwrap();
    answers(&off, &quirk(3));
    let before = off.tree().unwrap();
    let output = with_credential(&off, &quirk(2));
    ends(&output, 0);
    assert!(output.stderr.contains("neuron.passthrough=off"), "{}", output.stderr);
    assert_eq!(diff(&before, &off.tree().unwrap()), []);
    // Without the switch the same does something.
    fs::write(&line, old).unwrap();
    ends(&with_credential(&off, &quirk(2)), 4);
    assert!(command_line(&off).contains("quirk=2"), "{}", command_line(&off));
    let kept = fs::read_to_string(off.target().join(OWN)).unwrap();
    assert!(kept.ends_with(&quirk(2)), "{kept}");

    let mut given = ground("made-rtx-usbc-igpu");
    given.answers = Some(given.beside("answers.toml"));
    fs::write(given.beside("answers.toml"), quirk(1)).unwrap();
    let folder = given.beside("credentials");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("neuron.answers"), quirk(2)).unwrap();
    let mut command = program::command().unwrap();
    command.arg("--machine-root").arg(given.machine()).arg("--target-root").arg(given.target());
    command.arg("--answers").arg(given.beside("answers.toml")).args(["firstboot", "run"]);
    ends(&program::output(command.env("CREDENTIALS_DIRECTORY", &folder)).unwrap(), 4);
    assert!(command_line(&given).contains("quirk=1"));
}

/// A credential comes with every boot. Only another one says something new.
#[test]
fn a_credential_is_carried_out_when_it_says_something_new() {
    let ground = ground("made-rtx-usbc-igpu");
    let first = "schema = 1\n[passthrough]\nextra_parameters = [\"quirk=1\"]\n";
    ends(&with_credential(&ground, first), 4);
    reboot(&ground, 2);
    let before = ground.tree().unwrap();
    ends(&with_credential(&ground, first), 0);
    assert_eq!(diff(&before, &ground.tree().unwrap()), []);
    // What a person says later stands, also over the credential that comes again.
    answers(&ground, "schema = 1\n[passthrough]\nextra_parameters = [\"quirk=person\"]\n");
    ends(&ground.run(&["apply", "--yes"]).unwrap(), 4);
    reboot(&ground, 3);
    ends(&with_credential(&ground, first), 0);
    assert!(command_line(&ground).contains("quirk=person"));
    // Until whoever hands it in says something else.
    reboot(&ground, 4);
    ends(&with_credential(&ground, &first.replace("quirk=1", "quirk=4")), 4);
    assert!(command_line(&ground).contains("quirk=4") && !command_line(&ground).contains("quirk=person"));
}

#[test]
fn a_pending_set_up_goes_on_when_the_groups_are_there() {
    let ground = ground("made-intel-pending");
    // As an installer leaves it.
    ends(&ground.run(&["apply", "--yes"]).unwrap(), 4);
    assert!(changes_nothing(&ground, 0).stderr.contains("nothing was left"), "not in the same boot");
    assert!(ground.target().join("var/lib/neuron-provisioner/candidate.json").exists());
    // A boot that did not bring the IOMMU.
    reboot(&ground, 2);
    let waiting = first_boot(&ground);
    ends(&waiting, 0);
    assert!(waiting.stdout.contains("the IOMMU is still off"), "{}", waiting.stdout);
    assert_eq!(outcome(&ground), "waiting");
    assert!(motd(&ground).contains("still off"));
    assert!(ground.run(&["status"]).unwrap().stdout.contains("First boot: the IOMMU is still off"));
    // And one that did.
    with_groups(&ground);
    reboot(&ground, 3);
    let done = first_boot(&ground);
    ends(&done, 4);
    assert!(done.stdout.contains("reboot to put it into effect"), "{}", done.stdout);
    assert_eq!(outcome(&ground), "done");
    let list = fs::read_to_string(ground.target().join("etc/neuron/vfio-devices")).unwrap();
    assert!(list.contains("0000:01:00.0") && list.contains("0000:01:00.1"), "{list}");
    assert!(!ground.target().join("var/lib/neuron-provisioner/candidate.json").exists());
    let told = status(&ground);
    assert_eq!((&told["reboot_needed"], &told["refusal"]), (&true.into(), &Value::Null));
    assert!(changes_nothing(&ground, 0).stdout.is_empty());
    reboot(&ground, 4);
    changes_nothing(&ground, 0);
    assert_eq!(motd(&ground), "");
}

/// Both halves from answers alone: the first boot asks for a second, and that for a third.
#[test]
fn both_halves_are_done_by_two_boots() {
    let ground = ground("made-intel-pending");
    answers(&ground, "schema = 1\n");
    let first = first_boot(&ground);
    ends(&first, 4);
    assert!(motd(&ground).contains("the first half is done: reboot"), "{}", motd(&ground));
    with_groups(&ground);
    reboot(&ground, 2);
    ends(&first_boot(&ground), 4);
    assert!(motd(&ground).contains("reboot to put it into effect"), "{}", motd(&ground));
    reboot(&ground, 3);
    changes_nothing(&ground, 0);
}
