//! Facts: what is read of a machine, how little, and what becomes of nonsense.

#![allow(clippy::unwrap_used, reason = "what a test prepares by a function of its own may fail it, too")]

mod host_use;
mod nonsense;
mod reading;
mod replay;

use std::path::Path;
use std::sync::LazyLock;

use neuron_passthrough::facts::{FactsError, Machine};
use neuron_passthrough::root::Root;
use neuron_tests::machine;
use neuron_tests::seen::Seen;

/// Every machine, read once for all tests.
static MACHINES: LazyLock<Vec<Seen>> = LazyLock::new(|| Seen::all().unwrap());

/// A machine as a folder.
fn laid_out(id: &str) -> tempfile::TempDir {
    let folder = neuron_tests::scratch().unwrap();
    machine::lay_out(&machine::Machine::load(id).unwrap(), folder.path()).unwrap();
    folder
}

fn read(folder: &Path) -> Result<Machine, FactsError> {
    Machine::read(&Root::directory(folder).unwrap())
}
