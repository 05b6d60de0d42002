//! The dialogue as the unit of the first boot holds it: once, and with an end that is kept and told.

use std::fs;
use std::time::Duration;

use neuron_passthrough::answers::Answers;
use neuron_passthrough::plan::Stage;
use neuron_passthrough::provision::{self, Source};
use neuron_passthrough::root::Root;
use neuron_tests::scenario::Ground;
use serde_json::Value;

use super::super::{mkinitcpio, with_shell};
use super::{
    CONSOLE, CTRL_C, End, HAPPY, QUESTIONS, Talk, WRITE, answers, assert_tidy, furnished, home, run, tree,
};

const WAITS: &str = "Press any key when you have read this";

/// A system whose image says that it asks.
fn asking() -> Ground {
    let ground = home();
    neuron_tests::write(&ground.target().join("etc/neuron/first-boot"), "").unwrap();
    ground
}

fn begin(ground: &Ground, seconds: &str) -> Talk {
    let words = ["firstboot", "wizard", "--seconds", seconds];
    Talk { in_menus: true, ..Talk::of(ground, &words, &[], CONSOLE) }
}

/// What a person reads who logs in; empty without a message.
fn motd(ground: &Ground) -> String {
    let path = ground.machine().join("run/motd.d/neuron-provisioner");
    fs::read_to_string(path).unwrap_or_default().replace("\n  ", " ")
}

fn first_boot(ground: &Ground) -> Value {
    let status: Value = serde_json::from_str(&run(ground, &["status", "--json"]).stdout).unwrap();
    status["first_boot"].clone()
}

/// It came up once, and does not again in this state.
fn is_over(ground: &Ground) {
    assert_eq!(run(ground, &["firstboot", "asks"]).code, 1);
    let again = begin(ground, "60").terminal.end();
    assert_eq!(again.code, 0, "{}", again.screen);
    assert!(again.screen.contains("nobody is asked"), "{}", again.screen);
}

fn words(end: &End) -> String {
    end.screen.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_written_stays_on_the_screen_until_somebody_has_read_it() {
    let ground = asking();
    let mut talk = begin(&ground, "60").walk_to(WRITE);
    talk.choose(QUESTIONS[WRITE], 1, 0);
    talk.expect(WAITS);
    assert!(!talk.terminal.has_ended());
    talk.send(" ");
    let end = talk.terminal.end();
    assert_eq!(end.code, 4, "{}", end.screen);
    assert_tidy(&end);
    assert!(words(&end).contains("What you do next"), "{}", end.screen);
    assert!(answers(&ground).ends_with(HAPPY), "{}", answers(&ground));
    assert!(motd(&ground).contains("reboot to put it into effect"), "{}", motd(&ground));
    assert_eq!(first_boot(&ground)["outcome"], "done");
    is_over(&ground);
}

#[test]
fn nobody_has_to_read_it() {
    let ground = asking();
    let mut talk = begin(&ground, "12").walk_to(WRITE);
    talk.choose(QUESTIONS[WRITE], 1, 0);
    let spoke = talk.spoke;
    let end = talk.terminal.end();
    assert_eq!(end.code, 4, "{}", end.screen);
    assert!(end.screen.contains(WAITS), "{}", end.screen);
    assert!(spoke.elapsed() >= Duration::from_secs(12), "it did not wait");
    assert_tidy(&end);
    assert_eq!(first_boot(&ground)["outcome"], "done");
}

#[test]
fn nobody_at_the_console_is_told_until_somebody_answers() {
    let ground = asking();
    let before = tree(&ground);
    let end = begin(&ground, "3").terminal.end();
    assert_eq!(end.code, 3, "{}", end.screen);
    assert_tidy(&end);
    assert_eq!(tree(&ground), before);
    is_over(&ground);
    // In this boot, and in every later one.
    for _ in 0..2 {
        assert!(motd(&ground).contains("`neuron-provisioner wizard` asks them again"), "{}", motd(&ground));
        let told = run(&ground, &["status"]).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains("First boot: it was not set up yet, since nobody answered"), "{told}");
        fs::remove_dir_all(ground.machine().join("run/motd.d")).unwrap();
        assert_eq!(run(&ground, &["firstboot", "run"]).code, 0);
    }
    assert_eq!(first_boot(&ground)["outcome"], "unanswered");
    // Called again by a person, it is as ever.
    assert_eq!(Talk::menus(&ground).walk_to(WRITE).agree().code, 4);
    assert_eq!((motd(&ground).as_str(), &first_boot(&ground)["outcome"]), ("", &Value::from("done")));
}

#[test]
fn who_leaves_has_answered() {
    for leaves_by_key in [true, false] {
        let ground = asking();
        let before = tree(&ground);
        let mut talk = begin(&ground, "60").walk_to(0);
        if leaves_by_key {
            talk.send(CTRL_C);
        } else {
            talk.choose(QUESTIONS[0], 1, 0);
        }
        let end = talk.terminal.end();
        assert_eq!(end.code, 130, "{}", end.screen);
        assert_tidy(&end);
        assert_eq!(tree(&ground), before);
        assert_eq!((motd(&ground).as_str(), &first_boot(&ground)["outcome"]), ("", &Value::from("done")));
        is_over(&ground);
    }
}

