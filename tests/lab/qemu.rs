//! Booting: QEMU with a deadline, one at a time (or as many as there are places), and none that outlives its test.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::{Rc, Weak};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::kernel::{self, Kernel, cache};
use crate::machine::{INTEL_IOMMU, Machine};
use crate::monitor::Monitor;

/// How long a boot may take at least. Emulated it is some five seconds, on a busy machine thirty.
const DEADLINE: Duration = Duration::from_secs(300);
/// How many times as long as a kernel needs to find that it has no root.
const PROBES: u32 = 40;
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

/// Who died before the signal was asked for would never send it.
const STILL_THERE: &str = r#"[ "$PPID" = "$0" ] && exec qemu-system-x86_64 "$@""#;

/// A running QEMU; goes when it is dropped, and when the thread that started it goes.
struct Running(Child);

impl Running {
    /// Its standard input is the initramfs, if it gets one, and its standard output the console.
    fn start(arguments: &[String], input: Stdio, console: &File) -> io::Result<Self> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "sh", "-c", STILL_THERE, &std::process::id().to_string()]);
        command.args(arguments);
        command.process_group(0).stdin(input).stdout(console.try_clone()?).stderr(Stdio::piped());
        command.spawn().map(Self).map_err(|error| {
            io::Error::other(format!("cannot start qemu-system-x86_64 through setpriv (util-linux): {error}"))
        })
    }

    /// The exit code, unless the deadline comes first.
    fn wait(&mut self, deadline: Duration) -> io::Result<Option<i32>> {
        self.watched(deadline, &mut || ())
    }

    /// The same with somebody who looks on, about every second.
    fn watched(&mut self, deadline: Duration, look: &mut dyn FnMut()) -> io::Result<Option<i32>> {
        let begun = Instant::now();
        let mut looked = begun;
        while begun.elapsed() < deadline {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status.code().unwrap_or(-1)));
            }
            if looked.elapsed() > Duration::from_secs(1) {
                looked = Instant::now();
                look();
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

/// Intel's IOMMU remaps interrupts only where they are not all delivered by the kernel.
const KVM: &str = "kvm,kernel-irqchip=split";

/// What makes the processor, and how long a kernel needed with it.
#[derive(Debug, Clone, Copy)]
struct Accelerator {
    name: &'static str,
    probe: Duration,
}

/// KVM where a kernel was seen to boot with it, else emulation: /dev/kvm being there proves nothing.
fn measured(kernel: &Path) -> io::Result<Accelerator> {
    static FOUND: OnceLock<Result<Accelerator, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let has_kvm = File::options().read(true).write(true).open("/dev/kvm").is_ok();
        for (name, limit) in [(KVM, PROBE), ("tcg,thread=multi", DEADLINE)] {
            if name == KVM && !has_kvm {
                continue;
            }
            match panics(kernel, name, limit) {
                Ok(Some(probe)) => {
                    println!(
                        "lab: accelerator {name}, a kernel without a root in {:.1} s",
                        probe.as_secs_f32()
                    );
                    return Ok(Accelerator { name, probe });
                }
                Ok(None) => println!("lab: no kernel boots with {name}"),
                Err(error) => return Err(error.to_string()),
            }
        }
        Err("no kernel boots here, not even emulated".to_owned())
    });
    found.clone().map_err(io::Error::other)
}

/// The accelerator that works here.
pub(crate) fn accelerator(kernel: &Path) -> io::Result<&'static str> {
    Ok(measured(kernel)?.name)
}

/// How long a boot may take here: what is slow or busy gets more.
pub(crate) fn deadline(kernel: &Path) -> io::Result<Duration> {
    limit(kernel, DEADLINE, PROBES)
}

/// At least so long, and so many times what a kernel needs to find that it has no root.
pub(crate) fn limit(kernel: &Path, least: Duration, probes: u32) -> io::Result<Duration> {
    Ok(least.max(measured(kernel)?.probe * probes))
}

