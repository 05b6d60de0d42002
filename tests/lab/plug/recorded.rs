//! A run on a small disk, recorded, and what a power cut in it leaves.

use std::path::Path;

use neuron_tests::disk::{Dice, Disk, Told};
use neuron_tests::story::When;
use neuron_tests::trace::{Call, Instead, arguments, calls};

use super::disk::{ESP, Kind};
use super::guest::{Pulled, strace};
use super::{BLOCK, SECTOR, TARGET, begun};

/// Of so many writes to the ESP one is a moment to look at.
const MOMENTS: usize = 4;

/// A run on a small disk.
pub(super) struct Recorded {
    pub(super) start: Vec<u8>,
    pub(super) told: Vec<Told>,
    /// Where the run begins in what was told.
    begin: usize,
    pub(super) calls: Vec<Call>,
}

/// Has the machine do a job under strace; one call may be left out.
pub(super) fn record(start: &[u8], job: &str, code: i32, instead: Option<&Instead<'_>>) -> Recorded {
    let strace = strace(&arguments(Path::new("/tmp/trace"), instead)).unwrap();
    let (mut machine, _) = begun(Kind::Small, start, job, &strace);
    let begin = machine.told().unwrap().len();
    machine.wait_for("LAB-DONE").unwrap();
    let console = machine.console().unwrap();
    assert!(console.contains(&format!("CUT-END {code}")), "{console}");
    let pulled = machine.pull();
    Recorded { start: start.to_vec(), told: pulled.told().unwrap(), begin, calls: traced(&pulled) }
}

/// What the program asked the kernel for.
fn traced(pulled: &Pulled) -> Vec<Call> {
    let folder = pulled.folder(0).unwrap().expect("the machine hands out its trace");
    let trace = std::fs::read_to_string(folder.path().join("trace")).unwrap_or_default();
    calls(&trace, TARGET)
}

/// A state of the disks that a cut leaves.
pub(super) type Visit<'v> = dyn FnMut(&[u8], When) + 'v;

impl Recorded {
    /// Visits what a cut leaves of the ESP and the root, as if each were on a disk of its own: what is certain
    /// after each flush with something of the ESP under way, and at the end; before a flush of the ESP each of
    /// its writes alone, and all but that one; if there are dice, some of the sectors under way, at each flush
    /// and at some moments in between. Begins with what the run told at `from`.
    pub(super) fn visit(&self, from: usize, mut dice: Option<&mut Dice>, visit: &mut Visit<'_>) {
        let root = Kind::Small.root();
        let esp = ESP..root;
        let disk = Disk::new(self.start.clone(), SECTOR);
        let mut disk = disk.in_blocks_from(root, BLOCK).cut_at(root);
        for (number, told) in self.told.iter().enumerate() {
            let is_of_interest = number >= from.max(self.begin) && disk.pending_in(&esp) > 0;
            if is_of_interest {
                let is_moment = |dice: &mut Dice| match told {
                    Told::Flush => true,
                    Told::Write { at, .. } => esp.contains(at) && dice.below(MOMENTS) == 0,
                };
                if let Some(dice) = &mut dice
                    && is_moment(dice)
                {
                    let chosen = dice.choose(disk.pending());
                    visit(&disk.after(|unit| chosen[unit]), When::During);
                }
                let writes = disk.flushable_in(&esp);
                if *told == Told::Flush && writes.len() > 1 {
                    for write in writes {
                        visit(&disk.after_writes(|other| other == write), When::During);
                        visit(&disk.after_writes(|other| other != write), When::During);
                    }
                }
            }
            disk.take(told);
            if is_of_interest && *told == Told::Flush {
                visit(&disk.after(|_| false), When::During);
            }
        }
        visit(&disk.after(|_| false), When::After);
    }

    /// From which point on it tells the ESP something else than another run, or does so with the interval
    /// before: where a flush is missing, what came behind it may go to the same places. What is told between
    /// two flushes comes in any order.
    pub(super) fn parts_from(&self, other: &Self) -> usize {
        let esp = ESP..Kind::Small.root();
        let of_esp = |told: &[Told]| {
            let mut writes: Vec<(usize, usize)> = told
                .iter()
                .filter_map(|told| match told {
                    Told::Write { at, bytes } if esp.contains(at) => Some((*at, bytes.len())),
                    _ => None,
                })
                .collect();
            writes.sort_unstable();
            writes
        };
        let intervals = |recorded: &Self| {
            let told = &recorded.told[recorded.begin..];
            let all = told.split_inclusive(|told| *told == Told::Flush);
            let all = all.scan(recorded.begin, |at, told| {
                *at += told.len();
                Some((*at - told.len(), of_esp(told)))
            });
            all.filter(|(_, writes)| !writes.is_empty()).collect::<Vec<_>>()
        };
        let (own, other) = (intervals(self), intervals(other));
        let same = own.iter().zip(&other).take_while(|((_, own), (_, other))| own == other).count();
        own.get(same.saturating_sub(1)).map_or(self.told.len(), |(at, _)| *at)
    }
}
