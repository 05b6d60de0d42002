//! Entries of systemd-boot that kernel-install makes, and takes away with the kernel that they start.
//!
//! An update of the kernel is nobody's change to a set-up: an entry that went with its kernel is gone
//! rightly, and one that was made anew holds as long as it says the same to the kernel. (kernel-install
//! puts what stands in `/etc/kernel/cmdline` elsewhere in the line, and its own version into a comment.)

use super::ProvisionError;
use crate::apply::{Applied, ChangedFile, RunResult, Runner, View};
use crate::bootloader::KERNEL_CMDLINE;
use crate::facts::target::{BOOT_MOUNTS, is_entry};
use crate::facts::{Machine, Target};
use crate::id::TargetPath;
use crate::initramfs;
use crate::plan::KERNEL_INSTALL as PROGRAM;
use crate::root::{ReadError, Root};
use crate::step::{Action, FileState};
use crate::text::loader_entry::Entry;

/// Where the set-up stands, without what kernel-install did since.
pub(super) fn settled(target: &Root, view: &View<'_>) -> Result<Applied, ProvisionError> {
    let mut applied = view.status()?;
    for path in std::mem::take(&mut applied.drifted) {
        match since(target, view, &path) {
            Ok(Since::Gone) => applied.files.retain(|file| file.path != path),
            Ok(Since::TheSame) => {}
            Ok(Since::Other) => applied.drifted.push(path),
            // What we wrote is kept for root's eyes only.
            Err(ProvisionError::Apply(error)) if error.is_for_lack_of_rights() => applied.unseen.push(path),
            Err(error) => return Err(error),
        }
    }
    Ok(applied)
}

/// What became of an entry that is not what we wrote.
enum Since {
    /// It went with its kernel.
    Gone,
    /// It was made anew and says the same.
    TheSame,
    /// Something else.
    Other,
}

fn since(target: &Root, view: &View<'_>, path: &TargetPath) -> Result<Since, ProvisionError> {
    if !is_entry(path) {
        return Ok(Since::Other);
    }
    let written = view.written(path)?;
    let Some(written) = written.as_ref().and_then(FileState::text) else { return Ok(Since::Other) };
    Ok(match target.file_state(path.as_str())? {
        FileState::Absent if went_with_its_kernel(target, written)? => Since::Gone,
        present if present.text().is_some_and(|present| says_the_same(written, present)) => Since::TheSame,
        _ => Since::Other,
    })
}

/// Whether a file is away because kernel-install took it away: there is nothing to restore then.
pub(super) fn is_moot(target: &Root, file: &ChangedFile) -> bool {
    let is_gone = |text: &str| went_with_its_kernel(target, text).unwrap_or(false);
    file.present == FileState::Absent && is_entry(&file.path) && file.written.text().is_some_and(is_gone)
}

/// Whether an entry was made for one version of a kernel, and that version is gone.
fn went_with_its_kernel(target: &Root, text: &str) -> Result<bool, ReadError> {
    let entry = Entry::parse(text);
    let (Some(_), Some(version)) = (entry.machine_id(), entry.value("version")) else { return Ok(false) };
    for kernel in [format!("/usr/lib/modules/{version}/vmlinuz"), format!("/boot/vmlinuz-{version}")] {
        if target.exists(&kernel)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether two entries of one machine start the same files with the same parameters.
fn says_the_same(written: &str, present: &str) -> bool {
    let (written, present) = (Entry::parse(written), Entry::parse(present));
    let parameters = |entry: &Entry<'_>| {
        let options = entry.options();
        let mut words: Vec<String> = options.split_whitespace().map(str::to_owned).collect();
        words.sort_unstable();
        words
    };
    written.machine_id().is_some()
        && written.machine_id() == present.machine_id()
        && written.value("version") == present.value("version")
        && (written.linux(), written.initrds()) == (present.linux(), present.initrds())
        && parameters(&written) == parameters(&present)
}

/// Runs, in place of a build for a kernel that is gone, the builds for those that are there; and of the presets
/// those whose kernels are there when it runs.
pub(super) struct ForTheKernelsOfToday<'a> {
    runner: &'a mut dyn Runner,
    target: &'a Root,
    facts: Option<Machine>,
    kernels: Vec<String>,
    builds: Vec<Vec<String>>,
    ran: Vec<Vec<String>>,
    /// What ran in place of the presets, and may be asked for next.
    ahead: Vec<Vec<String>>,
}

impl<'a> ForTheKernelsOfToday<'a> {
    /// A target that cannot be read whole is no reason not to go back: what was recorded runs then.
    pub(super) fn new(machine: &Root, target: &'a Root, runner: &'a mut dyn Runner) -> Self {
        let facts = known(Machine::read(machine));
        let read = facts.as_ref().and_then(|facts| known(Target::read(target, facts)));
        let (kernels, builds) = read.map(|target| (releases(&target), builds(&target))).unwrap_or_default();
        Self { runner, target, facts, kernels, builds, ran: Vec::new(), ahead: Vec::new() }
    }

