//! Services beside the two that make bridges here: each brings interfaces up by itself, a bridge and its
//! card among them.

use std::collections::BTreeSet;

use super::{Networking, UNITS, starts};
use crate::root::{ReadError, Root};

/// Their names, and whether what stands behind an `@` in a unit's name is the only interface that it has.
const KNOWN: [(&str, bool); 7] = [
    ("connman", false),
    ("dhclient", true),
    ("dhcpcd", true),
    ("netctl", false),
    ("netctl-auto", true),
    ("netctl-ifplugd", true),
    ("wicked", false),
];

/// A service that starts with the system and has interfaces of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Other {
    /// Its unit.
    pub unit: String,
    /// The only interface that it has; `None` where that may be any.
    pub interface: Option<String>,
}

impl Other {
    /// Whether it may be about this interface.
    pub fn may_concern(&self, interface: &str) -> bool {
        self.interface.as_ref().is_none_or(|own| own == interface)
    }

    fn of(unit: &str) -> Option<Self> {
        let (name, instance) = match unit.strip_suffix(".service")?.split_once('@') {
            Some((name, instance)) => (name, Some(instance)),
            None => (unit.strip_suffix(".service")?, None),
        };
        let (_, is_interface) = KNOWN.iter().find(|(known, _)| *known == name)?;
        // systemd writes a hyphen so in the name of an instance.
        let interface = instance.filter(|_| *is_interface).map(|instance| instance.replace("\\x2d", "-"));
        Some(Self { unit: unit.to_owned(), interface })
    }
}

pub(super) fn read(root: &Root, seen: &mut Networking) -> Result<(), ReadError> {
    // Some are wanted by an interface, others by `network.target`: by what, is no matter.
    let mut found = BTreeSet::new();
    for folder in
        root.list(UNITS)?.unwrap_or_default().iter().filter(|name| name.strip_suffix(".wants").is_some())
    {
        let folder = format!("{UNITS}/{folder}");
        for unit in root.list(&folder)?.unwrap_or_default() {
            if let Some(other) = Other::of(&unit)
                && starts(root, &folder, &unit)?
            {
                found.insert(other);
            }
        }
    }
    seen.others.extend(found);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_tells_its_interface() {
        for (unit, wanted) in [
            ("dhcpcd.service", Some(None)),
            ("dhcpcd@enp5s0.service", Some(Some("enp5s0"))),
            ("dhcpcd@a\\x2db.service", Some(Some("a-b"))),
            ("netctl@office.service", Some(None)),
            ("netctl-auto@wlan0.service", Some(Some("wlan0"))),
            ("connman.service", Some(None)),
            ("connman-vpn.service", None),
            ("dhcpcd.socket", None),
            ("sshd.service", None),
        ] {
            let found = Other::of(unit);
            let found = found.as_ref().map(|other| other.interface.as_deref());
            assert_eq!(found, wanted, "{unit}");
        }
    }
}
