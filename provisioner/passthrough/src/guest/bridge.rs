//! Bridges that virtual machines want and that the host does not have yet: made by what brings its network
//! up, from the next boot on.

mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

pub use files::{left, of};

use crate::answers::{Answers, Mode, Network, NetworkKind};
use crate::facts::target::NetworkService;
use crate::facts::{Port, Target};
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Severity};
use crate::step::{FileState, Step};

/// Linux allows 15 bytes without blanks, slashes and colons.
static INTERFACE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$").ok());

/// Whether this can be the name of a network interface.
pub fn is_interface_name(name: &str) -> bool {
    INTERFACE.as_ref().is_some_and(|form| form.is_match(name))
}

/// The end of a name that the files of a bridge's card have.
const PORT: &str = "-port";

/// Whether answers want a bridge to be made.
pub fn is_wanted(answers: &Answers) -> bool {
    wanted(answers).next().is_some()
}

/// What to do where a bridge that answers want is not there.
pub fn hint(answers: &Answers, network: &Network) -> &'static str {
    if network.bridge_port.is_empty() {
        "name the wired interface for it in bridge_port, then apply and reboot; or use kind = \"nat\""
    } else if answers.passthrough.mode == Mode::Off {
        "with mode = \"off\" nothing is written, no bridge either: make it by hand, or use kind = \"nat\""
    } else {
        "`neuron-provisioner apply` writes what makes it, as root; it is there after a reboot"
    }
}

/// What bridges are made on.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// The target.
    pub target: &'a Target,
    /// The machine's interfaces.
    pub interfaces: &'a BTreeMap<String, Port>,
    /// The files of bridges that are ours, and stand as we wrote them.
    pub own: &'a BTreeSet<&'a TargetPath>,
    /// The bridges that are left as they are.
    pub left: &'a BTreeSet<&'a str>,
}

impl Ground<'_> {
    fn is_own(&self, path: &str) -> bool {
        self.own.iter().any(|own| own.as_str() == path)
    }

    /// Whether a bridge is made by files of ours.
    fn makes(&self, bridge: &str) -> bool {
        self.own.iter().any(|path| of(path.as_str()) == Some(bridge))
    }
}

/// Machine, bridge and port of every bridge that is to be made.
fn wanted(answers: &Answers) -> impl Iterator<Item = (&str, &str, &str)> {
    let made = answers.vm.iter().filter(|(_, vm)| vm.network.kind == NetworkKind::Bridge);
    made.map(|(name, vm)| (name.as_str(), vm.network.bridge.as_str(), vm.network.bridge_port.as_str()))
        .filter(|(_, _, port)| !port.is_empty())
}