/// How long a kernel took to panic for want of a root, which ends QEMU.
fn panics(kernel: &Path, accelerator: &str, limit: Duration) -> io::Result<Option<Duration>> {
    let console = anonymous()?;
    let mut arguments =
        words("-M q35 -cpu max -m 512 -display none -nodefaults -no-reboot -serial file:/dev/stdout");
    arguments.extend(["-device", INTEL_IOMMU].map(str::to_owned));
    arguments.extend(["-accel".to_owned(), accelerator.to_owned()]);
    arguments.extend(["-kernel".to_owned(), kernel.display().to_string()]);
    arguments.extend(["-append".to_owned(), "console=ttyS0 panic=-1".to_owned()]);
    let begun = Instant::now();
    let ended = Running::start(&arguments, Stdio::null(), &console)?.wait(limit)?.is_some();
    let took = begun.elapsed();
    Ok((ended && content(&console)?.contains("Kernel panic")).then_some(took))
}

/// What a machine has beside its cards.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Equipment {
    /// Arguments of QEMU.
    pub(crate) arguments: &'static str,
    /// How many times as long as a plain boot it may take.
    pub(crate) patience: u32,
}

impl Equipment {
    /// A second processor costs as much as the first, and few ask for one.
    pub(crate) const SMALL: Self = Self { arguments: "-m 512 -smp 1", patience: 1 };
}

/// Boots a machine with an initramfs, and waits for its end.
pub(crate) fn boot(
    kernel: &Kernel,
    machine: &Machine,
    equipment: Equipment,
    initramfs: &[u8],
    parameters: &str,
) -> io::Result<Boot> {
    let mut arguments = words("-device isa-debug-exit,iobase=0xf4,iosize=0x04");
    arguments.extend(words(equipment.arguments));
    arguments.extend(machine.arguments());
    let always = "console=ttyS0 quiet loglevel=1 no_timer_check panic=-1 rdinit=/init";
    let parameters = format!("{always} {QUICK} {} {parameters}", machine.parameters());
    arguments.extend(direct(&kernel.unpacked, Path::new("/dev/stdin"), &parameters));
    let mut image = anonymous()?;
    image.write_all(initramfs)?;
    let limit = deadline(&kernel.image)? * equipment.patience;
    run(&kernel.image, arguments, image.into(), limit, None)
}

/// What makes an emulated boot shorter and has to do with neither PCI nor modules.
pub(crate) const QUICK: &str = "mitigations=off lsm= audit=0 cryptomgr.notests init_on_alloc=0 nowatchdog";

/// A kernel that is started without firmware's help.
pub(crate) fn direct(kernel: &Path, initramfs: &Path, parameters: &str) -> [String; 6] {
    let [kernel, initramfs] = [kernel, initramfs].map(|path| path.display().to_string());
    ["-kernel", &kernel, "-initrd", &initramfs, "-append", parameters].map(str::to_owned)
}

/// How many machines may be on at once, by the environment; else one.
const PLACES: &str = "NEURON_LAB_MACHINES";
/// How often a place is looked for.
const LOOK: Duration = Duration::from_millis(200);

fn places() -> io::Result<u8> {
    match std::env::var(PLACES) {
        Err(std::env::VarError::NotPresent) => Ok(1),
        Ok(text) if text.parse().is_ok_and(|number: u8| number > 0) => text.parse().map_err(io::Error::other),
        other => Err(io::Error::other(format!("{PLACES}={other:?}: a number from 1 to 255 is expected"))),
    }
}

/// A place to have a machine on; unless the environment says otherwise there is one, for all runs. Whoever
/// wants several machines without somebody else's in between holds it.
pub(crate) struct Turn(#[expect(dead_code, reason = "what counts is that it is held")] Rc<Flock<File>>);

impl Turn {
    /// Waits for it, unless this thread has it.
    pub(crate) fn wait() -> io::Result<Self> {
        thread_local!(static HELD: RefCell<Weak<Flock<File>>> = const { RefCell::new(Weak::new()) });
        if let Some(held) = HELD.with_borrow(Weak::upgrade) {
            return Ok(Self(held));
        }
        fs::create_dir_all(cache())?;
        let places = places()?;
        let mut waits = false;
        let lock = loop {
            if let Some(lock) = (0..places).find_map(|place| Self::taken(place).transpose()) {
                break lock?;
            }
            if !waits {
                println!("lab: waits for a machine of another run or test to be over");
            }
            waits = true;
            thread::sleep(LOOK);
        };
        let lock = Rc::new(lock);
        HELD.set(Rc::downgrade(&lock));
        Ok(Self(lock))
    }

    /// A place, unless somebody has it.
    fn taken(place: u8) -> io::Result<Option<Flock<File>>> {
        let file = File::create(cache().join(format!("place-{place}")))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(lock)),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(error.into()),
        }
    }
}

