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

/// The release in a version, the name of its folder of modules: `6.1.0-25-amd64`.
pub fn release_of(version: &str) -> Option<&str> {
    version.split(' ').next().filter(|release| !release.is_empty())
}

/// Where a unified kernel image keeps its kernel: the section `.linux` of the EFI program that it is (PE format:
/// the offset of its header stands at 0x3c, the table of sections behind that). `None` for anything else.
pub fn place_in_unified(start: &[u8]) -> Option<u64> {
    let word = |at: usize| Some(u16::from_le_bytes(start.get(at..at + 2)?.try_into().ok()?));
    let long = |at: usize| Some(u32::from_le_bytes(start.get(at..at + 4)?.try_into().ok()?));
    let header = usize::try_from(long(0x3c)?).ok()?;
    if start.get(..2)? != b"MZ" || start.get(header..header.checked_add(4)?)? != b"PE\0\0" {
        return None;
    }
    let table = header + 24 + usize::from(word(header + 20)?);
    let mut sections = (0..usize::from(word(header + 6)?)).map(|number| table + number * 40);
    let own = sections.find(|at| start.get(*at..*at + 8).is_some_and(|name| name == b".linux\0\0"))?;
    Some(u64::from(long(own + 20)?))
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
        assert_eq!(release_of(OF_DEBIAN), Some("6.1.0-25-amd64"));
        let mut cut = header(OF_DEBIAN);
        cut.truncate(0x3210);
        for bytes in [&b""[..], &cut, &[0; 0x4000], &header(OF_DEBIAN)[1..]] {
            assert_eq!(version(bytes), None);
        }
        assert_eq!(release_of(""), None);
    }

    /// The beginning of an EFI program with these sections, each at its place in the file.
    fn program(sections: &[(&[u8; 8], u32)]) -> Vec<u8> {
        let mut bytes = vec![0_u8; 0x80];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[0x3c] = 0x80;
        bytes.extend(b"PE\0\0\x64\x86");
        bytes.extend([u8::try_from(sections.len()).unwrap(), 0]);
        bytes.extend([0; 12]);
        // The optional header's size, what kind of program it is, and that header.
        bytes.extend([0xf0, 0, 0, 0]);
        bytes.extend([0; 0xf0]);
        for (name, place) in sections {
            bytes.extend(*name);
            bytes.extend([0; 12]);
            bytes.extend(place.to_le_bytes());
            bytes.extend([0; 16]);
        }
        bytes
    }

    #[test]
    fn a_unified_image_says_where_its_kernel_is() {
        let image =
            program(&[(b".text\0\0\0", 0x400), (b".linux\0\0", 0x12_3400), (b".initrd\0", 0x90_0000)]);
        assert_eq!(place_in_unified(&image), Some(0x12_3400));
        let without = program(&[(b".text\0\0\0", 0x400), (b".linuxes", 0x800)]);
        let mut cut = image.clone();
        cut.truncate(image.len() - 70);
        let mut far = image.clone();
        far[0x3c..0x40].copy_from_slice(&u32::MAX.to_le_bytes());
        for bytes in [&b""[..], b"MZ", &without, &cut, &far, &image[1..], &header(OF_DEBIAN)] {
            assert_eq!(place_in_unified(bytes), None);
        }
    }
}
