//! Ctrl-C while something is written: it is finished by putting everything back, not by dying.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use console::Term;
use neuron_passthrough::apply::{Interrupt, Options};
use nix::sys::termios::{self, SetArg, Termios};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::failure::Failure;
use crate::narrate;
use crate::wizard::Idle;

/// How often a question looks whether Ctrl-C came.
const TICK: Duration = Duration::from_millis(50);
/// How long it may take to notice by itself.
const PATIENCE: Duration = Duration::from_millis(500);

/// Whether somebody wants this program to stop.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    wanted: Arc<AtomicBool>,
    /// Whether what is written is ending because of it, or putting back already.
    heard: Arc<AtomicBool>,
}

impl Stop {
    /// From now on the signals that ask for an end are kept until the next safe moment.
    pub(crate) fn watch() -> Result<Self, Failure> {
        let wanted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&wanted)).map_err(Failure::Signals)?;
        }
        Ok(Self { wanted, heard: Arc::default() })
    }

    /// Options for an apply that stops, and puts everything back, when it is asked to.
    pub(crate) fn options(&self) -> Options<'static> {
        let once = Once { stop: self.clone(), told: false };
        Options { interrupt: Box::new(once), ..Options::default() }
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Whether a program that makes something new is to end: yes once, and never while putting back.
    pub(crate) fn ends_program(&self) -> bool {
        self.is_wanted() && !self.heard.swap(true, Ordering::Relaxed)
    }
}

/// A flag that Ctrl-C sets from now on, instead of ending the program.
pub(crate) fn flag() -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGINT, Arc::clone(&flag)).map_err(Failure::Signals)?;
    Ok(flag)
}

/// A question that is being asked.
pub(crate) struct Question {
    state: Arc<AtomicU8>,
}

/// It waits for an answer.
const ASKED: u8 = 0;
/// It came to an end by itself.
const ANSWERED: u8 = 1;
/// It is ended from outside, and so is the program.
const ENDING: u8 = 2;

impl Question {
    /// From now on Ctrl-C ends the question, not the program, which has to tidy up the terminal. The
    /// other signals still end it at once: nothing was written yet.
    pub(crate) fn begin() -> Result<Self, Failure> {
        Ok(Self::watched(flag()?, None))
    }

    /// The same with a flag that was made before, and with an end for want of an answer.
    pub(crate) fn watched(interrupted: Arc<AtomicBool>, mut silence: Option<(Idle, Failure)>) -> Self {
        let state = Arc::new(AtomicU8::new(ASKED));
        let terminal = termios::tcgetattr(io::stdin()).ok();
        let question = Self { state: Arc::clone(&state) };
        thread::spawn(move || {
            let failure = loop {
                if state.load(Ordering::Acquire) != ASKED {
                    return;
                }
                if interrupted.load(Ordering::Relaxed) {
                    // Once it listens for keys, the question sees Ctrl-C itself and comes to an end.
                    thread::sleep(PATIENCE);
                    break Failure::Interrupted;
                }
                if silence.as_mut().is_some_and(|(idle, _)| idle.is_over())
                    && let Some((_, failure)) = silence
                {
                    break failure;
                }
                thread::sleep(TICK);
            };
            if state.compare_exchange(ASKED, ENDING, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                end_unheard(terminal.as_ref(), &failure);
            }
        });
        question
    }

    /// It came to an end. One that is ended from outside does not go on from here.
    pub(crate) fn end(self) {
        let ended = self.state.compare_exchange(ASKED, ANSWERED, Ordering::AcqRel, Ordering::Acquire);
        while ended.is_err() {
            thread::park();
        }
    }
}

/// Nobody answers, or Ctrl-C came before the question listened for keys: it would wait for ever.
fn end_unheard(terminal: Option<&Termios>, failure: &Failure) {
    if let Some(before) = terminal {
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, before);
    }
    let _ = Term::stderr().show_cursor();
    narrate::line("");
    failure.print();
    std::process::exit(failure.exit_code() as i32);
}

/// Says it once: putting back what was done must not be interrupted in its turn.
struct Once {
    stop: Stop,
    told: bool,
}

impl Interrupt for Once {
    fn at(&mut self, _: &str) -> io::Result<()> {
        if self.stop.is_wanted() && !self.told {
            self.putting_back();
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(())
    }

    /// A program that Ctrl-C ended has failed before anybody was asked at a safe moment.
    fn putting_back(&mut self) {
        self.told = true;
        self.stop.heard.store(true, Ordering::Relaxed);
    }
}
