//! The way back goes last: as long as an image or a menu is perhaps not what it should be, the entry
//! without passthrough, and what it starts, stays.

use super::fixture::*;
use crate::apply::{ErrorKind, Options, Outcome, RunResult, Runner, State, Store, Transaction, View};
use crate::step::{Action, Step};

const CONF: &str = "etc/modprobe.d/vfio.conf";
const ENTRY: &str = "boot/loader/entries/arch.conf";
const HOST: &str = "boot/loader/entries/aa-neuron-host-arch.conf";
const SCRIPT: &str = "etc/grub.d/99_neuron_host";
const KEPT: &str = "boot/neuron-host/kept-vmlinuz";
const WAY_BACK: [&str; 3] = [HOST, SCRIPT, KEPT];

const IMAGES: &str = "mkinitcpio -P";
const MENU: &str = "grub-mkconfig -o /boot/grub/grub.cfg";
const SET: &str = "bootctl set-oneshot arch.conf";
const CLEAR: &str = "bootctl set-oneshot ''";

/// Every program does as it is told, and is noted.
struct Programs {
    result: RunResult,
    /// The one of which this is true; all others are content.
    of: &'static str,
    ran: Vec<String>,
}

impl Runner for Programs {
    fn run(&mut self, argv: &[String]) -> RunResult {
        self.ran.push(
            argv.iter().map(|word| if word.is_empty() { "''" } else { word }).collect::<Vec<_>>().join(" "),
        );
        if self.of == "*" || argv[0] == self.of { self.result.clone() } else { RunResult::Done }
    }
}

fn programs(of: &'static str, result: RunResult) -> Programs {
    Programs { result, of, ran: Vec::new() }
}

fn all_work() -> Programs {
    programs("", RunResult::Done)
}

fn fails() -> RunResult {
    RunResult::Failed { why: "==> ERROR: module not found".to_owned() }
}

fn is_left() -> RunResult {
    RunResult::Deferred { who: "you".to_owned(), why: "it does not start there".to_owned() }
}

fn run(id: &str, set: &str, undo: &str) -> Step {
    let words = |text: &str| text.split_whitespace().map(|word| word.replace("''", "")).collect();
    step(id, Action::Rebuild { argv: words(set), outputs: Vec::new(), undo: words(undo) })
}

fn before() -> Target {
    let target = Target::empty();
    target.put("boot/vmlinuz", "kernel");
    target.put(ENTRY, "options root=a\n");
    target.put("etc/grub.d/10_linux", "");
    target
}

fn set_up(target: &Target) -> Transaction {
    let (from, path) = ("/boot/vmlinuz".parse().unwrap(), format!("/{KEPT}").parse().unwrap());
    let mut made = transaction(vec![
        step("keep", Action::CopyFile { from, path, is_there: false }),
        target.write("vfio-conf", &format!("/{CONF}"), "options vfio-pci ids=10de:2204\n"),
        target.write("entry", &format!("/{ENTRY}"), "options root=a iommu=pt\n"),
        target.write("host", &format!("/{HOST}"), "options root=a neuron.passthrough=off\n"),
        target.write("script", &format!("/{SCRIPT}"), "#!/bin/sh\n"),
        run("menu", MENU, ""),
        run("images", IMAGES, ""),
        run("once", SET, CLEAR),
    ]);
    made.copies = vec![format!("/{KEPT}").parse().unwrap()];
    made
}

fn applied(runner: &mut Programs) -> (Target, Snapshot) {
    let target = before();
    let untouched = target.snapshot();
    target.apply_with(&set_up(&target), Options::default(), runner).unwrap();
    (target, untouched)
}

/// What takes it all back by an apply: the answers say `off`.
fn switch_off(target: &Target, runner: &mut Programs) -> Outcome {
    let remove = |id: &str, path: &str| {
        let path = format!("/{path}");
        step(id, Action::RemoveFile { before: target.state(&path), path: path.parse().unwrap() })
    };
    let mut off = transaction(vec![
        remove("conf", CONF),
        target.write("entry", &format!("/{ENTRY}"), "options root=a\n"),
        remove("host", HOST),
        remove("script", SCRIPT),
        run("images", IMAGES, ""),
        run("menu", MENU, ""),
    ]);
    off.steps.retain(|step| !step.is_settled());
    (off.tokens, off.retires) = (Vec::new(), true);
    target.apply_with(&off, Options::default(), runner).unwrap()
}

fn is_there(target: &Target, path: &str) -> bool {
    target.at(path).exists()
}

fn assert_way_back_stays(target: &Target) {
    assert!(!is_there(target, CONF), "what images are built from is back");
    assert_eq!(target.text(ENTRY), "options root=a iommu=pt\n");
    assert!(WAY_BACK.iter().all(|path| is_there(target, path)));
    let root = target.root();
    let status = View::open(&root).unwrap().status().unwrap();
    assert_eq!((status.state, status.drifted.as_slice()), (State::Applied, &[][..]));
    assert_eq!(status.tokens, ["iommu=pt"], "they are on the entry still");
}

