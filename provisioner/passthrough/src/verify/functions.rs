//! The functions that are given away: there, the right ones, and with vfio-pci.

use std::collections::BTreeSet;

use super::Finding;
use super::seen::{Boot, List, Seen, read_error};
use crate::binding::VFIO_DEVICES;
use crate::facts::PciFunction;
use crate::id::{GroupId, PciAddress};
use crate::text::vfio_devices::{Recorded as Function, Role};

const NVIDIA: u16 = 0x10de;

pub(super) fn list(seen: &Seen<'_>) -> Vec<Finding> {
    let anew = format!("{}: it writes the list anew; then reboot", seen.apply());
    vec![match &seen.list {
        List::Missing if seen.recorded.waits_for_iommu() => return Vec::new(),
        List::Missing => {
            Finding::fail(format!("{VFIO_DEVICES} is not there: nothing says what is given away"), anew)
        }
        List::Unreadable(why) => Finding::unreadable(why),
        List::Broken(why) => Finding::fail(why, anew),
        List::Functions { all, without_host } => {
            let (guests, hosts) = (seen.guests().count(), seen.listed(Role::Host).count());
            if guests == 0 || (hosts == 0 && !without_host) {
                let what =
                    if guests == 0 { "no function that is given away" } else { "no GPU that the host keeps" };
                Finding::fail(format!("{VFIO_DEVICES} names {what}, so the early hook claims nothing"), anew)
            } else {
                let addresses: Vec<String> = all.iter().map(|one| one.address.to_string()).collect();
                Finding::pass(format!(
                    "{guests} functions are given away and {hosts} kept: {}",
                    addresses.join(", ")
                ))
            }
        }
    }]
}

/// What to do where the machine is not as it was recorded.
pub(super) fn moved(seen: &Seen<'_>) -> String {
    let apply = seen.apply();
    format!("`neuron-provisioner inspect` shows what is where now; if that is right, {apply}, then reboot")
}

/// What is at a recorded address is what was recorded.
pub(super) fn compare(seen: &Seen<'_>, was: &Function, gone: &str) -> Finding {
    let hint = moved(seen);
    if let Err(error) = &seen.machine {
        return Finding::unreadable(error).about(was.address);
    }
    let Some(is) = seen.present(was.address) else {
        return Finding::fail(format!("nothing is at {}: {gone}", was.address), hint).about(was.address);
    };
    let class = is.class.to_string();
    let same_board = was.subsystem.is_none() || was.subsystem == is.subsystem;
    if class == was.class && is.id == was.id && is.id.is_some() && same_board {
        return Finding::pass(format!("{} is there, as recorded", shown(was.id))).about(was.address);
    }
    Finding::fail(
        format!(
            "recorded was {} (board {}, class {}); there is {} (board {}, class {class})",
            shown(was.id),
            shown(was.subsystem),
            was.class,
            shown(is.id),
            shown(is.subsystem)
        ),
        hint,
    )
    .about(was.address)
}

fn shown(id: Option<crate::id::PciId>) -> String {
    id.map_or_else(|| "unknown".to_owned(), |id| id.to_string())
}

pub(super) fn identity(seen: &Seen<'_>) -> Vec<Finding> {
    seen.guests().map(|was| compare(seen, was, "the card was taken out, moved, or switched off")).collect()
}

pub(super) fn bound(seen: &Seen<'_>) -> Vec<Finding> {
    seen.guests().map(|guest| one_bound(seen, guest.address).about(guest.address)).collect()
}

