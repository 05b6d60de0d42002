//! dracut: a drop-in that loads vfio-pci before udev starts, and brings along what it needs.
//!
//! Sources: `dracut.sh` (`force_drivers` become `rd.driver.pre=`, loaded in this order), its modules
//! `kernel-modules` and `base`, which copy `/etc/modprobe.d` into images for this machine only.

use std::fmt::Write as _;

use super::{
    Generator, UnusableFile, entries_of_another, hook_for_kernels, image_of_kernel_install,
    named_by_kernel_install,
};
use crate::facts::Target;
use crate::facts::target::{DRACUT_HOOK, Kernel, LIMINE_DRACUT, Provides};
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Judgement, Severity};
use crate::step::{Action, Step, file_head};
use crate::text::dracut_conf::{Held, Setting, settings};
use crate::text::mkinitcpio_conf::sorts_before;

const PROGRAM: &str = "/usr/bin/dracut";
/// The drop-in; its number puts it behind those that distributions and drivers ship.
const DROP_IN: &str = "/etc/dracut.conf.d/95-neuron-vfio.conf";
/// `EndeavourOS` builds by this, to where its boot menu has the images.
const DRACUT_REBUILD: &str = "/usr/bin/dracut-rebuild";
/// The module of dracut's that claims by address, where its package is installed.
const EARLY_HOOK: &str = "neuron-vfio";
const MODULES: [&str; 3] = ["vfio_pci", "vfio", "vfio_iommu_type1"];
/// Modules of dracut's without which nothing of ours would run.
const NEEDED: [&str; 3] = ["base", "kernel-modules", EARLY_HOOK];

/// The generator of `EndeavourOS`, and of others.
pub(super) struct Dracut;

impl Generator for Dracut {
    fn name(&self) -> &'static str {
        "dracut"
    }

    fn program(&self) -> &'static str {
        PROGRAM
    }

    fn drop_in(&self) -> &'static str {
        DROP_IN
    }

    fn detect(&self, target: &Target) -> Option<String> {
        target.has(PROGRAM).then(|| format!("{PROGRAM} is there"))
    }

    fn builds(&self, target: &Target) -> Option<String> {
        let own = || Some(format!("{} is there", whole_builder(target)?));
        hook_for_kernels(target, "dracut").or_else(|| named_by_kernel_install(target, "dracut")).or_else(own)
    }

    fn has_early_hook(&self, target: &Target) -> bool {
        target.has(DRACUT_HOOK)
    }

    fn findings(&self, target: &Target) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (path, text) in target.dracut_configuration() {
            if path.as_str() != DROP_IN {
                findings.extend(conflict_in(target, path, text));
            }
        }
        if let Held::Computed(index, line) = target.dracut_holds("uefi") {
            findings.extend(target.dracut_configuration().get(index).map(|(path, _)| {
                let message = format!("{path}, line {line}: only bash could tell whether `uefi` is set");
                conflict(path, message, "write uefi=\"yes\" or uefi=\"no\" there, on a line of its own")
            }));
        }
        findings.extend(without_image(target));
        findings.extend(entries_of_another(target, self.name(), LIMINE_DRACUT));
        findings
    }

    fn steps(&self, _: &Judgement, target: &Target) -> Result<Vec<Step>, UnusableFile> {
        let (Ok(path), body) = (DROP_IN.parse::<TargetPath>(), body(target)) else { return Ok(Vec::new()) };
        if body.is_empty() {
            return Ok(Vec::new());
        }
        let text = format!("{}{body}", file_head("vfio-pci comes first in every image."));
        let before = target.state(&path);
        Ok(vec![Step::write(
            "dracut-drop-in",
            "Put vfio-pci first in the initramfs",
            "vfio-pci must be loaded before any driver of the GPU, so dracut puts it into the image and loads it \
             before udev starts",
            path.clone(),
            before,
            text,
        )])
    }

    fn holds_command_line(&self, target: &Target) -> bool {
        target.has(LIMINE_DRACUT) || target.dracut_builds_unified()
    }

    fn rebuild(&self, target: &Target) -> Vec<Step> {
        if let Some((_, name)) = whole_builder(target).and_then(|program| program.rsplit_once('/')) {
            return vec![build("initramfs", &[name], all_images(target))];
        }
        let named: Vec<(&Kernel, &str)> =
            target.kernels.iter().flat_map(|kernel| named_images(target, kernel)).collect();
        // What its own options were, only an image itself knows: a second build has to be like the first.
        let again = named.iter().map(|(kernel, image)| {
            let name = image.rsplit('/').next().unwrap_or_default();
            let id = format!("initramfs-{}", name.trim_start_matches("initramfs-").trim_end_matches(".img"));
            build(&id, &["dracut", "--force", "--rebuild", image, "--kver", &kernel.release], vec![image])
        });
        let mut steps: Vec<Step> = again.collect();
        let all_named =
            target.kernels.iter().all(|kernel| named.iter().any(|(of, _)| of.release == kernel.release));
        if target.dracut_builds_unified() || !all_named || steps.is_empty() {
            let images = target.kernels.iter().flat_map(|kernel| default_images(target, kernel)).collect();
            steps.push(build("initramfs", &["dracut", "--force", "--regenerate-all"], images));
        }
        steps
    }

    fn kernel_option(&self) -> &'static str {
        "--kver"
    }
}

