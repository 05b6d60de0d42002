//! The IOMMU's traces: groups, units, ACPI tables. Only groups prove that it works.

use std::collections::BTreeMap;

use crate::id::{GroupId, PciAddress};
use crate::root::{ReadError, Root};

const GROUPS: &str = "sys/kernel/iommu_groups";

/// What the kernel shows of the IOMMU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Iommu {
    /// How many groups there are; `None` when the list cannot be read.
    pub groups: Option<usize>,
    /// Units that translate (`dmar0`, `ivhd0` ...); `None` when the list cannot be read.
    pub units: Option<usize>,
    /// Tables by which the firmware announces an IOMMU; `None` when they cannot be listed.
    pub tables: Option<AcpiTables>,
}

/// The ACPI tables that announce an IOMMU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcpiTables {
    /// Intel's.
    pub dmar: bool,
    /// AMD's.
    pub ivrs: bool,
}

/// One IOMMU group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// Every function in it, bridges too.
    pub members: Vec<PciAddress>,
    /// Devices in it that are not on PCI, by their names in sysfs.
    pub strangers: Vec<String>,
    /// Whether the firmware holds a fixed mapping in it (`direct`, RMRR): such a group cannot be
    /// given away.
    pub has_direct_region: bool,
    /// Whether it isolates nothing: a group that vfio's no-IOMMU mode made up.
    pub is_fake: bool,
}

/// Reads the IOMMU's traces. Groups that isolate nothing count as none.
pub(super) fn read(root: &Root, near: &BTreeMap<GroupId, Group>, unreadable: &mut Vec<String>) -> Iommu {
    let mut count = |path: &str| match root.list(path) {
        Ok(names) => Some(names.map_or(0, |names| names.len())),
        Err(error) => {
            unreadable.push(error.path);
            None
        }
    };
    let fake = !near.is_empty() && near.values().all(|group| group.is_fake);
    let (groups, units) = (count(GROUPS), count("sys/class/iommu"));
    let groups = if fake { Some(0) } else { groups };
    // Groups prove everything; the tables matter only where there are none.
    let tables = if groups.is_some_and(|count| count > 0) { None } else { tables(root, unreadable) };
    Iommu { groups, units, tables }
}

fn tables(root: &Root, unreadable: &mut Vec<String>) -> Option<AcpiTables> {
    match root.list("sys/firmware/acpi/tables") {
        Ok(names) => names.map(|names| AcpiTables {
            dmar: names.iter().any(|name| name == "DMAR"),
            ivrs: names.iter().any(|name| name == "IVRS"),
        }),
        Err(error) => {
            unreadable.push(error.path);
            None
        }
    }
}

/// Reads one group.
pub(super) fn group(root: &Root, id: GroupId) -> Result<Group, ReadError> {
    let path = format!("{GROUPS}/{id}/devices");
    let mut group = Group::default();
    for name in root.list(&path)?.unwrap_or_default() {
        match name.parse() {
            Ok(member) => group.members.push(member),
            Err(_) => group.strangers.push(name),
        }
    }
    if let Some(regions) = root.attribute(&format!("{GROUPS}/{id}/reserved_regions"))? {
        group.has_direct_region =
            regions.lines().any(|line| line.split_whitespace().nth(2) == Some("direct"));
    }
    group.is_fake = root.attribute(&format!("{GROUPS}/{id}/name"))?.as_deref() == Some("vfio-noiommu");
    Ok(group)
}
