//! Roots, captures and plans that are not what they should be, and questions that nobody answers.

use std::fs;

use neuron_tests::program;

use super::{fails, ground};

fn run(arguments: &[&str]) -> program::Output {
    program::run(arguments).unwrap()
}

#[test]
fn roots_that_are_not_there_are_named() {
    let ground = ground("arch-grub");
    let (machine, target) = (ground.machine().display().to_string(), ground.target().display().to_string());
    let before = ground.tree().unwrap();
    for (machine, target, code, words) in [
        ("/no/such/machine", target.as_str(), 2, "/no/such/machine"),
        (machine.as_str(), "/no/such/target", 2, "/no/such/target"),
        (target.as_str(), target.as_str(), 1, "--machine-root"),
    ] {
        let output = run(&["--machine-root", machine, "--target-root", target, "apply", "--yes"]);
        assert_eq!(output.code, code, "{machine} {target}: {}", output.stderr);
        assert!(output.stderr.contains(words), "{}", output.stderr);
        super::same(&before, &ground.tree().unwrap(), false);
    }
    let file = ground.target().join("etc/fstab").display().to_string();
    let output = run(&["--machine-root", &machine, "--target-root", &file, "plan"]);
    assert!(output.code == 2 && output.stderr.contains(&file), "{} {}", output.code, output.stderr);
}

#[test]
fn a_capture_that_is_none_is_named_with_its_line() {
    let ground = ground("arch-grub");
    let target = ground.target().display().to_string();
    let good = ground.beside("good.json").display().to_string();
    assert_eq!(ground.run(&["capture", "--output", &good]).unwrap().code, 0);
    let text = fs::read_to_string(&good).unwrap();
    assert_eq!(run(&["--machine-root", &good, "--target-root", &target, "plan", "--check"]).code, 7);
    let bad = ground.beside("bad.json").display().to_string();
    let half: String = text.chars().take(text.len() / 2).collect();
    let schema = text.split('"').find(|word| word.starts_with("neuron-")).unwrap();
    let other = text.replace(schema, "neuron-something/9");
    for (text, words) in [
        (String::new(), &["line 1"][..]),
        ("no json\n".to_owned(), &["line 1"]),
        (half, &["line "]),
        ("{}".to_owned(), &[]),
        ("[1, 2]".to_owned(), &[]),
        (other, &["neuron-something/9", schema]),
    ] {
        fs::write(&bad, &text).unwrap();
        let before = ground.tree().unwrap();
        let output = run(&["--machine-root", &bad, "--target-root", &target, "apply", "--yes"]);
        assert_eq!(output.code, 2, "{text:.30}: {}", output.stderr);
        for word in words.iter().copied().chain([bad.as_str()]) {
            assert!(output.stderr.contains(word), "`{word}` is not in: {}", output.stderr);
        }
        super::same(&before, &ground.tree().unwrap(), false);
    }
}

#[test]
fn a_plan_that_is_none_is_not_applied() {
    let ground = ground("arch-grub");
    let file = ground.beside("plan.json");
    let path = file.display().to_string();
    assert_eq!(ground.run(&["plan", "--out", &path]).unwrap().code, 0);
    let good = fs::read_to_string(&file).unwrap();
    let half: String = good.chars().take(good.len() / 2).collect();
    for (text, words) in [
        (half, &["line "][..]),
        (String::new(), &["line 1"]),
        ("{\"schema\": \"neuron-plan/1\"}".to_owned(), &["missing field"]),
        (good.replace("neuron-plan/1", "neuron-plan/2"), &["neuron-plan/2", "neuron-plan/1"]),
        (good.replacen("\"reboot_needed\"", "\"reboot_neded\"", 1), &["reboot_neded"]),
        (
            good.replace("/etc/modprobe.d/vfio.conf", "/etc/modprobe.d/other.conf"),
            &["changed after it was made"],
        ),
        (good.replace("/etc/modprobe.d/vfio.conf", "/etc/../../vfio.conf"), &["line "]),
        (good.replace("\"mkinitcpio\",", "\"rm\","), &["changed after it was made"]),
        (good.replacen("\"stage\": \"all\"", "\"stage\": \"files\"", 1), &["changed after it was made"]),
        (good.replacen("\"ready\"", "\"pending\"", 1), &["changed after it was made"]),
        (
            good.replacen("\"reboot_needed\": true", "\"reboot_needed\": false", 1),
            &["changed after it was made"],
        ),
        (good.replacen("\"because\": \"", "\"because\": \"x", 1), &["changed after it was made"]),
        (
            good.replacen("\"tokens\": [\n    \"", "\"tokens\": [\n    \"quiet\", \"", 1),
            &["changed after it was made"],
        ),
    ] {
        assert_ne!(text, good);
        fs::write(&file, text).unwrap();
        let words: Vec<&str> = words.iter().copied().chain([path.as_str()]).collect();
        fails(&ground, &["apply", "--yes", "--plan", &path], 2, &words);
    }
    fails(&ground, &["apply", "--yes", "--plan", "/no/such/plan.json"], 2, &["/no/such/plan.json"]);
    fs::write(&file, good).unwrap();
    assert_eq!(ground.run(&["apply", "--yes", "--plan", &path]).unwrap().code, 4, "the good one still works");
}

#[test]
fn a_damaged_journal_stops_everything() {
    let ground = ground("arch-grub");
    assert_eq!(ground.run(&["apply", "--yes"]).unwrap().code, 4);
    let journal = ground.target().join("var/lib/neuron-provisioner/journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, text.replacen("\"intent\"", "\"intnet\"", 1)).unwrap();
    assert_ne!(fs::read_to_string(&journal).unwrap(), text);
    for arguments in [&["revert", "--yes"][..], &["apply", "--yes"]] {
        fails(&ground, arguments, 3, &["line ", "journal.jsonl"]);
    }
}

#[test]
fn what_nobody_answers_is_named() {
    let ground = ground("arch-grub");
    fails(&ground, &["apply"], 3, &["Write this now?", "--yes"]);
    assert_eq!(ground.run(&["apply", "--yes"]).unwrap().code, 4);
    fails(&ground, &["revert"], 3, &["Put them back now?", "--yes"]);
}

#[test]
fn the_command_line_itself() {
    for arguments in
        [&["aply"][..], &["apply", "--force"], &["plan", "--color", "sometimes"], &[], &["apply", "--plan"]]
    {
        let output = run(arguments);
        assert_eq!(output.code, 2, "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
    assert!(run(&["aply"]).stderr.contains("apply"), "a near name is suggested");
    assert_eq!(run(&["--help"]).code, 0);
    assert_eq!(run(&["--version"]).code, 0);
}
