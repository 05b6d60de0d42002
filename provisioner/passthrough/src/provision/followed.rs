//! Which answers were followed last, kept beside the journal as a digest: they may hold what is nobody else's
//! business. The file of the answers does not say it, since a person may have changed it meanwhile.

use crate::answers::Answers;
use crate::apply::{ApplyError, Store, View};
use crate::plan::Follows;
use crate::text::digest::sha256;

const FOLLOWED: &str = "followed";

/// Before something is carried out: whatever happens, no other answers are taken for those that it follows.
pub(super) fn forget(store: &mut Store<'_>, follows: &Follows) -> Result<(), ApplyError> {
    match follows {
        Follows::TheLast => Ok(()),
        Follows::Answers(_) | Follows::Unknown => store.remove_state_file(FOLLOWED),
    }
}

/// After it was carried out. That it could not be kept changes nothing of what was done.
pub(super) fn keep(store: &mut Store<'_>, follows: &Follows) {
    let Follows::Answers(answers) = follows else { return };
    let kept = digest(answers).map_or(Ok(()), |digest| store.write_state_file(FOLLOWED, digest.as_bytes()));
    if let Err(error) = kept {
        tracing::warn!("which answers were followed could not be kept: {}", error.in_full());
    }
}

/// Whether these were followed last; none where nothing tells.
pub(super) fn are(view: &View<'_>, answers: &Answers) -> Result<Option<bool>, ApplyError> {
    let kept = view.read_state_file(FOLLOWED)?;
    Ok(kept.map(|kept| digest(answers).is_some_and(|digest| digest.as_bytes() == kept)))
}

/// None if they cannot be written as JSON.
fn digest(answers: &Answers) -> Option<String> {
    let text = serde_json::to_string(answers).ok()?;
    Some(sha256(&[text.as_bytes()]) + "\n")
}
