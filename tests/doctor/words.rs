//! What a person reads.

use std::fs;

use neuron_passthrough::verify;
use neuron_tests::scenario::Ground;
use neuron_tests::tests_folder;

use crate::machine::{GUESTS, Hook, applied, bind, claim, doctor, healthy, remove};

fn last_lines(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(2)..].to_vec()
}

#[test]
fn the_verdict_and_what_to_do_come_last() {
    let ground = healthy(Hook::Ran);
    let told = ground.run(&["doctor"]).unwrap();
    assert!(last_lines(&told.stdout)[1].starts_with("In force: "), "{}", told.stdout);
    assert!(!told.stdout.contains("FAIL") && !told.stdout.contains("->"), "{}", told.stdout);
    for question in verify::ALL {
        assert!(told.stdout.contains(&format!("pass {}", question.id)), "{}: {}", question.id, told.stdout);
    }
    let quiet = ground.run(&["doctor", "--quiet"]).unwrap();
    assert_eq!(quiet.stdout.lines().count(), 1, "{}", quiet.stdout);
    bind(&ground.machine(), GUESTS[1], "snd_hda_intel");
    let told = ground.run(&["doctor"]).unwrap();
    assert_eq!(told.code, 1);
    let last = last_lines(&told.stdout);
    assert!(last[0].starts_with("Not as it should be: 1 of "), "{}", told.stdout);
    assert!(last[1].starts_with("Next: (bound) "), "{}", told.stdout);
    let line = told.stdout.lines().find(|line| line.contains("FAIL")).unwrap();
    assert!(line.contains("bound") && line.contains(GUESTS[1]) && line.contains("snd_hda_intel"), "{line}");
    let quiet = ground.run(&["doctor", "--quiet"]).unwrap();
    assert!(quiet.stdout.contains("FAIL") && !quiet.stdout.contains("pass "), "{}", quiet.stdout);
}

#[test]
fn the_same_hint_is_said_once() {
    let ground = healthy(Hook::Ran);
    for guest in GUESTS {
        bind(&ground.machine(), guest, "nouveau");
    }
    let told = ground.run(&["doctor", "--quiet"]).unwrap();
    assert_eq!(told.stdout.matches("FAIL").count(), 4, "{}", told.stdout);
    assert_eq!(told.stdout.matches("->").count(), 1, "{}", told.stdout);
}

#[test]
fn what_is_owed_is_said_at_the_end() {
    let told = applied(Hook::Ran).run(&["doctor"]).unwrap();
    let last = last_lines(&told.stdout);
    assert!(
        last[0].starts_with("Not in force yet: ") && last[1].starts_with("Next: reboot"),
        "{}",
        told.stdout
    );
    // What nobody can do anything about is not counted; what root could see is.
    let ground = healthy(Hook::Ran);
    remove(&ground.machine(), "proc/interrupts");
    let told = ground.run(&["doctor"]).unwrap();
    assert!(told.stdout.ends_with("keeps its own.\n"), "{}", told.stdout);
    fs::remove_dir_all(ground.machine().join("sys/bus/pci/drivers")).unwrap();
    let told = ground.run(&["doctor"]).unwrap();
    assert!(
        told.stdout.contains("1 could not be told") && told.stdout.contains("as root"),
        "{}",
        told.stdout
    );
}

#[test]
fn where_nothing_is_set_up_two_lines_say_it() {
    let told = Ground::new("made-rtx-usbc-igpu", "arch-grub").unwrap().run(&["doctor"]).unwrap();
    assert_eq!(told.code, 0);
    let wanted = "Nothing to check: nothing is set up here.\n\
                  Next: `neuron-provisioner inspect` shows what this machine can do\n";
    assert_eq!(told.stdout, wanted);
}

/// The hook's own source is what its reasons are taken from.
#[test]
fn every_reason_of_the_hook_is_put_into_plain_words() {
    let hook = "../archiso-hooks/neuron-initcpio-hooks/usr/lib/neuron/neuron-vfio-claim";
    let hook = fs::read_to_string(tests_folder().join(hook)).unwrap();
    let mut reasons = Vec::new();
    for call in ["doubt ", "give_up "] {
        for (at, _) in hook.match_indices(call) {
            let rest = &hook[at + call.len()..];
            if let Some(quote) = rest.chars().next().filter(|first| "'\"".contains(*first)) {
                reasons.push(rest[1..].split(quote).next().unwrap().to_owned());
            }
        }
    }
    assert!(reasons.len() > 15, "{reasons:?}");
    let ground = healthy(Hook::Ran);
    for reason in reasons.iter().filter(|reason| !reason.starts_with("${")) {
        let of_list = reason.starts_with("$list");
        let reason =
            reason.replace("$list", "/etc/neuron/vfio-devices").replace("$neutral", "/run/modprobe.d/x");
        claim(&ground, &format!("result=doubt\nreason={reason}\n"));
        let (_, checks) = doctor(&ground);
        let told = checks.iter().find(|check| check.id == "claim").unwrap();
        assert_eq!(told.evidence.contains("list could not be followed"), of_list, "{told:?}");
    }
}

/// Marks and words, no colours: they stay apart in a file, for a screen reader, on a dumb terminal.
#[test]
fn nothing_hangs_on_colours() {
    let told = healthy(Hook::Ran).run(&["doctor"]).unwrap();
    assert!(!told.stdout.contains('\u{1b}') && told.stdout.is_ascii(), "{}", told.stdout);
}
