//! Answers that a system was started with: whoever made a medium, or starts machines from it, wants
//! nobody to be asked.

use super::{Note, ProvisionError, Source, own_text};
use crate::apply::{Options, Runner, Store, Transaction};
use crate::facts::boot_id;
use crate::plan::{self, ANSWERS, Stage};
use crate::policy::Verdict;
use crate::root::Root;

/// Where systemd puts what the hypervisor, the firmware or the boot loader handed over (systemd.exec(5)).
const CREDENTIAL: &str = "/run/credentials/@system/neuron.answers";

/// The answers that this system was started with: a credential, or else its own file. None where it
/// has neither.
pub fn handed(system: &Root) -> Result<Option<Source>, ProvisionError> {
    for path in [CREDENTIAL, ANSWERS] {
        if let Some(text) = own_text(system, path)? {
            return Ok(Some(Source::Text { name: path.to_owned(), text }));
        }
    }
    Ok(None)
}

/// Writes answers into a target that gets nothing else now, for its first boot to follow.
pub fn keep_answers(
    machine: &Root,
    target: &Root,
    text: &str,
    runner: &mut dyn Runner,
) -> Result<(), ProvisionError> {
    let before = target.file_state(ANSWERS)?;
    let Some(step) = plan::answers_step(text, &before).filter(|step| !step.is_settled()) else {
        return Ok(());
    };
    let mut store = Store::open(target, Options::default())?;
    let applied = store.view().status()?;
    let copies = applied.files.iter().filter(|file| file.is_copy).map(|file| file.path.clone());
    let transaction = Transaction {
        plan_id: step.id.clone(),
        stage: Stage::Files.name().to_owned(),
        boot_id: boot_id(machine),
        steps: vec![step],
        copies: copies.collect(),
        tokens: applied.tokens,
        note: Note { verdict: Verdict::Refused, reboot_needed: false }.value(),
    };
    store.apply(&transaction, runner, &mut |_| {})?;
    Ok(())
}
