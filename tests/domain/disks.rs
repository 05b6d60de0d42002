//! A disk that is away is not made anew, and one that belongs to another machine is not taken.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::daemon::{Daemon, daemon};
use crate::define::{Desk, as_new, assert_code, steps};

const LINUX: &str = "gpus = \"none\"\nkind = \"linux\"\n";

fn refused(daemon: &Daemon, desk: &Desk, answers: &str, name: &str, wanted: &str) {
    let output = desk.define(daemon, answers, &[name]);
    assert_code(&output, 3);
    let said = output.stderr.replace("\n       ", " ");
    assert!(said.contains(wanted), "{wanted}: {said}");
}

#[test]
fn a_disk_that_is_away_is_not_made_anew() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    let (away, mounted) = (desk.folder.path().join("away"), desk.folder.path().join("mounted"));
    fs::create_dir(&mounted).unwrap();
    let image = mounted.join("disk.qcow2");
    let answers = format!("[vm.far]\ndisk = {{ path = \"{}\", size_gib = 1 }}\n{LINUX}", image.display());
    assert_code(&desk.define(&daemon, &answers, &[]), 0);
    fs::rename(&mounted, &away).unwrap();
    refused(&daemon, &desk, &answers, "far", "was there when it was defined, and is not there now");
    // The place where it is mounted, empty.
    fs::create_dir(&mounted).unwrap();
    for more in ["", "memory_mib = 2048\n"] {
        let answers = format!("{answers}{more}");
        refused(&daemon, &desk, &answers, "far", "was there when it was defined, and is not there now");
    }
    assert_eq!(fs::read_dir(&mounted).unwrap().count(), 0);
    fs::rename(&away, &mounted).unwrap();
    assert_code(&desk.define(&daemon, &answers, &[]), 0);
    // Taken back, it is nobody's any more.
    fs::remove_file(&image).unwrap();
    assert_code(&desk.undefine(&daemon, &[]), 0);
    assert_eq!(steps(&desk.define(&daemon, &answers, &[]))[0], "disk done");
}

#[test]
fn a_disk_of_another_machine_is_taken_when_asked_only() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    let table = |name: &str, path: &Path| {
        format!("[vm.{name}]\ndisk = {{ path = \"{}\", size_gib = 1 }}\n{LINUX}", path.display())
    };
    let two = table("one", &desk.disk()) + &table("two", &desk.disk());
    refused(&daemon, &desk, &two, "one", "is the disk of [vm.two] as well");
    assert!(!desk.disk().exists());
    let apart = table("one", &desk.disk()) + &table("two", &desk.folder.path().join("other.qcow2"));
    assert_code(&desk.define(&daemon, &apart, &["one"]), 0);
    // What was agreed to once is not asked again.
    assert_code(&desk.define(&daemon, &two, &["one"]), 0);
    refused(&daemon, &desk, &two, "two", "is the disk of [vm.one] as well");
    assert_code(&desk.define(&daemon, &two, &["two", "--replace"]), 0);
    // By another name, and of a machine that the answers do not know.
    let link = desk.folder.path().join("link.qcow2");
    symlink(desk.disk(), &link).unwrap();
    let third = table("three", &link);
    refused(&daemon, &desk, &third, "three", "is the disk of the domain `one` as well");
    assert_code(&desk.define(&daemon, &third, &["three", "--replace"]), 0);
    for name in ["one", "two", "three"] {
        assert_code(&desk.undefine(&daemon, &[name]), 0);
    }
}

#[test]
fn what_a_run_left_of_a_disk_that_was_cut_off_stands_in_nobodys_way() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    let left = desk.folder.path().join("disk.qcow2.neuron-new");
    let answers = desk.answers("left", LINUX);
    fs::create_dir(&left).unwrap();
    let foreign = desk.define(&daemon, &answers, &[]);
    assert_code(&foreign, 1);
    assert!(foreign.stderr.contains("neuron-new"), "{}", foreign.stderr);
    fs::remove_dir(&left).unwrap();
    fs::write(&left, "half of it").unwrap();
    assert_code(&desk.define(&daemon, &answers, &[]), 0);
    assert!(desk.disk().is_file() && !left.exists());
    assert_code(&desk.undefine(&daemon, &[]), 0);
}

#[test]
fn a_disk_that_another_run_is_making_stays_its_own() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    let answers = desk.answers("busy", LINUX);
    let state = desk.bench.ground.target().join("var/lib/neuron-provisioner");
    fs::create_dir_all(&state).unwrap();
    let lock = fs::File::open(&state).unwrap();
    lock.lock().unwrap();
    let theirs = desk.folder.path().join("disk.qcow2.neuron-new");
    fs::write(&theirs, "half of it").unwrap();
    assert_code(&desk.define(&daemon, &answers, &[]), 1);
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "half of it");
    assert!(!desk.disk().exists());
    drop(lock);
    assert_code(&desk.define(&daemon, &answers, &[]), 0);
    assert!(desk.disk().is_file() && !theirs.exists());
    assert_code(&desk.undefine(&daemon, &[]), 0);
}
