//! Looking Glass in a plan: written where functions are given away and somebody is to see the picture.

use super::{Draft, Inputs, Purpose, retire, unusable};
use crate::facts::target::QEMU_CONF;
use crate::guest::looking_glass::{self, CLIENT_INI, WHOLE, Wanted};
use crate::policy::Finding;

/// What the answers want; what is of another kind, or not wanted any more, goes.
pub(super) fn steps(inputs: &Inputs<'_>, draft: &mut Draft) -> Result<(), Vec<Finding>> {
    let gives_away = !inputs.judgement.decision.bind.is_empty();
    let Some(wanted) = Wanted::of(inputs.answers, inputs.target).filter(|_| gives_away) else {
        retire(inputs, draft);
        return Ok(());
    };
    draft.findings.extend(looking_glass::findings(&wanted, &inputs.answers.looking_glass, inputs.target));
    let qemu_conf = inputs.ours.files.iter().find(|(path, _)| path.as_str() == QEMU_CONF);
    let original = qemu_conf.and_then(|(_, own)| own.original.text());
    let written = looking_glass::steps(&wanted, inputs.target, original)
        .map_err(|(path, error)| vec![unusable(&path, &format!("{path}, {error}"))])?;
    // Who is in which group, and who owns what is there now, is looked after when somebody asks for it.
    let now = if inputs.purpose == Purpose::SetUp {
        looking_glass::live_steps(&wanted, inputs.target, inputs.memory, &written)?
    } else {
        Vec::new()
    };
    let is_written =
        |path: &str| written.iter().any(|step| step.action.path().is_some_and(|one| one.as_str() == path));
    for path in own_files(inputs).filter(|path| !is_written(path)) {
        retire::one(inputs, path, draft);
    }
    draft.steps.extend(written);
    draft.steps.extend(now);
    Ok(())
}

/// Takes everything of it back.
pub(super) fn retire(inputs: &Inputs<'_>, draft: &mut Draft) {
    for path in own_files(inputs) {
        retire::one(inputs, path, draft);
    }
}

/// Of the client's configuration only one that still says it is ours.
fn own_files<'a>(inputs: &Inputs<'a>) -> impl Iterator<Item = &'static str> + use<'a> {
    let client = inputs.target.text(CLIENT_INI).is_some_and(looking_glass::is_ours_by_head);
    WHOLE.into_iter().chain([QEMU_CONF]).filter(move |path| *path != CLIENT_INI || client)
}
