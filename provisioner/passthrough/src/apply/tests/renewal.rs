//! Copies that follow a boot: wherever the run that renews them is killed, whoever starts them finds a
//! kernel and an image of one build.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::fixture::*;
use crate::apply::{ApplyError, Options, RunResult, Runner, Store, Transaction};
use crate::step::Action;

const ENTRY: &str = "boot/entry.conf";
const SCRIPT: &str = "etc/grub.d/99_neuron_host";
const MENU: &str = "boot/grub.cfg";
const PAIR: [&str; 2] = ["kernel", "image"];

/// Makes the menu from the script, as grub-mkconfig does: beside the old one, then in its place.
struct Menu(std::path::PathBuf);

impl Runner for Menu {
    fn run(&mut self, _: &[String]) -> RunResult {
        let script = fs::read_to_string(self.0.join(SCRIPT)).unwrap_or_default();
        fs::write(self.0.join("boot/grub.cfg.new"), script).unwrap();
        fs::rename(self.0.join("boot/grub.cfg.new"), self.0.join(MENU)).unwrap();
        RunResult::Done
    }
}

fn copy_of(slot: &str, name: &str) -> String {
    format!("/boot/neuron-host/{slot}-{name}")
}

fn started(slot: &str) -> String {
    PAIR.map(|name| copy_of(slot, name)).join("\n")
}

/// Keeps the pair in a slot; an entry starts it, and a menu that is made from a script.
fn keep_in(target: &Target, slot: &str) -> Transaction {
    let mut steps = Vec::new();
    for name in PAIR {
        let (from, path) = (format!("/boot/{name}").parse().unwrap(), copy_of(slot, name).parse().unwrap());
        steps.push(step(&format!("keep-{name}"), Action::CopyFile { from, path, is_there: false }));
    }
    steps.push(target.write("entry", &format!("/{ENTRY}"), &started(slot)));
    steps.push(target.write("script", &format!("/{SCRIPT}"), &started(slot)));
    steps.push(rebuild("menu", &["grub-mkconfig"]));
    let copies = PAIR.map(|name| copy_of(slot, name).parse().unwrap()).to_vec();
    Transaction { copies, ..transaction(steps) }
}

fn install(target: &Target, build: &str) {
    for name in PAIR {
        target.put(&format!("boot/{name}"), &format!("{name} of {build}"));
    }
}

/// As it is after the first apply and an update since.
fn updated() -> Target {
    let target = Target::empty();
    install(&target, "1");
    target.put(ENTRY, "");
    target.put(SCRIPT, "");
    let first = keep_in(&target, "kept");
    target.apply_with(&first, Options::default(), &mut Menu(target.path())).unwrap();
    install(&target, "2");
    target
}

/// Which build the entry and the menu start: both files of it, or it is none.
fn builds(target: &Target, point: &str) -> [String; 2] {
    [ENTRY, MENU].map(|starter| {
        let found: Vec<String> = target
            .text(starter)
            .lines()
            .map(|path| {
                let path = target.path().join(path.trim_start_matches('/'));
                let text = fs::read_to_string(&path)
                    .unwrap_or_else(|error| panic!("{starter} after {point}: {}: {error}", path.display()));
                text.rsplit(' ').next().unwrap().to_owned()
            })
            .collect();
        assert_eq!(found.len(), 2, "{starter} after {point}");
        assert_eq!(found[0], found[1], "{starter} after {point} starts files of two builds");
        found[0].clone()
    })
}

/// What is done after a good boot, struck at a point; `None` when it was killed.
fn renew(target: &Target, fat: bool, strike: Strike) -> Option<Result<(), ApplyError>> {
    let root = target.root();
    let run = || {
        let mut store = Store::open(&root, Options { interrupt: Box::new(strike), ..Options::default() })?;
        if fat {
            store.tree_mut().is_fat = |_| Ok(true);
        }
        let menu = &mut Menu(target.path());
        store.recover(menu, &mut |_| ())?;
        let in_use = if target.text(ENTRY) == started("kept2") { "kept2" } else { "kept" };
        store.drop_unwanted_copies(&PAIR.map(|name| copy_of(in_use, name).parse().unwrap()))?;
        if in_use == "kept2" {
            return Ok(());
        }
        store.apply(&keep_in(target, "kept2"), menu, &mut |_| ()).map(drop)
    };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => Some(result),
        Err(thrown) if thrown.is::<Killed>() => None,
        Err(other) => std::panic::resume_unwind(other),
    }
}

fn points(fat: bool) -> usize {
    let strike = Strike::never();
    let seen = Rc::clone(&strike.seen);
    renew(&updated(), fat, strike).unwrap().unwrap();
    seen.borrow().len()
}

fn is_done(target: &Target, point: &str) {
    assert_eq!(builds(target, point), ["2", "2"], "{point}");
    let kept = fs::read_dir(target.at("boot/neuron-host")).unwrap().count();
    assert_eq!(kept, 2, "the old pair is gone after {point}");
}

#[test]
fn wherever_it_is_killed_a_whole_pair_is_started() {
    for fat in [false, true] {
        let all = points(fat);
        let (mut old, mut new) = (0, 0);
        for at in 0..all {
            let target = updated();
            assert_eq!(builds(&target, "nothing"), ["1", "1"]);
            let strike = Strike { at, then: Then::Kill, ..Strike::never() };
            let seen = Rc::clone(&strike.seen);
            assert!(renew(&target, fat, strike).is_none(), "{at} was not killed");
            let point = seen.borrow()[at].clone();
            let started = builds(&target, &point);
            old += usize::from(started == ["1", "1"]);
            new += usize::from(started == ["2", "2"]);
            renew(&target, fat, Strike::never()).unwrap().unwrap_or_else(|error| panic!("{point}: {error}"));
            is_done(&target, &point);
        }
        println!("fat={fat}: {all} points; killed there, {old} start the old pair and {new} the new one");
        assert!(old > 0 && new > 0);
    }
}

/// The run that puts right what a kill left is killed as well.
#[test]
fn a_second_kill_changes_nothing_of_that() {
    let mut pairs = 0;
    for first in (0..points(false)).step_by(3) {
        for second in (0..).step_by(4) {
            let target = updated();
            renew(&target, false, Strike { at: first, then: Then::Kill, ..Strike::never() });
            let strike = Strike { at: second, then: Then::Kill, ..Strike::never() };
            let ended = renew(&target, false, strike).is_some();
            builds(&target, &format!("{first}, then {second}"));
            renew(&target, false, Strike::never()).unwrap().unwrap();
            is_done(&target, &format!("{first}, then {second}"));
            pairs += 1;
            if ended {
                break;
            }
        }
    }
    println!("{pairs} pairs of kills");
}

#[test]
fn an_error_anywhere_leaves_a_whole_pair() {
    for at in 0..points(false) {
        let target = updated();
        let strike = Strike { at, then: Then::Error, ..Strike::never() };
        let seen = Rc::clone(&strike.seen);
        // Whether it is one depends on the point: a copy that stays is none.
        let _ = renew(&target, false, strike).unwrap();
        let point = seen.borrow()[at].clone();
        builds(&target, &point);
        renew(&target, false, Strike::never()).unwrap().unwrap();
        is_done(&target, &point);
    }
}

/// The control: the pair in use written over, file by file, is found to be of two builds.
#[test]
fn copies_that_are_written_over_would_be_seen() {
    let target = updated();
    fs::copy(target.at("boot/kernel"), target.at("boot/neuron-host/kept-kernel")).unwrap();
    let seen = catch_unwind(AssertUnwindSafe(|| builds(&target, "a copy")));
    assert!(seen.is_err());
}
