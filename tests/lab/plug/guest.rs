//! The machine whose plug is pulled: its initramfs, and its disks.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use neuron_tests::disk::{Told, read_log};
use neuron_tests::scenario::Ground;
use neuron_tests::story::seen;
use neuron_tests::tree::Tree;

use super::disk::{ESP, Kind, MACHINE, PARAMETERS};
use crate::archive::Archive;
use crate::case::libraries;
use crate::kernel::{Kernel, run};
use crate::program;
use crate::qemu::{self, On, QUICK, direct, words};

const MIB: usize = 1024 * 1024;

/// What is loaded, in this order.
const MODULES: [&str; 8] =
    ["virtio_pci", "virtio_blk", "crc32c_generic", "ext4", "vfat", "nls_cp437", "nls_ascii", "loop"];

/// OVMF, and its variables as they are in a new machine (package ovmf).
const FIRMWARE: [&str; 2] = ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"];

/// The kernel, fetched once.
pub(super) fn kernel() -> io::Result<&'static Kernel> {
    static KERNEL: OnceLock<Result<Kernel, String>> = OnceLock::new();
    KERNEL
        .get_or_init(|| Kernel::with("-disks", &MODULES).map_err(|error| error.to_string()))
        .as_ref()
        .map_err(|error| io::Error::other(error.as_str()))
}

/// The image that lies on the disk and is started without one.
pub(super) fn initramfs(kernel: &Kernel, kind: Kind) -> io::Result<Vec<u8>> {
    let mut archive = Archive::default();
    let busybox = run(Command::new("sh").args(["-c", "command -v busybox"]))?;
    archive.copy_to(Path::new(busybox.trim()), "/bin/busybox")?;
    archive.copy_to(program::built()?, "/lab/neuron-provisioner")?;
    archive.file("/lab/machine", 0o644, &captured()?);
    add_program(&mut archive, "fsck.fat")?;
    archive.file("/lab/modules", 0o644, MODULES.join(" ").as_bytes());
    let layout = format!("esp={ESP}\nroot={}\nend={}\nroom={}\n", kind.root(), kind.end(), kind.room());
    archive.file("/lab/layout", 0o644, layout.as_bytes());
    let modules = format!("lib/modules/{}", kernel.release);
    for entry in fs::read_dir(kernel.root.join(&modules))? {
        let entry = entry?;
        archive.copy_to(&entry.path(), &format!("/{modules}/{}", entry.file_name().to_string_lossy()))?;
    }
    // At the end: half an image has none.
    archive.copy_to(&neuron_tests::tests_folder().join("lab/guest/plug"), "/init")?;
    Ok(archive.finish())
}

/// What the program reads as the machine.
fn captured() -> io::Result<Vec<u8>> {
    let ground = Ground::new(MACHINE, "empty")?;
    let file = ground.beside("captured");
    let mut capture = Command::new(neuron_tests::program::path()?);
    capture.arg("--machine-root").arg(ground.machine()).arg("--target-root").arg(ground.target());
    run(capture.arg("capture").arg("--output").arg(&file))?;
    fs::read(file)
}

/// strace, with arguments of its own, for the machine.
pub(super) fn strace(arguments: &[String]) -> io::Result<Vec<u8>> {
    let mut archive = Archive::default();
    add_program(&mut archive, "strace")?;
    archive.file("/lab/strace", 0o644, arguments.join(" ").as_bytes());
    Ok(archive.finish())
}

/// A program of this system with what it needs.
fn add_program(archive: &mut Archive, name: &str) -> io::Result<()> {
    // A plain user has not got all of them on the path.
    let look = format!("PATH=$PATH:/usr/sbin:/sbin; command -v {name}");
    let program = run(Command::new("sh").args(["-c", &look]))?;
    let program = Path::new(program.trim());
    archive.copy_to(program, &format!("/usr/bin/{name}"))?;
    libraries(program).iter().try_for_each(|library| archive.copy(library))
}

/// What starts a machine.
pub(super) enum Start<'a> {
    /// A kernel from outside, with an image that does this.
    Job(&'a str, Vec<u8>),
    /// The firmware, and what it finds on the disk.
    Firmware,
}

/// A machine that is on, with a disk that is recorded and one on which it hands out what it finds.
pub(super) struct Machine {
    on: On,
    scratch: tempfile::TempDir,
    kind: Kind,
}

/// How long a step may take.
fn limit() -> io::Result<Duration> {
    // A boot by firmware, an apply and a revert are a few boots long.
    Ok(qemu::deadline(&kernel()?.image)? * 2)
}

