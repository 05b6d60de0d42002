//! A disk with two file systems of ext4 whose every write and flush is recorded.
//!
//! `qemu-storage-daemon` offers the disk as a file through FUSE and logs what happens to it; two loop
//! devices cut it into a root and a boot partition. They share one log, so that the order between both is
//! known, as on a machine with one disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use neuron_tests::disk::{Told, read_log};
use tempfile::TempDir;

const MIB: usize = 1024 * 1024;
/// Where the boot partition begins; the root lies before it.
const BOOT: usize = 24 * MIB;
const END: usize = BOOT + 12 * MIB;
/// How long a file system may stay in use.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a command and gives what it prints; anything but success is an error.
pub(crate) fn run(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("{command:?}: {}: {said}", output.status)))
}

/// The disk with what lies in `root` on it; what is in its `boot` becomes a file system of its own.
pub(crate) fn image(root: &Path) -> io::Result<Vec<u8>> {
    let scratch = neuron_tests::scratch()?;
    let (boot, mut disk) = (scratch.path().join("boot"), Vec::new());
    fs::rename(root.join("boot"), &boot)?;
    fs::create_dir(root.join("boot"))?;
    for (folder, size) in [(root, BOOT), (&boot, END - BOOT)] {
        let part = scratch.path().join("part");
        let mut command = Command::new("mke2fs");
        command.args(["-q", "-F", "-t", "ext4", "-b", "4096", "-J", "size=4"]);
        command.args(["-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0", "-d"]);
        run(command.arg(folder).arg(&part).arg(format!("{}k", size / 1024)))?;
        disk.extend(fs::read(&part)?);
        fs::remove_file(&part)?;
    }
    Ok(disk)
}

/// Both file systems, mounted. What is not unmounted is torn off when this is dropped.
pub(crate) struct Mounted {
    scratch: TempDir,
    loops: Vec<String>,
}

impl Mounted {
    /// Mounts the disk that lies in this file. The kernel plays the journals back.
    pub(crate) fn new(disk: &Path) -> io::Result<Self> {
        let mut mounted = Self { scratch: neuron_tests::scratch()?, loops: Vec::new() };
        let root = mounted.root();
        fs::create_dir(&root)?;
        for (from, to, place) in [(0, BOOT, root.clone()), (BOOT, END, root.join("boot"))] {
            let mut losetup = Command::new("losetup");
            losetup.args(["--find", "--show", "--offset", &from.to_string()]);
            let device = run(losetup.args(["--sizelimit", &(to - from).to_string()]).arg(disk))?;
            mounted.loops.push(device.trim().to_owned());
            // Without auto_da_alloc the kernel helps nobody who forgot to flush.
            let options = "noatime,noauto_da_alloc,nodiscard";
            run(Command::new("mount").args(["-t", "ext4", "-o", options, device.trim()]).arg(&place))?;
        }
        Ok(mounted)
    }

    /// Where the target is.
    pub(crate) fn root(&self) -> PathBuf {
        self.scratch.path().join("target")
    }

    /// Unmounts both; everything is on disk then. A process that was killed may hold a file for a moment
    /// longer.
    pub(crate) fn unmount(self) -> io::Result<()> {
        for place in [self.root().join("boot"), self.root()] {
            let end = Instant::now() + PATIENCE;
            while let Err(error) = run(Command::new("umount").arg(&place)) {
                if Instant::now() > end {
                    return Err(error);
                }
                thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // What is no longer mounted or attached is what is wanted.
        let quiet = |command: &mut Command| {
            let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        };
        quiet(Command::new("umount").args(["-q", "-l"]).arg(self.root().join("boot")));
        quiet(Command::new("umount").args(["-q", "-l"]).arg(self.root()));
        for device in &self.loops {
            quiet(Command::new("losetup").args(["-d", device]));
        }
    }
}

/// A disk that is recorded, mounted.
pub(crate) struct Recorder {
    // In this order: a daemon that goes first would leave file systems without a disk.
    mounted: Mounted,
    _daemon: Daemon,
    log: PathBuf,
    _scratch: TempDir,
}

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = i32::try_from(self.0.id()).map(nix::unistd::Pid::from_raw);
        if let Ok(pid) = pid {
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        }
        let _ = self.0.wait();
    }
}

impl Recorder {
    /// Begins to record a disk that holds this.
    pub(crate) fn new(disk: &[u8]) -> io::Result<Self> {
        let scratch = neuron_tests::scratch()?;
        let [file, log, shown] = ["disk", "log", "shown"].map(|name| scratch.path().join(name));
        fs::write(&file, disk)?;
        fs::write(&log, "")?;
        fs::write(&shown, "")?;
        let blockdev = |text: String| ["--blockdev".to_owned(), text];
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "qemu-storage-daemon"]);
        command.args(blockdev(format!("driver=file,node-name=disk,filename={}", file.display())));
        command.args(blockdev(format!("driver=file,node-name=log,filename={}", log.display())));
        command.args(blockdev("driver=blklogwrites,node-name=logged,file=disk,log=log".to_owned()));
        let export = format!("type=fuse,id=x,node-name=logged,mountpoint={},writable=on", shown.display());
        let child = command.args(["--export", &export]).stdin(Stdio::null()).spawn()?;
        let daemon = Daemon(child);
        let end = Instant::now() + Duration::from_secs(20);
        while fs::metadata(&shown)?.len() != disk.len() as u64 {
            if Instant::now() > end {
                return Err(io::Error::other("qemu-storage-daemon does not show its disk through FUSE"));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Self { mounted: Mounted::new(&shown)?, _daemon: daemon, log, _scratch: scratch })
    }

    /// Where the target is.
    pub(crate) fn root(&self) -> PathBuf {
        self.mounted.root()
    }

    /// Everything that the disk was told up to now.
    pub(crate) fn told(&self) -> io::Result<Vec<Told>> {
        read_log(&self.log)
    }
}

/// The bytes of both file systems.
pub(crate) fn parts(disk: &[u8]) -> [&[u8]; 2] {
    let (root, boot) = disk.split_at(BOOT);
    [root, boot]
}
