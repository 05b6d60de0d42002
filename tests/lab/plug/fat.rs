//! What FAT holds after a power cut, as the kernel's own driver reads it: after every flush, with parts of
//! what was under way, and where one flush is left out.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use neuron_tests::disk::Dice;
use neuron_tests::story::{Story, When, in_first_slot, share};
use neuron_tests::trace::{Call, Instead, site};
use neuron_tests::tree;

use super::disk::Kind;
use super::guest::{Looked, Looks};
use super::recorded::{Recorded, record};
use super::{all_of, ground};
use crate::qemu::Turn;

/// Of so many states one is run on from.
const RUN_ON: usize = 4;
/// An apply, and the revert of it, recorded once for all tests.
fn recorded() -> &'static [(Story, Recorded); 2] {
    static RECORDED: OnceLock<[(Story, Recorded); 2]> = OnceLock::new();
    RECORDED.get_or_init(|| {
        let ground = ground(Kind::Small);
        let apply = record(&ground.disk, "apply", 4, None);
        let revert = record(&all_of(&apply.start, &apply.told), "revert", 4, None);
        [(ground.apply, apply), (ground.revert, revert)]
    })
}

/// The seed, printed.
fn dice() -> Dice {
    let seed = Dice::seed("NEURON_POWER_SEED");
    println!("power: NEURON_POWER_SEED={seed}, one of {} points", share());
    Dice::new(seed)
}

/// How many disks one machine looks at.
const BATCH: usize = 120;

/// States of the disks, and what is to be done with them.
struct States {
    looks: Looks,
    states: Vec<(String, When, Option<&'static str>)>,
}

impl States {
    fn new() -> Self {
        Self { looks: Looks::new(Kind::Small).unwrap(), states: Vec::new() }
    }

    /// One more; `told` says where it comes from.
    fn add(&mut self, disk: &[u8], told: String, when: When, verb: Option<&'static str>) {
        self.looks.add(disk, verb).unwrap();
        self.states.push((told, when, verb));
    }