fn one_bound(seen: &Seen<'_>, address: PciAddress) -> Finding {
    if let Err(error) = &seen.machine {
        return Finding::unreadable(error);
    }
    let Some(function) = seen.present(address) else {
        return Finding::not_told("it is not there");
    };
    match (seen.boot, function.driver.as_deref()) {
        (Boot::Host, Some("vfio-pci")) => Finding::fail(
            "vfio-pci has it, although this boot has the kill switch",
            "if no virtual machine was started since, the image ignores the switch: build it anew, then reboot",
        ),
        (Boot::Host, driver) => Finding::not_told(&format!("{}, as this boot was told", with(driver))),
        (Boot::GivenBack, driver) => {
            Finding::not_told(&format!("{}, since it was given back, see `boots`", with(driver)))
        }
        (Boot::Before, driver) => {
            Finding::not_told(&format!("{} until the reboot that is owed", with(driver)))
        }
        (Boot::Passthrough, Some("vfio-pci")) => Finding::pass("vfio-pci has it"),
        (Boot::Passthrough, driver) => Finding::fail(
            format!("{}, and not vfio-pci", with(driver)),
            "`claim`, `parameters` and `images` say why, if one of them does not pass; else build the images anew \
             and reboot",
        ),
    }
}

fn with(driver: Option<&str>) -> String {
    driver.map_or_else(|| "no driver has it".to_owned(), |driver| format!("{driver} has it"))
}

/// A group can go only as a whole: whatever else is in it must not be in use by the host.
pub(super) fn group(seen: &Seen<'_>) -> Vec<Finding> {
    if let Some(excuse) = seen.excuse() {
        return if seen.guests().next().is_none() { Vec::new() } else { vec![Finding::not_told(excuse)] };
    }
    let Ok(machine) = &seen.machine else { return Vec::new() };
    let present: Vec<&PciFunction> = seen.guests().filter_map(|guest| seen.present(guest.address)).collect();
    let mut found: Vec<Finding> = present
        .iter()
        .filter(|function| function.group.is_none())
        .map(|function| Finding::fail("it is in no IOMMU group", "see `iommu`").about(function.address))
        .collect();
    let groups: BTreeSet<GroupId> = present.iter().filter_map(|function| function.group).collect();
    for id in groups {
        let mut one = match machine.groups.get(&id) {
            None => Finding::unreadable(&format!("group {id} cannot be read")),
            Some(group) => one_group(seen, &group.members, &group.strangers),
        };
        one.subject = Some(format!("group {id}"));
        found.push(one);
    }
    found
}

fn one_group(seen: &Seen<'_>, members: &[PciAddress], strangers: &[String]) -> Finding {
    let foreign =
        members.iter().filter(|member| !seen.is_guest(**member)).filter_map(|member| seen.present(*member));
    let in_use: Vec<String> = foreign
        .filter(|function| !function.class.is_bridge())
        .filter_map(|function| {
            let driver = function.driver.as_deref()?;
            let is_free = matches!(driver, "vfio-pci" | "pci-stub");
            (!is_free).then(|| format!("{} ({}) has {driver}", function.address, function.class.noun()))
        })
        .chain(strangers.iter().map(|name| format!("{name} is in it")))
        .collect();
    if in_use.is_empty() {
        return Finding::pass("nothing in it is in use by the host");
    }
    Finding::fail(
        format!("the host uses a part of it, so no guest can be started: {}", in_use.join("; ")),
        "put the card or the other device into another slot; then `neuron-provisioner inspect`",
    )
}

/// What vfio-pci has and was not given.
pub(super) fn taken(seen: &Seen<'_>) -> Vec<Finding> {
    if seen.boot == Boot::Before {
        return vec![Finding::not_told("not asked: the reboot is still owed")];
    }
    let held = match super::boot::held(seen) {
        Ok(held) => held.unwrap_or_default(),
        Err(unreadable) => return vec![unreadable],
    };
    let addresses = held.iter().filter_map(|name| name.parse::<PciAddress>().ok());
    let foreign: Vec<PciAddress> = addresses.filter(|address| !seen.is_guest(*address)).collect();
    if foreign.is_empty() {
        return vec![Finding::pass("vfio-pci has nothing that is not ours to give")];
    }
    foreign.into_iter().map(|address| one_taken(seen, address).about(address)).collect()
}

