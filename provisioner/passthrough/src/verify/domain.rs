//! The virtual machines that were defined: still there, in step with the answers, and able to start.
//!
//! libvirt is not asked: what it keeps below `/etc/libvirt` and `/run/libvirt` is read. Only root may,
//! so for others all of it is unknown.

mod kvm;
mod needs;

use super::seen::{List, Seen};
use super::{Finding, KnownDomain, Missing, Status, functions};
use crate::guest::existing::{Existing, is_same};
use crate::id::PciAddress;
use crate::libvirt::KEPT;
use crate::text::vfio_devices::Recorded as Function;

pub(super) use kvm::kvm;
pub(super) use needs::{disk, firmware, memory, network};

/// The domain's text as libvirt keeps it; `None` where it has none of that name.
fn kept(seen: &Seen<'_>, known: &KnownDomain) -> Result<Option<String>, Finding> {
    let text = seen.target_root.read(&format!("{KEPT}/{}.xml", known.name));
    Ok(text
        .map_err(|error| Finding::unread(&error))?
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// What is asked of every domain that is there and can be read; of the others, [`domain`] tells.
fn of_each(seen: &Seen<'_>, look: impl Fn(&KnownDomain, &Existing) -> Vec<Finding>) -> Vec<Finding> {
    let one = |known: &KnownDomain| match kept(seen, known) {
        Ok(Some(text)) => Existing::parse(&text).map_or_else(
            |_| vec![Finding::not_told("it cannot be read, see `domain`")],
            |existing| look(known, &existing),
        ),
        Ok(None) => vec![Finding::not_told("it is not there, see `domain`")],
        Err(_) => vec![Finding::not_told("it cannot be read, see `domain`")],
    };
    let known = seen.recorded.domains.iter().flatten().filter(|known| known.is_local());
    known.flat_map(|known| one(known).into_iter().map(|found| found.about(&known.name))).collect()
}

fn anew(known: &KnownDomain) -> String {
    format!("run `neuron-provisioner vm define {}` as root", known.name)
}

pub(super) fn domain(seen: &Seen<'_>) -> Vec<Finding> {
    match &seen.recorded.domains {
        Err(Missing::Unreadable(_)) if seen.recorded.unreadable.is_some() => {
            vec![Finding::without_journal()]
        }
        Err(Missing::Unreadable(why)) => vec![Finding::unreadable(why)],
        Err(Missing::Broken(why)) => vec![Finding::fail(
            why,
            "move the file away, as root; then define the virtual machines again: `neuron-provisioner vm define`",
        )],
        Ok(all) => all.iter().map(|known| one_domain(seen, known).about(&known.name)).collect(),
    }
}

fn one_domain(seen: &Seen<'_>, known: &KnownDomain) -> Finding {
    if !known.is_local() {
        return Finding::not_told(&format!(
            "it is in the libvirt at {}, which is not looked at",
            known.connect
        ));
    }
    let text = match kept(seen, known) {
        Err(finding) => return finding,
        Ok(None) => {
            return Finding::fail(
                "libvirt has it no more",
                format!("{}; or forget it: `neuron-provisioner vm undefine {}`", anew(known), known.name),
            );
        }
        Ok(Some(text)) => text,
    };
    let Some(understood) = &known.understood else {
        return Finding::fail("a run that defined it was cut off in the middle", anew(known));
    };
    match Existing::parse(&text) {
        Err(why) => Finding::fail(format!("{KEPT}/{}.xml: {why}", known.name), anew(known)),
        Ok(existing) if existing.kept.uuid != known.uuid => Finding::fail(
            format!("libvirt has another one of this name, {}", existing.kept.uuid),
            format!("{} with --replace; or choose another name in the answers", anew(known)),
        ),
        Ok(_) if !is_same(understood, &text) => Finding::warn(
            "somebody changed it since it was defined",
            format!(
                "look at it with `virsh dumpxml --inactive {0}`; `neuron-provisioner vm define {0} --replace` makes \
                 it ours again",
                known.name
            ),
        ),
        Ok(_) => in_step(seen, known),
    }
}

/// Whether what would be defined now is what was.
fn in_step(seen: &Seen<'_>, known: &KnownDomain) -> Finding {
    match &known.again {
        Ok(again) if *again == known.rendered => {
            Finding::pass("it is as it was defined, and in step with the answers and the machine")
        }
        Ok(again) => Finding::warn(
            format!("what would be defined now is different: {}", difference(&known.rendered, again)),
            format!(
                "`neuron-provisioner vm render {}` shows the new one; to have it, {}",
                known.name,
                anew(known)
            ),
        ),
        Err(_) if seen.recorded.answers.is_err() => {
            Finding::not_told("the answers would say whether it is in step with them, see `set-up`")
        }
        Err(_) if seen.excuse().is_some() => {
            Finding::not_told("not asked of this boot, which has no GPU for it")
        }
        Err(Missing::Unreadable(why)) => Finding::unreadable(why),
        Err(Missing::Broken(why)) => Finding::fail(
            format!("the answers and this machine make no such domain any more: {why}"),
            format!(
                "`neuron-provisioner inspect` says what this machine can give away; change that, or the answers, or take \
                 the domain back: `neuron-provisioner vm undefine {}`",
                known.name
            ),
        ),
    }
}

/// The first line that differs, as it was and as it would be.
fn difference(before: &str, after: &str) -> String {
    let (mut before, mut after) = (before.lines(), after.lines());
    loop {
        match (before.next(), after.next()) {
            (Some(one), Some(other)) if one == other => {}
            (None, None) => return "its line ends".to_owned(),
            (one, other) => {
                let shown = |line: Option<&str>| {
                    line.map_or("nothing".to_owned(), |line| format!("`{}`", line.trim()))
                };
                return format!("{} becomes {}", shown(one), shown(other));
            }
        }
    }
}

/// The functions that it gets are those that are given away, and still what was recorded.
pub(super) fn devices(seen: &Seen<'_>) -> Vec<Finding> {
    of_each(seen, |known, existing| {
        if existing.functions.is_empty() {
            return vec![Finding::pass("it gets no function of the host")];
        }
        let List::Functions { .. } = &seen.list else {
            return vec![Finding::not_told("nothing says what is given away, see `list`")];
        };
        let wrong: Vec<Finding> =
            existing.functions.iter().filter_map(|address| one_device(seen, known, *address)).collect();
        if wrong.is_empty() {
            let all: Vec<String> = existing.functions.iter().map(PciAddress::to_string).collect();
            return vec![Finding::pass(format!("it gets {}, each still what was recorded", all.join(", ")))];
        }
        wrong
    })
}

/// What is wrong with a function that a domain gets; `None` where nothing is.
fn one_device(seen: &Seen<'_>, known: &KnownDomain, address: PciAddress) -> Option<Finding> {
    let hint = format!(
        "`neuron-provisioner plan` shows what would be given away now, `neuron-provisioner vm render {}` the domain \
         for it; {}, reboot, then {}",
        known.name,
        seen.apply(),
        anew(known)
    );
    let Some(was) = seen.guests().find(|guest| guest.address == address) else {
        let said = format!("it gets {address}, which is not given away: what sits there is the host's");
        return Some(Finding::fail(said, hint));
    };
    let compared = functions::compare(seen, was, "the card was moved, or taken out");
    match compared.status {
        Status::Fail => {
            let now = moved_to(seen, was).map_or_else(String::new, |now| format!("; it is at {now} now"));
            Some(Finding::fail(format!("it gets {address}. {}{now}", compared.evidence), hint))
        }
        Status::Pass => None,
        Status::Warn | Status::Unknown => Some(compared),
    }
}

/// Where the only function is now that is what was recorded.
fn moved_to(seen: &Seen<'_>, was: &Function) -> Option<PciAddress> {
    let machine = seen.machine.as_ref().ok()?;
    let is_it = |address: &PciAddress| {
        let there = Function { address: *address, ..was.clone() };
        functions::compare(seen, &there, "").status == Status::Pass
    };
    let mut found = machine.functions.keys().copied().filter(is_it);
    found.next().filter(|_| found.next().is_none())
}
