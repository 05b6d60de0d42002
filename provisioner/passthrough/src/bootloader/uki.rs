//! Unified kernel images that mkinitcpio or dracut builds: the command line is part of the image.
//!
//! Source: `build_uki` in mkinitcpio: `--cmdline` (a file or a folder) or else `/etc/kernel/cmdline`
//! (or that of `/usr/lib`) **and** `/etc/cmdline.d/*.conf`, all of it joined; with neither of them
//! the command line of the running system, in a chroot the installer's.

mod dracut;
mod host_images;
mod kept;
mod menu;
mod once;
mod room;

use super::{Bootloader, CommandLine, KERNEL_CMDLINE, LoaderError, Once, Parameters, keeps_root};
use crate::facts::{Running, Target};
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Severity};
use crate::step::{Action, FileState, Step, file_head};
use crate::text::mkinitcpio_preset::{CommandLineUse, Image, Presets};
use crate::text::{TextError, command_line, kernel_cmdline};

pub(super) use kept::{counterpart, lost};
pub(super) use menu::missing;

const PRESETS: &str = "/etc/mkinitcpio.d";
const SHIPPED: &str = "/usr/lib/kernel/cmdline";
const DROP_INS: &str = "/etc/cmdline.d";
const DROP_IN: &str = "95-neuron-vfio.conf";
const INSTALL_CONF: &str = "/etc/kernel/install.conf";

/// Unified kernel images, whatever starts them.
pub(super) struct UnifiedImages;

impl Bootloader for UnifiedImages {
    fn name(&self) -> &'static str {
        "unified kernel images"
    }

    fn detect(&self, target: &Target) -> Option<String> {
        let built = presets(target)
            .find_map(|(path, presets)| presets.images().iter().any(|image| image.unified).then_some(path));
        built
            .map(|path| format!("{path} builds one"))
            .or_else(|| dracut::detect(target))
            .or_else(|| by_kernel_install(target).then(|| format!("{INSTALL_CONF} asks for them")))
    }

    fn steps(&self, target: &Target, parameters: &Parameters) -> Result<Vec<Step>, LoaderError> {
        let mut steps: Vec<Step> = Vec::new();
        let mut seen: Vec<Option<String>> = Vec::new();
        for (preset, presets) in presets(target) {
            let unusable = |problem| LoaderError::Unusable { path: preset.clone(), problem };
            for used in presets.command_lines().map_err(unusable)? {
                if seen.contains(&used.path) {
                    continue;
                }
                seen.push(used.path.clone());
                for step in sourced(target, preset, &used, parameters)? {
                    if !steps.iter().any(|other| other.action.path() == step.action.path()) {
                        steps.push(step);
                    }
                }
            }
        }
        if let Some(host) = &parameters.host {
            steps.extend(host_images::steps(target, host)?);
        }
        steps.extend(dracut::steps(target, parameters)?);
        if parameters.host.is_some() {
            room::check(target, &self.made_for_host(target))?;
        }
        if steps.is_empty() && by_kernel_install(target) {
            return Err(LoaderError::ByHand {
                path: INSTALL_CONF.to_owned(),
                why: "kernel-install makes unified kernel images (layout=uki), and that is not supported"
                    .to_owned(),
                what: format!(
                    "add `{}` to {KERNEL_CMDLINE} and run kernel-install for every kernel; or let mkinitcpio's \
                     presets (NAME_uki) or dracut itself (uefi=\"yes\") build the images",
                    parameters.set.join(" ")
                ),
            });
        }
        Ok(steps)
    }

    fn command_lines(&self, target: &Target) -> Vec<CommandLine> {
        let mut lines: Vec<CommandLine> = Vec::new();
        for (preset, presets) in presets(target) {
            for used in presets.command_lines().unwrap_or_default() {
                lines.extend(line(target, preset, &used).filter(|line| !lines.contains(line)));
            }
        }
        lines.extend(dracut::line(target));
        lines
    }

    fn rebuild(&self, _: &Target) -> Option<Step> {
        // The generator builds them, once, when a command line of theirs has changed.
        None
    }

    fn host_images(&self, target: &Target) -> Vec<Step> {
        kept::stale(target).map(kept::Stale::build).chain(dracut::host_images(target)).collect()
    }

    fn once(&self, target: &Target, running: &Running) -> Result<Once, String> {
        once::entry(target, running)
    }

    fn made_for_host(&self, target: &Target) -> Vec<TargetPath> {
        let mut made = host_images::made(target);
        made.extend(dracut::made(target));
        made
    }

    fn findings(&self, target: &Target) -> Vec<Finding> {
        let of_presets = host_images::made(target).into_iter();
        let of_presets = of_presets.filter(|image| !kept::is_kept(target, image.as_str())).map(|image| {
            let Some((mount, free)) = kept::full(target, image.as_str()) else {
                let when = "no copy of it is kept until a boot with passthrough was good";
                return no_copies(&image, when);
            };
            let why = format!("there is no room for a copy of it: {mount} has only {} MiB free", free >> 20);
            let mut found = no_copies(&image, &why);
            found.hint =
                format!("make room in {mount}: the next boot with passthrough that is good keeps a copy");
            found
        });
        let when = "no copy of an earlier one is kept: the command line is part of an image";
        of_presets.chain(dracut::made(target).iter().map(|image| no_copies(image, when))).take(1).collect()
    }
}

