//! Where the set-up stands: what the journal says, held against the files.

use super::seen::{Boot, Seen};
use super::{Finding, Reboot, Status, disk};
use crate::facts::firmware_version;
use crate::policy::{Decision, Severity};

const APPLY: &str = "run `neuron-provisioner apply` as root";

pub(super) fn set_up(seen: &Seen<'_>) -> Vec<Finding> {
    let recorded = seen.recorded;
    let mut found = Vec::new();
    if let Some(why) = &recorded.unreadable {
        found.push(Finding::fail(
            format!("the journal cannot be read, and without it nothing can be undone: {why}"),
            "mend what is named there, or restore /var/lib/neuron-provisioner from a backup",
        ));
    } else if recorded.is_busy {
        found.push(Finding::unknown("another run is writing right now", "ask again when it is done"));
    } else if recorded.is_cut_off {
        found.push(Finding::fail(
            "a run was cut off in the middle: half of a set-up is in place",
            format!("{APPLY}: it puts that back first; or `neuron-provisioner revert`"),
        ));
    } else if !recorded.is_set_up() {
        found.push(nothing(seen));
    } else if recorded.files.is_empty() {
        found.push(Finding::fail(
            format!("files of ours are in place, but their journal is lost: {}", joined(&recorded.drifted)),
            format!(
                "restore /var/lib/neuron-provisioner from a backup; or remove these files, then {}",
                seen.apply()
            ),
        ));
    } else if recorded.waits_for_iommu() {
        found.push(waiting(seen));
    } else {
        found.push(Finding::pass(format!("{} files of ours are recorded", recorded.files.len())));
    }
    found.extend(recorded.refusal.as_ref().map(|decision| refused(seen, decision)));
    if let Err(problem) = &recorded.answers {
        let hint =
            "mend that, and let `neuron-provisioner validate` check it: the next apply follows the file";
        found.push(Finding::warn(format!("the answers cannot be followed: {problem}"), hint));
    }
    found
}

fn nothing(seen: &Seen<'_>) -> Finding {
    let look = "`neuron-provisioner inspect` shows what this machine can do";
    let was_set_up = seen.recorded.is_reverted || !seen.recorded.files.is_empty();
    match (was_set_up, seen.recorded.reboot) {
        (false, _) => Finding::unknown("nothing is set up here", look),
        (true, Reboot::Done) => {
            Finding::unknown("nothing is set up: it was, and everything was taken back", look)
        }
        (true, _) => Finding::unknown(
            "everything was taken back, and this boot began before: what vfio-pci has, it keeps until the reboot",
            "reboot",
        ),
    }
}

/// The first half was applied; the second waits for a boot with the IOMMU on.
fn waiting(seen: &Seen<'_>) -> Finding {
    let what = "the first half is applied: the parameters that turn the IOMMU on; nothing is given away yet";
    match seen.boot {
        Boot::Before => Finding::warn(what, format!("reboot, then {APPLY}")),
        Boot::Host => Finding::warn(format!("{what}, and this boot runs without them"), seen.apply()),
        Boot::Passthrough | Boot::GivenBack => {
            Finding::warn(what, format!("{APPLY} to go on: it judges the IOMMU groups"))
        }
    }
}

fn refused(seen: &Seen<'_>, decision: &Decision) -> Finding {
    let worst = decision.findings.iter().find(|one| one.severity == Severity::Blocker);
    let worst = worst.or(decision.findings.first());
    let (why, hint) = match (&decision.question, worst) {
        (Some(question), _) => {
            (question.as_str(), format!("answer it in /etc/neuron/provisioner.toml, then {}", seen.apply()))
        }
        (None, Some(finding)) => (finding.message.as_str(), finding.hint.clone()),
        (None, None) => {
            ("it left no reason", "`neuron-provisioner plan` says what stands in the way".to_owned())
        }
    };
    Finding::warn(format!("the last run did nothing: {why}"), hint)
}

pub(super) fn reboot(seen: &Seen<'_>) -> Vec<Finding> {
    let hint = "reboot, then run `neuron-provisioner doctor` again";
    vec![match (seen.recorded.reboot, seen.boot) {
        (Reboot::Owed, _) => {
            Finding::warn("it is written, and this boot began before: nothing is in force yet", hint)
        }
        (Reboot::CannotTell, Boot::Before) => Finding::warn(
            "whether this boot began after the last change cannot be told, and nothing shows it",
            hint,
        ),
        (Reboot::CannotTell, _) => Finding::pass("this boot runs with what was applied"),
        (Reboot::Done, _) => Finding::pass("this boot began after the last change"),
    }]
}

