//! Programs that set what is no output of the files: what takes it back is another call.

use super::fixture::*;
use crate::apply::{Operation, Options, RunResult, Runner, State, Store, View};
use crate::step::{Action, Step};

/// Notes what is run; fails at one program.
#[derive(Default)]
struct Notes {
    ran: Vec<String>,
    fails: &'static str,
}

impl Runner for Notes {
    fn run(&mut self, argv: &[String]) -> RunResult {
        self.ran.push(argv.join(" "));
        if argv[0] == self.fails {
            return RunResult::Failed { why: "the test wants it".to_owned() };
        }
        RunResult::Done
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn set() -> Step {
    let action = Action::Rebuild { argv: words("once set"), outputs: Vec::new(), undo: words("once clear") };
    step("once", action)
}

fn apply(target: &Target, steps: Vec<Step>, fails: &'static str) -> (Vec<String>, bool) {
    let root = target.root();
    let mut notes = Notes { fails, ..Notes::default() };
    let mut store = Store::open(&root, Options::default()).unwrap();
    let done = store.apply(&transaction(steps), &mut notes, &mut |_| {});
    (notes.ran, done.is_ok())
}

fn revert(target: &Target) -> Vec<String> {
    let root = target.root();
    let mut notes = Notes::default();
    let mut store = Store::open(&root, Options::default()).unwrap();
    store.revert(&crate::apply::RevertRequest::default(), &mut |_| None, &mut notes, &mut |_| {}).unwrap();
    notes.ran
}

#[test]
fn a_revert_runs_what_takes_it_back_and_only_once() {
    let target = Target::new();
    let steps = || vec![target.write("new", "/etc/new", "x\n"), rebuild("image", &["mkimage"]), set()];
    assert_eq!(apply(&target, steps(), ""), (vec!["mkimage".to_owned(), "once set".to_owned()], true));
    assert_eq!(revert(&target), ["mkimage", "once clear"]);
    let root = target.root();
    let status = View::open(&root).unwrap().status().unwrap();
    assert_eq!((status.state, status.last.unwrap().operation), (State::Reverted, Operation::Revert));
    assert_eq!(revert(&target), Vec::<String>::new());
}

#[test]
fn an_apply_that_fails_later_takes_it_back() {
    let target = Target::new();
    let before = target.snapshot();
    let steps = vec![target.write("new", "/etc/new", "x\n"), set(), rebuild("image", &["broken"])];
    let (ran, is_done) = apply(&target, steps, "broken");
    assert!(!is_done);
    assert_eq!(ran, ["once set", "broken", "once clear", "broken"]);
    assert_eq!(target.snapshot(), before);
}

/// It failed, and somebody takes it back by itself: nobody has to make up for it any more.
#[test]
fn what_was_taken_back_is_not_due() {
    let target = Target::new();
    let root = target.root();
    let mut store = Store::open(&root, Options::default()).unwrap();
    let steps = vec![target.write("new", "/etc/new", "x\n"), set()];
    store.apply(&transaction(steps), &mut crate::apply::Postponed, &mut |_| {}).unwrap();
    drop(store);
    let due = || View::open(&root).unwrap().status().unwrap().rebuilds_due;
    assert_eq!(due(), [words("once set")]);
    let (_, is_done) = apply(&target, vec![rebuild("over", &["once", "clear"])], "");
    assert!(is_done && due().is_empty(), "{:?}", due());
}
