//! Kernel parameters, in every loader that the target has.

use super::{Draft, Inputs, unusable};
use crate::bootloader::{self, LoaderError, Parameters};
use crate::facts::Target;
use crate::policy::{Code, Finding, Severity};
use crate::step::{Action, Step};
use crate::text::command_line;

/// The steps that set the parameters, and those that make menus anew where something changed.
pub(super) fn steps(
    inputs: &Inputs<'_>,
    parameters: &Parameters,
    draft: &mut Draft,
) -> Result<(), Vec<Finding>> {
    if parameters.set.is_empty() && parameters.remove.is_empty() {
        return Ok(());
    }
    let (loaders, findings) =
        bootloader::detect(inputs.target, &parameters.set).map_err(|finding| vec![finding])?;
    draft.findings.extend(findings);
    let mut written: Vec<Step> = Vec::new();
    let (mut rebuilds, mut alone) = (Vec::new(), Vec::new());
    for loader in loaders {
        let steps = loader.steps(inputs.target, parameters).map_err(|error| vec![blocker(&error)])?;
        let changed = steps.iter().any(|step| !step.is_settled());
        if let Some(rebuild) =
            loader.rebuild(inputs.target).filter(|rebuild| changed || is_open(inputs, rebuild))
        {
            rebuilds.push(rebuild);
        }
        if steps.is_empty() {
            alone.push(bootloader::left_alone(loader, inputs.target, &parameters.set));
        }
        // Two of them may follow one file.
        let is_new =
            |step: &Step| !written.iter().any(|other: &Step| other.action.path() == step.action.path());
        let steps: Vec<Step> = steps.into_iter().filter(is_new).collect();
        written.extend(steps);
    }
    if written.is_empty() {
        return Err(vec![bootloader::nothing_to_edit(&parameters.set)]);
    }
    draft.findings.append(&mut alone);
    draft.tokens = ours(inputs, parameters, &written);
    draft.steps.extend(written);
    draft.steps.extend(rebuilds);
    Ok(())
}

/// The steps that make every loader's menu anew.
pub(super) fn rebuilds(target: &Target) -> Vec<Step> {
    let here = bootloader::ALL.iter().filter(|loader| loader.detect(target).is_some());
    here.filter_map(|loader| loader.rebuild(target)).collect()
}

fn is_open(inputs: &Inputs<'_>, step: &Step) -> bool {
    matches!(&step.action, Action::Rebuild { argv, .. } if inputs.ours.failed_rebuilds.contains(argv))
}

/// Those of the parameters that were not there before us in every file: only they are ours, and
/// only they go when they are wanted no more.
fn ours(inputs: &Inputs<'_>, parameters: &Parameters, written: &[Step]) -> Vec<String> {
    let originals: Vec<&str> = written
        .iter()
        .filter_map(|step| {
            let path = step.action.path()?;
            let before =
                inputs.ours.files.get(path).map(|own| &own.original).or_else(|| step.action.before());
            before?.text()
        })
        .collect();
    let stood = |token: &str, text: &&str| {
        text.split(|c: char| c.is_whitespace() || "'\"".contains(c))
            .any(|word| command_line::has(word, token))
    };
    let is_ours = |token: &&String| !originals.iter().all(|text| stood(token, text));
    parameters.set.iter().filter(is_ours).cloned().collect()
}

fn blocker(error: &LoaderError) -> Finding {
    match error {
        LoaderError::Unusable { path, .. } | LoaderError::LosesRoot { path, .. } => {
            unusable(path, &error.to_string())
        }
        LoaderError::ByHand { path, what, .. } => {
            Finding::new(Code::TargetConflict, Severity::Blocker, error.to_string(), what).in_file(path)
        }
    }
}
