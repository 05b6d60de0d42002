//! The files that make the memory at every boot.

use std::fmt::Write as _;

use super::{GROUP, Means, Wanted};
use crate::facts::Target;
use crate::facts::target::QEMU_CONF;
use crate::guest::groups::{self, SYSUSERS};
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Severity};
use crate::step::{FileState, Step, file_head};
use crate::text::{TextError, qemu_conf};

/// What makes the files at every boot.
pub const TMPFILES: &str = "/etc/tmpfiles.d/10-looking-glass.conf";
/// How large the module's devices are.
pub const KVMFR_OPTIONS: &str = "/etc/modprobe.d/kvmfr.conf";
/// What loads the module at every boot.
pub(super) const KVMFR_LOAD: &str = "/etc/modules-load.d/kvmfr.conf";
/// Who may open the module's devices.
pub const UDEV_RULE: &str = "/etc/udev/rules.d/70-kvmfr.rules";
/// Where the client finds the memory.
pub const CLIENT_INI: &str = "/etc/looking-glass-client.ini";

/// Files that are written whole.
pub const WHOLE: [&str; 6] = [TMPFILES, KVMFR_OPTIONS, KVMFR_LOAD, UDEV_RULE, SYSUSERS, CLIENT_INI];

/// Whether a file is one of those that are written here.
pub fn is_own(path: &str) -> bool {
    path == QEMU_CONF || WHOLE.contains(&path)
}

/// The steps that write what is wanted. `original` is what libvirt's configuration was before us, where
/// it is ours. An error names the file that cannot be edited.
pub fn steps(
    wanted: &Wanted,
    target: &Target,
    original: Option<&str>,
) -> Result<Vec<Step>, (TargetPath, TextError)> {
    let mut steps = Vec::new();
    let mut write = |id: &str, title: &str, because: &str, path: &str, text: String| {
        if let Ok(path) = path.parse::<TargetPath>() {
            let before = target.state(&path).clone();
            steps.push(Step::write(id, title, because, path, &before, text));
        }
    };
    match wanted.means {
        Means::File => write(
            "looking-glass-memory",
            "Make Looking Glass's memory at every boot",
            "QEMU would make the file as its own, and the user could not write to it",
            TMPFILES,
            tmpfiles(wanted),
        ),
        Means::Kvmfr => {
            write(
                "kvmfr-options",
                "Say how large Looking Glass's memory is",
                "the module kvmfr makes one device for each size that it is given",
                KVMFR_OPTIONS,
                options(wanted),
            );
            write(
                "kvmfr-load",
                "Load kvmfr at every boot",
                "started before the module, QEMU would put a plain file in the device's place",
                KVMFR_LOAD,
                file_head("the module with Looking Glass's memory.") + "kvmfr\n",
            );
            write(
                "kvmfr-rule",
                "Let QEMU and who sits here open Looking Glass's memory",
                "the module's devices are root's alone otherwise",
                UDEV_RULE,
                rule(),
            );
            if let Some((path, text)) = qemu_conf(target) {
                let text = allowed(wanted, text, original).map_err(|error| (path, error))?;
                write(
                    "libvirt-devices",
                    "Let libvirt's machines open Looking Glass's memory",
                    "libvirt shows QEMU no devices but those in this list",
                    QEMU_CONF,
                    text,
                );
            }
        }
    }
    if let Some(text) = client_ini(wanted, target) {
        write(
            "looking-glass-client",
            "Tell the Looking Glass client where its memory is",
            "then `looking-glass-client` alone finds it",
            CLIENT_INI,
            text,
        );
    }
    steps.extend(groups::step(wanted, target));
    Ok(steps)
}

fn qemu_conf(target: &Target) -> Option<(TargetPath, &str)> {
    Some((QEMU_CONF.parse().ok()?, target.text(QEMU_CONF)?))
}

