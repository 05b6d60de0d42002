//! How the virtual machine reaches the network.

use neuron_passthrough::answers::{Network, NetworkKind};

use super::{Step, Taken, has_machine};
use crate::wizard::{Draft, Question, Seen};

const KINDS: [(NetworkKind, &str); 4] = [
    (NetworkKind::Nat, "Behind this computer (NAT); works everywhere"),
    (NetworkKind::Bridge, "On a bridge: seen by the whole network, as a computer of its own"),
    (NetworkKind::Macvtap, "On a network card directly (macvtap): so too, but unseen by this computer"),
    (NetworkKind::User, "By QEMU alone; slow, needs nothing"),
];

pub(super) const STEPS: &[Step] = &[
    Step {
        id: "network",
        applies: has_machine,
        ask: |_, draft| {
            let now = draft.vm().map(|vm| vm.network.kind).unwrap_or_default();
            let proposed = KINDS.iter().position(|(kind, _)| *kind == now).unwrap_or_default();
            let options = KINDS.iter().map(|(_, label)| (*label).to_owned()).collect();
            Question::choice("How does it reach the network?", options).proposing(proposed)
        },
        take: |_, draft, answer| {
            if let Some((kind, _)) = KINDS.get(answer.index())
                && let Some(vm) = draft.vm_mut()
                && vm.network.kind != *kind
            {
                vm.network = Network { kind: *kind, ..Network::default() };
            }
            Ok(Taken::Next)
        },
    },
    Step {
        id: "bridge",
        applies: |seen, draft| is(seen, draft, NetworkKind::Bridge),
        ask: |seen, draft| {
            let now = draft.vm().map(|vm| vm.network.bridge.clone()).unwrap_or_default();
            let first = seen.bridges.iter().find(|name| !name.starts_with("virbr")).or(seen.bridges.first());
            let usual = now == Network::default().bridge;
            let proposed = if usual { first.cloned().unwrap_or(now) } else { now };
            let there = match seen.bridges.as_slice() {
                [] => {
                    "This computer has none yet; it has to be there before the machine is defined.".to_owned()
                }
                names => format!("Here are: {}.", names.join(", ")),
            };
            Question::line("The bridge", proposed).text(there)
        },
        take: |_, draft, answer| {
            let name = interface(answer.line())?;
            if let Some(vm) = draft.vm_mut()
                && vm.network.bridge != name
            {
                // Whoever makes this one is asked for where it is not there.
                vm.network.bridge_port.clear();
                vm.network.bridge = name;
            }
            Ok(Taken::Next)
        },
    },
    Step {
        id: "bridge-port",
        applies: |seen, draft| is(seen, draft, NetworkKind::Bridge) && wired(seen, draft).is_some(),
        ask: |seen, draft| {
            let (name, card) = wired(seen, draft).unwrap_or_default();
            let options = vec![
                format!("This program, for the next boot, with the card {card}"),
                "I make it myself".to_owned(),
            ];
            Question::choice("Who makes the bridge?", options).text(format!(
                "There is no bridge {name} yet. With it, this computer has its own address on the bridge, too."
            ))
        },
        take: |seen, draft, answer| {
            let card = wired(seen, draft).map(|(_, card)| card).filter(|_| answer.index() == 0);
            if let Some(vm) = draft.vm_mut() {
                vm.network.bridge_port = card.unwrap_or_default();
            }
            Ok(Taken::Next)
        },
    },
    Step {
        id: "interface",
        applies: |seen, draft| is(seen, draft, NetworkKind::Macvtap),
        ask: |seen, draft| {
            let now = draft.vm().map(|vm| vm.network.interface.clone()).filter(|name| !name.is_empty());
            let proposed = now.or_else(|| seen.interface.clone()).unwrap_or_default();
            Question::line("The network card", proposed)
                .text("Its name as `ip link` shows it, like enp5s0. The one that leads to the internet is proposed where it is known.")
        },
        take: |_, draft, answer| {
            let name = interface(answer.line())?;
            if let Some(vm) = draft.vm_mut() {
                vm.network.interface = name;
            }
            Ok(Taken::Next)
        },
    },
];

fn is(seen: &Seen<'_>, draft: &Draft, kind: NetworkKind) -> bool {
    has_machine(seen, draft) && draft.vm().is_some_and(|vm| vm.network.kind == kind)
}

/// A bridge that is not there, and the card that it could be made with.
fn wired(seen: &Seen<'_>, draft: &Draft) -> Option<(String, String)> {
    let name = draft.vm()?.network.bridge.clone();
    let card = seen.wired.clone().filter(|_| !seen.bridges.contains(&name))?;
    Some((name, card))
}

/// Linux allows 15 bytes without blanks, slashes and colons.
fn interface(name: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts && name.len() <= 15 && name.chars().all(fits) {
        return Ok(name.to_owned());
    }
    Err(format!("`{}` is no name of a network interface; `ip link` shows them", name.escape_debug()))
}
