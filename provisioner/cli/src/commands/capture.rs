//! `capture`: what this program reads on this machine, in one file.

use std::path::Path;

use neuron_passthrough::facts::{Machine, Topology, scrub};
use neuron_passthrough::verify;

use crate::args::{CaptureOptions, Common};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::{narrate, render, roots};

pub(crate) fn run(common: &Common, options: &CaptureOptions) -> Result<ExitCode, Failure> {
    let root = roots::machine(common)?.recording();
    // A machine that cannot be read is worth a bug report all the same: what was read until then
    // is in the capture, and the error is said.
    let read = Machine::read(&root);
    // What virtual machines are cut from.
    let laid_out = Topology::read(&root);
    verify::read_for_capture(&root);
    let mut capture = root.recorded().unwrap_or_default();
    scrub(&mut capture);
    let problem = |problem| Failure::Capture { path: options.output.clone(), problem };
    let text = capture.render().map_err(problem)?;
    if options.output == Path::new("-") {
        render::print(&text)?;
    } else {
        std::fs::write(&options.output, text)
            .map_err(|error| Failure::file("write", &options.output, error))?;
        if !common.quiet {
            let path = options.output.display();
            narrate::line(&format!("Wrote {path}. Look at it before you send it to somebody."));
        }
    }
    read?;
    laid_out?;
    Ok(ExitCode::Done)
}
