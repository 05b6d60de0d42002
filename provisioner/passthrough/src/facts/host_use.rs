//! What the host itself does with functions that somebody would give away: its disks, keyboards and way
//! to the network.
//!
//! Read only for answers, and where more than pictures and sound may go: it follows mounts and names of
//! interfaces, which a capture must not hold.

mod disks;
mod names;
mod ways;

use std::collections::{BTreeMap, BTreeSet};

use ways::NET;

use crate::id::PciAddress;
use crate::root::{ReadError, Root};

const BLOCK: &str = "sys/class/block";
const INPUT: &str = "sys/class/input";
const MOUNTS: &str = "proc/self/mountinfo";
/// The codes 1 to 31 (Escape to S) are on every keyboard and on nothing else: as udev tells one.
const KEYS_OF_A_KEYBOARD: u64 = 0xffff_fffe;

/// What the host does with what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostUse {
    /// Disks that are in use, each with the functions that it hangs on.
    pub disks: Vec<Disk>,
    /// Every keyboard, by the functions that it hangs on; none for one that is not on PCI.
    pub keyboards: Vec<Vec<PciAddress>>,
    /// The functions that network interfaces hang on, each with the name of one.
    pub cards: BTreeMap<PciAddress, String>,
    /// What the default routes lie on in the end, by name, each with the functions that it hangs on:
    /// none where that is not known.
    pub ways: BTreeMap<String, Vec<PciAddress>>,
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
    /// What a target uses once it runs counts as well. `near` are the functions that may be given away.
    pub(super) fn read(
        root: &Root,
        target: Option<&Root>,
        near: &BTreeSet<PciAddress>,
    ) -> Result<Option<Self>, ReadError> {
        // A capture holds none of it, and that is no error.
        if root.descriptor().is_none() {
            return Ok(None);
        }
        for shown in [BLOCK, INPUT, NET, MOUNTS] {
            if !root.exists(shown)? {
                return Ok(None);
            }
        }
        Ok(Some(Self {
            disks: disks::disks(root, target, near)?,
            keyboards: keyboards(root)?,
            cards: ways::cards(root)?,
            ways: ways::ways(root)?,
        }))
    }

    /// The disks in use that hang on a function.
    pub fn disks_of(&self, address: PciAddress) -> impl Iterator<Item = &Disk> {
        self.disks.iter().filter(move |disk| disk.functions.contains(&address))
    }

    /// Whether a keyboard is left without these functions.
    pub fn keeps_a_keyboard(&self, functions: &[PciAddress]) -> bool {
        let stays = |above: &Vec<PciAddress>| !above.iter().any(|address| functions.contains(address));
        self.keyboards.iter().any(stays)
    }
}

/// The functions in a path below `/sys/devices`, the outermost first, each virtual one followed by the
/// function that it goes with.
fn above(root: &Root, link: &str) -> Result<Vec<PciAddress>, ReadError> {
    let mut all = Vec::new();
    for address in link.split('/').filter_map(|part| part.parse::<PciAddress>().ok()) {
        all.push(address);
        let physical = root.read_link(&format!("sys/bus/pci/devices/{address}/physfn"))?;
        let physical = physical.as_deref().and_then(|link| link.rsplit('/').next());
        all.extend(physical.and_then(|name| name.parse::<PciAddress>().ok()));
    }
    Ok(all)
}

fn keyboards(root: &Root) -> Result<Vec<Vec<PciAddress>>, ReadError> {
    let mut found = BTreeSet::new();
    for name in root.list(INPUT)?.unwrap_or_default() {
        let can = |what: &str| root.attribute(&format!("{INPUT}/{name}/capabilities/{what}"));
        let Some(keys) = can("key")? else { continue };
        let link = root.read_link(&format!("{INPUT}/{name}"))?.unwrap_or_default();
        // What a program made up (also for Bluetooth) types only while that program runs.
        let is_real = !link.contains("/devices/virtual/");
        // A mouse with the keys of a keyboard is no keyboard.
        let moves = lowest_word(&can("rel")?.unwrap_or_default()) & 1 != 0;
        if is_real && !moves && lowest_word(&keys) & KEYS_OF_A_KEYBOARD == KEYS_OF_A_KEYBOARD {
            found.insert(above(root, &link)?);
        }
    }
    Ok(found.into_iter().collect())
}

/// The words of a bit map, the lowest last.
fn lowest_word(map: &str) -> u64 {
    let lowest = map.split_whitespace().next_back().unwrap_or_default();
    u64::from_str_radix(lowest, 16).unwrap_or_default()
}
