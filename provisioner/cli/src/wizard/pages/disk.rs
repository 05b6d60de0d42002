//! The virtual machine's disk, and what it is installed from.

use neuron_passthrough::answers::{Disk, Vm, VmKind};

use super::{Step, Taken, has_machine, whole};
use crate::wizard::{Answer, Draft, Found, Question, Seen};

/// The word for no file.
const NONE: &str = "none";
/// How large a disk is unless somebody says otherwise, in GiB.
const USUAL: u32 = 128;

pub(super) const STEPS: &[Step] = &[
    Step { id: "disk", applies: has_machine, ask: ask_disk, take: take_disk },
    Step {
        id: "disk-size",
        applies: |seen, draft| has_machine(seen, draft) && is_made(seen, draft),
        ask: |_, draft| {
            let size = draft.vm().and_then(|vm| vm.disk.as_ref()).map_or(USUAL, |disk| disk.size_gib);
            Question::line("Its size in GiB", size.to_string())
                .text("The file grows as it is filled. Windows 11 asks for 64 GiB at least; games want more.")
        },
        take: |_, draft, answer| {
            let size = u32::try_from(whole(answer.line(), 1, 65_536)?).unwrap_or(USUAL);
            if let Some(disk) = draft.vm_mut().and_then(|vm| vm.disk.as_mut()) {
                disk.size_gib = size;
            }
            Ok(Taken::Next)
        },
    },
    Step {
        id: "install-iso",
        applies: has_machine,
        ask: |seen, draft| {
            let is_windows = draft.vm().is_some_and(|vm| vm.kind != VmKind::Linux);
            let found =
                medium(seen, |name| !name.contains("virtio") && (!is_windows || name.contains("win")));
            let about = if is_windows {
                "The ISO file of Windows, as Microsoft offers it for download."
            } else {
                "The ISO file of the distribution."
            };
            Question::line(
                "The ISO file to install from",
                proposed(draft, "install-iso", found, |vm| &vm.install_iso),
            )
            .text(format!("{about} \"none\" leaves it open; it can be named later."))
        },
        take: |seen, draft, answer| {
            let path = file(seen, answer.line())?;
            draft.leave_open("install-iso", path.is_empty());
            if let Some(vm) = draft.vm_mut() {
                vm.install_iso = path;
            }
            Ok(Taken::Next)
        },
    },
    Step {
        id: "virtio-iso",
        applies: |seen, draft| {
            has_machine(seen, draft) && draft.vm().is_some_and(|vm| vm.kind != VmKind::Linux)
        },
        ask: |seen, draft| {
            let found = medium(seen, |name| name.contains("virtio"));
            Question::line(
                "The ISO file with the VirtIO drivers",
                proposed(draft, "virtio-iso", found, |vm| &vm.virtio_iso),
            )
            .text(
                "Windows sees its disk only with these drivers: virtio-win.iso of the Fedora project, or of \
                     the package virtio-win. \"none\" leaves it open.",
            )
        },
        take: |seen, draft, answer| {
            let path = file(seen, answer.line())?;
            draft.leave_open("virtio-iso", path.is_empty());
            if let Some(vm) = draft.vm_mut() {
                vm.virtio_iso = path;
            }
            Ok(Taken::Next)
        },
    },
];

fn ask_disk(_: &Seen<'_>, draft: &Draft) -> Question {
    let usual = || format!("/var/lib/libvirt/images/{}.qcow2", draft.name.clone().unwrap_or_default());
    let now = draft.vm().and_then(|vm| vm.disk.as_ref()).map(|disk| disk.path.clone());
    Question::line("The file of its disk", now.unwrap_or_else(usual)).text(
        "A file that is there already is used as it is. One that is not is made when the machine is defined.",
    )
}

fn take_disk(seen: &Seen<'_>, draft: &mut Draft, answer: &Answer) -> Result<Taken, String> {
    let path = answer.line();
    absolute(path)?;
    if path.starts_with("/dev/") || path.ends_with('/') {
        return Err(format!("`{path}` is no file, and only image files are supported"));
    }
    if seen.files.look(path)? == Found::Other {
        return Err(format!("`{path}` is there, and it is no file"));
    }
    if let Some(vm) = draft.vm_mut() {
        let size_gib = vm.disk.as_ref().map_or(USUAL, |disk| disk.size_gib);
        vm.disk = Some(Disk { path: path.to_owned(), size_gib });
    }
    Ok(Taken::Next)
}

/// Whether the disk has to be made, so that its size counts.
fn is_made(seen: &Seen<'_>, draft: &Draft) -> bool {
    let disk = draft.vm().and_then(|vm| vm.disk.as_ref());
    disk.is_some_and(|disk| !matches!(seen.files.look(&disk.path), Ok(Found::File)))
}

/// A medium that was found, by its name in lower case.
fn medium(seen: &Seen<'_>, is_it: impl Fn(&str) -> bool) -> Option<String> {
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    seen.media.iter().find(|path| is_it(&name(path))).cloned()
}

fn proposed(draft: &Draft, step: &str, found: Option<String>, of: fn(&Vm) -> &String) -> String {
    let now = draft.vm().map(of).filter(|path| !path.is_empty()).cloned();
    now.or(found.filter(|_| !draft.left_open.contains(step))).unwrap_or_else(|| NONE.to_owned())
}

/// A file that has to be there; empty for none.
fn file(seen: &Seen<'_>, path: &str) -> Result<String, String> {
    if path == NONE {
        return Ok(String::new());
    }
    absolute(path)?;
    match seen.files.look(path)? {
        Found::File => Ok(path.to_owned()),
        Found::Nothing => Err(format!("there is no file `{path}`; \"{NONE}\" leaves it open")),
        Found::Other => Err(format!("`{path}` is no file; \"{NONE}\" leaves it open")),
    }
}

fn absolute(path: &str) -> Result<(), String> {
    let is_odd = path.chars().any(char::is_control) || path.split('/').any(|part| part == "..");
    if path.starts_with('/') && !is_odd {
        return Ok(());
    }
    Err(format!("`{}` is no whole path: it begins with / and has no `..`", path.escape_debug()))
}