/// The machine goes down under the question, or whatever else ends it: that nobody answered is known.
#[test]
fn an_end_from_outside_is_told() {
    let ground = asking();
    let talk = begin(&ground, "60").walk_to(2);
    talk.terminal.terminate();
    talk.terminal.end();
    assert_eq!(first_boot(&ground)["outcome"], "unanswered");
    is_over(&ground);
}

#[test]
fn what_failed_is_told_and_asked_again_by_hand() {
    let ground = asking();
    mkinitcpio(
        &ground,
        "[ -e /var/log/mended ] || [ ! -e /etc/modprobe.d/vfio.conf ] || { echo 'no space for it' >&2; exit 1; }",
    );
    let before = tree(&ground);
    let mut talk = begin(&ground, "60").walk_to(WRITE);
    talk.choose(QUESTIONS[WRITE], 1, 0);
    let end = talk.terminal.end();
    assert_eq!(end.code, 1, "{}", end.screen);
    assert_eq!(tree(&ground), before);
    assert_eq!(first_boot(&ground)["outcome"], "failed");
    fs::remove_dir_all(ground.machine().join("run/motd.d")).unwrap();
    assert_eq!(run(&ground, &["firstboot", "run"]).code, 0, "the next boot tells it, and tries nothing");
    for told in [motd(&ground), first_boot(&ground)["message"].to_string()] {
        assert!(told.contains("no space for it") && told.contains("`neuron-provisioner wizard`"), "{told}");
    }
    is_over(&ground);
    fs::write(ground.target().join("var/log/mended"), "").unwrap();
    assert_eq!(Talk::menus(&ground).walk_to(WRITE).agree().code, 4);
    assert_eq!((motd(&ground).as_str(), &first_boot(&ground)["outcome"]), ("", &Value::from("done")));
}

/// What an installer chose is in force, and its page asked for nothing else.
#[test]
fn after_an_installer_the_rest_is_asked_and_what_is_in_force_stays() {
    let ground = home();
    let answers = ground.target().join("etc/neuron/provisioner.toml");
    neuron_tests::write(&answers, "schema = 1\n[passthrough]\ntrial = false\n").unwrap();
    assert_eq!(run(&ground, &["apply", "--yes"]).code, 4);
    provision::leave_questions(&Root::directory(&ground.target()).unwrap());
    ground.boot("22222222-2222-4222-8222-222222222222").unwrap();
    assert_eq!(run(&ground, &["firstboot", "asks"]).code, 0);
    let before = tree(&ground);
    let mut talk = begin(&ground, "60");
    talk.expect("It is set up here already.");
    talk.send(CTRL_C);
    let end = talk.terminal.end();
    assert_eq!(end.code, 130, "{}", end.screen);
    assert_eq!(tree(&ground), before);
    assert_eq!(run(&ground, &["firstboot", "asks"]).code, 1);
}

/// What an installer could not decide is asked, and what was wanted there is proposed.
#[test]
fn what_an_installer_was_told_is_what_is_proposed() {
    let ground = furnished(with_shell(Ground::new("made-dgpu-is-boot-vga", "arch-grub").unwrap()));
    let wanted = "[passthrough]\nguest_gpus = [\"0000:01:00.0\"]\nextra_parameters = [\"quirk=wanted\"]\n";
    let wanted = Source::Given(Box::new(Answers::parse(wanted).unwrap()));
    let [machine, target] = [ground.machine(), ground.target()].map(|path| Root::directory(&path).unwrap());
    let decision = provision::plan(&machine, &target, &wanted, Stage::All).unwrap().plan.decision;
    provision::keep_wish(&target, &decision, &wanted);
    let mut talk = begin(&ground, "60").walk_to(1);
    talk.send("\r");
    talk.choose("Go on all the same?", 1, 0);
    for question in &QUESTIONS[2..WRITE] {
        talk.answer(question, "\r");
    }
    // More than one screen is worth knowing here.
    talk.answer("lines more", "\r");
    talk.choose(QUESTIONS[WRITE], 1, 0);
    talk.expect(WAITS);
    talk.send(" ");
    let end = talk.terminal.end();
    assert_eq!(end.code, 4, "{}", end.screen);
    let kept = answers(&ground);
    for line in ["guest-is-boot-vga", "guest_gpus = [\"10de:1b81\"]", "quirk=wanted"] {
        assert!(kept.contains(line), "{line}: {kept}");
    }
}

#[test]
fn without_a_terminal_nothing_is_kept() {
    let ground = asking();
    let before = ground.tree().unwrap();
    let output = run(&ground, &["firstboot", "wizard"]);
    assert_eq!(output.code, 3, "{}", output.stderr);
    assert!(output.stderr.contains(QUESTIONS[0]), "{}", output.stderr);
    assert_eq!(ground.tree().unwrap(), before);
}
