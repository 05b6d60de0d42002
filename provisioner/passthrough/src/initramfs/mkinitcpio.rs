//! mkinitcpio: a drop-in that puts vfio-pci first; a marked block where drop-ins are not read.
//!
//! Drop-ins are concatenated behind the main file, sorted by version, and sourced by bash. A
//! configuration that a preset names turns them off, so that file gets the same lines at its end.

use std::fmt::Write as _;

use super::{
    Generator, UnusableFile, entries_of_another, hook_for_kernels, image_of_kernel_install,
    named_by_kernel_install,
};
use crate::facts::Target;
use crate::facts::target::{LIMINE_MKINITCPIO, MKINITCPIO_HOOK, Provides};
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Judgement, Severity};
use crate::step::{Action, FileState, Step, file_head};
use crate::text::mkinitcpio_conf::{self, Form};
use crate::text::mkinitcpio_preset::{ConfigUse, Presets};

mod presets;

use crate::text::{TextError, block};
use presets::images;

const PROGRAM: &str = "/usr/bin/mkinitcpio";
const MAIN: &str = "/etc/mkinitcpio.conf";
const DROP_INS: &str = "/etc/mkinitcpio.conf.d";
const PRESETS: &str = "/etc/mkinitcpio.d";
/// The drop-in; its number puts it behind those that distributions and drivers ship.
const DROP_IN: &str = "/etc/mkinitcpio.conf.d/95-neuron-vfio.conf";
/// The live medium's configuration; in an installed system it asks for hooks that are not there.
const ARCHISO: &str = "archiso";
/// The hook that claims by address, where its package is installed.
const EARLY_HOOK: &str = "neuron-vfio";

/// Whether a build is of presets: which those are is found out when it runs.
pub fn is_of_presets(argv: &[String]) -> bool {
    presets::is_build(argv)
}

/// What builds the presets of today; none where no file of them has a kernel any more.
pub fn of_presets(target: &Target) -> Option<Vec<String>> {
    presets::build(target)
}

/// The generator of Arch Linux.
pub(super) struct Mkinitcpio;

impl Generator for Mkinitcpio {
    fn name(&self) -> &'static str {
        "mkinitcpio"
    }

    fn program(&self) -> &'static str {
        PROGRAM
    }

    fn drop_in(&self) -> &'static str {
        DROP_IN
    }

    fn detect(&self, target: &Target) -> Option<String> {
        target.text(MAIN).map(|_| format!("{MAIN} is there"))
    }

    fn builds(&self, target: &Target) -> Option<String> {
        let own = || target.has(LIMINE_MKINITCPIO).then(|| format!("{LIMINE_MKINITCPIO} is there"));
        hook_for_kernels(target, "mkinitcpio")
            .or_else(|| named_by_kernel_install(target, "mkinitcpio"))
            .or_else(own)
    }

    fn has_early_hook(&self, target: &Target) -> bool {
        target.has(MKINITCPIO_HOOK)
    }

    fn findings(&self, target: &Target) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (path, state) in target.in_directory(DROP_INS) {
            findings.extend(drop_in_conflict(target, path, state.text().unwrap_or_default()));
        }
        for (path, state) in target.in_directory(PRESETS) {
            findings.extend(preset_conflict(path, state.text().unwrap_or_default()));
        }
        findings.extend(entries_of_another(target, self.name(), LIMINE_MKINITCPIO));
        findings
    }

    fn steps(&self, _: &Judgement, target: &Target) -> Result<Vec<Step>, UnusableFile> {
        let mut steps = Vec::new();
        let body = body(target, &[MAIN, DROP_IN])?;
        if body.is_empty() {
            return Ok(steps);
        }
        if let Ok(path) = DROP_IN.parse::<TargetPath>() {
            // Behind a main file without a final newline, the first line would continue its last.
            let text = format!("\n{}{body}", file_head("vfio-pci comes first in every image."));
            steps.push(Step::write(
                "mkinitcpio-drop-in",
                "Put vfio-pci first in the initramfs",
                "vfio-pci must be loaded before any driver of the GPU, so it goes into the image, in front",
                path.clone(),
                target.state(&path),
                text,
            ));
        }
        for (path, named) in configurations(target)? {
            let before = existing(target, &path, &named)?;
            let text = before.text().unwrap_or_default();
            let after = block::append_block(text, &self::body(target, &[path.as_str()])?);
            steps.push(Step::write(
                &format!("mkinitcpio-{}", path.file_name()),
                "Put vfio-pci first in the initramfs of a preset with its own configuration",
                &format!("{} names {path} in line {}, and then no drop-in is read", named.0, named.1.line),
                path,
                before,
                after,
            ));
        }
        Ok(steps)
    }

    fn holds_command_line(&self, target: &Target) -> bool {
        target.has(LIMINE_MKINITCPIO) || images(target).any(|image| image.unified)
    }

    fn rebuild(&self, target: &Target) -> Vec<Step> {
        if target.has(LIMINE_MKINITCPIO) {
            return vec![build_all(target, &["limine-mkinitcpio"])];
        }
        let of_kernel_install: Vec<Step> = target
            .kernels
            .iter()
            .filter_map(|kernel| Some((kernel, image_of_kernel_install(target, &kernel.release)?)))
            .map(|(kernel, image)| build_one(&kernel.release, image))
            .collect();
        // Those of presets first: they are what is built in most systems.
        let has_presets = target.in_directory(PRESETS).next().is_some();
        let of_presets =
            (has_presets || of_kernel_install.is_empty()).then(|| build_all(target, &presets::ALL));
        of_presets.into_iter().chain(of_kernel_install).collect()
    }

    fn kernel_option(&self) -> &'static str {
        "-k"
    }
}

