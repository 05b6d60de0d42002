//! GRUB: `/etc/default/grub`, then `grub-mkconfig`.

use std::fmt::Write as _;

use super::host_entry::{self, HostEntry};
use super::kept::{self, Kept};
use super::{Bootloader, CommandLine, LoaderError, Once, Parameters, grub_once, keeps_root};
use crate::facts::target::KEPT;
use crate::facts::{Running, Target};
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Severity};
use crate::step::{Action, FileState, Step, file_head};
use crate::text::{TextError, command_line, grub_default};

pub(super) const DEFAULTS: &str = "/etc/default/grub";
/// Read behind the defaults, in the order of their names, where the target's grub-mkconfig does so.
const DROP_INS: &str = "/etc/default/grub.d";
const DROP_IN: &str = "/etc/default/grub.d/95-neuron-vfio.cfg";
/// grub-mkconfig runs what lies there in the order of the names. Behind all others: a `GRUB_DEFAULT` that
/// is a number counts entries, and must go on to mean what it meant.
const HOST_SCRIPT: &str = "/etc/grub.d/99_neuron_host";
const LINUX_SCRIPT: &str = "/etc/grub.d/10_linux";
const TITLE: &str = "Set the kernel parameters for GRUB";
/// Made when GRUB is installed; without it no menu can be written.
const FOLDER: &str = "/boot/grub";
const GENERATED: &str = "/boot/grub/grub.cfg";

/// GRUB 2.
pub(super) struct Grub;

