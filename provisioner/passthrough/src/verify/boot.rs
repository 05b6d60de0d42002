//! The boot that is running: its command line, the IOMMU, what the early hook did.

use super::seen::{Boot, Seen, VFIO_PCI, kill_switch, read_error};
use super::{Finding, Status};
use crate::binding::VFIO_CONF;
use crate::policy::{IommuState, iommu_state};
use crate::text::{command_line, modprobe_conf};

/// What the early hook leaves.
pub const CLAIM: &str = "run/neuron/claim";
/// How the early hook makes the ids of `modprobe.d` neutral.
pub const NEUTRAL_IDS: &str = "run/modprobe.d/zz-neuron-vfio.conf";

const REBUILD: &str = "build the images anew (`mkinitcpio -P`, or what builds them here), then reboot";
const NO_LINE: &str = "/proc/cmdline cannot be read";

pub(super) fn entry(seen: &Seen<'_>) -> Vec<Finding> {
    let Some(line) = seen.command_line() else { return vec![Finding::unreadable(NO_LINE)] };
    vec![match (seen.boot, kill_switch(line)) {
        (Boot::Host, Some(switch)) => Finding::warn(
            format!("this boot leaves everything with the host: {switch} is on the kernel command line"),
            "for passthrough, reboot and choose the entry without that parameter in the boot menu",
        ),
        _ => Finding::pass("no kill switch: an entry with passthrough was started"),
    }]
}

pub(super) fn parameters(seen: &Seen<'_>) -> Vec<Finding> {
    if let Some(excuse) = seen.excuse() {
        return vec![Finding::not_told(excuse)];
    }
    let Some(line) = seen.command_line() else { return vec![Finding::unreadable(NO_LINE)] };
    let wanted = &seen.recorded.parameters;
    let missing: Vec<&str> =
        wanted.iter().map(String::as_str).filter(|token| !command_line::has(line, token)).collect();
    vec![if missing.is_empty() && wanted.is_empty() {
        Finding::pass("no parameter is ours: those that are needed were there before")
    } else if missing.is_empty() {
        Finding::pass(format!("in force: {}", wanted.join(" ")))
    } else {
        Finding::fail(
            format!("not on this boot's kernel command line: {}", missing.join(" ")),
            "reboot and choose the usual entry; if it is missing there too, see `entries` and `menu`, or another \
             boot loader starts this system",
        )
    }]
}

pub(super) fn iommu(seen: &Seen<'_>) -> Vec<Finding> {
    let machine = match &seen.machine {
        Ok(machine) => machine,
        Err(error) => return vec![Finding::unreadable(error)],
    };
    vec![match machine.iommu.groups {
        Some(0) if seen.excuse().is_some() => {
            Finding::not_told("it is off in this boot, which was not to turn it on")
        }
        Some(0) => {
            let (state, why) = iommu_state(machine);
            let hint = match state {
                IommuState::OffOnCmdline => "find out who put that on the command line, and take it away",
                IommuState::OffInFirmware => {
                    "turn VT-d (Intel) or AMD-Vi/IOMMU (AMD) on in the firmware's setup"
                }
                IommuState::Absent => "this machine cannot isolate devices: `neuron-provisioner revert`",
                IommuState::On | IommuState::Pending | IommuState::Unknown => {
                    "see `parameters`; in the firmware's setup, VT-d or AMD-Vi has to be on"
                }
            };
            Finding::fail(format!("there is no IOMMU group: {why}"), hint)
        }
        Some(groups) => Finding::pass(format!("on: {groups} groups")),
        None => Finding::unreadable("/sys/kernel/iommu_groups cannot be read"),
    }]
}

/// What `/run/neuron/claim` says.
struct Claim {
    result: String,
    reason: String,
}

fn read_claim(seen: &Seen<'_>) -> Result<Option<Claim>, Finding> {
    let text =
        seen.machine_root.attribute(CLAIM).map_err(|error| Finding::unreadable(&read_error(&error)))?;
    let value = |text: &str, key: &str| {
        text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=').map(str::to_owned))
    };
    Ok(text.map(|text| Claim {
        result: value(&text, "result").unwrap_or_default(),
        reason: value(&text, "reason").unwrap_or_default(),
    }))
}

fn has_hook(seen: &Seen<'_>) -> Option<bool> {
    seen.target.as_ref().ok().map(crate::facts::Target::has_early_hook)
}

