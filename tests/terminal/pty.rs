//! The program in a terminal of its own: it has a controlling terminal, so Ctrl-C is a signal.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use neuron_tests::program;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};

/// How long anything may take before the test gives up; on a busy machine much takes its time.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running program and its terminal.
pub(crate) struct Terminal {
    master: File,
    slave: OwnedFd,
    child: Running,
    before: Termios,
    seen: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

/// A program that goes with its test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How it ended.
pub(crate) struct End {
    pub(crate) code: i32,
    /// Everything that went to the terminal.
    pub(crate) screen: String,
    /// Whether the terminal's modes are those from before.
    pub(crate) modes_kept: bool,
}

impl End {
    /// Whether the last word about the cursor was to show it.
    pub(crate) fn shows_cursor(&self) -> bool {
        match (self.screen.rfind("\x1b[?25l"), self.screen.rfind("\x1b[?25h")) {
            (Some(hidden), Some(shown)) => hidden < shown,
            (Some(_), None) => false,
            (None, _) => true,
        }
    }
}

impl Terminal {
    /// Starts the program with these arguments and this addition to its environment.
    pub(crate) fn start<S: AsRef<OsStr>>(arguments: &[S], environment: &[(&str, &str)]) -> Self {
        Self::start_sized(arguments, environment, (40, 120))
    }

    /// The same in a terminal with so many rows and columns.
    pub(crate) fn start_sized<S: AsRef<OsStr>>(
        arguments: &[S],
        environment: &[(&str, &str)],
        size: (u16, u16),
    ) -> Self {
        Self::start_by(&super::as_root(), arguments, environment, size)
    }

    /// The same by way of a program that says who runs it.
    pub(crate) fn start_by<S: AsRef<OsStr>>(
        who: &[&str],
        arguments: &[S],
        environment: &[(&str, &str)],
        (rows, columns): (u16, u16),
    ) -> Self {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).unwrap();
        // What another test starts would hold them open, and nobody would see this terminal's end.
        for side in [&pty.master, &pty.slave] {
            fcntl(side, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        }
        let before = tcgetattr(&pty.slave).unwrap();
        assert!(before.local_flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG));
        let stdio = || Stdio::from(pty.slave.try_clone().unwrap());
        // `setsid` makes the terminal the controlling one, then becomes the program.
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).args(who).arg(program::path().unwrap());
        command
            .args(arguments)
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .envs(environment.iter().copied());
        let child = Running(command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap());
        let master = File::from(pty.master);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let reader = {
            let (mut master, seen) = (master.try_clone().unwrap(), Arc::clone(&seen));
            std::thread::spawn(move || {
                let mut chunk = [0; 4096];
                // Ends with an error when the last one who holds the other side lets go of it.
                while let Ok(count @ 1..) = master.read(&mut chunk) {
                    seen.lock().unwrap().extend(&chunk[..count]);
                }
            })
        };
        Self { master, slave: pty.slave, child, before, seen, reader }
    }

    /// How much went to the terminal by now.
    pub(crate) fn seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// What went to it after that.
    pub(crate) fn since(&self, seen: usize) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()[seen..]).into_owned()
    }

    /// What somebody would see by now on a terminal with so many rows and columns.
    pub(crate) fn picture(&self, (rows, columns): (u16, u16)) -> String {
        let mut parser = vt100::Parser::new(rows, columns, 0);
        parser.process(&self.seen.lock().unwrap());
        parser.screen().contents()
    }

    /// Whether it listens for single keys.
    pub(crate) fn is_raw(&self) -> bool {
        !tcgetattr(&self.slave).unwrap().local_flags.contains(LocalFlags::ICANON)
    }

    /// Whether the program ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.0.try_wait().unwrap().is_some()
    }

    /// Somebody pulls at the window's corner. `stty` asks the kernel as a terminal does.
    pub(crate) fn resize(&self, (rows, columns): (u16, u16)) {
        let slave = Stdio::from(self.slave.try_clone().unwrap());
        let (rows, columns) = (rows.to_string(), columns.to_string());
        let done =
            Command::new("stty").args(["rows", &rows, "cols", &columns]).stdin(slave).status().unwrap();
        assert!(done.success());
    }

    fn screen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    /// Waits until this stands on the screen.
    pub(crate) fn wait_for(&self, text: &str) {
        self.wait_until(text, || self.screen().contains(text));
    }

    /// Waits until this is so.
    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn() -> bool) {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < PATIENCE, "`{what}` never came; the screen is\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Types.
    pub(crate) fn send(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Interrupts the program as `kill -INT` does. What starts it becomes it, so the number is its own.
    pub(crate) fn interrupt(&self) {
        self.signal(nix::sys::signal::Signal::SIGINT);
    }

    /// Asks the program to end, as a shutdown does.
    pub(crate) fn terminate(&self) {
        self.signal(nix::sys::signal::Signal::SIGTERM);
    }

    /// The terminal goes away under the program.
    pub(crate) fn hang_up(&self) {
        self.signal(nix::sys::signal::Signal::SIGHUP);
    }

    fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.0.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> End {
        use std::os::unix::process::ExitStatusExt;
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.0.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "it does not end; the screen is\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(10));
        };
        let after = tcgetattr(&self.slave).unwrap();
        let modes =
            |modes: &Termios| (modes.input_flags, modes.output_flags, modes.control_flags, modes.local_flags);
        let modes_kept = modes(&after) == modes(&self.before);
        drop(self.slave);
        self.reader.join().unwrap();
        let screen = String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned();
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        End { code, screen, modes_kept }
    }
}
