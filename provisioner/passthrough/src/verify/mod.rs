//! Looks again after the reboot: does what was applied hold?
//!
//! Whoever checks must not be who wrote: everything is read anew through [`Root`], and of the
//! journal only what [`Recorded`] hands over as plain data is believed. What nobody can see is
//! [`Status::Unknown`], never a pass.
//!
//! To add a check: a function beside those of its kind, and a line in [`ALL`]. The tests then ask
//! for a machine on which it does not pass.

mod boot;
mod claim;
mod disk;
mod domain;
mod functions;
mod host;
mod looking_glass;
mod seen;
mod standing;
mod way_back;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use claim::{CLAIM, NEUTRAL_IDS};
pub use disk::not_in_force;
pub(crate) use seen::in_full;

use crate::answers::Answers;
use crate::binding::VFIO_CONF;
use crate::id::TargetPath;
use crate::libvirt::is_of_this_system;
use crate::plan::ANSWERS;
use crate::policy::{Decision, Verdict};
use crate::root::Root;
use seen::Seen;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It is as it should be.
    Pass,
    /// It works, and is worth knowing.
    Warn,
    /// It is not as it should be.
    Fail,
    /// Nothing tells.
    Unknown,
}

/// One look, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What was looked at: a stable name. Those that look at single functions come once for each.
    pub id: String,
    /// The function, file, user or virtual machine that it is about; null where it is about the whole.
    pub subject: Option<String>,
    /// How it ended.
    pub status: Status,
    /// What was seen.
    pub evidence: String,
    /// What to do next; null where it passed.
    pub hint: Option<String>,
}

/// Something to look at.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// Its stable name.
    pub id: &'static str,
    look: fn(&Seen<'_>) -> Vec<Finding>,
}

impl Question {
    /// Whether there is something to look at only where functions were given away.
    fn needs_set_up(&self) -> bool {
        self.id != "set-up" && !self.id.starts_with("domain")
    }
}

/// Everything that is looked at, in the order in which a person reads it.
pub const ALL: &[Question] = &[
    Question { id: "set-up", look: standing::set_up },
    Question { id: "reboot", look: standing::reboot },
    Question { id: "boots", look: standing::boots },
    Question { id: "boot-entry", look: boot::entry },
    Question { id: "parameters", look: boot::parameters },
    Question { id: "iommu", look: boot::iommu },
    Question { id: "claim", look: claim::claim },
    Question { id: "list", look: functions::list },
    Question { id: "identity", look: functions::identity },
    Question { id: "bound", look: functions::bound },
    Question { id: "group", look: functions::group },
    Question { id: "taken", look: functions::taken },
    Question { id: "ids", look: claim::ids },
    Question { id: "host-gpu", look: host::gpu },
    Question { id: "host-driver", look: host::driver },
    Question { id: "host-picture", look: host::picture },
    Question { id: "running-kernel", look: disk::running_kernel },
    Question { id: "kernels", look: disk::kernels },
    Question { id: "images", look: disk::images },
    Question { id: "image-configuration", look: disk::image_configuration },
    Question { id: "entries", look: disk::entries },
    Question { id: "menu", look: disk::menu },
    Question { id: "way-back", look: way_back::way_back },
    Question { id: "files", look: standing::files },
    Question { id: "rebuilds", look: standing::rebuilds },
    Question { id: "conflicts", look: disk::conflicts },
    Question { id: "nvidia-persistenced", look: functions::persistenced },
    Question { id: "reset", look: functions::reset },
    Question { id: "power", look: functions::power },
    Question { id: "interrupt-remapping", look: boot::interrupt_remapping },
    Question { id: "firmware", look: standing::firmware },
    Question { id: "looking-glass-memory", look: looking_glass::memory },
    Question { id: "looking-glass-users", look: looking_glass::users },
    Question { id: "looking-glass-module", look: looking_glass::module },
    Question { id: "looking-glass-release", look: looking_glass::releases },
    Question { id: "domain", look: domain::domain },
    Question { id: "domain-devices", look: domain::devices },
    Question { id: "domain-kvm", look: domain::kvm },
    Question { id: "domain-disk", look: domain::disk },
    Question { id: "domain-firmware", look: domain::firmware },
    Question { id: "domain-network", look: domain::network },
    Question { id: "domain-memory", look: domain::memory },
];

/// Whether the boot that is running began after the last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reboot {
    /// It did, or the change needed no reboot.
    Done,
    /// It did not.
    Owed,
    /// Boots cannot be told apart.
    CannotTell,
}

/// What the journal of the target says, as plain data.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Why the journal cannot be read; the rest is empty then.
    pub unreadable: Option<String>,
    /// Files of ours, copies among them.
    pub files: Vec<TargetPath>,
    /// Files of ours that are no longer as they were written; without a journal, all of them.
    pub drifted: Vec<TargetPath>,
    /// Those of them that belong to a bridge which is left as it is.
    pub left: Vec<TargetPath>,
    /// Files of ours that whoever asks may not see.
    pub unseen: Vec<TargetPath>,
    /// Kernel parameters of ours.
    pub parameters: Vec<String>,
    /// Programs that somebody else was to run.
    pub open_rebuilds: Vec<Vec<String>>,
    /// Programs that failed or were put off.
    pub due_rebuilds: Vec<Vec<String>>,
    /// Whether another run is writing right now.
    pub is_busy: bool,
    /// Whether a run was cut off in the middle.
    pub is_cut_off: bool,
    /// Whether it was set up once and taken back.
    pub is_reverted: bool,
    /// Whether the running boot can show it.
    pub reboot: Reboot,
    /// What was decided when it was applied.
    pub verdict: Option<Verdict>,
    /// Why the last run did nothing.
    pub refusal: Option<Decision>,
    /// How many boots with passthrough began since the last one that was good.
    pub unproven_boots: usize,
    /// Why the card went back to the host for good, where it did.
    pub given_back: Option<String>,
    /// The firmware's version when it was applied.
    pub firmware: Option<String>,
    /// The answers that the target holds, or what is wrong with them.
    pub answers: Result<Answers, String>,
    /// The virtual machines that were defined, or why nobody knows.
    pub domains: Result<Vec<KnownDomain>, Missing>,
}

