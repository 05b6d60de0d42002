//! Takes out of a file that somebody changed what is ours, and leaves what is theirs.

use crate::apply::ChangedFile;
use crate::step::FileState;
use crate::text::{block, grub_default, kernel_cmdline, loader_entry};

/// The file's content without our parameters and blocks; `None` where that cannot be told apart.
pub(super) fn without_ours(file: &ChangedFile, tokens: &[String]) -> Option<Vec<u8>> {
    let FileState::Regular { .. } = &file.original else {
        // We made the whole file, and now it is partly somebody else's: theirs to decide.
        return None;
    };
    let present = file.present.text()?;
    let path = file.path.as_str();
    let kept = if path == "/etc/default/grub" {
        grub_default::remove_parameters(present, tokens).ok()?
    } else if path == "/etc/kernel/cmdline" {
        kernel_cmdline::remove_parameters(present, tokens)
    } else if file.path.parent().ends_with("/loader/entries") {
        loader_entry::remove_parameters(present, tokens)
    } else if path.starts_with("/etc/mkinitcpio") {
        block::remove_block(present)
    } else {
        return None;
    };
    (kept != present).then(|| kept.into_bytes())
}