impl Machine {
    /// Turns a machine on.
    pub(super) fn new(kind: Kind, disk: &[u8], start: Start<'_>) -> io::Result<Self> {
        let scratch = neuron_tests::scratch()?;
        let place = |name: &str| scratch.path().join(name);
        let file = File::create(place("disk"))?;
        file.set_len(disk.len() as u64)?;
        write_sparse(&file, 0, disk)?;
        File::create(place("log"))?;
        let mut arguments = words("-M q35 -cpu max -m 512 -smp 1");
        for (name, file) in [("disk", place("disk")), ("log", place("log"))] {
            let node = format!("driver=file,node-name={name},filename={}", file.display());
            arguments.extend(["-blockdev".to_owned(), node]);
        }
        arguments.extend(words("-blockdev driver=blklogwrites,node-name=logged,file=disk,log=log"));
        arguments.extend(words("-device virtio-blk-pci,drive=logged,write-cache=on,bootindex=1"));
        Self::turn_on(scratch, kind, arguments, 4, start)
    }

    fn turn_on(
        scratch: tempfile::TempDir,
        kind: Kind,
        mut arguments: Vec<String>,
        trees: usize,
        start: Start<'_>,
    ) -> io::Result<Self> {
        let kernel = kernel()?;
        let place = |name: &str| scratch.path().join(name);
        File::create(place("out"))?.set_len((trees * kind.room() * MIB) as u64)?;
        arguments.extend(plain(&place("out")));
        match start {
            Start::Job(job, image) => {
                fs::write(place("initramfs"), image)?;
                let parameters = format!("{PARAMETERS} {QUICK} lab.job={job}");
                arguments.extend(direct(&kernel.unpacked, &place("initramfs"), &parameters));
            }
            Start::Firmware => {
                let [code, variables] = FIRMWARE;
                fs::copy(variables, place("variables")).map_err(|error| {
                    io::Error::other(format!("cannot copy {variables} (package ovmf): {error}"))
                })?;
                for (file, more) in [(PathBuf::from(code), ",readonly=on"), (place("variables"), "")] {
                    let drive = format!("if=pflash,format=raw,file={}{more}", file.display());
                    arguments.extend(["-drive".to_owned(), drive]);
                }
            }
        }
        let on = On::new(&kernel.image, arguments, Stdio::null())?;
        Ok(Self { on, scratch, kind })
    }

    /// Waits for a word on the console.
    pub(super) fn wait_for(&mut self, word: &str) -> io::Result<()> {
        let limit = limit()?;
        self.on
            .wait_until(limit, |on| Ok(on.console()?.contains(word)))
            .map_err(|error| io::Error::other(format!("waiting for {word}: {error}")))
    }

    /// What the console showed so far.
    pub(super) fn console(&self) -> io::Result<String> {
        self.on.console()
    }

    /// What the disk was told so far.
    pub(super) fn told(&self) -> io::Result<Vec<Told>> {
        read_log(&self.scratch.path().join("log"))
    }

    /// How many bytes the disk's record is long.
    pub(super) fn recorded(&self) -> io::Result<u64> {
        Ok(fs::metadata(self.scratch.path().join("log"))?.len())
    }

    /// Waits until the disk's record is so long, or the machine is done.
    pub(super) fn wait_for_record(&mut self, bytes: u64) -> io::Result<()> {
        let limit = limit()?;
        let log = self.scratch.path().join("log");
        self.on.wait_until(limit, |on| {
            Ok(fs::metadata(&log)?.len() >= bytes || on.console()?.contains("LAB-DONE"))
        })
    }

    /// Pulls the plug: QEMU is killed by the signal that nobody can catch. Gives what its disk was told.
    pub(super) fn pull(self) -> Pulled {
        let Self { on, scratch, kind } = self;
        drop(on);
        Pulled { scratch, kind }
    }
}

/// What is left of a machine without power.
pub(super) struct Pulled {
    scratch: tempfile::TempDir,
    kind: Kind,
}

impl Pulled {
    /// Everything that the disk was told.
    pub(super) fn told(&self) -> io::Result<Vec<Told>> {
        read_log(&self.scratch.path().join("log"))
    }

