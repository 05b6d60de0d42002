//! What the running system is told, by what stands there.

use std::collections::BTreeMap;

use super::*;
use crate::answers::Answers;
use crate::facts::shared_memory::{Node, NodeKind};
use crate::facts::target::Kernel;
use crate::step::{FileState, Owner};

const MIB: u64 = 1 << 20;

fn target(members: &str) -> Target {
    let file = |path: &str, text: String| (path.parse().unwrap(), FileState::config(text));
    let files = [
        file("/etc/passwd", "root:x:0:0::/root:/bin/sh\nvera:x:1000:1000::/home/vera:/bin/sh\n".to_owned()),
        file("/etc/group", format!("kvm:x:992:{members}\nlibvirt:x:960:{members}\n")),
        file(QEMU_CONF, String::new()),
    ];
    let kernel =
        Kernel { release: "6.12.1".to_owned(), modules: ["kvmfr".to_owned()].into(), ..Kernel::default() };
    Target {
        files: files.into(),
        kernels: vec![kernel],
        traces: vec!["/usr/lib/systemd/system/virtqemud.service".to_owned()],
        ..Target::default()
    }
}

fn answers(transport: &str) -> Answers {
    let text =
        format!("[looking_glass]\ntransport = \"{transport}\"\nusers = [\"vera\"]\n[vm.games]\n[vm.work]\n");
    Answers::parse(&text).unwrap()
}

fn memory(size: u64, mode: u32, uid: u32, holders: Vec<Holder>) -> File {
    File { node: Node { kind: NodeKind::File, mode, owner: Owner { uid, gid: 992 }, size }, holders }
}

fn now(games: File) -> SharedMemory {
    let work = memory(64 * MIB, 0o660, 1000, Vec::new());
    let files = [("games", games), ("work", work)];
    let files = files.map(|(name, file)| (format!("/dev/shm/looking-glass-{name}"), file));
    SharedMemory { is_here: true, files: files.into(), kernel: Some("6.12.1".to_owned()), has_kvmfr: false }
}

fn qemu() -> Holder {
    Holder { pid: 4, program: "qemu-system-x86".to_owned(), vm: Some("games".to_owned()) }
}

/// The command lines, for files that are as they should be.
fn told(transport: &str, members: &str, now: &SharedMemory) -> Result<Vec<String>, Vec<Finding>> {
    let mut target = target(members);
    let wanted = Wanted::of(&answers(transport), &target).unwrap();
    for step in super::super::steps(&wanted, &target, None).unwrap() {
        target.files.insert(step.action.path().unwrap().clone(), step.action.after().unwrap());
    }
    told_of(&wanted, &target, now)
}

fn told_of(wanted: &Wanted, target: &Target, now: &SharedMemory) -> Result<Vec<String>, Vec<Finding>> {
    let written = super::super::steps(wanted, target, None).unwrap();
    let steps = steps(wanted, target, now, &written)?;
    let words = |step: &Step| match &step.action {
        Action::Rebuild { argv, .. } => argv.join(" "),
        other => panic!("{other:?}"),
    };
    Ok(steps.iter().map(words).collect())
}

#[test]
fn where_everything_is_right_there_is_nothing_to_do() {
    for (size, holders) in [(0, vec![]), (64 * MIB, vec![]), (64 * MIB, vec![qemu()])] {
        let now = now(memory(size, 0o660, 1000, holders));
        assert_eq!(told("shm", "vera", &now), Ok(vec![]), "{size}");
    }
    let loaded = SharedMemory { has_kvmfr: true, ..now(memory(0, 0, 0, vec![])) };
    assert_eq!(told("kvmfr", "vera", &loaded), Ok(vec![]));
}

