//! Answers files.

use std::fs;

use super::{fails, ground};

/// The text, the line that the message names, and words of it: the value, and what would be right.
const WRONG: [(&str, Option<u32>, &[&str]); 18] = [
    ("[passthrough\n", Some(1), &[]),
    ("schema = 1\n\n[passthrough]\nmode = \"auto\n", Some(4), &[]),
    ("[passthrough]\nmod = \"off\"\n", Some(2), &["`mod`", "did you mean `mode`?"]),
    ("[pasthrough]\n", Some(1), &["`pasthrough`", "did you mean `passthrough`?"]),
    ("[passthrough]\nmode = \"on\"\n", Some(2), &["`on`", "at-boot"]),
    ("[passthrough]\ntrial = \"yes\"\n", Some(2), &["boolean"]),
    ("[passthrough]\nextra_parameters = \"quiet\"\n", Some(2), &["sequence"]),
    ("[passthrough]\nguest_gpus = [\"0000:01:20.0\"]\n", Some(2), &["0000:01:20.0"]),
    ("[passthrough]\nguest_gpus = [\"01:00\"]\n", Some(2), &["01:00"]),
    ("[passthrough]\nhost_gpu = \"intel\"\n", Some(2), &["`intel`", "like 0000:01:00.0"]),
    ("[passthrough]\nallow = [\"only-gpus\"]\n", Some(2), &["did you mean `only-gpu`?"]),
    ("[passthrough]\nextra_parameters = [\"a b\"]\n", Some(2), &["`a b`"]),
    ("schema = 2\n", Some(1), &["schema 2", "schema = 1"]),
    ("[vm.'a\"&b']\n", Some(1), &["`a\\\"&b`", NO_NAME, "at most 50 letters"]),
    ("schema = 1\n[vm.\"a\\nb\"]\n", Some(2), &["`a\\nb`", NO_NAME]),
    ("[vm.a]\n\n[vm.'../b']\nkind = \"linux\"\n", Some(3), &["`../b`", NO_NAME]),
    ("[vm.7]\n", Some(1), &["`7`", NO_NAME, "no number alone"]),
    ("[vm.11111111-2222-4333-8444-555555555555]\n", Some(1), &[NO_NAME, "no UUID"]),
];

const NO_NAME: &str = "cannot be the name";

#[test]
fn every_mistake_is_named_with_its_file_and_line() {
    let ground = ground("arch-grub");
    let given = ground.beside("answers.toml");
    let path = given.display().to_string();
    for (text, line, words) in WRONG {
        fs::write(&given, text).unwrap();
        let line = line.map(|line| format!("line {line}")).unwrap_or_default();
        let words: Vec<&str> = [&path, line.as_str()].into_iter().chain(words.iter().copied()).collect();
        fails(&ground, &["apply", "--yes", "--answers", &path], 2, &words);
        fails(&ground, &["plan", "--answers", &path], 2, &words);
        fails(&ground, &["validate", &path], 2, &words);
    }
    let long = "a".repeat(300);
    fs::write(&given, format!("[vm.{long}]\n")).unwrap();
    fails(&ground, &["validate", &path], 2, &["line 1", NO_NAME]);
    for fine in [String::new(), format!("[vm.{}]\n[vm.\"win-11.x_y+z\"]\n", &long[..50])] {
        fs::write(&given, fine).unwrap();
        assert_eq!(ground.run(&["validate", &path]).unwrap().code, 0, "the control");
    }
}

#[test]
fn the_targets_own_file_is_judged_the_same() {
    let ground = ground("arch-grub");
    fs::create_dir_all(ground.target().join("etc/neuron")).unwrap();
    let own = ground.target().join("etc/neuron/provisioner.toml");
    for (text, line, words) in WRONG {
        fs::write(&own, text).unwrap();
        let line = line.map(|line| format!("line {line}")).unwrap_or_default();
        let words: Vec<&str> = ["/etc/neuron/provisioner.toml", line.as_str()]
            .into_iter()
            .chain(words.iter().copied())
            .collect();
        fails(&ground, &["apply", "--yes"], 2, &words);
    }
    fs::write(&own, b"schema = 1 # \xff\n").unwrap();
    fails(&ground, &["apply", "--yes"], 2, &["/etc/neuron/provisioner.toml", "UTF-8"]);
}

