//! `looking-glass client`: with whom it starts what, and how it ends. The client is a stand-in that takes
//! the terminal over and forgets to give it back.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::time::{Duration, Instant};

use neuron_tests::scenario::Ground;
use nix::unistd::geteuid;

use super::pty::{End, Terminal};
use super::{ends, roots};

const MEMORY: &str = "dev/shm/looking-glass";
const QEMU: &str = "proc/4242";
/// Runs until it is asked to end, or, with `$STUBBORN`, until it is killed.
const CLIENT: &str = r#"
trap '[ -n "$STUBBORN" ] || { echo asked >>"$LOG"; exit 0; }' TERM
printf '\033[?25l' >/dev/tty; stty raw -echo </dev/tty
[ -z "$FAILS" ] || exit 255
while :; do sleep 0.05; done
"#;

/// A machine and a system that wants Looking Glass, and somebody who is not root.
struct Desk {
    ground: Ground,
}

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

impl Desk {
    fn new(vms: &str) -> Self {
        let ground = Ground::new("made-rtx-usbc-igpu", "looking-glass").unwrap();
        put(&ground.target(), "etc/neuron/provisioner.toml", vms);
        put(&ground.machine(), "proc/1/comm", "systemd\n");
        let client = ground.beside("bin/looking-glass-client");
        put(
            ground.beside("").as_path(),
            "bin/looking-glass-client",
            &format!("#!/bin/sh\necho \"$*\" >>\"$LOG\"{CLIENT}"),
        );
        fs::set_permissions(client, fs::Permissions::from_mode(0o755)).unwrap();
        put(ground.beside("").as_path(), "log", "");
        let desk = Self { ground };
        desk.give("");
        desk.give("log");
        desk
    }

    /// Lets the one who is not root have it.
    fn give(&self, path: &str) {
        if geteuid().is_root() {
            chown(self.ground.beside(path), Some(65534), Some(65534)).unwrap();
        }
    }

    fn memory(&self, text: &str) {
        put(&self.ground.machine(), MEMORY, text);
        self.give(&format!("machine/{MEMORY}"));
    }

    fn qemu(&self, name: &str) {
        put(&self.ground.machine(), &format!("{QEMU}/comm"), "qemu-system-x86\n");
        let words = format!("/usr/bin/qemu-system-x86_64\0-name\0guest={name},debug-threads=on\0");
        put(&self.ground.machine(), &format!("{QEMU}/cmdline"), &words);
    }

    fn qemu_ends(&self) {
        fs::remove_dir_all(self.ground.machine().join(QEMU)).unwrap();
    }

