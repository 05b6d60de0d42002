//! GRUB: `/etc/default/grub`, then `grub-mkconfig`.

use super::{Bootloader, LoaderError, Parameters, keeps_root};
use crate::facts::Target;
use crate::id::TargetPath;
use crate::policy::Finding;
use crate::step::{Action, FileState, Step, file_head};
use crate::text::{TextError, command_line, grub_default};

const DEFAULTS: &str = "/etc/default/grub";
/// Read behind the defaults, in the order of their names, where the target's grub-mkconfig does so.
const DROP_INS: &str = "/etc/default/grub.d";
const DROP_IN: &str = "/etc/default/grub.d/95-neuron-vfio.cfg";
const TITLE: &str = "Set the kernel parameters for GRUB";
/// Made when GRUB is installed; without it no menu can be written.
const FOLDER: &str = "/boot/grub";
const GENERATED: &str = "/boot/grub/grub.cfg";

/// GRUB 2.
pub(super) struct Grub;

impl Bootloader for Grub {
    fn name(&self) -> &'static str {
        "GRUB"
    }

    fn detect(&self, target: &Target) -> Option<String> {
        target.text(DEFAULTS).map(|_| format!("{DEFAULTS} is there"))
    }

    fn steps(&self, target: &Target, parameters: &Parameters) -> Result<Vec<Step>, LoaderError> {
        let (Ok(path), Some(text)) = (DEFAULTS.parse::<TargetPath>(), target.text(DEFAULTS)) else {
            return Ok(Vec::new());
        };
        let unusable = |problem: TextError| LoaderError::Unusable { path: path.clone(), problem };
        let kept = grub_default::remove_parameters(text, &parameters.remove).map_err(unusable)?;
        let edited = grub_default::set_parameters(&kept, &parameters.set).map_err(unusable)?;
        let drop_ins = drop_ins(target);
        let suffices = lost(&sourced(&edited, &drop_ins, None)?, parameters).is_none();
        let (after, added) = if suffices { (edited, Vec::new()) } else { (kept, parameters.set.clone()) };
        let added = missing(&sourced(&after, &drop_ins, None)?, &added);
        let own =
            if added.is_empty() { None } else { Some(grub_default::drop_in(&added).map_err(unusable)?) };
        let known = sourced(&after, &drop_ins, own.as_deref())?;
        if let Some(token) = lost(&known, parameters) {
            return Err(undone(&drop_ins, token));
        }
        keeps_root(&path, &sourced(text, &drop_ins, None)?, &known)?;
        let mut steps = vec![Step::write(
            "grub-default",
            TITLE,
            "the kernel reads at boot what GRUB hands to it, and GRUB's menu is made from this file",
            path.clone(),
            target.state(&path),
            after,
        )];
        steps.extend(drop_in(target, own.as_deref()));
        Ok(steps)
    }

    fn rebuild(&self, target: &Target) -> Option<Step> {
        let boots_it =
            |other: &&dyn Bootloader| other.name() != self.name() && other.detect(target).is_some();
        if !target.has(FOLDER) && super::ALL.iter().any(boots_it) {
            // Its package alone brings the defaults; something else is installed and boots this system.
            return None;
        }
        Some(Step {
            id: "grub-cfg".to_owned(),
            title: "Make GRUB's menu anew".to_owned(),
            because: "GRUB itself reads grub.cfg only".to_owned(),
            action: Action::Rebuild {
                argv: ["grub-mkconfig", "-o", GENERATED].map(str::to_owned).to_vec(),
                outputs: GENERATED.parse().into_iter().collect(),
            },
        })
    }

    fn findings(&self, _: &Target) -> Vec<Finding> {
        Vec::new()
    }
}

/// The drop-ins that are read, without ours.
fn drop_ins(target: &Target) -> Vec<(&TargetPath, &str)> {
    if !target.grub_reads_drop_ins {
        return Vec::new();
    }
    let others = target.in_directory(DROP_INS).filter(|(path, _)| path.as_str() != DROP_IN);
    others.filter_map(|(path, state)| Some((path, state.text()?))).collect()
}

/// What is known of the command line when the defaults and all drop-ins were read, ours in its place.
fn sourced(
    defaults: &str,
    drop_ins: &[(&TargetPath, &str)],
    own: Option<&str>,
) -> Result<String, LoaderError> {
    let mut whole = format!("{defaults}\n");
    let mut own = own;
    for (path, text) in drop_ins {
        if path.as_str() > DROP_IN {
            whole.extend(own.take());
        }
        // Each alone first: a mistake is told with its own line.
        grub_default::command_line(text)
            .map_err(|problem| LoaderError::Unusable { path: (*path).clone(), problem })?;
        whole.extend([text, "\n"]);
    }
    whole.extend(own);
    let line = grub_default::command_line(&whole).map_err(|problem| LoaderError::ByHand {
        path: DROP_INS.to_owned(),
        why: format!("read behind {DEFAULTS}, {problem}"),
        what: "mend it by hand, then try again".to_owned(),
    })?;
    Ok(line.known())
}

fn missing(known: &str, wanted: &[String]) -> Vec<String> {
    wanted.iter().filter(|token| !command_line::has(known, token)).cloned().collect()
}

fn lost<'a>(known: &str, parameters: &'a Parameters) -> Option<&'a String> {
    parameters.set.iter().find(|token| !command_line::has(known, token))
}

/// A drop-in whose name sorts behind ours says otherwise.
fn undone(drop_ins: &[(&TargetPath, &str)], token: &str) -> LoaderError {
    let last = drop_ins.last().map_or_else(|| DEFAULTS.to_owned(), |(path, _)| path.to_string());
    LoaderError::ByHand {
        path: last,
        why: format!(
            "it is read behind {DROP_IN} and sets the command line anew, so `{token}` would be lost"
        ),
        what: "give the file a name that sorts before 95-, or let it add to the variable: \
               GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT ...\""
            .to_owned(),
    }
}

fn drop_in(target: &Target, own: Option<&str>) -> Option<Step> {
    let path: TargetPath = DROP_IN.parse().ok()?;
    let before = target.state(&path);
    if let Some(line) = own {
        let text = file_head("kernel parameters for GRUB.") + line;
        let because =
            "another drop-in sets the command line anew, and grub-mkconfig reads this one behind it";
        return Some(Step::write("grub-drop-in", TITLE, because, path.clone(), before, text));
    }
    (*before != FileState::Absent).then(|| Step {
        id: "grub-drop-in".to_owned(),
        title: "Take the kernel parameters out of GRUB's drop-ins".to_owned(),
        because: "they are not needed there any more".to_owned(),
        action: Action::RemoveFile { path: path.clone(), before: before.clone() },
    })
}