#[test]
fn an_answers_file_that_cannot_be_read_is_named() {
    let ground = ground("arch-grub");
    let missing = ground.beside("missing.toml").display().to_string();
    fails(&ground, &["plan", "--answers", &missing], 2, &[&missing, "No such file"]);
    let folder = ground.beside("").display().to_string();
    fails(&ground, &["plan", "--answers", &folder], 2, &[&folder]);
}

#[test]
fn a_gpu_that_is_not_there_is_refused_by_name() {
    let ground = ground("arch-grub");
    let given = ground.beside("answers.toml");
    let path = given.display().to_string();
    for (wish, words) in [
        ("guest_gpus = [\"0000:09:00.0\"]", &["0000:09:00.0", "0000:00:02.0, 0000:01:00.0"][..]),
        ("guest_gpus = [\"10de:ffff\"]", &["10de:ffff", "0000:01:00.0"]),
        ("host_gpu = \"0000:09:00.0\"", &["0000:09:00.0", "0000:01:00.0"]),
        ("guest_gpus = [\"0000:01:00.1\"]", &["0000:01:00.1", "companion function of the GPU 0000:01:00.0"]),
        ("guest_gpus = [\"0000:01:00.0\"]\nhost_gpu = \"0000:01:00.0\"", &["0000:01:00.0", "another GPU"]),
        ("mode = \"on-demand\"", &["on-demand"]),
        ("mode = \"paravirtual\"", &["paravirtual"]),
    ] {
        fs::write(&given, format!("[passthrough]\n{wish}\n")).unwrap();
        let output = fails(&ground, &["apply", "--yes", "--answers", &path], 3, words);
        assert!(output.stderr.contains("hint:"), "{}", output.stderr);
        let kept =
            fs::read_to_string(ground.target().join("var/lib/neuron-provisioner/refusal.json")).unwrap();
        assert!(kept.contains("findings"), "{kept}");
    }
}

/// Errors of type and form say what would be right, not only what is wrong.
#[test]
fn every_mistake_has_a_hint() {
    let ground = ground("arch-grub");
    let given = ground.beside("answers.toml");
    let path = given.display().to_string();
    for (text, hint) in [
        ("[passthrough\n", "KEY = VALUE"),
        ("mode = \"off\"\n", "write it below [passthrough]"),
        ("[passthrough]\ntrial = \"yes\"\n", "true or false"),
    ] {
        fs::write(&given, text).unwrap();
        fails(&ground, &["validate", &path], 2, &["hint:", hint]);
    }
}

#[test]
fn validate_says_when_there_is_nothing_to_validate() {
    let ground = ground("arch-grub");
    let nothing = ground.run(&["validate"]).unwrap();
    assert_eq!(nothing.code, 0);
    assert!(nothing.stdout.contains("no answers file (/etc/neuron/provisioner.toml)"), "{}", nothing.stdout);
    let given = ground.beside("answers.toml");
    fs::write(&given, "schema = 1\n").unwrap();
    let path = given.display().to_string();
    for arguments in [&["validate", &path][..], &["validate", "--answers", &path]] {
        assert_eq!(ground.run(arguments).unwrap().stdout, "The answers are valid.\n");
    }
    let own = ground.target().join("etc/neuron/provisioner.toml");
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    fs::write(&own, "schema = 1\n").unwrap();
    assert_eq!(ground.run(&["validate"]).unwrap().stdout, "The answers are valid.\n");
    fails(&ground, &["validate", &path, "--answers", &path], 2, &["--answers", "together"]);
    fails(&ground, &["--answers", &path, "validate", &path], 2, &["--answers", "together"]);
    fails(&ground, &["--answers", &path, "apply", "--plan", &path], 2, &["--plan", "together"]);
}
