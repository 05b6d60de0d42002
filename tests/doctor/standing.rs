//! Before, after and beside a set-up: what doctor says where there is little to look at.

use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;

use neuron_tests::left_out;
use neuron_tests::program;
use neuron_tests::scenario::{Ground, Scenario, names};
use serde_json::Value;

use crate::machine::{
    DOMAIN, DOMAINS, GUESTS, Hook, Seen, applied, bind, doctor, healthy, put, remove, worst,
};

fn ids(checks: &[Seen]) -> Vec<&str> {
    checks.iter().map(|check| check.id.as_str()).collect()
}

fn status(ground: &Ground) -> (i32, Value) {
    let output = ground.run(&["status", "--json"]).unwrap();
    (output.code, serde_json::from_str(&output.stdout).unwrap())
}

#[test]
fn where_nothing_is_set_up_there_is_nothing_to_check() {
    let ground = Ground::new("made-rtx-usbc-igpu", "arch-grub").unwrap();
    let before = ground.tree().unwrap();
    let (code, checks) = doctor(&ground);
    assert_eq!((code, ids(&checks)), (0, vec!["set-up"]));
    assert!(checks[0].evidence.contains("nothing is set up"), "{checks:?}");
    assert!(checks[0].hint.as_ref().unwrap().contains("inspect"));
    assert_eq!(ground.tree().unwrap(), before, "doctor writes nothing");
}

#[test]
fn after_a_revert_the_reboot_is_asked_for_and_then_nothing_is_left() {
    let ground = healthy(Hook::Ran);
    assert_eq!(ground.run(&["revert", "--yes"]).unwrap().code, 4);
    // Domains are taken back on the system that runs only.
    let domains = ["set-up", "domain", "domain-devices", "domain-kvm", "domain-disk", "domain-firmware"];
    let more = ["domain-network", "domain-memory"];
    assert_eq!(ids(&doctor(&ground).1), [&domains[..], &more].concat());
    remove(&ground.target(), DOMAINS);
    let (code, checks) = doctor(&ground);
    assert_eq!((code, ids(&checks)), (0, vec!["set-up"]));
    assert!(checks[0].evidence.contains("until the reboot"), "{checks:?}");
    ground.boot("44444444-4444-4444-8444-444444444444").unwrap();
    let (_, checks) = doctor(&ground);
    assert!(checks[0].evidence.contains("taken back"), "{checks:?}");
}

#[test]
fn before_the_reboot_nothing_fails_for_want_of_it() {
    for hook in [Hook::Ran, Hook::Absent] {
        let ground = applied(hook);
        let (_, checks) = doctor(&ground);
        for id in ["parameters", "bound", "group", "claim", "ids", "taken"] {
            assert_eq!(worst(&checks, id), "unknown", "{id}: {checks:#?}");
        }
        assert_eq!(worst(&checks, "reboot"), "warn");
        for id in ["identity", "host-gpu", "host-driver", "host-picture", "entries", "files"] {
            assert_eq!(worst(&checks, id), "pass", "{id}: {checks:#?}");
        }
        // A broken card is one before the reboot, too.
        remove(&ground.machine(), &format!("sys/bus/pci/devices/{}", GUESTS[0]));
        assert_eq!(worst(&doctor(&ground).1, "identity"), "fail");
    }
}

#[test]
fn a_machine_that_waits_for_its_iommu_is_told_to_go_on() {
    let ground = Ground::new("made-intel-pending", "arch-grub").unwrap();
    assert_eq!(ground.run(&["apply", "--yes"]).unwrap().code, 4);
    let told = |checks: &[Seen]| checks[0].hint.clone().unwrap_or_default();
    let (_, checks) = doctor(&ground);
    assert_eq!((worst(&checks, "set-up"), worst(&checks, "bound")), ("warn".to_owned(), "absent".to_owned()));
    assert!(told(&checks).starts_with("reboot"), "{checks:?}");
    ground.boot("22222222-2222-4222-8222-222222222222").unwrap();
    let (_, checks) = doctor(&ground);
    assert!(told(&checks).contains("apply") && !told(&checks).contains("reboot"), "{checks:?}");
}

/// Where the boot during which it was applied is not known, what is in force shows it.
#[test]
fn where_boots_cannot_be_told_apart_what_is_in_force_is_believed() {
    let ground = healthy(Hook::Ran);
    remove(&ground.machine(), "proc/sys/kernel/random/boot_id");
    let (code, checks) = doctor(&ground);
    assert_eq!(
        (code, worst(&checks, "reboot"), worst(&checks, "bound")),
        (0, "pass".to_owned(), "pass".to_owned())
    );
    remove(&ground.machine(), "run/neuron/claim");
    put(&ground.machine(), "proc/cmdline", "root=/dev/sda2 rw\n");
    let (_, checks) = doctor(&ground);
    assert_eq!(
        (worst(&checks, "reboot"), worst(&checks, "bound")),
        ("warn".to_owned(), "unknown".to_owned())
    );
}

