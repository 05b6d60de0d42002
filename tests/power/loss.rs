//! A power cut after every flush of an apply and of a revert, and what a forgotten flush would do.

use std::collections::BTreeMap;

use neuron_tests::disk::{Dice, Disk, Told};
use neuron_tests::program::Output;
use neuron_tests::scenario::Ground;
use neuron_tests::story::{Story, When, seen, share};
use neuron_tests::trace::{Call, Instead, site};

use crate::judge::{check_file_systems, judge};
use crate::recorder::{Mounted, Recorder, image};
use crate::trace;
use crate::{cannot_record, ground};

/// What is written whole or not at all: a block of the file systems.
const UNIT: usize = 4096;
/// How many states around a flush that is left out are looked at.
const WINDOW: usize = 16;
/// How many flushes from one place of the program are left out, one at a time, before it counts as unseen.
const TRIES: usize = 3;

/// Looks at a disk, which is put together only when it is asked for, and ends the visit with an answer.
type Look<'a, T> = dyn FnMut(&dyn Fn() -> Vec<u8>, When) -> Option<T> + 'a;

/// A run that was recorded.
struct Recorded {
    /// From where the disk starts.
    start: Vec<u8>,
    told: Vec<Told>,
    /// Where the run begins in what was told.
    begin: usize,
    output: Output,
    calls: Vec<Call>,
}

fn record(start: &[u8], story: &Story, instead: Option<&Instead<'_>>) -> Recorded {
    let recorder = Recorder::new(start).unwrap();
    let begin = recorder.told().unwrap().len();
    let (output, calls) = trace::run(&story.machine, &recorder.root(), story.verb, instead).unwrap();
    let told = recorder.told().unwrap();
    Recorded { start: start.to_vec(), told, begin, output, calls }
}

impl Recorded {
    /// How many states of the disk a cut can leave that are looked at.
    fn count(&self) -> usize {
        let mut count = 0;
        self.visit(0, &mut |_, _| {
            count += 1;
            None::<()>
        });
        count
    }

    /// Visits what a cut can leave: at every flush a part of what is under way, then what is certain; and
    /// what is certain at the end. Ends with the first answer.
    fn visit<T>(&self, seed: u64, look: &mut Look<'_, T>) -> Option<T> {
        let mut dice = Dice::new(seed);
        let mut disk = Disk::new(self.start.clone(), UNIT);
        for (number, told) in self.told.iter().enumerate() {
            let pending = disk.pending();
            let is_cut = number >= self.begin && *told == Told::Flush && pending > 0;
            if is_cut && pending > 1 {
                let chosen = dice.choose(pending);
                if let Some(answer) = look(&|| disk.after(|unit| chosen[unit]), When::During) {
                    return Some(answer);
                }
            }
            disk.take(told);
            if is_cut && let Some(answer) = look(&|| disk.after(|_| false), When::During) {
                return Some(answer);
            }
        }
        look(&|| disk.after(|_| false), When::After)
    }
}

/// An apply and the revert of it, with the disks from which they start.
struct Stories {
    stories: [(Story, Vec<u8>); 2],
    // The machine's root lies in there.
    _ground: Ground,
}

fn stories() -> Stories {
    let ground = ground();
    let fresh = image(&ground.target()).unwrap();
    let scratch = neuron_tests::scratch().unwrap();
    let file = scratch.path().join("disk");
    std::fs::write(&file, &fresh).unwrap();
    let mounted = Mounted::new(&file).unwrap();
    let original = seen(&mounted.root()).unwrap();
    let (output, _) = trace::run(&ground.machine(), &mounted.root(), "apply", None).unwrap();
    assert_eq!(output.code, 4, "{}", output.stderr);
    let applied = seen(&mounted.root()).unwrap();
    mounted.unmount().unwrap();
    let done = std::fs::read(&file).unwrap();
    let story = |verb| Story {
        machine: ground.machine(),
        verb,
        original: original.clone(),
        applied: applied.clone(),
    };
    Stories { stories: [(story("apply"), fresh), (story("revert"), done)], _ground: ground }
}

