//! `doctor` about a domain, with the files of a libvirt that has its daemon.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use neuron_passthrough::facts::shared_memory::{open_by, running};
use neuron_passthrough::guest::existing::is_same;
use neuron_passthrough::root::Root;

use crate::Bench;
use crate::daemon::{Daemon, daemon};
use crate::define::{Desk, as_new, assert_code, document, open_to_qemu};
use crate::pairs::{OPTIONS, answers};

/// Copies into a root what libvirt and its firmware have of this folder.
fn copy(daemon: &Daemon, folder: &str, root: &Path) {
    let to = root.join(folder.trim_start_matches('/'));
    let _ = fs::remove_dir_all(&to);
    fs::create_dir_all(&to).unwrap();
    let mut copy = daemon.command(OsStr::new("cp"));
    let done = copy.args(["-aL", &format!("{folder}/."), to.to_str().unwrap()]).status().unwrap();
    assert!(done.success(), "{folder}");
}

/// What doctor says of the domain as libvirt has it now: id, status, evidence.
fn checks(daemon: &Daemon, desk: &Desk) -> Vec<[String; 3]> {
    let (machine, target) = (desk.bench.ground.machine(), desk.bench.ground.target());
    copy(daemon, "/etc/libvirt/qemu", &target);
    copy(daemon, "/run/libvirt/network", &machine);
    let output = desk.run(daemon, "", &["doctor", "--json"]);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let document = document(&output);
    let all = document["checks"].as_array().unwrap().iter();
    let all = all.map(|check| [text(&check["id"]), text(&check["status"]), text(&check["evidence"])]);
    all.filter(|[id, ..]| id.starts_with("domain")).collect()
}

fn trouble(checks: &[[String; 3]]) -> Vec<String> {
    let bad = checks.iter().filter(|[_, status, _]| status != "pass");
    bad.map(|[id, status, evidence]| format!("{id} {status}: {evidence}")).collect()
}

#[test]
fn what_was_defined_is_found_as_it_is_and_what_changes_is_told() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    let target = desk.bench.ground.target();
    let answers = desk.answers("seen", "");
    fs::create_dir_all(target.join("etc/neuron")).unwrap();
    fs::write(target.join("etc/neuron/provisioner.toml"), &answers).unwrap();
    for folder in ["/usr/share/OVMF", "/usr/share/qemu/firmware"] {
        copy(&daemon, folder, &target);
    }
    fs::write(target.join("usr/bin/swtpm"), "").unwrap();
    open_to_qemu(&desk, 0o666);
    assert_code(&desk.run(&daemon, &answers, &["apply", "--yes"]), 4);
    assert_code(&desk.define(&daemon, &answers, &[]), 0);
    // The disk is outside of the target.
    let image = target.join(desk.disk().strip_prefix("/").unwrap());
    fs::create_dir_all(image.parent().unwrap()).unwrap();
    fs::write(&image, "").unwrap();
    let healthy = checks(&daemon, &desk);
    assert_eq!((healthy.len(), trouble(&healthy)), (7, Vec::new()), "{healthy:?}");

    daemon.virsh(&["desc", "seen", "--config", "--title", "mine"]).unwrap();
    let edited = trouble(&checks(&daemon, &desk));
    assert_eq!(edited, ["domain warn: somebody changed it since it was defined"]);
    assert_code(&desk.define(&daemon, &answers, &["--replace"]), 0);
    assert_eq!(trouble(&checks(&daemon, &desk)), Vec::<String>::new());

    daemon.virsh(&["net-destroy", "default"]).unwrap();
    let down = trouble(&checks(&daemon, &desk));
    assert_eq!(down, ["domain-network fail: libvirt's network `default` is not up"]);
    daemon.virsh(&["net-start", "default"]).unwrap();

    fs::rename(target.join("usr/share/OVMF"), target.join("usr/share/other")).unwrap();
    let _ = fs::remove_dir_all(target.join("usr/share/qemu/firmware"));
    let bare = trouble(&checks(&daemon, &desk));
    assert!(!bare.is_empty() && bare.iter().all(|one| one.starts_with("domain-firmware fail")), "{bare:?}");

    daemon.virsh(&["undefine", "--nvram", "seen"]).unwrap();
    let gone = trouble(&checks(&daemon, &desk));
    assert_eq!(gone[0], "domain fail: libvirt has it no more");
}

