//! What bears another one's name, sits in another libvirt or was there before: never hit, never lost.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::daemon::{Daemon, daemon};
use crate::define::{CONNECT, Desk, as_new, assert_code, instead_of_verb, steps, with_verbs};

/// A small domain of somebody else's, with a password.
fn theirs(daemon: &Daemon, desk: &Desk, name: &str) {
    let xml = format!(
        "<domain type='qemu'><name>{name}</name><memory>65536</memory><os><type arch='x86_64' \
         machine='q35'>hvm</type></os><devices><graphics type='vnc' passwd='geheim'/></devices></domain>"
    );
    let file = desk.folder.path().join("theirs.xml");
    fs::write(&file, xml).unwrap();
    daemon.virsh(&["define", file.to_str().unwrap()]).unwrap();
}

fn all_of(daemon: &Daemon, name: &str) -> String {
    daemon.virsh(&["dumpxml", "--inactive", "--security-info", name]).unwrap()
}

fn is_ours(daemon: &Daemon, name: &str) -> bool {
    all_of(daemon, name).contains("urn:neuronos:provisioner:1")
}

fn state(desk: &Desk) -> std::path::PathBuf {
    desk.bench.ground.target().join("var/lib/neuron-provisioner")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

const LINUX: &str = "gpus = \"none\"\nkind = \"linux\"\n";

#[test]
fn a_name_that_is_the_number_of_another_machine_hits_that_one_never() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    theirs(&daemon, &desk, "other");
    daemon.virsh(&["start", "--paused", "other"]).unwrap();
    let number = daemon.virsh(&["domid", "other"]).unwrap();
    assert_code(&desk.define(&daemon, &desk.answers("one", LINUX), &[]), 0);
    // What is refused today was once allowed: the record may hold such a name.
    daemon.virsh(&["domrename", "one", &number]).unwrap();
    let record = state(&desk).join("domains.json");
    let text = fs::read_to_string(&record).unwrap();
    let renamed =
        text.replace("\"one\"", &format!("\"{number}\"")).replace("<name>one<", &format!("<name>{number}<"));
    fs::write(&record, renamed).unwrap();
    let gone = desk.undefine(&daemon, &[&number]);
    assert_code(&gone, 0);
    assert_eq!(steps(&gone), ["domain done", "network-autostart reverted"]);
    let other = daemon.virsh(&["dominfo", "other"]).unwrap();
    assert!(other.contains("Persistent:     yes"), "{other}");
    daemon.virsh(&["destroy", "other"]).unwrap();
    assert_eq!(daemon.virsh(&["list", "--all", "--name"]).unwrap(), "other");
}

#[test]
fn another_libvirt_than_the_one_that_has_it_is_refused() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    let answers = desk.answers("here", LINUX);
    assert_code(&desk.define(&daemon, &answers, &[]), 0);
    let record = fs::read_to_string(state(&desk).join("domains.json")).unwrap();
    for verb in ["define", "undefine"] {
        let words = ["vm", verb, "here", "--yes", "--connect", "test:///default"];
        let refused = desk.run(&daemon, &answers, &words);
        assert_code(&refused, 3);
        let said = refused.stderr.replace("\n       ", " ");
        assert!(said.contains(&format!("it was defined in the libvirt at {CONNECT}")), "{said}");
        assert_eq!(fs::read_to_string(state(&desk).join("domains.json")).unwrap(), record);
        assert!(is_ours(&daemon, "here"));
    }
    // Where none is named, it is the one that has it: this target is not the system that runs.
    for verb in ["define", "undefine"] {
        assert_code(&desk.run(&daemon, &answers, &["vm", verb, "--yes", "--json"]), 0);
    }
    assert!(daemon.virsh(&["dominfo", "here"]).is_err());
    let unknown = desk.run(&daemon, &answers, &["vm", "define", "--yes"]);
    assert_code(&unknown, 3);
    assert!(unknown.stderr.contains("--connect"), "{}", unknown.stderr);
}

