//! Boots that are counted, as the system's own units ask for it, and what the units themselves are.
//!
//! The machines here are made: their functions do not move. That they do in a real kernel is shown in
//! the lab.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use neuron_tests::program::{self, Output};
use neuron_tests::scenario::Ground;
use serde_json::Value;

const BOOTS: &str = "var/lib/neuron-provisioner/boots.json";

/// A machine on which a set-up was applied, and then booted.
fn booted(result: &str) -> Ground {
    let ground = Ground::new("made-rtx-usbc-igpu", "arch-grub").unwrap();
    ends(&ground, &["apply", "--yes"], 4);
    boot(&ground, 1, result);
    ground
}

/// The machine boots, and the early hook says what it did.
fn boot(ground: &Ground, number: u32, result: &str) {
    ground.boot(&format!("00000000-0000-4000-8000-{number:012}")).unwrap();
    let claim = ground.machine().join("run/neuron/claim");
    fs::create_dir_all(claim.parent().unwrap()).unwrap();
    fs::write(claim, format!("result={result}\nreason=as the test wants\n")).unwrap();
}

fn ends(ground: &Ground, arguments: &[&str], code: i32) -> Output {
    let output = ground.run(arguments).unwrap();
    assert_eq!(output.code, code, "{arguments:?}: {}{}", output.stdout, output.stderr);
    output
}

fn begin(ground: &Ground) -> String {
    ends(ground, &["boot", "begin"], 0).stderr
}

fn status(ground: &Ground) -> Value {
    serde_json::from_str(&ground.run(&["status", "--json"]).unwrap().stdout).unwrap()
}

#[test]
fn after_three_boots_that_were_never_good_the_card_stays_with_the_host_until_somebody_says_otherwise() {
    let ground = booted("claimed");
    for number in 1..=3 {
        boot(&ground, number, "claimed");
        assert!(begin(&ground).contains(&format!("boot {number} of 3")));
        assert!(begin(&ground).contains(&format!("boot {number} of 3")), "one boot counts once");
        let status = status(&ground);
        assert_eq!((&status["state"], &status["boots"]["unproven"]), (&"active".into(), &number.into()));
    }
    let neutral = ground.machine().join("run/modprobe.d/zz-neuron-vfio.conf");
    assert!(!neutral.exists());
    for (number, expected) in [(4, "3 boots in a row were never good"), (5, "nobody said otherwise")] {
        boot(&ground, number, "claimed");
        assert!(begin(&ground).contains(expected));
        assert!(fs::read_to_string(&neutral).unwrap().ends_with("\noptions vfio-pci ids=\n"));
        fs::remove_file(&neutral).unwrap();
        assert_eq!(status(&ground)["state"], "given-back");
        assert!(ends(&ground, &["status"], 0).stdout.contains("3 boots in a row"));
    }
    ends(&ground, &["apply", "--yes"], 4);
    ends(&ground, &["apply", "--yes"], 4);
    let state = status(&ground);
    assert_eq!((&state["state"], &state["reboot_needed"]), (&"pending".into(), &true.into()));
    boot(&ground, 6, "claimed");
    assert!(begin(&ground).contains("boot 1 of 3"));
    assert_eq!(status(&ground)["state"], "active");
    ends(&ground, &["apply", "--yes"], 0);
    ends(&ground, &["revert", "--yes"], 4);
    assert!(!ground.target().join(BOOTS).exists());
}

#[test]
fn boots_without_passthrough_are_not_counted() {
    let ground = booted("off");
    for (number, result) in (1..).zip(["off", "doubt", "off", "doubt", "off"]) {
        boot(&ground, number, result);
        assert!(begin(&ground).contains("not in force"));
        assert!(!ground.target().join(BOOTS).exists());
    }
    // And do not make the others good.
    for number in 11..=13 {
        boot(&ground, number, "claimed");
        begin(&ground);
        boot(&ground, number + 10, "off");
        begin(&ground);
    }
    boot(&ground, 14, "claimed");
    assert!(begin(&ground).contains("goes back to the host"));
}

#[test]
fn a_damaged_count_leaves_one_try() {
    for damage in ["", "{", "\u{0}\u{0}\u{0}", "{\"schema\":\"neuron-boots/2\",\"unproven\":[]}"] {
        let ground = booted("claimed");
        begin(&ground);
        fs::write(ground.target().join(BOOTS), damage).unwrap();
        boot(&ground, 2, "claimed");
        let said = begin(&ground);
        assert!(said.contains("boot 3 of 3") && said.contains("boots.json"), "{damage:?}: {said}");
        boot(&ground, 3, "claimed");
        assert!(begin(&ground).contains("goes back to the host"), "{damage:?}");
    }
    // The control: an undamaged one leaves two more.
    let ground = booted("claimed");
    begin(&ground);
    boot(&ground, 2, "claimed");
    assert!(begin(&ground).contains("boot 2 of 3"));
}

