//! One key on the terminal that is standard input, within a time.

use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{self, FlushArg, LocalFlags, SetArg, Termios};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::failure::Failure;

/// How soon a signal is noticed.
const TICK: u16 = 100;
/// What Ctrl-C is where it is no signal.
const CTRL_C: u8 = 3;

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A key: somebody is there, and sees something.
    Key,
    /// Ctrl-C: somebody is there, and does not want it.
    No,
    /// Nothing, for the whole time.
    Silence,
    /// There is no terminal, or it went away.
    Nobody,
    /// This program is to end (the system goes down): nothing was answered.
    Ended,
}

/// Waits for a key, and says every second how many are left. What was typed before does not count.
pub(crate) fn listen(seconds: u16, tell: &mut dyn FnMut(u16)) -> Result<Heard, Failure> {
    if !io::stdin().is_terminal() {
        return Ok(Heard::Nobody);
    }
    let (end, no) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    for (signal, flag) in [(SIGTERM, &end), (SIGINT, &no), (SIGHUP, &no)] {
        signal_hook::flag::register(signal, Arc::clone(flag)).map_err(Failure::Signals)?;
    }
    let Ok(_raw) = Raw::begin() else { return Ok(Heard::Nobody) };
    let (began, whole) = (Instant::now(), Duration::from_secs(seconds.into()));
    let mut told = None;
    loop {
        if end.load(Ordering::Relaxed) {
            return Ok(Heard::Ended);
        }
        if no.load(Ordering::Relaxed) {
            return Ok(Heard::No);
        }
        let left = whole.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Ok(Heard::Silence);
        }
        // Begun seconds count whole: 60 is the first word, 1 the last.
        let left = u16::try_from(left.as_millis().div_ceil(1000)).unwrap_or(seconds);
        if told != Some(left) {
            told = Some(left);
            tell(left);
        }
        if let Some(heard) = key() {
            return Ok(heard);
        }
    }
}

/// A key that comes within a tick.
fn key() -> Option<Heard> {
    let stdin = io::stdin();
    let mut waited = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    match poll(&mut waited, PollTimeout::from(TICK)) {
        Ok(0) | Err(nix::errno::Errno::EINTR) => return None,
        Ok(_) => {}
        Err(_) => return Some(Heard::Nobody),
    }
    let mut keys = [0; 64];
    match stdin.lock().read(&mut keys) {
        Ok(0) => Some(Heard::Nobody),
        Ok(count) if keys[..count].contains(&CTRL_C) => Some(Heard::No),
        Ok(_) => Some(Heard::Key),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
        Err(_) => Some(Heard::Nobody),
    }
}

/// The terminal while single keys count; as it was before when this goes.
struct Raw {
    before: Termios,
}

impl Raw {
    fn begin() -> nix::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG);
        // Whoever typed before the question did not answer it.
        termios::tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // The rest of a key that sends several bytes is nobody's login name.
        let _ = termios::tcflush(io::stdin(), FlushArg::TCIFLUSH);
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}
