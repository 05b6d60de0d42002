//! What stands is kept: a bridge that was made refuses nothing later on, and one that somebody changed is
//! left to them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use neuron_passthrough::apply::{Options, RunResult, Runner};
use neuron_passthrough::provision::{self, Renewed, Upkeep};
use neuron_passthrough::root::Root;
use neuron_tests::scenario::{Ground, without_state};
use neuron_tests::tree::diff;
use neuron_tests::write;

use super::{MANAGER, NETWORKD, NETWORKS, PROFILES, answers, apply, ground, own, run, text};

const LATER: &str = "22222222-2222-4222-8222-222222222222";

fn usual() -> String {
    answers("br0", "enp5s0")
}

/// A machine with the bridge, after the reboot.
fn with_bridge(service: &str) -> Ground {
    let ground = ground(&[service]);
    apply(&ground, &usual());
    ground.boot(LATER).unwrap();
    ground
}

fn lose_the_card(ground: &Ground) {
    fs::remove_dir_all(ground.machine().join("sys/class/net/enp5s0")).unwrap();
}

/// Somebody's own address, as `nmcli connection modify` writes it into the profile.
fn edit(ground: &Ground, service: &str) -> String {
    let path = if service == MANAGER {
        format!("{PROFILES}/neuron-br0.nmconnection")
    } else {
        format!("{NETWORKS}/05-neuron-br0.network")
    };
    let edited = format!("{}[Route]\nGateway=192.0.2.1\n", text(ground, &path));
    let file = ground.target().join(&path);
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    write(&file, edited).unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
    path
}

#[test]
fn a_card_that_cannot_be_seen_refuses_nothing_that_stands() {
    for service in [MANAGER, NETWORKD] {
        let ground = with_bridge(service);
        // Some cards have another address after every boot.
        write(&ground.machine().join("sys/class/net/enp5s0/address"), "52:54:00:99:99:99\n").unwrap();
        assert_eq!(run(&ground, &usual(), &["plan", "--check"]).code, 0, "{service}");
        lose_the_card(&ground);
        // Somebody's other profile never gets the card, and that is as it was.
        write(&ground.target().join("etc/network/interfaces"), "iface enp5s0 inet dhcp\n").unwrap();
        let same = run(&ground, &usual(), &["plan", "--check"]);
        assert_eq!(same.code, 0, "{service}: {}{}", same.stdout, same.stderr);
        let other = run(&ground, &answers("lan", "enp5s0"), &["plan"]);
        assert!(other.stdout.contains("there is no interface enp5s0"), "{service}: {}", other.stdout);
    }
}

struct Nobody;

impl Runner for Nobody {
    fn run(&mut self, argv: &[String]) -> RunResult {
        panic!("nothing is to be run: {argv:?}")
    }
}

/// What keeps a set-up up says of it.
fn upkeep(ground: &Ground) -> (Upkeep, Renewed) {
    let [machine, target] = [ground.machine(), ground.target()].map(|path| Root::directory(&path).unwrap());
    let renewed = provision::renew(&machine, &target, Options::default, &mut Nobody, &mut |_| ()).unwrap();
    (provision::upkeep(&machine, &target, &[]).unwrap(), renewed)
}

#[test]
fn nothing_that_is_kept_up_hangs_on_a_bridge() {
    for service in [MANAGER, NETWORKD] {
        for is_gone in [false, true] {
            let ground = with_bridge(service);
            lose_the_card(&ground);
            let edited = ground.target().join(edit(&ground, service));
            if is_gone {
                fs::remove_file(edited).unwrap();
                assert_eq!(run(&ground, &usual(), &["apply", "--yes"]).code, 3, "whoever sets up is refused");
            }
            let kept = upkeep(&ground);
            assert!(matches!(kept, (Upkeep::Nothing, Renewed::AsBefore)), "{service}, {is_gone}: {kept:?}");
            // The control: another file of ours that somebody changed.
            write(&ground.target().join("etc/neuron/vfio-devices"), "# mine\n").unwrap();
            let kept = upkeep(&ground);
            assert!(matches!(kept, (Upkeep::ByHand(_), Renewed::NotNow(_))), "{service}: {kept:?}");
        }
    }
}

