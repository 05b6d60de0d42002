//! The trial: the first boot with passthrough is one that somebody has to keep.
//!
//! Where the loader can start an entry once, the default is the host entry and the next boot is the
//! trial; where it cannot, passthrough is the default at once. Either way the trial is on until it is
//! confirmed, and while it is, `neuron-trial.service` asks on the screen of a passthrough boot. The
//! record of it is a file of ours: it comes with an apply and goes with a confirm or a revert.

use serde::{Deserialize, Serialize};

use super::{Draft, Inputs, Parameters, host_entry, is_due, loaders, retire};
use crate::answers::Mode;
use crate::binding::{self, VFIO_DEVICES};
use crate::bootloader::{self, HostEntry, Once};
use crate::facts::Target;
use crate::id::TargetPath;
use crate::policy::{Code, Decision, Finding, Matching, Severity, Verdict, has_kill_switch};
use crate::step::{Action, FileState, Step};
use crate::text::modprobe_conf;
use crate::text::vfio_devices::{self, Role};

/// The record's place in a target.
pub const TRIAL: &str = "/var/lib/neuron-provisioner/trial.json";

const SCHEMA: &str = "neuron-trial/1";

/// That a trial is on (`neuron-trial/1`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    schema: String,
    /// The loader that starts passthrough once, and the entry in its words; none where passthrough is
    /// the default already.
    pub once: Option<OnceRecord>,
}

/// What a loader starts once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnceRecord {
    /// The loader.
    pub loader: String,
    /// The entry.
    pub entry: String,
}

impl Record {
    fn new(once: Option<&Once>) -> Self {
        let once = once.map(|once| OnceRecord { loader: once.loader.to_owned(), entry: once.entry.clone() });
        Self { schema: SCHEMA.to_owned(), once }
    }

    /// One that nobody can read any more: how it was begun is not known.
    pub fn unknown() -> Self {
        Self::new(None)
    }

    /// Reads what an apply wrote.
    pub fn parse(text: &str) -> Result<Self, String> {
        let record: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if record.schema == SCHEMA {
            Ok(record)
        } else {
            Err(format!("its schema is `{}`, and this program knows `{SCHEMA}`", record.schema))
        }
    }

    fn render(&self) -> String {
        // Strings and options always have a JSON text.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    fn once(&self) -> Option<Once> {
        let once = self.once.as_ref()?;
        bootloader::once_for(&once.loader, &once.entry)
    }
}

/// The trial that is on, by the record that an apply wrote.
fn recorded(inputs: &Inputs<'_>) -> Option<Record> {
    let path: TargetPath = TRIAL.parse().ok()?;
    let own = inputs.ours.files.get(&path)?;
    // Somebody's edit of it changes nothing of what was written for the trial.
    Record::parse(own.written.text()?).ok()
}

/// What becomes of the trial in a plan.
#[derive(Debug, Clone)]
pub(super) struct Course {
    /// The one that is on afterwards.
    record: Option<Record>,
    once: Option<Once>,
    /// Whether it begins with this plan.
    begins: bool,
    finding: Option<Finding>,
}

/// Decides whether a trial begins, goes on or ends. After the steps of the files, before those of
/// the loaders: it begins when what is given away is new or another.
pub(super) fn course(inputs: &Inputs<'_>, draft: &Draft) -> Course {
    let wanted = inputs.judgement.trial && inputs.judgement.decision.verdict == Verdict::Ready;
    let begins = wanted && draft.changes(|path| path == binding::VFIO_DEVICES);
    if begins {
        return match once(inputs) {
            Ok(once) => by_loader(inputs.target, once),
            Err(why) => at_once(inputs.target, &why),
        };
    }
    let record = recorded(inputs).filter(|_| wanted);
    Course { once: record.as_ref().and_then(Record::once), record, begins: false, finding: None }
}

fn once(inputs: &Inputs<'_>) -> Result<Once, String> {
    if inputs.stage == super::Stage::All {
        bootloader::once(inputs.target, inputs.running)
    } else {
        Err("at an installation nothing is known of how the new system's boot loader starts".to_owned())
    }
}

/// What the boot does that is the trial.
fn asks(target: &Target) -> &'static str {
    if target.has_trial_unit() {
        "that boot asks on this machine's screen whether to keep it, and goes back after a minute without a \
         key"
    } else {
        "nobody asks there, since neuron-trial.service is not enabled"
    }
}

