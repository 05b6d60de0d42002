//! How it behaves with a person in front of it, and with programs of the target that are slow, fail
//! or succeed. The programs are stand-ins: shell scripts in a target that has a static busybox.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

mod again;
mod cut_off;
mod entries;
mod looking_glass;
mod presets;
mod pty;
mod trial;
mod way_back;
mod wizard;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use neuron_tests::program::{self, Output};
use neuron_tests::scenario::{Ground, without_state};
use neuron_tests::tree::{self, Tree};
use serde_json::Value;

use pty::Terminal;

/// What makes an ordinary user root of its own namespace: only root can change into another root.
fn as_root() -> Vec<&'static str> {
    if nix::unistd::geteuid().is_root() { Vec::new() } else { vec!["unshare", "--map-root-user", "--"] }
}

/// What is said on both outputs.
fn ends(ground: &Ground, arguments: &[&str], code: i32) -> String {
    let output = run(ground, arguments);
    let said = output.stdout + &output.stderr;
    assert_eq!(output.code, code, "{arguments:?}: {said}");
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What `status` says of it.
fn status(ground: &Ground) -> Value {
    serde_json::from_str(&run(ground, &["status", "--json"]).stdout).unwrap()
}

/// A target whose programs run.
fn ground() -> Ground {
    with_shell(Ground::new("made-rtx-usbc-igpu", "arch-grub").unwrap())
}

/// The same with a shell in it.
fn with_shell(ground: Ground) -> Ground {
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    let busybox = busybox.expect("no busybox (Debian: busybox-static, Arch: busybox)");
    for name in ["sh", "sleep"] {
        fs::copy(busybox, ground.target().join("usr/bin").join(name)).unwrap();
    }
    ground
}

/// Puts a script where mkinitcpio is. It notes every run first.
fn mkinitcpio(ground: &Ground, script: &str) {
    stand_in(ground, "mkinitcpio", script);
}

/// The same for any program.
fn stand_in(ground: &Ground, program: &str, script: &str) {
    let path = ground.target().join("usr/bin").join(program);
    fs::write(&path, format!("#!/bin/sh\necho \"{program} $*\" >>/var/log/stand-ins\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn log(ground: &Ground) -> PathBuf {
    ground.target().join("var/log/stand-ins")
}

/// How often a program of the target ran.
fn runs(ground: &Ground, program: &str) -> usize {
    let text = fs::read_to_string(log(ground)).unwrap_or_default();
    text.lines().filter(|line| line.starts_with(program)).count()
}

fn run(ground: &Ground, arguments: &[&str]) -> Output {
    let mut words: Vec<String> = as_root().into_iter().map(str::to_owned).collect();
    words.push(program::path().unwrap().display().to_string());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(roots(ground)).args(arguments).stdin(std::process::Stdio::null());
    program::output(&mut command).unwrap()
}

fn roots(ground: &Ground) -> Vec<String> {
    let path = |path: PathBuf| path.display().to_string();
    vec!["--machine-root".into(), path(ground.machine()), "--target-root".into(), path(ground.target())]
}

fn in_terminal(ground: &Ground, arguments: &[&str]) -> Terminal {
    let mut words = roots(ground);
    words.extend(arguments.iter().map(|word| (*word).to_owned()));
    Terminal::start(&words, &[])
}

/// The target without our state and what the stand-ins noted.
fn tree(ground: &Ground) -> Tree {
    let mut tree = without_state(&ground.tree().unwrap());
    tree.retain(|path, _| !path.starts_with("var/log/"));
    tree
}

fn assert_same(ground: &Ground, before: &Tree) {
    let differences = tree::diff(before, &tree(ground));
    assert!(differences.is_empty(), "{differences:?}");
}

#[test]
fn a_yes_writes_and_a_no_does_not() {
    for (key, code, is_written) in
        [("y", 4, true), ("n", 130, false), ("\r", 130, false), ("\x1b", 130, false)]
    {
        let ground = ground();
        let before = tree(&ground);
        let mut terminal = in_terminal(&ground, &["apply"]);
        terminal.wait_for("Write this now?");
        assert_eq!(tree(&ground), before, "nothing is written before the answer");
        terminal.send(key);
        let end = terminal.end();
        assert_eq!(end.code, code, "{key:?}: {}", end.screen);
        assert_eq!(tree(&ground) != before, is_written, "{key:?}");
        assert!(end.shows_cursor() && end.modes_kept, "{key:?}: {:?}", end.screen);
        assert_eq!(runs(&ground, "mkinitcpio"), usize::from(is_written));
    }
}

#[test]
fn ctrl_c_at_the_question_leaves_everything_as_it_was() {
    let ground = ground();
    let before = ground.tree().unwrap();
    let mut terminal = in_terminal(&ground, &["apply"]);
    terminal.wait_for("Write this now?");
    terminal.send("\x03");
    let end = terminal.end();
    assert_eq!(end.code, 130, "{}", end.screen);
    assert_eq!(tree::diff(&before, &ground.tree().unwrap()), []);
    assert!(end.modes_kept, "the terminal's modes");
    assert!(end.shows_cursor(), "the cursor stays hidden: {:?}", end.screen);
    assert!(end.screen.contains("interrupted"), "{}", end.screen);
}

/// `kill -INT` from somewhere else is no key, and ends the question all the same.
#[test]
fn an_interrupt_from_outside_ends_the_question() {
    let ground = ground();
    let before = ground.tree().unwrap();
    let terminal = in_terminal(&ground, &["apply"]);
    terminal.wait_for("Write this now?");
    terminal.interrupt();
    let end = terminal.end();
    assert_eq!(end.code, 130, "{}", end.screen);
    assert!(end.modes_kept && end.shows_cursor(), "{:?}", end.screen);
    assert!(end.screen.contains("interrupted; nothing was written"), "{}", end.screen);
    assert_eq!(tree::diff(&before, &ground.tree().unwrap()), []);
}

/// The build that belongs to the files that were put back is not cut off.
#[test]
fn a_second_ctrl_c_does_not_end_the_putting_back() {
    let ground = ground();
    mkinitcpio(
        &ground,
        "[ -e /var/log/slow ] || { echo slow >/var/log/slow; sleep 15; exit 1; }\n\
         echo begun >/var/log/back; sleep 2; echo done >/var/log/back-done",
    );
    let before = tree(&ground);
    let mut terminal = in_terminal(&ground, &["apply", "--yes"]);
    let log = ground.target().join("var/log");
    terminal.wait_until("the slow build", || log.join("slow").exists());
    terminal.send("\x03");
    terminal.wait_until("the putting back", || log.join("back").exists());
    terminal.send("\x03");
    let end = terminal.end();
    assert_eq!(end.code, 130, "{}", end.screen);
    assert!(log.join("back-done").exists(), "it was cut off: {}", end.screen);
    assert_same(&ground, &before);
}

/// The reasons stand in the plan already when it is refused.
#[test]
fn a_refusal_gives_its_reasons_once() {
    let ground = Ground::new("made-single-gpu", "arch-grub").unwrap();
    let findings: serde_json::Value =
        serde_json::from_str(&ground.run(&["plan", "--json"]).unwrap().stdout).unwrap();
    let findings = findings["decision"]["findings"].as_array().unwrap();
    let reason = findings.iter().find(|finding| finding["severity"] == "blocker").unwrap();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (arguments, times) in [(&["apply", "--yes"][..], 1), (&["apply", "--yes", "--quiet"], 1)] {
        let end = in_terminal(&ground, arguments).end();
        assert_eq!(end.code, 3, "{}", end.screen);
        for part in ["message", "hint"] {
            let part = words(reason[part].as_str().unwrap());
            assert_eq!(words(&end.screen).matches(&part).count(), times, "{part}: {}", end.screen);
        }
        assert!(end.screen.contains("error:"), "{}", end.screen);
    }
}

#[test]
fn ctrl_c_at_the_question_of_revert_keeps_what_is_applied() {
    let ground = ground();
    assert_eq!(run(&ground, &["apply", "--yes"]).code, 4);
    let before = ground.tree().unwrap();
    let mut terminal = in_terminal(&ground, &["revert"]);
    terminal.wait_for("Put them back now?");
    terminal.send("\x03");
    let end = terminal.end();
    assert_eq!(end.code, 130, "{}", end.screen);
    assert!(end.modes_kept && end.shows_cursor(), "{:?}", end.screen);
    assert_eq!(tree::diff(&before, &ground.tree().unwrap()), []);
}

/// Slow the first time only: putting back builds again.
const SLOW_ONCE: &str = "[ -e /var/log/slow ] || { echo slow >/var/log/slow; sleep 15; }";

#[test]
fn ctrl_c_while_the_initramfs_is_built_puts_everything_back() {
    for trap in ["", "trap '' INT\n"] {
        let ground = ground();
        // With the trap the program survives Ctrl-C, as one does that cleans up first.
        let slow = if trap.is_empty() { SLOW_ONCE.to_owned() } else { SLOW_ONCE.replace("15", "2") };
        mkinitcpio(&ground, &format!("{trap}{slow}"));
        let before = tree(&ground);
        let mut terminal = in_terminal(&ground, &["apply", "--yes"]);
        terminal.wait_until("the slow build", || ground.target().join("var/log/slow").exists());
        assert_ne!(tree(&ground), before, "the files are written before the build");
        terminal.send("\x03");
        let end = terminal.end();
        assert_eq!(end.code, 130, "{}", end.screen);
        assert_same(&ground, &before);
        assert!(end.screen.contains("interrupted; everything was put back"), "{}", end.screen);
        assert!(end.modes_kept && end.shows_cursor(), "{:?}", end.screen);
        let status = run(&ground, &["status", "--json"]);
        assert!(status.stdout.contains("\"interrupted\": false"), "{}", status.stdout);
    }
}

#[test]
fn a_build_that_fails_is_told_and_everything_is_put_back() {
    let ground = ground();
    let broken = "echo '==> ERROR: module not found: vfio_pci' >&2; exit 1";
    mkinitcpio(&ground, broken);
    let before = tree(&ground);
    let output = run(&ground, &["apply", "--yes"]);
    // The build for the old files fails as well: half an image may lie there, so the way back stays.
    assert_eq!(output.code, 6, "{}", output.stderr);
    assert_eq!(output.stderr.matches("module not found: vfio_pci").count(), 1, "{}", output.stderr);
    let said = output.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    let hint = "the boot menu with its entry without passthrough stays as it is until then: mend what made \
                `mkinitcpio -P` fail, then apply or revert again";
    assert!(said.contains(hint), "{}", output.stderr);
    let is_there = |path: &str| ground.target().join(path).exists();
    assert!(is_there("etc/grub.d/99_neuron_host") && is_there("boot/neuron-host/kept-vmlinuz-linux"));
    assert!(!is_there("etc/modprobe.d/vfio.conf"));
    let status: serde_json::Value =
        serde_json::from_str(&run(&ground, &["status", "--json"]).stdout).unwrap();
    assert_eq!((&status["state"], &status["drifted"]), (&"pending".into(), &serde_json::json!([])));
    assert_eq!(run(&ground, &["revert", "--yes"]).code, 6, "it fails still");
    assert!(is_there("etc/grub.d/99_neuron_host"));
    mkinitcpio(&ground, "");
    let output = run(&ground, &["revert", "--yes"]);
    assert_eq!(output.code, 4, "{}", output.stderr);
    mkinitcpio(&ground, broken);
    assert_same(&ground, &before);

    let ground = self::ground();
    mkinitcpio(&ground, "[ -e /var/log/failed ] || { echo >/var/log/failed; echo broken >&2; exit 1; }");
    let before = tree(&ground);
    let output = run(&ground, &["apply", "--yes", "--json"]);
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert!(output.stderr.contains("broken") && output.stderr.contains("put back"), "{}", output.stderr);
    let result: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(result["changed"], false);
    assert!(result["error"].as_str().is_some_and(|error| error.contains("broken")), "{result}");
    assert_same(&ground, &before);
    assert_eq!(run(&ground, &["apply", "--yes"]).code, 4, "the next try succeeds");
}

#[test]
fn the_initramfs_is_built_once_for_a_change_and_never_for_none() {
    let ground = ground();
    for (arguments, code, builds, menus) in [
        (&["apply", "--yes"][..], 4, 1, 1),
        (&["apply", "--yes"], 4, 1, 1),
        (&["plan"], 0, 1, 1),
        (&["revert", "--yes"], 4, 2, 2),
        (&["revert", "--yes"], 0, 2, 2),
        (&["apply", "--yes", "--no-reload"], 4, 2, 2),
    ] {
        let output = run(&ground, arguments);
        assert_eq!(output.code, code, "{arguments:?}: {}", output.stderr);
        assert_eq!(runs(&ground, "mkinitcpio -P"), builds, "{arguments:?}");
        assert_eq!(runs(&ground, "grub-mkconfig -o /boot/grub/grub.cfg"), menus, "{arguments:?}");
    }
}

/// A colour or another rendition.
fn is_coloured(text: &str) -> bool {
    text.split("\x1b[")
        .skip(1)
        .any(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m'))
}

#[test]
fn colours_are_for_terminals_and_can_be_told_off_and_on() {
    let ground = ground();
    let plan = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut words = roots(&ground);
        words.extend(arguments.iter().map(|word| (*word).to_owned()));
        let end = Terminal::start(&words, environment).end();
        assert_eq!(end.code, 0, "{}", end.screen);
        end.screen
    };
    assert!(is_coloured(&plan(&["plan"], &[])));
    assert!(!is_coloured(&plan(&["plan"], &[("NO_COLOR", "1")])));
    assert!(!is_coloured(&plan(&["plan", "--color", "never"], &[])));
    assert!(is_coloured(&plan(&["plan", "--color", "always"], &[("NO_COLOR", "1")])));
    assert!(is_coloured(&run(&ground, &["plan", "--color", "always"]).stdout));
    let verbs = [
        &["inspect"][..],
        &["plan"],
        &["apply", "--yes"],
        &["status"],
        &["-vv", "plan"],
        &["apply"],
        &["revert", "-y"],
    ];
    for arguments in verbs {
        let output = run(&ground, arguments);
        assert!(!output.stdout.is_empty(), "{arguments:?}");
        assert!(
            !output.stdout.contains('\x1b') && !output.stderr.contains('\x1b'),
            "{arguments:?}: {output:?}"
        );
    }
}

#[test]
fn json_is_never_coloured_nor_mixed_with_narration() {
    let ground = ground();
    let output = run(&ground, &["apply", "--yes", "--json", "--color", "always"]);
    assert!(serde_json::from_str::<serde_json::Value>(&output.stdout).is_ok(), "{}", output.stdout);
    assert!(!output.stdout.contains('\x1b'));
}

#[test]
fn nothing_is_asked_where_nobody_can_answer() {
    let ground = ground();
    let before = ground.tree().unwrap();
    let output = run(&ground, &["apply"]);
    assert_eq!(output.code, 3);
    assert!(
        output.stderr.contains("Write this now?") && output.stderr.contains("--yes"),
        "{}",
        output.stderr
    );
    assert_eq!(tree::diff(&before, &ground.tree().unwrap()), []);
}
