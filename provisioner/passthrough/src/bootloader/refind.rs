//! rEFInd: `refind_linux.conf` beside the kernel, and manual stanzas of `refind.conf`.

use super::this_system::{boots_this_system, is_doubtful};
use super::{Bootloader, LoaderError, Parameters, keeps_root};
use crate::facts::Target;
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Severity};
use crate::step::{FileState, Step};
use crate::text::TextError;
use crate::text::refind::{self, Format, Options};

/// rEFInd.
pub(super) struct Refind;

impl Bootloader for Refind {
    fn name(&self) -> &'static str {
        "rEFInd"
    }

    fn detect(&self, target: &Target) -> Option<String> {
        files(target).next().map(|(path, ..)| format!("{path} is there"))
    }

    fn steps(&self, target: &Target, parameters: &Parameters) -> Result<Vec<Step>, LoaderError> {
        let mut steps = Vec::new();
        for (path, state, text) in files(target) {
            let format = Format::of(path.file_name());
            let here = kernel_is_beside(target, path);
            let chosen = |one: &Options<'_>| boots_this_system(target, one.text, here);
            if refind::options(text, format).iter().any(chosen) {
                steps.push(step(path, state, text, parameters, chosen)?);
            }
        }
        Ok(steps)
    }

    fn rebuild(&self, _: &Target) -> Option<Step> {
        None
    }

    fn findings(&self, target: &Target) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (path, _, text) in files(target) {
            for one in refind::options(text, Format::of(path.file_name())) {
                if is_doubtful(target, one.text, kernel_is_beside(target, path)) {
                    findings.push(doubt(path, &one));
                }
            }
        }
        findings
    }
}

/// `refind_linux.conf` serves the kernels in its own folder.
fn kernel_is_beside(target: &Target, path: &TargetPath) -> bool {
    let beside = |kernel: &String| kernel.rsplit_once('/').is_some_and(|(folder, _)| folder == path.parent());
    Format::of(path.file_name()) == Format::Linux && target.boot_kernels.iter().any(beside)
}

/// rEFInd's files, with what stands in them.
fn files(target: &Target) -> impl Iterator<Item = (&TargetPath, &FileState, &str)> {
    let names = ["refind_linux.conf", "refind.conf"];
    let ours = move |path: &TargetPath| names.iter().any(|name| path.file_name() == *name);
    target
        .files
        .iter()
        .filter(move |(path, _)| ours(path))
        .filter_map(|(path, state)| Some((path, state, state.text()?)))
}

fn step(
    path: &TargetPath,
    before: &FileState,
    text: &str,
    parameters: &Parameters,
    chosen: impl Fn(&Options<'_>) -> bool,
) -> Result<Step, LoaderError> {
    let format = Format::of(path.file_name());
    let unusable = |problem: TextError| LoaderError::Unusable { path: path.clone(), problem };
    let kept = refind::remove_parameters(text, format, &parameters.remove, &chosen);
    let after = refind::set_parameters(&kept, format, &parameters.set, &chosen).map_err(unusable)?;
    for (old, new) in refind::options(text, format).iter().zip(refind::options(&after, format)) {
        keeps_root(path, old.text, new.text)?;
    }
    Ok(Step::write(
        &format!("refind{}", path.as_str().replace('/', "-")),
        "Set the kernel parameters for rEFInd",
        "rEFInd hands the options in this file to the kernel",
        path.clone(),
        before,
        after,
    ))
}

fn doubt(path: &TargetPath, one: &Options<'_>) -> Finding {
    Finding::new(
        Code::OtherLoader,
        Severity::Warning,
        format!(
            "{path}, line {}: its root is not named as in /etc/fstab, and it is left alone",
            one.line
        ),
        "if it boots this system, name its root as /etc/fstab does, or add the kernel parameters there by hand",
    )
    .in_file(path.as_str())
}
