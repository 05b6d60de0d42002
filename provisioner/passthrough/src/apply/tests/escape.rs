//! Hostile targets: no byte outside the root changes.

use std::fs;
use std::os::unix::fs::symlink;

use super::fixture::*;
use crate::apply::{ApplyError, ErrorKind, Options, Store};
use crate::step::{Action, FileState};

/// A target beside a tree that nobody may touch.
fn hostile() -> (Target, Snapshot) {
    let target = Target::new();
    let outside = target.outer.path().join("outside");
    fs::create_dir_all(outside.join("deep")).unwrap();
    fs::write(outside.join("file"), "outside\n").unwrap();
    fs::write(outside.join("deep/file"), "deep outside\n").unwrap();
    let sentinel = snapshot(&outside);
    (target, sentinel)
}

fn unharmed(target: &Target, sentinel: &Snapshot) {
    assert_eq!(&snapshot(&target.outer.path().join("outside")), sentinel);
}

fn write(path: &str, before: FileState, text: &str) -> crate::apply::Transaction {
    let after = before.with_text(text);
    transaction(vec![step("x", Action::WriteFile { path: path.parse().unwrap(), before, after })])
}

#[test]
fn symlinks_end_inside_the_root() {
    let (target, sentinel) = hostile();
    let outside = target.outer.path().join("outside");
    // As the target sees them, these lead to places of its own that are not there.
    symlink(outside.join("file"), target.at("etc/absolute")).unwrap();
    symlink("../../outside/file", target.at("etc/relative")).unwrap();
    symlink("../../../../../../../../etc/default/grub", target.at("etc/climbing")).unwrap();
    symlink(&outside, target.at("etc/dir-absolute")).unwrap();
    symlink("../../outside", target.at("etc/dir-relative")).unwrap();
    let before = target.snapshot();
    for path in [
        "/etc/absolute",
        "/etc/relative",
        "/etc/dir-absolute/file",
        "/etc/dir-relative/file",
        "/etc/climbing",
    ] {
        let transaction = write(path, target.state(path), "ours\n");
        target.apply(&transaction).unwrap();
        unharmed(&target, &sentinel);
    }
    assert_eq!(target.text("etc/default/grub"), "ours\n", "`..` stops at the root");
    assert_eq!(target.text("outside/file"), "ours\n", "a directory link ends inside the root");
    assert!(fs::symlink_metadata(target.at("etc/climbing")).unwrap().is_symlink());
    target.revert().unwrap();
    unharmed(&target, &sentinel);
    assert_eq!(target.snapshot(), before);
}

#[test]
fn a_write_goes_to_the_real_file_and_the_link_stays() {
    let (target, _) = hostile();
    target.put("usr/share/grub", "real\n");
    symlink("/usr/share/grub", target.at("etc/default/linked")).unwrap();
    let before = target.snapshot();
    target.apply(&write("/etc/default/linked", target.state("/etc/default/linked"), "ours\n")).unwrap();
    assert_eq!(target.text("usr/share/grub"), "ours\n");
    assert!(fs::symlink_metadata(target.at("etc/default/linked")).unwrap().is_symlink());
    target.revert().unwrap();
    assert_eq!(target.snapshot(), before);
}

