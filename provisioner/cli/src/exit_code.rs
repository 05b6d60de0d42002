//! How the program ended, as a number. These are frozen: scripts rely on them.

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// Done, or nothing to do.
    Done = 0,
    /// Failed, and everything was put back.
    Failed = 1,
    /// The command line or the answers are invalid.
    Usage = 2,
    /// Refused as unsafe or undecided; nothing was written.
    Refused = 3,
    /// Done, and a reboot is needed.
    RebootNeeded = 4,
    /// The target changed since it was planned or applied.
    Changed = 5,
    /// Failed, and not everything could be put back.
    NotPutBack = 6,
    /// `plan --check`: something would change.
    WouldChange = 7,
    /// Interrupted; nothing was written, or everything was put back.
    Interrupted = 130,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}
