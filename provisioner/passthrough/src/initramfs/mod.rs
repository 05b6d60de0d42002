//! Generators of the initramfs: which the target uses, and what it has to be told.

mod dracut;
mod mkinitcpio;

pub use mkinitcpio::{is_of_presets, of_presets};

use crate::facts::Target;
use crate::facts::target::{LIMINE_TOOLS, is_entry, is_limine_configuration};
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Judgement, Severity};
use crate::step::Step;
use crate::text::loader_entry::Entry;
use crate::text::{TextError, pacman_hook};

/// A generator of the initramfs.
pub trait Generator: Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// The program that builds.
    fn program(&self) -> &'static str;

    /// The drop-in of ours that it reads.
    fn drop_in(&self) -> &'static str;

    /// What shows that the target has it; `None` when it has not.
    fn detect(&self, target: &Target) -> Option<String>;

    /// What shows that it builds an image whenever a kernel comes; asked where several are there.
    fn builds(&self, target: &Target) -> Option<String>;

    /// Whether the hook that claims by address is there for its images.
    fn has_early_hook(&self, target: &Target) -> bool;

    /// What in the target would undo or break what [`Self::steps`] writes, and what else is worth
    /// knowing.
    fn findings(&self, target: &Target) -> Vec<Finding>;

    /// The steps that put vfio-pci into every image.
    fn steps(&self, judgement: &Judgement, target: &Target) -> Result<Vec<Step>, UnusableFile>;

    /// Whether the kernel command line goes where it counts when images are built: into unified
    /// kernel images, or into a menu that is made on the way.
    fn holds_command_line(&self, target: &Target) -> bool;

    /// The steps that build the images.
    fn rebuild(&self, target: &Target) -> Vec<Step>;

    /// The word of its command line behind which the release of a kernel stands.
    fn kernel_option(&self) -> &'static str;
}

/// Every generator that is known.
pub const ALL: &[&dyn Generator] = &[&mkinitcpio::Mkinitcpio, &dracut::Dracut];

/// A file of the target that cannot be edited safely.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct UnusableFile {
    /// Which file.
    pub path: TargetPath,
    /// Where in it, and what is wrong.
    pub problem: TextError,
}

/// The generator that the target uses. Where several are there, what runs when a kernel comes tells
/// which; where it does not, nobody guesses.
pub fn active(target: &Target) -> Result<&'static dyn Generator, Finding> {
    let here = ALL.iter().copied().filter(|generator| generator.detect(target).is_some());
    let (able, left_behind): (Vec<_>, Vec<_>) = here.partition(|generator| target.has(generator.program()));
    let here = if able.is_empty() { left_behind } else { able };
    match here.as_slice() {
        [] => Err(none()),
        [one] => Ok(*one),
        several => {
            let mut building = several.iter().filter(|generator| generator.builds(target).is_some());
            match (building.next(), building.next()) {
                (Some(one), None) => Ok(*one),
                _ => Err(undecided(target, several)),
            }
        }
    }
}

/// The release of the kernel that a build is for, where it names one.
pub fn kernel_of(argv: &[String]) -> Option<&str> {
    let name = argv.first()?.rsplit('/').next()?;
    let generator = ALL.iter().find(|generator| generator.name() == name)?;
    let option = argv.iter().position(|word| word == generator.kernel_option())?;
    // mkinitcpio takes the path of a kernel as well: that is whatever lies there.
    argv.get(option + 1).map(String::as_str).filter(|kernel| !kernel.starts_with('/'))
}

/// The image of a kernel where kernel-install puts it: beside the kernel, in a folder of its release. On a
/// shared ESP another system may have the same release; its image is none of ours.
fn image_of_kernel_install<'a>(target: &'a Target, release: &str) -> Option<&'a str> {
    let machine = target.text("/etc/machine-id").map(str::trim)?;
    let tail = format!("/{release}/initrd");
    let entries = target.files.iter().filter(|(path, _)| is_entry(path));
    let texts = entries.filter_map(|(_, state)| state.text());
    let own = texts.map(Entry::parse).filter(|entry| entry.machine_id() == Some(machine));
    let named = own.flat_map(|entry| entry.initrds());
    let named: Vec<&str> = named.filter(|initrd| initrd.ends_with(&tail)).collect();
    let is_named = |path: &&str| named.iter().any(|initrd| path.ends_with(initrd));
    target.boot_files.keys().map(String::as_str).find(is_named)
}

fn none() -> Finding {
    Finding::new(
        Code::GeneratorUnknown,
        Severity::Blocker,
        "the target has no generator of the initramfs that is known (neither /etc/mkinitcpio.conf nor \
         /usr/bin/dracut)",
        "use mkinitcpio or dracut; by hand: put the modules vfio_pci vfio vfio_iommu_type1 and \
         /etc/modprobe.d/vfio.conf into the image, vfio_pci first",
    )
    .in_file("/etc/mkinitcpio.conf")
}

fn undecided(target: &Target, several: &[&dyn Generator]) -> Finding {
    let seen = several.iter().map(|generator| {
        let why = generator.builds(target).unwrap_or_else(|| "nothing runs it for a new kernel".to_owned());
        format!("{} ({why})", generator.name())
    });
    Finding::new(
        Code::GeneratorUnknown,
        Severity::Blocker,
        format!(
            "several generators of the initramfs are there, and which one builds the images cannot be told: {}",
            seen.collect::<Vec<_>>().join(", ")
        ),
        "remove the one that is not used, or name the other in /etc/kernel/install.conf (initrd_generator=...) and \
         mask the unused one's hook in /etc/pacman.d/hooks",
    )
    .in_file("/etc/pacman.d/hooks")
}

/// Where entries of Limine's are made by the tool of another generator: nothing that this one builds, and no
/// parameter, would reach an entry. `own` is the tool of this one.
fn entries_of_another(target: &Target, generator: &str, own: &str) -> Option<Finding> {
    let other = LIMINE_TOOLS.into_iter().find(|tool| target.has(tool) && *tool != own)?;
    let has_limine = target.files.keys().any(is_limine_configuration);
    (has_limine && !target.has(own)).then(|| {
        Finding::new(
            Code::TargetConflict,
            Severity::Blocker,
            format!("{other} makes Limine's entries, but {generator} builds the images"),
            format!(
                "install {}, or remove the generator that is not used",
                own.trim_start_matches("/usr/bin/")
            ),
        )
        .in_file(other)
    })
}

/// The hook of the package manager that runs a generator for every new kernel.
fn hook_for_kernels(target: &Target, name: &str) -> Option<String> {
    let (own, shipped) = ("/etc/pacman.d/hooks", "/usr/share/libalpm/hooks");
    // One of the same name in /etc takes the place of a package's; a link to nowhere masks it.
    let is_hidden =
        |path: &TargetPath| target.in_directory(own).any(|(other, _)| other.file_name() == path.file_name());
    let shipped = target.in_directory(shipped).filter(|(path, _)| !is_hidden(path));
    let mut all = target.in_directory(own).chain(shipped);
    let runs = |text: &str| pacman_hook::runs_for_kernels(text).is_some_and(|runs| runs.contains(name));
    all.find_map(|(path, state)| runs(state.text()?).then(|| format!("{path} runs it for a new kernel")))
}

/// Whether kernel-install is told to use a generator.
fn named_by_kernel_install(target: &Target, name: &str) -> Option<String> {
    let conf = "/etc/kernel/install.conf";
    let lines = target.text(conf)?.lines().map(str::trim);
    let named = lines.filter_map(|line| line.strip_prefix("initrd_generator=")).next_back();
    (named == Some(name)).then(|| format!("{conf} names it"))
}
