//! `limine-entry-tool` with `limine-mkinitcpio` or `limine-dracut`: entries made from `KERNEL_CMDLINE[name]`.
//!
//! Layers, the last one wins: `/usr/share/limine-entry-tool.d`, `/etc/limine-entry-tool.conf`,
//! `/etc/limine-entry-tool.d`, `/etc/default/limine`. Once any of them says something, the tool reads
//! `/etc/kernel/cmdline` no more, so nothing is ever written where none of them names the root.

use super::{CommandLine, LoaderError, Parameters};
use crate::facts::Target;
use crate::facts::target::LIMINE_TOOLS;
use crate::id::TargetPath;
use crate::policy::{Code, Finding, Severity};
use crate::step::{Action, FileState, Step, file_head};
use crate::text::{TextError, block, command_line, limine_tool};

/// The way of Limine in which the tool makes the entries.
pub(super) const WAY: &str = "Limine with its entry tool";
const DEFAULTS: &str = "/etc/default/limine";
const MAIN: &str = "/etc/limine-entry-tool.conf";
const SHIPPED: &str = "/usr/share/limine-entry-tool.d";
const DROP_INS: &str = "/etc/limine-entry-tool.d";
const DROP_IN: &str = "/etc/limine-entry-tool.d/95-neuron-vfio.conf";
const EVERY_KERNEL: &str = "default";
/// Entries of this name are a way back when the others fail; they stay as they are.
const FALLBACK: &str = "fallback";

/// The program that makes the entries at every build of the images.
pub(super) fn program(target: &Target) -> Option<&'static str> {
    let here = LIMINE_TOOLS.into_iter().find(|program| target.has(program))?;
    here.rsplit('/').next()
}

/// What is read, in the tool's order: path and text.
type Layers = Vec<(TargetPath, String)>;

/// The layers without anything of ours.
fn layers(target: &Target) -> Layers {
    let folder = |directory: &'static str| {
        target
            .in_directory(directory)
            .filter_map(|(path, state)| Some((path.clone(), state.text()?.to_owned())))
    };
    let file = |path: &str| Some((path.parse::<TargetPath>().ok()?, target.text(path)?.to_owned()));
    let mut all: Layers = folder(SHIPPED).collect();
    all.extend(file(MAIN));
    all.extend(folder(DROP_INS).filter(|(path, _)| path.as_str() != DROP_IN));
    all.extend(file(DEFAULTS).map(|(path, text)| (path, block::remove_block(&text))));
    all
}

fn line(layers: &Layers, name: &str) -> Option<String> {
    let texts: Vec<&str> = layers.iter().map(|(_, text)| text.as_str()).collect();
    limine_tool::command_line(&texts, name)
}

/// The names that have a command line of their own, `default` first.
fn names(layers: &Layers) -> Vec<&str> {
    let mut names = vec![EVERY_KERNEL];
    for one in layers.iter().flat_map(|(_, text)| limine_tool::assignments(text)) {
        if !names.contains(&one.name) && one.name != FALLBACK {
            names.push(one.name);
        }
    }
    names
}

/// The command lines that the entries are made with, ours in them.
pub(super) fn command_lines(target: &Target) -> Vec<CommandLine> {
    let mut layers = layers(target);
    if let (Ok(path), Some(own)) = (DROP_IN.parse::<TargetPath>(), target.text(DROP_IN)) {
        let at = layers.iter().position(|(other, _)| is_behind(&path, other)).unwrap_or(layers.len());
        layers.insert(at, (path, own.to_owned()));
    }
    if let (Some((path, text)), Some(whole)) = (layers.last_mut(), target.text(DEFAULTS))
        && path.as_str() == DEFAULTS
    {
        whole.clone_into(text);
    }
    let of_name = |name: &str| {
        let says = |text: &str| limine_tool::assignments(text).any(|one| one.name == name);
        let files = layers.iter().filter(|(_, text)| says(text)).map(|(path, _)| path);
        CommandLine::of_files(files, line(&layers, name)?)
    };
    names(&layers).into_iter().filter_map(of_name).collect()
}

/// Whether a layer is read behind our drop-in.
fn is_behind(own: &TargetPath, path: &TargetPath) -> bool {
    path.parent() == DROP_INS && path > own || path.as_str() == DEFAULTS
}

/// The steps; `None` where no layer says anything.
pub(super) fn steps(target: &Target, parameters: &Parameters) -> Result<Option<Vec<Step>>, LoaderError> {
    let layers = layers(target);
    let named: Vec<(&str, String)> =
        names(&layers).into_iter().filter_map(|name| Some((name, line(&layers, name)?))).collect();
    let Some((last, _)) = layers.last().filter(|_| !named.is_empty()) else { return Ok(None) };
    for (name, line) in &named {
        if command_line::value(line, "root").flatten().is_none() {
            return Err(LoaderError::ByHand {
                path: last.to_string(),
                why: format!("KERNEL_CMDLINE[{name}] names no root, and its entries would not boot"),
                what: format!("add the root: KERNEL_CMDLINE[{name}]+=\" root=... rw\""),
            });
        }
    }
    let missing: Vec<(&str, Vec<String>)> = named
        .iter()
        .map(|(name, line)| {
            let missing = parameters.set.iter().filter(|token| !command_line::has(line, token));
            (*name, missing.cloned().collect())
        })
        .collect();
    let unusable = |problem: TextError| LoaderError::Unusable { path: last.clone(), problem };
    let body = limine_tool::additions(&missing).map_err(unusable)?;
    let begins_anew = |text: &str| {
        limine_tool::assignments(text)
            .any(|one| !one.appends && named.iter().any(|(name, _)| *name == one.name))
    };
    let in_defaults = layers.iter().any(|(path, text)| path.as_str() == DEFAULTS && begins_anew(text));
    verify(&layers, &named, &body, parameters, in_defaults)?;
    let (to_defaults, to_drop_in) = if in_defaults { (body.as_str(), "") } else { ("", body.as_str()) };
    let mut steps: Vec<Step> = defaults(target, &layers, to_defaults).into_iter().collect();
    steps.extend(drop_in(target, to_drop_in));
    Ok(Some(steps))
}

