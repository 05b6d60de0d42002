//! Outputs that take nothing: a full disk behind one, a reader that has gone away.

use std::fs::File;
use std::process::{Command, Stdio};

use neuron_tests::program;
use neuron_tests::scenario::Ground;

use super::ground;

fn command(ground: &Ground, arguments: &[&str]) -> Command {
    let mut command = program::command().unwrap();
    command.arg("--machine-root").arg(ground.machine()).arg("--target-root").arg(ground.target());
    command.args(arguments);
    command
}

/// The other end of a pipe whose reader has gone away.
fn broken_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// Runs it with these outputs; its exit code and, where standard error is `None`, what it said there.
fn run(mut command: Command, stdout: Stdio, stderr: Option<Stdio>) -> (i32, String) {
    let stderr = stderr.unwrap_or_else(Stdio::piped);
    let done = command.stdout(stdout).stderr(stderr).spawn().unwrap().wait_with_output().unwrap();
    (done.status.code().unwrap_or(-1), String::from_utf8_lossy(&done.stderr).into_owned())
}

/// The bytes are in place, so no script may hear that everything was put back.
#[test]
fn what_is_written_keeps_its_code_where_the_result_cannot_be_told() {
    for (arguments, again) in [(["--json", "apply", "-y"], 4), (["--json", "revert", "-y"], 0)] {
        let ground = ground("arch-grub");
        if arguments[1] == "revert" {
            assert_eq!(ground.run(&["apply", "--yes"]).unwrap().code, 4);
        }
        let before = ground.tree().unwrap();
        let (code, said) = run(command(&ground, &arguments), full(), None);
        assert_eq!(code, 4, "{arguments:?}: {said}");
        assert!(said.contains("cannot write to standard output"), "{said}");
        assert_ne!(ground.tree().unwrap(), before);
        assert_eq!(ground.run(&arguments).unwrap().code, again, "{arguments:?}");
    }
    let ground = ground("arch-grub");
    let (code, said) = run(command(&ground, &["plan"]), full(), None);
    assert_eq!(code, 1, "a verb that only tells has failed: {said}");
}

#[test]
fn nobody_has_to_listen_to_standard_error() {
    let ground = ground("arch-grub");
    let given = ground.beside("wrong.toml");
    std::fs::write(&given, "[broken\n").unwrap();
    let given = given.display().to_string();
    for (arguments, code) in [
        (&["apply"][..], 3),
        (&["apply", "--answers", &given, "--yes"], 2),
        (&["nonsense"], 2),
        (&["-vv", "-q", "apply", "--yes"], 4),
        (&["-vv", "-q", "revert", "--yes"], 4),
        (&["capture", "--output", "/dev/null"], 0),
    ] {
        for stderr in [broken_pipe(), full()] {
            let target = ground.tree().unwrap();
            let (found, _) = run(command(&ground, arguments), Stdio::null(), Some(stderr));
            let again = arguments.contains(&"-q") && ground.tree().unwrap() == target;
            assert!(found == code || again && [0, 4].contains(&found), "{arguments:?}: {found}");
        }
    }
}
