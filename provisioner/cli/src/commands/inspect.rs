//! `inspect`: the machine and the verdict.

use std::collections::BTreeMap;
use std::path::Path;

use neuron_passthrough::answers::Answers;
use neuron_passthrough::facts::names;
use neuron_passthrough::id::PciId;
use neuron_passthrough::provision;
use neuron_passthrough::root::Root;

use crate::args::Common;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::report::InspectReport;
use crate::{render, roots};

pub(crate) fn run(common: &Common) -> Result<ExitCode, Failure> {
    let answers = roots::answers(common)?;
    let report = report(&roots::machine(common)?, &Root::directory(Path::new("/"))?, &answers)?;
    if common.json {
        render::json(&report)?;
    } else {
        render::print(&render::inspect(&report))?;
        if !common.quiet {
            render::print(&render::next_step(&report.decision))?;
        }
    }
    Ok(ExitCode::Done)
}

/// The machine and the verdict. What people call the GPUs comes from a list of names in `system`;
/// where there is none, they have none.
pub(crate) fn report(machine: &Root, system: &Root, answers: &Answers) -> Result<InspectReport, Failure> {
    let (machine, judgement) = provision::inspect(machine, None, answers)?;
    let ids: Vec<PciId> = judgement.gpus.iter().filter_map(|gpu| gpu.id).collect();
    let names: BTreeMap<PciId, String> = names(system, &ids);
    Ok(InspectReport::new(&machine, judgement, &names))
}
