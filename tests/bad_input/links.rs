//! Symlinks in the target that point out of it: absolute ones and ones that climb. Outside stands a
//! file that would be taken for the target's if a link were followed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use neuron_tests::tree;

use super::ground;

/// Puts a link at `path` in a target and applies; whatever happens, nothing outside changes.
fn linked(path: &str, to: impl FnOnce(&Path) -> String) -> (i32, String) {
    let ground = ground("arch-grub");
    let outside = ground.beside("outside");
    fs::create_dir_all(&outside).unwrap();
    fs::write(outside.join("file"), "GRUB_CMDLINE_LINUX_DEFAULT=\"of the live system\"\n").unwrap();
    let place = ground.target().join(path);
    if place.is_dir() {
        fs::remove_dir_all(&place).unwrap();
    } else {
        let _ = fs::remove_file(&place);
    }
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    symlink(to(&outside), &place).unwrap();
    let (before, inside) = (tree::snapshot(&outside).unwrap(), ground.tree().unwrap());
    let output = ground.run(&["apply", "--yes"]).unwrap();
    assert_eq!(tree::diff(&before, &tree::snapshot(&outside).unwrap()), [], "{path}: written outside");
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    if output.code == 4 {
        let back = ground.run(&["revert", "--yes"]).unwrap();
        assert_eq!(back.code, 4, "{path}: {}", back.stderr);
        let now = neuron_tests::scenario::without_state(&ground.tree().unwrap());
        assert_eq!(tree::diff(&neuron_tests::scenario::without_state(&inside), &now), [], "{path}");
    } else {
        // What was begun and put back stays in the journal.
        let state = neuron_tests::scenario::without_state;
        assert_eq!(tree::diff(&state(&inside), &state(&ground.tree().unwrap())), [], "{path}");
        assert!([1, 3].contains(&output.code), "{path}: {} {}", output.code, output.stderr);
    }
    assert_eq!(
        tree::diff(&before, &tree::snapshot(&outside).unwrap()),
        [],
        "{path}: written outside by revert"
    );
    (output.code, output.stderr)
}

#[test]
fn no_link_leads_outside() {
    let places = [
        "etc/default/grub",
        "etc/modprobe.d/vfio.conf",
        "etc/mkinitcpio.conf.d/95-neuron-vfio.conf",
        "etc/neuron/vfio-devices",
        "etc/neuron/provisioner.toml",
        "var/lib/neuron-provisioner/journal.jsonl",
        "var/lib/neuron-provisioner/refusal.json",
    ];
    for place in places {
        linked(place, |outside| outside.join("file").display().to_string());
        linked(place, |outside| format!("../../../../../../../../..{}", outside.join("file").display()));
    }
    let folders = [
        "etc/default",
        "etc/modprobe.d",
        "etc/mkinitcpio.conf.d",
        "etc/neuron",
        "var/lib",
        "var/lib/neuron-provisioner",
        "var/lib/neuron-provisioner/saved",
    ];
    for folder in folders {
        linked(folder, |outside| outside.display().to_string());
        linked(folder, |outside| format!("../../../../../../../../..{}", outside.display()));
    }
}

#[test]
fn a_link_within_the_target_is_followed_there() {
    // The fixture's link climbs out by name; inside the target it ends at the target's own file.
    super::works(&ground("grub-link-outside"));
    let (code, message) = linked("etc/default/grub", |_| "/nowhere/at/all".to_owned());
    assert!(code == 3 && !message.is_empty(), "{code} {message}");
}
