//! Unified kernel images that dracut builds (`uefi="yes"`): the command line is `kernel_cmdline`.
//!
//! Source: `dracut.sh`: with nothing in `kernel_cmdline`, the image gets what dracut finds out about
//! this machine, or no command line at all. Something in it is all of it: ours alone would lose the
//! root.

use super::{CommandLine, LoaderError, Parameters, keeps_root, once};
use crate::bootloader::host_entry::{self, switches};
use crate::facts::Target;
use crate::id::TargetPath;
use crate::policy::KILL_SWITCH;
use crate::step::{Action, FileState, Step, file_head};
use crate::text::command_line;
use crate::text::dracut_conf::{self, Held};
use crate::text::mkinitcpio_conf::version_order;

/// People keep theirs in names like `cmdline.conf`, and write `=`: ours has to be read behind them.
const DROP_IN: &str = "/etc/dracut.conf.d/zz-neuron-vfio-cmdline.conf";
const VARIABLE: &str = "kernel_cmdline";
/// How the files of host images begin: what sorts first there boots last where nothing is chosen.
const HOST_IMAGE: &str = "aa-neuron-host-";

pub(super) fn detect(target: &Target) -> Option<String> {
    let files = target.dracut_configuration();
    let sets = |text: &str| {
        let settings = dracut_conf::settings(text).unwrap_or_default();
        settings.iter().any(|setting| setting.variable == "uefi")
    };
    let last = files.iter().rfind(|(_, text)| sets(text)).filter(|_| target.dracut_builds_unified());
    last.map(|(path, _)| format!("{path} has dracut build them"))
}

/// The drop-in that adds the parameters.
pub(super) fn steps(target: &Target, parameters: &Parameters) -> Result<Vec<Step>, LoaderError> {
    if !target.dracut_builds_unified() {
        return Ok(Vec::new());
    }
    let Ok(path) = DROP_IN.parse::<TargetPath>() else { return Ok(Vec::new()) };
    let present = present(target, parameters)?;
    let missing: Vec<String> =
        parameters.set.iter().filter(|token| !command_line::has(&present, token)).cloned().collect();
    let before = target.state(&path);
    let mut steps = Vec::new();
    if parameters.host.as_ref().is_some_and(|host| host.is_default) {
        // Of whatever kernel is there, whoever set the parameters.
        let image = place(&host_folder(target).unwrap_or_default(), "*");
        steps.push(once::default_step(target, &image)?);
    }
    if missing.is_empty() {
        steps.extend(removed(&path, before));
        return Ok(steps);
    }
    check(target, &present, &missing, parameters)?;
    let unusable = |problem| LoaderError::Unusable { path: path.clone(), problem };
    let line = dracut_conf::command_line_unless(KILL_SWITCH, &missing).map_err(unusable)?;
    let text = format!(
        "{}# Not in the image without GPU passthrough, which is built with the switch.\n{line}",
        file_head("kernel parameters of the unified kernel images.")
    );
    steps.insert(
        0,
        Step::write(
            "dracut-cmdline",
            super::TITLE,
            "the command line is part of the image, and dracut takes it from its configuration",
            path.clone(),
            before,
            text,
        ),
    );
    Ok(steps)
}

/// The command line of the images as it stands, ours in it; none where only bash could tell.
pub(super) fn line(target: &Target) -> Option<CommandLine> {
    let files = others(target);
    let Held::Known(line) = dracut_conf::held(files.iter().map(|(_, text)| *text), VARIABLE) else {
        return None;
    };
    let values = |text: &str| -> Vec<String> {
        let all = dracut_conf::settings(text).unwrap_or_default().into_iter();
        all.filter(|one| one.variable == VARIABLE).filter_map(|one| one.value).collect()
    };
    let own = values(target.text(DROP_IN).unwrap_or_default()).join(" ");
    let files = files.into_iter().filter(|(_, text)| !values(text).is_empty()).map(|(path, _)| path);
    CommandLine::of_files(files, format!("{line} {own}")).filter(|_| target.dracut_builds_unified())
}

/// What is in the variable without us; an error where that is not known, or is no command line.
fn present(target: &Target, parameters: &Parameters) -> Result<String, LoaderError> {
    let files = others(target);
    let wanted = parameters.set.join(" ");
    let what = |root: &str| format!("write it as plain text there: {VARIABLE}=\"{root} {wanted}\"");
    match dracut_conf::held(files.iter().map(|(_, text)| *text), VARIABLE) {
        Held::Computed(index, line) => Err(LoaderError::ByHand {
            path: files.get(index).map_or_else(|| DROP_IN.to_owned(), |(path, _)| path.to_string()),
            why: format!("only bash could tell what line {line} makes of {VARIABLE}"),
            what: what("root=... rw"),
        }),
        Held::Known(line) if command_line::value(&line, "root").is_none() => Err(LoaderError::ByHand {
            path: DROP_IN.to_owned(),
            why: format!(
                "no root= stands in dracut's {VARIABLE}, and parameters in it would be the whole command line of \
                 the image"
            ),
            what: format!(
                "put a file into /etc/dracut.conf.d with the system's own command line: {VARIABLE}=\"root=... rw\""
            ),
        }),
        Held::Known(line) => Ok(line),
    }
}