#[test]
fn in_the_host_entry_everything_with_the_host_is_no_failure() {
    let ground = healthy(Hook::Ran);
    crate::machine::line(&ground, "rw quiet neuron.passthrough=off vfio-pci.ids=");
    crate::machine::claim(
        &ground,
        "result=off\nreason=neuron.passthrough=off is on the kernel command line\n",
    );
    for guest in GUESTS {
        bind(&ground.machine(), guest, "nouveau");
    }
    let (code, checks) = doctor(&ground);
    assert_eq!(
        (code, worst(&checks, "boot-entry"), worst(&checks, "claim")),
        (0, "warn".to_owned(), "pass".to_owned())
    );
    assert!(checks.iter().any(|check| check.id == "bound" && check.evidence.contains("nouveau")));
    // Its image may be the one of before the set-up, without the hook; elsewhere that is a failure.
    remove(&ground.machine(), "run/neuron/claim");
    let (code, checks) = doctor(&ground);
    assert_eq!((code, worst(&checks, "claim")), (0, "pass".to_owned()));
    crate::machine::line(&ground, "rw quiet intel_iommu=on iommu=pt");
    assert_eq!(worst(&doctor(&ground).1, "claim"), "fail");
}

/// There an apply judges nothing: what needs one needs the other entry first.
#[test]
fn in_the_host_entry_what_an_apply_mends_needs_the_other_entry_first() {
    let first = "choose the passthrough entry in the boot menu";
    let (with, without) = ("rw intel_iommu=on iommu=pt", "rw neuron.passthrough=off");
    for (what, end) in [("moved", with), ("moved", without), ("lost", with), ("lost", without)] {
        let is_host = end == without;
        let ground = healthy(Hook::Ran);
        crate::machine::line(&ground, end);
        let ids: &[&str] = if what == "moved" {
            put(&ground.machine(), &format!("sys/bus/pci/devices/{}/device", GUESTS[0]), "0x1234\n");
            put(&ground.target(), "etc/modprobe.d/x.conf", "blacklist vfio_pci\n");
            put(&ground.target(), "var/lib/neuron-provisioner/firmware", "of before\n");
            &["identity", "conflicts", "firmware"]
        } else {
            remove(&ground.target(), "etc/neuron/vfio-devices");
            &["list", "files"]
        };
        let (code, checks) = doctor(&ground);
        assert_eq!(code, 1);
        let asks =
            checks.iter().filter_map(|check| check.hint.as_deref()).filter(|hint| hint.contains("apply"));
        assert!(asks.clone().all(|hint| hint.contains(first) == is_host), "{:?}", asks.collect::<Vec<_>>());
        for id in ids {
            let hints: Vec<&str> = checks
                .iter()
                .filter(|check| check.id == *id)
                .filter_map(|check| check.hint.as_deref())
                .collect();
            assert!(!hints.is_empty(), "{id}: {checks:#?}");
            for hint in hints {
                assert!(hint.contains("`neuron-provisioner apply`"), "{id}: {hint}");
                assert_eq!(hint.contains(first), is_host, "{id}: {hint}");
            }
        }
    }
}

/// Of every loader, and of both generators' files: right after an apply nothing is without effect.
#[test]
fn whatever_was_applied_is_in_force_in_every_scenario() {
    let mut applied = 0;
    for scenario in names().unwrap().iter().map(|name| Scenario::load(name).unwrap()) {
        let ground = scenario.ground().unwrap();
        if !scenario.is_carried_out() || ground.run(&["apply", "--yes"]).unwrap().code != 4 {
            continue;
        }
        let (_, checks) = doctor(&ground);
        for id in ["entries", "image-configuration", "files", "list", "conflicts"] {
            let status = worst(&checks, id);
            assert!(["pass", "absent"].contains(&status.as_str()), "{}: {id}: {checks:#?}", scenario.name);
        }
        applied += 1;
    }
    assert!(applied > 20, "only {applied} scenarios were carried out");
}

#[test]
fn status_calls_a_set_up_drifted_that_has_no_effect_any_more() {
    let ground = healthy(Hook::Ran);
    assert_eq!(status(&ground).1["state"], "active");
    let entry =
        "title Arch\nlinux /vmlinuz-linux\noptions root=UUID=0b1fd2c4-5a0e-4f43-9d5c-3d9a6b2f7e11 rw\n";
    put(&ground.target(), "boot/loader/loader.conf", "timeout 3\n");
    put(&ground.target(), "boot/loader/entries/arch.conf", entry);
    let (code, told) = status(&ground);
    assert_eq!((code, &told["state"], told["drifted"].as_array().unwrap().len()), (5, &"drifted".into(), 0));
    let sentence = told["not_in_force"][0].as_str().unwrap();
    assert!(sentence.contains("/boot/loader/entries/arch.conf"), "{sentence}");
    // And what it says to do mends it.
    assert_eq!(ground.run(&["apply", "--yes"]).unwrap().code, 4);
    assert_eq!(status(&ground).1["state"], "pending");
    for (path, text) in [
        ("etc/mkinitcpio.conf.d/99-mine.conf", "MODULES=(btrfs)\n"),
        ("usr/lib/modules/6.13.0-slim/modules.dep", "kernel/fs/ext4/ext4.ko:\n"),
    ] {
        let ground = healthy(Hook::Ran);
        put(&ground.target(), path, text);
        assert_eq!(status(&ground).1["state"], "drifted", "{path}");
    }
}

