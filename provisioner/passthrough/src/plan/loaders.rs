//! Kernel parameters, in every loader that the target has.

use super::{Draft, Inputs, is_due, retire, unusable};
use crate::bootloader::{self, Bootloader, HostEntry, LoaderError, Parameters};
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Severity};
use crate::step::{Action, Step};
use crate::text::command_line::{self, displaced};

/// The steps that set the parameters, and those that make menus anew where something changed. Where the copies
/// for the host entries fit for each kernel, but not for all, those that are too many are left out.
pub(super) fn steps(
    inputs: &Inputs<'_>,
    parameters: &Parameters,
    draft: &mut Draft,
) -> Result<(), Vec<Finding>> {
    let mut tried = draft.clone();
    if let Err(blockers) = with_all_copies(inputs, parameters, &mut tried) {
        // What was found on the way is told beside what forbids it.
        draft.findings = tried.findings;
        return Err(blockers);
    }
    let (unkept, mut findings) = bootloader::too_many_copies(inputs.target, &tried.steps);
    match &parameters.host {
        Some(host) if !unkept.is_empty() => {
            let host = Some(HostEntry { unkept, ..host.clone() });
            with_all_copies(inputs, &Parameters { host, ..parameters.clone() }, draft)?;
            // This says it of some kernels, and so better than what is said of the partition.
            let is_same =
                |one: &Finding, other: &Finding| (one.code, &one.subject) == (other.code, &other.subject);
            draft.findings.retain(|one| !findings.iter().any(|better| is_same(one, better)));
            draft.findings.append(&mut findings);
        }
        _ => *draft = tried,
    }
    Ok(())
}

fn with_all_copies(
    inputs: &Inputs<'_>,
    parameters: &Parameters,
    draft: &mut Draft,
) -> Result<(), Vec<Finding>> {
    let parameters = &with_displaced(inputs, parameters);
    let (loaders, findings) =
        bootloader::detect(inputs.target, &parameters.set).map_err(|finding| vec![finding])?;
    draft.findings.extend(findings);
    draft.findings.extend(bootloader::without_menu(inputs.target, inputs.running));
    let mut written: Vec<Step> = Vec::new();
    let (mut rebuilds, mut alone, mut made) = (Vec::new(), Vec::new(), Vec::new());
    for loader in loaders {
        let host_is_default = parameters.host.as_ref().is_some_and(|host| host.is_default);
        let outranked = loader.outranked(inputs.target, inputs.running, host_is_default);
        if let Some(blocker) = outranked.as_ref().filter(|finding| finding.severity == Severity::Blocker) {
            return Err(vec![blocker.clone()]);
        }
        draft.findings.extend(outranked);
        let steps = loader.steps(inputs.target, parameters).map_err(|error| vec![blocker(&error)])?;
        let changed = steps.iter().any(|step| !step.is_settled());
        if let Some(rebuild) =
            loader.rebuild(inputs.target).filter(|rebuild| changed || is_due(inputs, rebuild))
        {
            rebuilds.push(rebuild);
        }
        if parameters.host.is_some() {
            let host = loader.host_images(inputs.target).into_iter();
            rebuilds.extend(host.filter(|build| {
                changed || is_due(inputs, build) || is_new(inputs, build) || is_lost(inputs, build)
            }));
            made.extend(loader.made_for_host(inputs.target));
        }
        if steps.is_empty() {
            alone.push(bootloader::left_alone(loader, inputs.target, &parameters.set));
        }
        // Two of them may follow one file.
        for step in steps {
            if !written.iter().any(|other| other.action.path() == step.action.path()) {
                written.push(step);
            }
        }
    }
    if written.is_empty() {
        return Err(vec![bootloader::nothing_to_edit(&parameters.set)]);
    }
    draft.findings.append(&mut alone);
    retire_stale(inputs, &written, draft);
    draft.copies = written.iter().filter_map(copy).cloned().chain(made).collect();
    draft.tokens = ours(inputs, parameters, &written);
    draft.steps.extend(written);
    draft.steps.extend(rebuilds);
    Ok(())
}

/// Whether a build makes an image of the host's that was never made: of a kernel that came since.
fn is_new(inputs: &Inputs<'_>, build: &Step) -> bool {
    let Action::Rebuild { outputs, .. } = &build.action else { return false };
    outputs.iter().any(|image| !inputs.ours.copies.contains(image))
}

/// Whether it makes one anew whose kernel lost its modules.
fn is_lost(inputs: &Inputs<'_>, build: &Step) -> bool {
    let Action::Rebuild { outputs, .. } = &build.action else { return false };
    outputs.iter().any(|image| inputs.target.without_modules.contains(image.as_str()))
}

/// The copy that a step keeps.
fn copy(step: &Step) -> Option<&TargetPath> {
    match &step.action {
        Action::CopyFile { path, .. } => Some(path),
        _ => None,
    }
}

/// Takes back what earlier applies wrote for loaders and what is written no more: the twin of an
/// entry that is gone, a default that is not wanted.
fn retire_stale(inputs: &Inputs<'_>, written: &[Step], draft: &mut Draft) {
    let is_written =
        |path: &TargetPath| written.iter().any(|step| step.action.path().is_some_and(|other| other == path));
    let stale: Vec<&TargetPath> =
        inputs.ours.files.keys().filter(|path| bootloader::is_for_host(path) && !is_written(path)).collect();
    for path in stale {
        retire::one(inputs, path.as_str(), draft);
    }
}

/// The steps that make menus anew because a file of their loader changes, or because they are due.
pub(super) fn rebuilds(inputs: &Inputs<'_>, draft: &Draft) -> Vec<Step> {
    let target = inputs.target;
    let concerns = |loader: &dyn Bootloader| {
        // What it would edit is what its menu is made from.
        let edited = loader.steps(target, &Parameters::default()).unwrap_or_default();
        let paths: Vec<&str> = edited.iter().filter_map(|step| Some(step.action.path()?.as_str())).collect();
        draft.changes(|path| paths.contains(&path) || loader.is_made_from(path))
    };
    let here = bootloader::ALL.iter().filter(|loader| loader.detect(target).is_some());
    here.filter_map(|loader| {
        loader.rebuild(target).filter(|rebuild| concerns(*loader) || is_due(inputs, rebuild))
    })
    .collect()
}

/// Those of the parameters that no file had before us: only they are ours, and only they go when
/// they are wanted no more. One that some file had is somebody's, and stays everywhere. What was ours
/// stays ours: a file that came since (the entry of a new kernel) got it from one of ours.
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
    let stood =
        |token: &str, text: &&str| command_line::words(text).any(|word| command_line::has(word, token));
    let is_ours = |token: &&String| {
        inputs.ours.tokens.contains(token) || !originals.iter().any(|text| stood(token, text))
    };
    parameters.set.iter().filter(is_ours).cloned().collect()
}

/// What our parameters had displaced comes back when they go, where all files agree on it.
fn with_displaced(inputs: &Inputs<'_>, parameters: &Parameters) -> Parameters {
    let mut parameters = parameters.clone();
    let originals: Vec<&str> = inputs.ours.files.values().filter_map(|own| own.original.text()).collect();
    let mut back: Vec<String> =
        originals.iter().flat_map(|text| displaced(text, &parameters.remove)).collect();
    back.sort_unstable();
    back.dedup();
    let key = |token: &str| token.split('=').next().unwrap_or_default().to_owned();
    let agreed =
        back.iter().filter(|token| back.iter().filter(|other| key(other) == key(token)).count() == 1);
    parameters.set.extend(agreed.cloned());
    parameters
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
