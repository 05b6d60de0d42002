//! Whether the GPU that the host keeps will show a picture in the installed system.

use super::super::drivers::{known, of_kernel, shows_nothing, switched_off};
use super::super::extras::BLACKLISTS;
use super::super::{Code, Finding, Judgement, Notes, Severity};
use super::lines::Line;
use crate::facts::target::{Kernel, Provides};
use crate::facts::{Machine, PciFunction, Target};
use crate::id::TargetPath;
use crate::text::command_line::{self, Parameter};
use crate::text::modprobe_conf::{self, Directive, Verb, normal};

/// A module that the target keeps from doing its work.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Away {
    /// Its name, with `_`.
    pub(super) module: String,
    /// Where it says so.
    pub(super) place: String,
    /// How: it is not loaded, or it is loaded and shows no picture.
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    NotLoaded,
    NoPicture,
}

/// Refuses a host GPU that no driver of the target would take, or whose driver shows no picture.
pub(super) fn judge(
    judgement: &Judgement,
    machine: &Machine,
    target: &Target,
    away: &[Away],
    notes: &mut Notes,
) {
    let Some(host) = judgement.decision.host_gpu.and_then(|address| machine.functions.get(&address)) else {
        return;
    };
    for kernel in &target.kernels {
        let is_dark = |driver: &str| away.iter().any(|one| one.how == How::NoPicture && one.module == driver);
        let mut builtin = known(host.class, host.vendor())
            .iter()
            .filter(|driver| kernel.provides(driver) == Provides::Builtin)
            .peekable();
        if builtin.peek().is_some() {
            // No blacklist keeps away what is built in; only its own parameter does.
            if builtin.clone().all(|driver| is_dark(driver)) {
                let drivers: Vec<String> = builtin.map(|&driver| driver.to_owned()).collect();
                notes.find(without(host, &kernel.release, &drivers, away));
            }
            continue;
        }
        let Some(matching) = of_kernel(kernel, host) else {
            notes.find(unknown(host, kernel, away));
            continue;
        };
        let usable = matching.iter().any(|driver| is_usable(driver, &matching, host, away));
        if !usable {
            notes.find(without(host, &kernel.release, &matching, away));
        }
    }
}

/// Whether a driver that matches would take the host's GPU. xe matches whatever i915 does, and
/// takes the older ones only when it is forced to.
fn is_usable(driver: &str, matching: &[String], host: &PciFunction, away: &[Away]) -> bool {
    let has_i915 = matching.iter().any(|other| other == "i915");
    let only_by_force = driver == "xe" && has_i915 && host.driver.as_deref() == Some("i915");
    !only_by_force && !away.iter().any(|one| one.module == driver)
}

fn unknown(host: &PciFunction, kernel: &Kernel, away: &[Away]) -> Finding {
    let now = host.driver.as_deref().map(normal);
    if let Some(driver) = now.filter(|driver| away.iter().any(|one| one.module == *driver)) {
        return without(host, &kernel.release, &[driver], away);
    }
    Finding::new(
        Code::HostDriverUnknown,
        Severity::Warning,
        format!(
            "the kernel {} has no modules.alias; whether it has a driver for the host's GPU is not known",
            kernel.release
        ),
        "run depmod in the target, or check that the host's driver is installed",
    )
    .about(host.address)
}

fn without(host: &PciFunction, release: &str, matching: &[String], away: &[Away]) -> Finding {
    let mine = away.iter().find(|one| matching.contains(&one.module));
    let (message, hint) = match mine {
        Some(Away { module, place, how: How::NotLoaded }) => (
            format!("the host's GPU would have no driver: {module} is kept from loading by {place}"),
            "take that away; the host needs the driver for its picture".to_owned(),
        ),
        Some(Away { module, place, how: How::NoPicture }) => (
            format!("the host's GPU would have no picture: {place} switches the displays of {module} off"),
            "take that away; the host needs the driver for its picture".to_owned(),
        ),
        None => (
            format!("the kernel {release} has no driver for the host's GPU"),
            "install one, or let the host keep another GPU (host_gpu)".to_owned(),
        ),
    };
    Finding::new(Code::HostWithoutDriver, Severity::Blocker, message, hint).about(host.address)
}

/// Modules that the target keeps from loading or from showing pictures, and where it says so.
pub(super) fn kept_away(target: &Target, lines: &[Line]) -> Vec<Away> {
    let directories = ["/etc/modprobe.d", "/usr/lib/modprobe.d"];
    // A file of /etc hides the one of the same name that a package brought.
    let hidden = |path: &TargetPath| {
        path.parent() != directories[0]
            && target.in_directory(directories[0]).any(|(other, _)| other.file_name() == path.file_name())
    };
    let mut found = Vec::new();
    let read = directories.into_iter().flat_map(|directory| target.in_directory(directory));
    for (path, state) in read.filter(|(path, _)| !hidden(path)) {
        for directive in modprobe_conf::directives(state.text().unwrap_or_default()) {
            let place = format!("{path}, line {}", directive.line);
            found.extend(by_directive(&directive).map(|(module, how)| Away { module, place, how }));
        }
    }
    for line in lines {
        found.extend(by_line(&line.after).into_iter().map(|(module, token, how)| Away {
            module,
            place: format!("{token} in {}", line.place(&token)),
            how,
        }));
    }
    found
}

fn by_directive(directive: &Directive) -> Option<(String, How)> {
    let never = ["/bin/false", "/usr/bin/false", "/bin/true", "/usr/bin/true"];
    match directive.verb {
        Verb::Blacklist => Some((directive.module.clone(), How::NotLoaded)),
        Verb::Install if never.contains(&directive.rest.as_str()) => {
            Some((directive.module.clone(), How::NotLoaded))
        }
        Verb::Options => ["modeset", "disable_display"].into_iter().find_map(|option| {
            let dark = shows_nothing(&directive.module, option, directive.option(option)?)?;
            Some((dark, How::NoPicture))
        }),
        _ => None,
    }
}

/// Blacklists add up; of an option the last one counts.
fn by_line(line: &str) -> Vec<(String, String, How)> {
    let mut found = Vec::new();
    for token in command_line::tokens(line).take_while(|token| *token != "--") {
        let parameter = Parameter::parse(token);
        if BLACKLISTS.contains(&normal(parameter.key).as_str()) {
            let modules = parameter.value.unwrap_or_default().split(',');
            found.extend(modules.map(|module| (normal(module), token.to_owned(), How::NotLoaded)));
        }
        if let Some(module) = switched_off(parameter)
            && command_line::value(line, parameter.key).flatten() == parameter.value
        {
            found.push((module, token.to_owned(), How::NoPicture));
        }
    }
    found
}
