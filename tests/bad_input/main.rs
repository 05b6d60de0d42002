//! Bad input: the right exit code, a message that names the file, the line where there is one, and what
//! would be right, and nothing written.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

mod answers;
mod escape;
mod every_key;
mod files;
mod links;
mod mounts;
mod output;
mod roots;
mod trust;

use neuron_tests::program::Output;
use neuron_tests::scenario::{Ground, without_state};
use neuron_tests::tree::{self, Tree};

const MACHINE: &str = "made-rtx-usbc-igpu";

/// A good machine and a target.
fn ground(target: &str) -> Ground {
    Ground::new(MACHINE, target).unwrap()
}

/// Runs and compares: this exit code, all these words on standard error, no panic, and the target as
/// it was. A refusal may leave its reason.
fn fails(ground: &Ground, arguments: &[&str], code: i32, words: &[&str]) -> Output {
    let before = ground.tree().unwrap();
    let output = ground.run(arguments).unwrap();
    assert_eq!(output.code, code, "{arguments:?}: {}", output.stderr);
    for word in words {
        assert!(output.stderr.contains(word), "{arguments:?}: `{word}` is not in: {}", output.stderr);
    }
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    same(&before, &ground.tree().unwrap(), code == 3);
    output
}

fn same(before: &Tree, after: &Tree, is_refusal: bool) {
    let differences = tree::diff(before, after);
    let kept = |path: &str| {
        is_refusal
            && ["var/lib/neuron-provisioner", "var/lib/neuron-provisioner/refusal.json"].contains(&path)
    };
    let others: Vec<_> = differences.iter().filter(|difference| !kept(difference.path())).collect();
    assert!(others.is_empty(), "{others:?}");
}

/// It is carried out, and taken back to the byte.
fn works(ground: &Ground) -> Tree {
    let before = ground.tree().unwrap();
    let done = ground.run(&["apply", "--yes"]).unwrap();
    assert_eq!(done.code, 4, "{}", done.stderr);
    let after = ground.tree().unwrap();
    let back = ground.run(&["revert", "--yes"]).unwrap();
    assert_eq!(back.code, 4, "{}", back.stderr);
    assert_eq!(tree::diff(&without_state(&before), &without_state(&ground.tree().unwrap())), []);
    after
}

#[test]
fn the_checks_can_fail() {
    let ground = ground("arch-grub");
    let caught = |check: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err();
    assert!(caught(&|| drop(fails(&ground, &["plan"], 3, &[]))), "a wrong code");
    assert!(caught(&|| drop(fails(&ground, &["plan"], 0, &["no such word"]))), "a missing word");
    assert!(caught(&|| drop(fails(&ground, &["apply", "--yes"], 4, &[]))), "a written file");
}
