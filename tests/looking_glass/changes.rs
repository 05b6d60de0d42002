//! Another answer, another file: only what depends on it.

use std::fs;

use neuron_tests::tree;

use super::{CLIENT, Host, SYSUSERS, TMPFILES};

const OPTIONS: &str = "etc/modprobe.d/kvmfr.conf";
const ACL: &str = "etc/libvirt/qemu.conf";
const FILES: [&str; 3] = [TMPFILES, SYSUSERS, CLIENT];

fn answers(looking_glass: &str, vms: &str) -> String {
    format!("[looking_glass]\nusers = [\"vera\"]\n{looking_glass}\n{vms}\n")
}

/// The paths that are different, without our own state and the answers.
fn changed(before: &tree::Tree, after: &tree::Tree) -> Vec<String> {
    let paths = tree::diff(before, after).into_iter().map(|one| one.path().to_owned());
    paths.filter(|path| !path.starts_with("var/lib/neuron") && !path.ends_with("provisioner.toml")).collect()
}

#[test]
fn another_resolution_changes_the_size_and_nothing_else() {
    let host = Host::new("looking-glass-kvmfr");
    host.apply(&answers("", "[vm.windows11]"));
    let before = host.ground.tree().unwrap();
    host.apply(&answers("resolution = \"3840x2160\"", "[vm.windows11]"));
    assert_eq!(changed(&before, &host.ground.tree().unwrap()), [OPTIONS]);
    assert_eq!(host.rules(OPTIONS), "options kvmfr static_size_mb=128");
}

#[test]
fn a_second_machine_renames_the_memory_and_takes_its_own() {
    let host = Host::new("looking-glass");
    host.apply(&answers("", "[vm.a]"));
    assert_eq!(host.rules(TMPFILES), "f /dev/shm/looking-glass 0660 vera kvm -");
    assert_eq!(host.rules(CLIENT), "[app]\nshmFile=/dev/shm/looking-glass");
    host.apply(&answers("", "[vm.a]\n[vm.b]"));
    let both = "f /dev/shm/looking-glass-a 0660 vera kvm -\nf /dev/shm/looking-glass-b 0660 vera kvm -";
    assert_eq!(host.rules(TMPFILES), both);
    assert_eq!(host.text(CLIENT), None, "it could name one of them only");
}

#[test]
fn from_one_means_to_the_other_and_to_none() {
    let host = Host::new("looking-glass-kvmfr");
    let before = host.ground.tree().unwrap();
    host.apply(&answers("", "[vm.a]\n[vm.b]"));
    assert!(host.text(ACL).unwrap().contains("/dev/kvmfr1"));
    host.apply(&answers("", "[vm.a]"));
    let acl = host.text(ACL).unwrap();
    assert!(acl.contains("/dev/kvmfr0") && !acl.contains("/dev/kvmfr1"), "{acl}");
    host.apply(&answers("transport = \"shm\"", "[vm.a]"));
    let own = ["etc/modules-load.d/kvmfr.conf", "etc/udev/rules.d/70-kvmfr.rules", OPTIONS];
    assert!(own.iter().all(|path| host.text(path).is_none()));
    assert_eq!(host.text(ACL).as_deref(), before[ACL].text());
    assert!(FILES.iter().all(|path| host.text(path).is_some()));
    for (more, vms) in [("enable = false", "[vm.a]"), ("", "[vm.a]\nkind = \"linux\"")] {
        host.apply(&answers("", "[vm.a]"));
        host.apply(&answers(more, vms));
        assert!(FILES.iter().chain(&own).all(|path| host.text(path).is_none()), "{more}{vms}");
        assert_eq!(host.text(ACL).as_deref(), before[ACL].text());
    }
}

#[test]
fn a_user_who_comes_later_is_taken_in_by_the_next_apply() {
    let host = Host::new("looking-glass");
    let answers = "[looking_glass]\nusers = [\"noor\"]\n[vm.a]\n";
    host.apply(answers);
    assert_eq!(host.rules(TMPFILES), "f /dev/shm/looking-glass 0660 root kvm -");
    assert_eq!(host.text(SYSUSERS), None, "systemd-sysusers would make a system's user of that name");
    host.append("etc/passwd", "noor:x:1002:1002::/home/noor:/usr/bin/bash\n");
    host.apply(answers);
    assert_eq!(host.rules(TMPFILES), "f /dev/shm/looking-glass 0660 noor kvm -");
    assert_eq!(host.rules(SYSUSERS), "m noor kvm\nm noor libvirt");
}

#[test]
fn what_somebody_added_outlives_a_revert() {
    let host = Host::new("looking-glass-kvmfr");
    let acl = host.text(ACL).unwrap();
    host.apply(&answers("", "[vm.a]"));
    host.append("etc/udev/rules.d/70-kvmfr.rules", "# mine\n");
    host.append(CLIENT, "[win]\nfullScreen=yes\n");
    host.append(ACL, "user = \"vera\"\n");
    host.run(&["revert", "--yes"], 5);
    assert_eq!(host.text("etc/udev/rules.d/70-kvmfr.rules").as_deref(), Some("# mine\n"));
    assert_eq!(host.text(CLIENT).as_deref(), Some("[app]\nshmFile=/dev/kvmfr0\n[win]\nfullScreen=yes\n"));
    assert_eq!(host.text(ACL), Some(acl + "user = \"vera\"\n"));
    assert_eq!(host.text(OPTIONS), None);
}

#[test]
fn a_configuration_of_the_client_that_is_not_ours_is_left_alone() {
    let host = Host::new("looking-glass");
    let theirs = "[app]\nshmFile=/dev/shm/other\n";
    fs::write(host.ground.target().join(CLIENT), theirs).unwrap();
    host.apply(&answers("", "[vm.a]"));
    assert_eq!(host.text(CLIENT).as_deref(), Some(theirs));
    host.run(&["revert", "--yes"], 4);
    assert_eq!(host.text(CLIENT).as_deref(), Some(theirs));
    assert_eq!(host.text(TMPFILES), None);
}

#[test]
fn a_list_of_devices_that_libvirt_cannot_read_is_refused_by_its_line() {
    let host = Host::new("looking-glass-kvmfr");
    host.append(ACL, "cgroup_device_acl = \"/dev/null\"\n");
    let before = host.ground.tree().unwrap();
    fs::write(host.ground.beside("answers.toml"), answers("", "[vm.a]")).unwrap();
    let refused = host.run(&["apply", "--yes"], 3);
    let said = refused.stderr.replace('\n', " ");
    assert!(said.contains("/etc/libvirt/qemu.conf") && said.contains("cgroup_device_acl"), "{said}");
    assert_eq!(
        changed(&before, &host.ground.tree().unwrap()),
        ["var/lib/neuron-provisioner".to_owned()][1..]
    );
}
