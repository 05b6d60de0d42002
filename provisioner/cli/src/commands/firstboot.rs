//! `firstboot`: what the units of the first boot ask for. One file a part.

mod console;
mod silent;

use crate::args::{Common, FirstbootOptions, FirstbootPart};
use crate::exit_code::ExitCode;
use crate::failure::Failure;

pub(crate) fn run(common: &Common, options: &FirstbootOptions) -> Result<ExitCode, Failure> {
    match &options.part {
        FirstbootPart::Run => silent::run(common),
        FirstbootPart::Asks => console::asks(common),
        FirstbootPart::Wizard(options) => console::wizard(common, options),
    }
}