pub(super) fn claim(seen: &Seen<'_>) -> Vec<Finding> {
    if seen.boot == Boot::Before {
        return vec![Finding::not_told("not asked: the reboot is still owed")];
    }
    if seen.recorded.waits_for_iommu() {
        return Vec::new();
    }
    let claim = match read_claim(seen) {
        Ok(claim) => claim,
        Err(unreadable) => return vec![unreadable],
    };
    vec![match (claim, has_hook(seen)) {
        (Some(claim), _) => judge_claim(seen, &claim),
        (None, Some(false)) => {
            Finding::pass("this system has no early hook; the ids in vfio.conf say what vfio-pci gets")
        }
        (None, Some(true)) => Finding::fail(
            format!(
                "the early hook did not run: there is no /{CLAIM}, so the image that was started lacks it"
            ),
            REBUILD,
        ),
        (None, None) => Finding::unreadable("whether this system has the early hook cannot be read"),
    }]
}

fn judge_claim(seen: &Seen<'_>, claim: &Claim) -> Finding {
    let Claim { result, reason } = claim;
    match result.as_str() {
        "claimed" if seen.boot == Boot::Host => Finding::fail(
            format!("the early hook claimed {reason} although this boot has the kill switch"),
            format!("the image holds a hook that is not ours or is broken: {REBUILD}"),
        ),
        "claimed" if seen.guests().next().is_none() => Finding::not_told(&format!(
            "the early hook claimed {reason}; see `list`, which it has to agree with"
        )),
        "claimed" => {
            let claimed: Vec<&str> = reason.split_whitespace().collect();
            let differs = seen.guests().any(|guest| !claimed.contains(&guest.address.to_string().as_str()))
                || claimed.len() != seen.guests().count();
            if differs {
                Finding::fail(
                    format!(
                        "the early hook claimed {reason}, which is not what is recorded: its list is older"
                    ),
                    REBUILD,
                )
            } else {
                Finding::pass(format!("the early hook claimed {reason}"))
            }
        }
        "off" if seen.boot == Boot::Host => {
            Finding::pass("the early hook left everything with the host, as told")
        }
        "off" => Finding::fail(
            format!("the early hook was switched off: {reason}"),
            "reboot and choose the entry with passthrough in the boot menu",
        ),
        "doubt" => {
            let (what, hint) = explain(reason);
            Finding::fail(format!("the early hook claimed nothing, since {what} ({reason})"), hint)
        }
        _ => Finding::unknown(
            format!("/{CLAIM} says `result={result}`, which is not claimed, off or doubt"),
            format!("another version of the hook wrote it: {REBUILD}"),
        ),
    }
}

/// The reason of a doubt in plain words, and what to do. The hook's own words are in its source.
fn explain(reason: &str) -> (&'static str, &'static str) {
    let again =
        "`neuron-provisioner inspect` shows what is where now; if that is right, apply again and reboot";
    let known = [
        (
            "is not there",
            "a function that was recorded is gone: a card was taken out, moved or switched off",
            again,
        ),
        ("is not what was recorded", "another device sits where one was recorded", again),
        ("IOMMU", "the IOMMU is off", "see `iommu` and `parameters`"),
        (
            "kernel command line cannot be read",
            "it could not read the kernel command line",
            "reboot; if it stays, the image is broken: build it anew",
        ),
        ("there is no /etc/neuron/vfio-devices", "the image holds no list of functions", REBUILD),
        (
            "module vfio-pci cannot be loaded",
            "the image has no vfio-pci for the kernel that was started",
            REBUILD,
        ),
        (
            "takes no driver_override",
            "the kernel refused to reserve a function",
            "see the kernel's log: `journalctl -k -b`",
        ),
        (
            "does not let it go",
            "a driver of the host held on to a function",
            "see the kernel's log (`journalctl -k -b`); a driver that is built in can be the cause",
        ),
        ("did not take", "vfio-pci refused a function", "see the kernel's log: `journalctl -k -b`"),
        ("holds the host GPU", "vfio-pci had the host's own GPU", "take other claims away, see `conflicts`"),
        (
            "did not answer in time",
            "the kernel did not answer in time",
            "see the kernel's log: `journalctl -k -b`",
        ),
        ("cannot be written", "it could not write to /run", REBUILD),
    ];
    let found = known.into_iter().find(|(words, ..)| reason.contains(words));
    found.map_or(
        (
            "its list could not be followed",
            "apply again, then reboot: that writes the list and the images anew",
        ),
        |(_, what, hint)| (what, hint),
    )
}

