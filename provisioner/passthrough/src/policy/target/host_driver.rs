//! Whether the GPU that the host keeps will show a picture in the installed system.

use super::super::drivers::{known, of_kernel};
use super::super::{Code, Finding, Judgement, Notes, Severity};
use crate::facts::target::Provides;
use crate::facts::{Machine, PciFunction, Target};
use crate::id::TargetPath;
use crate::text::modprobe_conf::{self, Verb, normal};

/// Refuses a host GPU that no driver of the target would take.
pub(super) fn judge(judgement: &Judgement, machine: &Machine, target: &Target, notes: &mut Notes) {
    let Some(host) = judgement.decision.host_gpu.and_then(|address| machine.functions.get(&address)) else {
        return;
    };
    let blacklisted = blacklisted(target);
    for kernel in &target.kernels {
        let builtin = known(host.class, host.vendor())
            .iter()
            .any(|driver| kernel.provides(driver) == Provides::Builtin);
        if builtin {
            continue;
        }
        let Some(matching) = of_kernel(kernel, host) else {
            notes.find(unknown(host, &kernel.release));
            continue;
        };
        let usable = matching.iter().any(|driver| !blacklisted.iter().any(|(module, _)| module == driver));
        if !usable {
            notes.find(without(host, &kernel.release, &matching, &blacklisted));
        }
    }
}

fn unknown(host: &PciFunction, release: &str) -> Finding {
    Finding::new(
        Code::HostDriverUnknown,
        Severity::Warning,
        format!("the kernel {release} has no modules.alias; whether it has a driver for the host's GPU is not known"),
        "run depmod in the target, or check that the host's driver is installed",
    )
    .about(host.address)
}

fn without(
    host: &PciFunction,
    release: &str,
    matching: &[String],
    blacklisted: &[(String, String)],
) -> Finding {
    let mine = blacklisted.iter().find(|(module, _)| matching.contains(module));
    let (message, hint) = match mine {
        Some((module, place)) => (
            format!("the host's GPU would have no driver: {module} is blacklisted in {place}"),
            "take the blacklist away; the host needs that driver for its picture".to_owned(),
        ),
        None => (
            format!("the kernel {release} has no driver for the host's GPU"),
            "install one, or let the host keep another GPU (host_gpu)".to_owned(),
        ),
    };
    Finding::new(Code::HostWithoutDriver, Severity::Blocker, message, hint).about(host.address)
}

/// Modules that the target keeps from loading, and where it says so.
fn blacklisted(target: &Target) -> Vec<(String, String)> {
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
            let never = directive.verb == Verb::Install
                && ["/bin/false", "/usr/bin/false", "/bin/true", "/usr/bin/true"]
                    .contains(&directive.rest.as_str());
            if directive.verb == Verb::Blacklist || never {
                found.push((directive.module, format!("{path}, line {}", directive.line)));
            }
        }
    }
    for (place, line) in super::configuration::command_lines(target) {
        for key in ["modprobe.blacklist", "module_blacklist"] {
            let modules = crate::text::command_line::value(&line, key).flatten().unwrap_or_default();
            found.extend(modules.split(',').map(|module| (normal(module), place.clone())));
        }
    }
    found
}
