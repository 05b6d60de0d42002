//! What names the entry that boots over `default` of `loader.conf`.
//!
//! Source: `config_select_default_entry` in systemd's `src/boot`: `LoaderEntryPreferred`, `preferred` (both
//! since 260), `LoaderEntryDefault` (`bootctl set-default`, or `d` in the menu), and only then `default`.

use super::host_entries::{configuration, is_host_entry};
use super::{entries, is_this_system};
use crate::facts::{Running, Target};
use crate::policy::{Code, Finding, Severity};
use crate::text::loader_conf;

/// What is named, and by whom.
pub(super) struct Named {
    /// Who names it.
    pub(super) who: String,
    /// The entry, or a pattern.
    pub(super) entry: String,
    /// How that is taken away.
    remedy: String,
}

/// The first that names an entry. Whether it fits one that is there is the loader's to know.
pub(super) fn by(target: &Target, running: &Running) -> Option<Named> {
    let variable = |entry: &Option<String>, verb: &str| {
        Some(Named {
            who: format!("a variable of the firmware (`bootctl {verb}`)"),
            entry: entry.clone()?,
            remedy: format!("`bootctl {verb} \"\"` takes the variable away"),
        })
    };
    let of_file = || {
        let path = configuration(target)?;
        let entry = loader_conf::preferred(target.text(path.as_str())?)?.to_owned();
        Some(Named {
            who: format!("`preferred` in {path}"),
            entry,
            remedy: format!("take `preferred` out of {path}"),
        })
    };
    variable(&running.preferred, "set-preferred")
        .or_else(of_file)
        .or_else(|| variable(&running.default, "set-default"))
}

/// Whether the entry that is to boot by itself does not, because of that.
pub(super) fn finding(target: &Target, running: &Running, host_is_default: bool) -> Option<Finding> {
    let named = by(target, running)?;
    let is_entry = |file: &str| file.eq_ignore_ascii_case(&named.entry);
    let is_passthrough =
        || entries(target).any(|(path, _, text)| is_entry(path.file_name()) && is_this_system(target, text));
    let is_right = if host_is_default { is_host_entry(&named.entry) } else { is_passthrough() };
    let (severity, which) = match host_is_default {
        _ if is_right => return None,
        true => (Severity::Blocker, "the one without passthrough cannot be the default"),
        false => (Severity::Warning, "the one with passthrough is not what boots when nobody chooses"),
    };
    let Named { who, entry, remedy } = named;
    let message = format!("{who} names {entry} as the entry that boots, over loader.conf: {which}");
    Some(Finding::new(Code::TargetConflict, severity, message, remedy))
}
