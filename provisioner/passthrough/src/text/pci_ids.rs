//! Names from `pci.ids`, the list that lspci uses.
//!
//! Vendors begin a line with four hexadecimal digits; their devices follow, each behind one tab;
//! what has two tabs is a subsystem. Classes come last, behind `C `.

use std::collections::HashMap;

use memchr::{memchr, memmem};

use crate::id::PciId;

/// Names like `NVIDIA Corporation GA102 [GeForce RTX 3090]` for these ids.
///
/// A device that the list does not know gets its vendor's name and `Device 2204`, as lspci has it;
/// an unknown vendor gets no name. Bytes that are not UTF-8 are replaced. Only the sections of the
/// wanted vendors are read line by line: the list has 1.4 MB.
pub fn names(list: &[u8], wanted: &[PciId]) -> HashMap<PciId, String> {
    let mut found = HashMap::with_capacity(wanted.len());
    let mut open = wanted.to_vec();
    open.sort_unstable();
    open.dedup();
    for devices in open.chunk_by(|a, b| a.vendor == b.vendor) {
        if let Some((vendor, section)) = section(list, devices[0].vendor) {
            name_devices(&vendor, section, devices, &mut found);
        }
    }
    found
}

/// A vendor's name and everything that follows its line.
fn section(list: &[u8], vendor: u16) -> Option<(String, &[u8])> {
    let head = format!("\n{vendor:04x}  ");
    let at = if list.starts_with(&head.as_bytes()[1..]) {
        head.len() - 1
    } else {
        memmem::find(list, head.as_bytes())? + head.len()
    };
    let (name, section) = split_line(&list[at..]);
    Some((text(name), section))
}

fn name_devices(vendor: &str, mut section: &[u8], devices: &[PciId], found: &mut HashMap<PciId, String>) {
    let mut open: Vec<(PciId, String)> =
        devices.iter().map(|id| (*id, format!("{:04x}  ", id.device))).collect();
    while !open.is_empty() && matches!(section.first(), Some(b'\t' | b'#' | b'\n')) {
        let (line, rest) = split_line(section);
        section = rest;
        let Some(device) = line.strip_prefix(b"\t") else { continue };
        if let Some(at) = open.iter().position(|(_, head)| device.starts_with(head.as_bytes())) {
            let (id, head) = open.swap_remove(at);
            found.insert(id, format!("{vendor} {}", text(&device[head.len()..])));
        }
    }
    found.extend(open.into_iter().map(|(id, _)| (id, format!("{vendor} Device {:04x}", id.device))));
}

/// The first line without its end, and what follows.
fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match memchr(b'\n', bytes) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[]),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.trim_ascii_end()).into_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    const LIST: &[u8] = b"# a comment\n\n1002  Advanced Micro Devices, Inc. [AMD/ATI]\n\t73bf  Navi 21\n\
                          \t\t1002 2204  not this one\n10de  NVIDIA Corporation\n\t1aef  GA102 High \xff Audio\n\
                          \t2204  GA102 [GeForce RTX 3090]\n\t\t1458 403b  a board\nffff  Illegal\n\nC 03  Display\n\t00  VGA\n";

    fn id(text: &str) -> PciId {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_vendor_and_device() {
        let wanted =
            ["10de:2204", "10de:1aef", "10de:2204", "1002:2204", "1002:73bf", "abcd:0001", "ffff:0300"];
        let names = names(LIST, &wanted.map(id));
        assert_eq!(names[&id("10de:2204")], "NVIDIA Corporation GA102 [GeForce RTX 3090]");
        assert_eq!(names[&id("10de:1aef")], "NVIDIA Corporation GA102 High \u{fffd} Audio");
        assert_eq!(names[&id("1002:73bf")], "Advanced Micro Devices, Inc. [AMD/ATI] Navi 21");
        assert_eq!(names[&id("1002:2204")], "Advanced Micro Devices, Inc. [AMD/ATI] Device 2204");
        assert_eq!(names[&id("ffff:0300")], "Illegal Device 0300");
        assert_eq!(names.len(), 5);
    }

    #[test]
    fn no_list_is_no_names() {
        assert!(names(b"", &[id("10de:2204")]).is_empty());
        assert!(names(LIST, &[]).is_empty());
    }

    /// lspci's own reading of the same list, where both are installed.
    #[test]
    fn lspci_agrees_on_a_made_device() {
        let path = Path::new("/usr/share/misc/pci.ids");
        let Ok(list) = std::fs::read(path) else {
            eprintln!("NOT CHECKED: {} is not installed", path.display());
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let dump = folder.path().join("dump");
        std::fs::write(&dump, "01:00.0 x\n00: de 10 04 22 00 00 10 00 a1 00 00 03 00 00 00 00\n").unwrap();
        let Ok(output) = Command::new("lspci").arg("-i").arg(path).arg("-F").arg(&dump).output() else {
            eprintln!("NOT CHECKED: lspci is not installed");
            return;
        };
        let line = String::from_utf8(output.stdout).unwrap();
        let name = &names(&list, &[id("10de:2204")])[&id("10de:2204")];
        assert!(line.contains(&format!("controller: {name} (rev a1)")), "{line} / {name}");
    }
}