#[test]
fn a_power_cut_after_any_flush_leaves_old_or_new_and_the_next_run_finishes() {
    if cannot_record() {
        return;
    }
    let seed = Dice::seed("NEURON_POWER_SEED");
    println!("power: NEURON_POWER_SEED={seed}, one of {} points", share());
    let Stories { stories, _ground } = stories();
    for (story, start) in &stories {
        let recorded = record(start, story, None);
        assert_eq!(recorded.output.code, 4, "{}", recorded.output.stderr);
        let flushes = recorded.calls.iter().filter(|call| call.is_flush()).count();
        let first = Dice::new(seed).below(share());
        let (mut number, mut looked_at) = (0, 0);
        let wrong = recorded.visit(seed, &mut |state, when| {
            number += 1;
            if number % share() != first {
                return None;
            }
            looked_at += 1;
            let state = state();
            check_file_systems(&state).unwrap();
            judge(story, &state, when, &["apply", "revert"]).unwrap().err()
        });
        if let Some(why) = wrong {
            panic!("{} state {number}: {why}", story.verb);
        }
        println!("power: {}: {flushes} flushes, {looked_at} of {number} states of the disk", story.verb);
        assert!(number > flushes && looked_at >= number / share());
    }
}

/// Flushes that a look at two file systems of ext4 does not miss, and why they are there all the same.
const UNSEEN: [(&str, &str); 9] = [
    ("the journal after its header", ONE_LINE),
    ("the journal after its begin", ONE_LINE),
    ("the journal after its done", ONE_LINE),
    ("the journal after its rebuilt", ONE_LINE),
    (
        "the journal after its rebuild-intent",
        "seen only where the kernel writes an image out before that line",
    ),
    ("a directory of our own after create", WHOLE),
    ("a directory of our own after mkdir", WHOLE),
    ("a directory of our own after rename", WHOLE),
    ("a directory of the target after mkdir", WHOLE),
];
const ONE_LINE: &str =
    "the next line takes it along; one at a time, so that a crash tears no more than the last";
const WHOLE: &str = "ext4 puts it on disk with whatever is flushed next; file systems like btrfs do not";

#[test]
fn a_flush_that_is_left_out_is_found() {
    if cannot_record() {
        return;
    }
    let seed = Dice::seed("NEURON_POWER_SEED");
    println!("power: NEURON_POWER_SEED={seed}, one of {} points", share());
    let Stories { stories, _ground } = stories();
    let mut found: BTreeMap<String, Option<String>> = BTreeMap::new();
    for (story, start) in &stories {
        let calls = record(start, story, None).calls;
        let mut of_verb = 0;
        for (site, places) in sites(&calls) {
            // A share of them: two that are known to be found.
            if share() > 1 && (of_verb == 2 || UNSEEN.iter().any(|(unseen, _)| *unseen == site)) {
                continue;
            }
            let mut answer = None;
            for at in places {
                if answer.is_none() {
                    answer = without(story, start, &calls, at, seed);
                    let told = answer.as_deref().unwrap_or("not found");
                    println!("power: {} without {}: {told}", story.verb, calls[at].told(&site));
                }
            }
            of_verb += usize::from(answer.is_some());
            let known = found.entry(site).or_default();
            *known = known.take().or(answer);
        }
        assert!(of_verb > 1, "{}: no flush that is left out is found", story.verb);
    }
    for (site, found) in &found {
        let why = UNSEEN.iter().find(|(unseen, _)| unseen == site).map(|(_, why)| *why);
        let told = match (found, why) {
            (Some(_), _) => "found",
            (None, Some(why)) => why,
            (None, None) => panic!("{site}: left out, and nothing finds it"),
        };
        println!("power: {site}: {told}");
    }
    if share() > 1 {
        return;
    }
    let is_found = |word: &str| found.iter().any(|(site, found)| site.contains(word) && found.is_some());
    assert!(is_found("a new file of the target") && is_found("after rename") && is_found("the journal"));
}

/// Where the flushes of a run come from, and some calls from each: those about the boot partition first,
/// since nothing else that is flushed takes it along.
fn sites(calls: &[Call]) -> BTreeMap<String, Vec<usize>> {
    let mut sites: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, _) in calls.iter().enumerate().filter(|(_, call)| call.is_flush()) {
        sites.entry(site(calls, at)).or_default().push(at);
    }
    for places in sites.values_mut() {
        places.sort_by_key(|at| !calls[*at].arguments.contains("/boot"));
        places.truncate(TRIES);
    }
    sites
}

/// What is wrong after a power cut near a flush that is left out.
fn without(story: &Story, start: &[u8], calls: &[Call], at: usize, seed: u64) -> Option<String> {
    let recorded = record(start, story, Some(&Instead::LeftOut(&calls[at])));
    // What is lost is lost soon after, and at the end at the latest.
    let count = recorded.count();
    let near = (at * count / calls.len()).saturating_sub(WINDOW / 2);
    let mut number = 0;
    recorded.visit(seed, &mut |state, when| {
        number += 1;
        let is_near = (near..near + WINDOW).contains(&number) || when == When::After;
        is_near.then(|| judge(story, &state(), when, &[]).unwrap().err()).flatten()
    })
}
