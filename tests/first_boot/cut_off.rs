//! The machine goes down, or is shut down, in the middle of the first boot's work.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use neuron_tests::program::{self, Output};
use neuron_tests::scenario::{Ground, without_state};
use neuron_tests::tree::{Tree, diff};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{answers, changes_nothing, ends, ground, outcome, reboot};

/// The stand-in for mkinitcpio: as long as `hang` is there it hangs.
const BUILD: &str = "#!/bin/sh\necho run >>/var/log/builds\n\
i=0; while [ -e /var/log/hang ] && [ $i -lt 200 ]; do sleep 0.1 || exit; i=$((i + 1)); done\n";

/// A target with a shell, in which images are built by this.
pub(crate) fn built_by(build: &str) -> Ground {
    let ground = ground("made-rtx-usbc-igpu");
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    for name in ["sh", "sleep"] {
        let busybox = busybox.expect("no busybox (Debian: busybox-static, Arch: busybox)");
        fs::copy(busybox, ground.target().join("usr/bin").join(name)).unwrap();
    }
    let path = ground.target().join("usr/bin/mkinitcpio");
    fs::write(&path, build).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    answers(&ground, "schema = 1\n");
    ground
}

/// A target whose image build hangs until it is let go.
fn hanging() -> Ground {
    let ground = built_by(BUILD);
    fs::write(ground.target().join("var/log/hang"), "").unwrap();
    ground
}

/// `firstboot run`, where it may run programs of the target: as root of its own namespace at least.
fn command(ground: &Ground) -> Command {
    let root = nix::unistd::geteuid().is_root();
    let mut command = if root {
        Command::new(program::path().unwrap())
    } else {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--"]).arg(program::path().unwrap());
        command
    };
    command.arg("--machine-root").arg(ground.machine()).arg("--target-root").arg(ground.target());
    command.args(["firstboot", "run"]).stdin(Stdio::null());
    command
}

pub(crate) fn run(ground: &Ground) -> Output {
    program::output(&mut command(ground)).unwrap()
}

fn builds(ground: &Ground) -> usize {
    fs::read_to_string(ground.target().join("var/log/builds")).unwrap_or_default().lines().count()
}

/// Begins, and returns once it hangs in the build.
fn begun(ground: &Ground) -> Child {
    let before = builds(ground);
    let child = command(ground).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begin = Instant::now();
    while builds(ground) == before {
        assert!(begin.elapsed() < Duration::from_secs(60), "the build does not begin");
        thread::sleep(Duration::from_millis(10));
    }
    child
}

fn release(ground: &Ground) {
    fs::remove_file(ground.target().join("var/log/hang")).unwrap();
}

#[test]
fn a_machine_that_went_down_under_it_begins_anew() {
    let ground = hanging();
    let mut child = begun(&ground);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(outcome(&ground), "running");
    release(&ground);
    reboot(&ground, 2);
    let done = run(&ground);
    ends(&done, 4);
    assert!(done.stderr.contains("put back, and begun anew"), "{}", done.stderr);
    assert_eq!(outcome(&ground), "done");
    reboot(&ground, 3);
    changes_nothing(&ground, 0);
}

/// A run that a person started is that person's to go on with.
#[test]
fn what_somebody_elses_run_left_is_not_touched() {
    let ground = hanging();
    let mut command = command(&ground);
    let before = builds(&ground);
    let mut arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    arguments.truncate(arguments.len() - 2);
    command = Command::new(command.get_program());
    let mut child = command.args(arguments).args(["apply", "--yes"]).stdout(Stdio::null()).spawn().unwrap();
    let begin = Instant::now();
    while builds(&ground) == before {
        assert!(begin.elapsed() < Duration::from_secs(60), "the build does not begin");
        thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    release(&ground);
    reboot(&ground, 2);
    assert!(changes_nothing(&ground, 0).stderr.contains("cut off"));
}

/// As systemd stops it when the system goes down.
#[test]
fn a_shutdown_puts_back_and_the_next_boot_begins_anew() {
    let ground = hanging();
    let before = without_state(&ground.tree().unwrap());
    let mut child = begun(&ground);
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    thread::sleep(Duration::from_millis(300));
    release(&ground);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let without_logs = |mut tree: Tree| {
        tree.retain(|path, _| !path.starts_with("var/log/"));
        tree
    };
    let after = without_state(&ground.tree().unwrap());
    assert_eq!(diff(&without_logs(before), &without_logs(after)), []);
    reboot(&ground, 2);
    ends(&run(&ground), 4);
    assert_eq!(outcome(&ground), "done");
}