#[test]
fn the_password_of_what_was_there_comes_back_and_is_told_to_nobody() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    theirs(&daemon, &desk, "theirs");
    let before = all_of(&daemon, "theirs");
    assert!(before.contains("passwd='geheim'"));
    let answers = desk.answers("theirs", LINUX);
    let taken = desk.define(&daemon, &answers, &["--replace"]);
    assert_code(&taken, 0);
    let uuid = crate::libvirt::between(&before, "<uuid>", "</uuid>");
    for name in ["domains.json", &format!("domain-{uuid}.xml")] {
        let file = state(&desk).join(name);
        assert!(fs::read_to_string(&file).unwrap().contains("geheim"), "{name}");
        assert_eq!(mode(&file), 0o600, "{name}");
    }
    let status = desk.run(&daemon, &answers, &["doctor", "--json"]);
    let gone = desk.undefine(&daemon, &[]);
    assert_code(&gone, 0);
    for output in [taken, status, gone] {
        assert!(!output.stdout.contains("geheim") && !output.stderr.contains("geheim"), "{}", output.stdout);
    }
    assert_eq!(all_of(&daemon, "theirs"), before);
    // A password that somebody gives ours is a change like any other.
    daemon.virsh(&["undefine", "theirs"]).unwrap();
    assert_code(&desk.define(&daemon, &answers, &[]), 0);
    let file = desk.folder.path().join("mine.xml");
    let ours = all_of(&daemon, "theirs");
    let mine = ours.replacen("<graphics type='spice'", "<graphics type='spice' passwd='meins'", 1);
    assert_ne!(mine, ours);
    fs::write(&file, mine).unwrap();
    daemon.virsh(&["define", file.to_str().unwrap()]).unwrap();
    assert_code(&desk.define(&daemon, &answers, &[]), 5);
    assert_code(&desk.undefine(&daemon, &[]), 0);
}

/// A run that is killed right before libvirt takes the domain, and right after.
#[test]
fn what_was_there_is_known_after_a_run_that_was_cut_off() {
    let (daemon, desk) = (daemon(), Desk::new());
    for (commands, is_taken) in [("kill -9 $PPID", false), ("$real \"$@\"; kill -9 $PPID", true)] {
        as_new(&daemon);
        theirs(&daemon, &desk, "theirs");
        let before = all_of(&daemon, "theirs");
        let answers = desk.answers("theirs", LINUX);
        instead_of_verb(&daemon, &desk, "define", commands);
        let killed = desk.define(&daemon, &answers, &["--replace"]);
        with_verbs(&daemon);
        assert!(killed.code != 0 && killed.stdout.is_empty(), "{}{}", killed.code, killed.stdout);
        assert_eq!(is_ours(&daemon, "theirs"), is_taken);
        if is_taken {
            // Ours, and nobody noted so: the next run does, and asks for nothing.
            assert_code(&desk.define(&daemon, &answers, &[]), 0);
            assert_code(&desk.undefine(&daemon, &[]), 0);
        } else {
            assert_code(&desk.define(&daemon, &answers, &[]), 3);
            assert_eq!(all_of(&daemon, "theirs"), before);
            // Somebody went on with it meanwhile: that is kept when it is taken over, and comes back.
            daemon.virsh(&["desc", "theirs", "--config", "--title", "newer"]).unwrap();
            assert_code(&desk.define(&daemon, &answers, &["--replace"]), 0);
            assert_code(&desk.undefine(&daemon, &[]), 0);
            assert!(all_of(&daemon, "theirs").contains("<title>newer</title>"));
            continue;
        }
        assert_eq!(all_of(&daemon, "theirs"), before);
    }
    assert!(!state(&desk).join("domains.json").exists());
}

/// Ours under another name, and another one under the name of ours: neither is taken away, and the record stays.
#[test]
fn what_bears_another_name_or_another_uuid_is_left_and_not_forgotten() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    theirs(&daemon, &desk, "theirs");
    let before = all_of(&daemon, "theirs");
    assert_code(&desk.define(&daemon, &desk.answers("theirs", LINUX), &["--replace"]), 0);
    let file = state(&desk).join("domains.json");
    let record = fs::read_to_string(&file).unwrap();
    let refused = |wanted: &str| {
        let output = desk.undefine(&daemon, &[]);
        assert_code(&output, 3);
        let said = output.stderr.replace("\n       ", " ");
        assert!(said.contains(wanted), "{said}");
        // A revert goes on without it.
        let reverted = desk.run(&daemon, "", &["revert", "--yes", "--json"]);
        assert_eq!(steps(&reverted), ["vm-theirs deferred"], "{}{}", reverted.stdout, reverted.stderr);
        assert_eq!(fs::read_to_string(&file).unwrap(), record);
    };
    daemon.virsh(&["domrename", "theirs", "mine"]).unwrap();
    refused("`virsh domrename mine theirs`");
    theirs(&daemon, &desk, "theirs");
    let another = all_of(&daemon, "theirs");
    assert_ne!(another, before);
    refused("rename or undefine that one first");
    assert!(is_ours(&daemon, "mine"));
    assert_eq!(all_of(&daemon, "theirs"), another);
    daemon.virsh(&["domrename", "theirs", "another"]).unwrap();
    daemon.virsh(&["domrename", "mine", "theirs"]).unwrap();
    assert_code(&desk.undefine(&daemon, &[]), 0);
    assert_eq!(all_of(&daemon, "theirs"), before);
    daemon.virsh(&["undefine", "another"]).unwrap();
}

