//! Whatever ends the tests, no machine goes on. (Image and console are files without a name, so nothing else stays.)

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::qemu::{forever, words};

/// A machine that never ends, started by a test run of its own: see below.
#[test]
#[ignore = "it never ends: the other test starts it and kills it"]
fn a_machine_that_never_ends() {
    let name = std::env::var("LAB_FOREVER").unwrap();
    forever(&words(&format!("-S -M none -display none -name {name}"))).unwrap();
}

/// This test program, with nothing to do but to run that machine.
fn runner(name: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", "--nocapture", "leftovers::a_machine_that_never_ends"]);
    command.env("LAB_FOREVER", name).stdout(Stdio::piped()).spawn().unwrap()
}

/// The processes with this word among their arguments.
fn running(word: &str) -> Vec<i32> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let process = entry.unwrap().file_name().to_string_lossy().parse::<i32>().ok()?;
        // One that went meanwhile is not among them.
        let arguments = fs::read(format!("/proc/{process}/cmdline")).ok()?;
        arguments.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes()).then_some(process)
    });
    processes.collect()
}

/// Whether something holds within a minute.
fn soon(what: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        if what() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

#[test]
fn whatever_ends_the_tests_no_machine_goes_on() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGKILL] {
        let name = format!("lab-{}-{signal}", std::process::id());
        let mut runner = runner(&name);
        let output = BufReader::new(runner.stdout.take().unwrap());
        let started = output.lines().any(|line| line.unwrap().contains("started"));
        // The control: the machine was there.
        assert!(started && soon(|| running(&name).len() == 1), "{name} never ran");
        kill(Pid::from_raw(runner.id().try_into().unwrap()), signal).unwrap();
        runner.wait().unwrap();
        assert!(soon(|| running(&name).is_empty()), "{name} goes on: {:?}", running(&name));
    }
}
