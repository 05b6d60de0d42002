//! An error, or the end of the process, before and after everything that touches the disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::fixture::*;
use crate::apply::{ApplyError, ErrorKind, Options, RevertRequest, State, Store, View};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Apply,
    Revert,
}

/// One run on a fresh target, struck at a point; what it returned unless it was killed.
struct Run {
    target: Target,
    points: usize,
    point: String,
    result: Option<Result<(), ApplyError>>,
}

fn work(target: &Target, what: What, fat: bool, strike: Strike) -> Option<Result<(), ApplyError>> {
    let root = target.root();
    let transaction = Target::new().transaction_with_copy();
    let run = || {
        let mut store = Store::open(&root, Options { interrupt: Box::new(strike), ..Options::default() })?;
        if fat {
            store.tree_mut().is_fat = |_| Ok(true);
        }
        let maker = &mut Maker::new(target);
        match what {
            What::Apply => store.apply(&transaction, maker, &mut |_| ()).map(drop),
            What::Revert => {
                store.revert(&RevertRequest::default(), &mut |_| None, maker, &mut |_| ()).map(drop)
            }
        }
    };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => Some(result),
        Err(thrown) if thrown.is::<Killed>() => None,
        Err(other) => std::panic::resume_unwind(other),
    }
}

fn run(what: What, fat: bool, at: usize, then: Then) -> Run {
    let target = Target::new();
    if what == What::Revert {
        work(&target, What::Apply, fat, Strike::never()).unwrap().unwrap();
    }
    let strike = Strike { at, then, ..Strike::never() };
    let seen = Rc::clone(&strike.seen);
    let result = work(&target, what, fat, strike);
    let seen = seen.borrow();
    Run { target, points: seen.len(), point: seen.get(at).cloned().unwrap_or_default(), result }
}

fn look(target: &Target, fat: bool) -> Vec<(String, String)> {
    let seen = target.snapshot();
    if fat {
        contents_of(&seen).into_iter().collect()
    } else {
        seen.into_iter().map(|(path, seen)| (path, format!("{seen:?}"))).collect()
    }
}

struct Trees {
    before: Vec<(String, String)>,
    after: Vec<(String, String)>,
}

fn trees(fat: bool) -> Trees {
    let target = Target::new();
    let before = look(&target, fat);
    work(&target, What::Apply, fat, Strike::never()).unwrap().unwrap();
    Trees { before, after: look(&target, fat) }
}

/// After a revert the copy may still be there.
fn without_copy(mut tree: Vec<(String, String)>, what: What) -> Vec<(String, String)> {
    tree.retain(|(path, _)| what == What::Apply || !path.starts_with("boot"));
    tree
}

const KINDS: [(What, bool); 4] =
    [(What::Apply, false), (What::Apply, true), (What::Revert, false), (What::Revert, true)];

#[test]
fn an_error_anywhere_puts_everything_back() {
    for (what, fat) in KINDS {
        let Trees { before, after } = trees(fat);
        let (start, end) = if what == What::Apply { (&before, &after) } else { (&after, &before) };
        let points = run(what, fat, usize::MAX, Then::Error).points;
        let mut failed = 0;
        for at in 0..points {
            let Run { target, point, result, .. } = run(what, fat, at, Then::Error);
            match result.unwrap() {
                // Only saved bytes that nobody needs any more were in the way, or the copy, which goes
                // when all else is back.
                Ok(()) => assert_eq!(
                    without_copy(look(&target, fat), what),
                    without_copy(end.clone(), what),
                    "{what:?} {at} {point}"
                ),
                Err(error) => {
                    failed += 1;
                    assert_eq!(error.kind(), ErrorKind::Failed, "{what:?} {at} {point}: {error}");
                    assert_eq!(&look(&target, fat), start, "{what:?} {at} {point}");
                }
            }
            let again = work(&target, what, fat, Strike::never());
            again.unwrap().unwrap_or_else(|error| panic!("{what:?} {at} {point}: {error}"));
            assert_eq!(&look(&target, fat), end, "{what:?} again after {at} {point}");
        }
        println!("{what:?} fat={fat}: {points} points, {failed} of them end the run");
        assert!(failed > points / 2);
    }
}

#[test]
fn after_a_kill_anywhere_apply_and_revert_both_finish() {
    for (what, fat) in KINDS {
        let Trees { before, after } = trees(fat);
        let points = run(what, fat, usize::MAX, Then::Error).points;
        let mut interrupted = 0;
        for at in 0..points {
            for next in [What::Apply, What::Revert] {
                let Run { target, point, result, .. } = run(what, fat, at, Then::Kill);
                assert!(result.is_none(), "{what:?} {at} {point} was not killed");
                let root = target.root();
                let state = View::open(&root).unwrap().status().unwrap().state;
                interrupted += usize::from(state == State::Interrupted);
                let finished = work(&target, next, fat, Strike::never()).unwrap();
                finished.unwrap_or_else(|error| panic!("{what:?} {at} {point}, then {next:?}: {error}"));
                let right = if next == What::Apply { &after } else { &before };
                assert_eq!(&look(&target, fat), right, "{what:?} {at} {point}, then {next:?}");
            }
        }
        println!("{what:?} fat={fat}: killed at each of {points} points, {interrupted} of 2x interrupted");
        assert!(interrupted > points / 2);
    }
}