/// Whoever edited a bridge has decided: nothing is to be seen to, before and after an apply.
#[test]
fn a_bridge_that_somebody_changed_is_no_drift() {
    for service in [MANAGER, NETWORKD] {
        let ground = with_bridge(service);
        let standing = || {
            let output = run(&ground, &usual(), &["status", "--json"]);
            let status: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
            (status["state"].as_str().unwrap().to_owned(), status["drifted"].as_array().unwrap().len())
        };
        let files = || {
            let output = run(&ground, &usual(), &["doctor", "--json"]);
            let report: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
            let all = report["checks"].as_array().unwrap().iter();
            let all = all.filter(|check| check["id"] == "files" && check["status"] != "pass");
            all.map(|check| check["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let (before, _) = standing();
        assert_ne!(before, "drifted");
        let path = edit(&ground, service);
        assert_eq!(
            (standing(), files()),
            ((before.clone(), 1), vec![]),
            "{service}: it is named all the same"
        );
        let shown = run(&ground, &usual(), &["status"]).stdout;
        let is_told = |line: &str| line.contains(&path) && line.ends_with("changed, and left as it is");
        assert!(shown.lines().any(is_told), "{shown}");
        assert_eq!(run(&ground, &usual(), &["apply", "--yes"]).code, 0);
        assert_eq!(standing(), (before, 1));
        // The control: what is gone is made anew, and another file of ours is not theirs.
        fs::remove_file(ground.target().join(&path)).unwrap();
        assert_eq!((standing(), files()), (("drifted".to_owned(), 1), vec!["fail".to_owned()]));
        assert_eq!(run(&ground, &usual(), &["apply", "--yes"]).code, 4);
        write(&ground.target().join("etc/neuron/vfio-devices"), "# mine\n").unwrap();
        assert_eq!(standing(), ("drifted".to_owned(), 1));
    }
}

/// One file edited, another one of the same bridge gone: all of it is left, and everybody says so.
#[test]
fn a_bridge_with_a_changed_file_and_one_that_is_gone_is_left_as_well() {
    for (service, gone) in [
        (MANAGER, format!("{PROFILES}/neuron-br0-port.nmconnection")),
        (NETWORKD, format!("{NETWORKS}/05-neuron-br0.netdev")),
    ] {
        let ground = with_bridge(service);
        let document = |verb: &str| -> serde_json::Value {
            serde_json::from_str(&run(&ground, &usual(), &[verb, "--json"]).stdout).unwrap()
        };
        let of_files = || {
            let report = document("doctor");
            let all = report["checks"].as_array().unwrap().iter().filter(|check| check["id"] == "files");
            all.map(|check| check["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let shown = |path: &str| {
            let text = run(&ground, &usual(), &["status"]).stdout;
            text.lines().find(|line| line.contains(path)).unwrap().to_owned()
        };
        let before = document("status")["state"].clone();
        // Gone alone, it comes back with the next apply, and nobody says that it is left.
        let made = text(&ground, &gone);
        fs::remove_file(ground.target().join(&gone)).unwrap();
        assert_eq!(
            (document("status")["left"].clone(), of_files()),
            (serde_json::json!([]), vec!["fail".to_owned()])
        );
        assert!(shown(&gone).ends_with("  changed"), "{service}: {}", shown(&gone));
        assert_eq!(run(&ground, &usual(), &["apply", "--yes"]).code, 4);
        assert_eq!(text(&ground, &gone), made);
        ground.boot("33333333-3333-4333-8333-333333333333").unwrap();
        assert_eq!(document("status")["state"], before);
        // With another one edited, it does not.
        let edited = edit(&ground, service);
        fs::remove_file(ground.target().join(&gone)).unwrap();
        for again in [false, true] {
            let status = document("status");
            assert_eq!(status["state"], before, "{service} {again}: {status:#}");
            assert_eq!(
                (status["left"].as_array().unwrap().len(), of_files()),
                (2, vec!["pass".to_owned(); 2])
            );
            for path in [&gone, &edited] {
                assert!(shown(path).ends_with("changed, and left as it is"), "{service}: {}", shown(path));
            }
            assert_eq!(run(&ground, &usual(), &["apply", "--yes"]).code, 0, "{service} {again}");
            assert!(!ground.target().join(&gone).exists(), "{service}: apply leaves it");
        }
    }
}

#[test]
fn a_bridge_that_somebody_changed_is_left_whole_and_named() {
    for service in [MANAGER, NETWORKD] {
        let ground = with_bridge(service);
        let files = own(&ground);
        let path = edit(&ground, service);
        let before = ground.tree().unwrap();
        // Followed, not wanted any more, wanted otherwise, switched off.
        let off = format!("[passthrough]\nmode = \"off\"\n{}", usual());
        for (text, code) in [(usual(), 0), (answers("br0", ""), 0), (off, 4)] {
            let output = run(&ground, &text, &["plan"]);
            let said = output.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
            let named =
                format!("/{path} was changed since it was written: everything that makes br0 is left");
            assert!(said.contains(&named), "{service}: {text}\n{said}");
            assert_eq!(output.code, 0, "{service}: {said}");
            assert_eq!(run(&ground, &text, &["apply", "--yes"]).code, code, "{service}: {text}");
            assert_eq!(own(&ground), files, "{service}: {text}");
            let changed = diff(&without_state(&before), &without_state(&ground.tree().unwrap()));
            let of_bridge = changed.iter().any(|line| format!("{line:?}").contains("neuron-br0"));
            assert!(!of_bridge, "{service}: {changed:?}");
        }
    }
}

#[test]
fn another_bridge_takes_no_card_from_one_that_is_left() {
    for service in [MANAGER, NETWORKD] {
        let ground = with_bridge(service);
        edit(&ground, service);
        let output = run(&ground, &answers("lan", "enp5s0"), &["apply", "--yes"]);
        assert_eq!(output.code, 3, "{service}: {}{}", output.stdout, output.stderr);
    }
}

#[test]
fn what_is_taken_away_is_written_anew() {
    for service in [MANAGER, NETWORKD] {
        let ground = with_bridge(service);
        let files = own(&ground);
        let path = ground.target().join(edit(&ground, service));
        fs::remove_file(&path).unwrap();
        apply(&ground, &usual());
        assert_eq!(own(&ground), files, "{service}");
        assert!(!fs::read_to_string(path).unwrap().contains("192.0.2.1"), "{service}");
    }
}

#[test]
fn a_revert_leaves_no_half_of_a_bridge() {
    for service in [MANAGER, NETWORKD] {
        let ground = with_bridge(service);
        let files = own(&ground);
        let path = edit(&ground, service);
        let edited = text(&ground, &path);
        let reverted = run(&ground, "", &["revert", "--yes"]);
        assert_eq!(reverted.code, 5, "{service}: {}{}", reverted.stdout, reverted.stderr);
        assert!(
            reverted.stdout.contains(&format!("/{path} was changed by somebody else")),
            "{}",
            reverted.stdout
        );
        assert_eq!(own(&ground), files, "{service}: all of it stays");
        assert_eq!(text(&ground, &path), edited, "{service}");
        assert!(
            !ground.target().join("etc/neuron/vfio-devices").exists(),
            "{service}: all else is taken back"
        );
        // Once it is gone, the rest goes.
        fs::remove_file(ground.target().join(path)).unwrap();
        assert_eq!(run(&ground, "", &["revert", "--yes"]).code, 4, "{service}");
        assert_eq!(own(&ground), [""; 0], "{service}");
    }
}

#[test]
fn it_waits_for_no_iommu() {
    let ground = Ground::new("made-intel-pending", "arch-grub").unwrap();
    super::furnish(&ground, &[MANAGER]);
    apply(&ground, &usual());
    assert_eq!(own(&ground), ["neuron-br0-port.nmconnection", "neuron-br0.nmconnection"]);
    assert!(ground.target().join("var/lib/neuron-provisioner/candidate.json").exists(), "the control");
}

#[test]
fn what_is_no_file_any_more_stops_no_revert() {
    for service in [MANAGER, NETWORKD] {
        let ground = with_bridge(service);
        let path = ground.target().join(edit(&ground, service));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let files = own(&ground);
        let reverted = run(&ground, "", &["revert", "--yes"]);
        assert_eq!(reverted.code, 5, "{service}: {}{}", reverted.stdout, reverted.stderr);
        assert_eq!(own(&ground), files, "{service}: all of it stays");
        assert!(
            !ground.target().join("etc/neuron/vfio-devices").exists(),
            "{service}: all else is taken back"
        );
        fs::remove_dir(&path).unwrap();
        assert_eq!(run(&ground, "", &["revert", "--yes"]).code, 4, "{service}");
        assert_eq!(own(&ground), [""; 0], "{service}");
    }
}
