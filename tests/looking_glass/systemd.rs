//! systemd-tmpfiles and systemd-sysusers, run on the target: owner, mode and size of what they make.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use super::{Host, TMPFILES};

/// Runs one of systemd's programs on a root; what it said.
fn systemd(program: &str, root: &Path, arguments: &[&str]) -> (bool, String) {
    let output =
        Command::new(program).arg(format!("--root={}", root.display())).args(arguments).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn host() -> Host {
    let host = Host::new("looking-glass");
    host.apply("[looking_glass]\nusers = [\"kim\", \"vera\"]\n[vm.a]\n[vm.b]\n");
    host
}

/// Mode, owner, group and size.
fn node(path: &Path) -> (u32, u32, u32, u64) {
    let meta = fs::metadata(path).unwrap();
    (meta.mode() & 0o7777, meta.uid(), meta.gid(), meta.size())
}

#[test]
fn tmpfiles_makes_the_memory_and_mends_it_and_empties_none() {
    if neuron_tests::left_out::without_root("only root can give files away") {
        return;
    }
    let host = host();
    let target = host.ground.target();
    let create = |file: &str| systemd("systemd-tmpfiles", &target, &["--create", file]);
    assert_eq!(create("10-looking-glass.conf"), (true, String::new()));
    for name in ["looking-glass-a", "looking-glass-b"] {
        assert_eq!(node(&target.join("dev/shm").join(name)), (0o660, 1001, 992, 0), "{name}");
    }
    // As QEMU leaves it where it made it itself: what is in it stays.
    let memory = target.join("dev/shm/looking-glass-a");
    fs::write(&memory, vec![7; 4096]).unwrap();
    std::os::unix::fs::chown(&memory, Some(64055), Some(108)).unwrap();
    fs::set_permissions(&memory, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    assert_eq!(create("10-looking-glass.conf"), (true, String::new()));
    assert_eq!(node(&memory), (0o660, 1001, 992, 4096));
    assert_eq!(fs::read(&memory).unwrap(), vec![7; 4096]);
    // The controls: `f+` empties it, and a user who is not there is said.
    let broken = |text: String| fs::write(target.join("etc/tmpfiles.d/other.conf"), text).unwrap();
    broken(host.text(TMPFILES).unwrap().replace("\nf ", "\nf+ "));
    assert!(create("other.conf").0);
    assert_eq!(node(&memory).3, 0);
    broken(host.text(TMPFILES).unwrap().replace(" kim ", " noor "));
    let (worked, said) = create("other.conf");
    assert!(!worked && said.contains("noor"), "{said}");
}

#[test]
fn sysusers_puts_the_users_into_their_groups_and_makes_nobody() {
    if neuron_tests::left_out::without_root("only root can change another root's users") {
        return;
    }
    let host = host();
    let target = host.ground.target();
    let passwd = host.text("etc/passwd").unwrap();
    assert!(systemd("systemd-sysusers", &target, &["neuron-passthrough.conf"]).0);
    let groups = host.text("etc/group").unwrap();
    for (name, number) in [("kvm", 992), ("libvirt", 960)] {
        let line = groups.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap();
        let members = line.strip_prefix(&format!("{name}:x:{number}:")).unwrap();
        let mut members: Vec<&str> = members.split(',').collect();
        members.sort_unstable();
        assert_eq!(members, ["kim", "vera"], "{groups}");
    }
    assert_eq!(host.text("etc/passwd").unwrap(), passwd, "nobody came");
    // The control, and why only users who are there are named.
    assert!(systemd("systemd-sysusers", &target, &["--inline", "m noor kvm"]).0);
    assert!(host.text("etc/passwd").unwrap().contains("noor:"), "a system's user was made");
}

#[test]
fn one_membership_comes_and_goes_by_the_programs_of_a_step() {
    if neuron_tests::left_out::without_root("only root can change another root's users") {
        return;
    }
    let host = host();
    let target = host.ground.target();
    let is_member = || host.text("etc/group").unwrap().contains("kvm:x:992:vera");
    assert!(systemd("systemd-sysusers", &target, &["--inline", "m vera kvm"]).0);
    assert!(is_member());
    // Twice: who has left meanwhile is no failure.
    for _ in 0..2 {
        let left = Command::new("usermod").arg("--prefix").arg(&target).args(["-rG", "kvm", "vera"]).output();
        let left = left.unwrap();
        assert!(left.status.success(), "{}", String::from_utf8_lossy(&left.stderr));
        assert!(!is_member());
    }
}
