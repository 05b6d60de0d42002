//! Loaders that are seen but not changed.

use crate::facts::Target;
use crate::text::mkinitcpio_preset::Presets;

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
    // One that mkinitcpio builds from /etc/kernel/cmdline follows that file; others do not.
    let follows = |path: &String| {
        target.text("/etc/kernel/cmdline").is_some()
            && target.in_directory("/etc/mkinitcpio.d").any(|(_, preset)| {
                preset.text().and_then(|text| Presets::parse(text).ok()).is_some_and(|presets| {
                    presets.images().iter().any(|image| image.unified && same_file(&image.path, path))
                })
            })
    };
    let images = target
        .boot_mounts
        .iter()
        .flat_map(|mount| mount.unified_images.iter().map(|name| format!("{}/EFI/Linux/{name}", mount.path)));
    found.extend(images.filter(|path| !follows(path)).take(1).map(|path| ("a unified kernel image", path)));
    found
}

/// Whether two paths name one image: FAT ignores case, and a preset may name the ESP by another of
/// its mount points.
fn same_file(a: &str, b: &str) -> bool {
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    name(a) == name(b)
}
