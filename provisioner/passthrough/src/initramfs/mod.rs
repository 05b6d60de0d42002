//! Generators of the initramfs: which the target uses, and what it has to be told.

mod mkinitcpio;

pub use mkinitcpio::DROP_IN;

use crate::facts::Target;
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Judgement, Severity};
use crate::step::Step;
use crate::text::TextError;

/// A generator of the initramfs.
pub trait Generator: Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// What shows that the target uses it; `None` when it does not.
    fn detect(&self, target: &Target) -> Option<String>;

    /// What in the target would undo or break what [`Self::steps`] writes.
    fn conflicts(&self, target: &Target) -> Vec<Finding>;

    /// The steps that put vfio-pci into every image, and the step that builds them.
    fn steps(&self, judgement: &Judgement, target: &Target) -> Result<Vec<Step>, UnusableFile>;

    /// Whether the kernel command line goes where it counts when images are built: into unified
    /// kernel images, or into a menu that is made on the way.
    fn holds_command_line(&self, target: &Target) -> bool;

    /// The step that builds the images.
    fn rebuild(&self, target: &Target) -> Step;
}

/// Every generator that is known.
pub const ALL: &[&dyn Generator] = &[&mkinitcpio::Mkinitcpio];

/// A file of the target that cannot be edited safely.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct UnusableFile {
    /// Which file.
    pub path: TargetPath,
    /// Where in it, and what is wrong.
    pub problem: TextError,
}

/// The generator that the target uses.
pub fn active(target: &Target) -> Result<&'static dyn Generator, Finding> {
    ALL.iter().copied().find(|generator| generator.detect(target).is_some()).ok_or_else(|| {
        let dracut =
            target.has("/usr/bin/dracut") || target.in_directory("/etc/dracut.conf.d").next().is_some();
        let seen = if dracut { "only dracut, which is not supported yet" } else { "no /etc/mkinitcpio.conf" };
        Finding::new(
            Code::GeneratorUnknown,
            Severity::Blocker,
            format!("the target has no generator of the initramfs that is known ({seen})"),
            "use mkinitcpio; by hand: put the modules vfio_pci vfio vfio_iommu_type1 and \
             /etc/modprobe.d/vfio.conf into the image, vfio_pci first",
        )
        .in_file("/etc/mkinitcpio.conf")
    })
}
