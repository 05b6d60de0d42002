//! From a decision to steps: what exactly is written. Pure; nothing here reads or writes.

mod bridges;
mod document;
mod glass;
mod loaders;
mod programs;
mod retire;
mod trial;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use document::{ActionDocument, ActionKind, InvalidPlan, PlanDocument, StepDocument};
pub use retire::{KERNEL_INSTALL, without_ours};
pub use trial::{Record as TrialRecord, TRIAL};

use crate::answers::{Answers, Mode};
use crate::bootloader::{self, HostEntry, Parameters, Proven};
use crate::facts::{Machine, Port, Running, SharedMemory, Target};
use crate::guest::{bridge, looking_glass};
use crate::id::TargetPath;
use crate::initramfs::Generator;
use crate::policy::{Assignment, Code, Decision, Finding, Identity, Judgement, Matching, Severity, Verdict};
use crate::step::{Action, FileState, HEAD_MARK, Step, file_head};
use crate::{binding, initramfs, policy};

/// The answers' place in a target.
pub const ANSWERS: &str = "/etc/neuron/provisioner.toml";
/// What a pending machine keeps until its groups can be judged.
pub const CANDIDATE: &str = "/var/lib/neuron-provisioner/candidate.json";

/// Which part of the work: the installer does it in two, around the job that installs the loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Everything.
    #[default]
    All,
    /// Everything but the kernel parameters.
    Files,
    /// The kernel parameters alone.
    Cmdline,
}

impl Stage {
    /// The stage's name, as in a journal.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Files => "files",
            Self::Cmdline => "cmdline",
        }
    }

    fn has_files(self) -> bool {
        self != Self::Cmdline
    }

    fn has_parameters(self) -> bool {
        self != Self::Files
    }
}

/// A file that earlier applies wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnFile {
    /// What it was before the first of them.
    pub original: FileState,
    /// What the last of them wrote.
    pub written: FileState,
    /// Whether somebody else's change lies between two of them: then what it was is not what it
    /// should be without us.
    pub is_mixed: bool,
}

/// What earlier applies left.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ours {
    /// The kernel parameters that are ours.
    pub tokens: Vec<String>,
    /// The files that are ours.
    pub files: BTreeMap<TargetPath, OwnFile>,
    /// The copies of kernels and images that are ours.
    pub copies: Vec<TargetPath>,
    /// Programs that failed or were put off, so that what they make is stale. What somebody else
    /// was to run is theirs: an installer's own job does, and once is enough.
    pub due_rebuilds: Vec<Vec<String>>,
    /// What makes those entries anew that hold parameters of ours and are no files of ours: kernel-install made
    /// them of what we wrote. Looked for where everything of ours is to go.
    pub entries_to_make: Vec<Vec<String>>,
    /// Whether passthrough was tried and is not in force, or was given back: who applies then wants
    /// another try.
    pub wants_another_try: bool,
}

/// Every way of every boot loader with every generator of the initramfs, by their names: each pair that a
/// target may have.
pub fn combinations() -> impl Iterator<Item = (&'static str, &'static str)> {
    let generators = || initramfs::ALL.iter().map(|generator| generator.name());
    bootloader::ALL
        .iter()
        .flat_map(|loader| loader.ways())
        .flat_map(move |way| generators().map(move |generator| (way, generator)))
}

/// Everything that a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// The target.
    pub target: &'a Target,
    /// What policy says of both.
    pub judgement: &'a Judgement,
    /// The answers.
    pub answers: &'a Answers,
    /// The answers file to write; `None` when the target has it already.
    pub answers_text: Option<&'a str>,
    /// What earlier applies left.
    pub ours: &'a Ours,
    /// After a boot that was good: what is known of it. None in an apply.
    pub renewal: Option<&'a Proven>,
    /// Which part of the work.
    pub stage: Stage,
    /// What the boot that is running tells of its loader.
    pub running: &'a Running,
    /// Looking Glass's memory as it is now.
    pub memory: &'a SharedMemory,
    /// The machine's network interfaces, where a bridge is to be made.
    pub interfaces: &'a BTreeMap<String, Port>,
    /// What it is for.
    pub purpose: Purpose,
}

