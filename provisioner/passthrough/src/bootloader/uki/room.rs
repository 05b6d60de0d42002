//! Room for the host's images: an image that does not fit is cut off, and so may be the one beside it.

use std::collections::BTreeMap;

use super::LoaderError;
use crate::bootloader::kept::{SPARE, mount_of};
use crate::facts::Target;
use crate::id::TargetPath;

/// An error where the images that are still to be made do not fit. Each is as large as the largest one
/// beside it; what cannot be told is no reason to refuse.
pub(super) fn check(target: &Target, made: &[TargetPath]) -> Result<(), LoaderError> {
    let mut needed: BTreeMap<&str, u64> = BTreeMap::new();
    for image in made.iter().filter(|image| !target.boot_files.contains_key(image.as_str())) {
        *needed.entry(mount_of(target, image)).or_default() += largest_beside(target, image);
    }
    for (mount, images) in needed.into_iter().filter(|(_, images)| *images > 0) {
        let free = target.boot_room.get(mount).copied().unwrap_or(u64::MAX);
        if free < images + SPARE {
            return Err(LoaderError::ByHand {
                path: mount.to_owned(),
                why: format!(
                    "{} MiB are free there, and {} MiB are needed to build images without passthrough beside the \
                     others",
                    free >> 20,
                    (images + SPARE) >> 20
                ),
                what: "make room there, for example by removing an image that is not used; then try again"
                    .to_owned(),
            });
        }
    }
    Ok(())
}

/// The bytes of the largest file beside an image: what one that is still to be made is taken to need.
pub(super) fn largest_beside(target: &Target, image: &TargetPath) -> u64 {
    let beside = target.boot_files.iter().filter(|(path, _)| folder(path) == image.parent());
    beside.map(|(_, size)| *size).max().unwrap_or_default()
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn target(free: u64) -> Target {
        let mut target = Target::default();
        target.boot_files.insert("/boot/efi/EFI/Linux/arch.efi".to_owned(), 60 * MIB);
        target.boot_files.insert("/boot/efi/other.img".to_owned(), 500 * MIB);
        target.boot_room.insert("/boot".to_owned(), MIB);
        target.boot_room.insert("/boot/efi".to_owned(), free);
        target
    }

    #[test]
    fn an_image_has_to_fit_beside_the_others() {
        let made = ["a", "b"].map(|name| format!("/boot/efi/EFI/Linux/{name}.efi").parse().unwrap());
        assert!(check(&target(76 * MIB), &made[..1]).is_ok());
        let error = check(&target(75 * MIB), &made[..1]).unwrap_err().to_string();
        assert!(error.starts_with("/boot/efi: 75 MiB are free there, and 76 MiB"), "{error}");
        assert!(check(&target(76 * MIB), &made).is_err());
        // One that is there already is written over.
        let mut again = target(0);
        again.boot_files.insert(made[0].to_string(), 60 * MIB);
        assert!(check(&again, &made[..1]).is_ok());
    }

    #[test]
    fn what_cannot_be_told_is_no_reason_to_refuse() {
        let made = ["/efi/EFI/Linux/a.efi".parse().unwrap()];
        assert!(check(&target(0), &made).is_ok());
    }
}
