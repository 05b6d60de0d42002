//! In which order the two names of a new content go to a FAT: what `fsck.fat -a` makes of a power cut between them.
//!
//! A rename over a name that is there changes two places of a directory: the temporary name goes, and the other
//! one gets its clusters. Where they lie in two sectors, one is on the disk before the other. Of two names with
//! the same clusters `fsck.fat` empties the one that it meets second (`check_file` in its `check.c`), and that is
//! the wrong one where the temporary name found a free place before it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SECTOR: usize = 512;
const SLOT: usize = 32;
const ENTRY: &str = "entry.conf";
const TEMPORARY: &str = ".entry.conf.neuron-1-0";
const OLD: &str = "what stood there before\n";
const NEW: &str = "what stands there afterwards, and is a little longer\n";

fn run(program: &str, arguments: &[&str], image: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(program);
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let words = arguments.iter().map(|word| word.replace("IMAGE", image.to_str().unwrap()));
    let output = command.args(words).output().unwrap_or_else(|error| {
        panic!("{program} (Debian: dosfstools, mtools): {error}");
    });
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A FAT on which the temporary name is written, and lies before the other one or behind it.
struct Disk {
    folder: tempfile::TempDir,
    bytes: Vec<u8>,
}

impl Disk {
    fn new(is_before: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        let good = |program: &str, arguments: &[&str]| {
            let (code, said) = run(program, arguments, &image);
            assert_eq!(code, Some(0), "{program} {arguments:?}: {said}");
        };
        good("mkfs.fat", &["-F", "32", "-s", "1", "-C", "IMAGE", "36864"]);
        let put = |name: &str, text: &str| {
            let file = folder.path().join("file");
            fs::write(&file, text).unwrap();
            good("mcopy", &["-i", "IMAGE", file.to_str().unwrap(), &format!("::{name}")]);
        };
        // Each takes three slots or four: together they fill a sector and more.
        let others: Vec<String> =
            (0..6).map(|number| format!("a long name of somebody {number}.txt")).collect();
        let fill = || {
            for name in &others {
                put(name, "theirs\n");
            }
        };
        if is_before {
            fill();
        }
        put(ENTRY, OLD);
        if is_before {
            for name in &others {
                good("mdel", &["-i", "IMAGE", &format!("::{name}")]);
            }
        } else {
            fill();
        }
        put(TEMPORARY, NEW);
        let bytes = fs::read(&image).unwrap();
        Self { folder, bytes }
    }

    /// Where the entry with a content of this length lies: its size is the last word of a slot.
    fn slot(&self, length: usize) -> usize {
        let is_it = |at: &usize| {
            let slot = &self.bytes[*at..*at + SLOT];
            let size = u32::from_le_bytes(slot[28..].try_into().unwrap());
            slot[11] == 0x20 && ![0, 0xe5].contains(&slot[0]) && size as usize == length
        };
        let found: Vec<usize> = (0..self.bytes.len()).step_by(SLOT).filter(is_it).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0]
    }

    /// The temporary name goes: its slot, and those of its long name before it.
    fn without_temporary(&self, bytes: &mut [u8]) {
        let mut at = self.slot(NEW.len());
        loop {
            bytes[at] = 0xe5;
            at -= SLOT;
            if bytes[at + 11] != 0x0f || bytes[at] == 0xe5 {
                break;
            }
        }
    }

    /// The name gets the clusters and the length of the other one.
    fn with_new_content(&self, bytes: &mut [u8]) {
        let (from, to) = (self.slot(NEW.len()), self.slot(OLD.len()));
        assert_ne!(from / SECTOR, to / SECTOR, "they lie in one sector, which is written whole");
        for part in [20..22, 26..32] {
            let new = self.bytes[from + part.start..from + part.end].to_vec();
            bytes[to + part.start..to + part.end].copy_from_slice(&new);
        }
    }

    /// What the name holds after a boot repaired it.
    fn repaired(&self, change: impl Fn(&mut [u8])) -> String {
        let mut bytes = self.bytes.clone();
        change(&mut bytes);
        let image: PathBuf = self.folder.path().join("cut");
        fs::write(&image, bytes).unwrap();
        let (code, said) = run("fsck.fat", &["-a", "IMAGE"], &image);
        assert!(matches!(code, Some(0 | 1)), "{said}");
        let (code, text) = run("mtype", &["-i", "IMAGE", &format!("::{ENTRY}")], &image);
        assert_eq!(code, Some(0), "{said}");
        text
    }
}

#[test]
fn the_temporary_name_goes_first_and_a_repair_leaves_the_old_content_or_the_new() {
    for is_before in [true, false] {
        let disk = Disk::new(is_before);
        assert_eq!(disk.slot(NEW.len()) < disk.slot(OLD.len()), is_before);
        assert_eq!(disk.repaired(|_| ()), OLD);
        assert_eq!(disk.repaired(|bytes| disk.without_temporary(bytes)), OLD, "as it is written");
        let both = |bytes: &mut [u8]| {
            disk.without_temporary(bytes);
            disk.with_new_content(bytes);
        };
        assert_eq!(disk.repaired(both), NEW);
        // The control: the other way round, and everything is gone.
        let wrong_way = disk.repaired(|bytes| disk.with_new_content(bytes));
        assert_eq!(wrong_way, if is_before { "" } else { NEW });
    }
}
