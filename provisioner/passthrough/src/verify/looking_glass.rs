//! Looking Glass on the host's side: the memory, who may open it, the module, and the two programs.

use super::Finding;
use super::seen::{Boot, Seen};
use crate::facts::shared_memory::{File, Holder, Memories, host_release};
use crate::facts::target::QEMU_CONF;
use crate::facts::{Client, Process, Target, processes_of, release};
use crate::guest::groups;
use crate::guest::looking_glass::{Fault, Means, Memory, TMPFILES, Wanted, faults, size};
use crate::text::{accounts, qemu_conf};

/// What is looked at where Looking Glass is wanted and functions are given away; nothing elsewhere.
fn where_wanted(seen: &Seen<'_>, look: impl Fn(&Wanted, &Target) -> Vec<Finding>) -> Vec<Finding> {
    if !seen.recorded.claims() && seen.guests().next().is_none() {
        return Vec::new();
    }
    let Ok(answers) = &seen.recorded.answers else {
        return vec![Finding::not_told("the answers would say what is wanted, see `set-up`")];
    };
    let machine = match &seen.machine {
        Ok(machine) => machine,
        Err(error) => return vec![Finding::unreadable(error)],
    };
    match Target::read_for_guests(seen.target_root, machine) {
        Err(error) => vec![Finding::unread(&error)],
        Ok(target) => Wanted::of(answers, &target).map_or_else(Vec::new, |wanted| look(&wanted, &target)),
    }
}

/// What the next boot makes by itself is not asked of one that began before it was written.
fn is_owed(seen: &Seen<'_>) -> bool {
    seen.boot == Boot::Before
}

pub(super) fn memory(seen: &Seen<'_>) -> Vec<Finding> {
    where_wanted(seen, |wanted, target| match Memories::read(seen.machine_root) {
        Err(error) => vec![Finding::unread(&error)],
        Ok(now) => {
            let one = |memory: &Memory| {
                one_memory(seen, wanted, target, now.files.get(&memory.path)).about(&memory.path)
            };
            wanted.memories.iter().map(one).collect()
        }
    })
}

fn one_memory(seen: &Seen<'_>, wanted: &Wanted, target: &Target, file: Option<&File>) -> Finding {
    let faults = faults(wanted, target, file);
    if is_owed(seen) && faults.contains(&Fault::Missing) {
        return Finding::not_told("not asked: the reboot is still owed");
    }
    if let (Some(file), []) = (file, faults.as_slice()) {
        return Finding::pass(there(target, file));
    }
    let said: Vec<String> = faults.iter().map(|fault| fault.says(wanted, target)).collect();
    let is_new_size = faults.iter().any(|fault| matches!(fault, Fault::Size(_)));
    let user = file.and_then(|file| file.holders.first()).filter(|_| is_new_size);
    let hint = match wanted.means {
        Means::Kvmfr => "see `looking-glass-module`; then start the virtual machines anew".to_owned(),
        Means::File if is_new_size => {
            let first = user.map_or_else(String::new, |holder| format!("shut {} down; then ", who(holder)));
            format!("{first}{}", seen.apply())
        }
        Means::File if target.text(TMPFILES).is_some() => {
            format!("`systemd-tmpfiles --create {TMPFILES}`, as root")
        }
        Means::File => seen.apply().to_owned(),
    };
    Finding::fail(format!("it {}", said.join(", ")), hint)
}

/// What is there, and who uses it.
fn there(target: &Target, file: &File) -> String {
    let name = |path: &str, number: u32| accounts::name_of(target.text(path).unwrap_or_default(), number);
    let node = &file.node;
    let what = match node.size {
        0 => "empty".to_owned(),
        bytes => size(bytes),
    };
    let (owner, group) = (name("/etc/passwd", node.owner.uid), name("/etc/group", node.owner.gid));
    let users: Vec<String> = file.holders.iter().map(who).collect();
    let used = if users.is_empty() { String::new() } else { format!(", used by {}", users.join(" and ")) };
    format!("{what}, of {owner} and the group {group}{used}")
}

fn who(holder: &Holder) -> String {
    match &holder.vm {
        Some(vm) => format!("the virtual machine {vm}"),
        None => format!("{} (process {})", holder.program, holder.pid),
    }
}

pub(super) fn users(seen: &Seen<'_>) -> Vec<Finding> {
    where_wanted(seen, |wanted, target| {
        let gone = |user: &String| {
            Finding::warn(
                format!("looking_glass.users names {user}, and this system has no such user"),
                format!("make the user, or mend the name in the answers; then {}", seen.apply()),
            )
            .about(user)
        };
        let mut found: Vec<Finding> = wanted.missing.iter().map(gone).collect();
        found.extend(wanted.users.iter().map(|user| one_user(seen, wanted, target, user).about(user)));
        if found.is_empty() {
            found.push(Finding::pass("looking_glass.users names nobody: the picture is for root alone"));
        }
        found
    })
}

