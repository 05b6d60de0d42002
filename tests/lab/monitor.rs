//! A way to talk to a machine while it runs: keys are pressed, and where it hangs it is asked what it does.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

/// How long QEMU may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is told of a machine that is not over in time.
const STATE: [&str; 4] = ["info status", "info cpus", "info registers", "info blockstats"];

/// QEMU's own connection, and when to press a key.
#[derive(Debug)]
pub(crate) struct Monitor {
    socket: PathBuf,
    /// A key is pressed as soon as the console shows this, and again until the machine is over.
    key_at: Option<&'static str>,
}

impl Monitor {
    /// A socket in a folder that only this machine uses.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { socket: folder.join("monitor"), key_at: None }
    }

    /// Whoever sits there presses a key when the console shows this.
    pub(crate) fn key_at(self, text: &'static str) -> Self {
        Self { key_at: Some(text), ..self }
    }

    /// QEMU's arguments for it.
    pub(crate) fn arguments(&self) -> [String; 2] {
        ["-qmp".to_owned(), format!("unix:{},server=on,wait=off", self.socket.display())]
    }

    /// Looks at what the console showed so far.
    pub(crate) fn look(&self, console: &str) -> io::Result<()> {
        match self.key_at {
            Some(text) if console.contains(text) => self.ask("sendkey spc").map(drop),
            _ => Ok(()),
        }
    }

    /// What the machine does at present, or why nobody knows.
    pub(crate) fn state(&self) -> String {
        let mut told = String::new();
        for question in STATE {
            let answer = self.ask(question).unwrap_or_else(|error| error.to_string());
            let _ = writeln!(told, "LAB: {question}\n{answer}");
        }
        told
    }

    /// A command as a person would type it into QEMU's monitor.
    fn ask(&self, command: &str) -> io::Result<String> {
        let stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let mut answer_to = |request: &Value| -> io::Result<String> {
            writeln!(&stream, "{request}")?;
            for line in lines.by_ref() {
                let line: Value = serde_json::from_str(&line?)?;
                // Greetings and events come in between.
                if let Some(answer) = line.get("return") {
                    return Ok(answer.as_str().unwrap_or_default().to_owned());
                }
                if let Some(error) = line.get("error") {
                    return Err(io::Error::other(format!("QEMU, on `{command}`: {error}")));
                }
            }
            Err(io::Error::other(format!("QEMU gave no answer to `{command}`")))
        };
        answer_to(&json!({"execute": "qmp_capabilities"}))?;
        answer_to(&json!({"execute": "human-monitor-command", "arguments": {"command-line": command}}))
    }
}
