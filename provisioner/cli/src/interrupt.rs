//! Ctrl-C while something is written: it is finished by putting everything back, not by dying.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use neuron_passthrough::apply::{Interrupt, Options};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::failure::Failure;

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

    /// While a question is asked: Ctrl-C ends the question, not the program, which has to tidy up
    /// the terminal. The other signals still end it at once: nothing was written yet.
    pub(crate) fn question() -> Result<(), Failure> {
        signal_hook::flag::register(SIGINT, Arc::default()).map(drop).map_err(Failure::Signals)
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