const BECAUSE: &str = "what is loaded first at boot comes out of the image, not off the disk";

fn build_all(target: &Target, argv: &[&str]) -> Step {
    let images = images(target).filter_map(|image| image.path.parse().ok()).collect();
    build("initramfs", "Build the initramfs of every kernel".to_owned(), argv, images)
}

/// An image that no preset names: kernel-install had it built when the kernel came, by the same
/// options (its `50-mkinitcpio.install`), and systemd-boot starts that one.
fn build_one(release: &str, image: &str) -> Step {
    build(
        &format!("initramfs-{release}"),
        format!("Build {image}"),
        &["mkinitcpio", "--nopost", "-k", release, "-g", image],
        image.parse().into_iter().collect(),
    )
}

fn build(id: &str, title: String, argv: &[&str], outputs: Vec<TargetPath>) -> Step {
    Step {
        id: id.to_owned(),
        title,
        because: BECAUSE.to_owned(),
        action: Action::Rebuild {
            argv: argv.iter().map(|&word| word.to_owned()).collect(),
            outputs,
            undo: Vec::new(),
        },
    }
}

/// The lines that put the modules in front. `sources` are the files whose variables they extend.
fn body(target: &Target, sources: &[&str]) -> Result<String, UnusableFile> {
    let modules = modules(target).join(" ");
    let has_hook = target.has(MKINITCPIO_HOOK);
    if modules.is_empty() && !has_hook {
        // Every kernel has vfio-pci built in.
        return Ok(String::new());
    }
    let (mut string_form, mut hooks_form, mut has_modconf) = (false, false, None);
    for (path, text) in read_before(target, sources) {
        // What we wrote ourselves says nothing about the user's files.
        let foreign = block::remove_block(text);
        let assignments = mkinitcpio_conf::assignments(&foreign)
            .map_err(|problem| UnusableFile { path: path.clone(), problem })?;
        for assignment in assignments {
            if assignment.variable == "MODULES" {
                string_form = assignment.form == Form::Text || (string_form && assignment.appends);
                continue;
            }
            hooks_form = assignment.form == Form::Text || (hooks_form && assignment.appends);
            if let Some(hooks) = &assignment.items {
                let here = hooks.iter().any(|hook| hook == "modconf");
                has_modconf = Some(here || (assignment.appends && has_modconf.unwrap_or(false)));
            }
        }
    }
    let mut body = String::new();
    if !modules.is_empty() {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(body, "MODULES=({modules} {})", expansion("MODULES", string_form));
    }
    if has_modconf == Some(false) && !modules.is_empty() {
        // The hook `modconf` would copy modprobe.d; without it the ids have to be brought along.
        body.push_str("FILES+=(/etc/modprobe.d/vfio.conf)\n");
    }
    if has_hook {
        // It claims by address in an early hook, so it may stand anywhere among them.
        let _ = writeln!(body, "HOOKS=({} {EARLY_HOOK})", expansion("HOOKS", hooks_form));
    }
    Ok(body)
}

/// What a variable held before, as words of an array. A string has to be split, else all of it
/// becomes one word.
fn expansion(variable: &str, is_string: bool) -> String {
    let quote = if is_string { "" } else { "\"" };
    format!("{quote}${{{variable}[@]}}{quote}")
}

/// The texts that bash has read when it comes to our lines, in its order.
fn read_before<'a>(target: &'a Target, sources: &[&str]) -> Vec<(&'a TargetPath, &'a str)> {
    let mut read: Vec<(&TargetPath, &str)> = target
        .files
        .iter()
        .filter(|(path, _)| sources.contains(&path.as_str()) && path.as_str() != DROP_IN)
        .filter_map(|(path, state)| Some((path, state.text()?)))
        .collect();
    if sources.contains(&DROP_IN) {
        let mut drop_ins: Vec<_> = target
            .in_directory(DROP_INS)
            .filter(|(path, _)| mkinitcpio_conf::sorts_before(path.file_name(), "95-neuron-vfio.conf"))
            .filter_map(|(path, state)| Some((path, state.text()?)))
            .collect();
        drop_ins.sort_by(|a, b| mkinitcpio_conf::version_order(a.0.file_name(), b.0.file_name()));
        read.extend(drop_ins);
    }
    read
}

