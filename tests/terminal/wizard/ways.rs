//! Terminals that can less, machines that can less, and people who go away.

use std::fs;
use std::time::Duration;

use neuron_tests::scenario::Ground;
use neuron_tests::tree::diff;

use super::super::{cut_off, mkinitcpio, with_shell};
use super::{
    CONSOLE, CTRL_C, HAPPY, LINES, QUESTIONS, Talk, Terminal, WRITE, answers, assert_nothing_written,
    assert_tidy, furnished, home, run, tree,
};

/// Takes whatever is proposed until it ends.
fn take_all(mut talk: Talk) -> super::End {
    while !talk.terminal.has_ended() {
        let heard = talk.heard;
        let asks = |talk: &Talk| {
            let since = talk.terminal.since(heard);
            let is_asked =
                since.contains("\"back\"") || since.contains("< Back") || since.contains("leave everything");
            is_asked && since.len() > 2 && (!talk.in_menus || talk.terminal.is_raw())
        };
        if asks(&talk) {
            talk.send("\r");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    talk.terminal.end()
}

#[test]
fn without_a_terminal_the_question_is_named_and_nothing_written() {
    let ground = home();
    let before = ground.tree().unwrap();
    for arguments in [&["wizard"][..], &["wizard", "--plain"], &["wizard", "--json"], &["demo", "--wizard"]] {
        let output = run(&ground, arguments);
        let code = if arguments[0] == "demo" { 2 } else { 3 };
        assert_eq!(output.code, code, "{arguments:?}: {}", output.stderr);
        if code == 3 {
            assert!(output.stderr.contains(QUESTIONS[0]), "{}", output.stderr);
            assert!(output.stderr.contains("apply --answers"), "{}", output.stderr);
        }
    }
    assert_eq!(diff(&before, &ground.tree().unwrap()), []);
}

#[test]
fn whoever_needs_plain_lines_gets_them() {
    for environment in
        [&[("TERM", "dumb")][..], &[("NO_COLOR", "1")], &[("ACCESSIBLE", "1")], &[("TERM", "")]]
    {
        let ground = home();
        let talk = Talk::begin(&ground, &[], environment, CONSOLE).walk_to(WRITE);
        let end = talk.agree();
        assert_eq!(end.code, 4, "{environment:?}: {}", end.screen);
        assert!(!end.screen.contains('\x1b'), "{environment:?}: {:?}", end.screen);
        assert!(answers(&ground).ends_with(HAPPY), "{}", answers(&ground));
    }
    // Control: the colours alone are no reason to leave the menus.
    let ground = home();
    let mut talk = Talk::menus(&ground).walk_to(1);
    talk.send(CTRL_C);
    assert!(talk.terminal.end().screen.contains('\x1b'));
}

#[test]
fn a_terminal_that_is_too_small_loses_nothing() {
    let ground = home();
    let talk = Talk { in_menus: false, ..Talk::begin(&ground, &[], &[], (10, 50)) };
    let end = take_all(talk);
    assert_eq!(end.code, 4, "{}", end.screen);
    assert!(end.screen.contains("smaller than 72x20"), "{}", end.screen);
    assert!(!end.screen.contains("\x1b[?25l"), "no menu: {:?}", end.screen);
    assert!(answers(&ground).ends_with(HAPPY), "{}", answers(&ground));
    assert_tidy(&end);
}

#[test]
fn a_window_may_be_resized_while_it_asks() {
    let ground = home();
    let mut talk = Talk::menus(&ground).walk_to(2);
    talk.terminal.resize((24, 60));
    talk.in_menus = false;
    talk.heard = talk.terminal.seen();
    talk.send("\r");
    talk.answer(QUESTIONS[3], "\n");
    talk.expect(QUESTIONS[4]);
    talk.terminal.resize(CONSOLE);
    talk.send("\n");
    talk.in_menus = true;
    talk.answer(QUESTIONS[5], "\r");
    let end = take_all(talk);
    assert_eq!(end.code, 4, "{}", end.screen);
    assert!(answers(&ground).ends_with(HAPPY), "{}", answers(&ground));
    assert_tidy(&end);
}

#[test]
fn nobody_at_the_keyboard_ends_it() {
    // Who walks there must not be too slow for it on a busy machine.
    for (in_menus, index, seconds) in
        [(true, 0, "3"), (false, 0, "3"), (true, LINES.start, "12"), (false, LINES.start, "12")]
    {
        let ground = home();
        let before = ground.tree().unwrap();
        let arguments: &[&str] = &["--idle-timeout", seconds, "--plain"][..if in_menus { 2 } else { 3 }];
        let talk = Talk { in_menus, ..Talk::begin(&ground, arguments, &[], CONSOLE) };
        let talk = talk.walk_to(index);
        let spoke = talk.spoke;
        let end = talk.terminal.end();
        assert_eq!(end.code, 3, "{}", end.screen);
        assert!(spoke.elapsed() >= Duration::from_secs(seconds.parse().unwrap()), "it did not wait");
        let words = end.screen.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&format!("nobody answered for {seconds} seconds")), "{}", end.screen);
        assert!(words.contains(QUESTIONS[index]) && words.contains("asks again"), "{}", end.screen);
        assert_nothing_written(&ground, &before, &end);
    }
}

