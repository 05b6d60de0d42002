//! What was answered makes the same plan elsewhere, without anybody.

use std::fs;

use neuron_tests::scenario::Ground;
use neuron_tests::tree::diff;
use serde_json::Value;

use super::super::with_shell;
use super::{HUGE, QUESTIONS, Talk, Terminal, WRITE, answers, furnished, home, roots, run, tree};

/// What is said to every question, in lines.
type Said = &'static [(&'static str, &'static str)];

/// Three cards of three kinds.
fn three_cards() -> Ground {
    furnished(with_shell(Ground::new("prime-x370-three-gpus", "arch-grub").unwrap()))
}

/// Every page is gone through, and no answer is the one that is proposed.
const OTHERWISE: Said = &[
    (QUESTIONS[0], "1"),
    (QUESTIONS[1], "1"),
    ("Which one does this computer draw with?", "2"),
    (QUESTIONS[2], "3"),
    (QUESTIONS[3], "1"),
    (QUESTIONS[4], "5"),
    ("Width x height", "5120x1440"),
    (QUESTIONS[5], "2"),
    (QUESTIONS[6], "2"),
    (QUESTIONS[8], "2"),
    (QUESTIONS[9], "games"),
    (QUESTIONS[10], "16"),
    (QUESTIONS[11], "6"),
    (QUESTIONS[12], "/srv/games.qcow2"),
    (QUESTIONS[13], "64"),
    (QUESTIONS[14], "none"),
    (QUESTIONS[15], "none"),
    (QUESTIONS[16], "2"),
    ("The bridge", "br7"),
    (QUESTIONS[17], "1"),
    (QUESTIONS[17], "3"),
];

/// What has to stand in the answers then.
const KEPT: [&str; 11] = [
    "guest_gpus = [\"1002:67df\"]",
    "host_gpu = \"10de:13c2\"",
    "default_entry = \"host\"",
    "resolution = \"5120x1440\"",
    "hdr = true",
    "[vm.games]",
    "kind = \"windows10\"",
    "size_gib = 64",
    "vcpus = 6",
    "bridge = \"br7\"",
    "usb_controllers = [\"0000:0a:00.3\"]",
];

/// The answers on another system of the same kind: the same plan to the last byte, and the same tree.
fn is_the_same_elsewhere(of: fn() -> Ground, begin: impl FnOnce(&Ground) -> Talk) -> String {
    let first = of();
    let mut talk = begin(&first);
    talk.choose(QUESTIONS[WRITE], 0, 0);
    talk.expect(QUESTIONS[WRITE]);
    let screen = talk.terminal.since(0);
    let shown = screen.split("Write this?").nth(1).unwrap().split_once(": 1\r\n\r\n").unwrap().1.to_owned();
    let end = talk.agree();
    assert_eq!(end.code, 4, "{}", end.screen);

    let second = of();
    let kept = second.beside("answers.toml");
    fs::write(&kept, answers(&first)).unwrap();
    let kept = kept.display().to_string();
    let mut words = roots(&second);
    words.extend(["plan", "--quiet", "--color", "never", "--answers", &kept].map(str::to_owned));
    let planned = Terminal::start_sized(&words, &[], HUGE).end();
    assert_eq!(planned.code, 0, "{}", planned.screen);
    let planned = planned.screen.trim_end();
    assert!(planned.lines().count() > 100 && shown.starts_with(planned), "{shown}\n---\n{planned}");

    let plan: Value =
        serde_json::from_str(&run(&second, &["plan", "--json", "--answers", &kept]).stdout).unwrap();
    let journal = |ground: &Ground| {
        fs::read_to_string(ground.target().join("var/lib/neuron-provisioner/journal.jsonl")).unwrap()
    };
    assert!(journal(&first).contains(plan["id"].as_str().unwrap()), "another plan: {plan}");
    assert_eq!(run(&second, &["apply", "--yes", "--answers", &kept]).code, 4);
    assert_eq!(diff(&tree(&first), &tree(&second)), []);
    answers(&first)
}

#[test]
fn what_was_answered_can_be_replayed_without_anybody() {
    is_the_same_elsewhere(home, |ground| Talk::begin(ground, &["--plain"], &[], HUGE).walk_to(WRITE));
    let kept = is_the_same_elsewhere(three_cards, |ground| {
        let mut talk = Talk::begin(ground, &["--plain"], &[], HUGE);
        for (question, typed) in OTHERWISE {
            talk.answer(question, &format!("{typed}\n"));
        }
        talk
    });
    for line in KEPT {
        assert!(kept.contains(line), "{line}: {kept}");
    }
    assert!(!kept.contains("users"), "{kept}");
}

/// Control: with one answer that is another, the plan is another.
#[test]
fn another_answer_is_another_plan() {
    let first = home();
    let mut talk = Talk::plain(&first).walk_to(2);
    talk.choose(QUESTIONS[2], 2, 0);
    for question in &QUESTIONS[3..WRITE] {
        talk.answer(question, "\r");
    }
    assert_eq!(talk.agree().code, 4);
    assert!(answers(&first).contains("default_entry = \"host\""), "{}", answers(&first));
    let second = home();
    assert_eq!(Talk::plain(&second).walk_to(WRITE).agree().code, 4);
    assert_ne!(tree(&first), tree(&second));
}
