//! systemd-boot: `options` of type 1 entries, and `/etc/kernel/cmdline` for those that are made
//! from it.

mod host_entries;
pub(super) mod once;
mod outranked;

pub(super) use host_entries::{dead, default_step};

use super::lines::of_kernel_cmdline;
use super::this_system::{is_way_back, root_agrees};
use super::{
    Bootloader, CommandLine, KERNEL_CMDLINE, LoaderError, Once, Parameters, keeps_root, kernel_cmdline_step,
};
use crate::facts::target::BootMount;
use crate::facts::{Running, Target};
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Severity};
use crate::step::{FileState, Step};
use crate::text::{TextError, command_line, loader_entry, sdboot_manage};

/// `sdboot-manage` (of `CachyOS`) makes entries anew, for every kernel, from this file and its drop-ins.
const SDBOOT_MANAGE: &str = "/etc/sdboot-manage.conf";
const SDBOOT_MANAGE_DROP_INS: &str = "/etc/sdboot-manage.conf.d";

/// systemd-boot with type 1 entries.
pub(super) struct SystemdBoot;

impl Bootloader for SystemdBoot {
    fn name(&self) -> &'static str {
        once::LOADER
    }

    fn detect(&self, target: &Target) -> Option<String> {
        let mount = target.boot_mounts.iter().find(|mount| mount.has_systemd_boot)?;
        let has_entries = entries(target).next().is_some();
        (has_entries || target.text(KERNEL_CMDLINE).is_some())
            .then(|| format!("it is installed in {}", mount.path))
    }

    fn steps(&self, target: &Target, parameters: &Parameters) -> Result<Vec<Step>, LoaderError> {
        let mut steps = Vec::new();
        steps.extend(kernel_cmdline_step(target, parameters)?);
        for (path, state, text) in entries(target).filter(|(.., text)| is_this_system(target, text)) {
            steps.push(entry(path, text, state, parameters)?);
        }
        steps.extend(sdboot_manage_step(target, parameters)?);
        if let Some(host) = &parameters.host {
            steps.extend(host_entries::steps(target, host)?);
        }
        Ok(steps)
    }

    fn command_lines(&self, target: &Target) -> Vec<CommandLine> {
        let mut lines: Vec<CommandLine> = of_kernel_cmdline(target).into_iter().collect();
        lines.extend(
            entries(target).filter(|(.., text)| is_this_system(target, text)).map(|(path, _, text)| {
                CommandLine::of_file(path, loader_entry::Entry::parse(text).options())
            }),
        );
        lines.extend(sdboot_manage_line(target));
        lines
    }

    fn rebuild(&self, _: &Target) -> Option<Step> {
        None
    }

    fn outranked(&self, target: &Target, running: &Running, host_is_default: bool) -> Option<Finding> {
        outranked::finding(target, running, host_is_default)
    }

    fn once(&self, target: &Target, running: &Running) -> Result<Once, String> {
        once::entry(target, running).map(|entry| once::once(&entry))
    }

    fn once_for(&self, entry: &str) -> Option<Once> {
        Some(once::once(entry))
    }

    fn has_entries(&self, target: &Target) -> bool {
        entries(target).any(|(.., text)| is_this_system(target, text))
    }

    fn findings(&self, target: &Target) -> Vec<Finding> {
        let foreign = entries(target)
            .filter(|(path, _, text)| !is_this_system(target, text) && !host_entries::is_ours(path));
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
            .chain(host_entries::hidden_menu(target))
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

/// Entries for a version of a kernel that is gone, with the version: nothing ran kernel-install when
/// the kernel was updated.
pub(super) fn left_behind(target: &Target) -> Vec<(&TargetPath, &str)> {
    let of_this_system = entries(target).filter(|(.., text)| is_this_system(target, text));
    let made_for = of_this_system.filter_map(|(path, _, text)| {
        let entry = loader_entry::Entry::parse(text);
        entry.machine_id().and(entry.value("version")).map(|version| (path, version))
    });
    made_for.filter(|(_, version)| target.kernels.iter().all(|kernel| kernel.release != *version)).collect()
}

/// Whether an entry boots this system: a shared ESP also holds those of others.
///
/// It does when it bears this system's machine id, or its root is this one's; where fstab does not
/// tell, when its kernel lies beside it. An entry with the kill switch is somebody's way back.
fn is_this_system(target: &Target, text: &str) -> bool {
    let entry = loader_entry::Entry::parse(text);
    let options = entry.options();
    let Some(linux) = entry.linux() else { return false };
    if is_way_back(&options) {
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

/// The options from which `sdboot-manage` makes the entries of kernels to come.
fn sdboot_manage_step(target: &Target, parameters: &Parameters) -> Result<Option<Step>, LoaderError> {
    let (Ok(path), Some(text)) = (SDBOOT_MANAGE.parse::<TargetPath>(), target.text(SDBOOT_MANAGE)) else {
        return Ok(None);
    };
    if !target.has("/usr/bin/sdboot-manage") {
        return Ok(None);
    }
    let unusable = |problem: TextError| LoaderError::Unusable { path: path.clone(), problem };
    let kept = sdboot_manage::remove_parameters(text, &parameters.remove).map_err(unusable)?;
    let after = sdboot_manage::set_parameters(&kept, &parameters.set).map_err(unusable)?;
    let after = with_kept_entries(target, &path, after, parameters)?;
    for (drop_in, state) in target.in_directory(SDBOOT_MANAGE_DROP_INS) {
        let whole = format!("{after}\n{}\n", state.text().unwrap_or_default());
        let options = sdboot_manage::options(&whole)
            .map_err(|problem| LoaderError::Unusable { path: drop_in.clone(), problem })?;
        if let Some(host) = &parameters.host
            && let Some(name) = sdboot_manage::not_kept(&whole, host.is_default)
                .map_err(|problem| LoaderError::Unusable { path: drop_in.clone(), problem })?
        {
            return Err(LoaderError::ByHand {
                path: drop_in.to_string(),
                why: format!(
                    "it sets {name} anew behind {SDBOOT_MANAGE}, so a new kernel would undo what is done for \
                     the entry without passthrough"
                ),
                what: format!("take {name} out of it"),
            });
        }
        if let Some(token) = parameters.set.iter().find(|token| !command_line::has(options.known(), token)) {
            return Err(LoaderError::ByHand {
                path: drop_in.to_string(),
                why: format!("it sets LINUX_OPTIONS anew behind {SDBOOT_MANAGE}, so `{token}` would be lost"),
                what: "let it add to the variable: LINUX_OPTIONS=\"$LINUX_OPTIONS ...\"".to_owned(),
            });
        }
    }
    Ok(Some(Step::write(
        "sdboot-manage",
        "Set the kernel parameters for entries to come",
        "sdboot-manage makes the entries anew for every kernel, from this file",
        path.clone(),
        target.state(&path),
        after,
    )))
}

/// Those options as they stand, as far as that can be told without bash.
fn sdboot_manage_line(target: &Target) -> Option<CommandLine> {
    let path: TargetPath = SDBOOT_MANAGE.parse().ok().filter(|_| target.has("/usr/bin/sdboot-manage"))?;
    let mut whole = target.text(SDBOOT_MANAGE)?.to_owned();
    let mut files = vec![&path];
    for (drop_in, state) in target.in_directory(SDBOOT_MANAGE_DROP_INS) {
        let with = format!("{whole}\n{}\n", state.text().unwrap_or_default());
        // One that cannot be read is refused by whoever plans the edit.
        if sdboot_manage::options(&with).is_ok() {
            whole = with;
            files.push(drop_in);
        }
    }
    let options = sdboot_manage::options(&whole).ok()?;
    CommandLine::of_files(files, options.known().to_owned())
}

/// The settings under which `sdboot-manage` leaves the host entries alone.
fn with_kept_entries(
    target: &Target,
    path: &TargetPath,
    text: String,
    parameters: &Parameters,
) -> Result<String, LoaderError> {
    let Some(host) = &parameters.host else { return Ok(text) };
    let unusable = |problem: TextError| LoaderError::Unusable { path: path.clone(), problem };
    let original = host.originals.get(path).map(String::as_str).or_else(|| target.text(SDBOOT_MANAGE));
    let without = sdboot_manage::unkeep_foreign(&text, original.unwrap_or_default()).map_err(unusable)?;
    sdboot_manage::keep_foreign(&without, host.is_default).map_err(unusable)
}
