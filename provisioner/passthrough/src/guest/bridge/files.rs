//! The files that make one bridge, for either service.

use std::collections::BTreeMap;

use super::PORT;
use crate::facts::Target;
use crate::facts::target::{NETWORKD, NetworkService, OWN, OWN_FIRST, PROFILES};
use crate::id::TargetPath;
use crate::step::{Action, FileState, Owner, Step, file_head};
use crate::text::digest::sha256;
use crate::text::key_file::value;

const BECAUSE: &str = "the machine is then in the network as a computer of its own; the host has its address on the \
                       bridge, with the card's own MAC address";

/// The bridge of which a file is, where it is called as those are that are written here.
pub fn of(path: &str) -> Option<&str> {
    let in_folder = |folder: &str| path.strip_prefix(folder)?.strip_prefix('/');
    let profile = || in_folder(PROFILES)?.strip_prefix(OWN)?.strip_suffix(".nmconnection");
    let networkd = || {
        let name = in_folder(NETWORKD)?.strip_prefix(OWN_FIRST)?;
        name.strip_suffix(".network").or_else(|| name.strip_suffix(".netdev"))
    };
    let name = profile().or_else(networkd)?;
    Some(name.strip_suffix(PORT).unwrap_or(name))
}

/// The bridges that are left as they are, with a file of each that somebody changed: half of what makes a
/// bridge could take the network away, so all of it stays. What is gone is nobody's; alone, it is written anew.
pub fn left<'a>(
    changed: impl IntoIterator<Item = &'a TargetPath>,
    is_gone: impl Fn(&TargetPath) -> bool,
) -> BTreeMap<&'a str, &'a TargetPath> {
    let there = changed.into_iter().filter(|path| !is_gone(path));
    there.filter_map(|path| Some((of(path.as_str())?, path))).collect()
}

/// The address of the card in what was written for a bridge.
pub(super) fn mac<'a>(service: NetworkService, name: &str, target: &'a Target) -> Option<&'a str> {
    let (path, section, key) = match service {
        NetworkService::NetworkManager => {
            (format!("{PROFILES}/{OWN}{name}.nmconnection"), "bridge", "mac-address")
        }
        NetworkService::Networkd => (format!("{NETWORKD}/{OWN_FIRST}{name}.netdev"), "NetDev", "MACAddress"),
    };
    value(target.text(&path)?, section, key)
}

/// The steps for one bridge, with the address of its card.
pub(super) fn steps(
    service: NetworkService,
    name: &str,
    port: &str,
    mac: &str,
    target: &Target,
) -> Vec<Step> {
    match service {
        NetworkService::NetworkManager => network_manager(name, port, mac, target),
        NetworkService::Networkd => networkd(name, port, mac, target),
    }
}

/// A profile for the bridge, and one that puts the card into it before any other profile takes the card.
fn network_manager(name: &str, port: &str, mac: &str, target: &Target) -> Vec<Step> {
    // Unique on this system is enough; the same again for the same bridge.
    let uuid = |of: &str| {
        let hex = sha256(&[b"bridge", of.as_bytes()]);
        format!("{}-{}-8{}-a{}-{}", &hex[0..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
    };
    let own = format!("{OWN}{name}");
    let bridge = format!(
        "{}[connection]\nid={own}\nuuid={}\ntype=bridge\ninterface-name={name}\n\n[bridge]\nmac-address={mac}\n\
         stp=false\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n",
        file_head("a bridge for virtual machines."),
        uuid(&own)
    );
    let id = format!("{own}{PORT}");
    let card = format!(
        "{}[connection]\nid={id}\nuuid={}\ntype=ethernet\ninterface-name={port}\nmaster={name}\n\
         slave-type=bridge\nautoconnect-priority=999\n",
        file_head("the card on the bridge for virtual machines."),
        uuid(&id)
    );
    // What others may read, NetworkManager does not take.
    let closed =
        |text: String| FileState::Regular { bytes: text.into_bytes(), mode: 0o600, owner: Owner::default() };
    let file = |name: &str| format!("{PROFILES}/{name}.nmconnection");
    [
        write(
            format!("bridge-{name}"),
            format!("Make the bridge {name}"),
            &file(&own),
            closed(bridge),
            target,
        ),
        write(
            format!("bridge-{name}-port"),
            format!("Put {port} on the bridge {name}"),
            &file(&id),
            closed(card),
            target,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn networkd(name: &str, port: &str, mac: &str, target: &Target) -> Vec<Step> {
    let device = format!(
        "{}[NetDev]\nName={name}\nKind=bridge\nMACAddress={mac}\n\n[Bridge]\nSTP=no\n",
        file_head("a bridge for virtual machines.")
    );
    let card = format!(
        "{}[Match]\nName={port}\n\n[Network]\nBridge={name}\n",
        file_head("the card on the bridge for virtual machines.")
    );
    // The card's own settings go over to the bridge: what is left out where somebody set more than these.
    let of_card = target.networking.plain.iter().find(|plain| plain.may_concern(port));
    let address = format!(
        "{}[Match]\nName={name}\n{}",
        file_head("the host's address on the bridge."),
        of_card.map_or("\n[Network]\nDHCP=yes\n", |plain| plain.sections.as_str())
    );
    let file = |ending: &str| format!("{NETWORKD}/{OWN_FIRST}{name}{ending}");
    let step = |id: &str, title: String, ending: &str, text: String| {
        write(format!("bridge-{name}{id}"), title, &file(ending), FileState::config(text), target)
    };
    [
        step("", format!("Make the bridge {name}"), ".netdev", device),
        step("-port", format!("Put {port} on the bridge {name}"), "-port.network", card),
        step("-address", format!("Give the host its address on {name}"), ".network", address),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn write(id: String, title: String, path: &str, after: FileState, target: &Target) -> Option<Step> {
    let path = path.parse().ok()?;
    let before = target.state(&path).clone();
    Some(Step { id, title, because: BECAUSE.to_owned(), action: Action::WriteFile { path, before, after } })
}