/// The program that builds everything there is to build, where the distribution has one.
fn whole_builder(target: &Target) -> Option<&'static str> {
    [LIMINE_DRACUT, DRACUT_REBUILD].into_iter().find(|program| target.has(program))
}

/// What the drop-in says; nothing where every kernel has everything built in.
fn body(target: &Target) -> String {
    let in_some =
        |module: &&str| target.kernels.iter().any(|kernel| kernel.provides(module) == Provides::Module);
    // Of what a kernel has built in, dracut makes nothing and does not complain.
    let modules: Vec<&str> = MODULES.into_iter().filter(in_some).collect();
    let mut body = String::new();
    if !modules.is_empty() {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(body, "force_drivers+=\" {} \"", modules.join(" "));
        body += "# Images for any machine, such as fallbacks, would be without /etc/modprobe.d.\n";
        body += "install_items+=\" /etc/modprobe.d/vfio.conf \"\n";
    }
    if target.has(DRACUT_HOOK) {
        let _ = writeln!(body, "add_dracutmodules+=\" {EARLY_HOOK} \"");
    }
    body
}

/// The images of a kernel that are named after its package, as scripts and hooks on Arch do it:
/// dracut by itself would put them elsewhere.
fn named_images<'a>(target: &'a Target, kernel: &'a Kernel) -> Vec<(&'a Kernel, &'a str)> {
    let Some(package) = &kernel.package else { return Vec::new() };
    let names = [format!("initramfs-{package}.img"), format!("initramfs-{package}-fallback.img")];
    let is_one = |path: &&String| names.iter().any(|name| path.rsplit('/').next() == Some(name));
    target.boot_files.keys().filter(is_one).map(|path| (kernel, path.as_str())).collect()
}

/// The images of a kernel where dracut puts them by itself.
fn default_images<'a>(target: &'a Target, kernel: &Kernel) -> Vec<&'a str> {
    let release = &kernel.release;
    let names = [format!("initramfs-{release}.img"), format!("initrd.img-{release}")];
    let is_one = |path: &&str| names.iter().any(|name| path.rsplit('/').next() == Some(name));
    let own = target.boot_files.keys().map(String::as_str).filter(is_one);
    own.chain(image_of_kernel_install(target, release)).collect()
}

fn all_images(target: &Target) -> Vec<&str> {
    let named = |kernel| named_images(target, kernel).into_iter().map(|(_, image)| image);
    target
        .kernels
        .iter()
        .flat_map(|kernel| default_images(target, kernel).into_iter().chain(named(kernel)))
        .collect()
}