#[test]
fn a_recovery_can_be_killed_as_well() {
    let Trees { before, after } = trees(false);
    let points = run(What::Apply, false, usize::MAX, Then::Error).points;
    let mut pairs = 0;
    for first in (0..points).step_by(7) {
        for second in (0..).step_by(5) {
            let Run { target, .. } = run(What::Apply, false, first, Then::Kill);
            let strike = Strike { at: second, then: Then::Kill, ..Strike::never() };
            let done = work(&target, What::Revert, false, strike).is_some();
            let next = if pairs % 2 == 0 { What::Apply } else { What::Revert };
            work(&target, next, false, Strike::never()).unwrap().unwrap();
            let right = if next == What::Apply { &after } else { &before };
            assert_eq!(&look(&target, false), right, "{first} {second}");
            pairs += 1;
            if done {
                break;
            }
        }
    }
    println!("{pairs} pairs of kills");
}

/// Every name that was renamed had been flushed, and its directory (or, on FAT, the file and the
/// file system) was flushed before the journal says so.
#[test]
fn the_order_of_flushes_is_the_one_that_survives_power_loss() {
    for (fat, wanted) in [
        (false, &["create", "write", "set owner and mode of", "fsync", "rename", "fsync directory of"][..]),
        (true, &["create", "write", "fsync", "rename", "fsync again", "syncfs of", "flush the disk of"][..]),
    ] {
        let strike = Strike::never();
        let seen = Rc::clone(&strike.seen);
        work(&Target::new(), What::Apply, fat, strike).unwrap().unwrap();
        let seen = seen.borrow();
        let of_vfio = seen.iter().filter_map(|point| point.strip_prefix("after "));
        let of_vfio = of_vfio.filter(|point| point.contains("vfio.conf"));
        let verbs: Vec<String> = of_vfio
            .map(|point| point.replace(" vfio.conf again", " again").replace(" vfio.conf", ""))
            .collect();
        assert_eq!(verbs, wanted);
    }
}

/// Of two names with the same clusters a repair empties one: the temporary name has to be gone before. A name
/// that is new would be empty meanwhile.
#[test]
fn on_fat_the_directory_is_flushed_before_a_name_that_is_there_leads_to_its_new_content() {
    let target = Target::new();
    let before = contents_of(&target.snapshot());
    let strike = Strike::never();
    let seen = Rc::clone(&strike.seen);
    work(&target, What::Apply, true, strike).unwrap().unwrap();
    let done: Vec<String> =
        seen.borrow().iter().filter_map(|point| point.strip_prefix("after ").map(str::to_owned)).collect();
    let mut kinds = [0, 0];
    for (at, point) in done.iter().enumerate() {
        let Some(name) = point.strip_prefix("fsync ").and_then(|rest| rest.strip_suffix(" again")) else {
            continue;
        };
        let was_there = before.keys().any(|path| path.rsplit('/').next() == Some(name));
        let (rename, flush) = (format!("rename {name}"), format!("fsync directory of {name}"));
        let wanted = if was_there { vec![&rename, &flush] } else { vec![&rename] };
        let found: Vec<&String> = done[..at].iter().rev().take(wanted.len()).rev().collect();
        assert_eq!(found, wanted, "{name}");
        kinds[usize::from(was_there)] += 1;
    }
    assert!(kinds.iter().all(|kind| *kind > 0), "{kinds:?}");
}

/// A power cut, and then a repair of the FAT that emptied the new name (ADR 10).
#[test]
fn a_new_file_that_a_repair_emptied_is_made_again_on_fat_and_is_somebodys_elsewhere() {
    let Trees { before, after } = trees(true);
    let is_new = |path: &&String| !before.iter().any(|(known, _)| known == *path);
    let new =
        after.iter().map(|(path, _)| path).filter(is_new).find(|path| path.starts_with("etc/")).unwrap();
    let name = new.rsplit('/').next().unwrap();
    for (fat, point) in [(true, format!("after fsync {name} again")), (false, format!("after rename {name}"))]
    {
        let points = (0..).map(|at| run(What::Apply, fat, at, Then::Kill));
        let Run { target, .. } =
            points.take_while(|run| run.points > 0).find(|run| run.point == point).unwrap();
        let file = target.at(new);
        assert!(!std::fs::read(&file).unwrap().is_empty());
        std::fs::write(&file, "").unwrap();
        let again = work(&target, What::Apply, fat, Strike::never()).unwrap();
        assert_eq!(again.is_ok(), fat, "{again:?}");
        assert_eq!(std::fs::read(&file).unwrap().is_empty(), !fat);
    }
}
