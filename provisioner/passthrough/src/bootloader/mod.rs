//! Boot loaders: which ones the target has, and where each takes the kernel command line from.
//!
//! To add one: a file here, a line in [`ALL`], a target tree and a scenario.

mod foreign;
mod grub;
mod grub_once;
mod host_entry;
mod kept;
mod limine;
mod limine_tool;
mod lines;
mod once;
mod refind;
mod systemd_boot;
mod this_system;
mod uki;

pub use host_entry::{HostEntry, NAME as HOST_NAME};
pub use kept::Proven;
pub use lines::{CommandLine, Edited, command_lines};
pub use once::{Once, SET as SET_ONCE};

use std::collections::BTreeSet;

use crate::facts::{Running, Target};
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Severity};
use crate::step::Step;
use crate::text::{TextError, command_line, kernel_cmdline};

/// The kernel parameters that are to be there afterwards, and those of ours that are to go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    /// To be there.
    pub set: Vec<String>,
    /// To go: ours from before, wanted no more.
    pub remove: Vec<String>,
    /// What the host entry is made from; none where there is to be no such entry.
    pub host: Option<HostEntry>,
}

/// Why a loader's files cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoaderError {
    /// A file cannot be edited safely.
    #[error("{path}: {problem}")]
    Unusable {
        /// Which file.
        path: TargetPath,
        /// Where in it, and what is wrong.
        problem: TextError,
    },
    /// An edit would have lost what the system needs to find its root.
    #[error("{path}: the edit would lose `{token}`")]
    LosesRoot {
        /// Which file.
        path: TargetPath,
        /// The parameter that would be gone.
        token: String,
    },
    /// What only a person can do here.
    #[error("{path}: {why}")]
    ByHand {
        /// Which file.
        path: String,
        /// Why it is not done.
        why: String,
        /// What to do instead.
        what: String,
    },
}

/// A boot loader.
pub trait Bootloader: Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// What shows that the target has it; `None` when it has not.
    fn detect(&self, target: &Target) -> Option<String>;

    /// The steps that change its command lines and put the host entry beside them; settled ones
    /// included.
    fn steps(&self, target: &Target, parameters: &Parameters) -> Result<Vec<Step>, LoaderError>;

    /// Every kernel command line that [`Self::steps`] edits, as it stands, in an order that an edit does
    /// not change; told whether or not this loader was detected, and whether or not the edit can be done.
    fn command_lines(&self, target: &Target) -> Vec<CommandLine>;

    /// The step that makes its derived files anew; `None` when it reads what was written.
    fn rebuild(&self, target: &Target) -> Option<Step>;

    /// The steps that build the host's images, where nothing else builds them; made when what
    /// [`Self::steps`] writes changes.
    fn host_images(&self, _target: &Target) -> Vec<Step> {
        Vec::new()
    }

    /// The images without passthrough that are made because of what [`Self::steps`] writes, whoever builds
    /// them: they come and go with us.
    fn made_for_host(&self, _target: &Target) -> Vec<TargetPath> {
        Vec::new()
    }

    /// Whether the derived files are made from this one, besides those that [`Self::steps`] edits.
    fn is_made_from(&self, _path: &str) -> bool {
        false
    }

    /// What names another entry as the default over all that [`Self::steps`] writes: against the host
    /// entry as the default it is a reason to refuse.
    fn outranked(&self, _target: &Target, _running: &Running, _host_is_default: bool) -> Option<Finding> {
        None
    }

    /// How it can start the passthrough entry for one boot only, while the default is another one; an
    /// error says why it cannot, or why that is not known.
    fn once(&self, _target: &Target, _running: &Running) -> Result<Once, String> {
        Err(format!("no program sets an entry of {} for one boot only", self.name()))
    }

    /// Whether it has entries of this system that are its own; one that starts what another one built has none.
    fn has_entries(&self, _target: &Target) -> bool {
        true
    }

    /// The ways in which it takes command lines from a target: each is tried with every generator.
    fn ways(&self) -> Vec<&'static str> {
        vec![self.name()]
    }

    /// The way of this target.
    fn way(&self, _target: &Target) -> &'static str {
        self.name()
    }

    /// How that is said for an entry, by its name in this loader's words.
    fn once_for(&self, _entry: &str) -> Option<Once> {
        None
    }

    /// What is worth knowing of how this target's loader is set up.
    fn findings(&self, target: &Target) -> Vec<Finding>;
}