impl Bootloader for Grub {
    fn name(&self) -> &'static str {
        grub_once::LOADER
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
        let after = with_default_entry(target, &path, after, parameters.host.as_ref())?;
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
        if let Some(host) = parameters.host.as_ref().filter(|_| self.rebuild(target).is_some()) {
            let kept = kept_of_kernels(target, host);
            let script = host_script(target, &path, host, &drop_ins, &kept)?;
            // What is started comes before who starts it.
            steps.extend(kept.into_iter().flat_map(|kept| kept.steps));
            steps.extend(script);
            if host.is_default {
                keeps_default_entry(&steps, &drop_ins)?;
            }
        }
        Ok(steps)
    }

    fn command_lines(&self, target: &Target) -> Vec<CommandLine> {
        let (Ok(path), Some(text)) = (DEFAULTS.parse::<TargetPath>(), target.text(DEFAULTS)) else {
            return Vec::new();
        };
        let drop_ins = drop_ins(target);
        let own: Option<TargetPath> = DROP_IN.parse().ok().filter(|_| target.grub_reads_drop_ins);
        let own = own.and_then(|path| Some((target.text(path.as_str())?, path)));
        // One that cannot be read keeps nobody from looking at the others.
        let line = sourced(text, &drop_ins, own.as_ref().map(|(text, _)| *text))
            .or_else(|_| sourced(text, &[], None))
            .unwrap_or_default();
        let others = drop_ins.iter().map(|(path, _)| *path).chain(own.iter().map(|(_, path)| path));
        CommandLine::of_files(std::iter::once(&path).chain(others), line).into_iter().collect()
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
                undo: Vec::new(),
            },
        })
    }

    fn is_made_from(&self, path: &str) -> bool {
        path == HOST_SCRIPT
    }

    fn once(&self, target: &Target, running: &Running) -> Result<Once, String> {
        grub_once::entry(target, running, &drop_ins(target)).map(grub_once::once)
    }

    fn once_for(&self, entry: &str) -> Option<Once> {
        Some(grub_once::once(entry))
    }

    fn findings(&self, target: &Target) -> Vec<Finding> {
        hidden_menu(target).into_iter().chain(saved_default(target)).collect()
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

/// The defaults with the host entry as the one that boots when nobody chooses, or without that.
fn with_default_entry(
    target: &Target,
    path: &TargetPath,
    text: String,
    host: Option<&HostEntry>,
) -> Result<String, LoaderError> {
    let unusable = |problem: TextError| LoaderError::Unusable { path: path.clone(), problem };
    let Some(host) = host else { return Ok(text) };
    if host.is_default {
        return grub_default::set_default_entry(&text, host_entry::NAME).map_err(unusable);
    }
    let original = host.originals.get(path).map(String::as_str).or_else(|| target.text(DEFAULTS));
    grub_default::unset_default_entry(&text, original.unwrap_or_default(), host_entry::NAME).map_err(unusable)
}

/// Refuses where a drop-in says otherwise, behind everything that we can write.
fn keeps_default_entry(steps: &[Step], drop_ins: &[(&TargetPath, &str)]) -> Result<(), LoaderError> {
    let defaults = steps.first().and_then(|step| step.action.after());
    let mut whole = defaults.as_ref().and_then(FileState::text).unwrap_or_default().to_owned();
    for (path, text) in drop_ins {
        whole.extend(["\n", text]);
        let entry = grub_default::default_entry(&whole)
            .map_err(|problem| LoaderError::Unusable { path: (*path).clone(), problem })?;
        if entry.known() != host_entry::NAME {
            return Err(LoaderError::ByHand {
                path: path.to_string(),
                why: format!(
                    "it sets GRUB_DEFAULT behind {DEFAULTS}, so the host entry would not be the default"
                ),
                what: format!("take GRUB_DEFAULT out of it, or set it to {}", host_entry::NAME),
            });
        }
    }
    Ok(())
}

/// The script that makes the second entry: the output of the distribution's own, with other titles,
/// names and command lines. So it follows whatever that one knows of roots and file systems.
fn host_script(
    target: &Target,
    defaults: &TargetPath,
    host: &HostEntry,
    drop_ins: &[(&TargetPath, &str)],
    kept: &[Kept],
) -> Result<Option<Step>, LoaderError> {
    if !target.has(LINUX_SCRIPT) {
        return Err(LoaderError::ByHand {
            path: LINUX_SCRIPT.to_owned(),
            why: "it is not there, so there can be no entry without passthrough in GRUB's menu".to_owned(),
            what: "install the distribution's package of GRUB anew; every menu entry for Linux is made by it"
                .to_owned(),
        });
    }
    let mut known = host.clone();
    // The script sees the menu as it will be: what is written now is in it already.
    known
        .originals
        .entry(defaults.clone())
        .or_insert_with(|| target.text(DEFAULTS).unwrap_or_default().to_owned());
    let others: String = drop_ins.iter().flat_map(|(_, text)| [*text, "\n"]).collect();
    let mut way_back = known.way_back(defaults);
    way_back.goes.retain(|token| {
        // What is wanted no more is out of the menu by the time the script sees it.
        host.wanted.contains(token) && !command_line::words(&others).any(|word| word == token)
    });
    let Ok(path) = HOST_SCRIPT.parse::<TargetPath>() else { return Ok(None) };
    let text = script(&way_back.goes, &way_back.returns, kept);
    let before = target.state(&path).clone();
    Ok(Some(host_entry::program("host-grub", path, &before, text)))
}

/// The text of the script. Parameters are plain words ([`command_line::check`]).
fn script(goes: &[String], returns: &[String], kept: &[Kept]) -> String {
    let pattern = |token: &str| token.replace('.', "\\.").replace('/', "\\/");
    let copies: String = kept.iter().map(|kept| copies(kept, &pattern)).collect();
    let mut removals = String::new();
    for token in goes.iter().map(|token| pattern(token)) {
        // Writing to a string cannot fail.
        let _ = writeln!(removals, "        s/ {token} / /; s/ {token} / /");
    }
    let added: Vec<String> = returns.iter().cloned().chain(host_entry::switches("")).collect();
    let added = added.join(" ").replace('/', "\\/");
    let head = file_head("an entry without GPU passthrough beside every entry for Linux in GRUB's menu.");
    format!(
        "#!/bin/sh\n{head}set -e\n\
         # The distribution's own script knows roots and file systems; its menu is repeated with other\n\
         # titles, names and command lines. It names an entry of its own only outside of a submenu.\n\
         GRUB_DISABLE_SUBMENU=false\n\
         export GRUB_DISABLE_SUBMENU\n\
         menu=$({LINUX_SCRIPT})\n\
         # Copies of what booted last take the place of what is built anew, while they are there.\n\
         copies=\n{copies}\
         printf '%s\\n' \"$menu\" | sed \\\n    \
         -e \"s/^\\([[:space:]]*menuentry '[^']*\\)'/\\1{title}'/\" \\\n    \
         -e \"s/^\\([[:space:]]*submenu '[^']*\\)'/\\1{title}'/\" \\\n    \
         -e \"s/'gnulinux-simple-[^']*'/'{name}'/; s/'gnulinux-/'{name}-/\" \\\n    \
         -e '/^[[:space:]]*linux/{{\n        s/$/ /\n{removals}        s/ *$/ {added}/\n    }}' \\\n    \
         -e \"$copies\"\n",
        title = host_entry::TITLE,
        name = host_entry::NAME,
    )
}

/// The lines of the script that use the copies of one kernel.
fn copies(kept: &Kept, pattern: &impl Fn(&str) -> String) -> String {
    let there: Vec<String> = kept.files().map(|(_, copy)| format!("[ -e {copy} ]")).collect();
    if there.is_empty() {
        return String::new();
    }
    let mut commands = String::new();
    for (file, copy) in kept.files() {
        let name = pattern(file.rsplit('/').next().unwrap_or_default());
        let there = format!("/{KEPT}/{}", copy.file_name()).replace('/', "\\/");
        // Writing to a string cannot fail.
        let _ = write!(commands, "s/\\/{name}\\( \\|$\\)/{there}\\1/;");
    }
    format!("if {}; then copies=\"$copies\"'{commands}'; fi\n", there.join(" && "))
}

/// The copies of every kernel of `/boot` and of the image that `10_linux` finds for it.
fn kept_of_kernels(target: &Target, host: &HostEntry) -> Vec<Kept> {
    let mut all = Vec::new();
    for kernel in target.boot_kernels.iter().filter(|path| path.starts_with("/boot/vmlinuz-")) {
        let version = kernel.trim_start_matches("/boot/vmlinuz-");
        let images = [
            format!("/boot/initrd.img-{version}"),
            format!("/boot/initrd-{version}.img"),
            format!("/boot/initramfs-{version}.img"),
        ];
        let Some(image) = images.into_iter().find(|path| target.boot_files.contains_key(path)) else {
            continue;
        };
        all.push(kept::keep(target, host, "/boot", &[kernel.clone(), image]));
    }
    all
}

/// A menu that is never shown hides the way back.
fn hidden_menu(target: &Target) -> Option<Finding> {
    let text = target.text(DEFAULTS)?;
    let value = |name: &str| grub_default::value(text, name);
    let style = value("GRUB_TIMEOUT_STYLE");
    let hidden = style.as_deref() == Some("hidden") || value("GRUB_TIMEOUT").as_deref() == Some("0");
    hidden.then(|| {
        Finding::new(
            Code::MenuHidden,
            Severity::Info,
            "GRUB's menu is not shown at boot, and the entry without passthrough is in it",
            "to see it, hold Shift or press Esc while the machine starts; or set GRUB_TIMEOUT=3 and \
             GRUB_TIMEOUT_STYLE=menu in /etc/default/grub",
        )
        .in_file(DEFAULTS)
    })
}

/// Whoever once starts the way back starts it from then on, and whoever comes back to passthrough has to
/// choose that.
fn saved_default(target: &Target) -> Option<Finding> {
    let text = target.text(DEFAULTS)?;
    let is = |name: &str, wanted: &str| grub_default::value(text, name).as_deref() == Some(wanted);
    (is("GRUB_DEFAULT", grub_once::SAVED) && is("GRUB_SAVEDEFAULT", "true")).then(|| {
        Finding::new(
            Code::DefaultIsSaved,
            Severity::Info,
            "GRUB starts again what it started last (GRUB_DEFAULT=saved, GRUB_SAVEDEFAULT=true), so the entry without \
             passthrough, chosen once, is the one that boots from then on",
            "to have passthrough again, choose its entry in the menu once",
        )
        .in_file(DEFAULTS)
    })
}
