//! `looking-glass client`: waits for the virtual machine, starts the Looking Glass client, ends with it.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use console::Term;
use neuron_passthrough::facts::shared_memory::running;
use neuron_passthrough::guest::looking_glass::Memory;
use neuron_passthrough::provision;
use neuron_passthrough::root::{NodeKind, Root};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{self, SetArg, Termios};
use nix::unistd::Pid;

use crate::args::{ClientOptions, Common};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::interrupt::Stop;
use crate::{narrate, roots};

const PROGRAM: &str = "looking-glass-client";
/// How often is looked.
const TICK: Duration = Duration::from_millis(200);
/// How long the client may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn run(common: &Common, options: &ClientOptions) -> Result<ExitCode, Failure> {
    if nix::unistd::geteuid().is_root() {
        return Err(Failure::GlassAsRoot);
    }
    let (machine, target) = (roots::machine(common)?, roots::target(common)?);
    let source = roots::source(common, &target)?;
    let memories = provision::looking_glass(&machine, &target, &source)?.memories;
    let memory = chosen(memories.into_iter().map(|now| now.memory).collect(), options.name.as_deref())?;
    let folder = machine.path().ok_or_else(|| {
        refused(
            "--machine-root names a capture, and nothing runs there".to_owned(),
            "leave --machine-root out",
        )
    })?;
    let watched =
        Watched { path: folder.join(memory.path.trim_start_matches('/')), machine: &machine, memory };
    let stop = Stop::watch()?;
    let _terminal = Terminal::keep();
    watched.wait(common, options.wait, &stop)?;
    let client = start(&watched.path, options)?;
    watched.accompany(common, client, &stop)
}

fn refused(why: String, hint: &str) -> Failure {
    Failure::Glass { why, hint: hint.to_owned() }
}

/// The memory that is meant.
fn chosen(memories: Vec<Memory>, name: Option<&str>) -> Result<Memory, Failure> {
    let names: Vec<String> = memories.iter().filter_map(|memory| memory.vm.clone()).collect();
    let count = memories.len();
    let mut meant =
        memories.into_iter().filter(|memory| name.is_none_or(|name| memory.vm.as_deref() == Some(name)));
    match (meant.next(), meant.next(), name) {
        (Some(memory), None, _) => Ok(memory),
        (Some(_), Some(_), _) => Err(refused(
            format!("{count} virtual machines have a picture"),
            &format!("say which: {}", names.join(", ")),
        )),
        (None, _, Some(name)) if !names.is_empty() => Err(refused(
            format!("no virtual machine `{name}` has a picture for Looking Glass"),
            &format!("those that do: {}", names.join(", ")),
        )),
        (None, ..) => Err(refused(
            "the answers want nothing of Looking Glass".to_owned(),
            "add a table like [vm.windows11] to /etc/neuron/provisioner.toml, and apply",
        )),
    }
}

/// One virtual machine and its memory.
struct Watched<'a> {
    machine: &'a Root,
    memory: Memory,
    path: PathBuf,
}

impl Watched<'_> {
    /// Waits until the virtual machine runs and its memory can be opened.
    fn wait(&self, common: &Common, limit: Option<u32>, stop: &Stop) -> Result<(), Failure> {
        let began = Instant::now();
        let mut told = None;
        while let Some(why) = self.lacks()? {
            if stop.is_wanted() {
                return Err(Failure::Interrupted);
            }
            if let Some(seconds) =
                limit.filter(|limit| began.elapsed() >= Duration::from_secs((*limit).into()))
            {
                return Err(Failure::GlassWaited { seconds, why });
            }
            if told.as_ref() != Some(&why) {
                say(common, &format!("Waiting: {why}. Ctrl-C ends it."));
                told = Some(why);
            }
            thread::sleep(TICK);
        }
        Ok(())
    }

    /// What is not there yet, in words.
    fn lacks(&self) -> Result<Option<String>, Failure> {
        let path = &self.memory.path;
        let Some(node) = self.machine.node(path)? else { return Ok(Some(format!("{path} is not there"))) };
        self.try_open()?;
        if self.is_down()? {
            return Ok(Some(format!("{} does not run", self.memory.whose())));
        }
        Ok((node.kind == NodeKind::File && node.size == 0).then(|| format!("{path} is still empty")))
    }

    /// Who may not open it need not wait.
    fn try_open(&self) -> Result<(), Failure> {
        match OpenOptions::new().read(true).write(true).open(&self.path) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(refused(
                format!("you may not open {}", self.memory.path),
                "looking_glass.users in the answers says who may; after an apply, log out and in once. \
                 `neuron-provisioner looking-glass status` says how it stands",
            )),
            // It went again, or is being made: the next look tells.
            _ => Ok(()),
        }
    }

    /// Whether it is known that the virtual machine does not run.
    fn is_down(&self) -> Result<bool, Failure> {
        let Some(name) = &self.memory.vm else { return Ok(false) };
        Ok(running(self.machine)?.is_some_and(|running| !running.contains(name)))
    }

    /// Until one of the two ends, or somebody wants an end.
    fn accompany(&self, common: &Common, mut client: Client, stop: &Stop) -> Result<ExitCode, Failure> {
        loop {
            if let Some(status) = client.ended()? {
                return if status.success() { Ok(ExitCode::Done) } else { Err(Failure::GlassEnded(status)) };
            }
            if stop.is_wanted() {
                client.end()?;
                return Err(Failure::Interrupted);
            }
            if self.is_down()? {
                client.end()?;
                say(common, &format!("{} ended.", upper(&self.memory.whose())));
                return Ok(ExitCode::Done);
            }
            thread::sleep(TICK);
        }
    }
}

fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn say(common: &Common, text: &str) {
    if !common.quiet {
        narrate::line(text);
    }
}

fn start(memory: &Path, options: &ClientOptions) -> Result<Client, Failure> {
    let mut command = Command::new(PROGRAM);
    command.arg(format!("app:shmFile={}", memory.display())).stdin(Stdio::null());
    if options.full_screen {
        command.arg("win:fullScreen=yes");
    }
    command.args(&options.more).spawn().map(|child| Client { child }).map_err(Failure::GlassRun)
}

/// The client, which does not outlive this program.
struct Client {
    child: Child,
}

impl Client {
    fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        self.child.try_wait().map_err(Failure::GlassRun)
    }

    /// Asks it to end, and ends it if it does not.
    fn end(&mut self) -> Result<(), Failure> {
        let asked = Instant::now();
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // One that ended meanwhile is nobody's any more.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        while asked.elapsed() < PATIENCE {
            if self.ended()?.is_some() {
                return Ok(());
            }
            thread::sleep(TICK);
        }
        self.child.kill().and_then(|()| self.child.wait()).map(drop).map_err(Failure::GlassRun)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The terminal, which is as it was before when this goes, however the client ended.
struct Terminal {
    before: Option<Termios>,
}

impl Terminal {
    fn keep() -> Self {
        Self { before: io::stdin().is_terminal().then(|| termios::tcgetattr(io::stdin()).ok()).flatten() }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, before);
            let _ = Term::stderr().show_cursor();
        }
    }
}
