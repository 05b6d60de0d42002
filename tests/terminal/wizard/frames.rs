//! The whole dialogue as somebody sees it on a console of 80x24, frame by frame: a recording that can
//! be read. On the built-in machine, whose names do not depend on where this runs.

use std::fmt::Write as _;

use super::{CONSOLE, DOWN, Terminal};

/// What is waited for, and what is typed then.
const SCRIPT: [(&str, &str); 20] = [
    ("Shall we set up GPU passthrough", "\r"),
    ("Which graphics card goes to the virtual machine?", "\r"),
    ("How does this computer start from now on?", "\r"),
    ("Set up Looking Glass?", "\r"),
    ("How large is the picture at most?", "\r"),
    ("Does the virtual machine draw in HDR?", "\r"),
    ("Which virtual machine gets the card?", "\r"),
    ("Its name", "gaming\r"),
    ("Memory in GiB", "16\r"),
    ("Processors", "back\r"),
    ("Memory in GiB", "\r"),
    ("Processors", "8\r"),
    ("The file of its disk", "\r"),
    ("Its size in GiB", "plenty\r"),
    ("Its size in GiB", "256\r"),
    ("The ISO file to install from", "\r"),
    ("The ISO file with the VirtIO drivers", "\r"),
    ("How does it reach the network?", "\r"),
    ("Write this?", "\r"),
    ("lines more", DOWN),
];

/// The same until the question that is asked once.
const REST: [(&str, &str); 3] = [("lines more", "\r"), ("Write this?", "\r"), ("To undo all of it", "")];

struct Recording {
    terminal: Terminal,
    heard: usize,
    text: String,
}

impl Recording {
    fn frame(&mut self, question: &str, keys: &str) {
        self.terminal.wait_until(question, || self.terminal.since(self.heard).contains(question));
        if !keys.is_empty() {
            self.terminal.wait_until("keys that are heard", || self.terminal.is_raw());
        }
        let picture = self.terminal.picture(CONSOLE);
        let name = keys.replace('\r', " Enter").replace(DOWN, "Down");
        let _ = writeln!(self.text, "{picture}\n{:=<80}", format!("== typed: {} ", name.trim()));
        self.heard = self.terminal.seen();
        self.terminal.send(keys);
    }
}

#[test]
fn the_dialogue_as_it_is_seen() {
    let terminal = Terminal::start_sized(&["demo", "--wizard"], &[], CONSOLE);
    let mut recording = Recording { terminal, heard: 0, text: String::new() };
    for (question, keys) in SCRIPT {
        recording.frame(question, keys);
    }
    // The menu has moved to "Enough", and the question is asked again with writing proposed.
    let (heard, terminal) = (recording.heard, &recording.terminal);
    terminal.wait_until("the menu that moves", || terminal.seen() > heard && terminal.is_raw());
    recording.heard = 0;
    for (question, keys) in REST {
        recording.frame(question, keys);
    }
    let end = recording.terminal.end();
    assert_eq!(end.code, 4, "{}", end.screen);
    assert!(recording.text.lines().all(|line| line.chars().count() <= 80));
    insta::assert_snapshot!("dialogue", recording.text);
}
