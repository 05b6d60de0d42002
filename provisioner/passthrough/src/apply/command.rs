//! Running the programs that make derived output: the initramfs, `grub.cfg`.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, geteuid};

use super::place::is_running_system;
use crate::root::Root;

/// Where programs are, in this order; nobody's environment decides what root runs.
const PATH: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];
/// How many of the last lines of a failed program are told.
const TAIL: usize = 20;
/// How long a program that is done, or is to end, may go unnoticed.
const POLL: Duration = Duration::from_millis(20);

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunResult {
    /// It ended with 0.
    Done,
    /// It was not run.
    Deferred {
        /// Who will run it.
        who: String,
        /// Why it was not run here, and the command to run by hand where that is a person's work.
        why: String,
    },
    /// It was put off: the next run of this program makes up for it.
    Postponed,
    /// It could not be started, or ended with something else than 0. mkinitcpio ends with 1 when
    /// it wrote an image with errors, so nothing but 0 is success.
    Failed {
        /// What it said last.
        why: String,
    },
}

/// Runs a program in the target, or says who else will.
pub trait Runner {
    /// `argv` is the program, as the target names it, and its arguments.
    fn run(&mut self, argv: &[String]) -> RunResult;
}

/// Runs nothing: somebody who comes later does, as Calamares' own jobs do at an installation.
#[derive(Debug, Clone)]
pub struct Deferred {
    /// Who that is.
    pub who: String,
}

impl Runner for Deferred {
    fn run(&mut self, argv: &[String]) -> RunResult {
        let why = format!("{} runs `{}`", self.who, command_line(argv));
        RunResult::Deferred { who: self.who.clone(), why }
    }
}

/// Runs nothing, and leaves it to the next run of this program.
#[derive(Debug, Clone, Copy, Default)]
pub struct Postponed;

impl Runner for Postponed {
    fn run(&mut self, _: &[String]) -> RunResult {
        RunResult::Postponed
    }
}

/// Runs programs in the target: directly when it is the running system, else by `chroot(8)`.
pub struct Chroot<'r> {
    target: &'r Root,
    is_to_end: Box<dyn FnMut() -> bool + 'r>,
}

impl<'r> Chroot<'r> {
    /// For this target.
    pub fn new(target: &'r Root) -> Self {
        Self { target, is_to_end: Box::new(|| false) }
    }

    /// Asks this again and again while a program runs; at each yes the program is told to end.
    ///
    /// The programs are out of reach of the terminal's Ctrl-C: only here is known whether one makes
    /// something new, which may be cut off, or puts back, which must not be.
    #[must_use]
    pub fn ended_by(self, is_to_end: impl FnMut() -> bool + 'r) -> Self {
        Self { is_to_end: Box::new(is_to_end), ..self }
    }

    /// Runs a command to its end, in a process group of its own.
    fn output(&mut self, command: &mut Command) -> io::Result<Output> {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().map(|pipe| thread::spawn(|| everything(pipe)));
        let stderr = child.stderr.take().map(|pipe| thread::spawn(|| everything(pipe)));
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if (self.is_to_end)()
                && let Ok(group) = i32::try_from(child.id())
            {
                // It has not been waited for, so the number is still its own.
                let _ = killpg(Pid::from_raw(group), Signal::SIGINT);
            }
            thread::sleep(POLL);
        };
        let said = |reader: Option<thread::JoinHandle<Vec<u8>>>| {
            reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
        };
        Ok(Output { status, stdout: said(stdout), stderr: said(stderr) })
    }

    /// The command to start, or why there is none.
    fn command(&self, argv: &[String]) -> Result<Command, String> {
        let (Some(fd), Some(path)) = (self.target.descriptor(), self.target.path()) else {
            return Err("a capture has no programs".to_owned());
        };
        let (program, arguments) = argv.split_first().ok_or("there is no program to run")?;
        let found = self.find(program).ok_or_else(|| format!("the target has no {program}"))?;
        if is_running_system(fd).map_err(|error| error.to_string())? {
            let mut command = Command::new(found);
            command.args(arguments);
            return Ok(command);
        }
        if !geteuid().is_root() {
            return Err("only root can run a program of another root".to_owned());
        }
        let chroot = PATH.iter().map(|directory| PathBuf::from(directory).join("chroot"));
        let chroot = chroot.into_iter().find(|path| path.exists()).ok_or("this system has no chroot")?;
        let mut command = Command::new(chroot);
        command.arg(path).arg(found).args(arguments);
        Ok(command)
    }

    fn find(&self, program: &str) -> Option<String> {
        let there = |path: &String| self.target.exists(path).unwrap_or(false);
        if program.contains('/') {
            return Some(program.to_owned()).filter(there);
        }
        PATH.iter().map(|directory| format!("{directory}/{program}")).find(there)
    }
}

impl Runner for Chroot<'_> {
    fn run(&mut self, argv: &[String]) -> RunResult {
        let mut command = match self.command(argv) {
            Ok(command) => command,
            Err(why) => {
                let why = format!("{why}; run `{}` in the target", command_line(argv));
                return RunResult::Deferred { who: "you".to_owned(), why };
            }
        };
        tracing::info!(command = %command_line(argv), "rebuilding");
        command.env_clear().env("PATH", PATH.join(":")).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        match self.output(&mut command) {
            Ok(output) if output.status.success() => RunResult::Done,
            Ok(output) => {
                let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
                let said = tail(&String::from_utf8_lossy(said));
                // chroot(8) ends with 126 or 127 and says so itself when it could not start the
                // program: nothing ran, so nothing is half made.
                if matches!(output.status.code(), Some(126 | 127)) && said.contains("chroot: ") {
                    let why = format!(
                        "it does not start there ({said}); run `{}` in the target",
                        command_line(argv)
                    );
                    return RunResult::Deferred { who: "you".to_owned(), why };
                }
                RunResult::Failed { why: format!("`{}`: {}\n{said}", command_line(argv), output.status) }
            }
            Err(error) => {
                RunResult::Failed { why: format!("`{}` could not be started: {error}", command_line(argv)) }
            }
        }
    }
}

/// What comes out of a pipe until it ends, or breaks.
fn everything(mut pipe: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = pipe.read_to_end(&mut bytes);
    bytes
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

/// As a person would type it into a shell.
pub(super) fn command_line(argv: &[String]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:,+@%".contains(&byte);
    let words = argv.iter().map(|word| {
        if !word.is_empty() && word.bytes().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