fn by_loader(target: &Target, once: Once) -> Course {
    let then = asks(target);
    let finding = Finding::new(
        Code::Trial,
        Severity::Info,
        format!(
            "passthrough is on trial: {} starts it at the next boot only, and the entry without it at every \
             boot after that; {then}",
            once.loader
        ),
        "`neuron-provisioner confirm` ends the trial and makes passthrough the default; `trial = false` in \
         the answers leaves it out",
    );
    Course { record: Some(Record::new(Some(&once))), once: Some(once), begins: true, finding: Some(finding) }
}

fn at_once(target: &Target, why: &str) -> Course {
    let asked = target.has_trial_unit();
    let finding = if asked {
        Finding::new(
            Code::Trial,
            Severity::Info,
            format!(
                "passthrough is on trial, and the default from the next boot on, since no boot loader starts \
                 it once ({why}); that boot asks on this machine's screen whether to keep it, and after a \
                 minute without a key the host gets the card back"
            ),
            "`neuron-provisioner confirm` keeps it as well; `trial = false` in the answers leaves the \
             question out",
        )
    } else {
        Finding::new(
            Code::NoTrial,
            Severity::Info,
            format!(
                "passthrough is the default from the next boot on, without a trial: {why}, and \
                 neuron-trial.service, which would ask whether there is a picture, is not enabled"
            ),
            "if that boot shows no picture, choose the entry without GPU passthrough in the boot menu",
        )
    };
    let record = asked.then(|| Record::new(None));
    Course { record, once: None, begins: true, finding: Some(finding) }
}

impl Course {
    /// Whether the loader starts passthrough once, so that the default is the host entry.
    pub(super) fn is_by_loader(&self) -> bool {
        self.once.is_some()
    }

    /// The same trial where the default could not be changed.
    pub(super) fn without_loader(self, inputs: &Inputs<'_>, why: &str) -> Self {
        Self { begins: self.begins, ..at_once(inputs.target, why) }
    }

    /// The steps that write the record or take it away, and make the next boot the trial. After all
    /// others: the menu is there by then.
    pub(super) fn steps(self, inputs: &Inputs<'_>, draft: &mut Draft) {
        draft.findings.extend(self.finding);
        let Ok(path) = TRIAL.parse::<TargetPath>() else { return };
        match &self.record {
            Some(record) => draft.steps.push(Step::write(
                "trial",
                "Put passthrough on trial",
                "the first boot with passthrough shows whether the host keeps its picture",
                path.clone(),
                inputs.target.files.get(&path).unwrap_or(&FileState::Absent),
                record.render(),
            )),
            None => retire::one(inputs, TRIAL, draft),
        }
        if let Some(once) = self.once {
            let step = once.step();
            if self.begins || inputs.ours.wants_another_try || is_due(inputs, &step) {
                draft.steps.push(step);
            }
        } else {
            draft.steps.extend(cleared(inputs));
        }
    }
}

/// Takes back what is left of the trial that was on, where a loader has something of it.
pub(super) fn cleared(inputs: &Inputs<'_>) -> Option<Step> {
    Some(recorded(inputs)?.once()?.clear_step())
}

/// Ends the trial: passthrough becomes the default. Everything else stays as it was applied. Refused
/// where no boot has shown it, unless a person wants it all the same.
pub(super) fn confirm(inputs: &Inputs<'_>, is_meant: bool, draft: &mut Draft) -> Result<(), Vec<Finding>> {
    draft.tokens.clone_from(&inputs.ours.tokens);
    draft.copies.clone_from(&inputs.ours.copies);
    let Some(record) = recorded(inputs) else { return Ok(()) };
    if !is_meant {
        return Err(vec![not_shown(inputs, &record)]);
    }
    retire::one(inputs, TRIAL, draft);
    if record.once.is_some() {
        // Of the answers only what was applied counts: the trial said passthrough.
        entries(inputs, false, draft)?;
        draft.steps.extend(cleared(inputs));
    }
    draft.in_order();
    Ok(())
}

/// The entries as they were applied, for the kernels that are there now.
fn entries(inputs: &Inputs<'_>, host_is_default: bool, draft: &mut Draft) -> Result<(), Vec<Finding>> {
    let set = inputs.ours.tokens.clone();
    let host = Some(HostEntry { is_default: host_is_default, ..host_entry(inputs, &set) });
    loaders::steps(inputs, &Parameters { set, remove: Vec::new(), host }, draft)
}

/// Keeps the host entries in step with the kernels that are there; the trial stays as it is.
pub(super) fn way_back(inputs: &Inputs<'_>, draft: &mut Draft) -> Result<(), Vec<Finding>> {
    let by_loader = recorded(inputs).is_some_and(|record| record.once.is_some());
    entries(inputs, by_loader || inputs.judgement.host_is_default, draft)?;
    draft.in_order();
    Ok(())
}

