//! What a person reads.

use neuron_passthrough::verify;

use crate::machine::{GUESTS, Hook, applied, bind, healthy, remove};

#[test]
fn the_verdict_comes_first_and_what_to_do_last() {
    let ground = healthy(Hook::Ran);
    let told = ground.run(&["doctor"]).unwrap();
    assert!(told.stdout.starts_with("In force: "), "{}", told.stdout);
    assert!(!told.stdout.contains("FAIL") && !told.stdout.contains("->"), "{}", told.stdout);
    for question in verify::ALL {
        assert!(told.stdout.contains(&format!("pass {}", question.id)), "{}: {}", question.id, told.stdout);
    }
    bind(&ground.machine(), GUESTS[1], "snd_hda_intel");
    let told = ground.run(&["doctor"]).unwrap();
    assert_eq!(told.code, 1);
    assert!(told.stdout.starts_with("Not as it should be: 1 of "), "{}", told.stdout);
    let line = told.stdout.lines().find(|line| line.contains("FAIL")).unwrap();
    assert!(line.contains("bound") && line.contains(GUESTS[1]) && line.contains("snd_hda_intel"), "{line}");
    assert!(told.stdout.trim_end().lines().last().unwrap().starts_with("Next: "), "{}", told.stdout);
    let quiet = ground.run(&["doctor", "--quiet"]).unwrap();
    assert!(quiet.stdout.contains("FAIL") && !quiet.stdout.contains("pass "), "{}", quiet.stdout);
}

#[test]
fn what_is_owed_is_said_in_the_first_line() {
    let told = applied(Hook::Ran).run(&["doctor"]).unwrap();
    assert!(told.stdout.starts_with("Not in force yet: "), "{}", told.stdout);
    let ground = healthy(Hook::Ran);
    remove(&ground.machine(), "proc/interrupts");
    let told = ground.run(&["doctor"]).unwrap();
    assert!(
        told.stdout.starts_with("In force: ") && told.stdout.contains("1 could not be told"),
        "{}",
        told.stdout
    );
}

/// Marks and words, no colours: they stay apart in a file, for a screen reader, on a dumb terminal.
#[test]
fn nothing_hangs_on_colours() {
    let told = healthy(Hook::Ran).run(&["doctor"]).unwrap();
    assert!(!told.stdout.contains('\u{1b}') && told.stdout.is_ascii(), "{}", told.stdout);
}
