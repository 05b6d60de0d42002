//! The GPU that the host keeps: there, with a driver, and able to show a picture.

use super::Finding;
use super::functions::compare;
use super::seen::Seen;
use crate::facts::Connector;
use crate::id::PciAddress;
use crate::text::vfio_devices::Role;

const WAY_BACK: &str = "reboot into the entry without passthrough, and look at what changed";

pub(super) fn gpu(seen: &Seen<'_>) -> Vec<Finding> {
    let gone = "the host's GPU was taken out, or switched off in the firmware";
    seen.listed(Role::Host).map(|was| compare(seen, was, gone)).collect()
}

/// The host GPUs that are there.
fn each(seen: &Seen<'_>, look: impl Fn(PciAddress) -> Finding) -> Vec<Finding> {
    let hosts = seen.listed(Role::Host).map(|host| host.address);
    let one = |address: PciAddress| match (&seen.machine, seen.present(address)) {
        (Err(error), _) => Finding::unreadable(error),
        (Ok(_), None) => Finding::not_told("it is not there"),
        (Ok(_), Some(_)) => look(address),
    };
    hosts.map(|address| one(address).about(address)).collect()
}

pub(super) fn driver(seen: &Seen<'_>) -> Vec<Finding> {
    each(seen, |address| match seen.present(address).and_then(|function| function.driver.as_deref()) {
        Some(driver @ ("vfio-pci" | "pci-stub")) => {
            Finding::fail(format!("{driver} has the host's GPU"), WAY_BACK)
        }
        Some(driver) => Finding::pass(format!("{driver} has it")),
        None => Finding::fail(
            "no driver has it: the picture, if there is one, is the firmware's",
            "see the kernel's log for its driver (`journalctl -k -b`); `nomodeset` and blacklists keep drivers away",
        ),
    })
}

pub(super) fn picture(seen: &Seen<'_>) -> Vec<Finding> {
    each(seen, |address| {
        let Ok(machine) = &seen.machine else { return Finding::not_told("it cannot be read") };
        let cards = machine.displays.iter().filter(|card| card.function == Some(address)).count();
        let connectors: Vec<&Connector> = machine.connectors(address).collect();
        let plugged: Vec<&str> =
            connectors.iter().filter(|one| one.connected).map(|one| one.name.as_str()).collect();
        match (cards, connectors.len(), plugged.is_empty()) {
            (0, ..) => Finding::fail("the kernel shows no display card for it", "see `host-driver`"),
            (_, 0, _) => Finding::fail("it has no connector that a display could be plugged into", WAY_BACK),
            (_, all, true) => Finding::pass(format!("{all} connectors, no display is plugged in")),
            (_, _, false) => Finding::pass(format!("a display is plugged in at {}", plugged.join(", "))),
        }
    })
}
