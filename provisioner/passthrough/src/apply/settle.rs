//! Derived output is put on disk before the journal calls it made.
//!
//! mkinitcpio and grub-mkconfig flush nothing. An image that is only in memory when the journal already
//! says that everything is done is an image that a power cut takes away, and with FAT perhaps its name, too.

use std::collections::BTreeSet;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::fstat;

use super::error::ApplyError;
use super::store::Store;
use crate::id::TargetPath;

/// Where images and menus lie, whether or not an fstab says so: an ESP is often mounted without one.
const BOOT: [&str; 4] = ["/", "/boot", "/efi", "/boot/efi"];

impl Store<'_> {
    /// Flushes the root, and every other file system that a loader reads.
    pub(super) fn settle(&mut self) -> Result<(), ApplyError> {
        let fat = self.tree().fat_points.clone();
        let points = BOOT.into_iter().chain(fat.iter().map(TargetPath::as_str));
        let mut devices = BTreeSet::new();
        for point in points {
            let fail = |errno: Errno| ApplyError::io("flush", point)(errno.into());
            let directory = match self.tree().open_point(point, OFlag::O_RDONLY | OFlag::O_DIRECTORY) {
                Ok(directory) => directory,
                Err(Errno::ENOENT | Errno::ENOTDIR) => continue,
                Err(errno) => return Err(fail(errno)),
            };
            if devices.insert(fstat(directory.as_fd()).map_err(fail)?.st_dev) {
                let is_fat =
                    (self.tree().is_fat)(directory.as_fd()).map_err(ApplyError::io("flush", point))?;
                let done = self.hand_mut().settle(&directory, is_fat, point);
                done.map_err(ApplyError::io("flush", point))?;
            }
        }
        Ok(())
    }
}