/// Every loader that is known.
pub const ALL: &[&dyn Bootloader] =
    &[&grub::Grub, &uki::UnifiedImages, &systemd_boot::SystemdBoot, &limine::Limine, &refind::Refind];

/// The loaders of a target, and what was seen of others; an error says what to write by hand.
pub fn detect(
    target: &Target,
    parameters: &[String],
) -> Result<(Vec<&'static dyn Bootloader>, Vec<Finding>), Finding> {
    let known: Vec<&dyn Bootloader> =
        ALL.iter().copied().filter(|loader| loader.detect(target).is_some()).collect();
    let foreign = foreign::detect(target);
    if known.is_empty() {
        return Err(unknown(&foreign, parameters));
    }
    let mut findings: Vec<Finding> = known.iter().flat_map(|loader| loader.findings(target)).collect();
    findings.extend(kept::no_room(target));
    findings.extend(foreign.iter().map(|(name, saw)| {
        Finding::new(
            Code::OtherLoader,
            Severity::Warning,
            format!("{name} is there as well ({saw}), and it is left alone"),
            format!(
                "if {name} is what boots this system, add to its command line by hand: {}",
                parameters.join(" ")
            ),
        )
    }));
    Ok((known, findings))
}

fn unknown(foreign: &[(&str, String)], parameters: &[String]) -> Finding {
    let names: Vec<&str> = ALL.iter().map(|loader| loader.name()).collect();
    let seen: Vec<String> = foreign.iter().map(|(name, saw)| format!("{name} ({saw})")).collect();
    let message = if seen.is_empty() {
        "no boot loader was found in the target".to_owned()
    } else {
        format!("what boots the target is not supported: {}", seen.join(", "))
    };
    let hint = format!(
        "supported: {}; with another one, add this to the kernel command line by hand: {}",
        names.join(", "),
        parameters.join(" ")
    );
    Finding::new(Code::LoaderUnknown, Severity::Blocker, message, hint).in_file("/etc/default/grub")
}

/// The host entries that would start nothing, each with a file that is not there. Told of systemd-boot,
/// whose entries are files of their own: GRUB's script names what it finds.
pub fn dead(target: &Target) -> impl Iterator<Item = (&TargetPath, String)> {
    systemd_boot::dead(target)
}

/// The files that are not copied, since the copies of all kernels do not fit, and what is to be said of them.
pub fn too_many_copies(target: &Target, steps: &[Step]) -> (BTreeSet<String>, Vec<Finding>) {
    let refused = kept::too_many(target, steps);
    let findings = refused.iter().map(|(mount, files)| kept::no_room_for_all(target, mount, files)).collect();
    (refused.into_values().flatten().collect(), findings)
}

/// What is to be said where no boot menu shows the way back.
pub fn without_menu(target: &Target, running: &Running) -> Option<Finding> {
    uki::missing(target, running)
}

/// What host entries start, and what is without its modules since an update: copies, and images.
#[derive(Debug)]
pub struct Lost {
    /// Where it lies.
    pub path: String,
    /// What makes it anew, where an apply would not.
    pub by_hand: Option<String>,
}

/// All of that.
pub fn lost(target: &Target) -> Vec<Lost> {
    let copies = kept::lost(target).map(|path| Lost { path: path.to_owned(), by_hand: None });
    copies.chain(uki::lost(target)).collect()
}

/// The copy in the other slot, beside which this one was made.
pub fn counterpart(copy: &TargetPath) -> Option<TargetPath> {
    kept::counterpart(copy).or_else(|| uki::counterpart(copy))
}

/// How the target's loader can start the passthrough entry once; an error says why it cannot.
pub fn once(target: &Target, running: &Running) -> Result<Once, String> {
    let here = ALL.iter().copied().filter(|loader| loader.detect(target).is_some());
    let (with_entries, without): (Vec<&dyn Bootloader>, _) =
        here.partition(|loader| loader.has_entries(target));
    let here = if with_entries.is_empty() { without } else { with_entries };
    match here.as_slice() {
        [loader] if foreign::detect(target).is_empty() => loader.once(target, running),
        [] => Err("no boot loader is known here".to_owned()),
        _ => Err("there are several boot loaders, and only one of them would know".to_owned()),
    }
}