#[test]
fn an_end_from_outside_writes_nothing() {
    let ground = home();
    let before = ground.tree().unwrap();
    let talk = Talk::plain(&ground).walk_to(3);
    talk.terminal.terminate();
    let end = talk.terminal.end();
    assert!([130, 143].contains(&end.code), "{}: {}", end.code, end.screen);
    assert_eq!(diff(&before, &ground.tree().unwrap()), []);
    let mut talk = Talk::plain(&ground).walk_to(3);
    // Ctrl-D: nobody types any more.
    talk.send("\x04");
    let end = talk.terminal.end();
    assert_eq!(end.code, 130, "{}", end.screen);
    assert_nothing_written(&ground, &before, &end);
}

#[test]
fn what_cannot_be_is_said_and_asked_again() {
    let ground = home();
    let mut talk = Talk::plain(&ground);
    talk.answer(QUESTIONS[0], "9\n");
    talk.answer("\"9\" is no number from 1 to 2.", "1\n");
    for question in &QUESTIONS[1..LINES.start] {
        talk.answer(question, "\n");
    }
    for (wrong, says, right) in [
        ("two words", "cannot be its name", "box"),
        ("0", "no whole number", "8"),
        ("many", "no whole number", "4"),
        ("images/box.qcow2", "no whole path", "/var/lib/libvirt/images/box.qcow2"),
        ("0", "no whole number", "64"),
        ("/nowhere.iso", "there is no file", "none"),
        ("/home", "is no file", "/var/lib/libvirt/images/virtio-win.iso"),
    ] {
        talk.expect("Enter for");
        talk.send(&format!("{wrong}\n"));
        talk.expect(says);
        talk.send(&format!("{right}\n"));
    }
    talk.choose("How does it reach the network?", 1, 0);
    talk.answer("The bridge", "no bridge\n");
    talk.answer("no name of a network interface", "br7\n");
    talk.answer(QUESTIONS[17], "\n");
    let end = talk.agree();
    assert_eq!(end.code, 4, "{}", end.screen);
    let kept = answers(&ground);
    for line in ["[vm.box]", "size_gib = 64", "kind = \"bridge\"", "bridge = \"br7\"", "virtio_iso = "] {
        assert!(kept.contains(line), "{line}: {kept}");
    }
    assert!(!kept.contains("install_iso"), "{kept}");
}

#[test]
fn what_is_set_up_is_proposed_and_comments_stay() {
    let ground = home();
    assert_eq!(Talk::plain(&ground).walk_to(WRITE).agree().code, 4);
    let path = ground.target().join("etc/neuron/provisioner.toml");
    let own = answers(&ground).replace("[looking_glass]", "# my monitor is a small one\n[looking_glass]");
    fs::write(&path, own).unwrap();
    assert_eq!(run(&ground, &["apply", "--yes"]).code, 4);
    let before = tree(&ground);
    // Taking what is proposed changes nothing.
    let end = take_all(Talk::menus(&ground));
    assert_eq!(end.code, 4, "the reboot is owed still: {}", end.screen);
    assert!(end.screen.contains("Nothing would change"), "{}", end.screen);
    assert_eq!(diff(&before, &tree(&ground)), []);
    // One answer that is another changes that one.
    let mut talk = Talk::menus(&ground).walk_to(4);
    talk.send("\x1b[A");
    talk.expect("1920x1080");
    talk.send("\r");
    let end = take_all(talk);
    assert_eq!(end.code, 4, "{}", end.screen);
    let kept = answers(&ground);
    assert!(kept.contains("# my monitor is a small one\n[looking_glass]"), "{kept}");
    assert!(kept.contains("resolution = \"1920x1080\""), "{kept}");
    // And all of it goes back.
    let mut talk = Talk::menus(&ground).walk_to(1);
    talk.expect("take passthrough back");
    talk.choose(QUESTIONS[1], 2, 1);
    assert_eq!(take_all(talk).code, 4);
    assert!(answers(&ground).contains("mode = \"off\""));
    assert!(!ground.target().join("etc/modprobe.d/vfio.conf").exists());
}

