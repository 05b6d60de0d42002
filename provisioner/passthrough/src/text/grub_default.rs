//! `/etc/default/grub`: a piece of sh that `grub-mkconfig` sources.
//!
//! The kernel gets `GRUB_CMDLINE_LINUX` and then `GRUB_CMDLINE_LINUX_DEFAULT`. Only the latter is
//! ever edited: in place when the assignment that counts is one quoted literal on one line, else
//! by a marked block at the end.

use super::{TextError, command_line, shell_parameters};

pub use super::shell_parameters::Setting;

const LINUX: &str = "GRUB_CMDLINE_LINUX";
const DEFAULT: &str = "GRUB_CMDLINE_LINUX_DEFAULT";
const DEFAULT_ENTRY: &str = "GRUB_DEFAULT";

/// The two halves of the kernel command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// `GRUB_CMDLINE_LINUX`, for every entry; it comes first.
    pub linux: Setting,
    /// `GRUB_CMDLINE_LINUX_DEFAULT`, for all but the recovery entries.
    pub linux_default: Setting,
}

impl CommandLine {
    /// What is known of the command line of an ordinary entry, in the order the kernel sees it.
    pub fn known(&self) -> String {
        let halves = [self.linux.known(), self.linux_default.known()];
        halves.into_iter().filter(|half| !half.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// Reads both halves. An error is a text that sh cannot parse either.
pub fn command_line(text: &str) -> Result<CommandLine, TextError> {
    Ok(CommandLine {
        linux: shell_parameters::setting(text, LINUX)?,
        linux_default: shell_parameters::setting(text, DEFAULT)?,
    })
}

/// The text with these parameters on every ordinary entry's command line, each only once.
///
/// What `GRUB_CMDLINE_LINUX` already says is not said again. An error is a text that sh cannot
/// parse, or a parameter that cannot be written plainly.
pub fn set_parameters(text: &str, parameters: &[String]) -> Result<String, TextError> {
    let known = command_line(text)?.known();
    shell_parameters::set_parameters(text, DEFAULT, &[LINUX, DEFAULT], &known, parameters)
}

/// The text without these parameters (where they stand exactly so) in
/// `GRUB_CMDLINE_LINUX_DEFAULT`, and without our block once it holds nothing more.
pub fn remove_parameters(text: &str, parameters: &[String]) -> Result<String, TextError> {
    shell_parameters::remove_parameters(text, DEFAULT, parameters)
}

/// A drop-in of `/etc/default/grub.d` that adds these parameters to what was read before it.
///
/// An error is a parameter that cannot be written plainly.
pub fn drop_in(parameters: &[String]) -> Result<String, TextError> {
    command_line::check(parameters)?;
    Ok(shell_parameters::addition(DEFAULT, parameters) + "\n")
}

/// What `GRUB_DEFAULT` is: the entry that boots when nobody chooses.
pub fn default_entry(text: &str) -> Result<Setting, TextError> {
    shell_parameters::setting(text, DEFAULT_ENTRY)
}

/// What a variable is, where that is known exactly.
pub fn value(text: &str, name: &str) -> Option<String> {
    match shell_parameters::setting(text, name).ok()? {
        Setting::Literal(value) => Some(value),
        Setting::Unset | Setting::Computed(_) => None,
    }
}

/// The text with this entry as the one that boots when nobody chooses.
///
/// An error is a text that sh cannot parse.
pub fn set_default_entry(text: &str, id: &str) -> Result<String, TextError> {
    shell_parameters::set_value(text, DEFAULT_ENTRY, id)
}

/// The text with the entry that `original` had, where `id` is still the one that boots.
///
/// An error is a text that sh cannot parse.
pub fn unset_default_entry(text: &str, original: &str, id: &str) -> Result<String, TextError> {
    shell_parameters::unset_value(text, original, DEFAULT_ENTRY, id)
}

#[cfg(test)]
#[path = "tests/grub_default.rs"]
mod tests;
