//! How long whole runs of the program take: `inspect` beside `lspci -nnk` on the same trees, and
//! `plan` on a machine of 60 functions.
//!
//!     cargo bench -p neuron-provisioner
//!
//! The runs alternate, so that whatever else the machine does meets both. The trees lie in memory,
//! where there is room, so that no disk is measured. Ends with 1 when a promise is not kept:
//! less than half of lspci's time at every size, and less than 20 ms for a plan.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use neuron_tests::{machine, target};

const PROGRAM: &str = env!("CARGO_BIN_EXE_neuron-provisioner");
const SIZES: [usize; 3] = [16, 256, 2048];
const RUNS: usize = 31;
const MOST_OF_LSPCI: f64 = 0.5;
const MOST_FOR_A_PLAN: Duration = Duration::from_millis(20);

fn main() -> io::Result<ExitCode> {
    // `cargo test --benches` only asks whether this builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(ExitCode::SUCCESS);
    }
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? };
    let kept = inspect_beside_lspci(folder.path())? & plan(folder.path())?;
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn inspect_beside_lspci(folder: &Path) -> io::Result<bool> {
    println!("functions   inspect   lspci -nnk   ratio   (medians of {RUNS} runs of each)");
    let mut kept = true;
    for size in SIZES {
        let root = folder.join(format!("machine-{size}"));
        machine::lay_out(&machine::synthetic(size), &root)?;
        let mut sysfs = OsString::from("sysfs.path=");
        sysfs.push(root.join("sys/bus/pci"));
        let mut ours = Command::new(PROGRAM);
        ours.arg("inspect").arg("--machine-root").arg(&root);
        let mut theirs = Command::new("lspci");
        theirs.args(["-A", "linux-sysfs", "-O"]).arg(sysfs).arg("-nnk");
        let [ours, theirs] = medians([&mut ours, &mut theirs])?;
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
        println!("{size:>9} {:>9} {:>12} {ratio:>7.2}", millis(ours), millis(theirs));
        kept &= ratio < MOST_OF_LSPCI;
    }
    if !kept {
        println!("More than {MOST_OF_LSPCI} of lspci's time.");
    }
    Ok(kept)
}

fn plan(folder: &Path) -> io::Result<bool> {
    let (machine, target) = (folder.join("machine-60"), folder.join("target"));
    machine::lay_out(&machine::Machine::load("made-desktop-60-functions")?, &machine)?;
    target::copy("arch-grub", &target)?;
    let mut command = Command::new(PROGRAM);
    command.arg("plan").arg("--machine-root").arg(&machine).arg("--target-root").arg(&target);
    let [median] = medians([&mut command])?;
    println!("\nplan, 60 functions: {} (median of {RUNS} runs)", millis(median));
    Ok(median < MOST_FOR_A_PLAN)
}

/// The median time of whole runs, start of the process included; the commands take turns.
fn medians<const N: usize>(mut commands: [&mut Command; N]) -> io::Result<[Duration; N]> {
    let mut times = [const { Vec::<Duration>::new() }; N];
    // One more: the first run of each finds nothing in the caches.
    for round in 0..=RUNS {
        for (command, times) in commands.iter_mut().zip(&mut times) {
            let start = Instant::now();
            let output = command.stdin(Stdio::null()).output()?;
            let took = start.elapsed();
            if !output.status.success() || output.stdout.is_empty() {
                return Err(io::Error::other(format!("{command:?} failed: {output:?}")));
            }
            if round > 0 {
                times.push(took);
            }
        }
    }
    Ok(times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    }))
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
