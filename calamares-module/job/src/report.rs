//! What goes wrong, in words for somebody who is installing a system.

use std::fmt;

/// A failure as Calamares shows it.
///
/// `title` and `advice` are fixed texts, so that they can be translated (`lang/*.po`); `detail`
/// is what this run has to say and stays English.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What happened, in a few words.
    pub title: &'static str,
    /// What it means for the user and what to do.
    pub advice: &'static str,
    /// Which file, which value.
    pub detail: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

/// The kinds of failure, each with its fixed texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The module's own configuration is wrong.
    Configuration,
    /// An earlier module left something out of global storage.
    Surroundings,
    /// The machine cannot, and the medium wants to stop then.
    Refused,
    /// The new system could not be written; it is as it was.
    Target,
    /// The new system could not be written, nor put back.
    NotPutBack,
    /// A fault of ours.
    Fault,
}

impl Kind {
    /// Every kind, for the check that all texts can be translated.
    pub const ALL: &[Self] = &[
        Self::Configuration,
        Self::Surroundings,
        Self::Refused,
        Self::Target,
        Self::NotPutBack,
        Self::Fault,
    ];

    /// What happened, in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Configuration => "The GPU passthrough module is not configured correctly",
            Self::Surroundings => "GPU passthrough cannot be set up at this point of the installation",
            Self::Refused => "This computer cannot hand a graphics card to a virtual machine",
            Self::Target => "The new system could not be prepared for GPU passthrough",
            Self::NotPutBack => "The new system was left half prepared for GPU passthrough",
            Self::Fault => "GPU passthrough could not be set up",
        }
    }

    /// What it means for the user and what to do.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Configuration => {
                "This is a mistake in the configuration of the installer, not in your machine. Please report it to those who made this installation medium."
            }
            Self::Surroundings => {
                "The order of the installer's modules is wrong. Please report it to those who made this installation medium."
            }
            Self::Refused => {
                "This installation medium insists on GPU passthrough, but it would not be safe here. Nothing was changed for it."
            }
            Self::Target => "Everything that was changed for it has been put back.",
            Self::NotPutBack => "Do not start the new system before this is mended, or install again.",
            Self::Fault => "This is a fault of the installer, not of your machine. Please report it.",
        }
    }

    /// The failure of this kind with what this run has to say.
    pub fn with(self, detail: impl Into<String>) -> Trouble {
        Trouble { title: self.title(), advice: self.advice(), detail: detail.into() }
    }
}