/// A function of a made machine does not move: that has to be told, with its name.
#[test]
fn what_could_not_be_given_back_is_told() {
    let ground = booted("claimed");
    let devices = fs::read_to_string(ground.target().join("etc/neuron/vfio-devices")).unwrap();
    let guest = devices.lines().find_map(|line| line.strip_prefix("guest ")?.split(' ').next()).unwrap();
    let device = ground.machine().join("sys/bus/pci/devices").join(guest);
    fs::write(device.join("driver_override"), "vfio-pci\n").unwrap();
    let _ = fs::remove_file(device.join("driver"));
    std::os::unix::fs::symlink("../../../../bus/pci/drivers/vfio-pci", device.join("driver")).unwrap();
    for number in 1..=3 {
        boot(&ground, number, "claimed");
        begin(&ground);
    }
    boot(&ground, 4, "claimed");
    let said = ends(&ground, &["boot", "begin"], 6).stderr;
    assert!(said.contains(guest) && said.contains("neuron.passthrough=off"), "{said}");
}

#[test]
fn the_verb_is_not_for_people() {
    let help = program::run(["--help"]).unwrap().stdout;
    let lists = |verb: &str| help.lines().any(|line| line.trim_start().starts_with(&format!("{verb} ")));
    assert!(lists("status") && !lists("boot"), "{help}");
}

/// Programs that say of the sessions what a test wants: `loginctl` prints one, `systemctl` ends so.
fn witnesses(ground: &Ground, session: &str, systemctl: i32) -> PathBuf {
    let folder = ground.beside("bin");
    fs::create_dir_all(&folder).unwrap();
    let script = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    let list = "[ \"$1\" = list-sessions ] && { echo '  2 1000 user seat0 tty2'; exit; }";
    script("loginctl", &format!("{list}\nprintf '%s\\n' {session}"));
    script("systemctl", &format!("exit {systemctl}"));
    folder
}

const LOGIN: &str = "Id=2 Class=user Seat=seat0 Remote=no Active=yes State=active Service=gdm-password";

/// Runs `boot good` for so long; whether it came to an end by itself, and what it said.
fn good(ground: &Ground, witnesses: &std::path::Path, seconds: u64) -> (bool, String) {
    let mut command = program::command().unwrap();
    command.arg("--machine-root").arg(ground.machine()).arg("--target-root").arg(ground.target());
    let mut child = command
        .args(["boot", "good"])
        .env("PATH", format!("{}:/usr/bin:/bin", witnesses.display()))
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    let mut ended = child.try_wait().unwrap();
    while ended.is_none() && std::time::Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(20));
        ended = child.try_wait().unwrap();
    }
    if ended.is_none() {
        // As systemd ends it when the system goes down.
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(child.id().try_into().unwrap()),
            nix::sys::signal::Signal::SIGTERM,
        )
        .unwrap();
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

/// The units of the package.
fn units() -> Vec<PathBuf> {
    let folder =
        neuron_tests::tests_folder().join("../archiso-hooks/neuron-provisioner/usr/lib/systemd/system");
    let mut units: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    units.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with("neuron-boot-g"));
    units.sort();
    units
}

/// What systemd says of a unit, with the built program in the place of the installed one.
fn verified(text: &str, name: &str) -> Option<(bool, String)> {
    let scratch = neuron_tests::scratch().unwrap();
    let path = scratch.path().join(name);
    let program = program::path().unwrap();
    fs::write(&path, text.replace("/usr/bin/neuron-provisioner", &program.display().to_string())).unwrap();
    let run = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output().ok()?;
    Some((run.status.success(), String::from_utf8_lossy(&run.stderr).into_owned()))
}

#[test]
fn systemd_has_nothing_to_say_against_the_units() {
    let all = units();
    assert_eq!(all.len(), 2, "{all:?}");
    for path in all {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let Some((good, said)) = verified(&text, &name) else {
            eprintln!("NOT CHECKED: systemd-analyze is not installed");
            return;
        };
        let about_us: Vec<&str> = said.lines().filter(|line| line.contains(&name)).collect();
        assert!(good && about_us.is_empty(), "{name}: {said}");
        let wrong = text.replace("[Service]\n", "[Service]\nKillMood=process\n");
        let (_, said) = verified(&wrong, &name).unwrap();
        assert!(said.contains("KillMood"), "a mistake is not seen: {said}");
        let wrong = text.replace("ExecStart=/usr/bin/", "ExecStart=/usr/bin/not-");
        assert!(!verified(&wrong, &name).unwrap().0, "a program that is not there is not seen");
    }
}

/// A unit that does not end, or ends badly, keeps no desktop away.
#[test]
fn nothing_needs_our_units() {
    for path in units() {
        let text = fs::read_to_string(&path).unwrap();
        for word in ["RequiredBy=", "OnFailure=", "JobTimeoutAction=", "FailureAction=", "BindsTo="] {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
        let waits = text.contains("Type=oneshot");
        assert!(!waits || text.contains("TimeoutStartSec="), "{} could wait for ever", path.display());
    }
}
