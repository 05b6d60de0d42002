//! What the early hook did: its claim, and the ids that it makes neutral.

use super::Finding;
use super::disk::rebuild;
use super::functions::moved;
use super::seen::{Boot, Seen, read_error};
use crate::binding::VFIO_CONF;
use crate::text::{command_line, modprobe_conf};

/// What the early hook leaves.
pub const CLAIM: &str = "run/neuron/claim";
/// How the early hook makes the ids of `modprobe.d` neutral.
pub const NEUTRAL_IDS: &str = "run/modprobe.d/zz-neuron-vfio.conf";

/// Stands for the command that builds the images here.
const REBUILD: &str = "build";
/// Stands for what to do where the machine is not as it was recorded.
const LOOK: &str = "look";
const LOG: &str = "see the kernel's log: `journalctl -k -b`";

/// Words of a reason that the hook gives (`neuron-vfio-claim`), what they mean, and what to do.
const DOUBTS: [(&str, &str, &str); 13] = [
    (
        "is not there",
        "a function that was recorded is gone: a card was taken out, moved or switched off",
        LOOK,
    ),
    ("is not what was recorded", "another device sits where one was recorded", LOOK),
    (
        "of the same model as a drive",
        "a drive of the same model as one that is given away was added, and may have its address",
        LOOK,
    ),
    ("IOMMU", "the IOMMU is off", "see `iommu` and `parameters`"),
    ("command line cannot be read", "it could not read the kernel command line", REBUILD),
    ("there is no /etc/neuron/vfio-devices", "the image holds no list of functions", REBUILD),
    (
        "module vfio-pci cannot be loaded",
        "the image has no vfio-pci for the kernel that was started",
        REBUILD,
    ),
    ("takes no driver_override", "the kernel refused to reserve a function", LOG),
    ("does not let it go", "a driver of the host, perhaps a built-in one, held on to a function", LOG),
    ("did not take", "vfio-pci refused a function", LOG),
    ("holds the host GPU", "vfio-pci had the host's own GPU", "take other claims away, see `conflicts`"),
    ("did not answer in time", "the kernel did not answer in time", LOG),
    ("cannot be written", "it could not write to /run", REBUILD),
];

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
        // The copies that the host entry starts may be older than the set-up.
        (None, Some(true)) if seen.boot == Boot::Host => Finding::pass(
            "the early hook did not run, and had nothing to do: this boot leaves everything with the host",
        ),
        (None, Some(true)) => Finding::fail(
            format!(
                "the early hook did not run: there is no /{CLAIM}, so the image that was started lacks it"
            ),
            rebuild(seen),
        ),
        (None, None) => Finding::unreadable("whether this system has the early hook cannot be read"),
    }]
}

fn judge_claim(seen: &Seen<'_>, claim: &Claim) -> Finding {
    let Claim { result, reason } = claim;
    match result.as_str() {
        "claimed" if seen.boot == Boot::Host => Finding::fail(
            format!("the early hook claimed {reason} although this boot has the kill switch"),
            format!("the image holds a hook that is not ours or is broken: {}", rebuild(seen)),
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
                    rebuild(seen),
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
            let (what, hint) = explain(seen, reason);
            Finding::fail(format!("the early hook claimed nothing, since {what} ({reason})"), hint)
        }
        _ => Finding::unknown(
            format!("/{CLAIM} says `result={result}`, which is not claimed, off or doubt"),
            format!("another version of the hook wrote it: {}", rebuild(seen)),
        ),
    }
}

/// The reason of a doubt in plain words, and what to do.
fn explain(seen: &Seen<'_>, reason: &str) -> (&'static str, String) {
    let known = DOUBTS.iter().find(|(words, ..)| reason.contains(words));
    let Some((_, what, hint)) = known else {
        let anew = format!("{}, then reboot: that writes the list and the images anew", seen.apply());
        return ("its list could not be followed", anew);
    };
    let hint = match *hint {
        REBUILD => rebuild(seen),
        LOOK => moved(seen),
        hint => hint.to_owned(),
    };
    (what, hint)
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
            rebuild(seen),
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
            format!("install the package {}, then {}", crate::policy::target::HOOK_PACKAGE, seen.apply()),
        );
    }
    Finding::pass(format!("in force, since there is no early hook: {}", named.join(",")))
}
