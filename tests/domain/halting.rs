//! A libvirt that answers, and not to everything: it is neither gone nor a reason to keep the GPU.

use std::fs;

use crate::daemon::daemon;
use crate::define::{CONNECT, Desk, as_new, assert_code, instead_of_verb, steps, with_verbs, without_verb};

const LINUX: &str = "gpus = \"none\"\nkind = \"linux\"\n";

/// The first question, which domains there are, is answered; the second, which of them run, is not.
#[test]
fn a_libvirt_that_fails_half_way_keeps_a_revert_from_nothing() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    assert_code(&desk.define(&daemon, &desk.answers("one", LINUX), &[]), 0);
    let second = "case \" $* \" in *' --all '*) exec $real \"$@\" ;; esac; echo 'error: not today' >&2";
    instead_of_verb(&daemon, &desk, "list", second);
    let refused = desk.undefine(&daemon, &[]);
    let reverted = desk.run(&daemon, "", &["revert", "--yes", "--json"]);
    with_verbs(&daemon);
    assert_code(&refused, 3);
    assert!(refused.stderr.contains("cannot list the domains: not today"), "{}", refused.stderr);
    assert_code(&reverted, 0);
    assert_eq!(steps(&reverted), ["vm-one deferred"], "{}", reverted.stdout);
    assert!(reverted.stdout.contains("not today; later, run `neuron-provisioner vm undefine one`"));
    assert!(daemon.virsh(&["dominfo", "one"]).is_ok());
    let record = desk.bench.ground.target().join("var/lib/neuron-provisioner/domains.json");
    assert!(fs::read_to_string(&record).unwrap().contains("\"one\""), "nothing was forgotten");
    // The control: once it answers to everything, the same revert takes it back.
    let reverted = desk.run(&daemon, "", &["revert", "--yes", "--json"]);
    assert_code(&reverted, 0);
    assert_eq!(steps(&reverted), ["vm-one done"], "{}", reverted.stdout);
}

/// It lists its domains: `--forget` would refuse, so nobody is sent there.
#[test]
fn a_libvirt_that_tells_nothing_of_a_domain_is_not_gone() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    let answers = desk.answers("one", LINUX);
    assert_code(&desk.define(&daemon, &answers, &[]), 0);
    let mut said = Vec::new();
    // The list is the control: without it nobody knows whether anything is there.
    for (verb, is_gone) in [("dumpxml", false), ("list", true)] {
        without_verb(&daemon, &desk, verb);
        let all = [
            desk.define(&daemon, &answers, &[]),
            desk.undefine(&daemon, &[]),
            desk.run(&daemon, "", &["revert", "--yes", "--json"]),
        ];
        with_verbs(&daemon);
        said.push((is_gone, all));
    }
    for (is_gone, [define, undefine, revert]) in said {
        assert_eq!((define.code, undefine.code, revert.code), (3, 3, 0), "{}", revert.stderr);
        assert_eq!(steps(&revert), ["vm-one deferred"], "{}", revert.stdout);
        for text in [define.stderr, undefine.stderr, revert.stdout] {
            let text = text.replace("\n       ", " ");
            assert!(text.contains("not today"), "{text}");
            assert_eq!(text.contains("does not answer") && text.contains("--forget"), is_gone, "{text}");
            assert_eq!(text.contains("cannot read domain one"), !is_gone, "{text}");
        }
    }
    assert_code(&desk.undefine(&daemon, &[]), 0);
}

/// What an earlier run left in another libvirt is no remainder of what is taken back here.
#[test]
fn a_network_of_another_libvirt_is_left_to_that_one() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    assert_code(&desk.define(&daemon, &desk.answers("one", LINUX), &[]), 0);
    let file = desk.bench.ground.target().join("var/lib/neuron-provisioner/domains.json");
    let read = || serde_json::from_str::<serde_json::Value>(&fs::read_to_string(&file).unwrap()).unwrap();
    let other =
        serde_json::json!({ "connect": CONNECT.replace("libvirt-sock", "no-such-sock"), "name": "default" });
    let mut record = read();
    record["networks"].as_array_mut().unwrap().push(other.clone());
    fs::write(&file, record.to_string()).unwrap();
    let gone = desk.undefine(&daemon, &[]);
    assert_code(&gone, 0);
    assert_eq!(steps(&gone), ["domain done", "network-autostart reverted"]);
    assert_eq!(read()["networks"], serde_json::json!([other]), "it is not forgotten either");
}
