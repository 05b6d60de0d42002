//! Somebody at a terminal of the machine: its second serial port. Reads what is shown, and types what a
//! script says when it is asked for.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What is waited for, how long it is read, and what is typed then.
pub(super) type Script = &'static [(&'static str, Duration, &'static str)];

/// How often something new is looked for.
const TICK: Duration = Duration::from_millis(100);

/// Somebody who sits there.
pub(super) struct Person {
    thread: JoinHandle<io::Result<Heard>>,
    is_over: Arc<AtomicBool>,
}

/// What happened at the terminal.
#[derive(Debug)]
pub(super) struct Heard {
    /// Everything that was shown.
    pub(super) shown: String,
    /// What the script was still waiting for.
    pub(super) missing: Vec<&'static str>,
}

/// QEMU's arguments for the terminal.
pub(super) fn arguments(socket: &Path) -> [String; 2] {
    ["-serial".to_owned(), format!("unix:{},server=on,wait=off", socket.display())]
}

impl Person {
    /// Sits down, and waits for the machine to be there.
    pub(super) fn at(socket: PathBuf, script: Script) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        Self { thread: thread::spawn(move || sit(&socket, script, &ends)), is_over }
    }

    /// The machine is over.
    pub(super) fn heard(self) -> io::Result<Heard> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| io::Error::other("the person at the terminal fell over"))?
    }
}

fn sit(socket: &Path, script: Script, is_over: &AtomicBool) -> io::Result<Heard> {
    let mut stream = loop {
        match UnixStream::connect(socket) {
            Ok(stream) => break stream,
            // The machine may wait for another one to end.
            Err(_) if !is_over.load(Ordering::Relaxed) => thread::sleep(TICK),
            Err(error) => return Err(error),
        }
    };
    stream.set_read_timeout(Some(TICK))?;
    let (mut bytes, mut read_up_to) = (Vec::new(), 0);
    let mut script = script.iter();
    let mut next = script.next();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk) {
            // The machine turned itself off.
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
        let Some((text, reads, keys)) = next else { continue };
        if without_colours(&String::from_utf8_lossy(&bytes[read_up_to..])).contains(text) {
            thread::sleep(*reads);
            read_up_to = bytes.len();
            stream.write_all(keys.as_bytes())?;
            next = script.next();
        }
    }
    let missing = next.into_iter().chain(script).map(|(text, ..)| *text).collect();
    Ok(Heard { shown: String::from_utf8_lossy(&bytes).into_owned(), missing })
}

/// What is read, without the sequences between it.
fn without_colours(shown: &str) -> String {
    let mut parts = shown.split("\x1b[");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // A letter ends one.
        text.push_str(
            part.trim_start_matches(|c: char| !c.is_ascii_alphabetic()).get(1..).unwrap_or_default(),
        );
    }
    text
}
