//! Host entries of systemd-boot: one beside the entry of every kernel, behind all others in the menu.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{entries, is_this_system};
use crate::bootloader::host_entry::{self, HostEntry};
use crate::bootloader::kept::{self, Kept};
use crate::bootloader::{LoaderError, keeps_root};
use crate::facts::Target;
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Severity};
use crate::step::{FileState, Step, file_head};
use crate::text::mkinitcpio_conf::version_order;
use crate::text::{loader_conf, loader_entry};

/// How our files begin. Entries without a sort key stand in the order of their names, the last one
/// first, and the first one boots when nothing else is said; machine ids (which begin the names of
/// kernel-install's entries) come with sort keys.
const PREFIX: &str = "aa-neuron-host-";

/// Whether a file is a host entry of ours.
pub(super) fn is_ours(path: &TargetPath) -> bool {
    is_host_entry(path.file_name())
}

/// Whether an entry of this name is one.
pub(super) fn is_host_entry(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// The steps that write the host entries and say which entry is the default.
pub(super) fn steps(target: &Target, host: &HostEntry) -> Result<Vec<Step>, LoaderError> {
    let mut steps = Vec::new();
    let twins = twins(target);
    for (path, text) in &twins {
        let kept = kept(target, host, path, text);
        let entry = entry(target, path, text, host, &kept)?;
        // What is started comes before who starts it.
        steps.extend(kept.steps);
        steps.extend(entry);
    }
    if let Some((path, text)) = twins.first().filter(|_| host.is_default)
        && let Some(twin) = twin(path, text)
    {
        steps.push(default_entry(target, &twin)?);
    }
    Ok(steps)
}

/// The entries that get a twin: one for every kernel; of kernel-install's, which come and go with
/// the versions of one kernel, that of the newest.
pub(super) fn twins(target: &Target) -> Vec<(&TargetPath, &str)> {
    let mut by_kernel: BTreeMap<String, (&TargetPath, &str)> = BTreeMap::new();
    for (path, _, text) in entries(target).filter(|(.., text)| is_this_system(target, text)) {
        let parsed = loader_entry::Entry::parse(text);
        let kernel = match (parsed.machine_id(), parsed.linux()) {
            (Some(machine), _) => format!("{}{machine}", path.parent()),
            (None, Some(linux)) => format!("{}{}", path.parent(), linux.trim_start_matches('/')),
            (None, None) => continue,
        };
        let is_versioned = parsed.machine_id().is_some();
        let better = |(other, _): &(&TargetPath, &str)| {
            let (new, old) = (path.file_name(), other.file_name());
            // `arch.conf` rather than `arch-fallback.conf`.
            if is_versioned { version_order(old, new).is_lt() } else { new.len() < old.len() }
        };
        if by_kernel.get(&kernel).is_none_or(better) {
            by_kernel.insert(kernel, (path, text));
        }
    }
    by_kernel.into_values().collect()
}

/// Where the twin of an entry stands. One that is made for a version of a kernel has a twin without.
fn twin(path: &TargetPath, text: &str) -> Option<TargetPath> {
    // systemd-boot cuts off what it counts boots with.
    let stem = path.file_name().rsplit_once('.').map_or(path.file_name(), |(stem, _)| stem);
    let stem = stem.split('+').next().unwrap_or(stem);
    let stem = loader_entry::Entry::parse(text).machine_id().unwrap_or(stem);
    format!("{}/{PREFIX}{stem}.conf", path.parent()).parse().ok()
}

fn entry(
    target: &Target,
    path: &TargetPath,
    text: &str,
    host: &HostEntry,
    kept: &Kept,
) -> Result<Option<Step>, LoaderError> {
    let Some(twin) = twin(path, text) else { return Ok(None) };
    let parsed = loader_entry::Entry::parse(text);
    let options = host.line(&parsed.options(), path);
    keeps_root(path, &parsed.options(), &options)?;
    let mut body = file_head("an entry without GPU passthrough.");
    let title = parsed.title().unwrap_or_else(|| path.file_name().trim_end_matches(".conf"));
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(body, "title {}", host_entry::title(title));
    for (key, value) in parsed.pairs() {
        match key {
            // Whoever takes away what a machine id or a token made must not take this one.
            "title" | "options" | "machine-id" => {}
            "sort-key" => {
                let _ = writeln!(body, "sort-key {value}-{}", host_entry::NAME);
            }
            "linux" | "initrd" => {
                let mount = mount(path);
                let file = format!("{mount}/{}", value.trim_start_matches('/'));
                let path = kept.path(&file);
                let _ = writeln!(body, "{key} {}", path.strip_prefix(mount).unwrap_or(path));
            }
            _ => {
                let _ = writeln!(body, "{key} {value}");
            }
        }
    }
    let _ = writeln!(body, "options {options}");
    let before = target.state(&twin).clone();
    let id = format!("host-{}", twin.file_name());
    Ok(Some(host_entry::step(&id, twin, &before, body)))
}

/// Where the partition of an entry is mounted.
fn mount(path: &TargetPath) -> &str {
    path.parent().strip_suffix("/loader/entries").unwrap_or_default()
}

/// The kernel and the images that an entry starts.
fn files(path: &TargetPath, text: &str) -> Vec<String> {
    let entry = loader_entry::Entry::parse(text);
    let named = entry.linux().into_iter().chain(entry.initrds());
    named.map(|file| format!("{}/{}", mount(path), file.trim_start_matches('/'))).collect()
}

/// The copies that the twin of an entry starts.
fn kept(target: &Target, host: &HostEntry, path: &TargetPath, text: &str) -> Kept {
    kept::keep(target, host, mount(path), &files(path, text))
}

/// The host entries that would start nothing, each with a file that is not there.
pub(in crate::bootloader) fn dead(target: &Target) -> impl Iterator<Item = (&TargetPath, String)> {
    let ours = entries(target).filter(|(path, ..)| is_ours(path));
    ours.filter_map(|(path, _, text)| {
        let gone = files(path, text).into_iter().find(|file| !target.boot_files.contains_key(file))?;
        Some((path, gone))
    })
}

/// The `loader.conf` that systemd-boot reads: of the ESP, also where the entries are elsewhere. None where
/// the ESP cannot be told.
pub(super) fn configuration(target: &Target) -> Option<TargetPath> {
    let mut with_program = target.boot_mounts.iter().filter(|mount| mount.has_program);
    let esp = with_program.next().filter(|_| with_program.next().is_none())?;
    format!("{}/loader/loader.conf", esp.path).parse().ok()
}

/// The step that makes a host entry the default.
fn default_entry(target: &Target, twin: &TargetPath) -> Result<Step, LoaderError> {
    default_step(target, twin.file_name()).ok_or_else(|| LoaderError::ByHand {
        path: twin.to_string(),
        why: "it cannot be made the default: systemd-boot's program (EFI/systemd) lies in none of the boot \
              partitions that are mounted, or in several, so which loader.conf it reads is not known"
            .to_owned(),
        what: format!(
            "mount the ESP at /efi or /boot and try again; or write `default {}` into loader/loader.conf of the \
             ESP by hand, and leave default_entry out",
            twin.file_name()
        ),
    })
}

/// The step that makes an entry the default: its name, or a pattern of which the first one in the menu is
/// taken. None where it is not known which `loader.conf` is read.
pub(in crate::bootloader) fn default_step(target: &Target, entry: &str) -> Option<Step> {
    let conf = configuration(target)?;
    let before = target.state(&conf);
    let text = loader_conf::set_default(before.text().unwrap_or_default(), entry);
    Some(Step::write(
        "host-default",
        "Make the entry without passthrough the default",
        "the answers want it so, or passthrough is on trial",
        conf.clone(),
        before,
        text,
    ))
}

/// A menu that is never shown hides the way back.
pub(super) fn hidden_menu(target: &Target) -> Option<Finding> {
    let path = configuration(target)?;
    let text = match target.state(&path) {
        FileState::Absent => "",
        state => state.text()?,
    };
    loader_conf::hides_menu(text).then(|| {
        Finding::new(
            Code::MenuHidden,
            Severity::Info,
            "systemd-boot's menu is not shown at boot, and the entry without passthrough is in it",
            format!("to see it, hold Space while the machine starts; or set `timeout 3` in {path}"),
        )
        .in_file(path.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twin_stands_beside_its_entry() {
        for (path, text, wanted) in [
            ("/boot/loader/entries/arch.conf", "", "/boot/loader/entries/aa-neuron-host-arch.conf"),
            ("/efi/loader/entries/a.b+3-1.CONF", "", "/efi/loader/entries/aa-neuron-host-a.b.conf"),
            (
                "/efi/loader/entries/f0-6.1.conf",
                "machine-id f0\n",
                "/efi/loader/entries/aa-neuron-host-f0.conf",
            ),
        ] {
            assert_eq!(twin(&path.parse().unwrap(), text).unwrap().as_str(), wanted);
        }
    }
}
