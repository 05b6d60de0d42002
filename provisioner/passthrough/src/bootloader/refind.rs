//! rEFInd: `refind_linux.conf` beside the kernel, and manual stanzas of `refind.conf`.

use super::host_entry::{self, HostEntry};
use super::kept::{self, Kept};
use super::this_system::{boots_this_system, is_doubtful};
use super::{Bootloader, CommandLine, LoaderError, Parameters, keeps_root};
use crate::facts::Target;
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Severity};
use crate::step::{FileState, Step};
use crate::text::refind::{self, Format, Options, WayBack};
use crate::text::{TextError, block, command_line};

/// Where what rEFInd calls a volume may be mounted.
const VOLUMES: [&str; 4] = ["", "/boot", "/boot/efi", "/efi"];

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
                let kept = kept(target, text, format, parameters, chosen);
                let step = step(path, state, text, parameters, &kept, chosen)?;
                // What is started comes before who starts it.
                steps.extend(kept.steps);
                steps.push(step);
            }
        }
        Ok(steps)
    }

    fn command_lines(&self, target: &Target) -> Vec<CommandLine> {
        let of_file = |(path, _, text): (&TargetPath, &FileState, &str)| {
            let here = kernel_is_beside(target, path);
            let all = refind::options(text, Format::of(path.file_name())).into_iter();
            let chosen = all.filter(|one| boots_this_system(target, one.text, here));
            chosen.map(|one| CommandLine::of_file(path, one.text)).collect::<Vec<_>>()
        };
        files(target).flat_map(of_file).collect()
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
            let format = Format::of(path.file_name());
            let here = kernel_is_beside(target, path);
            let all = refind::options(text, format);
            let first = all.iter().find(|one| !one.is_sub && boots_this_system(target, one.text, here));
            if first.is_some_and(|one| format == Format::Linux || own_files(target, text, one).is_none()) {
                findings.push(no_copies(path, format));
            }
            for one in all {
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
    kept: &Kept,
    chosen: impl Fn(&Options<'_>) -> bool,
) -> Result<Step, LoaderError> {
    let format = Format::of(path.file_name());
    let unusable = |problem: TextError| LoaderError::Unusable { path: path.clone(), problem };
    let without = refind::remove_parameters(text, format, &parameters.remove, &chosen);
    let after = refind::set_parameters(&without, format, &parameters.set, &chosen).map_err(unusable)?;
    let after = block::remove_block(&after);
    let base = block::remove_block(text);
    for (old, new) in refind::options(&base, format).iter().zip(refind::options(&after, format)) {
        keeps_root(path, old.text, new.text)?;
    }
    let after = match &parameters.host {
        Some(host) => with_host_entry(path, (&base, &after), host, kept, chosen)?,
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
    (present, edited): (&str, &str),
    host: &HostEntry,
    kept: &Kept,
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
    let starts = copies(edited, beside, kept);
    let way_back = WayBack { label: &label, line: &line, starts: &starts };
    Ok(refind::with_way_back(edited, format, beside, way_back, host.is_default))
}

/// The files of a boot partition that a stanza starts, and what their paths lack in rEFInd's words: it
/// counts from the volume, which may be mounted anywhere. `None` where that cannot be told.
fn own_files(target: &Target, text: &str, stanza: &Options<'_>) -> Option<(&'static str, Vec<String>)> {
    let started = refind::started(text, stanza);
    let has = |wanted: &str| started.iter().any(|(key, _)| *key == wanted);
    // An image that the options name would stay the other one's, beside a kernel of an earlier build.
    let named = command_line::tokens(stanza.text).filter_map(|token| token.strip_prefix("initrd="));
    if !has("loader") || !has("initrd") || named.into_iter().any(|image| !image.contains("ucode")) {
        return None;
    }
    let within = |prefix: &str| -> Option<Vec<String>> {
        let place = |path: &str| format!("{prefix}/{}", path.trim_start_matches('/'));
        let all: Vec<String> = started.iter().map(|(_, path)| place(path)).collect();
        all.iter().all(|path| target.boot_files.contains_key(path)).then_some(all)
    };
    let mut found = VOLUMES.into_iter().filter_map(|prefix| Some((prefix, within(prefix)?)));
    match (found.next(), found.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

/// The copies that the way back of a stanza starts.
fn kept(
    target: &Target,
    text: &str,
    format: Format,
    parameters: &Parameters,
    chosen: impl Fn(&Options<'_>) -> bool,
) -> Kept {
    let kept = || {
        let host = parameters.host.as_ref().filter(|_| format == Format::Stanzas)?;
        let all = refind::options(text, format);
        let stanza = all.iter().find(|one| chosen(one) && !one.is_sub)?;
        let (_, files) = own_files(target, text, stanza)?;
        let (mount, _) = files.first()?.rsplit_once('/')?;
        let is_beside = |file: &String| file.rsplit_once('/').is_some_and(|(folder, _)| folder == mount);
        files.iter().all(is_beside).then(|| kept::keep(target, host, mount, &files))
    };
    kept().unwrap_or_default()
}

/// What the way back starts, in rEFInd's words: all of it copies, or nothing that is its own.
fn copies(text: &str, stanza: &Options<'_>, kept: &Kept) -> Vec<(&'static str, String)> {
    let named = refind::started(text, stanza).into_iter().map(|(key, path)| {
        let is_it = |original: &str| {
            let rest = original.strip_suffix(path.trim_start_matches('/'))?;
            VOLUMES.contains(&rest.trim_end_matches('/')).then(|| rest.trim_end_matches('/').len())
        };
        // The volume's own part of the path stays, its mount point goes.
        let copy = kept.files().find_map(|(original, copy)| copy.as_str().get(is_it(original)?..));
        (key, copy.map(str::to_owned))
    });
    let named: Vec<(&'static str, Option<String>)> = named.collect();
    named.into_iter().map(|(key, copy)| Some((key, copy?))).collect::<Option<_>>().unwrap_or_default()
}

fn no_copies(path: &TargetPath, format: Format) -> Finding {
    let why = match format {
        Format::Linux => "can name no kernel of its own",
        Format::Stanzas => "does not tell where the kernel and the initramfs of this system lie",
    };
    Finding::new(
        Code::NoCopies,
        Severity::Info,
        format!(
            "{path} {why}, so the entry without passthrough starts the same kernel and initramfs as the other one"
        ),
        "after an update, look whether the images were built before the next reboot; a stanza of refind.conf with \
         loader and initrd on a boot partition gets copies of its own",
    )
    .in_file(path.as_str())
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
