//! `neuron-provisioner demo`: the whole trip, without a trace outside its folder.
#![allow(clippy::unwrap_used, reason = "what a test prepares by a function of its own may fail it, too")]

use std::fs;
use std::path::Path;

use neuron_tests::{machine, program, tests_folder, tree};

/// Runs the demo with a temporary folder of its own.
fn demo(temporary: &Path, arguments: &[&str]) -> program::Output {
    let mut command = program::command().unwrap();
    command.env("TMPDIR", temporary).arg("demo").args(arguments);
    program::output(&mut command).unwrap()
}

#[test]
fn the_trip_ends_where_it_began_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let done = demo(folder.path(), &[]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let in_order = [
        "1. What is in this machine?",
        "NVIDIA GeForce RTX 2080 SUPER  0000:01:00.0  guest",
        "Ready: 0000:01:00.0 can go to a guest",
        "copy /boot/vmlinuz-linux to /boot/neuron-host/kept-vmlinuz-linux",
        "+options vfio-pci ids=10de:1e81,10de:10f8,10de:1ad8,10de:1ad9",
        "+GRUB_CMDLINE_LINUX_DEFAULT='nowatchdog nvme_load=YES loglevel=3 quiet intel_iommu=on iommu=pt'",
        "run mkinitcpio -P",
        "pending: it is written",
        "Reverted.",
        "Yes: all 18 files of the target have the same bytes, modes and owners as before.",
    ];
    let mut rest = done.stdout.as_str();
    for wanted in in_order {
        let at = rest.find(wanted).unwrap_or_else(|| panic!("no `{wanted}` in its place:\n{}", done.stdout));
        rest = &rest[at + wanted.len()..];
    }
    // Nothing was built, so nothing waits for being built again.
    assert!(!done.stdout.contains("once more"), "{}", done.stdout);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the folder is left behind");
}

#[test]
fn a_kept_folder_can_be_used_and_the_document_says_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let done = demo(folder.path(), &["--keep", "--json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let document: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(document["identical"], true);
    let verbs: Vec<_> = document["steps"].as_array().unwrap().iter().map(|step| &step["verb"]).collect();
    assert_eq!(verbs, ["inspect", "plan", "apply", "status", "revert"]);
    assert_eq!(document["steps"][2]["result"]["changed"], true);
    let kept = Path::new(document["folder"].as_str().unwrap());
    assert!(kept.starts_with(folder.path()));
    let roots = ["--machine-root", "machine.json", "--target-root", "target"];
    let mut again = program::command().unwrap();
    again.current_dir(kept).arg("plan").args(roots);
    let planned = program::output(&mut again).unwrap();
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    assert!(planned.stdout.contains("intel_iommu=on"), "{}", planned.stdout);
}

#[test]
fn a_quiet_demo_says_how_it_ended_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let done = demo(folder.path(), &["--quiet"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let verdict = "Yes: all 18 files of the target have the same bytes, modes and owners as before.\n";
    assert_eq!(done.stdout, verdict);
}

#[test]
fn roots_and_answers_of_the_user_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    for option in ["--machine-root", "--target-root", "--answers"] {
        let refused = demo(folder.path(), &[option, path]);
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{option}");
    }
}

/// Where the demo cannot make its folder it says so, and does not go anywhere else.
#[test]
fn no_place_for_the_folder_is_an_error_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let done = demo(&folder.path().join("not-there"), &[]);
    assert_eq!(done.code, 1, "{}", done.stdout);
    assert!(done.stderr.contains("not-there"), "{}", done.stderr);
}

/// The built-in machine is what `capture` makes of the machine that it says it is.
#[test]
fn the_built_in_machine_is_a_capture_of_the_real_one() {
    let folder = tempfile::tempdir().unwrap();
    let real = machine::Machine::load("z390m-9900k-rtx2080s-usbc").unwrap();
    assert!(!real.made);
    machine::lay_out(&real, folder.path()).unwrap();
    let before = tree::snapshot(folder.path()).unwrap();
    let captured =
        program::run(["capture".as_ref(), "--machine-root".as_ref(), folder.path().as_os_str()]).unwrap();
    assert_eq!(captured.code, 0, "{}", captured.stderr);
    let built_in = fs::read_to_string(tests_folder().join("../provisioner/cli/demo/machine.json")).unwrap();
    if captured.stdout != built_in {
        let made = std::env::temp_dir().join("neuron-demo-machine.json");
        fs::write(&made, &captured.stdout).unwrap();
        panic!("the capture changed: look at {} and put it in the place of the old one", made.display());
    }
    assert_eq!(tree::diff(&before, &tree::snapshot(folder.path()).unwrap()), []);
}

/// The README shows what the program really says: every line of its example is in the demo.
#[test]
fn the_example_of_the_readme_is_real() {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let readme = fs::read_to_string(tests_folder().join("../README.md")).unwrap();
    let (_, example) = readme.split_once("    $ neuron-provisioner inspect\n").unwrap();
    let (example, _) = example.split_once("    Next:").unwrap();
    assert!(words(example).starts_with("GPU Address Role") && words(example).ends_with("0000:00:02.0."));
    let folder = tempfile::tempdir().unwrap();
    let shown = demo(folder.path(), &[]).stdout;
    assert!(words(&shown).contains(&words(example)), "{example}\nis not in\n{shown}");
    assert!(readme.contains("\n    cargo run -q -p neuron-provisioner -- demo\n"));
    assert!(readme.contains("\n    tests/run\n"));
}

/// Links of the README lead somewhere.
#[test]
fn the_links_of_the_readme_lead_somewhere() {
    let root = tests_folder().join("..");
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let links: Vec<&str> =
        readme.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(to, _)| to)).collect();
    assert!(links.len() > 8, "{links:?}");
    for link in links {
        assert!(root.join(link).exists(), "{link}");
    }
}
