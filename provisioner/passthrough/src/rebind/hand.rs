//! One write into sysfs, in a process of its own.
//!
//! The kernel can keep whoever asks: a function that a guest still uses is not let go, a reset does
//! not end. A process that waits there cannot be ended, and neither can one of whose threads one
//! waits. So a child writes, and whoever started it goes on without it when the time is over. It
//! has been killed by then: once the kernel lets it go, it does nothing more.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::root::Root;

/// Whoever writes an attribute of sysfs.
pub trait Hand {
    /// Writes a value to a path of the machine root.
    fn write(&mut self, path: &str, value: &str) -> io::Result<()>;
}

/// Writes through a child that gets so long and no longer.
#[derive(Debug)]
pub struct Bounded {
    root: PathBuf,
    limit: Duration,
}

const NAP: Duration = Duration::from_millis(20);

impl Bounded {
    /// For a machine root that is a directory, with a limit for every single write.
    pub fn new(root: &Root, limit: Duration) -> io::Result<Self> {
        let root = root.path().ok_or_else(|| io::Error::other("a capture has no functions to move"))?;
        Ok(Self { root: root.to_owned(), limit })
    }
}

impl Hand for Bounded {
    fn write(&mut self, path: &str, value: &str) -> io::Result<()> {
        let path = self.root.join(path.trim_start_matches('/'));
        // Values and paths are arguments: nothing in them is looked at by the shell. One write(2) a
        // line; `set -C` is not wanted, an attribute is always there already.
        let mut child = Command::new("/bin/sh")
            .args(["-c", "printf '%s\\n' \"$1\" >\"$2\"", "sh", value])
            .arg(&path)
            .env_clear()
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let until = Instant::now() + self.limit;
        loop {
            match child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(_) => return Err(io::Error::other(complaint(&mut child))),
                None if Instant::now() < until => std::thread::sleep(NAP),
                None => {
                    // Not waited for: where it hangs, it would not end.
                    child.kill()?;
                    let waited = self.limit.as_secs_f32();
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!("the kernel did not answer within {waited:.0} s"),
                    ));
                }
            }
        }
    }
}

/// What the shell says of the write: its last words are the kernel's.
fn complaint(child: &mut Child) -> String {
    let mut said = String::new();
    if let Some(stderr) = &mut child.stderr {
        // What cannot be read is not told; that it failed is.
        let _ = io::Read::read_to_string(stderr, &mut said);
    }
    let last = said.trim().rsplit(": ").next().unwrap_or_default();
    if last.is_empty() { "the kernel refused the write".to_owned() } else { last.to_owned() }
}
