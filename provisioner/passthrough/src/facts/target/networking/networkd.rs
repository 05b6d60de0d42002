//! systemd-networkd: its files, each with what is put beside it.

use std::collections::BTreeMap;

use super::{ByHand, NETWORKD, Networking, OWN_FIRST, PATTERN, Plain, files, text};
use crate::root::{ReadError, Root};
use crate::text::key_file::{Entry, entries, value};

/// In the order in which one hides another.
const FOLDERS: [&str; 4] =
    [NETWORKD, "/run/systemd/network", "/usr/local/lib/systemd/network", "/usr/lib/systemd/network"];

/// One file or drop-in: its path and its text.
type Part = (String, String);

pub(super) fn read(root: &Root, seen: &mut Networking) -> Result<(), ReadError> {
    for path in files(root, &FOLDERS, ".netdev")?.into_values() {
        let text = text(root, &path)?.unwrap_or_default();
        if let Some(name) = value(&text, "NetDev", "Name") {
            seen.name(&path, name);
        }
    }
    for (name, path) in files(root, &FOLDERS, ".network")? {
        let Some(first) = text(root, &path)? else { continue };
        let mut parts = vec![(path, first)];
        let folders = FOLDERS.map(|folder| format!("{folder}/{name}.d"));
        let drop_ins: BTreeMap<String, String> =
            files(root, &folders.each_ref().map(String::as_str), ".conf")?;
        for path in drop_ins.into_values() {
            parts.extend(text(root, &path)?.map(|text| (path, text)));
        }
        network(&name, &parts, seen);
    }
    Ok(())
}

fn network(name: &str, parts: &[Part], seen: &mut Networking) {
    let all = || parts.iter().flat_map(|(path, text)| entries(text).map(move |one| (path, one)));
    let matched = |key: &str| {
        let values = all().filter(|(_, one)| one.section == "Match" && one.key == key);
        values.map(|(_, one)| one.value).collect::<Vec<_>>().join(" ")
    };
    // One that names other kinds of interfaces is about none of wires, and about no bridge.
    for (key, ours) in [("Type", ["ether", "bridge"]), ("Kind", ["bridge", "bridge"])] {
        let kinds = matched(key);
        let has = |word: &str| kinds.contains(word);
        if !kinds.is_empty() && !has("!") && !ours.into_iter().any(has) {
            return;
        }
    }
    let names = Some(matched("Name")).filter(|names| !names.is_empty() && !names.contains('!'));
    let Some((path, _)) = parts.first() else { return };
    for one in names.iter().flat_map(|names| names.split_whitespace()) {
        if !one.contains(PATTERN) {
            seen.name(path, one);
        }
    }
    for (path, one) in all().filter(|(_, one)| (one.section, one.key) == ("Network", "Bridge")) {
        seen.name(path, one.value);
    }
    let asks = all().any(|(_, one)| (one.section, one.key) == ("Network", "DHCP") && is_usual(&one));
    let other = all().find(|(_, one)| !is_usual(one));
    let (path, why) = if let Some((path, one)) = other {
        (path, format!("sets {} ([{}])", one.key, one.section))
    } else if !asks {
        (path, "does not ask for an address by DHCP".to_owned())
    } else if name < OWN_FIRST {
        (path, format!("is read before {OWN_FIRST}*, and takes the interface"))
    } else {
        seen.plain.push(Plain { names, sections: sections(all().map(|(_, one)| one)) });
        return;
    };
    seen.by_hand.push(ByHand { path: path.clone(), names, has_altnames: true, why });
}

/// What a file has that does nothing but ask for addresses.
fn is_usual(one: &Entry<'_>) -> bool {
    let is_on = || ["yes", "true", "on", "1"].contains(&one.value);
    match (one.section, one.key) {
        (_, _) if one.value.is_empty() => true,
        ("Match", _)
        | ("Network", "Description")
        | ("Link", "RequiredForOnline")
        | ("DHCP" | "DHCPv4" | "IPv6AcceptRA", "RouteMetric") => true,
        ("Network", "DHCP") => is_on() || one.value == "ipv4",
        ("Network", "IPv6AcceptRA" | "MulticastDNS") => is_on(),
        ("Network", "LinkLocalAddressing") => one.value == "ipv6",
        _ => false,
    }
}

/// The same settings for another interface.
fn sections<'a>(all: impl Iterator<Item = Entry<'a>>) -> String {
    let mut lines = Vec::new();
    let mut section = "";
    for one in all.filter(|one| one.section != "Match" && !one.value.is_empty()) {
        if one.section != section {
            section = one.section;
            lines.push(format!("\n[{section}]\n"));
        }
        lines.push(format!("{}={}\n", one.key, one.value));
    }
    lines.concat()
}