    /// A folder that was handed out, unpacked; nothing where that number never was.
    pub(super) fn folder(&self, number: usize) -> io::Result<Option<tempfile::TempDir>> {
        let file = File::open(self.scratch.path().join("out"))?;
        let mut bytes = vec![0; self.kind.room() * MIB];
        let at = number * bytes.len();
        file.read_exact_at(&mut bytes, at as u64)?;
        if bytes.starts_with(&[0; 512]) {
            return Ok(None);
        }
        let folder = neuron_tests::scratch()?;
        let archive = self.scratch.path().join("archive");
        fs::write(&archive, bytes)?;
        let mut cpio = Command::new("busybox");
        run(cpio.args(["cpio", "-i", "-d", "-F"]).arg(&archive).current_dir(folder.path()))?;
        Ok(Some(folder))
    }

    /// A target that was handed out, as somebody sees it who boots it.
    pub(super) fn seen(&self, number: usize) -> io::Result<Tree> {
        let folder = self.folder(number)?;
        let folder = folder.ok_or_else(|| io::Error::other(format!("tree {number} was never handed out")))?;
        seen(folder.path())
    }
}

/// Many disks, that one machine looks at with its own drivers.
pub(super) struct Looks {
    scratch: tempfile::TempDir,
    file: File,
    kind: Kind,
    verbs: Vec<Option<&'static str>>,
}

impl Looks {
    /// None yet.
    pub(super) fn new(kind: Kind) -> io::Result<Self> {
        let scratch = neuron_tests::scratch()?;
        let file = File::create(scratch.path().join("disk"))?;
        Ok(Self { scratch, file, kind, verbs: Vec::new() })
    }

    /// One more disk; this is run there once it was looked at.
    pub(super) fn add(&mut self, disk: &[u8], verb: Option<&'static str>) -> io::Result<()> {
        write_sparse(&self.file, self.verbs.len() * self.kind.end(), disk)?;
        self.verbs.push(verb);
        Ok(())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.verbs.len()
    }

    /// Looks at all of them.
    pub(super) fn look(self) -> io::Result<Looked> {
        self.file.set_len((self.len() * self.kind.end()) as u64)?;
        let mut archive = Archive::default();
        let lines = self.verbs.iter().fold(String::new(), |all, verb| all + verb.unwrap_or("look") + "\n");
        archive.file("/lab/looks", 0o644, lines.as_bytes());
        let image = [initramfs(kernel()?, self.kind)?, archive.finish()].concat();
        let mut arguments = words("-M q35 -cpu max -m 512 -smp 1");
        arguments.extend(plain(&self.scratch.path().join("disk")));
        let (trees, start) = (3 * self.len(), Start::Job("looks", image));
        let mut machine = Machine::turn_on(self.scratch, self.kind, arguments, trees, start)?;
        // Each of them in the time of a boot: more than ten times what it takes.
        for number in 0..self.verbs.len() {
            machine.wait_for(&format!("LOOK {number} "))?;
        }
        machine.wait_for("LAB-DONE")?;
        let console = machine.console()?;
        Ok(Looked { pulled: machine.pull(), console })
    }
}

/// What a machine handed out that looked at many disks.
pub(super) struct Looked {
    pulled: Pulled,
    /// What it showed.
    pub(super) console: String,
}

impl Looked {
    /// The target on a disk as it was left; nothing where that does not mount.
    pub(super) fn target(&self, number: usize) -> io::Result<Option<tempfile::TempDir>> {
        self.pulled.folder(3 * number)
    }

    /// The target after its FAT was repaired.
    pub(super) fn repaired(&self, number: usize) -> io::Result<Option<tempfile::TempDir>> {
        self.pulled.folder(3 * number + 1)
    }

    /// How the verb ended on a disk, and what the target was then.
    pub(super) fn after(&self, number: usize) -> io::Result<(i32, Tree)> {
        let line = self.console.lines().find_map(|line| line.strip_prefix(&format!("LOOK {number} ")));
        let code = line.and_then(|line| line.trim().parse().ok());
        let code =
            code.ok_or_else(|| io::Error::other(format!("disk {number}: {line:?} is no end of a run")))?;
        Ok((code, self.pulled.seen(3 * number + 2)?))
    }
}

/// A disk of which nothing is recorded.
fn plain(file: &Path) -> [String; 2] {
    ["-drive".to_owned(), format!("if=virtio,format=raw,cache=unsafe,file={}", file.display())]
}

/// Writes bytes into a file; where they are zero it takes no room.
fn write_sparse(file: &File, at: usize, bytes: &[u8]) -> io::Result<()> {
    const PAGE: usize = 4096;
    for (number, page) in bytes.chunks(PAGE).enumerate() {
        if page != &[0; PAGE][..page.len()] {
            file.write_all_at(page, (at + number * PAGE) as u64)?;
        }
    }
    Ok(())
}
