//! What a kernel for PCs says of itself in its header (`Documentation/arch/x86/boot.rst`).

/// The magic of the header, and where it stands.
const MAGIC: (usize, &[u8]) = (0x202, b"HdrS");
/// Where the header says where the version stands.
const VERSION: usize = 0x20e;
const VERSION_BASE: usize = 0x200;

/// So many bytes of a kernel hold its header and its version.
pub const HEADER: u64 = 1 << 16;

/// The version: `6.1.0-25-amd64 (who@where) #1 SMP ... (date)`. `None` for what is no such kernel.
pub fn version(start: &[u8]) -> Option<String> {
    let (at, magic) = MAGIC;
    if start.get(at..at + magic.len())? != magic {
        return None;
    }
    let offset = u16::from_le_bytes(start.get(VERSION..VERSION + 2)?.try_into().ok()?);
    let text = start.get(VERSION_BASE + usize::from(offset)..)?;
    let end = text.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&text[..end]).into_owned())
}

/// Its release, the name of its folder of modules: `6.1.0-25-amd64`.
pub fn release(start: &[u8]) -> Option<String> {
    let version = version(start)?;
    version.split(' ').next().filter(|release| !release.is_empty()).map(str::to_owned)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const OF_DEBIAN: &str = "6.1.0-25-amd64 (debian-kernel@lists.debian.org) #1 SMP PREEMPT_DYNAMIC Debian 6.1.106-3 (2024-08-26)";

    /// The beginning of a kernel that says this of itself.
    pub(crate) fn header(version: &str) -> Vec<u8> {
        let mut bytes = vec![0_u8; 0x4000];
        bytes[0x202..0x206].copy_from_slice(b"HdrS");
        bytes[0x20e..0x210].copy_from_slice(&0x3000_u16.to_le_bytes());
        bytes[0x3200..0x3200 + version.len()].copy_from_slice(version.as_bytes());
        bytes
    }

    #[test]
    fn a_kernel_says_what_it_is() {
        assert_eq!(version(&header(OF_DEBIAN)).as_deref(), Some(OF_DEBIAN));
        assert_eq!(release(&header(OF_DEBIAN)).as_deref(), Some("6.1.0-25-amd64"));
        let mut cut = header(OF_DEBIAN);
        cut.truncate(0x3210);
        for bytes in [&b""[..], &cut, &[0; 0x4000], &header(OF_DEBIAN)[1..]] {
            assert_eq!((version(bytes), release(bytes)), (None, None));
        }
        assert_eq!(release(&header("")), None);
    }
}