/// A machine that is on, and has a place. Dropping it pulls the plug.
pub(crate) struct On {
    running: Running,
    console: File,
    _turn: Turn,
}

impl On {
    /// Turns a machine on. The kernel shows which accelerator works.
    pub(crate) fn new(kernel: &Path, machine: Vec<String>, input: Stdio) -> io::Result<Self> {
        let accelerator = accelerator(kernel)?;
        let turn = Turn::wait()?;
        let console = anonymous()?;
        let mut arguments = words("-display none -nodefaults -no-reboot -vga none -serial file:/dev/stdout");
        arguments.extend(["-accel".to_owned(), accelerator.to_owned()]);
        arguments.extend(machine);
        let running = Running::start(&arguments, input, &console)?;
        Ok(Self { running, console, _turn: turn })
    }

    /// What the console showed so far.
    pub(crate) fn console(&self) -> io::Result<String> {
        content(&self.console)
    }

    /// Waits until this is so; a machine that ends before, or goes on for longer, is an error.
    pub(crate) fn wait_until(
        &mut self,
        limit: Duration,
        mut is_so: impl FnMut(&Self) -> io::Result<bool>,
    ) -> io::Result<()> {
        let end = Instant::now() + limit;
        loop {
            let has_ended = self.running.0.try_wait()?.is_some();
            if is_so(self)? {
                return Ok(());
            }
            if has_ended || Instant::now() > end {
                let how = if has_ended { "ended" } else { "is still on" };
                let console = self.console()?;
                return Err(io::Error::other(format!("the machine {how} without it:\n{console}")));
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Runs a machine to its end, or to the deadline. With a monitor, what hangs says what it does.
pub(crate) fn run(
    kernel: &Path,
    mut machine: Vec<String>,
    input: Stdio,
    limit: Duration,
    monitor: Option<&Monitor>,
) -> io::Result<Boot> {
    machine.extend(monitor.map(Monitor::arguments).into_iter().flatten());
    let On { mut running, console, _turn } = On::new(kernel, machine, input)?;
    let begun = Instant::now();
    let mut watch = || {
        if let (Some(monitor), Ok(shown)) = (monitor, content(&console)) {
            // A machine that is just over answers nobody; a key that did not come shows in what it does.
            let _ = monitor.look(&shown);
        }
    };
    let code = running.watched(limit, &mut watch)?;
    let took = begun.elapsed();
    let mut complaints = String::new();
    if let (None, Some(monitor)) = (code, monitor) {
        complaints = format!("\n{}", monitor.state());
    }
    if let Some(mut stderr) = running.0.stderr.take() {
        drop(running);
        stderr.read_to_string(&mut complaints)?;
    }
    Ok(Boot { console: content(&console)? + &complaints, code, took })
}

/// Starts a machine that nothing ends, says so, and waits for it.
pub(crate) fn forever(arguments: &[String]) -> io::Result<()> {
    let mut running = Running::start(arguments, Stdio::null(), &anonymous()?)?;
    println!("started");
    running.wait(DEADLINE * 1_000)?;
    Ok(())
}

/// What every boot of this run had in common: what is booted, and on what.
pub(crate) fn with(system: &str, image: &Path) -> io::Result<String> {
    static VERSIONS: OnceLock<Result<String, String>> = OnceLock::new();
    let versions = VERSIONS.get_or_init(|| {
        let version = kernel::run(Command::new("qemu-system-x86_64").arg("--version"));
        let version = version.map_err(|error| error.to_string())?;
        let system = fs::read_to_string("/etc/os-release").map_err(|error| error.to_string())?;
        let name = system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        let qemu = version.split_whitespace().nth(3).unwrap_or("of unknown version");
        Ok(format!("{}, QEMU {qemu}", name.unwrap_or("an unknown system").trim_matches('"')))
    });
    let versions = versions.clone().map_err(io::Error::other)?;
    Ok(format!("{system}, {versions}, accelerator {}.", accelerator(image)?))
}

/// A file without a name: whatever ends the tests, it goes with them.
fn anonymous() -> io::Result<File> {
    tempfile::tempfile_in("/dev/shm").or_else(|_| tempfile::tempfile())
}

/// What was written into such a file, by whomever.
fn content(file: &File) -> io::Result<String> {
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or_default()];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