fn one_user(seen: &Seen<'_>, wanted: &Wanted, target: &Target, user: &str) -> Finding {
    let missing = groups::missing(wanted, target);
    let missing: Vec<&str> = missing.iter().filter(|(of, _)| of == user).map(|(_, group)| *group).collect();
    if !missing.is_empty() {
        let said = format!("{user} is not in {}", missing.join(" and "));
        return if is_owed(seen) {
            Finding::not_told(&format!("{said} yet: the reboot is still owed"))
        } else {
            Finding::fail(said, format!("{}; then {user} has to log in anew", seen.apply()))
        };
    }
    let text = |path: &str| target.text(path).unwrap_or_default();
    let of = groups::wanted(target);
    let numbers: Vec<u32> =
        of.iter().filter_map(|group| accounts::group(text("/etc/group"), group)).collect();
    let Some(account) = accounts::user(text("/etc/passwd"), user) else {
        return Finding::not_told("there is no such user");
    };
    let processes = match processes_of(seen.machine_root, account.uid) {
        Err(error) => return Finding::unread(&error),
        Ok(processes) => processes,
    };
    let is_before = |process: &&Process| numbers.iter().any(|number| !process.groups.contains(number));
    let before: Vec<&Process> = processes.iter().filter(is_before).collect();
    match (processes.len(), before.first()) {
        (0, _) => Finding::pass(format!("{user} is in {}", of.join(" and "))),
        (_, None) => {
            Finding::pass(format!("{user} is in {}, and so is all that {user} runs", of.join(" and ")))
        }
        (all, Some(first)) => Finding::warn(
            format!(
                "{} of the {all} programs that {user} runs began before {user} was in {}, as {} (process {})",
                before.len(),
                of.join(" and "),
                first.program,
                first.pid
            ),
            format!("log {user} out and in again; if that is not enough, `loginctl terminate-user {user}`"),
        ),
    }
}

pub(super) fn module(seen: &Seen<'_>) -> Vec<Finding> {
    where_wanted(seen, |wanted, target| {
        if wanted.means == Means::File {
            return vec![Finding::pass("kvmfr is not used: the memory is a file")];
        }
        match seen.machine_root.exists("sys/module/kvmfr") {
            Err(error) => vec![Finding::unread(&error)],
            Ok(false) if is_owed(seen) => vec![Finding::not_told("not asked: the reboot is still owed")],
            Ok(false) => vec![Finding::fail(
                "the module kvmfr is not loaded: the guest's picture reaches nobody",
                "`modprobe kvmfr`, as root; where the kernel that runs has no such module, install it \
                 (looking-glass-module-dkms), or set transport = \"shm\" and apply",
            )],
            Ok(true) => vec![let_in(seen, wanted, target)],
        }
    })
}

/// Whether libvirt shows the module's devices to its machines.
fn let_in(seen: &Seen<'_>, wanted: &Wanted, target: &Target) -> Finding {
    if target.closed.iter().any(|path| path.as_str() == QEMU_CONF) {
        return Finding::unreadable(&format!("only root may read {QEMU_CONF}"));
    }
    let Some(text) = target.text(QEMU_CONF) else {
        let hint = format!("install libvirt; then {}", seen.apply());
        return Finding::fail(format!("kvmfr is loaded, and {QEMU_CONF} is not there"), hint);
    };
    let allowed = match qemu_conf::devices(text) {
        Err(error) => {
            return Finding::fail(format!("{QEMU_CONF}, {error}"), format!("mend it; then {}", seen.apply()));
        }
        Ok(allowed) => allowed.unwrap_or_default(),
    };
    let paths: Vec<&str> = wanted.memories.iter().map(|memory| memory.path.as_str()).collect();
    let kept_out: Vec<&str> =
        paths.iter().copied().filter(|path| !allowed.iter().any(|device| device == path)).collect();
    if kept_out.is_empty() {
        return Finding::pass(format!(
            "kvmfr is loaded, and libvirt's machines may open {}",
            paths.join(", ")
        ));
    }
    Finding::fail(
        format!("kvmfr is loaded, and cgroup_device_acl of {QEMU_CONF} lacks {}", kept_out.join(", ")),
        seen.apply(),
    )
}

pub(super) fn releases(seen: &Seen<'_>) -> Vec<Finding> {
    where_wanted(seen, |wanted, _| match Client::read(seen.target_root) {
        Err(error) => vec![Finding::unread(&error)],
        Ok(Client::Absent) => vec![Finding::warn(
            "the Looking Glass client is not installed",
            "install it (looking-glass), in the release that the host application in the guest has",
        )],
        Ok(client) => wanted
            .memories
            .iter()
            .map(|memory| agree(&client, memory, host_release(seen.machine_root, &memory.path)))
            .collect(),
    })
}

/// Whether client and host application understand each other.
fn agree(client: &Client, memory: &Memory, host: Option<String>) -> Finding {
    let own = match client {
        Client::Version(version) => release(version),
        Client::Absent | Client::Untold => None,
    };
    let known = own.clone().unwrap_or_else(|| "of a release that no package tells".to_owned());
    let finding = match (own, host) {
        (_, None) => Finding::not_told(&format!(
            "the client is {known}; no host application wrote into {} yet that could be read",
            memory.path
        )),
        (Some(own), Some(host)) if release(&host).as_ref() == Some(&own) => {
            Finding::pass(format!("client and host application are both {own}"))
        }
        (Some(own), Some(host)) => Finding::fail(
            format!("the client is {own}, and the host application of {} is {host}", memory.whose()),
            format!("install the host application {own} in the guest, or the client of its release here"),
        ),
        (None, Some(host)) => Finding::unknown(
            format!("the client is {known}, the host application of {} is {host}", memory.whose()),
            "compare it with what the client prints first when it starts",
        ),
    };
    finding.about(&memory.path)
}