/// A kernel whose image is not where one would be built anew.
fn without_image(target: &Target) -> Option<Finding> {
    if whole_builder(target).is_some() || target.dracut_builds_unified() {
        return None;
    }
    let lacks = |kernel: &&Kernel| {
        default_images(target, kernel).is_empty() && named_images(target, kernel).is_empty()
    };
    let release = &target.kernels.iter().find(lacks)?.release;
    Some(Finding::new(
        Code::TargetConflict,
        Severity::Warning,
        format!(
            "no image of the kernel {release} was found, neither where dracut puts it by itself nor under the name of \
             its package"
        ),
        format!("if it lies elsewhere, build it anew by hand afterwards: dracut --force IMAGE {release}"),
    ))
}

fn build(id: &str, argv: &[&str], images: Vec<&str>) -> Step {
    Step {
        id: id.to_owned(),
        title: match (id, images.as_slice()) {
            ("initramfs", _) | (_, []) => "Build the initramfs of every kernel".to_owned(),
            (_, images) => format!("Build {}", images.join(", ")),
        },
        because: "what is loaded first at boot comes out of the image, not off the disk".to_owned(),
        action: Action::Rebuild {
            argv: argv.iter().map(|&word| word.to_owned()).collect(),
            outputs: images.into_iter().filter_map(|path| path.parse().ok()).collect(),
            undo: Vec::new(),
        },
    }
}

/// What in one file would undo what the drop-in says.
fn conflict_in(target: &Target, path: &TargetPath, text: &str) -> Option<Finding> {
    let settings = match settings(text) {
        Ok(settings) => settings,
        Err(problem) => {
            let hint = "mend the file; bash cannot read it either, and dracut goes on without it";
            return Some(conflict(path, format!("{path}: {problem}"), hint));
        }
    };
    let is_late =
        path.as_str() != "/etc/dracut.conf" && sorts_before("95-neuron-vfio.conf", path.file_name());
    settings.iter().find_map(|setting| {
        let Setting { variable, line, .. } = setting;
        let (what, hint) = match variable.as_str() {
            "force_drivers" | "install_items" | "add_dracutmodules" if is_late && !setting.appends => (
                format!("sets {variable} anew behind our drop-in, and what we add is lost"),
                format!("write {variable}+=\" ... \" there, or give the file a name that sorts before 95-"),
            ),
            "omit_drivers" => {
                let omitted = setting.words().find(|word| omits_ours(word))?;
                let hint = format!("take {omitted} out of omit_drivers");
                (format!("`{omitted}` keeps vfio-pci or what it needs out of the image"), hint)
            }
            "omit_dracutmodules" => {
                let needed =
                    |word: &&str| NEEDED.contains(word) && (*word != EARLY_HOOK || target.has(DRACUT_HOOK));
                let omitted = setting.words().find(needed)?;
                let hint = format!("take {omitted} out of omit_dracutmodules");
                (format!("`{omitted}` is left out, and nothing would claim anything"), hint)
            }
            "no_kernel" if setting.value.as_deref() != Some("no") => {
                let hint = "take no_kernel out: the modules have to be in the image".to_owned();
                ("keeps every kernel module out of the image".to_owned(), hint)
            }
            _ => return None,
        };
        Some(conflict(path, format!("{path}, line {line}: {what}"), &hint))
    })
}

/// Whether a word of `omit_drivers`, a regular expression, hits ours. dracut itself passes over one
/// that is literally forced.
fn omits_ours(word: &str) -> bool {
    !MODULES.contains(&word) && (word.contains("vfio") || word.contains("irqbypass") || word.starts_with('.'))
}

fn conflict(path: &TargetPath, message: String, hint: &str) -> Finding {
    Finding::new(Code::TargetConflict, Severity::Blocker, message, hint).in_file(path.as_str())
}
