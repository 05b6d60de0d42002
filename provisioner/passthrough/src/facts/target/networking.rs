//! What brings the target's wired network up, and what of it somebody set by hand: a bridge that is made
//! by us takes its address by DHCP, and would undo that.

use crate::facts::FactsError;
use crate::root::{ReadError, Root};
use crate::text::key_file::{Entry, entries, has_section};

const WANTED: &str = "/etc/systemd/system/multi-user.target.wants";
/// Profiles of `NetworkManager`.
pub const PROFILES: &str = "/etc/NetworkManager/system-connections";
/// Files of systemd-networkd.
pub const NETWORKD: &str = "/etc/systemd/network";
const MANAGER_CONF: &str = "/etc/NetworkManager/NetworkManager.conf";
const MANAGER_CONF_D: &str = "/etc/NetworkManager/conf.d";
const IFUPDOWN: &str = "/etc/network/interfaces";
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

/// Who brings the network up, and what was set by hand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Networking {
    /// The services that start with the system.
    pub services: Vec<NetworkService>,
    /// What somebody set.
    pub by_hand: Vec<ByHand>,
    /// What only root may read, and who asked is not root.
    pub closed: Option<String>,
}

/// A setting for an interface that a bridge would undo, or that would undo the bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByHand {
    /// The file.
    pub path: String,
    /// The interface, perhaps with `*`; `None` for any.
    pub interface: Option<String>,
    /// What it does, as the end of a sentence.
    pub why: String,
}

impl ByHand {
    /// Whether it may be about this interface. A pattern counts up to its first special character.
    pub fn may_concern(&self, interface: &str) -> bool {
        self.interface.as_ref().is_none_or(|names| {
            names.split_whitespace().any(|name| match name.find(['*', '?', '[', '!']) {
                Some(at) => interface.starts_with(&name[..at]),
                None => name == interface,
            })
        })
    }
}

impl Networking {
    pub(super) fn read(root: &Root) -> Result<Self, FactsError> {
        let mut seen = Self::default();
        let services = [NetworkService::NetworkManager, NetworkService::Networkd];
        for service in services {
            if root.exists(&format!("{WANTED}/{}.service", service.name()))? {
                seen.services.push(service);
            }
        }
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
            of_folder(root, PROFILES, "", |path, text| self.by_hand.extend(profile(path, text)))?;
            let mut settings = |path: &str, text: &str| self.by_hand.extend(left_out(path, text));
            if let Some(text) = root.attribute(MANAGER_CONF)? {
                settings(MANAGER_CONF, &text);
            }
            of_folder(root, MANAGER_CONF_D, ".conf", settings)?;
        }
        if self.services.contains(&NetworkService::Networkd) {
            of_folder(root, NETWORKD, ".network", |path, text| self.by_hand.extend(network(path, text)))?;
        }
        if let Some(text) = root.attribute(IFUPDOWN)? {
            self.by_hand.extend(ifupdown(&text));
        }
        Ok(())
    }
}

/// The files that we wrote there.
pub(super) fn own_files(root: &Root) -> Result<Vec<String>, FactsError> {
    let mut own = Vec::new();
    for (folder, begin) in [(PROFILES, OWN), (NETWORKD, OWN_FIRST)] {
        let names = match root.list(folder) {
            // Only root may; who asked is told so where a bridge is wanted.
            Err(error) if error.source.kind() == std::io::ErrorKind::PermissionDenied => None,
            names => names?,
        };
        let names = names.unwrap_or_default().into_iter().filter(|name| name.starts_with(begin));
        own.extend(names.map(|name| format!("{folder}/{name}")));
    }
    Ok(own)
}

/// Every file of a folder whose name ends so and that is not ours.
fn of_folder(
    root: &Root,
    folder: &str,
    ending: &str,
    mut each: impl FnMut(&str, &str),
) -> Result<(), ReadError> {
    for name in root.list(folder)?.unwrap_or_default() {
        if name.ends_with(ending) && !name.starts_with(OWN) && !name.starts_with(OWN_FIRST) {
            let path = format!("{folder}/{name}");
            if let Some(text) = root.attribute(&path)? {
                each(&path, &text);
            }
        }
    }
    Ok(())
}

fn value<'a>(text: &'a str, section: &str, key: &str) -> Option<&'a str> {
    entries(text).filter(|one| one.section == section && one.key == key).last().map(|one| one.value)
}

/// A profile of `NetworkManager` for a wired interface that does more than ask for an address.
fn profile(path: &str, text: &str) -> Option<ByHand> {
    let kind = value(text, "connection", "type")?;
    if !["ethernet", "802-3-ethernet"].contains(&kind) {
        return None;
    }
    let by_hand = |version: &str| {
        value(text, version, "method").filter(|method| matches!(*method, "manual" | "shared" | "link-local"))
    };
    let is_port = ["master", "controller"].iter().any(|key| value(text, "connection", key).is_some());
    let why = if let Some(method) = by_hand("ipv4").or_else(|| by_hand("ipv6")) {
        format!("sets its addresses itself (method={method})")
    } else if has_section(text, "802-1x") {
        "logs in to the network (802-1x)".to_owned()
    } else if is_port {
        "makes it a part of another interface".to_owned()
    } else {
        return None;
    };
    let interface = value(text, "connection", "interface-name").map(str::to_owned);
    Some(ByHand { path: path.to_owned(), interface, why })
}

fn left_out(path: &str, text: &str) -> Option<ByHand> {
    let is_it =
        |one: Entry<'_>| one.key.trim_end_matches('+') == "unmanaged-devices" && !one.value.is_empty();
    let why = "leaves interfaces out of NetworkManager (unmanaged-devices)".to_owned();
    entries(text).any(is_it).then(|| ByHand { path: path.to_owned(), interface: None, why })
}

/// A file of systemd-networkd that does more than ask for an address, or that is read before ours.
fn network(path: &str, text: &str) -> Option<ByHand> {
    let says = |key: &str| value(text, "Network", key);
    let asks = says("DHCP").is_some_and(|value| value != "no" && value != "false" && value != "off");
    let others = ["Address", "Gateway", "Bridge", "Bond", "VLAN", "MACVLAN", "IPVLAN", "VRF"];
    let other = others.iter().find(|key| says(key).is_some());
    let section = ["Address", "Route"].into_iter().find(|name| has_section(text, name));
    let name = path.rsplit('/').next().unwrap_or(path);
    let why = if let Some(key) = other {
        format!("sets {key} for it")
    } else if let Some(section) = section {
        format!("has a section [{section}] for it")
    } else if !asks {
        "does not ask for an address by DHCP".to_owned()
    } else if name < OWN_FIRST {
        format!("is read before {OWN_FIRST}*, and takes the interface")
    } else {
        return None;
    };
    let interface = value(text, "Match", "Name").map(str::to_owned);
    // One that names other kinds of interfaces is about none of wires.
    let is_other = value(text, "Match", "Type").is_some_and(|kind| !kind.contains("ether"));
    (!is_other).then(|| ByHand { path: path.to_owned(), interface, why })
}

/// ifupdown has the interfaces that its file names, whoever else is there.
fn ifupdown(text: &str) -> Vec<ByHand> {
    let named = |line: &str| {
        let mut words = line.split_whitespace();
        let is_one = words.next() == Some("iface");
        words.next().filter(|name| is_one && *name != "lo").map(str::to_owned)
    };
    let by_hand = |interface| ByHand {
        path: IFUPDOWN.to_owned(),
        interface: Some(interface),
        why: "has it (ifupdown)".to_owned(),
    };
    text.lines().filter_map(named).map(by_hand).collect()
}
