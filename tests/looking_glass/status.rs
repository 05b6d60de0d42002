//! `looking-glass status`: what is wanted, what is there, who uses it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use serde_json::{Value, json};

use super::Host;

const ANSWERS: &str = "[looking_glass]\nusers = [\"vera\"]\n[vm.windows11]\n";
const MEMORY: &str = "dev/shm/looking-glass";

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A system that was set up, with vera's and kvm's numbers such that whoever runs this may give them files.
fn host() -> Host {
    let host = Host::new("looking-glass");
    let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let (vera, kvm) = if user.is_root() { (1000, 992) } else { (user.as_raw(), group.as_raw()) };
    let target = host.ground.target();
    put(
        &target,
        "etc/passwd",
        &format!("root:x:0:0::/root:/bin/sh\nvera:x:{vera}:100::/home/vera:/bin/sh\n"),
    );
    put(&target, "etc/group", &format!("root:x:0:root\nkvm:x:{kvm}:vera\nlibvirt:x:960:vera\n"));
    put(&target, "usr/bin/looking-glass-client", "");
    put(&target, "var/lib/pacman/local/looking-glass-2:B7-1/desc", "");
    host.apply(ANSWERS);
    let memory = host.ground.machine().join(MEMORY);
    put(&host.ground.machine(), MEMORY, "");
    fs::set_permissions(&memory, fs::Permissions::from_mode(0o660)).unwrap();
    chown(memory, Some(vera), Some(kvm)).unwrap();
    host
}

fn status(host: &Host, code: i32) -> (Value, String) {
    let document =
        serde_json::from_str(&host.run(&["looking-glass", "status", "--json"], code).stdout).unwrap();
    (document, host.run(&["looking-glass", "status"], code).stdout)
}

#[test]
fn where_everything_is_right_it_is_ready() {
    let host = host();
    let (document, text) = status(&host, 0);
    let wanted = json!({
        "schema": "neuron-looking-glass/1", "state": "ready", "transport": "shm", "size_mib": 64,
        "memories": [{
            "vm": "windows11", "path": "/dev/shm/looking-glass", "host_release": null, "used_by": [],
            "there": { "kind": "file", "size": 0, "owner": "vera", "group": "kvm", "mode": "0660" },
        }],
        "users_known": true, "people": [{ "name": "vera", "exists": true, "lacks": [] }],
        "client": { "installed": true, "version": "B7", "release": "B7" },
        "kvmfr_loaded": false, "problems": [],
    });
    assert_eq!(document, wanted);
    let expected = "\
ready: everything is as the answers want it.
  Memory   /dev/shm/looking-glass of windows11, 64 MiB wanted: empty until the virtual machine starts, vera:kvm 0660; used by nobody
  User     vera: may start virtual machines and open their memory
  Client   B7
";
    assert_eq!(text, expected);
}

#[test]
fn who_uses_it_and_which_host_application_wrote_into_it_are_told() {
    let host = host();
    let machine = host.ground.machine();
    let file = fs::File::options().write(true).open(machine.join(MEMORY)).unwrap();
    std::io::Write::write_all(&mut &file, b"xxKVMFR---\x14\0\0\0B6\0").unwrap();
    file.set_len(64 << 20).unwrap();
    put(&machine, "proc/77/comm", "qemu-system-x86\n");
    put(&machine, "proc/77/cmdline", "qemu\0-name\0guest=windows11\0");
    put(&machine, "proc/77/maps", "7f00-7f01 rw-s 00000000 00:1a 12 /dev/shm/looking-glass\n");
    let (document, text) = status(&host, 5);
    assert_eq!(document["state"], "wrong");
    let memory = &document["memories"][0];
    assert_eq!(memory["there"]["size"], 64 << 20);
    assert_eq!(memory["host_release"], "B6");
    assert_eq!(memory["used_by"], json!([{ "pid": 77, "program": "qemu-system-x86", "vm": "windows11" }]));
    let problem = "the client is B7, and the host application of the virtual machine windows11 is B6";
    assert_eq!(document["problems"], json!([problem]));
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("64 MiB there") && text.contains("host application B6"), "{text}");
    assert!(text.contains("used by the virtual machine windows11") && text.contains(problem), "{text}");
}

#[test]
fn whatever_is_not_right_ends_with_five() {
    type Break = fn(&Host);
    let cases: [(&str, Break); 5] = [
        ("is not there", |host| fs::remove_file(host.ground.machine().join(MEMORY)).unwrap()),
        ("has the mode 0644, and should have 0660", |host| {
            let memory = host.ground.machine().join(MEMORY);
            fs::set_permissions(memory, fs::Permissions::from_mode(0o644)).unwrap();
        }),
        ("is 12 bytes, and should be 64 MiB", |host| {
            fs::write(host.ground.machine().join(MEMORY), "twelve bytes").unwrap();
        }),
        ("vera is not in the group libvirt", |host| {
            let groups = host.text("etc/group").unwrap().replace("960:vera", "960:");
            put(&host.ground.target(), "etc/group", &groups);
        }),
        ("this system has no user noor", |host| {
            let answers = ANSWERS.replace("vera", "noor");
            put(&host.ground.beside(""), "answers.toml", &answers);
        }),
    ];
    for (problem, by) in cases {
        let host = host();
        by(&host);
        let (document, text) = status(&host, 5);
        let said = document["problems"].to_string();
        assert!(said.contains(problem), "{said}");
        assert!(text.contains("doctor"), "{text}");
    }
}

#[test]
fn before_an_apply_and_where_nothing_is_wanted_nothing_is_wrong() {
    let host = Host::new("looking-glass");
    for (answers, state) in [(ANSWERS, "not-set-up"), ("[vm.a]\nkind = \"linux\"\n", "off"), ("", "off")] {
        fs::write(host.ground.beside("answers.toml"), answers).unwrap();
        assert_eq!(status(&host, 0).0["state"], state, "{answers}");
    }
}
