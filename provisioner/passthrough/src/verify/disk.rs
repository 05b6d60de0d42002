//! What the next boot will run with: kernels, images, entries, and what works against them.

use super::seen::{Seen, read_error};
use super::way_back::way_back;
use super::{Finding, Recorded, Status};
use crate::binding::VFIO_CONF;
use crate::bootloader::{self, Parameters};
use crate::facts::Target;
use crate::facts::target::Provides;
use crate::id::TargetPath;
use crate::initramfs;
use crate::plan::ANSWERS;
use crate::policy::{self, KILL_SWITCH, Severity};
use crate::root::Root;
use crate::step::{Action, FileState, Step};
use crate::text::command_line;
use crate::text::modprobe_conf::{self, Verb};

/// The modules without which nothing is claimed.
const VFIO: [&str; 3] = ["vfio_pci", "vfio", "vfio_iommu_type1"];
/// The menu that GRUB reads, and that `grub-mkconfig` makes.
const GRUB_MENU: &str = "/boot/grub/grub.cfg";
/// FAT keeps every other second.
const SLACK: i128 = 2_000_000_000;
/// Keys of the kernel command line by which others claim functions.
const CLAIMS: [&str; 3] = ["vfio-pci.ids", "pci-stub.ids", "xen-pciback.hide"];

