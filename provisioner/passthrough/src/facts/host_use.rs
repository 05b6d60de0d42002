//! What the host itself does with functions that somebody would give away: its disks, keyboards and way
//! to the network.
//!
//! Read only where answers name such functions: it follows mounts and names of interfaces, which a
//! capture must not hold.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::PciAddress;
use crate::root::{ReadError, Root};

const BLOCK: &str = "sys/class/block";
const INPUT: &str = "sys/class/input";
const NET: &str = "sys/class/net";
const MOUNTS: &str = "proc/self/mountinfo";
/// File systems that lie on several disks and do not say on which: their own tools do.
const POOLS: [&str; 2] = ["zfs", "bcachefs"];
/// The codes 1 to 31 (Escape to S) are on every keyboard and on nothing else: as udev tells one.
const KEYS_OF_A_KEYBOARD: u64 = 0xffff_fffe;
/// Interfaces lie on interfaces (a bridge on a bond on a card); more floors than these nobody builds.
const FLOORS: usize = 8;

/// What the host does with what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostUse {
    /// Disks that are in use, each with the functions that it hangs on.
    pub disks: Vec<Disk>,
    /// Every keyboard, by the functions that it hangs on; none for one that is not on PCI.
    pub keyboards: Vec<Vec<PciAddress>>,
    /// The functions on the way of a default route, each with its interface.
    pub routes: BTreeMap<PciAddress, String>,
}

/// A disk or partition in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// What the kernel calls it.
    pub name: String,
    /// The functions above it.
    pub functions: Vec<PciAddress>,
    /// What it is used for, as the end of a sentence.
    pub used: String,
}

impl HostUse {
    /// Looks at everything; `None` where a machine does not show it (a capture, an image that is built).
    pub(super) fn read(root: &Root) -> Result<Option<Self>, ReadError> {
        for shown in [BLOCK, INPUT, NET, MOUNTS] {
            if !root.exists(shown)? {
                return Ok(None);
            }
        }
        Ok(Some(Self { disks: disks(root)?, keyboards: keyboards(root)?, routes: routes(root)? }))
    }

    /// The disks in use that hang on a function.
    pub fn disks_of(&self, address: PciAddress) -> impl Iterator<Item = &Disk> {
        self.disks.iter().filter(move |disk| disk.functions.contains(&address))
    }

    /// Whether there is a keyboard now and none would be left without these functions.
    pub fn keyboard_goes_with(&self, functions: &[PciAddress]) -> bool {
        let goes = |above: &Vec<PciAddress>| above.iter().any(|address| functions.contains(address));
        !self.keyboards.is_empty() && self.keyboards.iter().all(goes)
    }
}

/// The functions in a path below `/sys/devices`, the outermost first.
fn on_the_way(link: &str) -> Vec<PciAddress> {
    link.split('/').filter_map(|part| part.parse().ok()).collect()
}

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

fn disks(root: &Root) -> Result<Vec<Disk>, ReadError> {
    let uses = uses(root)?;
    let mut disks = Vec::new();
    for name in root.list(BLOCK)?.unwrap_or_default() {
        let Some(purpose) = used(root, &name, &uses)? else { continue };
        let functions = above_disk(root, &name)?;
        if !functions.is_empty() {
            disks.push(Disk { name, functions, used: purpose });
        }
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

/// The functions that a disk hangs on. An `NVMe` disk with several ways to it lies below a subsystem, which
/// knows the controllers.
fn above_disk(root: &Root, name: &str) -> Result<Vec<PciAddress>, ReadError> {
    let link = root.read_link(&format!("{BLOCK}/{name}"))?.unwrap_or_default();
    let mut above = on_the_way(&link);
    let mut parts = link.split('/').skip_while(|part| *part != "nvme-subsystem");
    if let Some(subsystem) = parts.nth(1) {
        let folder = format!("sys/class/nvme-subsystem/{subsystem}");
        for entry in root.list(&folder)?.unwrap_or_default() {
            let is_controller = entry
                .strip_prefix("nvme")
                .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()));
            if is_controller {
                let link = root.read_link(&format!("{folder}/{entry}"))?.unwrap_or_default();
                above.extend(on_the_way(&link));
            }
        }
    }
    Ok(above)
}

fn uses(root: &Root) -> Result<Uses, ReadError> {
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
        if let Some(name) = kernel_name(root, source)? {
            uses.named.entry(name).or_insert_with(|| is_mounted.clone());
        }
        uses.mounted.entry((*number).to_owned()).or_insert(is_mounted);
    }
    let swaps = root.attribute("proc/swaps")?.unwrap_or_default();
    for line in swaps.lines().skip(1) {
        if let Some(name) = kernel_name(root, line.split_whitespace().next().unwrap_or_default())? {
            uses.named.entry(name).or_insert_with(|| "holds swap".to_owned());
        }
    }
    for system in root.list("sys/fs/btrfs")?.unwrap_or_default() {
        for name in root.list(&format!("sys/fs/btrfs/{system}/devices"))?.unwrap_or_default() {
            uses.named.entry(name).or_insert_with(|| "is part of a btrfs that is mounted".to_owned());
        }
    }
    at_the_next_start(root, &mut uses)?;
    if let Some(partition) = super::running::booted_from(root) {
        let name = kernel_name(root, &format!("PARTUUID={partition}"))?;
        uses.named.extend(name.map(|name| (name, "is what this boot was started from".to_owned())));
    }
    Ok(uses)
}

