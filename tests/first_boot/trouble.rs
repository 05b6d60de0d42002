//! What is not done: told, kept, and tried again when something changed or somebody asks for it.

use std::fs;
use std::process::Command;

use neuron_passthrough::answers::Answers;
use neuron_passthrough::policy;
use neuron_passthrough::provision::{self, Source};
use neuron_passthrough::root::Root;
use neuron_tests::program::Output;
use neuron_tests::scenario::{Ground, without_state};
use neuron_tests::tree::diff;

use crate::cut_off::{built_by, run};
use crate::{
    OWN, answers, becomes, changes_nothing, ends, first_boot, ground, motd, outcome, reboot, status,
};

#[test]
fn a_refusal_is_told_at_every_boot_and_ends_when_its_reason_does() {
    let ground = ground("made-intel-off-in-firmware");
    answers(&ground, "schema = 1\n");
    let refused = first_boot(&ground);
    ends(&refused, 3);
    assert_eq!(outcome(&ground), "refused");
    for boot in 2..=3 {
        assert!(motd(&ground).contains("VT-d"), "{}", motd(&ground));
        assert_eq!(status(&ground)["refusal"]["verdict"], "refused");
        assert!(!ground.target().join("etc/modprobe.d/vfio.conf").exists());
        reboot(&ground, boot);
        ends(&first_boot(&ground), 3);
    }
    becomes(&ground, "made-rtx-usbc-igpu", 4);
    ends(&first_boot(&ground), 4);
    assert_eq!(outcome(&ground), "done");
    let told = status(&ground);
    assert_eq!(told["refusal"], serde_json::Value::Null);
    assert!(ground.target().join("etc/modprobe.d/vfio.conf").exists());
}

#[test]
fn a_question_is_told_and_an_answer_to_it_is_followed() {
    let ground = ground("made-bmc-two-dgpus");
    answers(&ground, "schema = 1\n");
    ends(&first_boot(&ground), 3);
    assert_eq!(outcome(&ground), "undecided");
    let question = status(&ground)["refusal"]["question"].as_str().unwrap().to_owned();
    assert!(motd(&ground).contains(&question), "{}: {question}", motd(&ground));
    let guest = status(&ground)["refusal"]["findings"].to_string();
    assert!(guest.contains("0000:"), "{guest}");
    answers(&ground, "schema = 1\n[passthrough]\nguest_gpus = \"all\"\n");
    reboot(&ground, 2);
    ends(&first_boot(&ground), 4);
    assert_eq!(outcome(&ground), "done");
}

/// An installer that was refused keeps the reason and what was wanted.
pub(crate) fn refused_installation(wanted: &str) -> Ground {
    let ground = ground("made-intel-off-in-firmware");
    let wanted = Answers::parse(wanted).unwrap();
    let [machine, target] = [ground.machine(), ground.target()].map(|path| Root::directory(&path).unwrap());
    let (_, judgement) = provision::inspect(&machine, None, &wanted).unwrap();
    assert_eq!(judgement.decision.verdict, policy::Verdict::Refused, "the control: it is refused");
    provision::keep_wish(&target, &judgement.decision, &Source::Given(Box::new(wanted)));
    ground
}

#[test]
fn what_an_installer_was_not_allowed_to_is_tried_at_boot() {
    let wanted = "[passthrough]\nguest_gpus = [\"0000:01:00.0\"]\nextra_parameters = [\"quirk=wanted\"]\n";
    let ground = refused_installation(wanted);
    assert_eq!(status(&ground)["refusal"]["verdict"], "refused");
    ends(&first_boot(&ground), 3);
    assert_eq!(outcome(&ground), "refused");
    becomes(&ground, "made-rtx-usbc-igpu", 2);
    ends(&first_boot(&ground), 4);
    let grub = fs::read_to_string(ground.target().join("etc/default/grub")).unwrap();
    assert!(grub.contains("quirk=wanted"), "{grub}");
    let state = ground.target().join("var/lib/neuron-provisioner");
    assert!(!state.join("refused-answers.toml").exists() && !state.join("refusal.json").exists());
    reboot(&ground, 3);
    changes_nothing(&ground, 0);
}

/// An image with answers, started with others as a credential: those had won, and were refused.
#[test]
fn what_won_over_the_answers_of_the_medium_wins_at_boot_too() {
    let wanted = "[passthrough]\nguest_gpus = [\"0000:01:00.0\"]\nextra_parameters = [\"quirk=wanted\"]\n";
    let off = "schema = 1\n[passthrough]\nmode = \"off\"\n";
    for (age, is_followed) in [("2020-01-01", true), ("2099-01-01", false)] {
        let ground = refused_installation(wanted);
        answers(&ground, off);
        let touch = Command::new("touch").args(["-d", age]).arg(ground.target().join(OWN)).status();
        assert!(touch.unwrap().success());
        becomes(&ground, "made-rtx-usbc-igpu", 2);
        first_boot(&ground);
        let grub = fs::read_to_string(ground.target().join("etc/default/grub")).unwrap();
        assert_eq!(grub.contains("quirk=wanted"), is_followed, "the answers of {age}: {grub}");
    }
}

#[test]
fn revert_ends_what_an_installer_wanted() {
    let ground = refused_installation("[passthrough]\nguest_gpus = [\"0000:01:00.0\"]\n");
    ends(&first_boot(&ground), 3);
    ends(&ground.run(&["revert", "--yes"]).unwrap(), 0);
    assert_eq!(motd(&ground), "");
    becomes(&ground, "made-rtx-usbc-igpu", 2);
    changes_nothing(&ground, 0);
    assert_eq!((outcome(&ground).as_str(), &status(&ground)["refusal"]), ("done", &serde_json::Value::Null));
}

