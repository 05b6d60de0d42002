//! The question of the first passthrough boot: a key keeps, everything else goes back.

use std::fs;

use neuron_tests::scenario::{Ground, Scenario};

use super::pty::{End, Terminal};
use super::{in_terminal, run, runs, stand_in, status, with_shell};

/// A system with passthrough on trial, in a boot with this result of the early hook.
fn on_trial(scenario: &str, claim: &str) -> Ground {
    let ground = with_shell(Scenario::load(scenario).unwrap().ground().unwrap());
    for program in ["grub-editenv", "systemctl"] {
        stand_in(&ground, program, "");
    }
    let applied = run(&ground, &["apply", "--yes"]);
    assert_eq!(applied.code, 4, "{}", applied.stderr);
    let result = ground.machine().join("run/neuron/claim");
    fs::create_dir_all(result.parent().unwrap()).unwrap();
    fs::write(result, format!("result={claim}\nreason=as the test wants\n")).unwrap();
    ground.boot("33333333-3333-4333-8333-333333333333").unwrap();
    ground
}

fn ask(ground: &Ground, seconds: u16) -> Terminal {
    in_terminal(ground, &["boot", "ask", "--seconds", &seconds.to_string()])
}

fn state_file(ground: &Ground, name: &str) -> Option<String> {
    fs::read_to_string(ground.target().join("var/lib/neuron-provisioner").join(name)).ok()
}

/// What is given back live leaves this in the machine.
fn is_given_back_live(ground: &Ground) -> bool {
    ground.machine().join("run/modprobe.d/zz-neuron-vfio.conf").exists()
}

fn default_entry(ground: &Ground) -> String {
    let text = fs::read_to_string(ground.target().join("etc/default/grub")).unwrap();
    text.lines().find_map(|line| line.strip_prefix("GRUB_DEFAULT=")).unwrap().to_owned()
}

fn assert_plain(end: &End) {
    assert!(end.modes_kept, "the terminal's modes: {:?}", end.screen);
    assert!(!end.screen.contains('\x1b'), "a control sequence: {:?}", end.screen);
    let lines: Vec<&str> = end.screen.lines().collect();
    assert!(lines.len() < 25, "{} lines", lines.len());
    for line in lines.iter().flat_map(|line| line.split('\r')) {
        assert!(line.chars().count() < 80, "too wide: {line}");
    }
}

#[test]
fn any_key_keeps() {
    for key in ["x", "\r", "\x1b[A", " "] {
        let ground = on_trial("grub-trial", "claimed");
        assert_eq!(default_entry(&ground), "neuron-host");
        assert_eq!(runs(&ground, "grub-editenv /boot/grub/grubenv set next_entry=0"), 1);
        assert_eq!(status(&ground)["state"], "trial");
        let mut terminal = ask(&ground, 30);
        terminal.wait_for("30 seconds left");
        terminal.send(key);
        let end = terminal.end();
        assert_eq!(end.code, 0, "{key:?}: {}", end.screen);
        assert_plain(&end);
        assert_eq!(default_entry(&ground), "0", "{key:?}");
        assert_eq!(runs(&ground, "grub-editenv /boot/grub/grubenv unset next_entry"), 1);
        assert_eq!(runs(&ground, "systemctl"), 0);
        let now = status(&ground);
        assert_eq!((&now["state"], &now["reboot_needed"]), (&"active".into(), &false.into()), "{key:?}");
        let again = ask(&ground, 30).end();
        assert!(again.screen.contains("nothing to ask"), "{}", again.screen);
    }
}

#[test]
fn silence_and_a_no_go_back_into_the_default_entry() {
    for (keys, seconds, because) in [("", 1, "nobody pressed a key"), ("\x03", 30, "did not want to keep")] {
        let ground = on_trial("grub-trial", "claimed");
        let mut terminal = ask(&ground, seconds);
        terminal.wait_for("left");
        terminal.send(keys);
        let end = terminal.end();
        assert_eq!(end.code, 0, "{}", end.screen);
        assert_plain(&end);
        assert_eq!(runs(&ground, "systemctl --no-block reboot"), 1, "{}", end.screen);
        assert!(!is_given_back_live(&ground), "the next boot does it");
        assert_eq!(default_entry(&ground), "neuron-host");
        assert!(state_file(&ground, "boots.json").unwrap().contains(because));
        let again = ask(&ground, 30).end();
        assert!(again.screen.contains("nothing to ask"), "it is given back: {}", again.screen);
        // Who applies again wants another try.
        assert_eq!(run(&ground, &["apply", "--yes"]).code, 4);
        assert_eq!(runs(&ground, "grub-editenv /boot/grub/grubenv set next_entry=0"), 2);
    }
}

#[test]
fn where_passthrough_is_the_default_the_card_goes_back_in_this_boot() {
    let ground = on_trial("grub-trial-lvm", "claimed");
    assert_eq!(default_entry(&ground), "0");
    let end = ask(&ground, 1).end();
    assert_eq!(end.code, 0, "{}", end.screen);
    assert_plain(&end);
    assert!(is_given_back_live(&ground));
    assert_eq!(runs(&ground, "systemctl"), 0);
    assert!(state_file(&ground, "boots.json").unwrap().contains("given_back"));
}

#[test]
fn a_reboot_that_fails_does_not_leave_the_card_away() {
    let ground = on_trial("grub-trial", "claimed");
    stand_in(&ground, "systemctl", "exit 1");
    let end = ask(&ground, 1).end();
    assert_eq!(end.code, 0, "{}", end.screen);
    assert_eq!(runs(&ground, "systemctl --no-block reboot"), 1);
    assert!(is_given_back_live(&ground), "{}", end.screen);
}