fn one_taken(seen: &Seen<'_>, address: PciAddress) -> Finding {
    let is_host = seen.listed(Role::Host).any(|host| host.address == address);
    let function = seen.present(address);
    let twin = function.and_then(|function| {
        seen.guests().find(|guest| guest.id.is_some() && guest.id == function.id).map(|guest| guest.address)
    });
    if is_host {
        return Finding::fail(
            "vfio-pci has the GPU that the host keeps",
            "reboot into the entry without passthrough; look at `ids` and `conflicts`",
        );
    }
    if let Some(twin) = twin {
        return Finding::fail(
            format!(
                "vfio-pci took it as well: it is of the same model as {twin}, and ids cannot tell them apart"
            ),
            format!(
                "install the package {}, then {}: the early hook claims by address",
                crate::policy::target::HOOK_PACKAGE,
                seen.apply()
            ),
        );
    }
    let noun = function.map_or("device", |function| function.class.noun());
    Finding::warn(
        format!("vfio-pci has this {noun} too, which is not on our list"),
        "somebody else gave it away (a virtual machine, driverctl, other ids): fine, if you know who",
    )
}

pub(super) fn persistenced(seen: &Seen<'_>) -> Vec<Finding> {
    if !seen.guests().any(|guest| guest.id.is_some_and(|id| id.vendor == NVIDIA)) {
        return vec![Finding::pass("no NVIDIA GPU is given away")];
    }
    vec![match &seen.target {
        Err(error) => Finding::unreadable(error),
        Ok(target)
            if target.has("/etc/systemd/system/multi-user.target.wants/nvidia-persistenced.service") =>
        {
            Finding::warn(
                "nvidia-persistenced is enabled; it holds NVIDIA GPUs open",
                "systemctl disable nvidia-persistenced, unless the host keeps an NVIDIA GPU that needs it",
            )
        }
        Ok(_) => Finding::pass("it is not enabled"),
    }]
}

/// The GPUs among what is given away: they are what resets and sleeps badly.
fn gpus<'s>(seen: &'s Seen<'_>) -> impl Iterator<Item = &'s PciFunction> {
    seen.guests()
        .filter_map(|guest| seen.present(guest.address))
        .filter(|function| function.class.is_display())
}

pub(super) fn reset(seen: &Seen<'_>) -> Vec<Finding> {
    let one = |gpu: &PciFunction| match gpu.reset_methods.as_deref() {
        None => Finding::not_told("this kernel does not say how it can be reset"),
        Some([]) => Finding::warn(
            "the kernel knows no way to reset it: after a guest stops, it may work again only after a reboot",
            "shut guests down cleanly; for some AMD GPUs the module vendor-reset helps",
        ),
        Some(methods) => Finding::pass(format!("it can be reset by {}", methods.join(", "))),
    };
    gpus(seen).map(|gpu| one(gpu).about(gpu.address)).collect()
}

/// Some boards never wake a card that they put into D3cold.
pub(super) fn power(seen: &Seen<'_>) -> Vec<Finding> {
    gpus(seen).map(|gpu| one_power(seen, gpu.address).about(gpu.address)).collect()
}

fn one_power(seen: &Seen<'_>, address: PciAddress) -> Finding {
    let state = match seen.machine_root.attribute(&format!("sys/bus/pci/devices/{address}/power_state")) {
        Ok(state) => state,
        Err(error) => return Finding::unreadable(&read_error(&error)),
    };
    match state.as_deref() {
        None => Finding::not_told("this kernel does not say how it sleeps"),
        Some("D3cold") => Finding::warn(
            "it sleeps in D3cold (without power), from which some boards do not wake it",
            "if a guest does not start: `options vfio-pci disable_idle_d3=1` in a file of its own in /etc/modprobe.d",
        ),
        Some("error") => Finding::warn(
            "the kernel could not bring it into another power state",
            "switch the machine off and on; then `options vfio-pci disable_idle_d3=1` in /etc/modprobe.d",
        ),
        Some(state) => Finding::pass(format!("power state {state}")),
    }
}
