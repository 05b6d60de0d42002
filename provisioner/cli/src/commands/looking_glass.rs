//! `looking-glass`: the memory that brings the guest's picture here, and the client that shows it.

mod client;
mod status;

use crate::args::{Common, GlassVerb};
use crate::exit_code::ExitCode;
use crate::failure::Failure;

pub(crate) fn run(common: &Common, verb: &GlassVerb) -> Result<ExitCode, Failure> {
    match verb {
        GlassVerb::Status => status::run(common),
        GlassVerb::Client(options) => client::run(common, options),
    }
}
