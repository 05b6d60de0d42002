//! rEFInd: `refind_linux.conf` beside the kernel, and manual stanzas of `refind.conf`.

use super::host_entry::{self, HostEntry};
use super::this_system::{boots_this_system, is_doubtful};
use super::{Bootloader, LoaderError, Parameters, keeps_root};
use crate::facts::Target;
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Severity};
use crate::step::{FileState, Step};
use crate::text::refind::{self, Format, Options};
use crate::text::{TextError, block};

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
        if let Some((path, ..)) = files(target).next() {
            findings.push(hidden_line(path));
        }
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
    let after = block::remove_block(&after);
    let base = block::remove_block(text);
    for (old, new) in refind::options(&base, format).iter().zip(refind::options(&after, format)) {
        keeps_root(path, old.text, new.text)?;
    }
    let after = match &parameters.host {
        Some(host) => with_host_entry(path, &base, &after, host, chosen)?,
        None => after,
    };
    Ok(Step::write(
        &format!("refind{}", path.as_str().replace('/', "-")),
        "Set the kernel parameters for rEFInd",
        "rEFInd hands the options in this file to the kernel",
        path.clone(),
        before,
        after,
    ))
}

/// The edited text with a twin of the first chosen entry as it stands at `present`: the second one in
/// the menu of a kernel. Neither text has our block.
fn with_host_entry(
    path: &TargetPath,
    present: &str,
    edited: &str,
    host: &HostEntry,
    chosen: impl Fn(&Options<'_>) -> bool,
) -> Result<String, LoaderError> {
    let format = Format::of(path.file_name());
    let (now, then) = (refind::options(present, format), refind::options(edited, format));
    let mut both = now.iter().zip(&then);
    let Some((now, beside)) = both.find(|(one, _)| chosen(one) && !one.is_sub) else {
        return Ok(edited.to_owned());
    };
    if host.is_default && format == Format::Stanzas {
        return Err(LoaderError::ByHand {
            path: path.to_string(),
            why: "an entry of a stanza cannot be the default, so default_entry = \"host\" is not done here"
                .to_owned(),
            what: "leave default_entry out; or give the entry a stanza of its own and name it in default_selection"
                .to_owned(),
        });
    }
    let line = host.line(now.text, path);
    keeps_root(path, now.text, &line)?;
    let label = host_entry::title(beside.label);
    Ok(refind::with_way_back(edited, format, beside, (&label, &line), host.is_default))
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

/// rEFInd shows the lines behind the first one only when asked.
fn hidden_line(path: &TargetPath) -> Finding {
    Finding::new(
        Code::MenuHidden,
        Severity::Info,
        "rEFInd shows the entry without passthrough only behind another key",
        "to see it, mark the entry of this system and press F2 (or Insert, or Tab)",
    )
    .in_file(path.as_str())
}
