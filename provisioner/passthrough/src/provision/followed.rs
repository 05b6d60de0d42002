//! Which answers were followed last, kept beside the journal as a digest: they may hold what is nobody else's
//! business. The file of the answers does not say it, since a person may have changed it meanwhile. A version of this
//! program that knows more keys knows no digest of an earlier one again, and then nothing is tried again unasked.

use crate::answers::Answers;
use crate::apply::{ApplyError, State, Store, View};
use crate::plan::Follows;
use crate::text::digest::sha256;

const FOLLOWED: &str = "followed";

/// What was known before something is carried out.
pub(super) struct Before(Option<Vec<u8>>);

/// Before something is carried out: whatever happens, no other answers are taken for those that it follows.
pub(super) fn forget(store: &mut Store<'_>, follows: &Follows) -> Result<Before, ApplyError> {
    if *follows == Follows::TheLast {
        return Ok(Before(None));
    }
    let before = store.view().read_state_file(FOLLOWED)?;
    store.remove_state_file(FOLLOWED)?;
    Ok(Before(before))
}

/// After it failed and was put back.
pub(super) fn restore(store: &mut Store<'_>, before: Before) {
    let Before(Some(digest)) = before else { return };
    let is_back = store.view().status().is_ok_and(|applied| applied.state != State::Interrupted);
    if is_back && let Err(error) = store.write_state_file(FOLLOWED, &digest) {
        tracing::warn!("which answers were followed could not be kept: {}", error.in_full());
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