/// By what vfio-pci is told: the hook neutralises ids; without it, ids must name ours and nothing else.
pub(super) fn ids(seen: &Seen<'_>) -> Vec<Finding> {
    if let Some(excuse) = seen.excuse() {
        return vec![Finding::not_told(excuse)];
    }
    if seen.guests().next().is_none() {
        return Vec::new();
    }
    let ran = match read_claim(seen) {
        Ok(claim) => claim.is_some(),
        Err(unreadable) => return vec![unreadable],
    };
    let neutral = match seen.machine_root.exists(NEUTRAL_IDS) {
        Ok(neutral) => neutral,
        Err(error) => return vec![Finding::unreadable(&read_error(&error))],
    };
    vec![match (ran, neutral) {
        (true, true) => Finding::pass("neutralised by the early hook, which claims by address"),
        (true, false) => Finding::fail(
            format!(
                "the early hook ran, and /{NEUTRAL_IDS} is gone: a card of the same model would be taken"
            ),
            "reboot; if it is gone again, something clears /run/modprobe.d",
        ),
        (false, _) => without_hook(seen, neutral),
    }]
}

fn without_hook(seen: &Seen<'_>, neutral: bool) -> Finding {
    if neutral {
        return Finding::fail(
            format!(
                "/{NEUTRAL_IDS} makes the ids of {VFIO_CONF} neutral, and no early hook claimed anything"
            ),
            REBUILD,
        );
    }
    let text = match seen.target_root.attribute(VFIO_CONF) {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => return Finding::unreadable(&read_error(&error)),
    };
    let directives = modprobe_conf::directives(&text);
    let mut options =
        directives.iter().filter(|one| one.module == "vfio_pci").filter_map(|one| one.option("ids"));
    let on_line = seen.command_line().and_then(|line| command_line::value(line, "vfio-pci.ids").flatten());
    let named: Vec<&str> = on_line.or(options.next_back()).unwrap_or_default().split(',').collect();
    let lacks: Vec<String> = seen
        .guests()
        .filter_map(|guest| guest.id)
        .map(|id| id.to_string())
        .filter(|id| !named.contains(&id.as_str()))
        .collect();
    if !lacks.is_empty() {
        return Finding::fail(
            format!("no early hook ran, and {VFIO_CONF} does not name {}", lacks.join(", ")),
            format!("install the package {}, then apply again", crate::policy::target::HOOK_PACKAGE),
        );
    }
    Finding::pass(format!("in force, since there is no early hook: {}", named.join(",")))
}

/// With remapping, the names of interrupt chips in `/proc/interrupts` begin with `IR-`.
pub(super) fn interrupt_remapping(seen: &Seen<'_>) -> Vec<Finding> {
    if seen.excuse().is_some() {
        return vec![Finding::not_told("not asked of this boot")];
    }
    let text = match seen.machine_root.attribute("proc/interrupts") {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => return vec![Finding::unreadable(&read_error(&error))],
    };
    let has = |wanted: &str| text.split_whitespace().any(|word| word.starts_with(wanted));
    vec![if has("IR-") {
        Finding::pass("on")
    } else if has("IO-APIC") || has("PCI-MSI") {
        Finding::warn(
            "off: a guest could raise interrupts of the host's, and vfio refuses to start one",
            "turn x2APIC and interrupt remapping on in the firmware's setup, and leave `intremap=off` away",
        )
    } else {
        Finding { status: Status::Unknown, ..Finding::not_told("/proc/interrupts does not say") }
    }]
}

/// What vfio-pci holds; `None` when the driver is not there.
pub(super) fn held(seen: &Seen<'_>) -> Result<Option<Vec<String>>, Finding> {
    let read =
        |path: &str| seen.machine_root.list(path).map_err(|error| Finding::unreadable(&read_error(&error)));
    match read("sys/bus/pci/drivers")? {
        None => Err(Finding::unreadable("/sys/bus/pci/drivers is not there")),
        Some(drivers) if drivers.iter().any(|name| name == "vfio-pci") => read(VFIO_PCI),
        Some(_) => Ok(None),
    }
}