#[test]
fn the_state_directory_may_not_be_a_link() {
    let (target, sentinel) = hostile();
    let outside = target.outer.path().join("outside");
    for points_to in [outside.to_str().unwrap(), "../../etc", "/etc", "/nowhere"] {
        symlink(points_to, target.at(STATE)).unwrap();
        let before = snapshot(&target.path());
        let error = target.apply(&target.transaction()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{points_to}: {error}");
        assert_eq!(snapshot(&target.path()), before);
        unharmed(&target, &sentinel);
        fs::remove_file(target.at(STATE)).unwrap();
    }
    // Its parent may: `/var` on another place of the target is common.
    fs::rename(target.at("var"), target.at("real-var")).unwrap();
    symlink("/real-var", target.at("var")).unwrap();
    target.apply(&target.transaction()).unwrap();
    assert!(target.at("real-var/lib/neuron-provisioner/journal.jsonl").exists());
    target.revert().unwrap();
}

#[test]
fn links_inside_the_state_directory_are_not_followed() {
    for name in ["journal.jsonl", "saved"] {
        let (target, sentinel) = hostile();
        fs::create_dir(target.at(STATE)).unwrap();
        symlink(target.outer.path().join("outside/deep"), target.at(STATE).join(name)).unwrap();
        let before = target.snapshot();
        assert!(target.apply(&target.transaction()).is_err(), "{name}");
        unharmed(&target, &sentinel);
        assert_eq!(target.snapshot(), before);
    }
}

#[test]
fn a_state_directory_that_others_can_write_is_not_believed() {
    use std::os::unix::fs::PermissionsExt;
    let (target, _) = hostile();
    fs::create_dir(target.at(STATE)).unwrap();
    fs::set_permissions(target.at(STATE), fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(target.apply(&target.transaction()).unwrap_err().kind(), ErrorKind::Refused);
    fs::set_permissions(target.at(STATE), fs::Permissions::from_mode(0o755)).unwrap();
    target.apply(&target.transaction()).unwrap();
}

#[test]
fn a_directory_that_is_a_link_to_the_hosts_is_a_circle() {
    let (target, sentinel) = hostile();
    fs::rename(target.at("etc"), target.at("etc-real")).unwrap();
    symlink("/etc", target.at("etc")).unwrap();
    let host = fs::metadata("/etc").unwrap().modified().unwrap();
    target.apply(&write("/etc/neuron-escape", FileState::Absent, "x")).unwrap_err();
    symlink("loop", target.at("loop")).unwrap();
    fs::remove_file(target.at("etc")).unwrap();
    let error = target.apply(&write("/loop/x", FileState::Absent, "x")).unwrap_err();
    assert!(error.to_string().contains("circle"), "{error}");
    assert!(!fs::exists("/etc/neuron-escape").unwrap());
    assert_eq!(fs::metadata("/etc").unwrap().modified().unwrap(), host);
    unharmed(&target, &sentinel);
}

#[test]
fn what_is_no_file_is_refused() {
    let (target, sentinel) = hostile();
    let fifo = nix::sys::stat::Mode::from_bits_truncate(0o600);
    nix::unistd::mkfifo(&target.at("etc/fifo"), fifo).unwrap();
    std::os::unix::net::UnixListener::bind(target.at("etc/socket")).unwrap();
    fs::create_dir(target.at("etc/directory")).unwrap();
    let before = snapshot(&target.path());
    for (path, what) in
        [("/etc/fifo", "a fifo"), ("/etc/socket", "a socket"), ("/etc/directory", "a directory")]
    {
        let error = target.apply(&write(path, FileState::Absent, "x")).unwrap_err();
        assert!(matches!(&error, ApplyError::Refused { why, .. } if why.contains(what)), "{error}");
        assert_eq!(snapshot(&target.path()), before);
    }
    let error = target.apply(&write("/etc/old.conf/below", FileState::Absent, "x")).unwrap_err();
    assert!(error.to_string().contains("/etc/old.conf is not a directory"), "{error}");
    unharmed(&target, &sentinel);
}

#[test]
fn a_hard_link_to_the_outside_is_broken_not_written_through() {
    let (target, sentinel) = hostile();
    fs::hard_link(target.outer.path().join("outside/file"), target.at("etc/hard")).unwrap();
    let outcome = target.apply(&write("/etc/hard", target.state("/etc/hard"), "ours\n")).unwrap();
    assert!(outcome.steps[0].why.as_deref().unwrap().contains("hard links"));
    assert_eq!(target.text("etc/hard"), "ours\n");
    unharmed(&target, &sentinel);
    target.revert().unwrap();
    assert_eq!(target.text("etc/hard"), "outside\n");
    unharmed(&target, &sentinel);
}

#[test]
fn a_link_that_appears_between_look_and_write_is_not_followed() {
    struct Swap(std::path::PathBuf, std::path::PathBuf, bool);
    impl crate::apply::Interrupt for Swap {
        fn at(&mut self, point: &str) -> std::io::Result<()> {
            if point == "before open the journal" && !self.2 {
                self.2 = true;
                fs::rename(&self.0, self.0.with_extension("away"))?;
                symlink(&self.1, &self.0)?;
            }
            Ok(())
        }
    }
    let (target, sentinel) = hostile();
    let outside = target.outer.path().join("outside");
    let swap = Swap(target.at("etc/modprobe.d"), outside, false);
    let options = Options { interrupt: Box::new(swap), ..Options::default() };
    let error = target.apply_with(&target.transaction(), options, &mut Maker::new(&target)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed, "{error}");
    unharmed(&target, &sentinel);
    assert_eq!(target.text("etc/default/grub"), "GRUB_CMDLINE_LINUX='quiet'\n");
}

#[test]
fn a_journal_cannot_make_us_remove_other_files() {
    let (target, sentinel) = hostile();
    target.apply(&target.transaction()).unwrap();
    let journal = target.at(STATE).join("journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let cut: Vec<&str> = text.lines().take(3).collect();
    let evil = cut.join("\n").replace(".grub.neuron-1-0", "../old.conf") + "\n";
    assert!(evil.contains("../old.conf"));
    fs::write(&journal, evil).unwrap();
    target.put("etc/default/old.conf", "x");
    let error = target.revert().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotPutBack, "{error}");
    assert!(target.at("etc/default/old.conf").exists());
    unharmed(&target, &sentinel);
}

#[test]
fn only_declared_mounts_are_crossed() {
    if !may_mount("undeclared bind mounts") {
        return;
    }
    let (target, sentinel) = hostile();
    fs::create_dir_all(target.at("mnt")).unwrap();
    let mount = Mounted::bind(&target.outer.path().join("outside"), &target.at("mnt"));
    let transaction = write("/mnt/file", target.state("/mnt/file"), "ours\n");
    let error = target.apply(&transaction).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    unharmed(&target, &sentinel);
    // The controls: declared by the caller, then by the target itself.
    let root = target.root();
    let options = Options { mounts: vec!["/mnt".parse().unwrap()], ..Options::default() };
    let mut store = Store::open(&root, options).unwrap();
    store.apply(&transaction, &mut Maker::new(&target), &mut |_| ()).unwrap();
    drop(store);
    target.put("etc/fstab", "UUID=1 /mnt ext4 defaults 0 2\n");
    target.revert().unwrap();
    unharmed(&target, &sentinel);
    drop(mount);
}
