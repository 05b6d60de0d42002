//! `plan`: what would be written.

use std::path::Path;

use neuron_passthrough::plan::{PlanDocument, Stage};
use neuron_passthrough::provision;

use crate::args::{Common, PlanOptions};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::{render, roots};

pub(crate) fn run(common: &Common, options: &PlanOptions) -> Result<ExitCode, Failure> {
    let (machine, target) = (roots::machine(common)?, roots::target(common)?);
    let planned = provision::plan(&machine, &target, &roots::source(common)?, Stage::All)?;
    let document = PlanDocument::from(&planned.plan);
    if let Some(path) = &options.out {
        save(path, &document)?;
    }
    if common.json {
        render::json(&document)?;
    } else {
        render::print(&render::plan(&document))?;
    }
    let would_change = options.check && !planned.plan.steps.is_empty();
    Ok(if would_change { ExitCode::WouldChange } else { ExitCode::Done })
}

fn save(path: &Path, document: &PlanDocument) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(document)? + "\n";
    std::fs::write(path, text).map_err(|error| Failure::file("write", path, error))
}