/// The steps that write what makes them, or why they cannot be made.
pub fn steps(answers: &Answers, ground: Ground<'_>) -> Result<Vec<Step>, Vec<Finding>> {
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
        } else if bridge.ends_with(PORT) {
            refuse(
                &format!("{bridge} ends in {PORT}, as names of files for a bridge's card do"),
                "call it br0",
            );
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
    for (bridge, (port, vm)) in bridges.into_iter().filter(|(bridge, _)| !ground.left.contains(bridge)) {
        match one(bridge, port, ground) {
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

const BY_HAND: &str = "make the bridge by hand and leave bridge_port out, or use kind = \"nat\"";

fn refuse<T>(why: String, hint: &str) -> Result<T, Refusal> {
    Err((why, hint.to_owned()))
}

fn one(name: &str, port: &str, ground: Ground<'_>) -> Result<Vec<Step>, Refusal> {
    let network = &ground.target.networking;
    // What makes it stands there already: nothing is to be undone by it any more, and whatever can be seen
    // of the card today, its address included, the set-up is as it was.
    for service in &network.services {
        let Some(mac) = files::mac(*service, name, ground.target) else { continue };
        let steps = files::steps(*service, name, port, mac, ground.target);
        let is_ours = |step: &Step| step.action.path().is_some_and(|path| ground.own.contains(path));
        if steps.iter().all(|step| step.is_settled() && is_ours(step)) {
            return Ok(steps);
        }
    }
    if let Some(path) = &network.closed {
        return refuse(format!("{path} can be read by root alone"), "run as root");
    }
    let there = interfaces(name, port, ground)?;
    let service = match network.services.as_slice() {
        [service] => *service,
        [] => {
            let why = "neither NetworkManager nor systemd-networkd starts with this system".to_owned();
            return refuse(why, BY_HAND);
        }
        _ => {
            let why = format!(
                "NetworkManager and systemd-networkd both start with this system, and which has {port} is not known"
            );
            return refuse(why, "disable the one that is not wanted, or make the bridge by hand");
        }
    };
    by_another_service(service, name, port, ground)?;
    let steps = files::steps(service, name, port, &there.mac, ground.target);
    by_others(name, port, &steps, ground)?;
    Ok(steps)
}

/// Whether another service would take the card or the bridge as well.
fn by_another_service(
    service: NetworkService,
    name: &str,
    port: &str,
    ground: Ground<'_>,
) -> Result<(), Refusal> {
    let mut others = ground.target.networking.others.iter();
    match others.find(|other| other.may_concern(port) || other.may_concern(name)) {
        None => Ok(()),
        Some(other) => Err((
            format!(
                "{} starts with this system beside {}, and would bring {port} or {name} up as well",
                other.unit,
                service.name()
            ),
            format!(
                "`systemctl disable {}`, as root, if it is not what brings the network up; or {BY_HAND}",
                other.unit
            ),
        )),
    }
}

/// The card, where the machine's interfaces allow it.
fn interfaces<'a>(name: &str, port: &str, ground: Ground<'a>) -> Result<&'a Port, Refusal> {
    let Some(there) = ground.interfaces.get(port) else {
        return refuse(
            format!("there is no interface {port} here"),
            "name the wired interface that `ip link` shows, on the machine itself",
        );
    };
    if !there.is_wired {
        return refuse(format!("{port} is no wired card, and only those can be on a bridge"), BY_HAND);
    }
    if let Some(upper) = there.upper.as_ref().filter(|upper| !ground.makes(upper)) {
        return refuse(
            format!("{port} is a part of {upper} already"),
            "leave bridge_port out, and name that as the bridge if it is one; where it was just taken back, reboot first",
        );
    }
    if ground.interfaces.contains_key(name) && !ground.makes(name) {
        return refuse(
            format!("there is an interface {name} already, and no file of ours makes it"),
            "leave bridge_port out if that is the bridge, or call it otherwise; where it was just taken back, reboot first",
        );
    }
    Ok(there)
}

/// Whether files of others allow it.
fn by_others(name: &str, port: &str, steps: &[Step], ground: Ground<'_>) -> Result<(), Refusal> {
    let network = &ground.target.networking;
    let written = steps.iter().filter_map(|step| step.action.path());
    let is_there = |path: &&TargetPath| ground.target.state(path) != &FileState::Absent;
    if let Some(path) = written.filter(is_there).find(|path| !ground.is_own(path.as_str())) {
        return refuse(
            format!("{path} is there already, and is not as it was written here, if it was"),
            "take it away if nobody needs it, or call the bridge otherwise",
        );
    }
    let mut named = network.named.iter().filter(|one| !ground.is_own(&one.path));
    if let Some(found) = named.find(|one| one.name == name) {
        return refuse(
            format!("{} is about {name} already", found.path),
            "leave bridge_port out if that makes the bridge, or call it otherwise",
        );
    }
    let there: Vec<&str> = ground.interfaces.keys().map(String::as_str).collect();
    let concerns = |interface: &str| {
        let mut by_hand = network.by_hand.iter().filter(|one| !ground.is_own(&one.path));
        by_hand.find(|one| one.may_concern(interface, &there))
    };
    if let Some(found) = concerns(port).or_else(|| concerns(name)) {
        let why = format!("{} {}, which a bridge for {port} would undo or never get", found.path, found.why);
        return refuse(why, BY_HAND);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_tells_its_bridge() {
        for (path, bridge) in [
            ("/etc/NetworkManager/system-connections/neuron-br0.nmconnection", Some("br0")),
            ("/etc/NetworkManager/system-connections/neuron-br0-port.nmconnection", Some("br0")),
            ("/etc/systemd/network/05-neuron-a.b.netdev", Some("a.b")),
            ("/etc/systemd/network/05-neuron-br0-port.network", Some("br0")),
            ("/etc/systemd/network/neuron-br0.network", None),
            ("/etc/NetworkManager/system-connections/br0.nmconnection", None),
            ("/run/systemd/network/05-neuron-br0.network", None),
            ("/etc/systemd/network/05-neuron-br0.link", None),
        ] {
            assert_eq!(of(path), bridge, "{path}");
        }
    }

    #[test]
    fn what_is_to_be_done_is_what_would_help() {
        for (text, wanted) in [
            ("", "name the wired interface"),
            ("bridge_port = \"enp5s0\"\n", "`neuron-provisioner apply` writes"),
            ("bridge_port = \"enp5s0\"\n[passthrough]\nmode = \"off\"\n", "nothing is written"),
        ] {
            let text = format!("[vm.a]\n[vm.a.network]\nkind = \"bridge\"\n{text}");
            let answers = Answers::parse(&text).unwrap();
            let hint = hint(&answers, &answers.vm["a"].network);
            assert!(hint.contains(wanted), "{text}: {hint}");
        }
    }
}
