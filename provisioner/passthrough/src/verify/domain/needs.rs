//! What a domain needs of the host to start: its disk, firmware and TPM, network, memory.

use super::{Finding, KnownDomain, Seen, anew, of_each};
use crate::facts::shared_memory::{Holder, open_by, running};
use crate::facts::{FactsError, is_bridge, node_memory_mib};
use crate::guest::domain::{HOST_MEMORY, NODE_MEMORY};
use crate::guest::existing::{Existing, NetworkSource};
use crate::libvirt::KEPT;
use crate::root::{NodeKind, ReadError, Root};

/// Where the descriptions lie by which libvirt finds firmware.
const FIRMWARE: [&str; 2] = ["/etc/qemu/firmware", "/usr/share/qemu/firmware"];
const TPM: [&str; 2] = ["/usr/bin/swtpm", "/usr/local/bin/swtpm"];

pub(in super::super) fn disk(seen: &Seen<'_>) -> Vec<Finding> {
    of_each(seen, |known, existing| {
        if existing.disks.is_empty() {
            return vec![Finding::pass("it has no disk")];
        }
        existing.disks.iter().map(|path| one_disk(seen, known, path)).collect()
    })
}

fn one_disk(seen: &Seen<'_>, known: &KnownDomain, path: &str) -> Finding {
    let gone = |what: &str| {
        Finding::fail(
            format!("its disk {path} {what}"),
            format!(
                "mount its file system, or bring the file back; to begin with an empty one, take it back first: \
                 `neuron-provisioner vm undefine {}`",
                known.name
            ),
        )
    };
    match seen.target_root.node(path) {
        Err(error) => return Finding::unread(&error),
        Ok(None) => return gone("is not there"),
        Ok(Some(node)) if node.kind != NodeKind::File => return gone("is no file"),
        Ok(Some(_)) => {}
    }
    let users = match seen.target_root.resolved(path) {
        Err(error) => return Finding::unread(&error),
        Ok(found) => open_by(seen.machine_root, found.as_deref().unwrap_or(path)),
    };
    let is_other = |holder: &Holder| holder.vm.as_ref() != Some(&known.name);
    match users {
        Err(error) => Finding::unread(&error),
        Ok(users) => match users.into_iter().find(is_other) {
            None => Finding::pass(format!("its disk {path} is there, and nobody else uses it")),
            Some(Holder { vm: Some(other), .. }) => Finding::fail(
                format!("its disk {path} is in use: the virtual machine {other} runs on it"),
                format!("shut {other} down before this one starts: two machines would destroy it"),
            ),
            Some(Holder { program, pid, .. }) => Finding::fail(
                format!("its disk {path} is in use by {program} (process {pid})"),
                "end that before the virtual machine starts",
            ),
        },
    }
}

pub(in super::super) fn firmware(seen: &Seen<'_>) -> Vec<Finding> {
    of_each(seen, |known, existing| match lacking(seen.target_root, known, existing) {
        Err(error) => vec![Finding::unread(&error)],
        Ok(lacking) if lacking.is_empty() => {
            let tpm = if existing.has_tpm { ", and so is what emulates its TPM" } else { "" };
            vec![Finding::pass(format!("its firmware is there{tpm}"))]
        }
        Ok(lacking) => lacking,
    })
}

fn lacking(target: &Root, known: &KnownDomain, existing: &Existing) -> Result<Vec<Finding>, ReadError> {
    let mut found = Vec::new();
    for path in &existing.firmware {
        if !target.exists(path)? {
            let hint =
                format!("install edk2-ovmf (or ovmf); if its files have other names now, {}", anew(known));
            found.push(Finding::fail(format!("its firmware {path} is not there"), hint));
        }
    }
    if existing.firmware.is_empty() && !is_described(target)? {
        let hint = "install edk2-ovmf (or ovmf): without it no such machine starts";
        found.push(Finding::fail(format!("no firmware is described in {}", FIRMWARE.join(" or ")), hint));
    }
    let mut has_tpm = false;
    for path in TPM {
        has_tpm |= target.exists(path)?;
    }
    if existing.has_tpm && !has_tpm {
        found.push(Finding::fail("swtpm, which emulates its TPM, is not there", "install swtpm"));
    }
    Ok(found)
}

