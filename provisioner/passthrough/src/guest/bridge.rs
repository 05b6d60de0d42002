//! Bridges that virtual machines want and that the host does not have yet: made by what brings its network
//! up, from the next boot on.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::answers::{Answers, NetworkKind};
use crate::facts::target::{NETWORKD, NetworkService, OWN, OWN_FIRST, PROFILES};
use crate::facts::{Port, Target};
use crate::policy::{Code, Finding, Severity};
use crate::step::{Action, FileState, Owner, Step, file_head};
use crate::text::digest::sha256;

/// Linux allows 15 bytes without blanks, slashes and colons.
static INTERFACE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$").ok());

/// Whether this can be the name of a network interface.
pub fn is_interface_name(name: &str) -> bool {
    INTERFACE.as_ref().is_some_and(|form| form.is_match(name))
}

/// Whether a file is one of those that are written here.
pub fn is_own(path: &str) -> bool {
    let name = |folder: &str| path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
    name(PROFILES).is_some_and(|name| name.starts_with(OWN))
        || name(NETWORKD).is_some_and(|name| name.starts_with(OWN_FIRST))
}

/// The interfaces that answers want for bridges.
pub fn ports(answers: &Answers) -> Vec<&str> {
    wanted(answers).map(|(_, _, port)| port).collect()
}

/// Machine, bridge and port of every bridge that is to be made.
fn wanted(answers: &Answers) -> impl Iterator<Item = (&str, &str, &str)> {
    let made = answers.vm.iter().filter(|(_, vm)| vm.network.kind == NetworkKind::Bridge);
    made.map(|(name, vm)| (name.as_str(), vm.network.bridge.as_str(), vm.network.bridge_port.as_str()))
        .filter(|(_, _, port)| !port.is_empty())
}

/// The steps that write what makes them, or why they cannot be made.
pub fn steps(
    answers: &Answers,
    target: &Target,
    ports: &BTreeMap<String, Port>,
) -> Result<Vec<Step>, Vec<Finding>> {
    let mut bridges: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (vm, bridge, port) in wanted(answers) {
        let mut refuse = |why: &str, hint: &str| {
            let message = format!("vm.{vm}.network.bridge_port: {why}");
            wrong.push(Finding::new(Code::Bridge, Severity::Blocker, message, hint));
        };
        if !is_interface_name(bridge) || !is_interface_name(port) {
            let why = format!(
                "`{}` and `{}` are to be names of interfaces",
                bridge.escape_debug(),
                port.escape_debug()
            );
            refuse(&why, "write the names that `ip link` shows");
        } else if bridge.starts_with("virbr") {
            refuse(&format!("{bridge} is a name that libvirt gives to bridges of its own"), "call it br0");
        } else if bridge == port {
            refuse("a bridge is no part of itself", "name the wired interface, like enp5s0");
        } else if let Some((other, _)) =
            bridges.iter().find(|(name, (one, _))| (**name == bridge) != (*one == port))
        {
            refuse(
                &format!("{port} for {bridge}, and another machine has it otherwise for {other}"),
                "give one bridge one interface, and one interface one bridge",
            );
        } else {
            bridges.insert(bridge, (port, vm));
        }
    }
    let mut all = Vec::new();
    for (bridge, (port, vm)) in bridges {
        match one(bridge, port, target, ports.get(port)) {
            Ok(steps) => all.extend(steps),
            Err((why, hint)) => {
                let message = format!("vm.{vm}.network.bridge_port: {why}");
                wrong.push(Finding::new(Code::Bridge, Severity::Blocker, message, hint));
            }
        }
    }
    if wrong.is_empty() { Ok(all) } else { Err(wrong) }
}

/// Why a bridge is not made, and what to do.
type Refusal = (String, String);

fn one(name: &str, port: &str, target: &Target, there: Option<&Port>) -> Result<Vec<Step>, Refusal> {
    let by_hand = "make the bridge by hand and leave bridge_port out, or use kind = \"nat\"";
    let refuse = |why: String, hint: &str| Err((why, hint.to_owned()));
    let network = &target.networking;
    let Some(there) = there else {
        return refuse(
            format!("there is no interface {port} here"),
            "name the wired interface that `ip link` shows, on the machine itself",
        );
    };
    if !there.is_wired {
        return refuse(format!("{port} is no wired card, and only those can be on a bridge"), by_hand);
    }
    let is_made = target.files.keys().any(|path| is_own(path.as_str()));
    if let Some(upper) = there.upper.as_ref().filter(|_| !is_made) {
        let why = format!("{port} is a part of {upper} already");
        return refuse(
            why,
            "leave bridge_port out, and name that as the bridge if it is one; where it was just taken back, reboot first",
        );
    }
    if let Some(path) = &network.closed {
        return refuse(format!("{path} can be read by root alone"), "run as root");
    }
    let service = match network.services.as_slice() {
        [service] => *service,
        [] => {
            let why = "neither NetworkManager nor systemd-networkd starts with this system".to_owned();
            return refuse(why, by_hand);
        }
        _ => {
            let why = format!(
                "NetworkManager and systemd-networkd both start with this system, and which has {port} is not known"
            );
            return refuse(why, "disable the one that is not wanted, or make the bridge by hand");
        }
    };
    if let Some(found) = network.by_hand.iter().find(|found| found.may_concern(port)) {
        let why = format!("{} {}, which a bridge for {port} would undo or never get", found.path, found.why);
        return refuse(why, by_hand);
    }
    Ok(match service {
        NetworkService::NetworkManager => network_manager(name, port, there, target),
        NetworkService::Networkd => networkd(name, port, there, target),
    })
}

const BECAUSE: &str = "the machine is then in the network as a computer of its own; the host has its address on the \
                       bridge, with the card's own MAC address";

/// A profile for the bridge, and one that puts the card into it before any other profile takes the card.
fn network_manager(name: &str, port: &str, there: &Port, target: &Target) -> Vec<Step> {
    // Unique on this system is enough; the same again for the same bridge.
    let uuid = |of: &str| {
        let hex = sha256(&[b"bridge", of.as_bytes()]);
        format!("{}-{}-8{}-a{}-{}", &hex[0..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
    };
    let own = format!("{OWN}{name}");
    let bridge = format!(
        "{}[connection]\nid={own}\nuuid={}\ntype=bridge\ninterface-name={name}\n\n[bridge]\nmac-address={}\n\
         stp=false\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n",
        file_head("a bridge for virtual machines."),
        uuid(&own),
        there.mac
    );
    let id = format!("{own}-port");
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

fn networkd(name: &str, port: &str, there: &Port, target: &Target) -> Vec<Step> {
    let device = format!(
        "{}[NetDev]\nName={name}\nKind=bridge\nMACAddress={}\n\n[Bridge]\nSTP=no\n",
        file_head("a bridge for virtual machines."),
        there.mac
    );
    let card = format!(
        "{}[Match]\nName={port}\n\n[Network]\nBridge={name}\n",
        file_head("the card on the bridge for virtual machines.")
    );
    let address = format!(
        "{}[Match]\nName={name}\n\n[Network]\nDHCP=yes\n",
        file_head("the host's address on the bridge.")
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
