//! What boots a target and is not changed.

use super::uki;
use crate::facts::Target;

/// What is there and not in [`super::ALL`], with what shows it.
pub(super) fn detect(target: &Target) -> Vec<(&'static str, String)> {
    let images = target
        .boot_mounts
        .iter()
        .flat_map(|mount| mount.unified_images.iter().map(|name| format!("{}/EFI/Linux/{name}", mount.path)));
    // Those that a generator builds hold the command line that is set; others do not.
    let image = images.into_iter().find(|path| !uki::is_built(target, path));
    image.map(|path| ("a unified kernel image that nothing here builds", path)).into_iter().collect()
}
