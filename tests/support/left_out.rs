//! Tests that this machine, or this user, cannot run. libtest knows no such test and swallows what one
//! that passed has printed: so it is noted in a file that `tests/run` counts. For want of root it fails
//! on a build machine.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;

/// Names the file that gets a line for every test that was left out.
const FILE: &str = "NEURON_TESTS_LEFT_OUT";

/// Whether the test that calls this has to be left out, since only root can run it.
///
/// # Panics
///
/// On a build machine (`CI=true`).
pub fn without_root(why: &str) -> bool {
    let is_left_out = !nix::unistd::geteuid().is_root();
    if is_left_out {
        assert!(env::var("CI").as_deref() != Ok("true"), "a build machine has to be root: {why}");
        tell(&format!("as an ordinary user: {why}"));
    }
    is_left_out
}

/// Notes that the test that calls this is left out.
///
/// # Panics
///
/// Where it cannot be noted.
pub fn tell(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("NOT TESTED, {test}: {why}");
    eprintln!("{line}");
    if let Some(path) = env::var_os(FILE) {
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let noted = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        assert!(noted.is_ok(), "{line}, and that cannot be noted in {}", path.display());
    }
}