/// Where the libvirt that has it is gone, that is said with the way out, and only then it can be forgotten.
#[test]
fn a_libvirt_that_is_gone_is_named_and_forgotten() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    theirs(&daemon, &desk, "kept");
    let before = all_of(&daemon, "kept");
    let answers = desk.answers("kept", LINUX);
    assert_code(&desk.define(&daemon, &answers, &["--replace"]), 0);
    let file = state(&desk).join("domains.json");
    let record = fs::read_to_string(&file).unwrap();
    let run = |words: &[&str]| desk.run(&daemon, &answers, words);
    let answering = run(&["vm", "undefine", "kept", "--yes", "--forget"]);
    assert_code(&answering, 3);
    assert!(answering.stderr.contains("leave --forget out"), "{}", answering.stderr);
    let gone = record.replace("libvirt-sock", "no-such-sock");
    assert_ne!(gone, record);
    fs::write(&file, &gone).unwrap();
    for verb in ["define", "undefine"] {
        let output = run(&["vm", verb, "kept", "--yes"]);
        assert_code(&output, 3);
        let said = output.stderr.replace("\n       ", " ");
        for words in
            ["no-such-sock, which has `kept`, does not answer", "systemctl", "vm undefine kept --forget"]
        {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
    let reverted = run(&["revert", "--yes", "--json"]);
    assert_eq!(steps(&reverted), ["vm-kept deferred"], "{}{}", reverted.stdout, reverted.stderr);
    assert!(reverted.stdout.contains("vm undefine --forget"), "{}", reverted.stdout);
    assert_eq!(fs::read_to_string(&file).unwrap(), gone, "nothing was forgotten unasked");
    // Its file is there, by whatever name: that libvirt is only stopped, and would start it again.
    let uuid = crate::libvirt::between(&before, "<uuid>", "</uuid>");
    let folder = desk.bench.ground.target().join("etc/libvirt/qemu");
    let file_of = |uuid: &str| {
        let text = format!("<domain><name>mine</name><uuid>{uuid}</uuid></domain>");
        neuron_tests::write(&folder.join("mine.xml"), text).unwrap();
    };
    file_of(uuid);
    let stopped = run(&["vm", "undefine", "--yes", "--json", "--forget"]);
    assert_code(&stopped, 3);
    let said = stopped.stderr.replace("\n       ", " ");
    assert!(said.contains("/etc/libvirt/qemu/mine.xml still has it"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), gone);
    file_of("11111111-2222-4333-8444-555555555555");
    let forgotten = run(&["vm", "undefine", "--yes", "--json", "--forget"]);
    assert_code(&forgotten, 0);
    assert_eq!(steps(&forgotten), ["backup done", "domain done"]);
    assert!(!file.exists());
    let kept = fs::read_to_string(state(&desk).join(format!("domain-{uuid}.xml"))).unwrap();
    assert!(kept.contains("geheim"), "{kept}");
    assert!(is_ours(&daemon, "kept"), "it is there all the same");
    assert_code(&run(&["vm", "undefine", "--yes", "--forget"]), 0);
}

/// A record that was written before networks had a libvirt.
#[test]
fn an_older_record_is_followed() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    assert_code(&desk.define(&daemon, &desk.answers("old", LINUX), &[]), 0);
    let file = state(&desk).join("domains.json");
    let mut record: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(record["networks"], serde_json::json!([{ "connect": CONNECT, "name": "default" }]));
    record["schema"] = "neuron-domains/1".into();
    record["networks"] = serde_json::json!(["default"]);
    fs::write(&file, record.to_string()).unwrap();
    let undefined = desk.undefine(&daemon, &[]);
    assert_code(&undefined, 0);
    assert_eq!(steps(&undefined), ["domain done", "network-autostart reverted"]);
    assert!(!file.exists());
}