    /// Has a machine look at them, and gives what is wrong with each, as it is and once it is repaired.
    fn judge(self, story: &Story) -> Vec<(String, Option<String>)> {
        let Self { looks, states } = self;
        let looked = looks.look().unwrap();
        let judged = states.into_iter().enumerate().map(|(number, (told, when, verb))| {
            let wrong = wrong(story, &looked, number, when);
            let wrong = wrong.or_else(|| verb.and_then(|verb| cannot_go_on(story, &looked, number, verb)));
            (told, wrong)
        });
        judged.collect()
    }
}

/// What is wrong with a state: as it is, and once it is repaired as a boot does it.
fn wrong(story: &Story, looked: &Looked, number: usize, when: When) -> Option<String> {
    for (target, how) in [(looked.target(number), ""), (looked.repaired(number), ", repaired")] {
        let Some(target) = target.unwrap() else { return Some(format!("it does not mount{how}")) };
        if let Some(wrong) = story.look(target.path(), when).unwrap().first() {
            return Some(format!("{wrong}{how}"));
        }
    }
    None
}

/// Why the next run does not finish from there.
fn cannot_go_on(story: &Story, looked: &Looked, number: usize, verb: &str) -> Option<String> {
    let (code, found) = looked.after(number).unwrap();
    if ![0, 4].contains(&code) {
        return Some(format!("then {verb}: {code}\n{}", looked.console));
    }
    let end = if verb == "apply" { &story.applied } else { &story.original };
    let differences = tree::diff(end, &in_first_slot(found));
    (!differences.is_empty()).then(|| format!("then {verb}: {differences:?}"))
}

#[test]
fn a_power_cut_leaves_old_or_new_on_fat_and_the_next_run_finishes() {
    let _turn = Turn::wait().unwrap();
    let mut dice = dice();
    let mut wrong = Vec::new();
    for (story, recorded) in recorded() {
        let (mut all, mut looked_at, mut run_on) = (0, 0, 0);
        let first = dice.below(share());
        let mut states = States::new();
        let mut judge = |states: &mut States| {
            let judged = std::mem::replace(states, States::new()).judge(story);
            wrong.extend(judged.into_iter().filter_map(|(told, wrong)| Some(format!("{told}: {}", wrong?))));
        };
        recorded.visit(0, Some(&mut dice), &mut |disk, when| {
            all += 1;
            if all % share() != first {
                return;
            }
            looked_at += 1;
            let verb = match looked_at % RUN_ON {
                1 => Some("apply"),
                3 => Some("revert"),
                _ => None,
            };
            run_on += usize::from(verb.is_some());
            states.add(disk, format!("{} state {all}, {when:?}", story.verb), when, verb);
            if states.states.len() == BATCH {
                judge(&mut states);
            }
        });
        judge(&mut states);
        println!("power: {} on FAT: {looked_at} of {all} states, {run_on} of them run on from", story.verb);
        assert!(all > 50 && looked_at >= all / share(), "hardly anything was looked at");
    }
    assert!(wrong.is_empty(), "{} states are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Flushes that such a look does not miss, and why they are there all the same.
const UNSEEN: [(&str, &str); 7] = [
    (
        "a file of the target after its rename",
        "the file system takes it along, before the temporary name goes or after",
    ),
    (
        "a directory of the target after rename",
        "the name leads to the new content at once then, and the temporary one to the same: what a repair makes of \
         that hangs on where the two lie (tests/power/fat_order.rs)",
    ),
    (
        "a directory of the target after mkdir",
        "the file that follows takes it along; the next one may be a link",
    ),
    ("the file system after a file of the target after its rename", REST),
    ("the disk after the file system after a file of the target after its rename", REST),
    ("the file system after a directory of the target after unlink", REST),
    ("the disk after the file system after a directory of the target after unlink", REST),
];
const REST: &str = "what is under way then is what fsck.fat mends: a temporary name, clusters that nobody has, how many are free";

/// The one that is left out in every run.
const FIRST: &str = "a new file of the target";

/// So many states right behind the flush that is left out are looked at, and as many at the end.
const WINDOW: usize = 20;

#[test]
fn a_flush_on_fat_that_is_left_out_is_found() {
    let _turn = Turn::wait().unwrap();
    let mut found: BTreeMap<String, Option<String>> = BTreeMap::new();
    for (story, whole) in recorded().iter().take(if share() == 1 { 2 } else { 1 }) {
        let mut states = States::new();
        let judge = |states: &mut States, found: &mut BTreeMap<String, Option<String>>| {
            for (site, wrong) in std::mem::replace(states, States::new()).judge(story) {
                let known = found.entry(site).or_default();
                *known = known.take().or(wrong);
            }
        };
        for (site, at) in sites(&whole.calls) {
            if found.get(&site).is_some_and(Option::is_some) {
                continue;
            }
            let call = &whole.calls[at];
            let without = record(&whole.start, story.verb, 4, Some(&Instead::LeftOut(call)));
            println!("power: {} without {}", story.verb, call.told(&site));
            let from = without.parts_from(whole);
            let (mut count, mut number) = (0, 0);
            without.visit(from, None, &mut |_, _| count += 1);
            without.visit(from, None, &mut |disk, when| {
                number += 1;
                if number <= WINDOW || number + WINDOW > count {
                    states.add(disk, site.clone(), when, None);
                }
            });
            if states.states.len() > BATCH {
                judge(&mut states, &mut found);
            }
        }
        judge(&mut states, &mut found);
    }
    let mut missed = Vec::new();
    for (site, found) in &found {
        let why = UNSEEN.iter().find(|(unseen, _)| unseen == site).map(|(_, why)| *why);
        println!("power: on FAT, {site}: {}", found.as_deref().or(why).unwrap_or("not found"));
        if found.is_none() && why.is_none() {
            missed.push(site);
        }
    }
    assert!(missed.is_empty(), "left out on FAT, and nothing finds it: {missed:?}");
    assert!(found.get(FIRST).is_some_and(Option::is_some), "{found:?}");
}

/// Where the flushes of the ESP come from, with a call from each; a share of them is the first.
fn sites(calls: &[Call]) -> Vec<(String, usize)> {
    let is_esp = |call: &Call| call.is_flush() && call.arguments.contains("</boot");
    let mut sites: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, _) in calls.iter().enumerate().filter(|(_, call)| is_esp(call)) {
        sites.entry(site(calls, at)).or_default().push(at);
    }
    sites.retain(|site, _| share() == 1 || site == FIRST);
    // The first one of each: what it is about varies more from place to place than in one.
    sites.into_iter().map(|(site, places)| (site, places[0])).collect()
}

/// Why the old file is held open: without that, the order of every other file system loses an entry.
#[test]
fn the_order_of_other_file_systems_loses_an_entry_on_fat() {
    const ENTRY: &str = "boot/loader/entries/arch.conf";
    let _turn = Turn::wait().unwrap();
    let (story, whole) = &recorded()[0];
    let recorded = record(&whole.start, "rename", 0, None);
    let (mut looks, mut all) = (Looks::new(Kind::Small).unwrap(), 0);
    recorded.visit(0, None, &mut |disk, _| {
        looks.add(disk, None).unwrap();
        all += 1;
    });
    let looked = looks.look().unwrap();
    let old = story.original[ENTRY].text().unwrap();
    let is_lost = |target: Option<tempfile::TempDir>| {
        let text = target.and_then(|target| std::fs::read_to_string(target.path().join(ENTRY)).ok());
        text.is_none_or(|text| text.replace(" changed\n", "\n") != old)
    };
    let lost = (0..all).filter(|number| {
        is_lost(looked.target(*number).unwrap()) || is_lost(looked.repaired(*number).unwrap())
    });
    let lost = lost.count();
    println!("power: the order of other file systems on FAT: an entry is lost in {lost} of {all} states");
    assert!(lost > 0);
}
