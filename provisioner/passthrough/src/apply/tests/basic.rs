use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::fixture::*;
use crate::apply::{
    ApplyError, Chroot, Deferred, ErrorKind, Operation, Options, RunResult, Runner, State, StepResult, Store,
    View,
};
use crate::id::TargetPath;
use crate::step::{Action, FileState};

fn path(text: &str) -> TargetPath {
    text.parse().unwrap()
}

#[test]
fn a_copy_is_kept_refreshed_by_others_and_taken_away() {
    let target = Target::new();
    let before = target.snapshot();
    let mut transaction = target.transaction_with_copy();
    target.apply(&transaction).unwrap();
    let original = "GRUB_CMDLINE_LINUX='quiet'\n";
    assert_eq!(target.text(COPY.trim_start_matches('/')), original, "from before the step that edits it");
    let root = target.root();
    let status = || View::open(&root).unwrap().status().unwrap();
    assert!(status().files.iter().any(|file| file.is_copy) && status().drifted.is_empty());
    // What it holds is nobody's edit; that it is gone matters.
    target.put(COPY.trim_start_matches('/'), "a later image");
    assert!(!target.apply(&transaction).unwrap().changed && status().drifted.is_empty());
    fs::remove_file(target.at(COPY.trim_start_matches('/'))).unwrap();
    assert_eq!(status().drifted, [path(COPY)]);
    assert!(target.apply(&transaction).unwrap().changed);
    // One that is wanted no more goes with the next change.
    transaction.copies.clear();
    transaction.steps = vec![target.write("more", "/etc/more", "x\n")];
    target.apply(&transaction).unwrap();
    assert!(!target.at(COPY.trim_start_matches('/')).exists() && status().drifted.is_empty());
    let reverted = target.revert().unwrap();
    assert!(reverted.left.is_empty(), "{:?}", reverted.left);
    assert_eq!(target.snapshot(), before);
}

#[test]
fn a_copy_goes_nowhere_where_something_stands() {
    let target = Target::new();
    target.put(COPY.trim_start_matches('/'), "somebody's");
    let before = target.snapshot();
    let error = target.apply(&target.transaction_with_copy()).unwrap_err();
    assert!(matches!(error, ApplyError::Changed { .. }), "{error}");
    assert_eq!(target.snapshot(), before);
}

#[test]
fn apply_then_revert_is_nothing_and_each_twice_is_once() {
    let target = Target::new();
    let before = target.snapshot();
    let transaction = target.transaction();

    let outcome = target.apply(&transaction).unwrap();
    assert!(outcome.changed && outcome.steps.iter().all(|step| step.outcome == StepResult::Done));
    let after = target.snapshot();
    assert_ne!(before, after);
    assert_eq!(target.text("etc/default/grub"), "GRUB_CMDLINE_LINUX='quiet iommu=pt'\n");
    assert_eq!(target.text("boot/image"), "image of: options vfio-pci ids=10de:2204\n\n");
    // Mode and extended attributes stay with the file.
    let grub = |seen: &Snapshot| seen["etc/default/grub"].clone();
    assert_eq!(Seen { content: grub(&before).content, ..grub(&after) }, grub(&before));
    // Anybody may ask where it stands; what files held before is closed.
    let mode = |path: &str| fs::metadata(target.at(path)).unwrap().mode() & 0o7777;
    assert_eq!((mode(STATE), mode(&format!("{STATE}/saved"))), (0o755, 0o700));

    let journal = target.text(&format!("{STATE}/journal.jsonl"));
    let mut maker = Maker::new(&target);
    let again = target.apply_with(&transaction, Options::default(), &mut maker).unwrap();
    assert!(!again.changed && again.steps.iter().all(|step| step.outcome == StepResult::Unchanged));
    assert_eq!((maker.runs, target.text(&format!("{STATE}/journal.jsonl"))), (0, journal));

    let reverted = target.revert().unwrap();
    assert!(reverted.outcome.changed && reverted.left.is_empty());
    assert_eq!(target.snapshot(), before);
    assert!(!target.at(STATE).join("saved").exists());
    let journal = target.text(&format!("{STATE}/journal.jsonl"));
    assert!(!target.revert().unwrap().outcome.changed);
    assert_eq!(target.text(&format!("{STATE}/journal.jsonl")), journal);
}

#[test]
fn a_transaction_without_changes_leaves_no_trace() {
    let target = Target::new();
    let text = target.text("etc/default/grub");
    let same = transaction(vec![target.write("grub", "/etc/default/grub", &text), rebuild("image", &["x"])]);
    assert!(!target.apply(&same).unwrap().changed);
    assert!(!target.at(STATE).exists());
    // The control: only rebuilds is a request to rebuild.
    let outcome = target.apply(&transaction(vec![rebuild("image", &["x"])])).unwrap();
    assert_eq!(outcome.steps[0].outcome, StepResult::Done);
}

