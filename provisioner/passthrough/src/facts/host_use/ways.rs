//! How the host reaches the network: which functions carry an interface, and where default routes lead.

use std::collections::{BTreeMap, BTreeSet};

use super::above;
use crate::facts::network::default_routes;
use crate::id::PciAddress;
use crate::root::{ReadError, Root};

pub(super) const NET: &str = "sys/class/net";
/// Interfaces lie on interfaces (a bridge on a bond on a card); more floors than these nobody builds.
const FLOORS: usize = 8;

/// The functions that interfaces hang on, each with the name of one.
pub(super) fn cards(root: &Root) -> Result<BTreeMap<PciAddress, String>, ReadError> {
    let mut cards = BTreeMap::new();
    for name in root.list(NET)?.unwrap_or_default() {
        for address in functions(root, &name)? {
            cards.entry(address).or_insert_with(|| name.clone());
        }
    }
    Ok(cards)
}

/// What every default route lies on in the end, by name, each with the functions that it hangs on: none
/// for what a program made (a tunnel, PPP) or what is on no PCI bus.
pub(super) fn ways(root: &Root) -> Result<BTreeMap<String, Vec<PciAddress>>, ReadError> {
    let mut ways = BTreeMap::new();
    for interface in default_routes(root)? {
        for lowest in lowest(root, &interface)? {
            let functions = functions(root, &lowest)?;
            ways.insert(lowest, functions);
        }
    }
    Ok(ways)
}

fn functions(root: &Root, interface: &str) -> Result<Vec<PciAddress>, ReadError> {
    let link = root.read_link(&format!("{NET}/{interface}"))?.unwrap_or_default();
    above(root, &link)
}

/// What an interface lies on, down to those that lie on nothing. What goes on for ever ends nowhere, and
/// is no way that is known.
fn lowest(root: &Root, interface: &str) -> Result<BTreeSet<String>, ReadError> {
    let mut lowest = BTreeSet::new();
    let mut floor = BTreeSet::from([interface.to_owned()]);
    for _ in 0..FLOORS {
        let mut next = BTreeSet::new();
        for one in floor {
            let entries = root.list(&format!("{NET}/{one}"))?.unwrap_or_default();
            let below: Vec<&str> = entries.iter().filter_map(|entry| entry.strip_prefix("lower_")).collect();
            if below.is_empty() {
                lowest.insert(one);
            } else {
                next.extend(below.into_iter().map(str::to_owned));
            }
        }
        floor = next;
    }
    lowest.extend(floor);
    Ok(lowest)
}