/// What of a set-up is in place and without effect, in sentences: what `status` calls drifted
/// beside changed files. Empty where nothing is, or where it cannot be read.
pub fn not_in_force(machine: &Root, target: &Root, recorded: &Recorded) -> Vec<String> {
    if !recorded.is_set_up() {
        return Vec::new();
    }
    let seen = Seen::read(machine, target, recorded);
    let looks: [fn(&Seen<'_>) -> Vec<Finding>; 4] = [entries, image_configuration, kernels, way_back];
    let found = looks.into_iter().flat_map(|look| look(&seen));
    found.filter(|one| one.status == Status::Fail).map(|one| one.evidence).collect()
}

/// Asks the target, or says why it cannot be read.
pub(super) fn asked(seen: &Seen<'_>, look: impl FnOnce(&Target) -> Vec<Finding>) -> Vec<Finding> {
    match &seen.target {
        Ok(target) => look(target),
        Err(error) => vec![Finding::unreadable(error)],
    }
}

pub(super) fn running_kernel(seen: &Seen<'_>) -> Vec<Finding> {
    let release = match seen.machine_root.attribute("proc/sys/kernel/osrelease") {
        Ok(Some(release)) => release,
        Ok(None) => return vec![Finding::unreadable("/proc/sys/kernel/osrelease is not there")],
        Err(error) => return vec![Finding::unreadable(&read_error(&error))],
    };
    asked(seen, |target| {
        let is_there = target.kernels.iter().any(|kernel| kernel.release == release);
        vec![if is_there {
            Finding::pass(format!("{release} runs, and its modules are there"))
        } else {
            Finding::warn(
                format!("{release} runs, and its modules are gone: the kernel was updated since this boot"),
                "reboot: until then no further module can be loaded, and guests may not start",
            )
        }]
    })
}

pub(super) fn kernels(seen: &Seen<'_>) -> Vec<Finding> {
    asked(seen, |target| {
        if target.kernels.is_empty() {
            let why = "no kernel is installed: no directory of /usr/lib/modules holds a modules.dep";
            return vec![Finding::fail(why, "install a kernel; if /usr is a mount of its own, mount it")];
        }
        let lacking = target.kernels.iter().filter_map(|kernel| {
            let missing: Vec<&str> =
                VFIO.into_iter().filter(|module| kernel.provides(module) == Provides::Nothing).collect();
            let why = format!("the kernel {} has no module {}", kernel.release, missing.join(", "));
            let hint = format!("start another kernel, or remove this one; then {}", seen.apply());
            (!missing.is_empty()).then(|| Finding::fail(why, hint))
        });
        let stranded = bootloader::left_behind(target).map(|(why, hint)| Finding::fail(why, hint));
        let lacking: Vec<Finding> = lacking.chain(stranded).collect();
        if lacking.is_empty() {
            let names: Vec<&str> = target.kernels.iter().map(|kernel| kernel.release.as_str()).collect();
            return vec![Finding::pass(format!("vfio-pci is there for {}", names.join(", ")))];
        }
        lacking
    })
}

/// How the images are built anew here.
pub(super) fn rebuild(seen: &Seen<'_>) -> String {
    let steps =
        seen.target.as_ref().ok().and_then(|target| Some(initramfs::active(target).ok()?.rebuild(target)));
    let command = |step: &Step| match &step.action {
        Action::Rebuild { argv, .. } => Some(format!("`{}`", argv.join(" "))),
        _ => None,
    };
    let commands: Vec<String> = steps.iter().flatten().filter_map(command).collect();
    if commands.is_empty() {
        return "build the images anew, then reboot".to_owned();
    }
    format!("run {} as root, then reboot", commands.join(" and "))
}

/// Every image is there, and none is older than what has to be in it.
pub(super) fn images(seen: &Seen<'_>) -> Vec<Finding> {
    if !seen.recorded.claims() {
        return Vec::new();
    }
    asked(seen, |target| {
        let Ok(generator) = initramfs::active(target) else {
            return vec![Finding::not_told("what builds the images is not known")];
        };
        let rebuilds = generator.rebuild(target);
        let outputs = rebuilds.iter().flat_map(|step| match &step.action {
            Action::Rebuild { outputs, .. } => outputs.as_slice(),
            _ => &[],
        });
        let outputs: Vec<&TargetPath> = outputs.filter(|path| !bootloader::is_for_host(path)).collect();
        if outputs.is_empty() {
            return vec![Finding::not_told("where the images are is not known")];
        }
        let newest = match newest(seen, generator.holds_command_line(target)) {
            Ok(newest) => newest,
            Err(unreadable) => return vec![unreadable],
        };
        let build = rebuild(seen);
        outputs.into_iter().map(|image| one_image(seen, image, newest.as_ref(), &build)).collect()
    })
}

/// The file of ours that goes into images and was written last, with its time.
fn newest(seen: &Seen<'_>, with_command_line: bool) -> Result<Option<(TargetPath, i128)>, Finding> {
    let mut newest: Option<(TargetPath, i128)> = None;
    for path in seen.recorded.files.iter().filter(|path| goes_into_images(path, with_command_line)) {
        let time = seen.target_root.modified(path.as_str());
        let Some(time) = time.map_err(|error| Finding::unreadable(&read_error(&error)))? else { continue };
        if newest.as_ref().is_none_or(|(_, other)| *other < time) {
            newest = Some((path.clone(), time));
        }
    }
    Ok(newest)
}

fn goes_into_images(path: &TargetPath, with_command_line: bool) -> bool {
    let path_is = |beginnings: &[&str]| beginnings.iter().any(|begin| path.as_str().starts_with(begin));
    let elsewhere = ["/etc/default/grub", "/etc/grub.d/", "/etc/sdboot-manage", "/etc/modules-load.d/"];
    let of_line = ["/etc/kernel/", "/etc/cmdline.d/", "/etc/default/limine", "/etc/limine-entry-tool"];
    path_is(&["/etc/"])
        && path.as_str() != ANSWERS
        && !path_is(&elsewhere)
        && !bootloader::is_for_host(path)
        && (with_command_line || !path_is(&of_line))
}

fn one_image(
    seen: &Seen<'_>,
    image: &TargetPath,
    newest: Option<&(TargetPath, i128)>,
    build: &str,
) -> Finding {
    let mut found = match (seen.target_root.modified(image.as_str()), newest) {
        (Err(error), _) => Finding::unreadable(&read_error(&error)),
        (Ok(None), _) => Finding::fail(format!("{image} is not there"), build),
        // Not a failure: a clock that was set, or a FAT volume under another time zone, looks the same.
        (Ok(Some(made)), Some((path, written))) if made + SLACK < *written => {
            Finding::warn(format!("{image} is older than {path}, which has to be in it"), build)
        }
        (Ok(Some(_)), Some(_)) => Finding::pass(format!("{image} was built after what has to be in it")),
        (Ok(Some(_)), None) => Finding::not_told("no file of ours is known that would be in it"),
    };
    found.subject = Some(image.to_string());
    found
}

/// Nothing keeps what we wrote for the generator from counting.
pub(super) fn image_configuration(seen: &Seen<'_>) -> Vec<Finding> {
    if !seen.recorded.claims() {
        return Vec::new();
    }
    let Ok(machine) = &seen.machine else { return asked(seen, |_| Vec::new()) };
    asked(seen, |target| {
        let generator = match initramfs::active(target) {
            Ok(generator) => generator,
            Err(finding) => return vec![Finding::fail(finding.message, finding.hint)],
        };
        let judged = |one: policy::Finding| match one.severity {
            Severity::Blocker => Finding::fail(one.message, one.hint),
            Severity::Info | Severity::Warning => Finding::warn(one.message, one.hint),
        };
        let mut found: Vec<Finding> = generator.findings(target).into_iter().map(judged).collect();
        let answers = seen.recorded.answers.clone().unwrap_or_default();
        match generator.steps(&policy::judge(machine, &answers), target) {
            Err(error) => found.push(Finding::fail(error.to_string(), "mend that line by hand")),
            Ok(steps) => found.extend(unwritten(seen, &steps).map(|(path, step)| {
                Finding::fail(
                    format!("{path} holds nothing of ours: {}", step.because),
                    format!("{}: it adds that and builds the images", seen.apply()),
                )
            })),
        }
        if found.is_empty() {
            found.push(Finding::pass(format!("{} puts vfio-pci into every image", generator.name())));
        }
        found
    })
}

/// Steps that would write to files which are not ours yet. Those that are, `files` looks at.
fn unwritten<'s>(seen: &'s Seen<'_>, steps: &'s [Step]) -> impl Iterator<Item = (&'s TargetPath, &'s Step)> {
    let ours = &seen.recorded.files;
    let pending = steps.iter().filter(|step| !step.is_settled());
    pending.filter_map(|step| Some((step.action.path()?, step))).filter(|(path, _)| !ours.contains(path))
}

/// Every entry that starts this system has our parameters, as its loader's own files say.
pub(super) fn entries(seen: &Seen<'_>) -> Vec<Finding> {
    let set = &seen.recorded.parameters;
    if seen.recorded.unreadable.is_some() {
        return vec![Finding::without_journal()];
    }
    if set.is_empty() {
        return vec![Finding::pass("no parameter is ours")];
    }
    asked(seen, |target| {
        let loaders = match bootloader::detect(target, set) {
            Ok((loaders, _)) => loaders,
            Err(finding) => return vec![Finding::fail(finding.message, finding.hint)],
        };
        let parameters = Parameters { set: set.clone(), ..Parameters::default() };
        let mut found = Vec::new();
        for loader in &loaders {
            match loader.steps(target, &parameters) {
                Err(error) => found.push(Finding::unknown(
                    format!("{} cannot be judged: {error}", loader.name()),
                    "`neuron-provisioner plan` says what to do about that",
                )),
                Ok(steps) => found.extend(lacking(seen, loader.name(), &steps, set)),
            }
        }
        if found.is_empty() {
            let names: Vec<&str> = loaders.iter().map(|loader| loader.name()).collect();
            found.push(Finding::pass(format!("every entry of {} has our parameters", names.join(", "))));
        }
        found
    })
}

/// The files that would get a parameter of ours which they have not. That the host entry is not
/// planned here, and would go, says nothing.
fn lacking(seen: &Seen<'_>, loader: &str, steps: &[Step], set: &[String]) -> Vec<Finding> {
    let text = |state: Option<&FileState>| state.and_then(FileState::text).unwrap_or_default().to_owned();
    let count = |text: &str, token: &str| command_line::words(text).filter(|word| *word == token).count();
    let gains = |step: &&Step| {
        let (before, after) = (text(step.action.before()), text(step.action.after().as_ref()));
        set.iter().any(|token| count(&after, token) > count(&before, token))
    };
    let pending = steps.iter().filter(|step| !step.is_settled()).filter(gains);
    pending
        .filter_map(|step| step.action.path())
        .filter(|path| !bootloader::is_for_host(path))
        .map(|path| {
            Finding::fail(
                format!(
                    "{path} ({loader}) starts this system without our parameters: somebody wrote it anew"
                ),
                format!("{}: it adds them", seen.apply()),
            )
        })
        .collect()
}

/// GRUB reads a menu that is made from other files: it can be older than they are.
pub(super) fn menu(seen: &Seen<'_>) -> Vec<Finding> {
    if seen.recorded.unreadable.is_some() {
        return vec![Finding::without_journal()];
    }
    asked(seen, |target| {
        if !target.has(GRUB_MENU) || seen.recorded.parameters.is_empty() {
            return vec![Finding::pass("no menu has to be made anew here")];
        }
        let text = match seen.target_root.attribute(GRUB_MENU) {
            Ok(text) => text.unwrap_or_default(),
            Err(error) => return vec![Finding::unreadable(&read_error(&error))],
        };
        let first = text.lines().filter_map(kernel_line).find(|line| !command_line::has(line, KILL_SWITCH));
        let Some(line) = first else {
            return vec![Finding::not_told("the menu of GRUB shows no kernel command line")];
        };
        let set = &seen.recorded.parameters;
        let missing: Vec<&str> =
            set.iter().map(String::as_str).filter(|token| !command_line::has(line, token)).collect();
        vec![if missing.is_empty() {
            Finding::pass(format!("the first entry in {GRUB_MENU} has our parameters"))
        } else {
            Finding::fail(
                format!("the first entry in {GRUB_MENU} lacks {}", missing.join(" ")),
                format!("run `grub-mkconfig -o {GRUB_MENU}` as root, then reboot"),
            )
        }]
    })
}

/// The kernel command line of a line in GRUB's menu that starts a kernel.
fn kernel_line(line: &str) -> Option<&str> {
    let (word, rest) = line.trim_start().split_once([' ', '\t'])?;
    matches!(word, "linux" | "linux16" | "linuxefi").then_some(rest)
}

/// Others that claim functions for a driver, or keep vfio from loading.
pub(super) fn conflicts(seen: &Seen<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let line = seen.command_line().unwrap_or_default();
    for key in CLAIMS {
        let value = command_line::value(line, key).flatten().filter(|value| !value.is_empty());
        let ours =
            |value: &str| seen.recorded.parameters.iter().any(|token| *token == format!("{key}={value}"));
        if let Some(value) = value.filter(|value| !ours(value)) {
            found.push(Finding::fail(
                format!("this boot's kernel command line has {key}={value}, which somebody else put there"),
                "take it away where the boot loader has it: it takes the place of what vfio.conf says",
            ));
        }
    }
    found.extend(asked(seen, |target| {
        let places = ["/etc/modprobe.d", "/usr/lib/modprobe.d"];
        let files = places.into_iter().flat_map(|folder| target.in_directory(folder));
        files.flat_map(|(path, state)| fights(path, state.text().unwrap_or_default(), seen.apply())).collect()
    }));
    if found.is_empty() {
        found.push(Finding::pass("nobody else claims functions, and nothing keeps vfio from loading"));
    }
    found
}

/// The lines of a file of `modprobe.d` that work against ours.
fn fights(path: &TargetPath, text: &str, apply: &str) -> Vec<Finding> {
    let ours = path.as_str() == VFIO_CONF;
    let directives = modprobe_conf::directives(text).into_iter();
    directives
        .filter(|one| VFIO.contains(&one.module.as_str()) || one.module == "vfio_pci_core")
        .filter_map(|one| {
            let what = match one.verb {
                Verb::Options if !ours && one.option("ids").is_some() => "claims ids for vfio-pci as well",
                Verb::Blacklist => "keeps vfio from loading",
                Verb::Install => "runs something in place of loading vfio",
                _ => return None,
            };
            let hint = format!("take the line away, then {apply}: two claims replace each other");
            Some(Finding::fail(format!("{path}, line {}: {what}", one.line), hint))
        })
        .collect()
}
