//! Takes out of a file that somebody changed what is ours, and leaves what is theirs.

use crate::apply::ChangedFile;
use crate::text::{block, grub_default, kernel_cmdline, limine_conf, loader_entry, refind, sdboot_manage};

/// The file's content without our parameters and blocks; `None` where that cannot be told apart.
pub(super) fn without_ours(file: &ChangedFile, tokens: &[String]) -> Option<Vec<u8>> {
    let Some(original) = file.original.text() else {
        // We made the whole file, and now it is partly somebody else's: theirs to decide.
        return None;
    };
    let present = file.present.text()?;
    let (path, name) = (file.path.as_str(), file.path.file_name());
    let kept = if path == "/etc/default/grub" {
        grub_default::remove_parameters(present, tokens).ok()?
    } else if path == "/etc/sdboot-manage.conf" {
        sdboot_manage::remove_parameters(present, tokens).ok()?
    } else if path == "/etc/default/limine" {
        block::remove_block(present)
    } else if ["limine.conf", "limine.cfg"].contains(&name) {
        limine_conf::remove_added(present, original, limine_conf::Format::of(name), tokens)
    } else if ["refind_linux.conf", "refind.conf"].contains(&name) {
        refind::remove_added(present, original, refind::Format::of(name), tokens)
    } else if path.starts_with("/etc/kernel/") || path.starts_with("/etc/cmdline.d/") {
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
