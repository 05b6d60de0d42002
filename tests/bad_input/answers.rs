//! Answers files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use neuron_tests::program;

use super::{fails, ground};

/// The text, the line that the message names, and words of it: the value, and what would be right.
const WRONG: [(&str, Option<u32>, &[&str]); 13] = [
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
];

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
    fs::write(&given, "").unwrap();
    assert_eq!(ground.run(&["validate", &path]).unwrap().code, 0, "an empty file is valid");
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

/// On the running system root follows the answers: a file that others can write is not trusted. The
/// machine is a fixture, and nothing is written: `plan` only looks.
#[test]
fn answers_that_others_can_write_are_not_followed_on_the_running_system() {
    if !nix::unistd::geteuid().is_root() {
        assert!(
            std::env::var_os("NEURON_TESTS_ROOT").is_none(),
            "NEURON_TESTS_ROOT is set, and this is not root"
        );
        eprintln!("NOT TESTED as an ordinary user: only root has to be careful whom it follows");
        return;
    }
    let ground = ground("arch-grub");
    let given = ground.beside("answers.toml");
    fs::write(&given, "schema = 1\n").unwrap();
    let plan = |mode: u32, owner: u32| {
        fs::set_permissions(&given, fs::Permissions::from_mode(mode)).unwrap();
        std::os::unix::fs::chown(&given, Some(owner), None).unwrap();
        let mut command: Command = program::command().unwrap();
        command
            .arg("--machine-root")
            .arg(ground.machine())
            .arg("--answers")
            .arg(&given)
            .args(["plan", "--json"]);
        program::output(&mut command).unwrap()
    };
    for (mode, owner) in [(0o666, 0), (0o664, 0), (0o644, 65534)] {
        let output = plan(mode, owner);
        assert_eq!(output.code, 3, "{mode:o} {owner}: {}", output.stderr);
        assert!(
            output.stderr.contains("answers.toml") && output.stderr.contains("chown root:root"),
            "{}",
            output.stderr
        );
    }
    assert_eq!(plan(0o644, 0).code, 0);
}
