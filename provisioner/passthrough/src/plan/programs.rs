//! The programs that make images and menus, where nobody but us would run them.

use super::{Draft, Inputs};
use crate::policy::{Code, Finding, Severity};
use crate::step::{Action, Step};

/// Those that the target is asked for (`facts::target`), by what they make.
const PROGRAMS: [(&str, &str); 5] = [
    ("mkinitcpio", "/etc/mkinitcpio.conf"),
    ("limine-mkinitcpio", "/etc/mkinitcpio.conf"),
    ("dracut", "/etc/dracut.conf"),
    ("dracut-rebuild", "/etc/dracut.conf"),
    ("grub-mkconfig", "/etc/default/grub"),
];

/// Refuses on the system that runs what could not be built there: what is left to whoever installs a
/// system is left to nobody here, and the files alone change nothing.
pub(super) fn are_there(inputs: &Inputs<'_>, draft: &Draft) -> Result<(), Vec<Finding>> {
    if !inputs.running.is_target {
        return Ok(());
    }
    let mut missing: Vec<Finding> = Vec::new();
    for step in &draft.steps {
        if let Some(finding) = missing_for(inputs, step)
            && !missing.iter().any(|other| other.message == finding.message)
        {
            missing.push(finding);
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(missing) }
}

fn missing_for(inputs: &Inputs<'_>, step: &Step) -> Option<Finding> {
    let Action::Rebuild { argv, .. } = &step.action else { return None };
    let (program, file) =
        PROGRAMS.iter().find(|(program, _)| argv.first().is_some_and(|word| word == program))?;
    let is_there =
        ["/usr/bin", "/usr/sbin"].iter().any(|folder| inputs.target.has(&format!("{folder}/{program}")));
    (!is_there).then(|| {
        Finding::new(
            Code::TargetConflict,
            Severity::Blocker,
            format!(
                "{file} is there and the program {program} is not, so nothing would put this into effect"
            ),
            format!("install {program}; or, if another program does its work here, take {file} away"),
        )
        .in_file(*file)
    })
}