/// Whether the parameters are in force in the end, and the root is still there.
fn check(
    target: &Target,
    present: &str,
    missing: &[String],
    parameters: &Parameters,
) -> Result<(), LoaderError> {
    let ours = format!("{VARIABLE}+=\" {} \"", missing.join(" "));
    let files = others(target);
    let at = files.iter().take_while(|(path, _)| !is_late(path)).count();
    let mut texts: Vec<&str> = files.iter().map(|(_, text)| *text).collect();
    texts.insert(at, &ours);
    let Held::Known(whole) = dracut_conf::held(texts, VARIABLE) else { return Ok(()) };
    let later = files.get(at..).and_then(|later| later.first());
    let path: TargetPath = match later.map_or(DROP_IN.parse(), |(path, _)| Ok((*path).clone())) {
        Ok(path) => path,
        Err(_) => return Ok(()),
    };
    keeps_root(&path, present, &whole)?;
    match parameters.set.iter().find(|token| !command_line::has(&whole, token)) {
        None => Ok(()),
        Some(token) => Err(LoaderError::ByHand {
            path: path.to_string(),
            why: format!("it is read behind {DROP_IN} and undoes `{token}`"),
            what: format!("give the file a name that sorts before zz-, or add `{token}` there"),
        }),
    }
}

/// dracut's files in its order, without ours.
fn others(target: &Target) -> Vec<(&TargetPath, &str)> {
    target.dracut_configuration().into_iter().filter(|(path, _)| path.as_str() != DROP_IN).collect()
}

fn is_late(path: &TargetPath) -> bool {
    let ours = DROP_IN.rsplit('/').next().unwrap_or_default();
    path.as_str() != "/etc/dracut.conf" && crate::text::mkinitcpio_conf::sorts_before(ours, path.file_name())
}

fn removed(path: &TargetPath, before: &FileState) -> Option<Step> {
    (*before != FileState::Absent).then(|| Step {
        id: "dracut-cmdline".to_owned(),
        title: "Take the kernel parameters out of unified kernel images".to_owned(),
        because: "they are not wanted any more".to_owned(),
        action: Action::RemoveFile { path: path.clone(), before: before.clone() },
    })
}

/// The folder that dracut puts its images into, as far as one is there.
fn host_folder(target: &Target) -> Option<String> {
    let mounts = &target.boot_mounts;
    let mount = mounts.iter().find(|mount| !mount.unified_images.is_empty()).or(mounts.first())?;
    Some(format!("{}/EFI/Linux", mount.path))
}

/// Whether dracut builds this image: by itself, `linux-RELEASE-MACHINE...efi`; else the host's.
pub(super) fn is_built(target: &Target, path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let of = |release: &str| {
        let release = release.to_ascii_lowercase();
        name.starts_with(&format!("linux-{release}")) || name == format!("{HOST_IMAGE}{release}.efi")
    };
    target.dracut_builds_unified() && target.kernels.iter().any(|kernel| of(&kernel.release))
}

/// The images with passthrough that are there, by their names: that of the newest kernel first.
pub(super) fn own(target: &Target) -> Vec<String> {
    let all = target.boot_mounts.iter().flat_map(|mount| &mount.unified_images);
    let mut own: Vec<String> =
        all.filter(|name| !name.contains(host_entry::NAME) && is_built(target, name)).cloned().collect();
    own.sort_by(|a, b| version_order(b, a));
    own
}

/// Where the host's image of a kernel lies.
fn place(folder: &str, release: &str) -> String {
    format!("{folder}/{HOST_IMAGE}{release}.efi")
}

/// The host's images that [`host_images`] build.
pub(super) fn made(target: &Target) -> Vec<TargetPath> {
    let Some(folder) = host_folder(target).filter(|_| target.dracut_builds_unified()) else {
        return Vec::new();
    };
    target.kernels.iter().filter_map(|kernel| place(&folder, &kernel.release).parse().ok()).collect()
}

/// An image of every kernel with the original command line and the switches. dracut adds what its
/// own command line says, and [`steps`] sees it there.
pub(super) fn host_images(target: &Target) -> Vec<Step> {
    let (Some(folder), true) = (host_folder(target), target.dracut_builds_unified()) else {
        return Vec::new();
    };
    let held = dracut_conf::held(others(target).into_iter().map(|(_, text)| text), VARIABLE);
    let Held::Known(present) = held else { return Vec::new() };
    let switches = switches(&present).join(" ");
    let build = |release: &str| {
        let image = place(&folder, release);
        let argv =
            ["dracut", "--force", "--kver", release, "--kernel-cmdline", switches.as_str(), image.as_str()];
        Step {
            id: format!("host-image-{release}"),
            title: "Build an image without GPU passthrough".to_owned(),
            because: "whatever goes wrong with passthrough, this image starts the system as it was before"
                .to_owned(),
            action: Action::Rebuild {
                argv: argv.iter().map(|&word| word.to_owned()).collect(),
                outputs: image.parse().into_iter().collect(),
                undo: Vec::new(),
            },
        }
    };
    target.kernels.iter().map(|kernel| build(&kernel.release)).collect()
}
