//! systemd-boot: `options` of type 1 entries, and `/etc/kernel/cmdline` for those that are made
//! from it.

use super::{Bootloader, LoaderError, Parameters, keeps_root};
use crate::facts::Target;
use crate::facts::target::BootMount;
use crate::id::TargetPath;
use crate::policy::{Code, Finding, KILL_SWITCH, Severity};
use crate::step::{FileState, Step};
use crate::text::{TextError, command_line, kernel_cmdline, loader_entry};

const CMDLINE: &str = "/etc/kernel/cmdline";

/// systemd-boot with type 1 entries.
pub(super) struct SystemdBoot;

impl Bootloader for SystemdBoot {
    fn name(&self) -> &'static str {
        "systemd-boot"
    }

    fn detect(&self, target: &Target) -> Option<String> {
        let mount = target.boot_mounts.iter().find(|mount| mount.has_systemd_boot)?;
        let has_entries = entries(target).next().is_some();
        (has_entries || target.text(CMDLINE).is_some()).then(|| format!("it is installed in {}", mount.path))
    }

    fn steps(&self, target: &Target, parameters: &Parameters) -> Result<Vec<Step>, LoaderError> {
        let mut steps = Vec::new();
        if let (Ok(path), Some(text)) = (CMDLINE.parse::<TargetPath>(), target.text(CMDLINE)) {
            steps.push(cmdline(&path, text, target.state(&path), parameters)?);
        }
        for (path, state, text) in entries(target).filter(|(.., text)| is_this_system(target, text)) {
            steps.push(entry(path, text, state, parameters)?);
        }
        Ok(steps)
    }

    fn rebuild(&self, _: &Target) -> Option<Step> {
        None
    }

    fn findings(&self, target: &Target) -> Vec<Finding> {
        let foreign = entries(target).filter(|(.., text)| !is_this_system(target, text));
        foreign
            .map(|(path, ..)| {
                Finding::new(
                    Code::OtherLoader,
                    Severity::Info,
                    format!("{path} does not boot this system, and it is left alone"),
                    "nothing to do",
                )
                .in_file(path.as_str())
            })
            .collect()
    }
}

/// The entries on every boot partition, with what stands in them.
fn entries(target: &Target) -> impl Iterator<Item = (&TargetPath, &FileState, &str)> {
    target.boot_mounts.iter().flat_map(move |mount| {
        let directory = format!("{}/loader/entries", mount.path);
        target
            .files
            .iter()
            .filter(move |(path, _)| path.parent() == directory)
            .filter_map(|(path, state)| Some((path, state, state.text()?)))
    })
}

/// Whether an entry boots this system: a shared ESP also holds those of others.
///
/// It does when it bears this system's machine id, or its root is this one's; where fstab does not
/// tell, when its kernel lies beside it. An entry with the kill switch is somebody's way back.
fn is_this_system(target: &Target, text: &str) -> bool {
    let entry = loader_entry::Entry::parse(text);
    let options = entry.options();
    let Some(linux) = entry.linux() else { return false };
    if command_line::has(&options, KILL_SWITCH) {
        return false;
    }
    let machine_id = target.text("/etc/machine-id").map(str::trim).filter(|id| id.len() == 32);
    if let (Some(mine), Some(theirs)) = (machine_id, entry.machine_id()) {
        return mine == theirs;
    }
    if machine_id.is_some_and(|id| linux.contains(id)) {
        return true;
    }
    let name = linux.rsplit('/').next().unwrap_or_default();
    let beside = |mount: &BootMount| mount.kernels.iter().any(|kernel| kernel == name);
    let depth = linux.trim_start_matches('/').matches('/').count();
    let kernel_is_here = depth == 0 && target.boot_mounts.iter().any(beside);
    // Calamares 3.2 copies the kernel into a folder named after the distribution; its `root=` tells.
    root_agrees(target, &options).unwrap_or(kernel_is_here)
}

/// Whether `root=` names what fstab mounts at `/`; `None` where either does not tell.
fn root_agrees(target: &Target, options: &str) -> Option<bool> {
    let fstab = target.text("/etc/fstab").unwrap_or_default();
    let mounted = fstab.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let (device, place) = (fields.next()?, fields.next()?);
        (place == "/" && !device.starts_with('#')).then_some(device)
    });
    let named = command_line::value(options, "root").flatten();
    let same_kind =
        |a: &str, b: &str| a.split('=').next() == b.split('=').next() && a.contains('=') && b.contains('=');
    match (mounted, named) {
        (Some(mounted), Some(named)) if same_kind(mounted, named) => {
            Some(mounted.eq_ignore_ascii_case(named))
        }
        _ => None,
    }
}

fn cmdline(
    path: &TargetPath,
    text: &str,
    before: &FileState,
    parameters: &Parameters,
) -> Result<Step, LoaderError> {
    let unusable = |problem: TextError| LoaderError::Unusable { path: path.clone(), problem };
    let kept = kernel_cmdline::remove_parameters(text, &parameters.remove);
    let after = kernel_cmdline::set_parameters(&kept, &parameters.set).map_err(unusable)?;
    keeps_root(path, &kernel_cmdline::command_line(text), &kernel_cmdline::command_line(&after))?;
    Ok(Step::write(
        "kernel-cmdline",
        "Set the kernel parameters for entries to come",
        "kernel-install makes the entries of new kernels from this file",
        path.clone(),
        before,
        after,
    ))
}

fn entry(
    path: &TargetPath,
    text: &str,
    before: &FileState,
    parameters: &Parameters,
) -> Result<Step, LoaderError> {
    let unusable = |problem: TextError| LoaderError::Unusable { path: path.clone(), problem };
    let kept = loader_entry::remove_parameters(text, &parameters.remove);
    let after = loader_entry::set_parameters(&kept, &parameters.set).map_err(unusable)?;
    let options = |text: &str| loader_entry::Entry::parse(text).options();
    keeps_root(path, &options(text), &options(&after))?;
    Ok(Step::write(
        &format!("entry-{}", path.file_name()),
        "Set the kernel parameters of a boot entry",
        "systemd-boot hands this line to the kernel",
        path.clone(),
        before,
        after,
    ))
}
