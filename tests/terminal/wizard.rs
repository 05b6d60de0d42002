//! The wizard with a person in front of it: every question, every way out of it, and what stays.

mod console;
mod frames;
mod replay;
mod ways;

use std::fs;
use std::time::Instant;

use neuron_tests::scenario::Ground;
use neuron_tests::tree::diff;
use serde_json::Value;

use super::pty::{End, Terminal};
use super::{ground, roots, run, tree};

/// A console without a frame buffer, and what everything has to fit.
const CONSOLE: (u16, u16) = (24, 80);
/// Nothing scrolls here.
const HUGE: (u16, u16) = (400, 120);

/// The questions where everything is proposed and nothing chosen, in order. The one with two turns
/// is marked first, and left then.
const QUESTIONS: [&str; 19] = [
    "Shall we set up GPU passthrough",
    "Which graphics card goes to the virtual machine?",
    "How does this computer start from now on?",
    "Set up Looking Glass?",
    "How large is the picture at most?",
    "Does the virtual machine draw in HDR?",
    "Who may look at the picture?",
    "Who may look at the picture?",
    "Which virtual machine gets the card?",
    "Its name",
    "Memory in GiB",
    "Processors",
    "The file of its disk",
    "Its size in GiB",
    "The ISO file to install from",
    "The ISO file with the VirtIO drivers",
    "How does it reach the network?",
    "Which other devices go along, whole?",
    "Write this?",
];

/// Those that take a line of text.
const LINES: std::ops::Range<usize> = 9..16;
/// The one that is asked before anything is written.
const WRITE: usize = QUESTIONS.len() - 1;

const DOWN: &str = "\x1b[B";
const CTRL_C: &str = "\x03";

