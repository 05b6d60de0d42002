//! What makes a boot good, as far as the program asks others: stand-ins answer for logind and systemd.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use neuron_tests::program;
use neuron_tests::scenario::Ground;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{begin, boot, booted, status};

/// Programs that say of the sessions what a test wants: `loginctl` prints one, `systemctl` ends so.
pub(crate) fn witnesses(ground: &Ground, session: &str, systemctl: i32) -> PathBuf {
    let folder = ground.beside("bin");
    fs::create_dir_all(&folder).unwrap();
    let script = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    };
    let list = "[ \"$1\" = list-sessions ] && { echo '  2 1000 user seat0 tty2'; exit; }";
    script("loginctl", &format!("{list}\nprintf '%s\\n' {session}"));
    script("systemctl", &format!("exit {systemctl}"));
    folder
}

pub(crate) const LOGIN: &str =
    "Id=2 Class=user Seat=seat0 Remote=no Active=yes State=active Service=gdm-password";

/// Runs `boot good` for so long; whether it came to an end by itself, and what it said.
pub(crate) fn good(ground: &Ground, witnesses: &Path, seconds: u64) -> (bool, String) {
    let mut command = program::command().unwrap();
    command.arg("--machine-root").arg(ground.machine()).arg("--target-root").arg(ground.target());
    let mut child = command
        .args(["boot", "good"])
        .env("PATH", format!("{}:/usr/bin:/bin", witnesses.display()))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut ended = child.try_wait().unwrap();
    while ended.is_none() && Instant::now() < until {
        thread::sleep(Duration::from_millis(20));
        ended = child.try_wait().unwrap();
    }
    if ended.is_none() {
        // As systemd ends it when the system goes down.
        kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    (ended.is_some(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn somebody_who_logs_in_at_the_screen_makes_a_boot_good() {
    let ground = booted("claimed");
    for number in 1..=3 {
        boot(&ground, number, "claimed");
        begin(&ground);
    }
    for (other, active) in [
        (LOGIN.replace("Class=user", "Class=greeter"), 0),
        (LOGIN.replace("Remote=no", "Remote=yes"), 0),
        (LOGIN.replace("gdm-password", "gdm-autologin"), 0),
    ] {
        let bin = witnesses(&ground, &other, active);
        assert!(!good(&ground, &bin, 4).0, "{other}");
        assert_eq!(status(&ground)["boots"]["unproven"], 3, "{other}");
    }
    let bin = witnesses(&ground, LOGIN, 3);
    let (ended, said) = good(&ground, &bin, 20);
    assert!(ended && said.contains("this boot was good"), "{said}");
    assert_eq!(status(&ground)["boots"]["unproven"], 0);
    boot(&ground, 4, "claimed");
    assert!(begin(&ground).contains("boot 1 of 3"));
}

/// `trial = false`: nobody sits there. That the target was reached once is not enough.
#[test]
fn where_nobody_sits_the_default_target_has_to_hold() {
    let ground = booted("claimed");
    begin(&ground);
    let answers = ground.target().join("etc/neuron/provisioner.toml");
    fs::write(&answers, "schema = 1\n[passthrough]\ntrial = false\n").unwrap();
    let bin = witnesses(&ground, LOGIN, 0);
    assert!(!good(&ground, &bin, 4).0, "not before a minute is over");
    assert_eq!(status(&ground)["boots"]["unproven"], 1);
}

#[test]
fn a_boot_in_which_the_host_has_the_card_proves_nothing() {
    let ground = booted("off");
    let bin = witnesses(&ground, LOGIN, 0);
    assert!(good(&ground, &bin, 20).1.contains("proves nothing"));
    for number in 1..=4 {
        boot(&ground, number, "claimed");
        begin(&ground);
    }
    assert!(good(&ground, &bin, 20).1.contains("proves nothing"));
    assert_eq!(status(&ground)["state"], "given-back");
}