#[test]
fn a_changed_file_is_refused_before_anything_is_written() {
    let target = Target::new();
    let transaction = target.transaction();
    target.put("etc/old.conf", "somebody else\n");
    let before = snapshot(&target.path());
    let error = target.apply(&transaction).unwrap_err();
    assert!(matches!(&error, ApplyError::Changed { path } if path.as_str() == "/etc/old.conf"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Changed);
    assert_eq!(snapshot(&target.path()), before);
    // A mode is part of the lock, too.
    let target = Target::new();
    let transaction = target.transaction();
    fs::set_permissions(target.at("etc/old.conf"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(target.apply(&transaction).unwrap_err().kind(), ErrorKind::Changed);
}

#[test]
fn a_failing_rebuild_puts_files_and_image_back() {
    let target = Target::new();
    let before = target.snapshot();
    let mut maker = Maker::new(&target);
    maker.fails = 1..2;
    let error = target.apply_with(&target.transaction(), Options::default(), &mut maker).unwrap_err();
    assert_eq!((error.kind(), maker.runs), (ErrorKind::Failed, 2));
    let ApplyError::Failed(failure) = error else { panic!("{error}") };
    assert!(failure.put_back && failure.why.contains("module not found"), "{failure:?}");
    assert_eq!(failure.step, "image");
    let results: Vec<_> = failure.steps.iter().map(|step| step.outcome).collect();
    assert_eq!(results[0], StepResult::Reverted);
    assert_eq!(results[5], StepResult::Failed);
    assert_eq!(target.snapshot(), before);

    // The program fails again while it should put its output back: a person has to run it.
    maker.fails = 1..9;
    maker.runs = 0;
    let error = target.apply_with(&target.transaction(), Options::default(), &mut maker).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotPutBack);
    assert!(error.hint().unwrap().contains("`mkimage -P`"), "{:?}", error.hint());
    assert_eq!(contents_of(&target.snapshot())["etc/old.conf"], contents_of(&before)["etc/old.conf"]);
    // And a revert knows that it is still to be run.
    assert_eq!(target.revert().unwrap().outcome.steps[0].outcome, StepResult::Done);
    assert_eq!(target.snapshot(), before);
}

#[test]
fn a_revert_does_not_depend_on_a_program_that_works() {
    let target = Target::new();
    let before = target.snapshot();
    target.apply(&target.transaction()).unwrap();
    let mut maker = Maker::new(&target);
    maker.fails = 1..2;
    let error = target.revert_with(Options::default(), &mut |_| None, &mut maker).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotPutBack);
    assert!(error.hint().unwrap().contains("mkimage -P"));
    assert_eq!(target.snapshot(), before);
    let root = target.root();
    let status = View::open(&root).unwrap().status().unwrap();
    assert_eq!((status.state, status.rebuilds_open.len()), (State::Reverted, 1));
    assert_eq!(target.revert().unwrap().outcome.steps[0].outcome, StepResult::Done);
    assert!(!target.revert().unwrap().outcome.changed);
}

#[test]
fn what_somebody_changed_is_left_alone_and_named() {
    let target = Target::new();
    let before = target.snapshot();
    target.apply(&target.transaction()).unwrap();
    let ours = target.text("etc/default/grub");
    target.put("etc/default/grub", &format!("{ours}GRUB_TIMEOUT=9\n"));

    let root = target.root();
    assert_eq!(View::open(&root).unwrap().status().unwrap().drifted, [path("/etc/default/grub")]);
    let reverted = target.revert().unwrap();
    assert_eq!(reverted.left, [path("/etc/default/grub")]);
    assert_eq!(target.text("etc/default/grub"), format!("{ours}GRUB_TIMEOUT=9\n"));
    assert!(!target.at("etc/modprobe.d/vfio.conf").exists());
    assert_eq!(target.text("boot/image"), "image of: \n");
    // It can be repeated, and writes nothing while nothing is different.
    let journal = target.text(&format!("{STATE}/journal.jsonl"));
    assert_eq!(target.revert().unwrap().left.len(), 1);
    assert_eq!(target.text(&format!("{STATE}/journal.jsonl")), journal);
    target.put("etc/default/grub", &ours);
    assert!(target.revert().unwrap().left.is_empty());
    assert_eq!(target.snapshot(), before);
}

#[test]
fn a_caller_can_take_ours_out_of_a_changed_file() {
    let target = Target::new();
    target.apply(&target.transaction()).unwrap();
    let ours = target.text("etc/default/grub");
    target.put("etc/default/grub", &format!("{ours}GRUB_TIMEOUT=9\n"));
    let mut merge = |changed: &crate::apply::ChangedFile| {
        assert_eq!(changed.written.text(), Some(ours.as_str()));
        Some(changed.present.with_text(changed.present.text()?.replace(" iommu=pt", "")))
    };
    let reverted = target.revert_with(Options::default(), &mut merge, &mut Maker::new(&target)).unwrap();
    assert_eq!((reverted.left.len(), reverted.merged.len()), (0, 1));
    assert_eq!(target.text("etc/default/grub"), "GRUB_CMDLINE_LINUX='quiet'\nGRUB_TIMEOUT=9\n");
    let root = target.root();
    assert_eq!(View::open(&root).unwrap().status().unwrap().state, State::Reverted);
}

#[test]
fn an_edit_between_two_of_ours_is_not_lost() {
    let target = Target::new();
    target.apply(&target.transaction()).unwrap();
    target.put("etc/default/grub", "theirs iommu=pt\n");
    let second = transaction(vec![target.write("grub", "/etc/default/grub", "theirs iommu=pt more\n")]);
    target.apply(&second).unwrap();
    assert_eq!(target.revert().unwrap().left, [path("/etc/default/grub")]);
    // The control: without an edit two applies go back to before the first.
    let target = Target::new();
    let before = target.snapshot();
    target.apply(&target.transaction()).unwrap();
    target.apply(&transaction(vec![target.write("grub", "/etc/default/grub", "second\n")])).unwrap();
    assert!(target.revert().unwrap().left.is_empty());
    assert_eq!(target.snapshot(), before);
}

#[test]
fn status_tells_what_callers_need() {
    let target = Target::new();
    let root = target.root();
    assert_eq!(View::open(&root).unwrap().status().unwrap().state, State::Unconfigured);
    assert!(!target.at(STATE).exists(), "looking creates nothing");
    let mut calamares = Deferred { who: "Calamares".to_owned() };
    let outcome = target.apply_with(&target.transaction(), Options::default(), &mut calamares).unwrap();
    let image = &outcome.steps[5];
    assert_eq!((image.outcome, image.who.as_deref()), (StepResult::Deferred, Some("Calamares")));

    let view = View::open(&root).unwrap();
    let status = view.status().unwrap();
    assert_eq!(status.state, State::Applied);
    assert!(status.drifted.is_empty());
    assert_eq!(status.tokens, ["iommu=pt"]);
    assert_eq!(status.rebuilds_open, [["mkimage", "-P"]]);
    let last = status.last.unwrap();
    assert_eq!((last.operation, last.boot_id.as_deref()), (Operation::Apply, Some("boot-1")));
    assert_eq!(last.note, serde_json::json!({"a": 1}));
    let original = view.original(&path("/etc/default/grub")).unwrap().unwrap();
    assert_eq!(original.text(), Some("GRUB_CMDLINE_LINUX='quiet'\n"));
    assert_eq!(view.original(&path("/etc/modprobe.d/vfio.conf")).unwrap(), Some(FileState::Absent));
    assert_eq!(view.original(&path("/etc/fstab")).unwrap(), None);
}

#[test]
fn a_second_writer_is_turned_away() {
    let target = Target::new();
    target.apply(&target.transaction()).unwrap();
    let root = target.root();
    let first = Store::open(&root, Options::default()).unwrap();
    let second = Store::open(&root, Options::default()).err().unwrap();
    assert!(matches!(second, ApplyError::Busy { .. }), "{second}");
    View::open(&root).unwrap().status().unwrap();
    drop(first);
    Store::open(&root, Options::default()).unwrap();

    // Both found no state directory; the one that comes second to make it is told.
    let target = Target::new();
    let root = target.root();
    let mut first = Store::open(&root, Options::default()).unwrap();
    let mut second = Store::open(&root, Options::default()).unwrap();
    first.apply(&target.transaction(), &mut Maker::new(&target), &mut |_| ()).unwrap();
    let step = target.write("x", "/etc/x", "x");
    let error = second.apply(&transaction(vec![step]), &mut Maker::new(&target), &mut |_| ()).unwrap_err();
    assert!(matches!(error, ApplyError::Busy { .. }), "{error}");
}

#[test]
fn saved_bytes_that_were_touched_are_not_restored() {
    let target = Target::new();
    target.apply(&target.transaction()).unwrap();
    let original = crate::apply::content::sha256(b"GRUB_CMDLINE_LINUX='quiet'\n");
    target.put(&format!("{STATE}/saved/{original}"), "evil\n");
    let after = target.snapshot();
    let error = target.revert().unwrap_err();
    assert!(matches!(error, ApplyError::SavedLost { .. }), "{error}");
    assert_eq!(target.snapshot(), after);
}

#[test]
fn state_files_are_no_part_of_a_transaction() {
    let target = Target::new();
    let before = target.snapshot();
    let root = target.root();
    let mut store = Store::open(&root, Options::default()).unwrap();
    for text in ["{}", "{\"why\":1}"] {
        store.write_state_file("refusal.json", text.as_bytes()).unwrap();
        assert_eq!(store.view().read_state_file("refusal.json").unwrap().unwrap(), text.as_bytes());
    }
    let names: Vec<_> = fs::read_dir(target.at(STATE)).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["refusal.json"]);
    for bad in ["../x", "journal.jsonl", "saved", "", ".x", "a/b"] {
        assert!(store.write_state_file(bad, b"").is_err(), "{bad}");
    }
    store.apply(&target.transaction(), &mut Maker::new(&target), &mut |_| ()).unwrap();
    store.remove_state_file("refusal.json").unwrap();
    assert_eq!(store.view().read_state_file("refusal.json").unwrap(), None);
    drop(store);
    target.revert().unwrap();
    assert_eq!(target.snapshot(), before);
}

