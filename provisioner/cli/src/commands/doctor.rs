//! `doctor`: does what was applied hold?

use neuron_passthrough::provision;
use neuron_passthrough::verify::Status;

use crate::args::Common;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::report::DoctorReport;
use crate::{render, roots};

pub(crate) fn run(common: &Common) -> Result<ExitCode, Failure> {
    let (machine, target) = (roots::machine(common)?, roots::target(common)?);
    let report = DoctorReport::from(provision::doctor(&machine, &target)?);
    if common.json {
        render::json(&report)?;
    } else {
        render::print(&render::checks(&report.checks, common.quiet))?;
    }
    Ok(code(&report))
}

pub(crate) fn code(report: &DoctorReport) -> ExitCode {
    let fails = report.checks.iter().any(|check| check.status == Status::Fail);
    if fails { ExitCode::Failed } else { ExitCode::Done }
}