fn revert(target: &Target, runner: &mut Programs) -> Result<(), ErrorKind> {
    let done = target.revert_with(Options::default(), &mut |_| None, runner);
    done.map(drop).map_err(|error| error.kind())
}

#[test]
fn an_image_that_fails_in_a_revert_leaves_the_menu_alone() {
    let (target, untouched) = applied(&mut all_work());
    let mut runner = programs("mkinitcpio", fails());
    assert_eq!(revert(&target, &mut runner), Err(ErrorKind::NotPutBack));
    assert_eq!(runner.ran, [CLEAR, IMAGES], "what starts once is taken back, and no menu is made");
    assert_way_back_stays(&target);
    // And again, until it works.
    assert_eq!(revert(&target, &mut programs("mkinitcpio", fails())), Err(ErrorKind::NotPutBack));
    assert_way_back_stays(&target);
    let mut runner = all_work();
    revert(&target, &mut runner).unwrap();
    assert!(runner.ran.ends_with(&[IMAGES.to_owned(), MENU.to_owned()]), "{:?}", runner.ran);
    assert_eq!(target.snapshot(), untouched);
}

/// What an image that is not built again does to the copies, a menu does as well.
#[test]
fn a_menu_that_is_not_made_leaves_the_copies_alone() {
    for result in [fails(), is_left(), RunResult::Postponed] {
        let (target, untouched) = applied(&mut all_work());
        let done = revert(&target, &mut programs("grub-mkconfig", result.clone()));
        assert_eq!(done.is_err(), result == fails(), "{result:?}");
        let there = WAY_BACK.map(|path| is_there(&target, path));
        assert_eq!(there, [false, false, true], "{result:?}");
        revert(&target, &mut all_work()).unwrap();
        assert_eq!(target.snapshot(), untouched, "{result:?}");
    }
}

#[test]
fn programs_that_are_put_off_hold_the_way_back() {
    let (target, untouched) = applied(&mut all_work());
    for _ in 0..2 {
        revert(&target, &mut programs("*", RunResult::Postponed)).unwrap();
        assert_way_back_stays(&target);
    }
    revert(&target, &mut all_work()).unwrap();
    assert_eq!(target.snapshot(), untouched);
}

/// An image that an apply built and that somebody else is to build again: a second revert says that it is.
#[test]
fn what_is_left_to_others_holds_it_until_the_next_revert() {
    let (target, untouched) = applied(&mut all_work());
    revert(&target, &mut programs("mkinitcpio", is_left())).unwrap();
    assert_way_back_stays(&target);
    let mut runner = programs("mkinitcpio", is_left());
    revert(&target, &mut runner).unwrap();
    assert_eq!(runner.ran, [CLEAR, MENU], "the image is theirs");
    assert_eq!(target.snapshot(), untouched);
    // The control: nobody here ever built it.
    let (target, untouched) = applied(&mut programs("*", is_left()));
    revert(&target, &mut programs("*", is_left())).unwrap();
    assert_eq!(target.snapshot(), untouched);
}

#[test]
fn switching_off_keeps_the_same_order() {
    let (target, _) = applied(&mut all_work());
    switch_off(&target, &mut programs("*", RunResult::Postponed));
    assert_way_back_stays(&target);
    let mut runner = programs("grub-mkconfig", RunResult::Postponed);
    switch_off(&target, &mut runner);
    assert_eq!(runner.ran, [IMAGES, MENU]);
    let there = WAY_BACK.map(|path| is_there(&target, path));
    assert_eq!(there, [false, false, true], "a menu that is not made may start the copy");
    let root = target.root();
    Store::open(&root, Options::default()).unwrap().drop_unwanted_copies(&[]).unwrap();
    assert!(!is_there(&target, KEPT));
    // The control: with programs that work it goes at once.
    let (target, _) = applied(&mut all_work());
    let mut runner = all_work();
    switch_off(&target, &mut runner);
    assert_eq!(runner.ran, [IMAGES, MENU]);
    assert!(WAY_BACK.iter().all(|path| !is_there(&target, path)));
    let root = target.root();
    assert_eq!(View::open(&root).unwrap().status().unwrap().tokens, Vec::<String>::new());
}

