//! Formats of configuration files: text in, text out, nothing else.
//!
//! Every editor keeps what it does not have to change: comments, order, spacing, quotes, line ends.
//! Nothing here opens a file or knows a path; the caller names the file in its own message.

pub mod accounts;
pub mod block;
pub mod command_line;
pub mod cpu_list;
pub mod digest;
pub mod dracut_conf;
pub mod grub_default;
pub mod kernel_cmdline;
pub mod kernel_image;
pub mod kernel_modules;
pub mod key_file;
pub mod limine_conf;
pub mod limine_tool;
mod lines;
pub mod loader_conf;
pub mod loader_entry;
pub mod mkinitcpio_conf;
pub mod mkinitcpio_preset;
pub mod modprobe_conf;
pub mod pacman_hook;
pub mod pci_ids;
pub mod qemu_conf;
pub mod refind;
pub mod sdboot_manage;
mod shell;
mod shell_parameters;
pub mod vfio_devices;

use std::fmt;

/// A text that cannot be read or edited safely: where, what stands there, what would be right.
///
/// Printed as a fragment, ``line 4: `GRUB_CMDLINE_LINUX_DEFAULT` is ...``; the caller puts the path
/// before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct TextError {
    /// The line, counted from 1; none where the whole text is meant.
    pub line: Option<usize>,
    /// What stands there, or the name of what is missing.
    pub value: String,
    /// What is wrong with it and what would be right.
    pub why: String,
}

impl TextError {
    fn at(line: usize, value: impl Into<String>, why: impl Into<String>) -> Self {
        Self { line: Some(line), value: value.into(), why: why.into() }
    }

    fn whole(value: impl Into<String>, why: impl Into<String>) -> Self {
        Self { line: None, value: value.into(), why: why.into() }
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "`{}` {}", self.value, self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_its_line_when_there_is_one() {
        let error = TextError::at(4, "GRUB_CMDLINE_LINUX_DEFAULT", "is cut short");
        assert_eq!(error.to_string(), "line 4: `GRUB_CMDLINE_LINUX_DEFAULT` is cut short");
        assert_eq!(TextError::whole("options", "is missing").to_string(), "`options` is missing");
    }
}

#[cfg(test)]
#[path = "tests/editors.rs"]
mod editors;
