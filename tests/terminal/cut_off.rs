//! Runs that are killed in the middle of a build. The kernel asks nobody: what the run did is found by
//! the next one, in the journal.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use neuron_tests::program;
use neuron_tests::scenario::Ground;
use neuron_tests::tree::{Tree, diff};
use serde_json::Value;

use super::{as_root, assert_same, ground, in_terminal, mkinitcpio, roots, run, runs, tree};

/// The stand-in for mkinitcpio that hangs the first time until somebody lets it go (for twenty
/// seconds: a test that fails leaves it alone), and says on the way that it is there. Each of its runs makes an image that tells whether vfio-pci was wanted.
const HANGS_ONCE: &str = "\
[ -e /etc/modprobe.d/vfio.conf ] && echo with >/boot/initramfs-linux.img || echo without >/boot/initramfs-linux.img
[ -e /var/log/hung ] && exit
echo hung >/var/log/hung
i=0
while [ ! -e /var/log/go ] && [ $i -lt 200 ]; do sleep 0.1 || exit; i=$((i + 1)); done";

fn image(ground: &Ground) -> String {
    fs::read_to_string(ground.target().join("boot/initramfs-linux.img")).unwrap()
}

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !there() {
        assert!(begin.elapsed() < Duration::from_secs(30), "{what} does not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Begins an apply that hangs in its build, and returns once it does.
fn hanging(ground: &Ground) -> Child {
    let mut words: Vec<String> = as_root().into_iter().map(str::to_owned).collect();
    words.push(program::path().unwrap().display().to_string());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(roots(ground)).args(["apply", "--yes"]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the build", || ground.target().join("var/log/hung").exists());
    child
}

/// A target in which an apply was killed in the middle of its build, and the target from before.
pub(super) fn killed() -> (Ground, Tree) {
    let ground = ground();
    mkinitcpio(&ground, HANGS_ONCE);
    fs::write(ground.target().join("boot/initramfs-linux.img"), "without\n").unwrap();
    let before = tree(&ground);
    let mut child = hanging(&ground);
    // By its number, and by the signal that nobody can catch.
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    // What it had started outlives it, as with the real one; it ends before the next run begins.
    fs::write(ground.target().join("var/log/go"), "").unwrap();
    (ground, before)
}

fn status(ground: &Ground) -> (i32, Value) {
    let output = run(ground, &["status", "--json"]);
    (output.code, serde_json::from_str(&output.stdout).unwrap())
}

fn journal_says(ground: &Ground, word: &str) -> bool {
    let path = ground.target().join("var/lib/neuron-provisioner/journal.jsonl");
    fs::read_to_string(path).unwrap().contains(word)
}

#[test]
fn a_run_that_was_killed_is_told_put_back_completed_and_reverted() {
    let (ground, before) = killed();
    assert_ne!(tree(&ground), before, "it was killed before it wrote");
    assert_eq!(image(&ground), "with\n");
    assert!(!journal_says(&ground, "\"record\":\"commit\""));

    let (code, told) = status(&ground);
    assert_eq!((code, &told["state"], &told["interrupted"]), (5, &"drifted".into(), &true.into()));
    let text = run(&ground, &["status"]).stdout;
    assert!(text.contains("a run was cut off"), "{text}");
    assert!(!text.contains("not in the journal"), "the files of that run are no strangers: {text}");

    let half = ground.tree().unwrap();
    let plan = run(&ground, &["plan", "--check"]);
    assert_eq!(plan.code, 5, "a plan for half of a set-up: {}{}", plan.stdout, plan.stderr);
    assert!(plan.stderr.contains("cut off") && plan.stderr.contains("hint:"), "{}", plan.stderr);
    let unasked = run(&ground, &["apply"]);
    assert_eq!(unasked.code, 3, "{}", unasked.stderr);
    assert_eq!(diff(&half, &ground.tree().unwrap()), [], "nobody agreed to that");

    let done = run(&ground, &["apply", "--yes"]);
    assert_eq!(done.code, 4, "{}", done.stderr);
    assert!(journal_says(&ground, "\"record\":\"rolled-back\""), "it was not put back first");
    assert_eq!(runs(&ground, "mkinitcpio"), 3, "cut off, put back, completed");
    assert_eq!(image(&ground), "with\n");
    let (code, told) = status(&ground);
    assert_eq!((code, &told["state"], &told["interrupted"]), (0, &"pending".into(), &false.into()));
    assert_eq!(run(&ground, &["plan", "--check"]).code, 0);

    let back = run(&ground, &["revert", "--yes"]);
    assert_eq!(back.code, 4, "{}", back.stderr);
    assert_same(&ground, &before);
}

/// The same without the kill: nothing of the above is said.
#[test]
fn a_run_that_was_not_killed_leaves_nothing_to_put_back() {
    let ground = ground();
    mkinitcpio(&ground, HANGS_ONCE);
    fs::write(ground.target().join("boot/initramfs-linux.img"), "without\n").unwrap();
    let before = tree(&ground);
    let mut child = hanging(&ground);
    let (_, told) = status(&ground);
    assert_eq!((&told["in_progress"], &told["interrupted"]), (&true.into(), &false.into()));
    let plan = run(&ground, &["plan"]);
    assert!(plan.code == 1 && plan.stderr.contains("another neuron-provisioner"), "{}", plan.stderr);
    fs::write(ground.target().join("var/log/go"), "").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4));
    let (code, told) = status(&ground);
    assert_eq!((code, &told["state"], &told["interrupted"]), (0, &"pending".into(), &false.into()));
    assert!(!journal_says(&ground, "\"record\":\"rolled-back\""));
    assert_eq!(runs(&ground, "mkinitcpio"), 1);
    assert_eq!(run(&ground, &["revert", "--yes"]).code, 4);
    assert_same(&ground, &before);
}

#[test]
fn revert_alone_puts_a_killed_run_back() {
    let (ground, before) = killed();
    let back = run(&ground, &["revert", "--yes"]);
    assert_eq!(back.code, 0, "what never was applied needs no reboot: {}", back.stderr);
    assert_same(&ground, &before);
    assert_eq!(image(&ground), "without\n", "the image was made from the half");
}

/// Programs that are put off fail nobody: the journal keeps what the next run has to make up for.
#[test]
fn a_killed_run_is_put_back_without_its_programs_where_that_is_asked_for() {
    let (ground, before) = killed();
    let done = run(&ground, &["apply", "--yes", "--no-reload"]);
    assert_eq!(done.code, 4, "{}", done.stderr);
    assert_eq!(runs(&ground, "mkinitcpio"), 1);
    let (_, told) = status(&ground);
    assert_eq!(told["due_rebuilds"].as_array().map(Vec::len), Some(2), "{told}");
    assert_eq!(run(&ground, &["revert", "--yes"]).code, 4);
    assert_eq!(image(&ground), "without\n");
    assert_same(&ground, &before);
}

/// A build that puts back is not cut off, as little as one within the same run.
#[test]
fn ctrl_c_does_not_end_the_putting_back_of_a_killed_run() {
    let (ground, before) = killed();
    mkinitcpio(
        &ground,
        "[ -e /etc/modprobe.d/vfio.conf ] && echo with >/boot/initramfs-linux.img && exit\n\
         echo begun >/var/log/back; sleep 2; echo without >/boot/initramfs-linux.img",
    );
    let mut terminal = in_terminal(&ground, &["apply", "--yes"]);
    let begun = ground.target().join("var/log/back");
    terminal.wait_until("the putting back", || begun.exists());
    terminal.send("\x03");
    let end = terminal.end();
    assert_eq!(end.code, 130, "{}", end.screen);
    assert!(end.screen.contains("everything was put back"), "{}", end.screen);
    assert_eq!(image(&ground), "without\n");
    let (code, told) = status(&ground);
    assert_eq!(
        (code, &told["interrupted"], &told["due_rebuilds"]),
        (0, &false.into(), &Value::Array(Vec::new()))
    );
    // The stand-in is another one than before, and that is all.
    let changed = diff(&before, &tree(&ground));
    let paths: Vec<&Path> = changed.iter().map(|difference| Path::new(difference.path())).collect();
    assert_eq!(paths, [Path::new("usr/bin/mkinitcpio")]);
}

/// A saved plan, too, makes up for what was put off.
#[test]
fn a_saved_plan_runs_what_was_put_off() {
    let ground = ground();
    let saved = ground.beside("plan.json").display().to_string();
    assert_eq!(run(&ground, &["plan", "--out", &saved]).code, 0);
    let apply = ["apply", "--yes", "--plan", &saved];
    assert_eq!(run(&ground, &[&apply[..], &["--no-reload"]].concat()).code, 4);
    assert_eq!(runs(&ground, "mkinitcpio"), 0);
    for _ in 0..2 {
        let output = run(&ground, &apply);
        assert_eq!(output.code, 4, "{}", output.stderr);
        assert_eq!((runs(&ground, "mkinitcpio"), runs(&ground, "grub-mkconfig")), (1, 1));
    }
    let (_, told) = status(&ground);
    assert_eq!(told["due_rebuilds"], Value::Array(Vec::new()));
}

/// A terminal that is closed, or a shutdown, ends the question: nothing was written yet.
#[test]
fn an_end_that_is_asked_for_from_outside_ends_the_question() {
    let ground = ground();
    let before = ground.tree().unwrap();
    let terminal = in_terminal(&ground, &["apply"]);
    terminal.wait_for("Write this now?");
    terminal.terminate();
    let end = terminal.end();
    assert!([130, 143].contains(&end.code), "{}: {}", end.code, end.screen);
    assert_eq!(diff(&before, &ground.tree().unwrap()), []);
}