/// A failed apply puts its files back; and where the image fails once more, half of one may be what boots.
#[test]
fn an_apply_whose_image_fails_twice_leaves_the_way_back() {
    const MENU_STAYS: &str = "the boot menu with its entry without passthrough stays";
    for (result, told) in
        [(fails(), MENU_STAYS), (is_left(), MENU_STAYS), (RunResult::Postponed, "the way back stays")]
    {
        let target = before();
        let untouched = target.snapshot();
        let mut runner = Twice { first: fails(), then: result.clone(), ran: 0 };
        let error = target.apply_with(&set_up(&target), Options::default(), &mut runner).unwrap_err();
        assert_eq!((error.kind(), runner.ran), (ErrorKind::NotPutBack, 2), "{result:?}: {error}");
        let hint = error.hint().unwrap();
        assert!(hint.contains("mkinitcpio -P") && hint.contains(told), "{hint}");
        assert_way_back_stays(&target);
        // Nothing of it is forgotten: a revert holds it as well, until the image is whole.
        assert_eq!(revert(&target, &mut programs("mkinitcpio", fails())), Err(ErrorKind::NotPutBack));
        assert_way_back_stays(&target);
        let mut runner = all_work();
        revert(&target, &mut runner).unwrap();
        assert!(runner.ran.starts_with(&[IMAGES.to_owned()]) && runner.ran.contains(&MENU.to_owned()));
        assert_eq!(target.snapshot(), untouched, "{result:?}");
    }
    // The control: where it is built again, everything goes back at once.
    let target = before();
    let untouched = target.snapshot();
    let mut runner = Twice { first: fails(), then: RunResult::Done, ran: 0 };
    let error = target.apply_with(&set_up(&target), Options::default(), &mut runner).unwrap_err();
    assert_eq!((error.kind(), runner.ran), (ErrorKind::Failed, 2), "{error}");
    assert_eq!(target.snapshot(), untouched);
}

/// From there an apply gets on as well, and what it makes goes with one revert.
#[test]
fn what_stays_of_a_failed_apply_is_taken_up_by_the_next() {
    let target = before();
    let untouched = target.snapshot();
    let wanted = set_up(&target);
    target.apply_with(&wanted, Options::default(), &mut programs("mkinitcpio", fails())).unwrap_err();
    assert_way_back_stays(&target);
    let steps = wanted.steps.iter().filter(|step| !matches!(step.id.as_str(), "entry" | "host" | "script"));
    let again = Transaction { steps: steps.cloned().collect(), ..wanted.clone() };
    target.apply_with(&again, Options::default(), &mut all_work()).unwrap();
    assert!(is_there(&target, CONF) && WAY_BACK.iter().all(|path| is_there(&target, path)));
    revert(&target, &mut all_work()).unwrap();
    assert_eq!(target.snapshot(), untouched);
}

/// A menu that is not made without them may start the copies.
#[test]
fn an_apply_whose_menu_fails_twice_leaves_the_copies() {
    let target = before();
    let untouched = target.snapshot();
    let mut runner = programs("grub-mkconfig", fails());
    let error = target.apply_with(&set_up(&target), Options::default(), &mut runner).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotPutBack, "{error}");
    assert_eq!(WAY_BACK.map(|path| is_there(&target, path)), [false, false, true]);
    assert!(error.hint().unwrap().contains("copies"), "{:?}", error.hint());
    revert(&target, &mut all_work()).unwrap();
    assert_eq!(target.snapshot(), untouched);
}

/// What a run took out of the menus is there again before an image is touched.
#[test]
fn a_way_back_that_was_taken_away_comes_back_first() {
    struct Looks<'a>(&'a Target, Vec<bool>);
    impl Runner for Looks<'_> {
        fn run(&mut self, argv: &[String]) -> RunResult {
            self.1.push(is_there(self.0, HOST));
            if argv[0] == "grub-mkconfig" { fails() } else { RunResult::Done }
        }
    }
    let (target, _) = applied(&mut all_work());
    let mut off = transaction(Vec::new());
    let gone = |id: &str, path: &str| {
        let path = format!("/{path}");
        step(id, Action::RemoveFile { before: target.state(&path), path: path.parse().unwrap() })
    };
    off.steps =
        vec![gone("conf", CONF), gone("host", HOST), run("images", IMAGES, ""), run("menu", MENU, "")];
    (off.tokens, off.retires) = (Vec::new(), true);
    let mut looks = Looks(&target, Vec::new());
    target.apply_with(&off, Options::default(), &mut looks).unwrap_err();
    // An image and a menu without it; then it is back, and both are made again.
    assert_eq!(looks.1, [true, false, true, true]);
    assert!(is_there(&target, CONF) && is_there(&target, HOST));
}

/// The image fails, and ends some other way once it is built again.
struct Twice {
    first: RunResult,
    then: RunResult,
    ran: usize,
}

impl Runner for Twice {
    fn run(&mut self, argv: &[String]) -> RunResult {
        if argv[0] != "mkinitcpio" {
            return RunResult::Done;
        }
        self.ran += 1;
        if self.ran == 1 { self.first.clone() } else { self.then.clone() }
    }
}