/// A copy of the other image would carry the command line with passthrough.
fn no_copies(image: &TargetPath, when: &str) -> Finding {
    Finding::new(
        Code::NoCopies,
        Severity::Info,
        format!(
            "the image without passthrough, {image}, is built by the program that builds the others, and {when}"
        ),
        "where a build goes wrong, mend it before the next reboot",
    )
    .in_file(image.as_str())
}

/// Every preset, those of the host's images left out.
fn presets(target: &Target) -> impl Iterator<Item = (&TargetPath, Presets)> {
    all_presets(target).filter(|(path, _)| !host_images::is_ours(path))
}

fn all_presets(target: &Target) -> impl Iterator<Item = (&TargetPath, Presets)> {
    target.in_directory(PRESETS).filter_map(|(path, state)| Some((path, Presets::parse(state.text()?).ok()?)))
}

fn by_kernel_install(target: &Target) -> bool {
    let text = target.text(INSTALL_CONF).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.trim().split_once('='))
        .any(|(key, value)| (key, value) == ("layout", "uki"))
}

/// Whether a preset, or dracut, builds this image. FAT ignores case, and a preset may name the ESP by another
/// of its mount points.
pub(super) fn is_built(target: &Target, path: &str) -> bool {
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    dracut::is_built(target, path)
        || kept::is_copy(target, path)
        || all_presets(target).any(|(_, presets)| {
            presets.images().iter().any(|image| image.unified && name(&image.path) == name(path))
        })
}

/// Files with their texts, in order, and the folder that a drop-in beside them goes to.
type Sources<'a> = (Vec<(&'a TargetPath, &'a str)>, Option<String>);

/// The files that make one command line, in order, without ours; and the folder for one of ours.
fn sources<'a>(
    target: &'a Target,
    preset: &TargetPath,
    used: &CommandLineUse,
) -> Result<Sources<'a>, LoaderError> {
    let is_ours = |path: &TargetPath| path.file_name() == DROP_IN;
    let within = |folder: &str| -> Vec<(&TargetPath, &str)> {
        let inside = target.files.iter().filter(|(path, _)| path.parent() == folder && !is_ours(path));
        inside.filter_map(|(path, state)| Some((path, state.text()?))).collect()
    };
    let file = |name: &str| {
        let found = target.files.iter().find(|(path, _)| path.as_str() == name);
        found.and_then(|(path, state)| Some((path, state.text()?)))
    };
    let Some(named) = &used.path else {
        let mut all: Vec<_> = file(KERNEL_CMDLINE).or_else(|| file(SHIPPED)).into_iter().collect();
        all.extend(within(DROP_INS));
        return Ok((all, Some(DROP_INS.to_owned())));
    };
    if let Some(found) = file(named) {
        return Ok((vec![found], None));
    }
    let inside = within(named);
    if inside.is_empty() {
        let why = "is named as the command line, and there is no such text file".to_owned();
        let problem = TextError { line: Some(used.line), value: named.clone(), why };
        return Err(LoaderError::Unusable { path: preset.clone(), problem });
    }
    Ok((inside, Some(named.clone())))
}

/// One command line as it stands, ours in it.
fn line(target: &Target, preset: &TargetPath, used: &CommandLineUse) -> Option<CommandLine> {
    let (mut files, folder) = sources(target, preset, used).ok()?;
    // The one that is edited comes first.
    files.sort_by_key(|(_, text)| !names_root(text));
    let own: Option<TargetPath> = folder.and_then(|folder| format!("{folder}/{DROP_IN}").parse().ok());
    let own = own.as_ref().and_then(|path| Some((path, target.text(path.as_str())?)));
    let all: Vec<(&TargetPath, &str)> = files.into_iter().chain(own).collect();
    let texts: Vec<String> = all.iter().map(|(_, text)| kernel_cmdline::command_line(text)).collect();
    CommandLine::of_files(all.iter().map(|(path, _)| *path), texts.join(" "))
}