/// The modules that the target's own kernels have. What only some of them have is optional
/// (`name?`): `vfio_virqfd` is a module until Linux 6.1.
fn modules(target: &Target) -> Vec<String> {
    ["vfio_pci", "vfio", "vfio_iommu_type1", "vfio_virqfd"]
        .into_iter()
        .filter_map(|module| {
            let having =
                target.kernels.iter().filter(|kernel| kernel.provides(module) == Provides::Module).count();
            match having {
                0 => None,
                all if all == target.kernels.len() => Some(module.to_owned()),
                _ => Some(format!("{module}?")),
            }
        })
        .collect()
}

/// A configuration, the preset file that names it, and where.
type OwnConfiguration = (TargetPath, (TargetPath, ConfigUse));

/// The configurations that active presets name, each once.
fn configurations(target: &Target) -> Result<Vec<OwnConfiguration>, UnusableFile> {
    let mut found: Vec<OwnConfiguration> = Vec::new();
    for (preset, state) in target.in_directory(PRESETS) {
        let unusable = |problem| UnusableFile { path: preset.clone(), problem };
        let parsed = Presets::parse(state.text().unwrap_or_default()).map_err(unusable)?;
        for named in parsed.configs().map_err(unusable)? {
            let path: TargetPath = named.path.parse().map_err(|_| {
                unusable(TextError {
                    line: Some(named.line),
                    value: named.path.clone(),
                    why: "is no absolute path of a configuration".to_owned(),
                })
            })?;
            if !found.iter().any(|(other, _)| *other == path) {
                found.push((path, (preset.clone(), named)));
            }
        }
    }
    Ok(found)
}

fn existing<'a>(
    target: &'a Target,
    path: &TargetPath,
    named: &(TargetPath, ConfigUse),
) -> Result<&'a FileState, UnusableFile> {
    let state = target.state(path);
    if state.text().is_some() {
        return Ok(state);
    }
    Err(UnusableFile {
        path: named.0.clone(),
        problem: TextError {
            line: Some(named.1.line),
            value: path.to_string(),
            why: "is named as configuration, and there is no such text file".to_owned(),
        },
    })
}

fn drop_in_conflict(target: &Target, path: &TargetPath, text: &str) -> Option<Finding> {
    if path.as_str() == DROP_IN {
        return None;
    }
    let assignments = match mkinitcpio_conf::assignments(text) {
        Ok(assignments) => assignments,
        Err(problem) => {
            let hint = "mend the file; mkinitcpio cannot read it either";
            return Some(conflict(path, format!("{path}: {problem}"), hint));
        }
    };
    let live = assignments.iter().find(|assignment| {
        assignment.variable == "HOOKS"
            && assignment.items.iter().flatten().any(|hook| hook.starts_with(ARCHISO))
    });
    if let Some(live) = live {
        let message = format!(
            "{path}, line {}: the live medium's configuration was left behind (hook archiso)",
            live.line
        );
        return Some(conflict(
            path,
            message,
            "remove the file from the target; its hooks are not installed there",
        ));
    }
    let late = mkinitcpio_conf::sorts_before("95-neuron-vfio.conf", path.file_name());
    let resets = |variable: &str| {
        let mut anew = assignments.iter().filter(|one| one.variable == variable && !one.appends && late);
        // What only bash could tell may well keep what was there.
        anew.find(|one| one.items.as_ref().is_some_and(|items| !items.iter().any(|item| item == EARLY_HOOK)))
    };
    let (reset, lost) = match (resets("MODULES"), resets("HOOKS")) {
        (Some(reset), _) => (reset, "vfio-pci"),
        (None, Some(reset)) if target.has(MKINITCPIO_HOOK) => (reset, "the early hook"),
        _ => return None,
    };
    let variable = &reset.variable;
    let message =
        format!("{path}, line {}: sets {variable} anew behind our drop-in, and {lost} is lost", reset.line);
    let hint = format!("write {variable}+=(...) there, or give the file a name that sorts before 95-");
    Some(conflict(path, message, &hint))
}

fn preset_conflict(path: &TargetPath, text: &str) -> Option<Finding> {
    let line = text.lines().position(|line| {
        let line = line.trim_start();
        line.starts_with("PRESETS=") && line.contains(ARCHISO)
    })?;
    let message = format!("{path}, line {}: the live medium's preset was left behind", line + 1);
    Some(conflict(
        path,
        message,
        "put the preset of the kernel's package there; this one builds an image for the medium",
    ))
}

fn conflict(path: &TargetPath, message: String, hint: &str) -> Finding {
    Finding::new(Code::TargetConflict, Severity::Blocker, message, hint).in_file(path.as_str())
}
