//! `inspect`: the machine and the verdict.

use std::collections::BTreeMap;
use std::path::Path;

use neuron_passthrough::facts::names;
use neuron_passthrough::id::PciId;
use neuron_passthrough::policy::Judgement;
use neuron_passthrough::provision;
use neuron_passthrough::root::Root;

use crate::args::Common;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::report::InspectReport;
use crate::{render, roots};

pub(crate) fn run(common: &Common) -> Result<ExitCode, Failure> {
    let answers = roots::answers(common)?;
    let (machine, judgement) = provision::inspect(&roots::machine(common)?, &answers)?;
    let names = gpu_names(&judgement);
    let report = InspectReport::new(&machine, judgement, &names);
    if common.json {
        render::json(&report)?;
    } else {
        render::print(&render::inspect(&report))?;
    }
    Ok(ExitCode::Done)
}

/// What people call these GPUs; nothing where this system has no list of names.
fn gpu_names(judgement: &Judgement) -> BTreeMap<PciId, String> {
    let ids: Vec<PciId> = judgement.gpus.iter().filter_map(|gpu| gpu.id).collect();
    Root::directory(Path::new("/")).map(|system| names(&system, &ids)).unwrap_or_default()
}