/// The steps for one command line: an edit of the file that names the root, or a drop-in beside it
/// where that file is the distribution's.
fn sourced(
    target: &Target,
    preset: &TargetPath,
    used: &CommandLineUse,
    parameters: &Parameters,
) -> Result<Vec<Step>, LoaderError> {
    let (files, folder) = sources(target, preset, used)?;
    let Some((path, text)) = files.iter().copied().find(|(_, text)| names_root(text)) else {
        return Err(without_root(&files, used, parameters));
    };
    let edits_in_place = !path.as_str().starts_with("/usr/");
    let unusable = |problem: TextError| LoaderError::Unusable { path: path.clone(), problem };
    let others: Vec<&str> = files.iter().filter(|(other, _)| *other != path).map(|(_, text)| *text).collect();
    let kept = kernel_cmdline::remove_parameters(text, &parameters.remove);
    let joined = |own: &str| {
        let all = std::iter::once(own).chain(others.iter().copied());
        all.map(kernel_cmdline::command_line).collect::<Vec<_>>().join(" ")
    };
    let known = joined(&kept);
    let missing: Vec<String> =
        parameters.set.iter().filter(|token| !command_line::has(&known, token)).cloned().collect();
    let after = if edits_in_place {
        kernel_cmdline::set_parameters(&kept, &missing).map_err(unusable)?
    } else {
        text.to_owned()
    };
    let drop_in = if edits_in_place { String::new() } else { missing.join(" ") };
    let whole = format!("{} {drop_in}", joined(&after));
    keeps_root(path, &joined(text), &whole)?;
    if let Some(token) = parameters.set.iter().find(|token| !command_line::has(&whole, token)) {
        return Err(LoaderError::ByHand {
            path: path.to_string(),
            why: format!("another file of the same command line undoes `{token}`"),
            what: format!("take what contradicts it out of {}", list(&files)),
        });
    }
    let mut steps = vec![Step::write(
        &if path.as_str() == KERNEL_CMDLINE {
            "kernel-cmdline".to_owned()
        } else {
            format!("unified-{}", path.file_name())
        },
        TITLE,
        "the command line is part of the image, and mkinitcpio takes it from this file",
        path.clone(),
        target.state(path),
        after,
    )];
    if let Some(folder) = folder {
        steps.extend(own_drop_in(target, &folder, &drop_in));
    }
    Ok(steps)
}

fn names_root(text: &str) -> bool {
    command_line::value(&kernel_cmdline::command_line(text), "root").is_some()
}

const TITLE: &str = "Set the kernel parameters for unified kernel images";

fn own_drop_in(target: &Target, folder: &str, tokens: &str) -> Option<Step> {
    let path: TargetPath = format!("{folder}/{DROP_IN}").parse().ok()?;
    let before = target.state(&path);
    let id = format!("unified-{DROP_IN}");
    if !tokens.is_empty() {
        let text = format!("{}{tokens}\n", file_head("kernel parameters of the unified kernel images."));
        let because = "mkinitcpio adds the drop-ins to the command line that it puts into the image";
        return Some(Step::write(&id, TITLE, because, path.clone(), before, text));
    }
    (*before != FileState::Absent).then(|| Step {
        id,
        title: "Take the kernel parameters out of unified kernel images".to_owned(),
        because: "they are not wanted any more".to_owned(),
        action: Action::RemoveFile { path: path.clone(), before: before.clone() },
    })
}

fn list(files: &[(&TargetPath, &str)]) -> String {
    files.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>().join(", ")
}

/// A drop-in alone would be the whole command line, and without any file it is the running
/// system's: neither boots this one.
fn without_root(
    files: &[(&TargetPath, &str)],
    used: &CommandLineUse,
    parameters: &Parameters,
) -> LoaderError {
    let place = used.path.clone().unwrap_or_else(|| KERNEL_CMDLINE.to_owned());
    let why = if files.is_empty() {
        "it is not there, so the image would get the command line of the system that builds it".to_owned()
    } else {
        format!("no root= stands in {}, and that is the whole command line of the image", list(files))
    };
    LoaderError::ByHand {
        path: place.clone(),
        why,
        what: format!("write the system's command line there: root=... rw {}", parameters.set.join(" ")),
    }
}
