//! What brings the target's wired network up, and what of it somebody set by hand: a bridge that is made
//! by us takes its address by DHCP, and would undo that.
//!
//! What is known to ask for an address by DHCP and nothing else is left out; every other setting counts as
//! made by hand, known or not.

mod ifupdown;
mod manager;
mod netplan;
mod networkd;
mod others;

use std::collections::BTreeMap;

pub use others::Other;

use crate::facts::FactsError;
use crate::root::{ReadError, Root};

/// Where what is switched on and off on this system stands.
const UNITS: &str = "/etc/systemd/system";
const WANTED: &str = "/etc/systemd/system/multi-user.target.wants";
/// Profiles of `NetworkManager`.
pub const PROFILES: &str = "/etc/NetworkManager/system-connections";
/// Files of systemd-networkd.
pub const NETWORKD: &str = "/etc/systemd/network";
/// How the names of files begin that we write there.
pub const OWN: &str = "neuron-";
/// The same where their order counts: in front of what people write.
pub const OWN_FIRST: &str = "05-neuron-";

/// Who brings the network up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkService {
    /// `NetworkManager`.
    NetworkManager,
    /// systemd-networkd.
    Networkd,
}

impl NetworkService {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::NetworkManager => "NetworkManager",
            Self::Networkd => "systemd-networkd",
        }
    }
}

/// Who brings the network up, and what was set by hand. Files that we wrote are among those that are named:
/// which are ours, the journal knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Networking {
    /// The services that start with the system.
    pub services: Vec<NetworkService>,
    /// Others that start with the system, and make no bridge here.
    pub others: Vec<Other>,
    /// What somebody set.
    pub by_hand: Vec<ByHand>,
    /// The interfaces that files call by their whole name.
    pub named: Vec<Named>,
    /// Files of systemd-networkd that ask for an address by DHCP, in the order in which they are read.
    pub plain: Vec<Plain>,
    /// What only root may read, and who asked is not root.
    pub closed: Option<String>,
}

/// A setting for an interface that a bridge would undo, or that would undo the bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByHand {
    /// The file.
    pub path: String,
    /// The interfaces, perhaps with `*`; `None` for any.
    pub names: Option<String>,
    /// Whether interfaces answer to other names than their own there.
    pub has_altnames: bool,
    /// What it does, as the end of a sentence.
    pub why: String,
}

/// A file that calls an interface by its whole name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The file.
    pub path: String,
    /// The interface.
    pub name: String,
}

/// A file that asks for addresses by DHCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    /// The interfaces, as in [`ByHand`].
    pub names: Option<String>,
    /// Its sections but for what it matches.
    pub sections: String,
}

const PATTERN: [char; 4] = ['*', '?', '[', '!'];

/// Whether names in a file may be about this interface. A pattern counts up to its first special character.
pub(super) fn may_concern(names: Option<&str>, interface: &str) -> bool {
    names.is_none_or(|names| {
        names.split_whitespace().any(|name| match name.find(PATTERN) {
            Some(at) => interface.starts_with(&name[..at]),
            None => name == interface,
        })
    })
}

impl ByHand {
    /// Whether it may be about this interface, on a machine that has these.
    ///
    /// A wired card may have more names than the one that it goes by (`enp5s0`, and `eno1` besides): a name
    /// of that kind that fits no interface may be one of those.
    pub fn may_concern(&self, interface: &str, there: &[&str]) -> bool {
        let is_other_name =
            |name: &str| name.starts_with("en") && !there.iter().any(|known| may_concern(Some(name), known));
        may_concern(self.names.as_deref(), interface)
            || (self.has_altnames
                && self.names.iter().flat_map(|names| names.split_whitespace()).any(is_other_name))
    }
}

impl Plain {
    /// Whether it may be about this interface.
    pub fn may_concern(&self, interface: &str) -> bool {
        may_concern(self.names.as_deref(), interface)
    }
}

impl Networking {
    pub(super) fn read(root: &Root) -> Result<Self, FactsError> {
        let mut seen = Self::default();
        let services = [NetworkService::NetworkManager, NetworkService::Networkd];
        for service in services {
            if starts(root, WANTED, &format!("{}.service", service.name()))? {
                seen.services.push(service);
            }
        }
        others::read(root, &mut seen)?;
        match seen.read_all(root) {
            Err(error) if error.source.kind() == std::io::ErrorKind::PermissionDenied => {
                seen.closed = Some(error.path);
                Ok(seen)
            }
            read => Ok(read.map(|()| seen)?),
        }
    }

    fn read_all(&mut self, root: &Root) -> Result<(), ReadError> {
        if self.services.contains(&NetworkService::NetworkManager) {
            manager::read(root, self)?;
        }
        if self.services.contains(&NetworkService::Networkd) {
            networkd::read(root, self)?;
        }
        ifupdown::read(root, self)?;
        netplan::read(root, self)
    }

    fn name(&mut self, path: &str, name: &str) {
        self.named.push(Named { path: path.to_owned(), name: name.to_owned() });
    }

    /// Adds a setting for any interface.
    fn for_any(&mut self, path: &str, why: &str) {
        let by_hand = ByHand { path: path.to_owned(), names: None, has_altnames: false, why: why.to_owned() };
        self.by_hand.push(by_hand);
    }
}

/// Whether systemd starts a unit with what wants it: it is in that folder, and not masked.
fn starts(root: &Root, folder: &str, unit: &str) -> Result<bool, ReadError> {
    let is_masked = |unit: &str| {
        let link = root.read_link(&format!("{UNITS}/{unit}"))?;
        Ok(link.is_some_and(|link| link == "/dev/null"))
    };
    let template = unit.split_once('@').map(|(name, _)| format!("{name}@.service"));
    let is_off = is_masked(unit)? || template.map_or(Ok(false), |template| is_masked(&template))?;
    Ok(!is_off && root.exists(&format!("{folder}/{unit}"))?)
}

/// The files that may be ours there.
pub(super) fn own_files(root: &Root) -> Result<Vec<String>, FactsError> {
    let mut own = Vec::new();
    for (folder, begin) in [(PROFILES, OWN), (NETWORKD, OWN_FIRST)] {
        let names = match root.list(folder) {
            // Only root may; who asked is told so where a bridge is wanted.
            Err(error) if error.source.kind() == std::io::ErrorKind::PermissionDenied => None,
            names => names?,
        };
        for name in names.unwrap_or_default().into_iter().filter(|name| name.starts_with(begin)) {
            let path = format!("{folder}/{name}");
            if root.size(&path)?.is_some() {
                own.push(path);
            }
        }
    }
    Ok(own)
}

/// The paths of the files whose names end so, by name; one in an earlier folder hides those of its name.
fn files(root: &Root, folders: &[&str], ending: &str) -> Result<BTreeMap<String, String>, ReadError> {
    let mut found = BTreeMap::new();
    for folder in folders {
        for name in root.list(folder)?.unwrap_or_default() {
            if name.ends_with(ending) {
                let path = format!("{folder}/{name}");
                found.entry(name).or_insert(path);
            }
        }
    }
    Ok(found)
}

/// The text of a file; `None` where that is none: a folder, or a device that hides another file.
fn text(root: &Root, path: &str) -> Result<Option<String>, ReadError> {
    if root.size(path)?.is_none() {
        return Ok(None);
    }
    root.attribute(path)
}