#[test]
fn without_a_terminal_or_when_it_goes_away_nobody_kept_it() {
    let ground = on_trial("grub-trial", "claimed");
    assert_eq!(run(&ground, &["boot", "ask"]).code, 0);
    assert_eq!(runs(&ground, "systemctl --no-block reboot"), 1);
    let ground = on_trial("grub-trial", "claimed");
    let terminal = ask(&ground, 30);
    terminal.wait_for("left");
    terminal.hang_up();
    let end = terminal.end();
    assert_eq!(end.code, 0, "{}", end.screen);
    assert_eq!(runs(&ground, "systemctl --no-block reboot"), 1);
}

/// The system goes down while it asks: nothing was answered, so the next boot asks again.
#[test]
fn an_end_from_outside_answers_nothing() {
    let ground = on_trial("grub-trial", "claimed");
    let before = ground.tree().unwrap();
    let terminal = ask(&ground, 30);
    terminal.wait_for("left");
    terminal.terminate();
    let end = terminal.end();
    assert_eq!(end.code, 0, "{}", end.screen);
    assert_plain(&end);
    assert_eq!(neuron_tests::tree::diff(&before, &ground.tree().unwrap()), []);
    assert!(!is_given_back_live(&ground));
}

#[test]
fn a_confirm_from_elsewhere_is_an_answer() {
    let ground = on_trial("grub-trial", "claimed");
    let terminal = ask(&ground, 4);
    terminal.wait_for("left");
    let confirmed = run(&ground, &["confirm"]);
    assert_eq!(confirmed.code, 0, "{}", confirmed.stderr);
    let end = terminal.end();
    assert!(end.screen.contains("kept from elsewhere"), "{}", end.screen);
    assert_eq!(runs(&ground, "systemctl"), 0);
    assert_eq!(status(&ground)["state"], "active");
}

/// A line in the middle that nobody can read.
fn damage_journal(ground: &Ground) {
    let journal = ground.target().join("var/lib/neuron-provisioner/journal.jsonl");
    let whole = fs::read_to_string(&journal).unwrap();
    let mut lines: Vec<&str> = whole.lines().collect();
    let middle = lines.len() / 2;
    lines[middle] = "{\"record\":";
    fs::write(&journal, lines.join("\n") + "\n").unwrap();
}

#[test]
fn with_a_damaged_journal_it_is_asked_and_goes_back_all_the_same() {
    let ground = on_trial("grub-trial", "claimed");
    damage_journal(&ground);
    let end = ask(&ground, 1).end();
    assert_eq!(end.code, 0, "{}", end.screen);
    assert_eq!(runs(&ground, "systemctl --no-block reboot"), 1, "{}", end.screen);
    assert!(state_file(&ground, "boots.json").unwrap().contains("nobody pressed a key"));
    // The record as well: nobody knows any more which entry the next boot starts.
    let ground = on_trial("grub-trial", "claimed");
    damage_journal(&ground);
    fs::write(ground.target().join("var/lib/neuron-provisioner/trial.json"), "{").unwrap();
    let end = ask(&ground, 1).end();
    assert_eq!(end.code, 0, "{}", end.screen);
    assert!(is_given_back_live(&ground) && runs(&ground, "systemctl") == 0, "{}", end.screen);
    // A key takes nothing away; that it cannot be made the default is said.
    let ground = on_trial("grub-trial", "claimed");
    damage_journal(&ground);
    let mut terminal = ask(&ground, 30);
    terminal.wait_for("30 seconds left");
    terminal.send(" ");
    let end = terminal.end();
    assert_eq!(end.code, 3, "{}", end.screen);
    assert!(end.screen.contains("That did not work") && end.screen.contains("journal"), "{}", end.screen);
    assert!(!is_given_back_live(&ground) && runs(&ground, "systemctl") == 0);
    assert_eq!(default_entry(&ground), "neuron-host");
    // The control: no record, no trial.
    let ground = on_trial("grub-trial", "claimed");
    damage_journal(&ground);
    fs::remove_file(ground.target().join("var/lib/neuron-provisioner/trial.json")).unwrap();
    let end = ask(&ground, 1).end();
    assert!(end.code == 0 && end.screen.contains("nothing to ask"), "{}", end.screen);
}

#[test]
fn nobody_is_asked_in_a_boot_without_passthrough_or_where_nobody_sits() {
    for claim in ["off", "doubt"] {
        let ground = on_trial("grub-trial", claim);
        let end = ask(&ground, 1).end();
        assert!(end.code == 0 && end.screen.contains("nothing to ask"), "{claim}: {}", end.screen);
        assert_eq!(runs(&ground, "systemctl"), 0);
        assert_eq!(status(&ground)["state"], "trial", "it goes on");
    }
    let ground = on_trial("grub-trial", "claimed");
    let answers = ground.target().join("etc/neuron/provisioner.toml");
    fs::write(answers, "schema = 1\n[passthrough]\ntrial = false\n").unwrap();
    let end = ask(&ground, 1).end();
    assert!(end.code == 0 && end.screen.contains("nothing to ask"), "{}", end.screen);
    assert_eq!(runs(&ground, "systemctl"), 0);
}

#[test]
fn a_console_that_knows_no_line_ends_of_its_own_gets_lines() {
    let ground = on_trial("grub-trial", "claimed");
    let mut words = super::roots(&ground);
    words.extend(["boot", "ask", "--seconds", "2"].map(str::to_owned));
    let end = Terminal::start(&words, &[("TERM", "dumb")]).end();
    assert_plain(&end);
    assert!(end.screen.contains("2 seconds left\r\n"), "{:?}", end.screen);
    assert!(!end.screen.replace("\r\n", "").contains('\r'), "{:?}", end.screen);
}
