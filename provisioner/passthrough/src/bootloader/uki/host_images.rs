//! The host's unified kernel images: a preset of their own beside every preset that builds one.
//!
//! A preset of its own and not one more name in the kernel's: mkinitcpio's package hook builds what
//! belongs to the kernel that changed, so the host's image keeps the kernel that it was built with.

use std::fmt::Write as _;

use super::{LoaderError, PRESETS, kept, names_root, once, presets, sources};
use crate::bootloader::host_entry::{self, HostEntry};
use crate::bootloader::keeps_root;
use crate::facts::Target;
use crate::id::TargetPath;
use crate::step::{Step, file_head};
use crate::text::mkinitcpio_preset::{CommandLineUse, Image, Presets};
use crate::text::{TextError, kernel_cmdline};

const PREFIX: &str = "/etc/mkinitcpio.d/neuron-host-";
pub(super) const COMMAND_LINE: &str = "/etc/neuron/host-cmdline";
pub(super) const OS_RELEASE: &str = "/etc/neuron/host-os-release";
/// What a system without a name of its own is called.
const NAMELESS: &str = "Linux";

/// Whether a preset builds an image of the host's.
pub(super) fn is_ours(path: &TargetPath) -> bool {
    path.as_str().starts_with(PREFIX)
}

/// The preset that one of ours stands beside.
pub(super) fn beside(ours: &TargetPath) -> Option<String> {
    ours.as_str().strip_prefix(PREFIX).map(|name| format!("{PRESETS}/{name}"))
}

/// The image of a preset that the host's is the twin of, and where its command line comes from.
pub(super) fn twin(presets: &Presets) -> Result<Option<(CommandLineUse, Image)>, TextError> {
    let Some(used) = presets.command_lines()?.into_iter().next() else { return Ok(None) };
    let image = presets.images().into_iter().find(|image| image.preset == used.preset && image.unified);
    Ok(image.map(|image| (used, image)))
}

/// Where the host's image lies that stands beside this one.
pub(super) fn place(beside: &TargetPath, image: &str) -> Option<String> {
    let stem = beside.file_name().strip_suffix(".preset")?;
    let (folder, _) = image.rsplit_once('/')?;
    Some(format!("{folder}/{}-{stem}.efi", host_entry::NAME))
}

/// The images that the host's stand beside, by their names.
pub(super) fn twins(target: &Target) -> Vec<String> {
    let image = |(_, presets): (&TargetPath, Presets)| {
        let (_, image) = twin(&presets).ok()??;
        image.path.rsplit('/').next().map(str::to_owned)
    };
    presets(target).filter_map(image).collect()
}

/// The images that the presets of the host's build.
pub(super) fn made(target: &Target) -> Vec<TargetPath> {
    let image = |(path, presets): (&TargetPath, Presets)| {
        let (_, image) = twin(&presets).ok()??;
        place(path, &image.path)?.parse().ok()
    };
    presets(target).filter_map(image).collect()
}

/// The steps that have mkinitcpio build the host's images.
pub(super) fn steps(target: &Target, host: &HostEntry) -> Result<Vec<Step>, LoaderError> {
    let (mut steps, mut is_default) = (Vec::new(), None);
    for (path, presets) in presets(target) {
        let unusable = |problem| LoaderError::Unusable { path: path.clone(), problem };
        let Some((used, image)) = twin(&presets).map_err(unusable)? else { continue };
        let used = &used;
        let line = command_line(target, path, used, host)?;
        steps.extend(preset(target, path, &presets, used, &image.path));
        if let (true, Ok(path)) = (steps.len() == 1, COMMAND_LINE.parse::<TargetPath>()) {
            let text =
                format!("{}{line}\n", file_head("the command line of images without GPU passthrough."));
            steps.push(host_entry::step("host-cmdline", path.clone(), target.state(&path), text));
            steps.extend(os_release(target));
        }
        let Some(own) = place(path, &image.path) else { continue };
        steps.extend(kept::step(target, host, &image.path, &own));
        if host.is_default {
            is_default.get_or_insert(own);
        }
    }
    if let Some(image) = is_default {
        steps.push(once::default_step(target, &image)?);
    }
    Ok(steps)
}

/// The original command line of a preset's image and the switches.
fn command_line(
    target: &Target,
    beside: &TargetPath,
    used: &CommandLineUse,
    host: &HostEntry,
) -> Result<String, LoaderError> {
    let (files, _) = sources(target, beside, used)?;
    let all: Vec<String> = files.iter().map(|(_, text)| kernel_cmdline::command_line(text)).collect();
    let present = all.join(" ");
    let edited = files.iter().find(|(_, text)| names_root(text)).map_or(beside, |(path, _)| *path);
    let line = host.line(&present, edited);
    keeps_root(edited, &present, &line)?;
    Ok(line)
}

fn preset(
    target: &Target,
    beside: &TargetPath,
    presets: &Presets,
    used: &CommandLineUse,
    image: &str,
) -> Option<Step> {
    let stem = beside.file_name().strip_suffix(".preset")?;
    let path: TargetPath = format!("{PREFIX}{stem}.preset").parse().ok()?;
    let image = place(beside, image)?;
    let mut text = file_head("mkinitcpio builds an image without GPU passthrough.");
    if let Some(kernel) = presets.kernel(&used.preset) {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(text, "ALL_kver=\"{kernel}\"");
    }
    let config = presets.configs().ok()?.into_iter().find(|config| config.preset == used.preset);
    if let Some(config) = config {
        let _ = writeln!(text, "ALL_config=\"{}\"", config.path);
    }
    text += "PRESETS=('host')\n";
    let _ = writeln!(text, "host_uki=\"{image}\"");
    let _ = writeln!(text, "host_options=\"--cmdline {COMMAND_LINE} --osrelease {OS_RELEASE}\"");
    let id = format!("host-preset-{stem}");
    Some(host_entry::step(&id, path.clone(), target.state(&path), text))
}

/// What boot menus take an image's name and place from.
fn os_release(target: &Target) -> Option<Step> {
    let path: TargetPath = OS_RELEASE.parse().ok()?;
    let present = target.text("/etc/os-release").or_else(|| target.text("/usr/lib/os-release"))?;
    let value = |key: &str| {
        let line = present.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(line.trim_matches(['"', '\'']).to_owned())
    };
    let name = value("PRETTY_NAME").or_else(|| value("NAME")).unwrap_or_else(|| NAMELESS.to_owned());
    // What menus sort by: behind the image that it stands beside.
    let id = value("IMAGE_ID").or_else(|| value("ID")).unwrap_or_else(|| "linux".to_owned());
    let kept = present.lines().filter(|line| {
        !["PRETTY_NAME=", "IMAGE_ID="].iter().any(|key| line.starts_with(key)) && !line.starts_with('#')
    });
    let mut text = file_head("the name of images without GPU passthrough.");
    text.extend(kept.flat_map(|line| [line, "\n"]));
    // Writing to a string cannot fail.
    let _ = writeln!(text, "PRETTY_NAME=\"{}\"", host_entry::title(&name));
    let _ = writeln!(text, "IMAGE_ID={id}-{}", host_entry::NAME);
    Some(host_entry::step("host-os-release", path.clone(), target.state(&path), text))
}
