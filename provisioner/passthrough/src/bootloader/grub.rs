//! GRUB: `/etc/default/grub`, then `grub-mkconfig`.

use super::{Bootloader, LoaderError, Parameters, keeps_root};
use crate::facts::Target;
use crate::id::TargetPath;
use crate::policy::Finding;
use crate::step::{Action, Step};
use crate::text::{TextError, grub_default};

const DEFAULTS: &str = "/etc/default/grub";
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
        let after = grub_default::set_parameters(&kept, &parameters.set).map_err(unusable)?;
        let line = |text: &str| grub_default::command_line(text).map(|line| line.known()).map_err(unusable);
        keeps_root(&path, &line(text)?, &line(&after)?)?;
        Ok(vec![Step::write(
            "grub-default",
            "Set the kernel parameters for GRUB",
            "the kernel reads at boot what GRUB hands to it, and GRUB's menu is made from this file",
            path.clone(),
            target.state(&path),
            after,
        )])
    }

    fn rebuild(&self, _: &Target) -> Option<Step> {
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
