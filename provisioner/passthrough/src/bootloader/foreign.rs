//! Loaders that are seen but not changed.

use crate::facts::Target;

/// The loaders that are there and not in [`super::ALL`], with what shows it.
pub(super) fn detect(target: &Target) -> Vec<(&'static str, String)> {
    let traces: [(&str, &[&str]); 2] = [
        ("Limine", &["/boot/limine.conf", "/boot/limine/limine.conf", "/boot/EFI/limine/limine.conf"]),
        (
            "rEFInd",
            &[
                "/boot/refind_linux.conf",
                "/efi/EFI/refind/refind.conf",
                "/boot/EFI/refind/refind.conf",
                "/boot/efi/EFI/refind/refind.conf",
            ],
        ),
    ];
    let mut found: Vec<(&str, String)> = traces
        .into_iter()
        .filter_map(|(name, paths)| {
            let path = paths.iter().find(|path| target.has(path))?;
            Some((name, (*path).to_owned()))
        })
        .collect();
    let images = target
        .boot_mounts
        .iter()
        .flat_map(|mount| mount.unified_images.iter().map(|name| format!("{}/EFI/Linux/{name}", mount.path)));
    found.extend(images.take(1).map(|path| ("a unified kernel image", path)));
    found
}
