//! A screen that nobody looks at, with a keyboard and a mouse.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::installer::target_folder;

/// An X server without a screen of glass.
pub(crate) struct Screen {
    server: Child,
    display: String,
}

impl Screen {
    /// Starts one; the server itself chooses a free number.
    pub(crate) fn new() -> Self {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1024x768x24", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb starts (package xvfb)");
        let mut number = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
        Self { server, display: format!(":{}", number.trim()) }
    }

    /// The value for DISPLAY.
    pub(crate) fn display(&self) -> &str {
        &self.display
    }

    /// Gives the keyboard to Calamares' window; there is no window manager that would.
    pub(crate) fn focus(&self) {
        let found = Command::new("sh")
            .args([
                "-c",
                "xdotool windowfocus --sync \"$(xdotool search --onlyvisible --name . | tail -n 1)\"",
            ])
            .env("DISPLAY", &self.display)
            .status()
            .expect("xdotool starts (package xdotool)");
        assert!(found.success(), "no window to focus");
        settle();
    }

    /// Presses keys one after the other.
    pub(crate) fn keys(&self, keys: &[&str]) {
        for key in keys {
            self.xdotool(&["key", key]);
        }
    }

    /// Clicks at a place.
    pub(crate) fn click(&self, x: u32, y: u32) {
        self.xdotool(&["mousemove", &x.to_string(), &y.to_string(), "click", "1"]);
    }

    /// Keeps a picture to look at; its path.
    pub(crate) fn picture(&self, name: &str) -> PathBuf {
        settle();
        let folder = target_folder().join("calamares-pictures");
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("{name}.png"));
        let taken = Command::new("import")
            .args(["-window", "root"])
            .arg(&file)
            .env("DISPLAY", &self.display)
            .status();
        assert!(taken.expect("import starts (package imagemagick)").success());
        file
    }

    fn xdotool(&self, words: &[&str]) {
        let done = Command::new("xdotool").args(words).env("DISPLAY", &self.display).status().unwrap();
        assert!(done.success(), "xdotool {words:?}");
        settle();
    }
}

/// Events are handled one frame later.
fn settle() {
    sleep(Duration::from_millis(250));
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
