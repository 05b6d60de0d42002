//! The domains that `vm define` made: a revert takes them back as well.

use neuron_passthrough::apply::{StepOutcome, StepResult};
use neuron_passthrough::libvirt::{FirmwareState, Libvirt, SYSTEM};
use neuron_passthrough::provision::{self, ProvisionError, Undefinition};
use neuron_passthrough::root::Root;

use crate::args::Common;
use crate::commands::vm;
use crate::failure::Failure;
use crate::given;

/// How the steps about domains begin.
const STEP: &str = "vm-";
/// The step about the record of them.
const RECORD: &str = "domains";

/// Every domain of ours, or why nobody can tell what has become of it.
pub(super) struct Domains {
    all: Vec<(String, Found)>,
    /// Why nobody knows which there are.
    unknown: Option<String>,
}

/// What is taken back of one, from where; or why it stays.
type Found = Result<(Libvirt, Undefinition), String>;

pub(super) fn is_of_domain(step: &StepOutcome) -> bool {
    step.id.starts_with(STEP) || step.id == RECORD
}

impl Domains {
    /// Looks; changes nothing. A domain that runs has the GPU: it has to be shut down first.
    pub(super) fn look(common: &Common, target: &Root) -> Result<Self, Failure> {
        let (defined, unknown) = match provision::defined(target) {
            Ok(defined) => (defined, None),
            // What was written must go back all the same: the GPU is the host's.
            Err(error @ ProvisionError::Domains(_)) => (Vec::new(), Some(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        let mut all = Vec::new();
        for (name, libvirt) in defined {
            let found = if libvirt.uri() == SYSTEM && !given::is_running_system(target)? {
                Err(format!("it belongs to the system in {}", common.target_root.display()))
            } else {
                match provision::prepare_undefinition(target, Some(&name), &libvirt) {
                    Ok(Some(undefinition)) => Ok((libvirt, undefinition)),
                    Ok(None) => continue,
                    Err(error @ ProvisionError::LibvirtGone { .. }) => {
                        Err(format!("{error} (`vm undefine --forget` forgets it if that is gone for good)"))
                    }
                    Err(
                        error @ (ProvisionError::Libvirt(_)
                        | ProvisionError::DomainNotAsWritten { .. }
                        | ProvisionError::OtherDomain { .. }),
                    ) => Err(error.to_string()),
                    Err(error) => return Err(error.into()),
                }
            };
            all.push((name, found));
        }
        Ok(Self { all, unknown })
    }

    pub(super) fn are_none(&self) -> bool {
        self.all.is_empty() && self.unknown.is_none()
    }

    /// Whether nobody knows which there are.
    pub(super) fn are_unknown(&self) -> bool {
        self.unknown.is_some()
    }

    /// What happens to them, for a person.
    pub(super) fn text(&self) -> String {
        let mut sentences = Vec::new();
        sentences.extend(
            self.unknown.iter().map(|why| format!("those that were defined stay as they are: {why}")),
        );
        for (name, found) in &self.all {
            match found {
                Ok((_, undefinition)) => sentences.extend(vm::taken_back(undefinition, FirmwareState::Keep)),
                Err(why) => sentences.push(format!("the domain `{name}` stays as it is: {why}")),
            }
        }
        if sentences.is_empty() { String::new() } else { vm::listed("Virtual machines:", &sentences) }
    }

    /// Takes them back; what does not go is left to a person.
    pub(super) fn take_back(self, target: &Root) -> Vec<StepOutcome> {
        let mut steps = Vec::new();
        steps.extend(self.unknown.map(|why| StepOutcome {
            id: RECORD.to_owned(),
            outcome: StepResult::Deferred,
            who: Some("you".to_owned()),
            why: Some(format!(
                "{why}; look at `virsh list --all`, `virsh undefine --keep-nvram NAME` those that are no longer \
                 wanted, then move the file away"
            )),
        }));
        for (name, found) in self.all {
            let later = |why: String| format!("{why}; later, run `neuron-provisioner vm undefine {name}`");
            let (outcome, why) = match found.map(|(libvirt, undefinition)| {
                provision::undefine(target, &libvirt, &undefinition, FirmwareState::Keep)
            }) {
                Ok(Ok(_)) => (StepResult::Done, None),
                // It is gone, and it is no longer in the record: nothing could be tried once more.
                Ok(Err(ProvisionError::Define(error))) if !error.left.is_empty() => {
                    (StepResult::Failed, Some(format!("{error}: {}", error.left.join("; "))))
                }
                Ok(Err(error)) => (StepResult::Deferred, Some(later(Failure::from(error).message()))),
                Err(why) => (StepResult::Deferred, Some(later(why))),
            };
            let who = (outcome == StepResult::Deferred).then(|| "you".to_owned());
            steps.push(StepOutcome { id: format!("{STEP}{name}"), outcome, who, why });
        }
        steps
    }
}