/// Boots that nobody could use are counted; after too many, the card goes back for good.
pub(super) fn boots(seen: &Seen<'_>) -> Vec<Finding> {
    if seen.recorded.unreadable.is_some() {
        return vec![Finding::without_journal()];
    }
    let unproven = seen.recorded.unproven_boots;
    vec![match &seen.recorded.given_back {
        Some(because) => Finding::fail(
            format!("everything was given back to the host, and stays there: {because}"),
            format!("find out why (`journalctl -b -1` and before); then {APPLY}: it wants passthrough again"),
        ),
        None if unproven > 1 => Finding::warn(
            format!(
                "{unproven} boots in a row began and were never good; soon the card goes back to the host"
            ),
            "find out what keeps them from getting as far as a login (`journalctl -b -1`)",
        ),
        None => Finding::pass("boots with passthrough get as far as a login"),
    }]
}

pub(super) fn files(seen: &Seen<'_>) -> Vec<Finding> {
    let recorded = seen.recorded;
    if recorded.unreadable.is_some() {
        return vec![Finding::without_journal()];
    }
    if recorded.is_busy || recorded.is_cut_off {
        return vec![Finding::not_told("not asked: a run is not finished")];
    }
    let mut found: Vec<Finding> = Vec::new();
    for path in &recorded.drifted {
        let mut one = match seen.target_root.exists(path.as_str()) {
            Err(error) => Finding::unreadable(&super::seen::read_error(&error)),
            Ok(is_there) if recorded.left.contains(path) => Finding::pass(format!(
                "{path} {}: what makes its bridge is left as it is",
                if is_there {
                    "was changed since it was written"
                } else {
                    "is gone, and another one was changed"
                }
            )),
            Ok(false) => {
                Finding::fail(format!("{path} is gone"), format!("{}: it writes the file anew", seen.apply()))
            }
            Ok(true) => Finding::warn(
                format!("{path} was changed since it was written"),
                "`neuron-provisioner plan` shows what apply would make of it; `revert` keeps the change",
            ),
        };
        one.subject = Some(path.to_string());
        found.push(one);
    }
    if !recorded.unseen.is_empty() {
        found.push(Finding::unreadable(&format!("only root may look at {}", joined(&recorded.unseen))));
    }
    if found.is_empty() {
        found.push(Finding::pass("every file of ours is as it was written"));
    }
    found
}

pub(super) fn rebuilds(seen: &Seen<'_>) -> Vec<Finding> {
    let recorded = seen.recorded;
    if recorded.unreadable.is_some() {
        return vec![Finding::without_journal()];
    }
    let mut found = Vec::new();
    for argv in &recorded.due_rebuilds {
        let command = argv.join(" ");
        found.push(Finding::fail(
            format!("`{command}` failed or was put off: what it makes is older than the set-up"),
            format!("{}: it runs that; or `neuron-provisioner revert`", seen.apply()),
        ));
    }
    // Whether they ran is not known; what they make is.
    let mut made = disk::images(seen).into_iter().chain(disk::menu(seen));
    let is_made = made.all(|one| one.status == Status::Pass);
    for argv in recorded.open_rebuilds.iter().filter(|argv| !recorded.due_rebuilds.contains(argv)) {
        let what = format!("`{}` was left to somebody else", argv.join(" "));
        found.push(if is_made {
            Finding::pass(format!("{what}, and what it makes is up to date"))
        } else {
            Finding::not_told(&format!("{what}; see `images` and `menu` for what it makes"))
        });
    }
    if found.is_empty() {
        found.push(Finding::pass("every program that had to run did"));
    }
    found
}

/// A new firmware alone is no fault: it can move addresses and change groups, which others check.
pub(super) fn firmware(seen: &Seen<'_>) -> Vec<Finding> {
    let (then, now) = (seen.recorded.firmware.as_deref(), firmware_version(seen.machine_root));
    vec![match (then, now.as_deref()) {
        (Some(then), Some(now)) if then == now => Finding::pass(format!("firmware {now}, as it was")),
        (Some(then), Some(now)) => Finding::warn(
            format!("the firmware changed from {then} to {now} since it was applied"),
            format!(
                "look whether VT-d or AMD-Vi and the primary display are still set in the firmware; then {}",
                seen.apply()
            ),
        ),
        (None, _) => Finding::not_told("its version was not recorded when it was applied"),
        (Some(_), None) => Finding::not_told("this machine does not tell its version"),
    }]
}

fn joined(paths: &[crate::id::TargetPath]) -> String {
    paths.iter().map(crate::id::TargetPath::as_str).collect::<Vec<_>>().join(", ")
}