fn not_shown(inputs: &Inputs<'_>, record: &Record) -> Finding {
    let without = inputs.machine.command_line.as_deref().is_some_and(has_kill_switch);
    let first = match (record.once.is_some(), without) {
        (true, _) => "`neuron-provisioner apply` has the next boot start it once (more), and",
        (false, true) => "start again and choose the passthrough entry in the boot menu;",
        (false, false) => "start again: passthrough is the default, and",
    };
    Finding::new(
        Code::NotShown,
        Severity::Blocker,
        "passthrough is not in force in this boot, so nothing shows that there is a picture with it",
        format!(
            "{first} that boot is the one to confirm, at its question or from a shell; \
             `neuron-provisioner confirm --unproven` makes it the default without that"
        ),
    )
}

/// Starts once more what was applied. Programs that have to run first do; nothing else changes.
pub(super) fn again(inputs: &Inputs<'_>, draft: &mut Draft) {
    draft.tokens.clone_from(&inputs.ours.tokens);
    draft.copies.clone_from(&inputs.ours.copies);
    let once = recorded(inputs).and_then(|record| record.once());
    let of_trial = |argv: &[String]| once.as_ref().is_some_and(|once| once.set == argv || once.clear == argv);
    let due = inputs.ours.due_rebuilds.iter().filter(|argv| !of_trial(argv));
    draft.steps.extend(due.zip(1..).map(|(argv, number)| Step {
        id: format!("due-{number}"),
        title: "Run what failed or was put off".to_owned(),
        because: "what it makes is older than what was applied".to_owned(),
        action: Action::Rebuild { argv: argv.clone(), outputs: Vec::new(), undo: Vec::new() },
    }));
    let Some(once) = once else {
        draft.findings.push(Finding::new(
            Code::Trial,
            Severity::Info,
            "the next boot with passthrough tries it again, as it was applied; this boot judges nothing",
            "start again, and leave the boot menu to itself",
        ));
        return;
    };
    draft.findings.push(Finding::new(
        Code::Trial,
        Severity::Info,
        format!(
            "this boot runs without passthrough and judges nothing: {} starts it once more at the next boot, as \
             it was applied; {}",
            once.loader,
            asks(inputs.target)
        ),
        "to set up something else: `neuron-provisioner revert`, reboot, then apply that",
    ));
    let step = once.step();
    if inputs.ours.wants_another_try || is_due(inputs, &step) {
        draft.steps.push(step);
    }
}

/// The decision that was applied, as far as its files tell. What this boot shows of the machine is
/// no part of it.
pub(super) fn as_applied(inputs: &Inputs<'_>) -> Decision {
    let written = |path: &str| inputs.ours.files.get(&path.parse::<TargetPath>().ok()?)?.written.text();
    let functions = written(VFIO_DEVICES).and_then(|text| vfio_devices::parse(text).ok()).unwrap_or_default();
    let of = |role: Role| functions.iter().filter(move |one| one.role == role);
    let ids = modprobe_conf::directives(written(binding::VFIO_CONF).unwrap_or_default());
    let has_ids = ids.iter().any(|one| one.module == "vfio_pci" && one.option("ids").is_some());
    Decision {
        verdict: Verdict::Ready,
        mode: Mode::AtBoot,
        host_gpu: of(Role::Host).map(|one| one.address).next(),
        guest_gpus: of(Role::Guest)
            .filter(|one| one.class.starts_with("03"))
            .map(|one| one.address)
            .collect(),
        bind: of(Role::Guest).map(|one| one.address).collect(),
        matching: if has_ids { Matching::Ids } else { Matching::Address },
        question: None,
        findings: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_again_and_nothing_else_is() {
        let once = bootloader::once_for("GRUB", "0").unwrap();
        for record in [Record::new(None), Record::new(Some(&once))] {
            assert_eq!(Record::parse(&record.render()), Ok(record));
        }
        assert_eq!(Record::new(Some(&once)).once(), Some(once));
        for text in ["", "{}", "{\"schema\":\"neuron-trial/2\",\"once\":null}", "[]"] {
            Record::parse(text).unwrap_err();
        }
    }

    #[test]
    fn a_loader_that_is_not_known_starts_nothing() {
        assert_eq!(bootloader::once_for("LILO", "0"), None);
        assert_eq!(bootloader::once_for("Limine", "0"), None);
    }
}