#[test]
fn memory_of_the_wrong_owner_or_mode_or_none_is_made() {
    let make = "systemd-tmpfiles --create /etc/tmpfiles.d/10-looking-glass.conf".to_owned();
    for wrong in [memory(0, 0o644, 1000, vec![]), memory(64 * MIB, 0o660, 64055, vec![qemu()])] {
        assert_eq!(told("shm", "vera", &now(wrong)), Ok(vec![make.clone()]));
    }
    let nothing = SharedMemory { files: BTreeMap::new(), ..now(memory(0, 0, 0, vec![])) };
    assert_eq!(told("shm", "vera", &nothing), Ok(vec![make]));
    // Not the running system: its next boot does all of it.
    assert_eq!(told("shm", "", &SharedMemory { is_here: false, ..nothing }), Ok(vec![]));
}

#[test]
fn memory_of_another_size_goes_first_unless_somebody_uses_it() {
    for size in [32 * MIB, 128 * MIB, 1] {
        assert_eq!(
            told("shm", "vera", &now(memory(size, 0o660, 1000, vec![]))),
            Ok(vec![
                "rm -f -- /dev/shm/looking-glass-games".to_owned(),
                "systemd-tmpfiles --create /etc/tmpfiles.d/10-looking-glass.conf".to_owned(),
            ])
        );
        let refused = told("shm", "vera", &now(memory(size, 0o660, 1000, vec![qemu()]))).unwrap_err();
        assert_eq!((refused.len(), refused[0].severity), (1, Severity::Blocker));
        assert!(refused[0].message.contains("the virtual machine games uses it"), "{refused:?}");
    }
    let cat = Holder { pid: 7, program: "cat".to_owned(), vm: None };
    let refused = told("shm", "vera", &now(memory(MIB, 0o660, 1000, vec![cat]))).unwrap_err();
    assert!(refused[0].message.contains("is 1 MiB large and has to be 64, and cat (process 7) uses it"));
}

#[test]
fn who_is_in_no_group_is_put_into_it() {
    let now = now(memory(0, 0o660, 1000, vec![]));
    assert_eq!(
        told("shm", "kim", &now),
        Ok(vec![
            "systemd-sysusers --inline m vera kvm".to_owned(),
            "systemd-sysusers --inline m vera libvirt".to_owned()
        ])
    );
}

#[test]
fn the_module_is_loaded_and_its_readers_are_told() {
    let target = target("vera");
    let wanted = Wanted::of(&answers("kvmfr"), &target).unwrap();
    let fresh = now(memory(0, 0o660, 1000, vec![]));
    assert_eq!(
        told_of(&wanted, &target, &fresh),
        Ok(vec![
            "udevadm control --reload".to_owned(),
            "modprobe kvmfr".to_owned(),
            "systemctl try-restart virtqemud.service".to_owned(),
        ])
    );
    let loaded = SharedMemory { has_kvmfr: true, ..fresh.clone() };
    let told = told_of(&wanted, &target, &loaded).unwrap();
    assert!(told.contains(&"udevadm trigger --action=change --subsystem-match=kvmfr".to_owned()), "{told:?}");
    assert!(!told.iter().any(|words| words.contains("modprobe")), "{told:?}");
    // Another kernel runs than the one that has it.
    let other = SharedMemory { kernel: Some("6.1.0".to_owned()), ..fresh };
    assert!(!told_of(&wanted, &target, &other).unwrap().iter().any(|words| words.contains("modprobe")));
}

#[test]
fn a_module_that_is_loaded_keeps_its_sizes_until_a_reboot() {
    let target = target("vera");
    let fresh = now(memory(0, 0o660, 1000, vec![]));
    let loaded = SharedMemory { has_kvmfr: true, ..fresh.clone() };
    let absent = SharedMemory { is_here: false, ..fresh.clone() };
    for (transport, now, waits) in [
        ("shm", &fresh, vec![]),
        ("kvmfr", &fresh, vec![]),
        ("kvmfr", &loaded, vec!["kvmfr-options"]),
        ("shm", &absent, vec!["looking-glass-memory", "groups"]),
    ] {
        let wanted = Wanted::of(&answers(transport), &target).unwrap();
        let written = super::super::steps(&wanted, &target, None).unwrap();
        let waiting = written.iter().filter(|step| !is_in_force(step, &target, now));
        assert_eq!(waiting.map(|step| step.id.as_str()).collect::<Vec<_>>(), waits, "{transport}");
    }
}