#[test]
fn an_ordinary_user_is_told_what_only_root_can_see() {
    if left_out::without_root("nobody else is there to own the target") {
        return;
    }
    let ground = healthy(Hook::Ran);
    chown(ground.beside(""), Some(65534), None).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(ground.target().join("boot"), private).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program::path().unwrap());
    command.arg("--machine-root").arg(ground.machine()).arg("--target-root").arg(ground.target());
    let told = program::output(command.args(["doctor", "--json"])).unwrap();
    let document: Value = serde_json::from_str(&told.stdout).expect(&told.stderr);
    let of = |id: &str| {
        let checks = document["checks"].as_array().unwrap();
        checks.iter().find(|check| check["id"] == id).unwrap().clone()
    };
    assert_eq!((told.code, &of("bound")["status"]), (0, &"pass".into()), "{document:#}");
    for id in ["images", "entries", "menu", "kernels", "files"] {
        assert_eq!(of(id)["status"], "unknown", "{id}: {document:#}");
        assert!(of(id)["hint"].as_str().unwrap().contains("as root"), "{id}");
    }
}

/// A machine that was captured elsewhere can be asked, as far as it was captured.
#[test]
fn a_capture_answers_what_was_recorded_on_the_machine() {
    let ground = healthy(Hook::Ran);
    let file = ground.beside("machine.json");
    assert_eq!(ground.run(&["capture".as_ref(), "-o".as_ref(), file.as_os_str()]).unwrap().code, 0);
    let mut command = program::command().unwrap();
    command.arg("--machine-root").arg(&file).arg("--target-root").arg(ground.target());
    let told = program::output(command.args(["doctor", "--json"])).unwrap();
    let document: Value = serde_json::from_str(&told.stdout).expect(&told.stderr);
    let checks = document["checks"].as_array().unwrap();
    let of = |id: &str| checks.iter().find(|check| check["id"] == id).unwrap()["status"].clone();
    for id in ["claim", "bound", "taken", "host-gpu", "power", "running-kernel"] {
        assert_eq!(of(id), "pass", "{id}: {document:#}");
    }
    // Interrupts are not recorded: they name devices and count what a person does.
    assert_eq!(of("interrupt-remapping"), "unknown");
}

/// Before anything starts: what moved is told with where it is now, and both the plan and the domain that
/// are proposed are for that place.
#[test]
fn a_card_that_moved_is_found_with_its_new_place() {
    let ground = healthy(Hook::Ran);
    crate::broken::shift(&ground);
    let (code, checks) = doctor(&ground);
    assert_eq!((code, worst(&checks, "domain-devices")), (1, "fail".to_owned()));
    let found: Vec<&Seen> = checks.iter().filter(|check| check.id == "domain-devices").collect();
    assert_eq!(found.len(), GUESTS.len(), "{found:?}");
    for (guest, check) in GUESTS.iter().zip(found) {
        let now = guest.replace(":01:", ":03:");
        let hint = check.hint.as_deref().unwrap();
        assert!(check.evidence.contains(guest), "{check:?}");
        assert!(check.evidence.contains(&format!("it is at {now} now")), "{check:?}");
        assert!(hint.contains("neuron-provisioner plan") && hint.contains("vm render windows11"), "{hint}");
    }
    let plan: Value = serde_json::from_str(&ground.run(&["plan", "--json"]).unwrap().stdout).unwrap();
    let bind: Vec<&str> =
        plan["decision"]["bind"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert_eq!(bind, GUESTS.map(|guest| guest.replace(":01:", ":03:")));
    let capabilities = neuron_tests::tests_folder().join("domain/kvm-capabilities.xml");
    let render = ["vm", "render", "windows11", "--capabilities", capabilities.to_str().unwrap()];
    let rendered = ground.run(&render).unwrap().stdout;
    assert_eq!(rendered.matches("bus='0x03' slot='0x00'").count(), GUESTS.len(), "{rendered}");
    let step = checks.iter().find(|check| check.id == "domain").unwrap();
    assert!(step.evidence.contains("bus='0x01'") && step.evidence.contains("bus='0x03'"), "{step:?}");
}

#[test]
fn what_libvirt_notes_in_a_domain_when_that_starts_is_no_change() {
    let ground = healthy(Hook::Ran);
    let kept = fs::read_to_string(ground.target().join(DOMAIN)).unwrap();
    for (inside, wanted) in [("<profile name='default-v1'/>", "pass"), ("<encryption secret='1-2'/>", "warn")]
    {
        let backend = "<backend type='emulator' version='2.0'";
        let now = kept.replace(&format!("{backend}/>"), &format!("{backend}>{inside}</backend>"));
        assert_ne!(now, kept);
        put(&ground.target(), DOMAIN, &now);
        let (_, checks) = doctor(&ground);
        assert_eq!(worst(&checks, "domain"), wanted, "{checks:#?}");
    }
}
