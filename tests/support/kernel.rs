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
