//! What the running system has of Looking Glass's memory, where it is the target: steps that take
//! effect at once depend on it.
//!
//! Not part of [`super::Machine`]: it names processes, which a capture must not hold.

use std::collections::BTreeMap;

use super::FactsError;
use crate::root::Root;

pub use crate::root::{Node, NodeKind};

/// Where files of shared memory lie.
pub const FOLDER: &str = "/dev/shm";
/// How the names of Looking Glass's begin.
pub const NAME: &str = "looking-glass";

/// Looking Glass's memory as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SharedMemory {
    /// Whether the target is the system that runs, under systemd: only then is the rest known, and
    /// does a program that is run there do anything before the next boot.
    pub is_here: bool,
    /// The files, by their path.
    pub files: BTreeMap<String, File>,
    /// The release of the kernel that runs.
    pub kernel: Option<String>,
    /// Whether the module kvmfr is loaded.
    pub has_kvmfr: bool,
}

/// One file of shared memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// What it is.
    pub node: Node,
    /// Who has it mapped, as far as whoever asks may see.
    pub holders: Vec<Holder>,
}

/// A process that has a file mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// What it calls itself.
    pub program: String,
    /// The virtual machine that it runs, where it is QEMU.
    pub vm: Option<String>,
}

impl SharedMemory {
    /// Looks at the running system, if it is the target.
    pub fn read(machine: &Root, target: &Root) -> Result<Self, FactsError> {
        let is_here =
            target.path() == Some(std::path::Path::new("/")) && machine.exists("run/systemd/system")?;
        if !is_here {
            return Ok(Self::default());
        }
        Ok(Self {
            is_here,
            files: files(target, machine)?,
            kernel: machine.attribute("proc/sys/kernel/osrelease")?,
            has_kvmfr: machine.exists("sys/module/kvmfr")?,
        })
    }
}

/// The memory that is there, with who uses it.
pub fn files(target: &Root, machine: &Root) -> Result<BTreeMap<String, File>, FactsError> {
    let mut files = BTreeMap::new();
    for name in target.list(FOLDER)?.unwrap_or_default().iter().filter(|name| name.starts_with(NAME)) {
        let path = format!("{FOLDER}/{name}");
        if let Some(node) = target.node(&path)? {
            files.insert(path, File { node, holders: Vec::new() });
        }
    }
    // An empty file is nobody's yet.
    if files.values().any(|file| file.node.size > 0) {
        for (path, holder) in holders(machine)? {
            if let Some(file) = files.get_mut(&path) {
                file.holders.push(holder);
            }
        }
    }
    Ok(files)
}

/// Who has which memory mapped. Processes that end meanwhile, or that only root may look at, are left
/// out.
fn holders(machine: &Root) -> Result<Vec<(String, Holder)>, FactsError> {
    let mut found = Vec::new();
    for pid in machine.list("proc")?.unwrap_or_default().iter().filter_map(|name| name.parse::<u32>().ok()) {
        let of = |name: &str| machine.read(&format!("proc/{pid}/{name}")).ok().flatten().unwrap_or_default();
        let maps = of("maps");
        let maps = String::from_utf8_lossy(&maps);
        let mut paths: Vec<&str> = maps.lines().filter_map(mapped).collect();
        paths.sort_unstable();
        paths.dedup();
        for path in paths {
            let program = String::from_utf8_lossy(&of("comm")).trim().to_owned();
            found.push((path.to_owned(), Holder { pid, program, vm: vm(&of("cmdline")) }));
        }
    }
    Ok(found)
}

/// The memory of Looking Glass that a line of `/proc/PID/maps` is about. One that was taken away since
/// has a word more behind its path.
fn mapped(line: &str) -> Option<&str> {
    let path = line.split_whitespace().nth(5)?;
    let name = path.strip_prefix(FOLDER)?.strip_prefix('/')?;
    (name.starts_with(NAME) && line.ends_with(path)).then_some(path)
}

/// The virtual machine that a QEMU runs: libvirt starts it with `-name guest=NAME,...`.
fn vm(command_line: &[u8]) -> Option<String> {
    let words: Vec<_> = command_line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let at = words.iter().position(|word| word == "-name")?;
    let name = words.get(at + 1)?;
    let name = name.strip_prefix("guest=").unwrap_or(name);
    Some(name.split(',').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_it_mapped_is_found_by_its_whole_path() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &[u8]| {
            let file = dir.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        write("dev/shm/looking-glass", b"picture");
        write("dev/shm/looking-glass-b", b"");
        write("dev/shm/sem.other", b"x");
        let maps =
            |path: &str| format!("7f00-7f01 rw-s 00000000 00:1a 12 {path}\n7f01-7f02 r--p 0 00:00 0\n");
        write("proc/10/maps", (maps("/dev/shm/looking-glass") + &maps("/dev/shm/looking-glass")).as_bytes());
        write("proc/10/comm", b"qemu-system-x86\n");
        write(
            "proc/10/cmdline",
            b"/usr/bin/qemu-system-x86_64\0-name\0guest=windows11,debug-threads=on\0-S\0",
        );
        write("proc/11/maps", maps("/dev/shm/looking-glass (deleted)").as_bytes());
        write("proc/12/maps", maps("/home/looking-glass").as_bytes());
        write("proc/self/maps", maps("/dev/shm/looking-glass").as_bytes());
        let root = Root::directory(dir.path()).unwrap();
        let files = files(&root, &root).unwrap();
        let names: Vec<&String> = files.keys().collect();
        assert_eq!(names, ["/dev/shm/looking-glass", "/dev/shm/looking-glass-b"]);
        assert_eq!(files["/dev/shm/looking-glass"].node.size, 7);
        let holder =
            Holder { pid: 10, program: "qemu-system-x86".to_owned(), vm: Some("windows11".to_owned()) };
        assert_eq!(files["/dev/shm/looking-glass"].holders, [holder]);
        assert_eq!(files["/dev/shm/looking-glass-b"].holders, []);
        // Not the running system: nothing is known of it.
        assert_eq!(SharedMemory::read(&root, &root).unwrap(), SharedMemory::default());
    }

    #[test]
    fn a_name_is_read_as_qemu_takes_it() {
        for (words, wanted) in [
            ("qemu\0-name\0guest=a,debug-threads=on", Some("a")),
            ("qemu\0-name\0b", Some("b")),
            ("qemu\0-name", None),
            ("cat\0x", None),
        ] {
            assert_eq!(vm(words.as_bytes()).as_deref(), wanted);
        }
    }
}