    fn start(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Terminal {
        let path = format!("{}:{}", self.ground.beside("bin").display(), std::env::var("PATH").unwrap());
        self.start_with(&path, arguments, environment)
    }

    fn start_with(&self, path: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Terminal {
        let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
        let who: &[&str] = if geteuid().is_root() { &nobody } else { &[] };
        let log = self.ground.beside("log").display().to_string();
        let mut words = roots(&self.ground);
        words.extend(["looking-glass", "client"].iter().chain(arguments).map(|word| (*word).to_owned()));
        let environment = [&[("PATH", path), ("LOG", log.as_str())], environment].concat();
        Terminal::start_by(who, &words, &environment, (40, 120))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.ground.beside("log")).unwrap()
    }

    fn wait_for_client(&self, terminal: &Terminal) {
        terminal.wait_until("the client", || !self.log().is_empty() && terminal.is_raw());
    }
}

fn assert_tidy(end: &End, code: i32) {
    assert_eq!(end.code, code, "{}", end.screen);
    assert!(end.modes_kept && end.shows_cursor(), "{}", end.screen);
}

/// What somebody read, without line ends.
fn said(end: &End) -> String {
    end.screen.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn it_waits_for_the_virtual_machine_and_ends_with_it() {
    let desk = Desk::new("[vm.windows11]\n");
    let terminal = desk.start(&["--full-screen", "--", "spice:enable=no"], &[]);
    terminal.wait_for("/dev/shm/looking-glass is not there");
    desk.memory("");
    terminal.wait_for("the virtual machine windows11 does not run");
    desk.qemu("other");
    desk.memory("a picture that an earlier run left");
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(desk.log(), "", "another machine runs, and a memory that is left over tells nothing");
    desk.memory("");
    desk.qemu("windows11");
    terminal.wait_for("/dev/shm/looking-glass is still empty");
    desk.memory("picture");
    desk.wait_for_client(&terminal);
    let path = desk.ground.machine().join(MEMORY);
    assert_eq!(desk.log(), format!("app:shmFile={} win:fullScreen=yes spice:enable=no\n", path.display()));
    desk.qemu_ends();
    let end = terminal.end();
    assert_tidy(&end, 0);
    assert!(said(&end).contains("The virtual machine windows11 ended."), "{}", end.screen);
    assert!(desk.log().ends_with("asked\n"), "{}", desk.log());
}

#[test]
fn ctrl_c_ends_the_waiting_and_the_client() {
    let desk = Desk::new("[vm.windows11]\n");
    let mut terminal = desk.start(&[], &[]);
    terminal.wait_for("Waiting:");
    terminal.send("\x03");
    assert_tidy(&terminal.end(), 130);
    desk.memory("picture");
    desk.qemu("windows11");
    for stubborn in ["", "yes"] {
        fs::write(desk.ground.beside("log"), "").unwrap();
        let terminal = desk.start(&[], &[("STUBBORN", stubborn)]);
        desk.wait_for_client(&terminal);
        terminal.interrupt();
        assert_tidy(&terminal.end(), 130);
        assert_eq!(desk.log().ends_with("asked\n"), stubborn.is_empty(), "{}", desk.log());
    }
}

#[test]
fn a_client_that_fails_or_is_missing_is_said() {
    let desk = Desk::new("[vm.windows11]\n");
    desk.memory("picture");
    desk.qemu("windows11");
    let end = desk.start(&[], &[("FAILS", "yes")]).end();
    assert_tidy(&end, 1);
    assert!(said(&end).contains("client ended with exit status: 255"), "{}", end.screen);
    let end = desk.start_with("/usr/bin:/bin", &[], &[]).end();
    assert_tidy(&end, 1);
    assert!(
        said(&end).contains("cannot run looking-glass-client") && said(&end).contains("install the client")
    );
}

#[test]
fn who_may_not_open_the_memory_is_told_at_once() {
    let desk = Desk::new("[vm.windows11]\n");
    desk.memory("");
    let path = desk.ground.machine().join(MEMORY);
    fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    let end = desk.start(&[], &[]).end();
    assert_tidy(&end, 3);
    assert!(said(&end).contains("you may not open /dev/shm/looking-glass"), "{}", end.screen);
    assert!(said(&end).contains("looking_glass.users"), "{}", end.screen);
}

#[test]
fn waiting_has_an_end_where_one_is_set() {
    let desk = Desk::new("[vm.windows11]\n");
    let began = Instant::now();
    let end = desk.start(&["--wait", "1"], &[]).end();
    assert_tidy(&end, 1);
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert!(said(&end).contains("after 1 seconds /dev/shm/looking-glass is not there"), "{}", end.screen);
}

#[test]
fn which_virtual_machine_is_asked_where_there_are_several_or_none() {
    for (vms, name, why) in [
        ("[vm.a]\n[vm.b]\n", None, "say which: a, b"),
        ("[vm.a]\n[vm.b]\n", Some("c"), "no virtual machine `c` has a picture"),
        ("[vm.a]\nkind = \"linux\"\n", None, "the answers want nothing of Looking Glass"),
        ("[looking_glass]\nenable = false\n[vm.a]\n", Some("a"), "the answers want nothing of Looking Glass"),
    ] {
        let end = Desk::new(vms).start(name.as_slice(), &[]).end();
        assert_tidy(&end, 3);
        assert!(said(&end).contains(why), "{vms}: {}", end.screen);
    }
    let desk = Desk::new("[vm.a]\n[vm.b]\n");
    let mut terminal = desk.start(&["b"], &[]);
    terminal.wait_for("/dev/shm/looking-glass-b is not there");
    terminal.send("\x03");
    assert_tidy(&terminal.end(), 130);
}

#[test]
fn where_nobody_sees_other_processes_the_memory_tells() {
    let desk = Desk::new("[vm.windows11]\n");
    fs::remove_dir_all(desk.ground.machine().join("proc/1")).unwrap();
    desk.memory("picture");
    let terminal = desk.start(&[], &[]);
    desk.wait_for_client(&terminal);
    terminal.terminate();
    assert_tidy(&terminal.end(), 130);
}

#[test]
fn root_is_refused_whatever_else_is_there() {
    let desk = Desk::new("[vm.windows11]\n");
    desk.memory("picture");
    desk.qemu("windows11");
    let said = ends(&desk.ground, &["looking-glass", "client"], 3);
    assert!(said.contains("must not be run by root") && said.contains("without `sudo`"), "{said}");
}