/// A target with one person, and media that are found.
fn furnished(ground: Ground) -> Ground {
    let target = ground.target();
    let passwd = "root:x:0:0::/root:/bin/bash\nada:x:1000:1000:Ada:/home/ada:/bin/bash\n\
                  nobody:x:65534:65534::/:/usr/bin/nologin\n";
    fs::write(target.join("etc/passwd"), passwd).unwrap();
    for path in ["home/ada/Downloads/Win11_24H2.iso", "var/lib/libvirt/images/virtio-win.iso"] {
        let path = target.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    ground
}

fn home() -> Ground {
    furnished(ground())
}

/// A dialogue on its way.
struct Talk {
    terminal: Terminal,
    /// What was on the terminal when something was typed last.
    heard: usize,
    /// When that was.
    spoke: Instant,
    in_menus: bool,
}

impl Talk {
    fn begin(ground: &Ground, arguments: &[&str], environment: &[(&str, &str)], size: (u16, u16)) -> Self {
        let in_menus = arguments.is_empty() && environment.is_empty();
        let words = [&["wizard"], arguments].concat();
        Self { in_menus, ..Self::of(ground, &words, environment, size) }
    }

    /// Whatever asks, in lines.
    fn of(ground: &Ground, arguments: &[&str], environment: &[(&str, &str)], size: (u16, u16)) -> Self {
        let mut words = roots(ground);
        words.extend(arguments.iter().map(|word| (*word).to_owned()));
        let spoke = Instant::now();
        let terminal = Terminal::start_sized(&words, environment, size);
        Self { terminal, heard: 0, spoke, in_menus: false }
    }

    /// In menus, on a console.
    fn menus(ground: &Ground) -> Self {
        Self::begin(ground, &[], &[], CONSOLE)
    }

    fn plain(ground: &Ground) -> Self {
        Self::begin(ground, &["--plain"], &[], CONSOLE)
    }

    /// Waits for a question; nothing is typed before somebody listens.
    fn expect(&self, question: &str) {
        self.terminal.wait_until(question, || self.terminal.since(self.heard).contains(question));
        if self.in_menus {
            self.terminal.wait_until("keys that are heard", || self.terminal.is_raw());
        } else {
            let hint = || self.terminal.since(self.heard).contains("\"back\"");
            self.terminal.wait_until("the line that asks", hint);
        }
    }

    fn send(&mut self, keys: &str) {
        self.heard = self.terminal.seen();
        self.spoke = Instant::now();
        self.terminal.send(keys);
    }

    fn answer(&mut self, question: &str, keys: &str) {
        self.expect(question);
        self.send(keys);
    }

    /// Chooses what is so many entries below the first.
    fn choose(&mut self, question: &str, index: usize, proposed: usize) {
        self.expect(question);
        if self.in_menus {
            for _ in proposed..index {
                self.send(DOWN);
                let heard = self.heard;
                self.terminal.wait_until("the menu that moves", || {
                    self.terminal.seen() > heard && self.terminal.is_raw()
                });
            }
            self.send("\r");
        } else {
            self.send(&format!("{}\n", index + 1));
        }
    }

    /// Takes what is proposed, up to this question.
    fn walk_to(mut self, index: usize) -> Self {
        for question in &QUESTIONS[..index] {
            self.answer(question, "\r");
        }
        self.expect(QUESTIONS[index]);
        self
    }

    /// From the last question to what was written.
    fn agree(mut self) -> End {
        self.choose(QUESTIONS[WRITE], 1, 0);
        self.terminal.end()
    }
}

fn answers(ground: &Ground) -> String {
    fs::read_to_string(ground.target().join("etc/neuron/provisioner.toml")).unwrap()
}

fn assert_tidy(end: &End) {
    assert!(end.modes_kept, "the terminal's modes: {:?}", end.screen);
    assert!(end.shows_cursor(), "the cursor stays hidden: {:?}", end.screen);
}

fn assert_nothing_written(ground: &Ground, before: &neuron_tests::tree::Tree, end: &End) {
    assert_eq!(diff(before, &ground.tree().unwrap()), [], "{}", end.screen);
    assert_tidy(end);
}

/// What the happy path leaves, whatever it was asked in.
const HAPPY: &str = "\
[looking_glass]
users = [\"ada\"]

[passthrough]
guest_gpus = [\"10de:1e87\"]

[vm.windows11]
install_iso = \"/home/ada/Downloads/Win11_24H2.iso\"
kind = \"windows11\"
memory_mib = 8192
vcpus = 4
virtio_iso = \"/var/lib/libvirt/images/virtio-win.iso\"

[vm.windows11.disk]
path = \"/var/lib/libvirt/images/windows11.qcow2\"
size_gib = 128
";

#[test]
fn what_is_proposed_is_written_and_kept_as_answers() {
    for in_menus in [true, false] {
        let ground = home();
        let talk = if in_menus { Talk::menus(&ground) } else { Talk::plain(&ground) };
        let before = tree(&ground);
        let talk = talk.walk_to(WRITE);
        assert_eq!(tree(&ground), before, "nothing is written before the answer");
        let end = talk.agree();
        assert_eq!(end.code, 4, "{}", end.screen);
        assert_tidy(&end);
        let kept = answers(&ground);
        assert!(kept.ends_with(HAPPY), "{kept}");
        assert!(end.screen.contains("What you do next"), "{}", end.screen);
        assert_eq!(end.screen.contains('\x1b'), in_menus, "control sequences: {:?}", end.screen);
        let status: Value = serde_json::from_str(&run(&ground, &["status", "--json"]).stdout).unwrap();
        assert_eq!(status["state"], "pending");
    }
}

#[test]
fn ctrl_c_at_every_question_writes_nothing() {
    for in_menus in [true, false] {
        let ground = home();
        let before = ground.tree().unwrap();
        for (index, question) in QUESTIONS.iter().enumerate() {
            let talk = if in_menus { Talk::menus(&ground) } else { Talk::plain(&ground) };
            let mut talk = talk.walk_to(index);
            talk.send(CTRL_C);
            let end = talk.terminal.end();
            assert_eq!(end.code, 130, "{question}: {}", end.screen);
            assert!(end.screen.contains("nothing was written"), "{}", end.screen);
            assert_nothing_written(&ground, &before, &end);
        }
    }
}

#[test]
fn back_works_at_every_question_and_loses_nothing() {
    for in_menus in [true, false] {
        let ground = home();
        let mut talk = if in_menus { Talk::menus(&ground) } else { Talk::plain(&ground) };
        talk.answer(QUESTIONS[0], "\r");
        for (index, question) in QUESTIONS.iter().enumerate().skip(1) {
            talk.expect(question);
            // The name that was marked is no question of its own, so one goes back from both turns.
            let before = if index == 7 { 5 } else { index - 1 };
            let is_line = LINES.contains(&index);
            talk.send(if is_line || !in_menus { "back\r" } else { "q" });
            // Who is marked stays so: the question has one turn then.
            for again in (before..index).filter(|again| *again != 6) {
                talk.answer(QUESTIONS[again], "\r");
            }
            talk.expect(question);
            if index < WRITE {
                talk.send("\r");
            }
        }
        let end = talk.agree();
        assert_eq!(end.code, 4, "{}", end.screen);
        assert!(answers(&ground).ends_with(HAPPY), "{}", answers(&ground));
    }
}

/// The entry of the menu, too; and at the first question there is nothing to go back to.
#[test]
fn back_is_an_entry_of_the_menu() {
    let ground = home();
    let mut talk = Talk::menus(&ground);
    talk.answer(QUESTIONS[0], "q");
    talk.expect("This is the first question.");
    talk.answer(QUESTIONS[0], "\r");
    talk.choose(QUESTIONS[1], 3, 1);
    talk.expect(QUESTIONS[0]);
    talk.send(CTRL_C);
    assert_eq!(talk.terminal.end().code, 130);
}

#[test]
fn every_no_is_heard() {
    let ground = home();
    let before = ground.tree().unwrap();
    // No to all of it.
    let mut talk = Talk::menus(&ground);
    talk.choose(QUESTIONS[0], 1, 0);
    let end = talk.terminal.end();
    assert_eq!(end.code, 130, "{}", end.screen);
    assert_nothing_written(&ground, &before, &end);
    // No to what would be written.
    let mut talk = Talk::menus(&ground).walk_to(WRITE);
    talk.choose(QUESTIONS[WRITE], 2, 0);
    let end = talk.terminal.end();
    assert_eq!(end.code, 130, "{}", end.screen);
    assert_nothing_written(&ground, &before, &end);
    // No card: the only thing left is to keep that.
    let mut talk = Talk::menus(&ground).walk_to(1);
    talk.choose(QUESTIONS[1], 2, 1);
    let end = talk.agree();
    assert!(answers(&ground).contains("mode = \"off\""), "{}", end.screen);
    let changed: Vec<String> =
        diff(&before, &tree(&ground)).iter().map(|one| one.path().to_owned()).collect();
    assert_eq!(changed, ["etc/neuron", "etc/neuron/provisioner.toml"]);
    // No trial, no Looking Glass, no virtual machine.
    let ground = home();
    let mut talk = Talk::menus(&ground).walk_to(2);
    talk.choose(QUESTIONS[2], 1, 0);
    talk.choose(QUESTIONS[3], 1, 0);
    talk.choose(QUESTIONS[8], 3, 0);
    let end = talk.agree();
    assert_eq!(end.code, 4, "{}", end.screen);
    let kept = answers(&ground);
    assert!(kept.contains("trial = false") && kept.contains("enable = false"), "{kept}");
    assert!(!kept.contains("[vm"), "{kept}");
}
