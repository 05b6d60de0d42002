//! `boot`: what the system's own units ask for while it boots. One file a moment.

mod ask;
mod begin;
mod good;
mod witness;

use crate::args::{BootMoment, BootOptions, Common};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::narrate;

pub(crate) fn run(common: &Common, options: &BootOptions) -> Result<ExitCode, Failure> {
    match &options.moment {
        BootMoment::Ask(options) => ask::run(common, options),
        BootMoment::Begin => begin::run(common),
        BootMoment::Good => good::run(common),
    }
}

/// For the journal.
fn say(common: &Common, text: &str) {
    if !common.quiet {
        narrate::line(text);
    }
}
