//! Booting: QEMU with a deadline, one at a time, and none that outlives its test.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::kernel::{Kernel, cache};
use crate::machine::Machine;

/// How long a boot may take. Emulated on a busy machine it is some twenty seconds.
const DEADLINE: Duration = Duration::from_secs(300);
/// How long it may take to see whether virtualization works.
const PROBE: Duration = Duration::from_secs(10);

/// How a boot ended.
#[derive(Debug)]
pub(crate) struct Boot {
    /// What the console showed.
    pub(crate) console: String,
    /// The exit code of QEMU; none if the deadline killed it.
    pub(crate) code: Option<i32>,
    /// How long it took.
    pub(crate) took: Duration,
}

/// A running QEMU; goes when it is dropped, and when the thread that started it goes.
struct Running(Child);

impl Running {
    fn start(arguments: &[String]) -> io::Result<Self> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]).args(arguments);
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().map(Self).map_err(|error| {
            io::Error::other(format!("cannot start qemu-system-x86_64 through setpriv (util-linux): {error}"))
        })
    }

    /// The exit code, unless the deadline comes first.
    fn wait(&mut self, deadline: Duration) -> io::Result<Option<i32>> {
        let end = Instant::now() + deadline;
        while Instant::now() < end {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status.code().unwrap_or(-1)));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(None)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(group) = i32::try_from(self.0.id()) {
            // Gone already is what is wanted.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = self.0.wait();
    }
}

/// The accelerator: KVM where a kernel was seen to boot with it, else emulation.
pub(crate) fn accelerator(kernel: &Kernel) -> &'static str {
    static FOUND: OnceLock<&str> = OnceLock::new();
    FOUND.get_or_init(|| {
        // /dev/kvm being there proves nothing.
        let found = if boots_with_kvm(kernel).unwrap_or(false) { "kvm" } else { "tcg,thread=multi" };
        println!("lab: accelerator {found}");
        found
    })
}

/// Whether a kernel without a root panics within seconds, which ends QEMU.
fn boots_with_kvm(kernel: &Kernel) -> io::Result<bool> {
    if File::options().read(true).write(true).open("/dev/kvm").is_err() {
        return Ok(false);
    }
    let console = tempfile::NamedTempFile::new()?;
    let mut arguments = words("-accel kvm -M q35 -cpu max -m 512 -display none -nodefaults -no-reboot");
    arguments.extend(serial(console.path()));
    arguments.extend(["-kernel".to_owned(), kernel.image.display().to_string()]);
    arguments.extend(["-append".to_owned(), "console=ttyS0 panic=-1".to_owned()]);
    let ended = Running::start(&arguments)?.wait(PROBE)?.is_some();
    Ok(ended && fs::read_to_string(console.path())?.contains("Kernel panic"))
}

/// Boots a machine with an initramfs, and waits for its end.
pub(crate) fn boot(
    kernel: &Kernel,
    machine: &Machine,
    initramfs: &[u8],
    parameters: &str,
) -> io::Result<Boot> {
    let accelerator = accelerator(kernel);
    fs::create_dir_all(cache())?;
    let lock = File::create(cache().join("one-at-a-time"))?;
    let lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| io::Error::from(error))?;
    let scratch = neuron_tests::scratch()?;
    let (image, console) = (scratch.path().join("initramfs"), scratch.path().join("console"));
    fs::write(&image, initramfs)?;
    let mut arguments = words("-m 1024 -smp 2 -display none -nodefaults -no-reboot -vga none");
    arguments.extend(["-accel".to_owned(), accelerator.to_owned()]);
    arguments.extend(words("-device isa-debug-exit,iobase=0xf4,iosize=0x04"));
    arguments.extend(serial(&console));
    arguments.extend(machine.arguments());
    arguments.extend(["-kernel".to_owned(), kernel.image.display().to_string()]);
    arguments.extend(["-initrd".to_owned(), image.display().to_string()]);
    let always = "console=ttyS0 quiet loglevel=1 no_timer_check panic=-1 rdinit=/init";
    arguments.extend(["-append".to_owned(), format!("{always} {} {parameters}", machine.parameters())]);
    let begun = Instant::now();
    let mut running = Running::start(&arguments)?;
    let code = running.wait(DEADLINE)?;
    let took = begun.elapsed();
    let mut complaints = String::new();
    if let Some(mut stderr) = running.0.stderr.take() {
        drop(running);
        io::Read::read_to_string(&mut stderr, &mut complaints)?;
    }
    drop(lock);
    let console = String::from_utf8_lossy(&fs::read(&console).unwrap_or_default()).into_owned();
    Ok(Boot { console: console + &complaints, code, took })
}

fn serial(console: &Path) -> [String; 2] {
    ["-serial".to_owned(), format!("file:{}", console.display())]
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
