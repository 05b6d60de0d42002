//! How the machine reaches the network.

use std::collections::BTreeMap;

use super::FactsError;
use crate::root::{ReadError, Root};

const INTERFACES: &str = "/sys/class/net";

/// A route that leads nowhere (`RTF_REJECT`).
const REJECT: u32 = 0x0200;

/// The interface of the default route over IPv4; `None` when there is none.
pub fn default_interface(root: &Root) -> Result<Option<String>, FactsError> {
    Ok(over_ipv4(root)?.into_iter().next())
}

/// The interfaces of all default routes.
pub(super) fn default_routes(root: &Root) -> Result<Vec<String>, ReadError> {
    let mut interfaces = over_ipv4(root)?;
    interfaces.extend(over_ipv6(root)?);
    Ok(interfaces)
}

/// `/proc/net/route` has a line for each route: interface, destination and gateway in hexadecimal,
/// flags, and more behind; the default route's destination and mask are 0. Source: the kernel's
/// `net/ipv4/fib_trie.c`.
fn over_ipv4(root: &Root) -> Result<Vec<String>, ReadError> {
    let text = root.attribute("proc/net/route")?.unwrap_or_default();
    let default = |line: &str| match line.split_whitespace().collect::<Vec<_>>().as_slice() {
        [interface, "00000000", _, flags, _, _, _, "00000000", ..] if leads_on(flags) => {
            Some((*interface).to_owned())
        }
        _ => None,
    };
    Ok(text.lines().skip(1).filter_map(default).collect())
}

/// `net/ipv6/route.c`: destination and its prefix length first, flags and interface last. The kernel
/// keeps a default route that rejects, on `lo`, where there is no other.
fn over_ipv6(root: &Root) -> Result<Vec<String>, ReadError> {
    let text = root.attribute("proc/net/ipv6_route")?.unwrap_or_default();
    let default = |line: &str| match line.split_whitespace().collect::<Vec<_>>().as_slice() {
        [to, "00", _, _, _, _, _, _, flags, interface]
            if to.bytes().all(|digit| digit == b'0') && leads_on(flags) =>
        {
            Some((*interface).to_owned())
        }
        _ => None,
    };
    Ok(text.lines().filter_map(default).collect())
}

fn leads_on(flags: &str) -> bool {
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & REJECT == 0)
}

/// A network interface, as far as it matters for a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Whether it is a card with a wire.
    pub is_wired: bool,
    /// Its MAC address.
    pub mac: String,
    /// What it is a part of now.
    pub upper: Option<String>,
}

impl Port {
    /// Looks at an interface; `None` when it is not there, or the machine lists none.
    pub fn read(root: &Root, name: &str) -> Result<Option<Self>, FactsError> {
        // Without this, a name like `..` would lead elsewhere.
        if !root.list(INTERFACES)?.is_some_and(|names| names.iter().any(|there| there == name)) {
            return Ok(None);
        }
        Self::of(root, name)
    }

    /// Every interface of the machine.
    pub fn all(root: &Root) -> Result<BTreeMap<String, Self>, FactsError> {
        let mut found = BTreeMap::new();
        for name in root.list(INTERFACES)?.unwrap_or_default() {
            found.extend(Self::of(root, &name)?.map(|port| (name, port)));
        }
        Ok(found)
    }

    fn of(root: &Root, name: &str) -> Result<Option<Self>, FactsError> {
        let at = |file: &str| format!("{INTERFACES}/{name}/{file}");
        let Some(mac) = root.attribute(&at("address"))? else { return Ok(None) };
        // `include/uapi/linux/if_arp.h`: 1 is Ethernet, which wireless cards say of themselves as well.
        let is_ethernet = root.attribute(&at("type"))?.as_deref() == Some("1");
        let is_card = root.exists(&at("device"))?;
        let is_wireless = root.exists(&at("phy80211"))? || root.exists(&at("wireless"))?;
        let upper = root.read_link(&at("master"))?;
        let upper = upper.and_then(|link| link.rsplit('/').next().map(str::to_owned));
        Ok(Some(Self { is_wired: is_ethernet && is_card && !is_wireless, mac, upper }))
    }
}

/// Whether there is a bridge of this name; `None` when the machine does not list its interfaces.
pub fn is_bridge(root: &Root, name: &str) -> Result<Option<bool>, FactsError> {
    // Without this, a name like `..` would lead elsewhere.
    match root.list(INTERFACES)? {
        None => Ok(None),
        Some(names) if names.iter().any(|there| there == name) => {
            Ok(Some(root.exists(&format!("{INTERFACES}/{name}/bridge"))?))
        }
        Some(_) => Ok(Some(false)),
    }
}