/// The same, for an entry that was found before.
pub fn once_for(loader: &str, entry: &str) -> Option<Once> {
    ALL.iter().find(|known| known.name() == loader)?.once_for(entry)
}

/// Whether a file was written for the host's way back and for nothing else.
pub fn is_for_host(path: &TargetPath) -> bool {
    let name = path.file_name();
    name.contains(host_entry::NAME)
        || name == "99_neuron_host"
        || name == "loader.conf"
        || path.as_str().starts_with("/etc/neuron/host-")
}

/// The same, less what says which entry is the default.
pub fn is_host_entry(path: &TargetPath) -> bool {
    is_for_host(path) && path.file_name() != "loader.conf"
}

/// A known loader that has no file which its command line could be set in, while another one has.
pub fn left_alone(loader: &dyn Bootloader, target: &Target, parameters: &[String]) -> Finding {
    let (name, saw) = (loader.name(), loader.detect(target).unwrap_or_default());
    Finding::new(
        Code::OtherLoader,
        Severity::Warning,
        format!("{name} has no entry of this system whose kernel command line could be set ({saw})"),
        format!("if {name} boots this system, add to its command line by hand: {}", parameters.join(" ")),
    )
}

/// A known loader is there, but no file that its command line could be set in.
pub fn nothing_to_edit(parameters: &[String]) -> Finding {
    Finding::new(
        Code::LoaderUnknown,
        Severity::Blocker,
        "the boot loader has no entry of this system whose kernel command line could be set",
        format!("add this to the kernel command line by hand: {}", parameters.join(" ")),
    )
}

/// Whether an edited command line still says where the root is.
fn keeps_root(path: &TargetPath, before: &str, after: &str) -> Result<(), LoaderError> {
    let kept = command_line::root_tokens(after);
    match command_line::root_tokens(before).into_iter().find(|token| !kept.contains(token)) {
        None => Ok(()),
        Some(token) => Err(LoaderError::LosesRoot { path: path.clone(), token: token.to_owned() }),
    }
}

/// What is wrong where entries start a kernel that an update took away, and what to do.
pub fn left_behind(target: &Target) -> Option<(String, String)> {
    let entries = systemd_boot::left_behind(target);
    let (path, version) = entries.first()?;
    let why = format!(
        "{path} starts the kernel {version}, whose modules are gone: nothing ran kernel-install when the kernel \
         was updated"
    );
    let here = target
        .kernels
        .iter()
        .map(|kernel| format!("`kernel-install add {0} /usr/lib/modules/{0}/vmlinuz`", kernel.release));
    let hint = format!(
        "run {} as root before you reboot; the package neuron-kernel-install does that for every update",
        here.collect::<Vec<_>>().join(" and ")
    );
    Some((why, hint))
}

pub(crate) const KERNEL_CMDLINE: &str = "/etc/kernel/cmdline";

/// The step that sets the parameters in `/etc/kernel/cmdline`, where the target has that.
fn kernel_cmdline_step(target: &Target, parameters: &Parameters) -> Result<Option<Step>, LoaderError> {
    let (Ok(path), Some(text)) = (KERNEL_CMDLINE.parse::<TargetPath>(), target.text(KERNEL_CMDLINE)) else {
        return Ok(None);
    };
    let unusable = |problem: TextError| LoaderError::Unusable { path: path.clone(), problem };
    let kept = kernel_cmdline::remove_parameters(text, &parameters.remove);
    let after = kernel_cmdline::set_parameters(&kept, &parameters.set).map_err(unusable)?;
    keeps_root(&path, &kernel_cmdline::command_line(text), &kernel_cmdline::command_line(&after))?;
    Ok(Some(Step::write(
        "kernel-cmdline",
        "Set the kernel parameters for entries to come",
        "the entries of new kernels are made from this file",
        path.clone(),
        target.state(&path),
        after,
    )))
}
