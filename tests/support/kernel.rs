//! Kernels that are nothing but a header.

/// The beginning of a kernel that says this of itself (`Documentation/arch/x86/boot.rst`).
pub fn made(release: &str, build: &str) -> Vec<u8> {
    let mut bytes = vec![0_u8; 0x4000];
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    bytes[0x20e..0x210].copy_from_slice(&0x3000_u16.to_le_bytes());
    let version = format!("{release} (linux@archlinux) {build}");
    bytes[0x3200..0x3200 + version.len()].copy_from_slice(version.as_bytes());
    bytes
}

/// A unified image with such a kernel in it: an EFI program, as far as it says where its kernel is.
pub fn unified(release: &str, build: &str, mark: &str) -> Vec<u8> {
    const PLACE: u32 = 0x600;
    let mut bytes = vec![0_u8; 0x80];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x3c] = 0x80;
    bytes.extend(b"PE\0\0\x64\x86\x01\0");
    bytes.extend([0; 12]);
    bytes.extend([0xf0, 0, 0, 0]);
    bytes.extend([0; 0xf0]);
    bytes.extend(b".linux\0\0");
    bytes.extend([0; 12]);
    bytes.extend(PLACE.to_le_bytes());
    bytes.resize(0x600, 0);
    bytes.extend(made(release, build));
    bytes.extend(mark.as_bytes());
    bytes
}
