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
/// How the paths of the module's devices begin.
const DEVICE: &str = "/dev/kvmfr";
/// What the host application writes into the memory first, with its release behind.
const KVMFR_MAGIC: &[u8] = b"KVMFR---";
/// How far behind the beginning of the memory that stands at most.
const HEADER: u64 = 1 << 16;

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
            files: Memories::read(target)?.files,
            kernel: machine.attribute("proc/sys/kernel/osrelease")?,
            has_kvmfr: machine.exists("sys/module/kvmfr")?,
        })
    }
}

/// The memory that is there, with who uses it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memories {
    /// The files and devices, by their path.
    pub files: BTreeMap<String, File>,
    /// Whether every process could be asked what it has mapped; else others may use them, too.
    pub sees_everybody: bool,
}

impl Memories {
    /// Looks at a running system.
    pub fn read(system: &Root) -> Result<Self, FactsError> {
        let mut files = BTreeMap::new();
        for (folder, name) in [(FOLDER, NAME), ("/dev", "kvmfr")] {
            for found in
                system.list(folder)?.unwrap_or_default().iter().filter(|found| found.starts_with(name))
            {
                let path = format!("{folder}/{found}");
                if let Some(node) = system.node(&path)? {
                    files.insert(path, File { node, holders: Vec::new() });
                }
            }
        }
        // An empty file is nobody's yet.
        if files.values().all(|file| file.node.kind == NodeKind::File && file.node.size == 0) {
            return Ok(Self { files, sees_everybody: true });
        }
        let (holders, sees_everybody) = holders(system)?;
        for (path, holder) in holders {
            if let Some(file) = files.get_mut(&path) {
                file.holders.push(holder);
            }
        }
        Ok(Self { files, sees_everybody })
    }
}

/// The release of Looking Glass's host application that last wrote into a memory, as it calls itself;
/// `None` where none did, where it cannot be read, and for a device of the module, which only who shows
/// the picture should open.
pub fn host_release(system: &Root, path: &str) -> Option<String> {
    let start = system.read_start(path, HEADER).ok().flatten()?;
    let at = start.windows(KVMFR_MAGIC.len()).position(|window| window == KVMFR_MAGIC)?;
    // A number of the protocol stands between the two. Source: Looking Glass's `KVMFR.h`.
    let release = start.get(at + KVMFR_MAGIC.len() + 4..)?.get(..32)?;
    let release = release.split(|byte| *byte == 0).next()?;
    let is_word = !release.is_empty() && release.iter().all(u8::is_ascii_graphic);
    is_word.then(|| String::from_utf8_lossy(release).into_owned())
}

/// The virtual machines that run under QEMU, which everybody sees; `None` where `/proc` shows nobody the
/// processes of others (`hidepid`).
pub fn running(system: &Root) -> Result<Option<Vec<String>>, FactsError> {
    if !matches!(system.read("proc/1/comm"), Ok(Some(_))) {
        return Ok(None);
    }
    let mut found = Vec::new();
    for pid in processes(system)? {
        let of = |name: &str| system.read(&format!("proc/{pid}/{name}")).ok().flatten().unwrap_or_default();
        if of("comm").starts_with(b"qemu-")
            && let Some(vm) = vm(&of("cmdline"))
        {
            found.push(vm);
        }
    }
    Ok(Some(found))
}

/// The numbers of the processes that run.
pub(super) fn processes(system: &Root) -> Result<Vec<u32>, FactsError> {
    Ok(system.list("proc")?.unwrap_or_default().iter().filter_map(|name| name.parse().ok()).collect())
}

/// Who has which memory mapped, and whether everybody could be asked. Processes that end meanwhile are
/// left out.
fn holders(system: &Root) -> Result<(Vec<(String, Holder)>, bool), FactsError> {
    let (mut found, mut sees_everybody) = (Vec::new(), true);
    for pid in processes(system)? {
        let read = |name: &str| system.read(&format!("proc/{pid}/{name}"));
        let of = |name: &str| read(name).ok().flatten().unwrap_or_default();
        let maps = read("maps").unwrap_or_else(|error| {
            sees_everybody &= error.source.kind() != std::io::ErrorKind::PermissionDenied;
            None
        });
        let maps = maps.unwrap_or_default();
        let maps = String::from_utf8_lossy(&maps);
        let mut paths: Vec<&str> = maps.lines().filter_map(mapped).collect();
        paths.sort_unstable();
        paths.dedup();
        for path in paths {
            let program = String::from_utf8_lossy(&of("comm")).trim().to_owned();
            found.push((path.to_owned(), Holder { pid, program, vm: vm(&of("cmdline")) }));
        }
    }
    Ok((found, sees_everybody))
}

/// The memory of Looking Glass that a line of `/proc/PID/maps` is about. One that was taken away since
/// has a word more behind its path.
fn mapped(line: &str) -> Option<&str> {
    let path = line.split_whitespace().nth(5)?;
    let is_file = || path.strip_prefix(FOLDER)?.strip_prefix('/')?.starts_with(NAME).then_some(());
    let is_memory = path.starts_with(DEVICE) || is_file().is_some();
    (is_memory && line.ends_with(path)).then_some(path)
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
        let Memories { files, sees_everybody } = Memories::read(&root).unwrap();
        assert!(sees_everybody);
        let names: Vec<&String> = files.keys().collect();
        assert_eq!(names, ["/dev/shm/looking-glass", "/dev/shm/looking-glass-b"]);
        assert_eq!(files["/dev/shm/looking-glass"].node.size, 7);
        let holder =
            Holder { pid: 10, program: "qemu-system-x86".to_owned(), vm: Some("windows11".to_owned()) };
        assert_eq!(files["/dev/shm/looking-glass"].holders, [holder]);
        assert_eq!(files["/dev/shm/looking-glass-b"].holders, []);
        assert_eq!(running(&root).unwrap(), None);
        write("proc/1/comm", b"systemd\n");
        assert_eq!(running(&root).unwrap(), Some(vec!["windows11".to_owned()]));
        // Not the running system: nothing is known of it.
        assert_eq!(SharedMemory::read(&root, &root).unwrap(), SharedMemory::default());
    }

    #[test]
    fn the_host_application_signs_the_memory() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("dev/shm")).unwrap();
        let root = Root::directory(dir.path()).unwrap();
        let path = "/dev/shm/looking-glass";
        let release = |begin: &[&[u8]]| {
            let mut bytes = begin.concat();
            bytes.resize(1 << 17, 0);
            std::fs::write(dir.path().join("dev/shm/looking-glass"), bytes).unwrap();
            host_release(&root, path)
        };
        let before = [7; 1700];
        assert_eq!(release(&[&before, b"KVMFR---", &[20, 0, 0, 0], b"B7"]).as_deref(), Some("B7"));
        let long = [b'x'; 40];
        assert_eq!(release(&[&before, b"KVMFR---", &[20, 0, 0, 0], &long]), Some("x".repeat(32)));
        assert_eq!(release(&[&before]), None);
        assert_eq!(release(&[&before, b"KVMFR---", &[20, 0, 0, 0]]), None);
        assert_eq!(release(&[&before, b"KVMFR---", &[20, 0, 0, 0], b"B\x1b[7m"]), None);
        assert_eq!(release(&[&vec![0; 1 << 16], b"KVMFR---", &[20, 0, 0, 0], b"B7"]), None);
        std::fs::write(dir.path().join("dev/shm/looking-glass"), b"KVMFR---").unwrap();
        assert_eq!(host_release(&root, path), None);
        assert_eq!(host_release(&root, "/dev/shm/other"), None);
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