/// Reads the layers again with our lines in their place: everything must be there, the root too.
fn verify(
    layers: &Layers,
    named: &[(&str, String)],
    body: &str,
    parameters: &Parameters,
    in_defaults: bool,
) -> Result<(), LoaderError> {
    let Ok(own) = DROP_IN.parse::<TargetPath>() else { return Ok(()) };
    let at =
        layers.iter().position(|(path, _)| !in_defaults && is_behind(&own, path)).unwrap_or(layers.len());
    let mut after = layers.clone();
    after.insert(at, (own, body.to_owned()));
    for (name, before) in named {
        let line = line(&after, name).unwrap_or_default();
        if let Some(token) = parameters.set.iter().find(|token| !command_line::has(&line, token)) {
            let assigns = |text: &str| limine_tool::assignments(text).any(|one| one.name == *name);
            let last = layers.iter().rev().find(|(_, text)| assigns(text));
            return Err(LoaderError::ByHand {
                path: last.map_or_else(|| DROP_IN.to_owned(), |(path, _)| path.to_string()),
                why: format!(
                    "what it says of KERNEL_CMDLINE[{name}] is read behind {DROP_IN} and undoes `{token}`"
                ),
                what: format!(
                    "let it add and not contradict: KERNEL_CMDLINE[{name}]+=\" ...\"; or give the file a name \
                     that sorts before 95-"
                ),
            });
        }
        if let Some(token) = lost_root(before, &line) {
            return Err(LoaderError::LosesRoot { path: after[at].0.clone(), token });
        }
    }
    Ok(())
}

fn lost_root(before: &str, after: &str) -> Option<String> {
    let kept = command_line::root_tokens(after);
    command_line::root_tokens(before).into_iter().find(|token| !kept.contains(token)).map(str::to_owned)
}

const TITLE: &str = "Set the kernel parameters for Limine's entries";

/// The defaults with our lines in a marked block at their end. Without lines of ours it still is
/// the file that the parameters were looked for in.
fn defaults(target: &Target, layers: &Layers, body: &str) -> Option<Step> {
    let (path, text) = layers.last()?;
    let because = "limine-entry-tool reads this file last, and makes the entries from it";
    let after = if body.is_empty() { text.clone() } else { block::append_block(text, body) };
    Some(Step::write("limine-defaults", TITLE, because, path.clone(), target.state(path), after))
}

fn drop_in(target: &Target, body: &str) -> Option<Step> {
    let path: TargetPath = DROP_IN.parse().ok()?;
    let before = target.state(&path);
    let because = "limine-entry-tool adds up the drop-ins and makes the entries from them";
    if !body.is_empty() {
        let text = file_head("kernel parameters of Limine's entries.") + body;
        return Some(Step::write("limine-drop-in", TITLE, because, path.clone(), before, text));
    }
    (*before != FileState::Absent).then(|| Step {
        id: "limine-drop-in".to_owned(),
        title: "Take the kernel parameters out of Limine's entries".to_owned(),
        because: "they are not wanted any more".to_owned(),
        action: Action::RemoveFile { path: path.clone(), before: before.clone() },
    })
}

/// What the tool does when nothing is said anywhere: it takes the running system's command line.
pub(super) fn says_nothing(present: Option<String>, parameters: &Parameters) -> LoaderError {
    let present = present.unwrap_or_else(|| "root=... rw".to_owned());
    LoaderError::ByHand {
        path: DEFAULTS.to_owned(),
        why: "neither KERNEL_CMDLINE[default] nor /etc/kernel/cmdline is there, so limine-entry-tool would take \
              the running system's command line"
            .to_owned(),
        what: format!(
            "write this to /etc/kernel/cmdline and check that it is right: {present} {}",
            parameters.set.join(" ")
        ),
    }
}

pub(super) fn findings(target: &Target) -> Vec<Finding> {
    let layers = layers(target);
    let fallback = layers.iter().find_map(|(path, text)| {
        let one = limine_tool::assignments(text).find(|one| one.name == FALLBACK)?;
        Some((path, one.line))
    });
    let finding = fallback.map(|(path, line)| {
        Finding::new(
            Code::OtherLoader,
            Severity::Info,
            format!("{path}, line {line}: the fallback entries have a command line of their own, and it is left alone"),
            "nothing to do",
        )
        .in_file(path.as_str())
    });
    finding.into_iter().collect()
}