#[test]
fn two_steps_for_one_file_follow_each_other() {
    let target = Target::new();
    let before = target.snapshot();
    let first = target.write("one", "/etc/default/grub", "one\n");
    let Some(between) = first.action.after() else { panic!() };
    let after = between.with_text("two\n");
    let second = step("two", Action::WriteFile { path: path("/etc/default/grub"), before: between, after });
    target.apply(&transaction(vec![first, second])).unwrap();
    assert_eq!(target.text("etc/default/grub"), "two\n");
    assert!(target.revert().unwrap().left.is_empty());
    assert_eq!(target.snapshot(), before);
}

#[test]
fn a_program_that_the_target_lacks_is_deferred_with_its_command() {
    let target = Target::new();
    let root = target.root();
    let result = Chroot::new(&root).run(&["mkinitcpio".to_owned(), "-P".to_owned(), "a b".to_owned()]);
    let RunResult::Deferred { why, .. } = result else { panic!("{result:?}") };
    assert!(why.contains("the target has no mkinitcpio; run `mkinitcpio -P 'a b'`"), "{why}");
    // The running system itself: what its programs return counts.
    let own = crate::root::Root::directory(std::path::Path::new("/")).unwrap();
    let mut own = Chroot::new(&own);
    let shell = |script: &str| vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()];
    assert_eq!(own.run(&shell("exit 0")), RunResult::Done);
    let RunResult::Failed { why } = own.run(&shell("echo it broke >&2; exit 1")) else { panic!() };
    assert!(why.contains("it broke"), "{why}");
}