/// `f` makes a file that is not there, and sets owner and mode of one that is; `f+` would empty one that
/// a virtual machine uses. Without a size: QEMU makes the file as large as the domain says.
fn tmpfiles(wanted: &Wanted) -> String {
    let mut text = file_head("the memory that brings the guest's picture to the host.");
    for memory in &wanted.memories {
        let _ = writeln!(text, "f {} 0660 {} {GROUP} -", memory.path, wanted.owner());
    }
    text
}

fn options(wanted: &Wanted) -> String {
    let sizes: Vec<String> = wanted.memories.iter().map(|_| wanted.mib.to_string()).collect();
    let head = file_head("how large Looking Glass's memory is, in MiB.");
    format!("{head}options kvmfr static_size_mb={}\n", sizes.join(","))
}

/// Its name sorts before 73-seat-late, which gives what is tagged to who sits at the machine.
fn rule() -> String {
    let head = file_head("who may open Looking Glass's memory.");
    format!("{head}SUBSYSTEM==\"kvmfr\", GROUP=\"{GROUP}\", MODE=\"0660\", TAG+=\"uaccess\"\n")
}

fn allowed(wanted: &Wanted, text: &str, original: Option<&str>) -> Result<String, TextError> {
    let bare = match original {
        Some(original) => without_ours(text, original)?,
        None => text.to_owned(),
    };
    let devices: Vec<&str> = wanted.memories.iter().map(|memory| memory.path.as_str()).collect();
    qemu_conf::allow(&bare, &devices)
}

/// libvirt's configuration without the devices that we let it open.
pub fn without_ours(text: &str, original: &str) -> Result<String, TextError> {
    let listed = |text: &str| Ok(qemu_conf::devices(text)?.unwrap_or_default());
    let before = listed(original)?;
    let ours = |device: &&String| device.starts_with("/dev/kvmfr") && !before.contains(device);
    let now = listed(text)?;
    qemu_conf::disallow(text, &now.iter().filter(ours).map(String::as_str).collect::<Vec<_>>())
}

/// The client's configuration. One that somebody else wrote is theirs; with several memories there is
/// none that it could name for all.
fn client_ini(wanted: &Wanted, target: &Target) -> Option<String> {
    let state = target.state(&CLIENT_INI.parse().ok()?);
    let [memory] = wanted.memories.as_slice() else { return None };
    let is_free = *state == FileState::Absent || state.text().is_some_and(is_ours_by_head);
    is_free.then(|| format!("{}[app]\nshmFile={}\n", client_head(), memory.path))
}

/// The head of the client's configuration, in which `;` begins a comment.
fn client_head() -> String {
    file_head("where the Looking Glass client finds the guest's picture.").replace("# ", "; ")
}

/// Whether the client's configuration says that we wrote it.
pub fn is_ours_by_head(text: &str) -> bool {
    text.starts_with("; Written by neuron-provisioner:")
}

/// The client's configuration without our head: whoever edited it made it theirs.
pub fn without_head(text: &str) -> String {
    text.strip_prefix(&client_head()).unwrap_or(text).to_owned()
}

/// Rules of others about the same files that systemd follows instead of ours: of several it takes the
/// one whose file's name sorts first.
pub(super) fn elsewhere(wanted: &Wanted, target: &Target) -> Vec<Finding> {
    let others = target.in_directory("/etc/tmpfiles.d").filter(|(path, _)| path.as_str() < TMPFILES);
    let names = |line: &str| {
        let path = line.split_whitespace().nth(1);
        path.is_some_and(|path| wanted.memories.iter().any(|memory| memory.path == path))
    };
    others
        .filter(|(_, state)| state.text().is_some_and(|text| text.lines().any(names)))
        .map(|(path, _)| {
            Finding::new(
                Code::TargetConflict,
                Severity::Warning,
                format!("{path} has a rule of its own for Looking Glass's memory, and systemd follows that"),
                format!("take the line out of {path}"),
            )
            .in_file(path.as_str())
        })
        .collect()
}
