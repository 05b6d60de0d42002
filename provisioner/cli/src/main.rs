//! The program `neuron-provisioner`: the library's phases as verbs.
//!
//! Results go to standard output, narration to standard error; the exit code says how it ended
//! (see [`exit_code::ExitCode`]).
#![forbid(unsafe_code)]

mod args;
mod commands;
#[cfg(test)]
mod committed;
mod demo;
mod exit_code;
mod failure;
mod given;
mod interrupt;
mod keyboard;
mod narrate;
mod notice;
mod progress;
mod render;
mod report;
mod roots;
mod wizard;

use clap::Parser;

use args::{Args, Verb};
use exit_code::ExitCode;
use failure::Failure;
use report::ResultReport;

fn main() -> std::process::ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are results; everything else is a usage error.
            let code = if error.use_stderr() { ExitCode::Usage } else { ExitCode::Done };
            let _ = error.print();
            return code.into();
        }
    };
    args.common.color.apply();
    narrate::events(args.common.verbose);
    match run(&args) {
        Ok(code) => code.into(),
        Err(failure) => {
            if args.common.json && args.verb.tells_a_result() {
                // For whoever reads results, a failure is one.
                let _ = render::json(&ResultReport::failed(failure.message(), failure.steps()));
            }
            failure.print();
            failure.exit_code().into()
        }
    }
}

fn run(args: &Args) -> Result<ExitCode, Failure> {
    let common = &args.common;
    match &args.verb {
        Verb::Inspect => commands::inspect::run(common),
        Verb::Plan(options) => commands::plan::run(common, options),
        Verb::Apply(options) => commands::apply::run(common, options),
        Verb::Wizard(options) => commands::wizard::run(common, options),
        Verb::Revert(options) => commands::revert::run(common, options),
        Verb::Status => commands::status::run(common),
        Verb::Confirm(options) => commands::confirm::run(common, options),
        Verb::Doctor => commands::doctor::run(common),
        Verb::Validate(options) => commands::validate::run(common, options),
        Verb::Vm(verb) => commands::vm::run(common, verb),
        Verb::LookingGlass(verb) => commands::looking_glass::run(common, verb),
        Verb::Demo(options) => demo::run(common, options),
        Verb::Capture(options) => commands::capture::run(common, options),
        Verb::Package(options) => commands::package::run(common, options),
        Verb::Boot(options) => commands::boot::run(common, options),
        Verb::Firstboot(options) => commands::firstboot::run(common, options),
    }
}
