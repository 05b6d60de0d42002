//! Kernels and images on the boot partitions: how large they are, and how much room there is, so
//! that copies can be kept beside them.

use std::collections::BTreeSet;

use super::{BOOT_MOUNTS, Target};
use crate::facts::FactsError;
use crate::root::{ReadError, Root};
use crate::text::{kernel_image, loader_entry};

/// The folder of a boot partition in which copies are kept.
pub const KEPT: &str = "neuron-host";

/// Whether a path is that of such a copy.
pub fn is_kept(path: &str) -> bool {
    path.contains(&format!("/{KEPT}/"))
}

/// The folder of a boot partition in which boot menus look for unified kernel images.
const UNIFIED: &str = "EFI/Linux";

/// Whether a path is that of a unified image without passthrough that mkinitcpio builds, or of a copy of one.
fn is_host_image(path: &str) -> bool {
    path.contains(&format!("/{UNIFIED}/{KEPT}-"))
}

/// What the kernel in a file says of itself: a kernel, or a unified image with one in it.
pub fn kernel_version(root: &Root, path: &str) -> Result<Option<String>, ReadError> {
    let start = root.read_start(path, kernel_image::HEADER)?.unwrap_or_default();
    let Some(place) = kernel_image::place_in_unified(&start) else {
        return Ok(kernel_image::version(&start));
    };
    let inside = root.read_part(path, place, kernel_image::HEADER)?.unwrap_or_default();
    Ok(kernel_image::version(&inside))
}

impl Target {
    /// After the entries were read: they name what boots.
    pub(super) fn boot_images(&mut self, root: &Root) -> Result<(), FactsError> {
        for mount in BOOT_MOUNTS {
            let mut paths: Vec<String> = Vec::new();
            for folder in [mount.to_owned(), format!("{mount}/{KEPT}"), format!("{mount}/{UNIFIED}")] {
                let names = root.list(&folder)?.unwrap_or_default();
                paths.extend(names.into_iter().map(|name| format!("{folder}/{name}")));
            }
            let directory = format!("{mount}/loader/entries");
            for (_, state) in self.in_directory(&directory) {
                let entry = loader_entry::Entry::parse(state.text().unwrap_or_default());
                let named = entry.linux().into_iter().chain(entry.initrds());
                paths.extend(named.map(|path| format!("{mount}/{}", path.trim_start_matches('/'))));
            }
            for path in paths {
                if let Some(size) = root.size(&path)? {
                    self.boot_files.insert(path, size);
                }
            }
            if let Some(free) = root.free(mount)? {
                self.boot_room.insert(mount.to_owned(), free);
            }
        }
        self.kernels_without_modules(root)
    }

    /// A package manager that updates a kernel takes the modules of the old one away, and a kept copy
    /// of that finds none of them, nor does an image of the host's with that kernel in it. Others are read only where there is such a copy, to compare.
    fn kernels_without_modules(&mut self, root: &Root) -> Result<(), FactsError> {
        let (kept, others): (Vec<&String>, Vec<&String>) =
            self.boot_files.keys().partition(|path| is_kept(path) || is_host_image(path));
        let mut without = BTreeSet::new();
        for files in [kept, others] {
            for path in files {
                let version = match kernel_version(root, path) {
                    Ok(version) => version,
                    // Images are often for root's eyes only; whoever may not look changes nothing either.
                    Err(error) if error.source.kind() == std::io::ErrorKind::PermissionDenied => continue,
                    Err(error) => return Err(error.into()),
                };
                let has_modules = |release: &str| self.kernels.iter().any(|one| one.release == release);
                let release = version.as_deref().and_then(kernel_image::release_of);
                if release.is_some_and(|release| !has_modules(release)) {
                    without.insert(path.clone());
                }
            }
            if without.is_empty() {
                break;
            }
        }
        self.without_modules = without;
        Ok(())
    }
}
