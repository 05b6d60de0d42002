//! `NetworkManager`: its profiles, and its own settings.

use super::{ByHand, Networking, PROFILES, files, text};
use crate::root::{ReadError, Root};
use crate::text::key_file::{Entry, entries, value};

/// Where profiles lie; each counts, whatever others are called.
const FOLDERS: [&str; 3] =
    [PROFILES, "/run/NetworkManager/system-connections", "/usr/lib/NetworkManager/system-connections"];
const CONF: &str = "/etc/NetworkManager/NetworkManager.conf";
/// In the order in which one hides another.
const CONF_D: [&str; 3] =
    ["/etc/NetworkManager/conf.d", "/run/NetworkManager/conf.d", "/usr/lib/NetworkManager/conf.d"];
/// The priority of our profile for the card.
const OUR_PRIORITY: i32 = 999;

const WIRED: [&str; 2] = ["ethernet", "802-3-ethernet"];
/// Connections that lie on no wired card by themselves: which cards are in one, profiles of the cards say.
const APART: [&str; 17] = [
    "802-11-olpc-mesh",
    "802-11-wireless",
    "bluetooth",
    "bond",
    "bridge",
    "cdma",
    "dummy",
    "generic",
    "gsm",
    "loopback",
    "team",
    "tun",
    "veth",
    "vpn",
    "vrf",
    "wifi",
    "wireguard",
];

pub(super) fn read(root: &Root, seen: &mut Networking) -> Result<(), ReadError> {
    for folder in FOLDERS {
        for path in files(root, &[folder], "")?.into_values() {
            if let Some(text) = text(root, &path)? {
                profile(&path, &text, seen);
            }
        }
    }
    let conf = files(root, &CONF_D, ".conf")?.into_values();
    for path in std::iter::once(CONF.to_owned()).chain(conf) {
        if let Some(text) = text(root, &path)? {
            settings(&path, &text, seen);
        }
    }
    Ok(())
}

fn profile(path: &str, text: &str, seen: &mut Networking) {
    let of_connection = |key: &str| value(text, "connection", key).filter(|value| !value.is_empty());
    for key in ["interface-name", "master", "controller"] {
        if let Some(name) = of_connection(key) {
            seen.name(path, name);
        }
    }
    let kind = of_connection("type").unwrap_or("unknown");
    let why = if WIRED.contains(&kind) {
        let Some(other) = entries(text).find(|one| !is_usual(one)) else { return };
        format!("sets {} ([{}])", other.key, other.section)
    } else {
        format!("is a connection of type {kind}")
    };
    let own = of_connection("interface-name").map(str::to_owned);
    let parent = entries(text).filter(|one| one.key == "parent").last().map(|one| one.value);
    let names = match parent {
        _ if APART.contains(&kind) => Some(own.unwrap_or_default()),
        // By its UUID or its MAC address, which tell no name.
        Some(parent) if parent.len() > 15 || parent.contains(':') => None,
        Some(parent) => Some(format!("{parent} {}", own.unwrap_or_default())),
        None if WIRED.contains(&kind) || ["pppoe", "vxlan"].contains(&kind) => own,
        None => None,
    };
    seen.by_hand.push(ByHand { path: path.to_owned(), names, has_altnames: false, why });
}

/// What a profile has that does nothing but ask for addresses.
fn is_usual(one: &Entry<'_>) -> bool {
    match (one.section, one.key, one.value) {
        (_, _, "")
        | ("connection", "id" | "uuid" | "type" | "interface-name" | "timestamp" | "autoconnect", _)
        | ("ethernet" | "802-3-ethernet", "mac-address", _)
        // The automatic profile of a card that has none of its own.
        | (".nmmeta", "nm-generated", "true")
        | ("ipv4" | "ipv6", "method", "auto")
        | ("ipv6", "addr-gen-mode", "default" | "stable-privacy") => true,
        ("connection", "autoconnect-priority", value) => {
            value.parse::<i32>().is_ok_and(|priority| priority < OUR_PRIORITY)
        }
        _ => false,
    }
}

fn settings(path: &str, text: &str, seen: &mut Networking) {
    for one in entries(text) {
        let key = one.key.trim_end_matches(['+', '-']);
        let is_list = (one.section, key) == ("keyfile", "unmanaged-devices");
        if one.value.is_empty() || (!is_list && leaves_cards_alone(one.section, key)) {
            continue;
        }
        let why = if is_list {
            "leaves interfaces out of NetworkManager (unmanaged-devices)".to_owned()
        } else {
            format!("sets {key} ([{}])", one.section)
        };
        let names = if is_list { left_out(one.value) } else { None };
        seen.by_hand.push(ByHand { path: path.to_owned(), names, has_altnames: false, why });
    }
}

/// The names in a list of interfaces that are left out; `None` where it has them otherwise than by name.
fn left_out(list: &str) -> Option<String> {
    let names = list.split([';', ',']).map(str::trim).filter(|one| !one.is_empty());
    let names: Option<Vec<&str>> = names.map(|one| one.strip_prefix("interface-name:")).collect();
    // With `=` in front, what follows is no pattern.
    names.map(|names| names.iter().map(|name| name.trim_start_matches('=')).collect::<Vec<_>>().join(" "))
}

/// Settings of the whole service, and those for wireless cards.
fn leaves_cards_alone(section: &str, key: &str) -> bool {
    const MAIN: [&str; 13] = [
        "auth-polkit",
        "autoconnect-retries-default",
        "debug",
        "dhcp",
        "dns",
        "firewall-backend",
        "hostname-mode",
        "iwd-config-path",
        "migrate-ifcfg-rh",
        "no-auto-default",
        "plugins",
        "rc-manager",
        "systemd-resolved",
    ];
    match section {
        "main" => MAIN.contains(&key),
        // It is about what /etc/network/interfaces names, which is looked at by itself.
        "ifupdown" => key == "managed",
        "logging" | "connectivity" | ".config" => true,
        _ if section.starts_with("global-dns") => true,
        _ if section.starts_with("device") || section.starts_with("connection") => {
            key.starts_with("wifi") || ["match-device", "stop-match", "ipv6.ip6-privacy"].contains(&key)
        }
        _ => false,
    }
}