#[test]
fn a_device_beside_the_card_is_still_the_one_that_was_recorded() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    let (machine, target) = (desk.bench.ground.machine(), desk.bench.ground.target());
    let answers = desk.answers("usb", "usb_controllers = [\"0000:00:14.0\"]\n");
    fs::create_dir_all(target.join("etc/neuron")).unwrap();
    fs::write(target.join("etc/neuron/provisioner.toml"), &answers).unwrap();
    assert_code(&desk.run(&daemon, &answers, &["apply", "--yes"]), 4);
    let list = fs::read_to_string(target.join("etc/neuron/vfio-devices")).unwrap();
    assert!(list.contains("guest 0000:00:14.0 8086:a36d 1458:5007 0c0330\n"), "{list}");
    assert_code(&desk.define(&daemon, &answers, &[]), 0);
    let of = |id: &str| {
        let all = checks(&daemon, &desk);
        let [_, status, evidence] = all.iter().find(|[one, ..]| one == id).unwrap().clone();
        (status, evidence)
    };
    let (status, evidence) = of("domain-devices");
    assert!(status == "pass" && evidence.contains("0000:00:14.0"), "{status}: {evidence}");
    assert_eq!(of("domain").0, "pass");
    // Another controller sits there: neither is it the recorded one, nor would the same domain be made.
    let id = machine.join("sys/bus/pci/devices/0000:00:14.0/device");
    fs::write(&id, "0x1234\n").unwrap();
    let (status, evidence) = of("domain-devices");
    assert!(status == "fail" && evidence.contains("8086:1234"), "{status}: {evidence}");
    fs::write(&id, "0xa36d\n").unwrap();
    desk.bench.ground.boot("22222222-2222-4222-8222-222222222222").unwrap();
    desk.bench.put_machine("proc/cmdline", "root=/dev/sda2 rw intel_iommu=on iommu=pt\n");
    assert_eq!(of("domain").0, "pass");
    // The host's last keyboard was plugged into it since: what would be defined now is refused, and told.
    neuron_tests::machine::in_use::keyboard(&machine, Some("0000:00:14.0"), "input1").unwrap();
    neuron_tests::machine::in_use::without_keyboard(&machine).unwrap();
    let (status, evidence) = of("domain");
    assert!(status == "fail" && evidence.contains("every keyboard"), "{status}: {evidence}");
    assert_code(&desk.run(&daemon, "", &["revert", "--yes"]), 4);
    assert!(!target.join("etc/neuron/vfio-devices").exists());
}

/// By what a disk in use is found: the kernel's links to what a QEMU has open, and how libvirt names it.
#[test]
fn a_machine_that_runs_shows_its_name_and_its_disk() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    let answers = desk.answers("shown", "gpus = \"none\"\nkind = \"linux\"\n");
    assert_code(&desk.define(&daemon, &answers, &[]), 0);
    let xml = daemon.virsh(&["dumpxml", "--inactive", "shown"]).unwrap();
    let file = desk.folder.path().join("shown.xml");
    fs::write(&file, crate::start::emulated(&xml)).unwrap();
    daemon.virsh(&["define", file.to_str().unwrap()]).unwrap();
    daemon.virsh(&["start", "--paused", "shown"]).unwrap();
    let proc = desk.folder.path().join("proc");
    let script = r#"for pid in /proc/[0-9]*; do
        case $(cat $pid/comm) in qemu-*) ;; *) continue ;; esac
        mkdir -p "$1/${pid#/proc/}/fd" "$1/1"; cp /proc/1/comm "$1/1"
        cat $pid/comm >"$1/${pid#/proc/}/comm"; cat $pid/cmdline >"$1/${pid#/proc/}/cmdline"
        for fd in $pid/fd/*; do ln -s "$(readlink $fd)" "$1/${pid#/proc/}/fd/${fd##*/}"; done
    done"#;
    let mut copy: Command = daemon.command(OsStr::new("sh"));
    assert!(copy.args(["-c", script, "sh"]).arg(&proc).status().unwrap().success());
    daemon.virsh(&["destroy", "shown"]).unwrap();
    let root = Root::directory(desk.folder.path()).unwrap();
    assert_eq!(running(&root).unwrap(), Some(vec!["shown".to_owned()]));
    let users = open_by(&root, desk.disk().to_str().unwrap()).unwrap();
    assert_eq!(users.len(), 1, "{users:?}");
    assert_eq!(users[0].vm.as_deref(), Some("shown"));
    assert!(open_by(&root, "/no/such/disk").unwrap().is_empty());
}

/// What is compared is what libvirt told when it was defined with what it keeps: the same with every option.
#[test]
fn the_file_that_libvirt_keeps_says_what_it_tells() {
    let (daemon, bench) = (daemon(), Bench::of_kvm());
    as_new(&daemon);
    let file = tempfile::NamedTempFile::new().unwrap();
    let (mut seen, mut different) = (0, Vec::new());
    for value in OPTIONS.iter().flat_map(|values| values.iter()) {
        for kind in ["windows11", "linux"] {
            let Some(answers) = answers(kind, &[value]) else { continue };
            fs::write(file.path(), bench.xml(&answers)).unwrap();
            daemon.virsh(&["define", file.path().to_str().unwrap()]).unwrap();
            let told = daemon.virsh(&["dumpxml", "--inactive", kind]).unwrap();
            let mut read = daemon.command(OsStr::new("cat"));
            let kept = read.arg(format!("/etc/libvirt/qemu/{kind}.xml")).output().unwrap().stdout;
            let kept = String::from_utf8(kept).unwrap();
            if !is_same(&told, &kept) {
                different.push(format!("{answers}\n{told}\n{kept}"));
            }
            // The control: a domain that is another one.
            assert!(!is_same(&told, &kept.replacen("<on_crash>destroy", "<on_crash>restart", 1)));
            daemon.virsh(&["undefine", "--nvram", kind]).unwrap();
            seen += 1;
        }
    }
    assert!(seen > 60, "only {seen} domains were looked at");
    assert!(different.is_empty(), "{} differ, the first: {}", different.len(), different[0]);
}