/// What the system mounts or opens by itself: without it, it would wait for it, and not come up.
fn at_the_next_start(root: &Root, uses: &mut Uses) -> Result<(), ReadError> {
    // Where the device stands in a line; behind two more fields stand the options.
    for (path, device) in [("etc/fstab", 0), ("etc/crypttab", 1)] {
        let text = root.attribute(path)?.unwrap_or_default();
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // What is mounted by whoever looks into it is needed as well.
            let has = |option: &str| fields.get(3).is_some_and(|all| all.split(',').any(|one| one == option));
            if has("noauto") && !has("x-systemd.automount") {
                continue;
            }
            let source = fields.get(device).copied().unwrap_or_default();
            if let Some(name) = kernel_name(root, source)? {
                uses.named.entry(name).or_insert_with(|| format!("is named in /{path}"));
            }
        }
    }
    Ok(())
}

/// What the kernel calls a device that is named by path or, as in an fstab, by what is on it.
fn kernel_name(root: &Root, source: &str) -> Result<Option<String>, ReadError> {
    let by = |folder: &str, value: &str| format!("dev/disk/{folder}/{}", value.trim_matches('"'));
    let path = match source.split_once('=') {
        Some(("UUID", value)) => by("by-uuid", value),
        Some(("PARTUUID", value)) => by("by-partuuid", value),
        Some(("LABEL", value)) => by("by-label", value),
        Some(("PARTLABEL", value)) => by("by-partlabel", value),
        _ => match source.strip_prefix("/dev/") {
            Some(rest) => format!("dev/{rest}"),
            None => return Ok(None),
        },
    };
    let link = root.read_link(&path)?;
    let name = link.as_deref().unwrap_or(&path).rsplit('/').next().unwrap_or_default();
    Ok((!name.is_empty()).then(|| name.to_owned()))
}

fn keyboards(root: &Root) -> Result<Vec<Vec<PciAddress>>, ReadError> {
    let mut found = BTreeSet::new();
    for name in root.list(INPUT)?.unwrap_or_default() {
        let Some(keys) = root.attribute(&format!("{INPUT}/{name}/capabilities/key"))? else { continue };
        // The words of a bit map, the lowest last.
        let lowest = keys.split_whitespace().next_back().unwrap_or_default();
        let lowest = u64::from_str_radix(lowest, 16).unwrap_or_default();
        let link = root.read_link(&format!("{INPUT}/{name}"))?.unwrap_or_default();
        // What a program made up (also for Bluetooth) types only while that program runs.
        let is_real = !link.contains("/devices/virtual/");
        if is_real && lowest & KEYS_OF_A_KEYBOARD == KEYS_OF_A_KEYBOARD {
            found.insert(on_the_way(&link));
        }
    }
    Ok(found.into_iter().collect())
}

fn routes(root: &Root) -> Result<BTreeMap<PciAddress, String>, ReadError> {
    let mut interfaces: Vec<String> = Vec::new();
    // `net/ipv6/route.c`: destination and its prefix length first, flags and interface last; a route
    // whose flags have the reject bit leads nowhere.
    let ipv6 = root.attribute("proc/net/ipv6_route")?.unwrap_or_default();
    for line in ipv6.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [to, "00", _, _, _, _, _, _, flags, interface] = fields.as_slice() {
            let rejects = u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & 0x0200 != 0);
            if to.bytes().all(|digit| digit == b'0') && !rejects {
                interfaces.push((*interface).to_owned());
            }
        }
    }
    interfaces.extend(super::network::default_route(root)?);
    let mut routes = BTreeMap::new();
    for interface in interfaces {
        for floor in floors(root, &interface)? {
            let link = root.read_link(&format!("{NET}/{floor}"))?.unwrap_or_default();
            for address in on_the_way(&link) {
                routes.entry(address).or_insert_with(|| floor.clone());
            }
        }
    }
    Ok(routes)
}

/// An interface and all those that it lies on.
fn floors(root: &Root, interface: &str) -> Result<Vec<String>, ReadError> {
    let mut all = vec![interface.to_owned()];
    let mut newest = all.clone();
    for _ in 0..FLOORS {
        let mut below = Vec::new();
        for one in &newest {
            let entries = root.list(&format!("{NET}/{one}"))?.unwrap_or_default();
            below.extend(entries.iter().filter_map(|entry| entry.strip_prefix("lower_").map(str::to_owned)));
        }
        below.retain(|one| !all.contains(one));
        all.extend(below.iter().cloned());
        newest = below;
    }
    Ok(all)
}