/// What a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    /// To set up what the answers say.
    SetUp,
    /// To put in place again what an update undid, or to keep what a good boot started: what was given
    /// back is not tried anew.
    #[default]
    KeepUp,
    /// To keep the host entries in step with the kernels that are there, from a boot without passthrough:
    /// that shows nothing of the machine, and nothing else is changed.
    KeepWayBack,
    /// To start once more what was applied, from a boot without passthrough: nothing that such a boot
    /// shows of the machine changes what is set up.
    TryAgain,
    /// To end the trial: passthrough becomes the default.
    Confirm {
        /// Whether passthrough is in force in this boot, so that no other is needed.
        in_force: bool,
        /// Whether a person wants it though no boot has shown it.
        unproven: bool,
    },
}

/// The answers that a plan follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Follows {
    /// These.
    Answers(Box<Answers>),
    /// Those that were followed last. Whoever keeps up what was applied sees to it that nothing is decided anew
    /// (`provision::upkeep`, `provision::renew`).
    TheLast,
    /// A plan that was saved does not say.
    Unknown,
}

/// What is to be done, with every step before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// A digest of all but the settled steps: two plans with one id do the same for the same reason.
    pub id: String,
    /// Which part of the work.
    pub stage: Stage,
    /// The decision behind it, with what the target adds.
    pub decision: Decision,
    /// The functions that are assigned, with their identity.
    pub assignments: Vec<Assignment>,
    /// The GPU that the host keeps, with its identity.
    pub host: Option<Identity>,
    /// The kernel parameters that are ours afterwards.
    pub tokens: Vec<String>,
    /// The copies that are ours afterwards, and the images of the host's that programs make.
    pub copies: Vec<TargetPath>,
    /// What changes, in this order.
    pub steps: Vec<Step>,
    /// The ids of steps that would change nothing.
    pub settled: Vec<String>,
    /// Whether it takes effect only after a reboot.
    pub reboot_needed: bool,
    /// The answers that it follows.
    pub follows: Follows,
}

impl Plan {
    /// Whether it may be carried out.
    pub fn is_allowed(&self) -> bool {
        matches!(self.decision.verdict, Verdict::Ready | Verdict::Pending)
    }
}

/// Makes the plan. A decision that forbids it makes a plan without steps, and so does a target
/// that cannot carry it: the findings say why.
pub fn make(inputs: Inputs<'_>) -> Plan {
    let is_judged = matches!(inputs.purpose, Purpose::SetUp | Purpose::KeepUp);
    let mut decision = if is_judged { inputs.judgement.decision.clone() } else { trial::as_applied(&inputs) };
    let mut draft = Draft::default();
    if matches!(decision.verdict, Verdict::Ready | Verdict::Pending) {
        let made = match inputs.purpose {
            Purpose::Confirm { in_force, unproven } => {
                trial::confirm(&inputs, in_force || unproven, &mut draft)
            }
            Purpose::KeepWayBack => trial::way_back(&inputs, &mut draft),
            Purpose::TryAgain => {
                trial::again(&inputs, &mut draft);
                Ok(())
            }
            Purpose::SetUp | Purpose::KeepUp if decision.mode == Mode::Off => {
                retire::everything(&inputs, &mut draft);
                Ok(())
            }
            Purpose::SetUp | Purpose::KeepUp => draft_steps(&inputs, &mut draft),
        };
        decision.findings.append(&mut draft.findings);
        if let Err(mut blockers) = made {
            decision.verdict = Verdict::Refused;
            decision.bind.clear();
            decision.findings.append(&mut blockers);
            draft = Draft::default();
        }
        decision.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    }
    if !matches!(decision.verdict, Verdict::Ready | Verdict::Pending) {
        decision.findings.extend(still_applied(&inputs));
    }
    retire::name_edits(&inputs, &draft.steps, &mut decision.findings);
    let is_settled = |step: &Step| step.is_settled() && !is_adopted(&inputs, step);
    let (settled, steps): (Vec<Step>, Vec<Step>) = draft.steps.into_iter().partition(is_settled);
    let reboot_needed = match inputs.purpose {
        Purpose::Confirm { in_force, .. } => !in_force && !steps.is_empty(),
        Purpose::TryAgain => !steps.is_empty(),
        Purpose::KeepWayBack => false,
        // What is kept after a good boot changes nothing of the next one.
        Purpose::SetUp | Purpose::KeepUp => {
            let waits = |step: &Step| {
                !is_record(step)
                    && !is_way_back(step)
                    && !looking_glass::is_in_force(step, inputs.target, inputs.memory)
            };
            inputs.renewal.is_none() && steps.iter().any(waits)
        }
    };
    let plan = Plan {
        id: String::new(),
        stage: inputs.stage,
        decision,
        assignments: if is_judged { inputs.judgement.assignments.clone() } else { Vec::new() },
        host: decision_host(&inputs).filter(|_| is_judged),
        tokens: draft.tokens,
        copies: draft.copies,
        settled: settled.into_iter().map(|step| step.id).collect(),
        steps,
        reboot_needed,
        follows: match inputs.purpose {
            Purpose::SetUp => Follows::Answers(Box::new(inputs.answers.clone())),
            _ => Follows::TheLast,
        },
    };
    Plan { id: document::digest(&plan), ..plan }
}

