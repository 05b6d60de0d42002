//! The program is killed, by the signal that nobody can catch, before each call that changes something, and
//! after the last; the next run, whichever it is, gets through.

use std::fs;
use std::path::Path;
use std::process::Command;

use neuron_tests::scenario::Ground;
use neuron_tests::story::seen;
use neuron_tests::trace::{Call, Instead};
use neuron_tests::tree::{self, Tree};

use crate::ground;
use crate::trace;

/// A ground whose target is put back to a kept copy at every turn.
struct Yard(Ground);

impl Yard {
    fn keep(&self, name: &str) {
        Self::copy(&self.0.target(), &self.0.beside(name));
    }

    fn restore(&self, name: &str) {
        Self::copy(&self.0.beside(name), &self.0.target());
    }

    fn copy(from: &Path, to: &Path) {
        if to.exists() {
            fs::remove_dir_all(to).unwrap();
        }
        assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
    }

    fn tree(&self) -> Tree {
        seen(&self.0.target()).unwrap()
    }

    fn run(&self, verb: &str) -> (i32, String) {
        let output = self.0.run(&[verb, "--yes"]).unwrap();
        (output.code, output.stderr)
    }

    fn traced(&self, verb: &str, instead: Option<&Instead<'_>>) -> (i32, Vec<Call>) {
        let (machine, target) = (self.0.machine(), self.0.target());
        let (output, calls) = trace::run(&machine, &target, verb, instead).unwrap();
        (output.code, calls)
    }
}

#[test]
fn after_a_kill_before_any_change_apply_and_revert_both_finish() {
    let yard = Yard(ground());
    yard.keep("fresh");
    let original = yard.tree();
    assert_eq!(yard.run("apply").0, 4);
    let applied = yard.tree();
    yard.keep("done");
    for (verb, start) in [("apply", "fresh"), ("revert", "done")] {
        yard.restore(start);
        let before = yard.tree();
        let (code, calls) = yard.traced(verb, None);
        assert_eq!(code, 4);
        // Opening cannot be told from reading by its number; the call after it stands for it.
        let points: Vec<&Call> = calls.iter().filter(|call| call.name != "openat").collect();
        let mut halves = 0;
        for call in &points {
            yard.restore(start);
            let (code, _) = yard.traced(verb, Some(&Instead::Killed(call)));
            assert_eq!(code, 128 + 9, "{verb} before {call:?} was not killed");
            halves += usize::from(before != yard.tree());
            yard.keep("killed");
            for (next, end) in [("apply", &applied), ("revert", &original)] {
                yard.restore("killed");
                let (code, stderr) = yard.run(next);
                let told = format!("{verb} killed before {call:?}, then {next}: {code} {stderr}");
                assert!([0, 4].contains(&code), "{told}");
                assert_eq!(tree::diff(end, &yard.tree()), [], "{told}");
            }
        }
        let all = points.len();
        println!("power: {verb} killed at {all} points, {halves} times with something half done");
        assert!(halves > all / 2, "the kills came too early or too late");
    }
}