/// Why there is nothing to look at.
#[derive(Debug, Clone)]
pub enum Missing {
    /// It could not be read, by whoever looks or at all.
    Unreadable(String),
    /// It was read, and makes no sense.
    Broken(String),
}

/// A virtual machine that was defined.
#[derive(Debug, Clone)]
pub struct KnownDomain {
    /// Its name.
    pub name: String,
    /// The libvirt that has it.
    pub connect: String,
    /// Its UUID.
    pub uuid: String,
    /// What was given to libvirt.
    pub rendered: String,
    /// What libvirt made of that; `None` where a run that defined it was cut off.
    pub understood: Option<String>,
    /// What would be given to it now, or why that is nothing.
    pub again: Result<String, Missing>,
}

impl KnownDomain {
    /// Whether the libvirt of the running system has it, whose files are looked at.
    fn is_local(&self) -> bool {
        is_of_this_system(&self.connect)
    }
}

impl Recorded {
    /// Of a target whose journal cannot be read.
    pub fn of_no_journal(why: String, orphans: Vec<TargetPath>, answers: Result<Answers, String>) -> Self {
        Self {
            unreadable: Some(why),
            files: Vec::new(),
            drifted: orphans,
            left: Vec::new(),
            unseen: Vec::new(),
            parameters: Vec::new(),
            open_rebuilds: Vec::new(),
            due_rebuilds: Vec::new(),
            is_busy: false,
            is_cut_off: false,
            is_reverted: false,
            reboot: Reboot::CannotTell,
            verdict: None,
            refusal: None,
            unproven_boots: 0,
            given_back: None,
            firmware: None,
            answers,
            domains: Ok(Vec::new()),
        }
    }

    /// Whether anything of ours is in the target, beside the answers.
    pub fn is_set_up(&self) -> bool {
        let mut ours = self.files.iter().chain(&self.drifted);
        self.unreadable.is_some()
            || self.is_busy
            || self.is_cut_off
            || ours.any(|path| path.as_str() != ANSWERS)
    }

    /// Whether functions are given away, as files of ours say.
    fn claims(&self) -> bool {
        self.files.iter().any(|path| path.as_str() == VFIO_CONF)
    }

    /// Whether it waits for a boot with the IOMMU on, so that nothing is given away yet.
    fn waits_for_iommu(&self) -> bool {
        self.verdict == Some(Verdict::Pending)
    }
}

/// Looks at everything. Machine root and target root are one system: the one that runs, and where
/// it is installed.
pub fn report(machine: &Root, target: &Root, recorded: &Recorded) -> Vec<Check> {
    let seen = Seen::read(machine, target, recorded);
    // Virtual machines are defined without a set-up, too, where they get no GPU.
    let is_asked = |question: &&Question| recorded.is_set_up() || !question.needs_set_up();
    ALL.iter()
        .filter(is_asked)
        .flat_map(|question| (question.look)(&seen).into_iter().map(|found| found.into_check(question.id)))
        .collect()
}

/// Reads what the checks read of the machine, so that a capture holds it.
pub fn read_for_capture(machine: &Root) {
    seen::read_for_capture(machine);
}

/// What came of a look, before it has its name.
#[derive(Debug)]
struct Finding {
    subject: Option<String>,
    status: Status,
    evidence: String,
    hint: Option<String>,
}

impl Finding {
    fn pass(evidence: impl Into<String>) -> Self {
        Self { subject: None, status: Status::Pass, evidence: evidence.into(), hint: None }
    }

    fn warn(evidence: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status: Status::Warn, hint: Some(hint.into()), ..Self::pass(evidence) }
    }

    fn fail(evidence: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status: Status::Fail, hint: Some(hint.into()), ..Self::pass(evidence) }
    }

    fn unknown(evidence: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status: Status::Unknown, hint: Some(hint.into()), ..Self::pass(evidence) }
    }

    /// The journal would say it.
    fn without_journal() -> Self {
        Self::not_told("only the journal could tell, see `set-up`")
    }

    /// Something could not be read.
    fn unreadable(why: &str) -> Self {
        Self::unknown(why, "run `neuron-provisioner doctor` as root, with /sys and /proc mounted")
    }

    /// The same, by the error.
    fn unread(error: &dyn std::error::Error) -> Self {
        Self::unreadable(&in_full(error))
    }

    /// Nothing tells, or nothing is asked of this boot, and there is nothing to do about that.
    fn not_told(why: &str) -> Self {
        Self { hint: None, ..Self::unknown(why, "") }
    }

    fn about(mut self, subject: impl std::fmt::Display) -> Self {
        self.subject = Some(subject.to_string());
        self
    }

    fn into_check(self, id: &str) -> Check {
        let Self { subject, status, evidence, hint } = self;
        Check { id: id.to_owned(), subject, status, evidence, hint }
    }
}