/// What a refusal must not hide: it takes nothing back.
fn still_applied(inputs: &Inputs<'_>) -> Option<Finding> {
    let in_place = inputs.ours.files.keys().any(|path| path.as_str() != ANSWERS);
    in_place.then(|| {
        Finding::new(
            Code::StillApplied,
            Severity::Warning,
            "an earlier set-up is still in place, and goes on giving functions away at every boot",
            "`neuron-provisioner revert` takes it back; do that before the next reboot if this machine changed",
        )
    })
}

fn decision_host(inputs: &Inputs<'_>) -> Option<Identity> {
    let host = inputs.judgement.decision.host_gpu?;
    inputs.machine.functions.get(&host).map(Identity::from)
}

#[derive(Debug, Clone, Default)]
struct Draft {
    steps: Vec<Step>,
    tokens: Vec<String>,
    copies: Vec<TargetPath>,
    findings: Vec<Finding>,
}

impl Draft {
    /// Whether a file changes whose path is of this kind.
    fn changes(&self, wanted: impl Fn(&str) -> bool) -> bool {
        let changed = self.steps.iter().filter(|step| !step.is_settled());
        changed.filter_map(|step| step.action.path()).any(|path| wanted(path.as_str()))
    }

    /// Whether a step of this kind changes something.
    fn writes(&self, kind: &str) -> bool {
        self.steps.iter().any(|step| !step.is_settled() && step.id.starts_with(kind))
    }

    /// Copies come first: a power cut must not leave an entry that names one which is not there yet.
    /// Derived output comes last: it is made from every file, and made once.
    fn in_order(&mut self) {
        self.steps.sort_by_key(|step| match step.action {
            Action::CopyFile { .. } => 0,
            Action::Rebuild { .. } => 2,
            _ => 1,
        });
    }
}

/// Whether a program has to be run again, whatever this plan changes.
fn is_due(inputs: &Inputs<'_>, step: &Step) -> bool {
    matches!(&step.action, Action::Rebuild { argv, .. } if inputs.ours.due_rebuilds.contains(argv))
}

/// A file that only keeps what was decided; the running system does not depend on it.
fn is_record(step: &Step) -> bool {
    step.action.path().is_some_and(|path| [ANSWERS, TRIAL].contains(&path.as_str()))
}

/// What the host entries are and start: it is there as soon as it is written, for whoever needs it.
fn is_way_back(step: &Step) -> bool {
    matches!(step.action, Action::CopyFile { .. })
        || step.action.path().is_some_and(bootloader::is_host_entry)
}

/// Whether these are answers of ours that somebody edited, as they are told to: once they are
/// followed they are what was applied, and no longer a change of somebody else's.
fn is_adopted(inputs: &Inputs<'_>, step: &Step) -> bool {
    let answers = step.action.path().filter(|path| path.as_str() == ANSWERS);
    let own = answers.and_then(|path| inputs.ours.files.get(path));
    own.is_some_and(|own| step.action.after().is_some_and(|after| after != own.written))
}

