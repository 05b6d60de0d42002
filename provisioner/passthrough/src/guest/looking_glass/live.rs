//! What the running system is told, so that it need not wait for the next boot.
//!
//! Each step is one that is needed as the system stands now: a second apply has none.

use super::{Fault, Means, Memory, TMPFILES, Wanted, faults, files};
use crate::facts::shared_memory::{File, Holder};
use crate::facts::target::{Provides, QEMU_CONF};
use crate::facts::{SharedMemory, Target};
use crate::guest::groups;
use crate::policy::{Code, Finding, Severity};
use crate::step::{Action, Step};

/// How the names of these steps begin.
const NOW: &str = "now-";
/// The daemons of libvirt that read its configuration of QEMU: the one of old, and the one of many.
const DAEMONS: [&str; 2] = ["libvirtd.service", "virtqemud.service"];
const RELOAD: [&str; 3] = ["udevadm", "control", "--reload"];

/// The steps that make what `written` says true now; none where the target does not run.
///
/// An error is a memory that would have to be made anew, and that a virtual machine uses.
pub fn steps(
    wanted: &Wanted,
    target: &Target,
    now: &SharedMemory,
    written: &[Step],
) -> Result<Vec<Step>, Vec<Finding>> {
    if !now.is_here {
        return Ok(Vec::new());
    }
    let mut steps: Vec<Step> =
        groups::missing(wanted, target).iter().map(|(user, group)| join(user, group)).collect();
    let changes = |path: &str| {
        let of = |step: &&Step| step.action.path().is_some_and(|one| one.as_str() == path);
        written.iter().find(of).is_some_and(|step| !step.is_settled())
    };
    match wanted.means {
        Means::File => steps.extend(memory(wanted, target, now, changes(TMPFILES))?),
        Means::Kvmfr => steps.extend(module(target, now, &changes)),
    }
    Ok(steps)
}

fn step(id: &str, title: &str, because: &str, argv: &[&str], undo: &[&str]) -> Step {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let action = Action::Rebuild { argv: words(argv), outputs: Vec::new(), undo: words(undo) };
    Step { id: format!("{NOW}{id}"), title: title.to_owned(), because: because.to_owned(), action }
}

fn join(user: &str, group: &str) -> Step {
    step(
        &format!("group-{group}-{user}"),
        &format!("Put {user} into the group {group}"),
        "it holds from the next login on",
        &["systemd-sysusers", "--inline", &format!("m {user} {group}")],
        // Does nothing, and is content, where they have left it since.
        &["usermod", "-rG", group, user],
    )
}

fn memory(
    wanted: &Wanted,
    target: &Target,
    now: &SharedMemory,
    is_new: bool,
) -> Result<Vec<Step>, Vec<Finding>> {
    let (mut stale, mut blockers, mut is_wrong) = (Vec::new(), Vec::new(), false);
    for memory in &wanted.memories {
        let file = now.files.get(&memory.path);
        let faults = faults(wanted, target, file);
        is_wrong |= !faults.is_empty();
        let is_stale = |fault: &Fault| matches!(fault, Fault::Size(_));
        let Some(file) = file.filter(|_| faults.iter().any(is_stale)) else { continue };
        match file.holders.first() {
            Some(holder) => blockers.push(in_use(memory, file, holder, wanted.mib)),
            None => stale.push(memory.path.as_str()),
        }
    }
    if !blockers.is_empty() {
        return Err(blockers);
    }
    let paths: Vec<&str> = wanted.memories.iter().map(|memory| memory.path.as_str()).collect();
    let mut steps = Vec::new();
    if !stale.is_empty() {
        steps.push(step(
            "memory-old",
            "Take away Looking Glass's memory of another size",
            "QEMU refuses one that is too small, and keeps one that is too large",
            &removal(&stale),
            &[],
        ));
    }
    if is_new || is_wrong {
        steps.push(step(
            "memory",
            "Make Looking Glass's memory",
            "a virtual machine that starts before it is there makes one that the user cannot write to",
            &["systemd-tmpfiles", "--create", TMPFILES],
            &removal(&paths),
        ));
    }
    Ok(steps)
}

fn removal<'a>(paths: &[&'a str]) -> Vec<&'a str> {
    [&["rm", "-f", "--"], paths].concat()
}

fn in_use(memory: &Memory, file: &File, holder: &Holder, mib: u32) -> Finding {
    let who = match &holder.vm {
        Some(vm) => format!("the virtual machine {vm}"),
        None => format!("{} (process {})", holder.program, holder.pid),
    };
    Finding::new(
        Code::LookingGlassMemory,
        Severity::Blocker,
        format!(
            "{} is {} MiB large and has to be {mib}, and {who} uses it",
            memory.path,
            file.node.size >> 20
        ),
        "shut that down, then `neuron-provisioner apply` again",
    )
    .in_file(&memory.path)
}

fn module(target: &Target, now: &SharedMemory, changes: &dyn Fn(&str) -> bool) -> Vec<Step> {
    let mut steps = Vec::new();
    let is_new_rule = changes(files::UDEV_RULE);
    if is_new_rule {
        steps.push(step(
            "udev-reload",
            "Tell udev of the rule",
            "it reads its rules when it is told to",
            &RELOAD,
            &[],
        ));
    }
    if is_new_rule && now.has_kvmfr {
        steps.push(step(
            "udev-trigger",
            "Give the devices that are there to who may open them",
            "the rule holds for what comes from now on",
            &["udevadm", "trigger", "--action=change", "--subsystem-match=kvmfr"],
            &RELOAD,
        ));
    }
    if can_load(target, now) {
        steps.push(step(
            "kvmfr-load",
            "Load kvmfr",
            "started before the module, QEMU would put a plain file in the device's place",
            &["modprobe", "kvmfr"],
            // It stays until the reboot: a virtual machine may use it.
            &RELOAD,
        ));
    }
    let daemons = DAEMONS.iter().filter(|name| target.has(&format!("/usr/lib/systemd/system/{name}")));
    for name in daemons.filter(|_| changes(QEMU_CONF)) {
        steps.push(step(
            &format!("restart-{name}"),
            "Let libvirt read its configuration anew",
            "it reads it when it starts; virtual machines go on meanwhile",
            &["systemctl", "try-restart", name],
            &[],
        ));
    }
    steps
}

/// Whether the module is not loaded, and the kernel that runs has it.
fn can_load(target: &Target, now: &SharedMemory) -> bool {
    let runs = |release: &String| now.kernel.as_ref() == Some(release);
    let kernel = target.kernels.iter().find(|kernel| runs(&kernel.release));
    !now.has_kvmfr && kernel.is_some_and(|kernel| kernel.provides("kvmfr") == Provides::Module)
}

/// Whether a step needs no reboot: it is about Looking Glass, and the running system follows it at once.
pub fn is_in_force(step: &Step, target: &Target, now: &SharedMemory) -> bool {
    let Some(path) = step.action.path() else { return step.id.starts_with(NOW) };
    let path = path.as_str();
    let by_module = [files::KVMFR_OPTIONS, files::UDEV_RULE].contains(&path) || path == files::KVMFR_LOAD;
    now.is_here && files::is_own(path) && (!by_module || waits_for_nothing(step, target, now))
}

/// A module that is loaded keeps the sizes that it was loaded with.
fn waits_for_nothing(step: &Step, target: &Target, now: &SharedMemory) -> bool {
    let is_size = step.action.path().is_some_and(|path| path.as_str() == files::KVMFR_OPTIONS);
    if now.has_kvmfr { !is_size } else { can_load(target, now) }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
