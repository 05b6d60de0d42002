//! `package`: what the hooks of the package manager ask for.

use std::io::{IsTerminal, Read};

use neuron_passthrough::apply::Chroot;
use neuron_passthrough::provision::{self, Planned, Standing, Upkeep};
use neuron_passthrough::root::Root;

use super::apply::{deferred, ended, outcome};
use crate::args::{Common, PackageMoment, PackageOptions};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::interrupt::Stop;
use crate::progress::Steps;
use crate::{narrate, roots};

/// More than a transaction that changes every file of a system.
const MOST_PATHS: u64 = 64 << 20;

pub(crate) fn run(common: &Common, options: &PackageOptions) -> Result<ExitCode, Failure> {
    let (machine, target) = (roots::machine(common)?, roots::target(common)?);
    match options.moment {
        PackageMoment::Changed => changed(common, &machine, &target),
        PackageMoment::Removed => removed(&machine, &target),
    }
}

/// Says nothing where there is nothing to do.
fn changed(common: &Common, machine: &Root, target: &Root) -> Result<ExitCode, Failure> {
    match provision::upkeep(machine, target, &paths()?)? {
        Upkeep::Nothing => Ok(ExitCode::Done),
        Upkeep::ByHand(why) => Err(Failure::Upkeep(why)),
        Upkeep::Due(planned) => put_in_place(common, machine, target, &planned),
    }
}

fn put_in_place(
    common: &Common,
    machine: &Root,
    target: &Root,
    planned: &Planned,
) -> Result<ExitCode, Failure> {
    for step in &planned.plan.steps {
        narrate::line(&format!("GPU passthrough: {}", step.title));
    }
    let stop = Stop::watch()?;
    let done = {
        let steps = Steps::new(common);
        let mut runner = Chroot::new(target).ended_by(|| stop.ends_program());
        provision::apply(machine, target, &planned.plan, stop.options(), &mut runner, &mut |progress| {
            steps.show(&progress);
        })
    };
    let (report, code) = outcome(done.map_err(|error| ended(error, &stop))?);
    narrate::part(&deferred(&report));
    Ok(code)
}

/// What pacman hands over: the paths that triggered its hook, one a line, without their `/`.
fn paths() -> Result<Vec<String>, Failure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Ok(Vec::new());
    }
    let mut text = Vec::new();
    let read = stdin.lock().take(MOST_PATHS).read_to_end(&mut text);
    read.map_err(|error| Failure::file("read", std::path::Path::new("standard input"), error))?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().map(|path| format!("/{}", path.trim_start_matches('/'))).collect())
}

/// Whether the package may go.
fn removed(machine: &Root, target: &Root) -> Result<ExitCode, Failure> {
    match provision::status(machine, target)?.standing {
        Standing::Unconfigured | Standing::Reverted => Ok(ExitCode::Done),
        Standing::Pending | Standing::Trial | Standing::Active | Standing::Drifted | Standing::GivenBack => {
            Err(Failure::StillSetUp)
        }
    }
}