fn draft_steps(inputs: &Inputs<'_>, draft: &mut Draft) -> Result<(), Vec<Finding>> {
    if inputs.stage.has_files() {
        draft.steps.extend(answers(inputs));
        files(inputs, draft)?;
    }
    let course = trial::course(inputs, draft);
    let course = if inputs.stage.has_parameters() {
        parameters(inputs, course, draft)?
    } else {
        draft.tokens.clone_from(&inputs.ours.tokens);
        draft.copies.clone_from(&inputs.ours.copies);
        course
    };
    let images = images(inputs, draft);
    draft.steps.extend(images);
    programs::are_there(inputs, draft)?;
    course.steps(inputs, draft);
    draft.in_order();
    Ok(())
}

/// Sets the kernel parameters. Where the host entry cannot be made the default for a trial, there is
/// none by the loader.
fn parameters(
    inputs: &Inputs<'_>,
    course: trial::Course,
    draft: &mut Draft,
) -> Result<trial::Course, Vec<Finding>> {
    let set = inputs.judgement.parameters.clone();
    let remove = inputs.ours.tokens.iter().filter(|token| !set.contains(token)).cloned().collect();
    let mut wanted = Parameters { host: Some(host_entry(inputs, &set)), set, remove };
    if !course.is_by_loader() {
        loaders::steps(inputs, &wanted, draft)?;
        return Ok(course);
    }
    let mut tried = draft.clone();
    if let Some(host) = &mut wanted.host {
        host.is_default = true;
    }
    if let Err(blockers) = loaders::steps(inputs, &wanted, &mut tried) {
        wanted.host = Some(host_entry(inputs, &wanted.set));
        loaders::steps(inputs, &wanted, draft)?;
        let why = blockers.first().map(|finding| finding.message.clone()).unwrap_or_default();
        return Ok(course.without_loader(inputs, &why));
    }
    *draft = tried;
    Ok(course)
}

/// What the host entry is made from: nothing of ours is to be in it.
fn host_entry(inputs: &Inputs<'_>, wanted: &[String]) -> HostEntry {
    let texts = |(path, own): (&TargetPath, &OwnFile)| Some((path.clone(), own.original.text()?.to_owned()));
    HostEntry {
        ours: inputs.ours.tokens.clone(),
        wanted: wanted.to_vec(),
        originals: inputs.ours.files.iter().filter_map(texts).collect(),
        is_default: inputs.judgement.host_is_default,
        copies: inputs.ours.copies.clone(),
        unkept: BTreeSet::new(),
        renewal: inputs.renewal.cloned(),
    }
}

/// How the answers file begins: of what we write it is the one that is to be edited.
fn answers_head() -> String {
    file_head("the answers that the set-up follows.").replace(
        "# Do not edit: change /etc/neuron/provisioner.toml and run `neuron-provisioner apply`.\n",
        "# Change them, then run `neuron-provisioner apply`.\n",
    )
}

fn answers(inputs: &Inputs<'_>) -> Option<Step> {
    let path: TargetPath = ANSWERS.parse().ok()?;
    let head = answers_head();
    let before = inputs.target.state(&path);
    let text = match inputs.answers_text {
        Some(given) if given.starts_with(&head) => given.to_owned(),
        Some(given) => format!("{head}{given}"),
        // The target's own, followed as they are; of interest only where they were ours before.
        None => before.text().filter(|_| inputs.ours.files.contains_key(&path))?.to_owned(),
    };
    Some(Step::write(
        "answers",
        "Keep the answers",
        "later runs follow them, and a person can read and change them",
        path.clone(),
        before,
        text,
    ))
}

/// Claims for a ready machine, the candidate for a pending one; what is of the other kind goes.
fn files(inputs: &Inputs<'_>, draft: &mut Draft) -> Result<(), Vec<Finding>> {
    let Inputs { judgement, target, machine, .. } = *inputs;
    if judgement.decision.verdict == Verdict::Pending {
        draft.steps.extend(candidate(judgement, target));
        let drop_ins = initramfs::ALL.iter().map(|generator| generator.drop_in());
        for path in [binding::VFIO_CONF, binding::VFIO_DEVICES].into_iter().chain(drop_ins) {
            retire::one(inputs, path, draft);
        }
        glass::retire(inputs, draft);
        return bridges::steps(inputs, draft);
    }
    let generator = initramfs::active(target).map_err(|finding| vec![finding])?;
    draft.findings.extend(usable(generator, judgement, target)?);
    retire::one(inputs, CANDIDATE, draft);
    for other in initramfs::ALL.iter().filter(|other| other.name() != generator.name()) {
        retire::one(inputs, other.drop_in(), draft);
    }
    let kept = foreign_vfio_conf(inputs);
    draft.steps.extend(binding::steps(judgement, machine, target, kept));
    let images = generator
        .steps(judgement, target)
        .map_err(|error| vec![unusable(&error.path, &error.to_string())])?;
    draft.steps.extend(images);
    glass::steps(inputs, draft)?;
    bridges::steps(inputs, draft)
}