#[test]
fn a_machine_that_can_give_nothing_away_is_told_so() {
    let ground = furnished(with_shell(Ground::new("made-single-gpu", "arch-grub").unwrap()));
    let before = tree(&ground);
    let end = Talk::menus(&ground).terminal.end();
    assert_eq!(end.code, 3, "{}", end.screen);
    let words = end.screen.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("without a GPU that can show a picture"), "{}", end.screen);
    assert!(words.contains("add a second GPU"), "{}", end.screen);
    assert!(!words.contains(QUESTIONS[0]), "{}", end.screen);
    assert_eq!(diff(&before, &tree(&ground)), []);
}

/// A card with a doubt: a no leads back to the choice, a yes is kept as the override's name.
#[test]
fn a_doubt_is_asked_about() {
    let ground = furnished(with_shell(Ground::new("made-dgpu-is-boot-vga", "arch-grub").unwrap()));
    let mut talk = Talk::plain(&ground).walk_to(1);
    let gpus = talk.terminal.since(0);
    let line = |words: &str| gpus.lines().position(|line| line.contains(words)).unwrap();
    let number = 1 + gpus
        .lines()
        .skip(line(QUESTIONS[1]) + 1)
        .position(|line| line.contains("(0000:01:00.0)"))
        .unwrap();
    talk.send(&format!("{number}\n"));
    talk.answer("Go on all the same?", "1\n");
    talk.answer(QUESTIONS[1], &format!("{number}\n"));
    talk.answer("Go on all the same?", "2\n");
    let end = take_all(talk);
    assert_eq!(end.code, 4, "{}", end.screen);
    assert!(answers(&ground).contains("allow = [\"guest-is-boot-vga\"]"), "{}", answers(&ground));
}

#[test]
fn what_an_earlier_run_left_is_put_back_first() {
    let (ground, before) = cut_off::killed();
    let end_of_no = {
        let mut talk = Talk::plain(&ground);
        talk.answer("Put back what an earlier run left?", "2\n");
        talk.terminal.end()
    };
    assert_eq!(end_of_no.code, 130, "{}", end_of_no.screen);
    let mut talk = Talk::plain(&ground);
    talk.answer("Put back what an earlier run left?", "1\n");
    talk.expect(QUESTIONS[0]);
    talk.send(CTRL_C);
    let end = talk.terminal.end();
    assert_eq!(end.code, 130, "{}", end.screen);
    assert_eq!(diff(&before, &tree(&ground)), []);
}

#[test]
fn ctrl_c_while_it_is_written_puts_everything_back() {
    let ground = home();
    mkinitcpio(&ground, "[ -e /var/log/slow ] || { echo slow >/var/log/slow; sleep 15; }");
    let before = tree(&ground);
    let mut talk = Talk::menus(&ground).walk_to(WRITE);
    talk.choose(QUESTIONS[WRITE], 1, 0);
    let slow = ground.target().join("var/log/slow");
    talk.terminal.wait_until("the slow build", || slow.exists());
    talk.send(CTRL_C);
    let end = talk.terminal.end();
    assert_eq!(end.code, 130, "{}", end.screen);
    assert!(end.screen.contains("everything was put back"), "{}", end.screen);
    assert_eq!(diff(&before, &tree(&ground)), []);
    assert_tidy(&end);
}

#[test]
fn json_on_standard_output_is_the_result() {
    let ground = home();
    let talk = Talk { in_menus: true, ..Talk::begin(&ground, &["--json"], &[], CONSOLE) };
    let end = talk.walk_to(WRITE).agree();
    assert_eq!(end.code, 4, "{}", end.screen);
    let result = &end.screen[end.screen.rfind("\r\n{\r\n").unwrap()..];
    let result: serde_json::Value = serde_json::from_str(result).unwrap();
    assert_eq!(result["schema"], "neuron-result/1");
    assert_eq!(result["changed"], true);
}

#[test]
fn the_rehearsal_asks_the_same_and_needs_no_root() {
    let mut terminal = Terminal::start_sized(&["demo", "--wizard", "--plain"], &[], CONSOLE);
    terminal.wait_for(QUESTIONS[0]);
    terminal.wait_for("Enter for 1");
    terminal.send("2\n");
    let end = terminal.end();
    assert_eq!(end.code, 130, "{}", end.screen);
    assert!(end.screen.contains("A rehearsal on a built-in computer"), "{}", end.screen);
}
