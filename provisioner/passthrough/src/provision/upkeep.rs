//! What other packages leave to do: a kernel, a driver or a boot loader was updated.
//!
//! Nothing is decided anew here. What was agreed to once is put in place again where an update undid
//! it; as soon as anything else would change, a person has to look.

use super::status::is_reverting;
use super::{Occasion, Planned, ProvisionError, Reading, Source, kernel_install, plan_from, runs_without};
use crate::apply::{Applied, State, View};
use crate::binding::{VFIO_CONF, VFIO_DEVICES};
use crate::bootloader;
use crate::facts::Target;
use crate::guest::bridge;
use crate::id::TargetPath;
use crate::initramfs;
use crate::plan::{ANSWERS, CANDIDATE, Purpose, Stage};
use crate::policy::Severity;
use crate::root::{ReadError, Root};
use crate::step::{Action, Step};

/// Where what goes into images is configured.
const CONFIGURATION: [&str; 6] = [
    "/etc/dracut.conf",
    "/etc/mkinitcpio.conf",
    "/etc/modprobe.d/",
    "/usr/lib/dracut/dracut.conf.d/",
    "/usr/lib/mkinitcpio/",
    "/usr/lib/modprobe.d/",
];

/// What is to be done after other packages changed.
#[derive(Debug)]
pub enum Upkeep {
    /// Nothing was set up, or everything is in place.
    Nothing,
    /// What was applied can be put in place again.
    Due(Box<Planned>),
    /// A person has to look, for this reason.
    ByHand(String),
}

/// Looks what is to be done; writes nothing. `changed` are the paths that were changed, absolute.
///
/// Where nothing was set up, the machine is not even read.
pub fn upkeep(machine: &Root, target: &Root, changed: &[String]) -> Result<Upkeep, ProvisionError> {
    let applied = kernel_install::settled(target, &View::open(target)?)?;
    match applied.state {
        State::Unconfigured | State::Reverted => return Ok(Upkeep::Nothing),
        State::Interrupted => {
            return Ok(Upkeep::ByHand("an earlier run was cut off in the middle".to_owned()));
        }
        State::Applied if is_reverting(&applied) => {
            return Ok(Upkeep::ByHand("a revert is not finished; run it again".to_owned()));
        }
        State::Applied => {}
    }
    let reading = Reading::of(machine, target, &Source::Target)?;
    let due = stale_images(target, &reading.target, changed)?;
    // The entry without passthrough judges nothing; but it has to start a kernel that is there.
    let is_way_back = due.is_empty() && runs_without(machine)?;
    let purpose = if is_way_back { Purpose::KeepWayBack } else { Purpose::KeepUp };
    let occasion = Occasion { purpose, due, ..Occasion::default() };
    let planned = plan_from(reading, machine, target, &Source::Target, Stage::All, occasion)?;
    if !planned.plan.is_allowed() {
        return Ok(Upkeep::ByHand(forbidden(&planned)));
    }
    if let Some(why) = goes_beyond(&planned.plan.steps, &applied) {
        return Ok(Upkeep::ByHand(why));
    }
    // Passthrough holds in such a boot only as far as the image goes; nothing else of the kernel is there.
    if planned.plan.steps.is_empty()
        && let Some((why, hint)) = bootloader::left_behind(&planned.target)
    {
        return Ok(Upkeep::ByHand(format!("{why}; {hint}")));
    }
    if planned.plan.steps.is_empty() { Ok(Upkeep::Nothing) } else { Ok(Upkeep::Due(Box::new(planned))) }
}

fn forbidden(planned: &Planned) -> String {
    let findings = &planned.plan.decision.findings;
    let blocker = findings.iter().find(|finding| finding.severity == Severity::Blocker);
    let question = planned.plan.decision.question.as_deref();
    let why = blocker.map(|finding| finding.message.as_str()).or(question);
    format!("what was applied would not be allowed now: {}", why.unwrap_or("it is undecided"))
}

/// Why these steps are more than putting in place again what was agreed to.
fn goes_beyond(steps: &[Step], applied: &Applied) -> Option<String> {
    let decides = [VFIO_CONF, VFIO_DEVICES, ANSWERS, CANDIDATE];
    let paths = || steps.iter().filter_map(|step| step.action.path());
    // What stands as we wrote it would be other only if the answers, the machine or this program were.
    // The host entries follow the kernels that are there; which entry is the default is no matter of those.
    let is_ours = |path: &&TargetPath| applied.files.iter().any(|file| file.path == **path && !file.is_copy);
    let anew = |path: &&TargetPath| {
        decides.contains(&path.as_str())
            || (is_ours(path) && !applied.drifted.contains(path) && !bootloader::is_host_entry(path))
    };
    if let Some(path) = paths().find(anew) {
        return Some(format!(
            "{path} would be written anew: this machine, its answers or this program changed"
        ));
    }
    // Somebody may have meant it. Of a bridge nothing is kept up, and nothing hangs on it.
    let theirs = |path: &&TargetPath| applied.drifted.contains(path);
    let mut others = applied.drifted.iter().filter(|path| bridge::of(path.as_str()).is_none());
    let drifted = paths().find(theirs).or_else(|| others.next());
    drifted.map(|path| format!("{path} was changed since it was applied"))
}

/// When a path changed; one that is gone went when its folder changed.
fn last_change(target: &Root, path: &str) -> Result<Option<i128>, ReadError> {
    let mut place = path;
    while !place.is_empty() {
        if let Some(time) = target.status_changed(place)? {
            return Ok(Some(time));
        }
        place = place.rsplit_once('/').map_or("", |(folder, _)| folder);
    }
    Ok(None)
}

/// The builds that are due because configuration of others changed and no image was built since.
fn stale_images(target: &Root, read: &Target, changed: &[String]) -> Result<Vec<Vec<String>>, ReadError> {
    let configuration =
        changed.iter().filter(|path| CONFIGURATION.iter().any(|place| path.starts_with(place)));
    let mut newest = None;
    for path in configuration {
        newest = newest.max(last_change(target, path)?);
    }
    let Some(newest) = newest else { return Ok(Vec::new()) };
    let Ok(generator) = initramfs::active(read) else { return Ok(Vec::new()) };
    let mut due = Vec::new();
    for step in generator.rebuild(read) {
        let Action::Rebuild { argv, outputs, .. } = step.action else { continue };
        let built = outputs.iter().map(|image| target.modified(image.as_str()));
        let built: Vec<Option<i128>> = built.collect::<Result<_, ReadError>>()?;
        // Where the images are is not always known; then one build too many is the safe side.
        if built.is_empty() || built.iter().any(|time| time.is_none_or(|time| time < newest)) {
            due.push(argv);
        }
    }
    Ok(due)
}