/// What is worth knowing of the generator; an error is what keeps it from doing what is wanted.
fn usable(
    generator: &dyn Generator,
    judgement: &Judgement,
    target: &Target,
) -> Result<Vec<Finding>, Vec<Finding>> {
    let (mut blockers, notes): (Vec<_>, Vec<_>) =
        generator.findings(target).into_iter().partition(|finding| finding.severity == Severity::Blocker);
    if judgement.decision.matching == Matching::Address && !generator.has_early_hook(target) {
        blockers.push(policy::target::hook_missing_for(generator.name()));
    }
    if blockers.is_empty() { Ok(notes) } else { Err(blockers) }
}

/// What stood in vfio.conf before us, and is kept there.
fn foreign_vfio_conf<'a>(inputs: &Inputs<'a>) -> Option<&'a str> {
    let path: TargetPath = binding::VFIO_CONF.parse().ok()?;
    match inputs.ours.files.get(&path) {
        Some(own) => own.original.text(),
        None => inputs.target.files.get(&path)?.text().filter(|text| !text.starts_with(HEAD_MARK)),
    }
}

/// The steps that build the images, if what goes into them changes or somebody left it undone.
fn images(inputs: &Inputs<'_>, draft: &Draft) -> Vec<Step> {
    let Ok(generator) = initramfs::active(inputs.target) else { return Vec::new() };
    let changed = draft.changes(|path| {
        let places = ["/etc/mkinitcpio", "/etc/dracut.conf"];
        [binding::VFIO_CONF, binding::VFIO_DEVICES].contains(&path)
            || places.iter().any(|place| path.starts_with(place))
    });
    // A configuration that a preset names may lie anywhere.
    let changed = changed || draft.writes("mkinitcpio-");
    // The command line is part of what some generators build.
    let is_foreign = |step: &&Step| {
        let path = step.action.path().map(TargetPath::as_str);
        path.is_some_and(|path| looking_glass::is_own(path) || bridge::of(path).is_some())
    };
    let changing = draft.steps.iter().filter(|step| !step.is_settled() && !is_record(step));
    let line = changing.filter(|step| !is_foreign(step)).any(|step| {
        let own = [
            "kernel-cmdline",
            "unified-",
            "dracut-cmdline",
            "limine-drop-in",
            "limine-defaults",
            "retire-",
            "host-cmdline",
        ];
        own.iter().any(|id| step.id.starts_with(id))
    });
    let held = line && generator.holds_command_line(inputs.target);
    let rebuilds = generator.rebuild(inputs.target).into_iter();
    rebuilds.filter(|rebuild| changed || held || is_due(inputs, rebuild)).collect()
}

/// A file of the target that cannot be edited safely, as a reason to refuse.
fn unusable(path: &TargetPath, message: &str) -> Finding {
    Finding::new(
        Code::TargetConflict,
        Severity::Blocker,
        message,
        "mend that line by hand, then try again; nothing was written",
    )
    .in_file(path.as_str())
}

#[derive(Serialize)]
struct Candidate<'a> {
    schema: &'static str,
    decision: &'a Decision,
    assignments: &'a [Assignment],
}

fn candidate(judgement: &Judgement, target: &Target) -> Option<Step> {
    let path: TargetPath = CANDIDATE.parse().ok()?;
    let kept = Candidate {
        schema: "neuron-candidate/1",
        decision: &judgement.decision,
        assignments: &judgement.assignments,
    };
    let text = serde_json::to_string_pretty(&kept).ok()? + "\n";
    Some(Step::write(
        "candidate",
        "Keep the candidate for the next boot",
        "without IOMMU groups nothing may be claimed; after the reboot they are judged, then it goes on",
        path.clone(),
        target.state(&path),
        text,
    ))
}
