//! Names from `pci.ids`, the list that lspci uses.
//!
//! Vendors begin a line with four hexadecimal digits and are sorted; their devices follow, each
//! behind one tab; what has two tabs is a subsystem. Classes come last, behind `C `.

use std::collections::HashMap;
use std::fmt::Write;

use crate::id::PciId;

/// Names like `NVIDIA Corporation GA102 [GeForce RTX 3090]` for these ids, from one pass that
/// stops when it has seen them all.
///
/// A device that the list does not know gets its vendor's name and `Device 2204`, as lspci has it;
/// an unknown vendor gets no name. Bytes that are not UTF-8 are replaced.
pub fn names(list: &[u8], wanted: &[PciId]) -> HashMap<PciId, String> {
    let text = String::from_utf8_lossy(list);
    let mut vendors: Vec<u16> = wanted.iter().map(|id| id.vendor).collect();
    vendors.sort_unstable();
    vendors.dedup();
    let mut found: HashMap<PciId, String> = HashMap::with_capacity(wanted.len());
    let mut left = vendors.len();
    let mut vendor: Option<(u16, &str)> = None;
    // Devices of the present vendor that have no name yet.
    let mut open: Vec<PciId> = Vec::new();
    for line in text.lines() {
        if open.is_empty() && (left == 0 || line.starts_with("C ")) {
            break;
        }
        match line.as_bytes().first() {
            Some(b'\t') => {
                let Some((_, vendor)) = vendor.filter(|_| !open.is_empty()) else { continue };
                if let Some((device, name)) = entry(&line[1..])
                    && let Some(at) = open.iter().position(|id| id.device == device)
                {
                    found.insert(open.swap_remove(at), format!("{vendor} {name}"));
                }
            }
            Some(b'0'..=b'9' | b'a'..=b'f' | b'C') => {
                close(&mut found, &mut open, vendor);
                vendor = entry(line).filter(|(id, _)| vendors.binary_search(id).is_ok());
                if let Some((id, _)) = vendor {
                    left = left.saturating_sub(1);
                    open.extend(
                        wanted.iter().filter(|wanted| wanted.vendor == id && !found.contains_key(wanted)),
                    );
                    open.sort_unstable();
                    open.dedup();
                }
            }
            _ => {}
        }
    }
    close(&mut found, &mut open, vendor);
    found
}

/// Names what the list does not know of a vendor's devices.
fn close(found: &mut HashMap<PciId, String>, open: &mut Vec<PciId>, vendor: Option<(u16, &str)>) {
    let Some((_, vendor)) = vendor else { return };
    for id in open.drain(..) {
        let mut name = format!("{vendor} Device ");
        // Writing to a string cannot fail.
        let _ = write!(name, "{:04x}", id.device);
        found.insert(id, name);
    }
}

/// `10de  NVIDIA Corporation`.
fn entry(line: &str) -> Option<(u16, &str)> {
    let (id, name) = line.split_at_checked(4)?;
    let id = u16::from_str_radix(id, 16).ok()?;
    name.strip_prefix("  ").map(|name| (id, name.trim_end()))
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
