//! Whom root follows on the running system, and files that are none. The machine is a fixture, and
//! nothing is written: what is refused ends early, and what is not only looks or is no plan.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;
use std::time::{Duration, Instant};

use neuron_tests::left_out;
use neuron_tests::program;
use neuron_tests::scenario::Ground;

use super::{fails, ground};

/// Modes and owners, and whether root follows such a file.
const FILES: [(u32, u32, bool); 4] =
    [(0o666, 0, false), (0o664, 0, false), (0o644, 65534, false), (0o644, 0, true)];

fn is_left_out() -> bool {
    left_out::without_root("only root has to be careful whom it follows")
}

/// The program on the fixture's machine and, unless told otherwise, the running system.
fn command(ground: &Ground) -> Command {
    let mut command = program::command().unwrap();
    command.current_dir("/").arg("--machine-root").arg(ground.machine());
    command
}

/// Runs it with the file in each state; `good` is the exit code where root follows it.
fn check(ground: &Ground, name: &str, text: &str, good: i32, prepare: impl Fn(&mut Command, &str)) {
    let file = ground.beside(name);
    fs::write(&file, text).unwrap();
    for (mode, owner, is_followed) in FILES {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        chown(&file, Some(owner), None).unwrap();
        let mut command = command(ground);
        prepare(&mut command, &file.display().to_string());
        let output = program::output(&mut command).unwrap();
        let code = if is_followed { good } else { 3 };
        assert_eq!(output.code, code, "{mode:o} {owner} {command:?}: {}", output.stderr);
        let is_told = output.stderr.contains(name) && output.stderr.contains("chown root:root");
        assert!(is_followed || is_told, "{}", output.stderr);
    }
}

#[test]
fn answers_that_others_can_write_are_not_followed_on_the_running_system() {
    if is_left_out() {
        return;
    }
    let ground = ground("arch-grub");
    for root in ["", "/", ".", "/.", "//", "/usr/..", "proc/self/root"] {
        check(&ground, "answers.toml", "schema = 1\n", 0, |command, path| {
            command.args(["--answers", path, "plan", "--json"]);
            if !root.is_empty() {
                command.args(["--target-root", root]);
            }
        });
    }
    // Another target is nobody's running system.
    let path = ground.beside("answers.toml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(ground.run(&["plan", "--answers", &path.display().to_string()]).unwrap().code, 0);
}

#[test]
fn a_credential_is_followed_like_answers() {
    if is_left_out() {
        return;
    }
    let ground = ground("arch-grub");
    let with_folder = |command: &mut Command| {
        command.env("CREDENTIALS_DIRECTORY", ground.beside(""));
    };
    check(&ground, "neuron.answers", "schema = 1\n", 0, |command, _| {
        with_folder(command.args(["plan", "--json"]));
    });
    // One that is there and cannot be read is no answer to "what does the operator want".
    let credential = ground.beside("neuron.answers");
    fs::remove_file(&credential).unwrap();
    let code = || {
        let mut command = command(&ground);
        with_folder(command.args(["plan", "--json"]));
        program::output(&mut command).unwrap().code
    };
    assert_eq!(code(), 0, "none is fine");
    fs::create_dir(&credential).unwrap();
    assert_eq!(code(), 2);
}

/// What stands in the file is no plan, so that nothing is ever written.
#[test]
fn a_plan_that_others_can_write_is_not_followed() {
    if is_left_out() {
        return;
    }
    let ground = ground("arch-grub");
    check(&ground, "plan.json", "no plan\n", 2, |command, path| {
        command.args(["apply", "--yes", "--plan", path]);
    });
}

/// Neither a wait for somebody who never writes, nor memory without end.
#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let ground = ground("arch-grub");
    let fifo = ground.beside("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let fifo = fifo.display().to_string();
    for path in ["/dev/zero", &fifo] {
        for arguments in [
            &["validate", path][..],
            &["plan", "--answers", path],
            &["apply", "--yes", "--plan", path],
            &["inspect", "--machine-root", path],
        ] {
            let mut limited = Command::new("timeout");
            limited.arg("20").arg(program::path().unwrap()).args(arguments);
            if !arguments.contains(&"--machine-root") {
                limited.arg("--machine-root").arg(ground.machine());
            }
            let start = Instant::now();
            let output = program::output(limited.arg("--target-root").arg(ground.target())).unwrap();
            assert_eq!(output.code, 2, "{arguments:?}: {}", output.stderr);
            assert!(output.stderr.contains("not a regular file"), "{}", output.stderr);
            assert!(start.elapsed() < Duration::from_secs(19));
        }
    }
    let large = ground.beside("large.toml");
    fs::File::create(&large).unwrap().set_len((64 << 20) + 1).unwrap();
    fails(&ground, &["validate", &large.display().to_string()], 2, &["large.toml", "67108864"]);
}
