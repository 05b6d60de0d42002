//! A screen that nobody looks at, with a keyboard and a mouse.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::installer::target_folder;

/// How long a busy machine may take to draw a page.
const PAINTED: Duration = Duration::from_secs(15);

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

    /// Keeps a picture of our page to look at, once its title is drawn.
    pub(crate) fn picture(&self, name: &str) {
        let folder = target_folder().join("calamares-pictures");
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("{name}.png"));
        let since = Instant::now();
        loop {
            settle();
            self.take(&file);
            if has_title(&file) {
                return;
            }
            assert!(since.elapsed() < PAINTED, "{} does not show the page", file.display());
        }
    }

    fn take(&self, file: &Path) {
        let taken =
            Command::new("import").args(["-window", "root"]).arg(file).env("DISPLAY", &self.display).status();
        assert!(taken.expect("import starts (package imagemagick)").success());
    }

    fn xdotool(&self, words: &[&str]) {
        let done = Command::new("xdotool").args(words).env("DISPLAY", &self.display).status().unwrap();
        assert!(done.success(), "xdotool {words:?}");
        settle();
    }
}

/// Whether there is writing where our page has its title and no other page has any: letters have
/// many shades.
fn has_title(picture: &Path) -> bool {
    let counted = Command::new("convert")
        .arg(picture)
        .args(["-crop", "700x45+160+5", "-format", "%k", "info:"])
        .output()
        .expect("convert starts (package imagemagick)");
    let shades: u32 = String::from_utf8_lossy(&counted.stdout).trim().parse().unwrap_or(0);
    shades > 10
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
