//! The units of the package: what systemd says of them, and that no desktop waits for them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use neuron_tests::program;

/// The units of the package.
fn units() -> Vec<PathBuf> {
    let folder =
        neuron_tests::tests_folder().join("../archiso-hooks/neuron-provisioner/usr/lib/systemd/system");
    let mut units: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    units.retain(|path| path.extension().is_some_and(|extension| extension == "service"));
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
    assert_eq!(all.len(), 5, "{all:?}");
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

/// The package brings them started: nobody has to know of a guard to have one.
#[test]
fn the_units_are_wanted_as_installed() {
    for path in units() {
        let name = path.file_name().unwrap();
        let link = path.parent().unwrap().join("multi-user.target.wants").join(name);
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("..").join(name), "{}", link.display());
        assert!(!fs::read_to_string(&path).unwrap().contains("[Install]"), "two ways to be started");
    }
}

/// systemd takes openat2 away with `RestrictSUIDSGID=`: the kernel's answer is then "Function not
/// implemented" for every file (seen with systemd 257 in an installed system).
#[test]
fn no_unit_takes_away_what_every_file_is_opened_with() {
    for unit in units() {
        let text = fs::read_to_string(&unit).unwrap();
        let takes = |line: &str| line.trim_start().starts_with("RestrictSUIDSGID");
        assert!(!text.lines().any(takes), "{}", unit.display());
        let without_filter = |line: &str| !line.trim_start().starts_with("SystemCallFilter");
        assert!(text.lines().all(without_filter), "{}: a filter has to let openat2 through", unit.display());
    }
}

/// What starts such a command plans or judges the machine, for which it has to see the host's interfaces
/// and routes: in a network of its own there are none.
const SEES_THE_NETWORK: [&str; 4] = ["firstboot run", "firstboot wizard", "boot good", "boot ask"];

#[test]
fn what_plans_sees_the_network() {
    let hides = |text: &str| {
        text.lines().any(|line| {
            ["PrivateNetwork=", "NetworkNamespacePath=", "RestrictAddressFamilies="]
                .iter()
                .any(|key| line.trim_start().starts_with(key))
        })
    };
    let mut seen = 0;
    for path in units() {
        let text = fs::read_to_string(&path).unwrap();
        let plans = SEES_THE_NETWORK
            .iter()
            .any(|verb| text.contains(&format!("ExecStart=/usr/bin/neuron-provisioner {verb}")));
        assert_eq!(hides(&text), !plans, "{}", path.display());
        seen += usize::from(plans);
    }
    assert_eq!(seen, SEES_THE_NETWORK.len(), "the guard alone plans nothing, and is the control");
}
