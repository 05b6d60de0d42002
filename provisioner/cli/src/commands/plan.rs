//! `plan`: what would be written.

use std::path::Path;

use neuron_passthrough::plan::{Plan, PlanDocument, Stage};
use neuron_passthrough::provision::{self, Source};
use neuron_passthrough::root::Root;

use crate::args::{Common, PlanOptions};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::{render, roots};

pub(crate) fn run(common: &Common, options: &PlanOptions) -> Result<ExitCode, Failure> {
    let (machine, target) = (roots::machine(common)?, roots::target(common)?);
    let planned = make(&machine, &target, &roots::source(common, &target)?)?;
    let document = PlanDocument::from(&planned);
    if let Some(path) = &options.out {
        save(path, &document)?;
    }
    if common.json {
        render::json(&document)?;
    } else {
        render::print(&render::plan(&document))?;
        if !common.quiet && planned.is_allowed() && !planned.steps.is_empty() {
            render::print(&next_step(options.out.as_deref()))?;
        }
    }
    let would_change = options.check && !planned.steps.is_empty();
    Ok(if would_change { ExitCode::WouldChange } else { ExitCode::Done })
}

/// The whole plan for a target; writes nothing.
pub(crate) fn make(machine: &Root, target: &Root, source: &Source) -> Result<Plan, Failure> {
    Ok(provision::plan(machine, target, source, Stage::All)?.plan)
}

fn next_step(saved: Option<&Path>) -> String {
    let plan = saved.map_or_else(String::new, |path| format!(" --plan {}", path.display()));
    format!("Next: `neuron-provisioner apply{plan}` writes it, as root; `revert` undoes it.\n")
}

fn save(path: &Path, document: &PlanDocument) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(document)? + "\n";
    std::fs::write(path, text).map_err(|error| Failure::file("write", path, error))
}