#[test]
fn a_program_of_another_root_runs_in_that_root() {
    if !may_mount("running a program by chroot") {
        return;
    }
    let target = Target::new();
    fs::create_dir(target.at("usr")).unwrap();
    for name in ["bin", "lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{name}"), target.at(name)).unwrap();
    }
    let usr = Mounted::bind(std::path::Path::new("/usr"), &target.at("usr"));
    let root = target.root();
    let mut chroot = Chroot::new(&root);
    let mut shell = |script: &str| chroot.run(&["sh".to_owned(), "-c".to_owned(), script.to_owned()]);
    assert_eq!(shell("test -e /etc/old.conf && echo made > /boot/image"), RunResult::Done);
    assert_eq!(target.text("boot/image"), "made\n");
    assert!(matches!(shell("test -e /proc/self"), RunResult::Failed { .. }), "the host's /proc is not there");
    drop(usr);
}

/// A journal that version 0.1.0 wrote. It stays readable for ever: somebody's revert depends on it.
#[test]
fn the_first_journal_is_still_read() {
    let target = Target::empty();
    target.put(&format!("{STATE}/journal.jsonl"), include_str!("journal-1.jsonl"));
    fs::set_permissions(target.at(STATE), fs::Permissions::from_mode(0o700)).unwrap();
    let root = target.root();
    let status = View::open(&root).unwrap().status().unwrap();
    assert_eq!((status.state, status.files.len()), (State::Applied, 5));
    assert_eq!(status.tokens, ["iommu=pt"]);
    assert_eq!(status.last.unwrap().plan_id, "plan-1");
    assert!(status.rebuilds_open.is_empty());
}
