//! What people call a device, from the system's own `pci.ids`.

use std::collections::BTreeMap;

use crate::id::PciId;
use crate::root::Root;
use crate::text::pci_ids;

/// Where distributions keep the list: Arch and Fedora, then Debian.
const LISTS: [&str; 2] = ["usr/share/hwdata/pci.ids", "usr/share/misc/pci.ids"];

/// Names of these ids (vendor and model); those that the list does
/// not hold are left out, and without a list there are none.
///
/// `system` is where *this program* runs: names are no facts about a machine.
pub fn names(system: &Root, ids: &[PciId]) -> BTreeMap<PciId, String> {
    LISTS
        .iter()
        .find_map(|path| system.read(path).ok().flatten())
        .map(|list| pci_ids::names(&list, ids).into_iter().collect())
        .unwrap_or_default()
}