    fn is_for_a_kernel_that_is_gone(&self, argv: &[String]) -> bool {
        initramfs::kernel_of(argv).is_some_and(|release| !self.kernels.iter().any(|here| here == release))
    }

    /// Runs what does this build's work today.
    fn run_today(&mut self, argv: &[String]) -> RunResult {
        if !initramfs::is_of_presets(argv) {
            return self.runner.run(argv);
        }
        let facts = self.facts.as_ref();
        let Some(target) = facts.and_then(|facts| known(Target::read(self.target, facts))) else {
            return self.runner.run(argv);
        };
        if let Some(build) = initramfs::of_presets(&target) {
            return self.runner.run(&build);
        }
        let mut others = self.builds.clone();
        others.retain(|build| !initramfs::is_of_presets(build));
        if others.is_empty() {
            // Nothing else builds an image: mkinitcpio itself says what is missing.
            return self.runner.run(argv);
        }
        self.ahead.clear();
        for build in others {
            match self.runner.run(&build) {
                RunResult::Done => {
                    self.ran.push(build.clone());
                    self.ahead.push(build);
                }
                result => return result,
            }
        }
        RunResult::Done
    }
}

impl ForTheKernelsOfToday<'_> {
    /// Whether an entry is to be made of a kernel that is gone: it went with that.
    fn is_moot_entry(&self, argv: &[String]) -> bool {
        let [program, verb, _, kernel] = argv else { return false };
        (program.as_str(), verb.as_str()) == (PROGRAM, "add")
            && matches!(self.target.exists(kernel), Ok(false))
    }
}

impl Runner for ForTheKernelsOfToday<'_> {
    fn run(&mut self, argv: &[String]) -> RunResult {
        if self.is_moot_entry(argv) {
            return RunResult::Done;
        }
        if let Some(at) = self.ahead.iter().position(|build| build == argv) {
            self.ahead.swap_remove(at);
            return RunResult::Done;
        }
        if self.builds.is_empty() || !self.is_for_a_kernel_that_is_gone(argv) {
            self.ran.push(argv.to_vec());
            return self.run_today(argv);
        }
        for build in self.builds.clone() {
            if self.ran.contains(&build) {
                continue;
            }
            let result = self.run_today(&build);
            if !matches!(result, RunResult::Done) {
                return result;
            }
            self.ran.push(build);
        }
        RunResult::Done
    }
}

/// What was read; where it could not be, that is told.
fn known<T, E: std::fmt::Display>(read: Result<T, E>) -> Option<T> {
    read.inspect_err(|error| tracing::warn!("which kernels are there is not known: {error}")).ok()
}

fn releases(target: &Target) -> Vec<String> {
    target.kernels.iter().map(|kernel| kernel.release.clone()).collect()
}

fn builds(target: &Target) -> Vec<Vec<String>> {
    let Ok(generator) = initramfs::active(target) else { return Vec::new() };
    let steps = generator.rebuild(target).into_iter();
    steps
        .filter_map(|step| match step.action {
            Action::Rebuild { argv, .. } => Some(argv),
            _ => None,
        })
        .collect()
}

/// What makes the entries anew that were made since, out of an `/etc/kernel/cmdline` that held our
/// parameters: they are no files of ours, and the parameters would stay in them.
pub(super) fn makes_anew(target: &Root, applied: &Applied) -> Result<Vec<Vec<String>>, ProvisionError> {
    let mut files = applied.files.iter();
    // Taken back it may be already: where an image has to be built first, entries wait for the next run.
    let was_ours = files.any(|file| file.path.as_str() == KERNEL_CMDLINE);
    let is_ours =
        |path: &str| applied.files.iter().any(|file| file.path.as_str() == path && !file.is_taken_back);
    let mut found = Vec::new();
    if !was_ours || !target.exists(&format!("/usr/bin/{PROGRAM}"))? {
        return Ok(found);
    }
    let machine = target.file_state("/etc/machine-id")?;
    for mount in BOOT_MOUNTS {
        let folder = format!("{mount}/loader/entries");
        for name in target.list(&folder)?.unwrap_or_default() {
            let path = format!("{folder}/{name}");
            if !name.to_ascii_lowercase().ends_with(".conf") {
                continue;
            }
            // One that cannot be read is no reason not to go back.
            let state = match target.file_state(&path) {
                Ok(state) => state,
                Err(error) => {
                    tracing::warn!("{path} is not looked at: {error}");
                    continue;
                }
            };
            let entry = Entry::parse(state.text().unwrap_or_default());
            let (Some(made_for), Some(version)) = (entry.machine_id(), entry.value("version")) else {
                continue;
            };
            let kernel = format!("/usr/lib/modules/{version}/vmlinuz");
            let options = entry.options();
            let has_ours =
                options.split_whitespace().any(|word| applied.tokens.iter().any(|ours| ours == word));
            let is_of_this_system = machine.text().is_some_and(|text| text.trim() == made_for);
            if has_ours && is_of_this_system && !is_ours(&path) && target.exists(&kernel)? {
                found.push([PROGRAM, "add", version, &kernel].map(str::to_owned).to_vec());
            }
        }
    }
    Ok(found)
}
