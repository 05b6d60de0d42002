//! What systemd itself starts in the image: the profile's links over what the packages bring.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use neuron_tests::tests_folder;

use crate::build::{NOBODY, run, tried};
use crate::root::Root;

const SYSTEMD: &str = "/usr/lib/systemd/systemd";
const UNITS: &str = "usr/lib/systemd/system";
const OURS: [&str; 5] = [
    "neuron-boot-good.service",
    "neuron-boot-guard.service",
    "neuron-firstboot-ask.service",
    "neuron-firstboot.service",
    "neuron-trial.service",
];

/// Units of packages that the profile has links to, as far as links go.
const OF_OTHERS: [(&str, &str); 2] =
    [("lightdm", "graphical.target"), ("NetworkManager", "multi-user.target")];

/// A root as mkarchiso lays it out: the profile's `airootfs`, then packages.
fn image() -> Root {
    let root = Root::new();
    for (name, target) in OF_OTHERS {
        let text = format!(
            "[Unit]\nDescription=stands for {name}\n[Service]\nExecStart=/usr/bin/{name}\n[Install]\nWantedBy={target}\n"
        );
        root.put(&format!("{UNITS}/{name}.service"), &text);
    }
    let airootfs = tests_folder().join("../iso-profile/airootfs");
    run(Command::new("cp").arg("-a").arg(airootfs.join(".")).arg(root.path("")));
    // systemd tries this as an ordinary user.
    run(Command::new("chmod").args(["-R", "a+rX"]).arg(root.path("")));
    root
}

/// The units for which systemd makes a job when it boots to the desktop.
fn started(root: &Root) -> BTreeSet<String> {
    let folders = [root.path("etc/systemd/system"), root.path(UNITS), Path::new("/").join(UNITS)];
    let folders = folders.map(|folder| folder.display().to_string()).join(":");
    let mut systemd = Command::new("setpriv");
    systemd.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", SYSTEMD]);
    systemd.args(["--test", "--system", "--no-pager", "--unit=graphical.target"]);
    let said = run(systemd.env("SYSTEMD_UNIT_PATH", folders).env("XDG_RUNTIME_DIR", root.path("run")));
    let jobs = said.lines().filter_map(|line| line.trim().strip_prefix("Action: "));
    jobs.filter_map(|job| job.strip_suffix(" -> start")).map(str::to_owned).collect()
}

fn is_enabled(root: &Root, unit: &str) -> String {
    let mut systemctl = Command::new("systemctl");
    tried(systemctl.arg(format!("--root={}", root.path("").display())).args(["is-enabled", unit])).1
}

#[test]
fn the_image_starts_our_units_the_network_and_the_desktop() {
    let root = image();
    let found = started(&root);
    for unit in OURS.into_iter().chain(["NetworkManager.service", "lightdm.service"]) {
        assert!(found.contains(unit), "{unit}: {found:?}");
    }
    assert_eq!(is_enabled(&root, "NetworkManager.service").trim(), "enabled");
    assert_eq!(is_enabled(&root, "display-manager.service").trim(), "alias");
    for unit in OURS {
        assert_eq!(
            is_enabled(&root, unit).trim(),
            "static",
            "{unit}: the package has the link, nobody enables it"
        );
    }
}

/// The controls: systemd starts none of them for another reason.
#[test]
fn without_its_link_a_unit_is_not_started() {
    let root = image();
    for unit in OURS {
        fs::remove_file(root.path(UNITS).join("multi-user.target.wants").join(unit)).unwrap();
    }
    let of_profile = root.path("etc/systemd/system");
    fs::remove_file(of_profile.join("multi-user.target.wants/NetworkManager.service")).unwrap();
    fs::remove_file(of_profile.join("display-manager.service")).unwrap();
    let found = started(&root);
    assert!(found.contains("multi-user.target"), "{found:?}");
    for unit in OURS.into_iter().chain(["NetworkManager.service", "lightdm.service"]) {
        assert!(!found.contains(unit), "{unit}: {found:?}");
    }
    assert_eq!(is_enabled(&root, "NetworkManager.service").trim(), "disabled");
}

/// A link of the profile to a unit that no package has is found by systemd, and starts nothing.
#[test]
fn a_link_to_a_unit_that_is_called_otherwise_starts_nothing() {
    let root = image();
    fs::rename(root.path(UNITS).join("lightdm.service"), root.path(UNITS).join("lxdm.service")).unwrap();
    assert!(!started(&root).contains("lightdm.service"));
}
