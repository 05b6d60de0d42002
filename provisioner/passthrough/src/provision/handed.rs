//! Answers that a system was started with: whoever made a medium, or starts machines from it, wants
//! nobody to be asked.

use super::{ProvisionError, Source, own_text};
use crate::plan::ANSWERS;
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