/// Whether libvirt would find a firmware.
fn is_described(target: &Root) -> Result<bool, ReadError> {
    for folder in FIRMWARE {
        let mut names = target.list(folder)?.unwrap_or_default().into_iter();
        if names.any(|name| name.rsplit_once('.').is_some_and(|(_, ending)| ending == "json")) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(in super::super) fn network(seen: &Seen<'_>) -> Vec<Finding> {
    of_each(seen, |_, existing| {
        vec![match &existing.network {
            NetworkSource::Nothing => Finding::pass("its network needs nothing of the host"),
            NetworkSource::Network(name) => {
                of_libvirt(seen, name).unwrap_or_else(|error| Finding::unread(&error))
            }
            NetworkSource::Bridge(name) => match is_bridge(seen.machine_root, name) {
                Err(error) => Finding::unread(&error),
                Ok(None) => Finding::unreadable("/sys/class/net is not there"),
                Ok(Some(false)) => Finding::fail(
                    format!("there is no bridge {name}"),
                    "name the wired interface for it in bridge_port of [vm.NAME.network], apply and reboot; or use \
                     kind = \"nat\" there and define the domain again",
                ),
                Ok(Some(true)) => interface(seen, name).unwrap_or_else(|error| Finding::unread(&error)),
            },
            NetworkSource::Interface(name) => {
                interface(seen, name).unwrap_or_else(|error| Finding::unread(&error))
            }
        }]
    })
}

fn of_libvirt(seen: &Seen<'_>, name: &str) -> Result<Finding, ReadError> {
    let is_up = seen.machine_root.exists(&format!("/run/libvirt/network/{name}.xml"))?;
    let is_automatic = seen.target_root.exists(&format!("{KEPT}/networks/autostart/{name}.xml"))?;
    Ok(match (is_up, is_automatic) {
        (false, _) => Finding::fail(
            format!("libvirt's network `{name}` is not up"),
            format!("`virsh net-start {name}`, as root; it needs dnsmasq"),
        ),
        (true, false) => Finding::warn(
            format!("libvirt's network `{name}` is up, and will not be after the next boot"),
            format!("`virsh net-autostart {name}`, as root"),
        ),
        (true, true) => {
            Finding::pass(format!("libvirt's network `{name}` is up, and comes up with the host"))
        }
    })
}

fn interface(seen: &Seen<'_>, name: &str) -> Result<Finding, ReadError> {
    const INTERFACES: &str = "/sys/class/net";
    let names = seen.machine_root.list(INTERFACES)?.unwrap_or_default();
    if !names.iter().any(|there| there == name) {
        let hint =
            "`ip link` shows those that there are; name one in [vm.NAME.network] and define the domain again";
        return Ok(Finding::fail(format!("there is no interface {name}"), hint));
    }
    // Of the kernel's IFF_ flags, the lowest is IFF_UP.
    let flags = seen.machine_root.attribute(&format!("{INTERFACES}/{name}/flags"))?;
    let flags = flags.and_then(|text| u32::from_str_radix(text.trim_start_matches("0x"), 16).ok());
    Ok(match flags.map(|flags| flags & 1 == 1) {
        Some(true) => Finding::pass(format!("{name} is up")),
        Some(false) => Finding::fail(
            format!("{name} is there, and down"),
            format!("`ip link set {name} up`, as root; and see why it does not come up by itself"),
        ),
        None => Finding::unreadable(&format!("{INTERFACES}/{name}/flags does not tell whether it is up")),
    })
}

pub(in super::super) fn memory(seen: &Seen<'_>) -> Vec<Finding> {
    of_each(seen, |known, existing| {
        vec![enough(seen, known, existing).unwrap_or_else(|error| Finding::unread(&error))]
    })
}

fn enough(seen: &Seen<'_>, known: &KnownDomain, existing: &Existing) -> Result<Finding, FactsError> {
    let text = seen.machine_root.attribute("/proc/meminfo")?.unwrap_or_default();
    let number = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let (Some(total), Some(wanted)) = (number("MemTotal"), existing.memory_kib) else {
        return Ok(Finding::unreadable(
            "/proc/meminfo, or the domain, does not tell how much memory there is",
        ));
    };
    let mib = wanted / 1024;
    if total < wanted + HOST_MEMORY * 1024 {
        let less = format!("set memory_mib of [vm.{}] to less; then {}", known.name, anew(known));
        return Ok(Finding::fail(
            format!("it gets {mib} MiB, and the machine has {} MiB", total / 1024),
            less,
        ));
    }
    if let Some(node) = existing.node
        && let Some(has) = node_memory_mib(seen.machine_root, node)?
        && has < mib + NODE_MEMORY
    {
        return Ok(Finding::fail(
            format!("it gets {mib} MiB of NUMA node {node}, and that has {has} MiB"),
            format!(
                "set memory_mib of [vm.{}] to less, or cpu_pinning = \"off\"; then {}",
                known.name,
                anew(known)
            ),
        ));
    }
    let runs = running(seen.machine_root)?.is_some_and(|all| all.contains(&known.name));
    if let Some(page) = existing.hugepage_kib {
        let page = if page == 0 { number("Hugepagesize").unwrap_or(page) } else { page };
        return Ok(huge_pages(seen, known, (wanted, page, existing.node), runs)?);
    }
    Ok(match number("MemAvailable") {
        Some(free) if !runs && free < wanted => Finding::warn(
            format!("it gets {mib} MiB, and {} MiB of {} are free now", free / 1024, total / 1024),
            "end what uses much memory before it starts",
        ),
        _ => Finding::pass(format!("it gets {mib} MiB of {}", total / 1024)),
    })
}

/// Huge pages are set apart beforehand: those that are free count, unless the domain has them already.
fn huge_pages(
    seen: &Seen<'_>,
    known: &KnownDomain,
    (wanted, page, node): (u64, u64, Option<u32>),
    runs: bool,
) -> Result<Finding, ReadError> {
    // Those of another node are of no use to memory that is bound to one.
    let folder = match node {
        Some(node) => format!("/sys/devices/system/node/node{node}"),
        None => "/sys/kernel/mm".to_owned(),
    };
    let count = |name: &str| -> Result<Option<u64>, ReadError> {
        let path = format!("{folder}/hugepages/hugepages-{page}kB/{name}");
        Ok(seen.machine_root.attribute(&path)?.and_then(|text| text.parse().ok()))
    };
    let hint = format!(
        "reserve {} of them, on the kernel command line or in {folder}/hugepages; or set hugepages = \"off\" and {}",
        wanted.div_ceil(page.max(1)),
        anew(known)
    );
    let there = node.map_or_else(String::new, |node| format!(" of NUMA node {node}"));
    let (mib, which) = (wanted / 1024, format!("huge pages of {page} KiB{there}"));
    Ok(match (count("nr_hugepages")?, count("free_hugepages")?) {
        (None, _) => Finding::fail(format!("it gets {mib} MiB in {which}, and this kernel has none"), hint),
        (Some(all), _) if all * page < wanted => Finding::fail(
            format!("it gets {mib} MiB in {which}, and {} MiB are reserved", all * page / 1024),
            hint,
        ),
        (Some(_), Some(free)) if !runs && free * page < wanted => Finding::fail(
            format!("it gets {mib} MiB in {which}, and {} MiB of them are free", free * page / 1024),
            "shut down what uses them: another virtual machine, or a program",
        ),
        (Some(all), _) => Finding::pass(format!("it gets {mib} MiB of {} in {which}", all * page / 1024)),
    })
}
