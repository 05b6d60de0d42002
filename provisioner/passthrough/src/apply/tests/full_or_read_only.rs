//! Disks that take nothing: nothing is half written.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::fixture::*;
use crate::apply::{ApplyError, ErrorKind, Options, RevertRequest, Store, View};

#[test]
fn a_read_only_target_is_refused_before_anything_is_written() {
    let target = Target::new();
    let transaction = target.transaction();
    let before = snapshot(&target.path());
    // Root writes through permission bits, so it gets a read-only mount.
    let mount = nix::unistd::geteuid().is_root().then(|| Mounted::bind(&target.path(), &target.path()));
    match &mount {
        Some(mount) => mount.remount_read_only(),
        None => fs::set_permissions(target.at("etc"), fs::Permissions::from_mode(0o555)).unwrap(),
    }
    let error = target.apply(&transaction).unwrap_err();
    assert!(matches!(error, ApplyError::NotWritable { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Failed);
    let root = target.root();
    View::open(&root).unwrap().status().unwrap();
    if mount.is_none() {
        fs::set_permissions(target.at("etc"), fs::Permissions::from_mode(0o755)).unwrap();
    }
    drop(mount);
    assert_eq!(snapshot(&target.path()), before);
    target.apply(&transaction).unwrap();
}

#[test]
fn a_full_disk_is_noticed_beforehand() {
    if !may_mount("a full disk") {
        return;
    }
    let target = Target::empty();
    let mount = Mounted::tmpfs("size=512k", &target.path());
    fs::create_dir_all(target.at("var/lib")).unwrap();
    target.put("etc/a", "a\n");
    let big = transaction(vec![
        target.write("a", "/etc/a", "small\n"),
        target.write("b", "/etc/b", &"x".repeat(300 * 1024)),
    ]);
    let before = snapshot(&target.path());
    let error = target.apply(&big).unwrap_err();
    assert!(matches!(error, ApplyError::NoSpace { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert_eq!(snapshot(&target.path()), before);
    // The control: what fits is written.
    target.apply(&transaction(vec![target.write("a", "/etc/a", "small\n")])).unwrap();
    drop(mount);
}

#[test]
fn a_disk_that_fills_up_meanwhile_puts_everything_back() {
    struct Fill(std::path::PathBuf);
    impl crate::apply::Interrupt for Fill {
        fn at(&mut self, point: &str) -> std::io::Result<()> {
            if point == "before create b" {
                // As much as there is; the last write fails.
                let _ = fs::write(&self.0, vec![0; 4 << 20]);
            }
            Ok(())
        }
    }
    if !may_mount("a disk that fills up") {
        return;
    }
    let target = Target::empty();
    let mount = Mounted::tmpfs("size=512k", &target.path());
    fs::create_dir_all(target.at("var/lib")).unwrap();
    target.put("etc/a", "a\n");
    let steps =
        vec![target.write("a", "/etc/a", "small\n"), target.write("b", "/etc/b", &"x".repeat(20 * 1024))];
    let before = target.snapshot();
    let filler = target.at("filler");
    let options = Options { interrupt: Box::new(Fill(filler.clone())), ..Options::default() };
    let error = target.apply_with(&transaction(steps), options, &mut Maker::new(&target)).unwrap_err();
    assert_eq!(fs::metadata(&filler).unwrap().len() % 4096, 0);
    fs::remove_file(&filler).unwrap();
    let mut after = target.snapshot();
    after.remove("boot");
    if error.kind() == ErrorKind::Failed {
        assert_eq!(after, before, "{error}");
    } else {
        // With no room even to put back, the next run does it.
        assert_eq!(error.kind(), ErrorKind::NotPutBack);
    }
    target.revert().unwrap();
    assert_eq!(target.snapshot(), before);
    drop(mount);
}

/// A store that takes every file system for FAT, or for none.
fn as_fat<'r>(root: &'r crate::root::Root, options: Options<'r>, is_fat: bool) -> Store<'r> {
    let mut store = Store::open(root, options).unwrap();
    store.tree_mut().is_fat = if is_fat { |_| Ok(true) } else { |_| Ok(false) };
    store
}

/// What the kernel does to a FAT in which it meets what a power cut left, in the middle of a run.
#[test]
fn a_fat_that_became_read_only_is_told_with_what_repairs_it() {
    struct Turns<'a>(&'a Mounted);
    impl crate::apply::Interrupt for Turns<'_> {
        fn at(&mut self, point: &str) -> std::io::Result<()> {
            if point == "before create b" {
                self.0.remount_read_only();
            }
            Ok(())
        }
    }
    if !may_mount("a FAT that becomes read-only") {
        return;
    }
    for is_fat in [true, false] {
        let target = Target::empty();
        target.put("boot/a", "old\n");
        target.put("boot/b", "old\n");
        target.put("etc/fstab", "UUID=1 /boot vfat rw 0 2\n");
        let boot = Mounted::bind(&target.at("boot"), &target.at("boot"));
        let steps = || vec![target.write("a", "/boot/a", "new\n"), target.write("b", "/boot/b", "new\n")];
        let root = target.root();
        let try_it = |options| {
            let made = as_fat(&root, options, is_fat).apply(
                &transaction(steps()),
                &mut Maker::new(&target),
                &mut |_| (),
            );
            made.unwrap_err()
        };
        let error = try_it(Options { interrupt: Box::new(Turns(&boot)), ..Options::default() });
        assert_eq!(error.kind(), ErrorKind::NotPutBack, "{error}");
        let hint = error.hint().unwrap();
        assert!(hint.contains("/boot/a: ") && hint.contains("ead-only file system"), "{hint}");
        assert_eq!(hint.matches("fsck.fat -a").count(), usize::from(is_fat), "{hint}");
        // And where it is so before anything is written.
        let error = try_it(Options::default());
        assert!(matches!(error, ApplyError::NotWritable { .. }), "{error}");
        assert_eq!(error.hint().unwrap().contains("fsck.fat -a"), is_fat, "{:?}", error.hint());
        // Once it takes something again, the run that was cut off goes back whole.
        drop(boot);
        let (request, mut runner) = (RevertRequest::default(), Maker::new(&target));
        let mut store = as_fat(&root, Options::default(), is_fat);
        store.revert(&request, &mut |_| None, &mut runner, &mut |_| ()).unwrap();
        assert_eq!([target.text("boot/a"), target.text("boot/b")], ["old\n", "old\n"]);
    }
}
