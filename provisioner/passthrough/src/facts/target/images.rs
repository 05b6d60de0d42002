//! Kernels and images on the boot partitions: how large they are, and how much room there is, so
//! that copies can be kept beside them.

use super::{BOOT_MOUNTS, Target};
use crate::facts::FactsError;
use crate::root::Root;
use crate::text::loader_entry;

/// The folder of a boot partition in which copies are kept.
pub const KEPT: &str = "neuron-host";

impl Target {
    /// After the entries were read: they name what boots.
    pub(super) fn boot_images(&mut self, root: &Root) -> Result<(), FactsError> {
        for mount in BOOT_MOUNTS {
            let mut paths: Vec<String> = Vec::new();
            for folder in [mount.to_owned(), format!("{mount}/{KEPT}")] {
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
        Ok(())
    }
}
