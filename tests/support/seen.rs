//! Machines as the library sees them: laid out, read through a root, and what was read.

use std::io;

use neuron_passthrough::facts;
use neuron_passthrough::root::{Capture, Root};

use crate::machine::{self, Machine};

/// A machine beside what the library read of it.
#[derive(Debug)]
pub struct Seen {
    /// What its file says.
    pub machine: Machine,
    /// What the library made of its layout.
    pub facts: facts::Machine,
    /// Every path that was looked at on the way, and what was found there.
    pub capture: Capture,
}

impl Seen {
    /// Lays a machine out, reads it, and takes the layout away.
    pub fn read(machine: Machine) -> io::Result<Self> {
        let folder = crate::scratch()?;
        machine::lay_out(&machine, folder.path())?;
        let wrong = |error: &dyn std::error::Error| io::Error::other(format!("{}: {error}", machine.id));
        let root = Root::directory(folder.path()).map_err(|error| wrong(&error))?.recording();
        let facts = facts::Machine::read(&root).map_err(|error| wrong(&error))?;
        let capture = root.recorded().unwrap_or_default();
        Ok(Self { machine, facts, capture })
    }

    /// The machine in `tests/machines/<id>`.
    pub fn load(id: &str) -> io::Result<Self> {
        Self::read(Machine::load(id)?)
    }

    /// Every machine of `tests/machines`, sorted by name.
    pub fn all() -> io::Result<Vec<Self>> {
        machine::ids()?.iter().map(|id| Self::load(id)).collect()
    }
}
