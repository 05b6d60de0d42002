//! Which disks are in use, and what for.

use std::collections::{BTreeMap, BTreeSet};

use super::names::Names;
use super::{BLOCK, Disk, MOUNTS, above};
use crate::facts::running;
use crate::id::PciAddress;
use crate::root::{ReadError, Root};

/// File systems that lie on several disks and do not say on which: their own tools do.
const POOLS: [&str; 2] = ["zfs", "bcachefs"];
/// What makes a system mount or open something by itself: without it, it would wait for it, and not come
/// up. Of its entries only the running one's is read: what others need stands in these files too.
const TABLES: [&str; 6] = [
    "etc/fstab",
    "etc/crypttab",
    "etc/kernel/cmdline",
    "etc/default/grub",
    "etc/default/limine",
    "proc/cmdline",
];

/// How a system uses its disks, by what it calls them.
struct Uses {
    /// What is mounted, by major and minor number.
    mounted: BTreeMap<String, String>,
    /// What is used, by name: mounts that have no device number of their own, swap, parts of a btrfs,
    /// what the system mounts or opens by itself at its next start.
    named: BTreeMap<String, String>,
    /// A file system that does not say which disks are its own.
    pool: Option<String>,
}

/// The disks in use that hang on PCI functions. Of those on a function that is `near` to being given away
/// the kernel itself is asked, too. A target's tables count like those of the machine.
pub(super) fn disks(
    root: &Root,
    target: Option<&Root>,
    near: &BTreeSet<PciAddress>,
) -> Result<Vec<Disk>, ReadError> {
    let uses = uses(root, target)?;
    let mut disks = Vec::new();
    for name in root.list(BLOCK)?.unwrap_or_default() {
        let functions = above_disk(root, &name)?;
        if functions.is_empty() {
            continue;
        }
        let mut purpose = used(root, &name, &uses)?;
        if purpose.is_none() && functions.iter().any(|address| near.contains(address)) {
            purpose = held(root, &name)?;
        }
        disks.extend(purpose.map(|used| Disk { name, functions, used }));
    }
    Ok(disks)
}

fn used(root: &Root, name: &str, uses: &Uses) -> Result<Option<String>, ReadError> {
    let number = root.attribute(&format!("{BLOCK}/{name}/dev"))?.unwrap_or_default();
    let told = uses.mounted.get(number.trim()).or_else(|| uses.named.get(name)).cloned();
    if told.is_some() {
        return Ok(told);
    }
    let holders = root.list(&format!("{BLOCK}/{name}/holders"))?.unwrap_or_default();
    if let Some(holder) = holders.first() {
        return Ok(Some(format!("is part of {holder}")));
    }
    Ok(uses.pool.as_ref().map(|kind| format!("may be part of a {kind} pool that is mounted")))
}

/// What no table tells: a pool that is imported and not mounted, the journal of another disk's file
/// system, a disk of a virtual machine or of one that is served to others. Whoever has it has it for
/// himself, and what cannot be asked may be in use.
fn held(root: &Root, name: &str) -> Result<Option<String>, ReadError> {
    // One of several ways to a disk has no number, and nobody can open it.
    if !root.exists(&format!("{BLOCK}/{name}/dev"))? {
        return Ok(None);
    }
    let path = format!("dev/{}", name.replace('!', "/"));
    Ok(match root.is_held(&path) {
        Ok(Some(true)) => Some("is held by a program or by the kernel".to_owned()),
        Ok(Some(false)) => None,
        Ok(None) => Some(format!("may be in use: there is no /{path} to be asked")),
        Err(error) => Some(format!("may be in use: {error}: {}", error.source)),
    })
}

/// The functions that a disk hangs on. An `NVMe` disk with several ways to it lies below a subsystem, which
/// knows the controllers.
fn above_disk(root: &Root, name: &str) -> Result<Vec<PciAddress>, ReadError> {
    let link = root.read_link(&format!("{BLOCK}/{name}"))?.unwrap_or_default();
    let mut functions = above(root, &link)?;
    let mut parts = link.split('/').skip_while(|part| *part != "nvme-subsystem");
    if let Some(subsystem) = parts.nth(1) {
        let folder = format!("sys/class/nvme-subsystem/{subsystem}");
        for entry in root.list(&folder)?.unwrap_or_default() {
            let is_controller = entry
                .strip_prefix("nvme")
                .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()));
            if is_controller {
                let link = root.read_link(&format!("{folder}/{entry}"))?.unwrap_or_default();
                functions.extend(above(root, &link)?);
            }
        }
    }
    Ok(functions)
}

fn uses(root: &Root, target: Option<&Root>) -> Result<Uses, ReadError> {
    let names = Names::read(root)?;
    let mut uses = Uses { mounted: BTreeMap::new(), named: BTreeMap::new(), pool: None };
    let mounts = root.attribute(MOUNTS)?.unwrap_or_default();
    for line in mounts.lines() {
        let Some((mount, device)) = line.split_once(" - ") else { continue };
        let fields: Vec<&str> = mount.split(' ').collect();
        let (Some(number), Some(place)) = (fields.get(2), fields.get(4)) else { continue };
        let mut device = device.split(' ');
        let (kind, source) = (device.next().unwrap_or_default(), device.next().unwrap_or_default());
        let is_mounted = format!("is mounted at {place}");
        if POOLS.contains(&kind) {
            uses.pool.get_or_insert_with(|| kind.to_owned());
        }
        if let Some(name) = names.of(source)? {
            uses.named.entry(name).or_insert_with(|| is_mounted.clone());
        }
        uses.mounted.entry((*number).to_owned()).or_insert(is_mounted);
    }
    let swaps = root.attribute("proc/swaps")?.unwrap_or_default();
    for line in swaps.lines().skip(1) {
        if let Some(name) = names.of(line.split_whitespace().next().unwrap_or_default())? {
            uses.named.entry(name).or_insert_with(|| "holds swap".to_owned());
        }
    }
    for system in root.list("sys/fs/btrfs")?.unwrap_or_default() {
        for name in root.list(&format!("sys/fs/btrfs/{system}/devices"))?.unwrap_or_default() {
            uses.named.entry(name).or_insert_with(|| "is part of a btrfs that is mounted".to_owned());
        }
    }
    for system in [Some(root), target].into_iter().flatten() {
        at_the_next_start(system, &names, &mut uses)?;
    }
    if let Some(partition) = running::booted_from(root) {
        let name = names.of(&format!("PARTUUID={partition}"))?;
        uses.named.extend(name.map(|name| (name, "is what this boot was started from".to_owned())));
    }
    Ok(uses)
}

/// Whatever a line of these tables names is needed: a key and a header lie on disks as well.
fn at_the_next_start(system: &Root, names: &Names<'_>, uses: &mut Uses) -> Result<(), ReadError> {
    for path in TABLES {
        let text = system.attribute(path)?.unwrap_or_default();
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // In both tables of four fields the options are the last. What is mounted by whoever looks
            // into it is needed as well.
            let has = |option: &str| fields.get(3).is_some_and(|all| all.split(',').any(|one| one == option));
            if has("noauto") && !has("x-systemd.automount") {
                continue;
            }
            for field in fields {
                for name in names.among(field)? {
                    uses.named.entry(name).or_insert_with(|| format!("is named in /{path}"));
                }
            }
        }
    }
    Ok(())
}