/// A build that fails when it has something of ours to build, until it is mended.
const FAILS: &str = "#!/bin/sh\n[ -e /var/log/mended ] || [ ! -e /etc/modprobe.d/vfio.conf ] || \
                     { echo 'no space for it' >&2; exit 1; }\n";

/// A run that ends well and writes nothing but when it looked.
fn changes_only_the_record(ground: &Ground) -> Output {
    let before = without_state(&ground.tree().unwrap());
    let output = run(ground);
    ends(&output, 0);
    assert_eq!(diff(&before, &without_state(&ground.tree().unwrap())), []);
    output
}

#[test]
fn what_failed_is_told_at_every_boot_and_tried_again_when_somebody_starts_it() {
    let ground = built_by(FAILS);
    let failed = run(&ground);
    ends(&failed, 1);
    assert_eq!(outcome(&ground), "failed");
    let told = motd(&ground);
    assert!(told.contains("no space for it") && told.contains("systemctl start neuron-firstboot"), "{told}");
    assert!(ground.run(&["status"]).unwrap().stdout.contains("First boot: the first boot's work failed"));
    // The next boot does not try by itself, and says so.
    reboot(&ground, 2);
    let left = changes_only_the_record(&ground);
    assert!(left.stderr.contains("not tried again by itself"), "{}", left.stderr);
    assert!(motd(&ground).contains("no space for it"));
    // Started once more in the same boot, by somebody, it does.
    ends(&run(&ground), 1);
    fs::write(ground.target().join("var/log/mended"), "").unwrap();
    ends(&run(&ground), 4);
    assert_eq!(outcome(&ground), "done");
}

#[test]
fn an_apply_by_hand_ends_what_failed() {
    let ground = ground("made-rtx-usbc-igpu");
    answers(&ground, "schema = 1\n[passthrough]\nmod = \"off\"\n");
    let failed = first_boot(&ground);
    ends(&failed, 2);
    let told = motd(&ground);
    assert!(told.contains("provisioner.toml: line 3") && told.contains("`mod`"), "{told}");
    answers(&ground, "schema = 1\n");
    ends(&ground.run(&["apply", "--yes"]).unwrap(), 4);
    assert_eq!((outcome(&ground).as_str(), motd(&ground).as_str()), ("done", ""));
}

#[test]
fn a_record_that_cannot_be_understood_stops_it_until_somebody_decides() {
    let ground = ground("made-rtx-usbc-igpu");
    answers(&ground, "schema = 1\n");
    let state = ground.target().join("var/lib/neuron-provisioner");
    fs::create_dir_all(&state).unwrap();
    fs::write(state.join("first-boot.json"), "{\"schema\":\"neuron-first-boot/2\"}\n").unwrap();
    let output = first_boot(&ground);
    ends(&output, 1);
    assert!(
        output.stderr.contains("first-boot.json") && output.stderr.contains("hint:"),
        "{}",
        output.stderr
    );
    assert!(motd(&ground).contains("first-boot.json"));
    assert_eq!(outcome(&ground), "failed");
    assert!(!ground.target().join("etc/modprobe.d/vfio.conf").exists());
    ends(&ground.run(&["apply", "--yes"]).unwrap(), 4);
    assert_eq!(outcome(&ground), "done");
    changes_nothing(&ground, 0);
}

/// Makes the machine the one that runs the target, as far as both say.
fn runs_itself(ground: &Ground) {
    let id = "3f1c2b7a9d8e4c6fb05a1e2d3c4b5a69\n";
    for root in [ground.machine(), ground.target()] {
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(root.join("etc/machine-id"), id).unwrap();
    }
}

#[test]
fn what_nobody_could_build_here_is_refused_and_what_somebody_is_to_build_is_named() {
    for (program, file) in [("mkinitcpio", "/etc/mkinitcpio.conf"), ("grub-mkconfig", "/etc/default/grub")] {
        let ground = ground("made-rtx-usbc-igpu");
        answers(&ground, "schema = 1\n");
        runs_itself(&ground);
        let place = ground.target().join("usr/bin").join(program);
        let kept = fs::read(&place).unwrap();
        fs::remove_file(&place).unwrap();
        let refused = first_boot(&ground);
        ends(&refused, 3);
        assert!(!ground.target().join("etc/modprobe.d/vfio.conf").exists());
        assert!(motd(&ground).contains(program) && motd(&ground).contains(file), "{}", motd(&ground));
        // With it, this machine is set up.
        fs::write(&place, kept).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&place, executable).unwrap();
        reboot(&ground, 2);
        ends(&first_boot(&ground), 4);
        assert!(ground.target().join("etc/modprobe.d/vfio.conf").exists());
    }
    // Another system is set up, in which something else may run it: the files are there, and who logs in
    // reads what is left.
    let ground = ground("made-rtx-usbc-igpu");
    answers(&ground, "schema = 1\n");
    fs::remove_file(ground.target().join("usr/bin/mkinitcpio")).unwrap();
    ends(&first_boot(&ground), 4);
    let told = motd(&ground);
    assert!(
        told.contains("not everything is done") && told.contains("initramfs: the target has no mkinitcpio"),
        "{told}"
    );
}
