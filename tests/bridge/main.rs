//! A bridge for virtual machines, made by what brings the host's network up: written, followed, taken
//! back, and refused where it would undo what somebody set.

#![allow(clippy::unwrap_used, reason = "what a test prepares by a function of its own may fail it, too")]

mod kept;
mod real;
mod refused;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use neuron_tests::program::Output;
use neuron_tests::scenario::{Ground, without_state};
use neuron_tests::tree::diff;
use neuron_tests::write;

const MANAGER: &str = "NetworkManager";
const NETWORKD: &str = "systemd-networkd";
const PROFILES: &str = "etc/NetworkManager/system-connections";
const NETWORKS: &str = "etc/systemd/network";
/// The card's own address.
const MAC: &str = "52:54:00:11:22:33";

/// A machine with a card to give away and a wired network card, and a target with these services.
fn ground(services: &[&str]) -> Ground {
    let ground = Ground::new("made-rtx-usbc-igpu", "arch-grub").unwrap();
    furnish(&ground, services);
    ground
}

fn furnish(ground: &Ground, services: &[&str]) {
    let card = ground.machine().join("sys/class/net/enp5s0");
    write(&card.join("address"), format!("{MAC}\n")).unwrap();
    write(&card.join("type"), "1\n").unwrap();
    write(&card.join("device/vendor"), "0x8086\n").unwrap();
    for folder in [PROFILES, NETWORKS] {
        fs::create_dir_all(ground.target().join(folder)).unwrap();
    }
    for service in services {
        let unit = format!("etc/systemd/system/multi-user.target.wants/{service}.service");
        write(&ground.target().join(unit), "[Unit]\n").unwrap();
    }
}

fn answers(bridge: &str, port: &str) -> String {
    format!(
        "[vm.a]\nkind = \"linux\"\n[vm.a.network]\nkind = \"bridge\"\nbridge = \"{bridge}\"\nbridge_port = \"{port}\"\n"
    )
}

fn run(ground: &Ground, answers: &str, arguments: &[&str]) -> Output {
    let file = ground.beside("answers.toml");
    fs::write(&file, answers).unwrap();
    ground.run(&[&["--answers", file.to_str().unwrap()], arguments].concat()).unwrap()
}

fn apply(ground: &Ground, answers: &str) {
    let output = run(ground, answers, &["apply", "--yes"]);
    assert_eq!(output.code, 4, "{}{}", output.stdout, output.stderr);
}

/// The files of ours in both places.
fn own(ground: &Ground) -> Vec<String> {
    let names = [PROFILES, NETWORKS].into_iter().flat_map(|folder| {
        let folder = ground.target().join(folder);
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().file_name())
    });
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.contains("neuron-")).collect();
    names.sort();
    names
}

fn text(ground: &Ground, path: &str) -> String {
    fs::read_to_string(ground.target().join(path)).unwrap()
}

#[test]
fn it_is_written_for_the_service_that_is_there_follows_the_answers_and_goes() {
    for (service, of_br0, of_lan) in [
        (
            MANAGER,
            ["neuron-br0-port.nmconnection", "neuron-br0.nmconnection"].as_slice(),
            ["neuron-lan-port.nmconnection", "neuron-lan.nmconnection"].as_slice(),
        ),
        (
            NETWORKD,
            &["05-neuron-br0-port.network", "05-neuron-br0.netdev", "05-neuron-br0.network"],
            &["05-neuron-lan-port.network", "05-neuron-lan.netdev", "05-neuron-lan.network"],
        ),
    ] {
        let ground = ground(&[service]);
        let before = ground.tree().unwrap();
        apply(&ground, &answers("br0", ""));
        assert_eq!(own(&ground), [""; 0], "{service}: the control, a bridge that somebody else makes");
        let without = without_state(&ground.tree().unwrap());
        apply(&ground, &answers("br0", "enp5s0"));
        assert_eq!(own(&ground), of_br0);
        let again = run(&ground, &answers("br0", "enp5s0"), &["plan", "--check"]);
        assert_eq!(again.code, 0, "{service}: nothing is left to do: {}", again.stdout);
        // After the reboot the card is a part of it, and that is no reason to refuse.
        symlink("../br0", ground.machine().join("sys/class/net/enp5s0/master")).unwrap();
        ground.boot("22222222-2222-4222-8222-222222222222").unwrap();
        assert_eq!(run(&ground, &answers("br0", "enp5s0"), &["plan", "--check"]).code, 0);
        let other = run(&ground, &answers("lan", "enp5s0"), &["plan"]);
        assert!(
            !other.stdout.contains("run mkinitcpio"),
            "{service}: no image hangs on it\n{}",
            other.stdout
        );
        apply(&ground, &answers("lan", "enp5s0"));
        assert_eq!(own(&ground), of_lan);
        apply(&ground, &answers("br0", ""));
        let gone = without_state(&ground.tree().unwrap());
        assert_eq!(diff(&without, &gone), [], "{service}: what is not wanted any more goes");
        fs::remove_file(ground.machine().join("sys/class/net/enp5s0/master")).unwrap();
        ground.boot("33333333-3333-4333-8333-333333333333").unwrap();
        apply(&ground, &answers("br0", "enp5s0"));
        let reverted = run(&ground, "", &["revert", "--yes"]);
        assert_eq!(reverted.code, 4, "{}", reverted.stderr);
        assert_eq!(diff(&without_state(&before), &without_state(&ground.tree().unwrap())), [], "{service}");
    }
}

#[test]
fn the_bridge_has_the_cards_address_and_nobody_else_reads_a_profile() {
    let manager = ground(&[MANAGER]);
    apply(&manager, &answers("br0", "enp5s0"));
    let bridge = text(&manager, &format!("{PROFILES}/neuron-br0.nmconnection"));
    for line in ["type=bridge", "interface-name=br0", &format!("mac-address={MAC}")] {
        assert!(bridge.lines().any(|one| one == line), "{line}\n{bridge}");
    }
    let card = text(&manager, &format!("{PROFILES}/neuron-br0-port.nmconnection"));
    for line in ["interface-name=enp5s0", "master=br0", "slave-type=bridge", "autoconnect-priority=999"] {
        assert!(card.lines().any(|one| one == line), "{line}\n{card}");
    }
    for name in own(&manager) {
        let mode = fs::metadata(manager.target().join(PROFILES).join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}: NetworkManager takes no other");
    }
    let networkd = ground(&[NETWORKD]);
    apply(&networkd, &answers("br0", "enp5s0"));
    let device = text(&networkd, &format!("{NETWORKS}/05-neuron-br0.netdev"));
    assert!(device.contains(&format!("Name=br0\nKind=bridge\nMACAddress={MAC}\n")), "{device}");
    for name in own(&networkd) {
        // networkd is no root.
        let mode = fs::metadata(networkd.target().join(NETWORKS).join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "{name}");
    }
}

#[test]
fn what_the_card_was_told_goes_over_to_the_bridge() {
    let ground = ground(&[NETWORKD]);
    let theirs = "[Match]\nName=en*\n[Network]\nDHCP=yes\nMulticastDNS=yes\n\n[DHCPv4]\nRouteMetric=100\n";
    write(&ground.target().join(NETWORKS).join("20-wired.network"), theirs).unwrap();
    apply(&ground, &answers("br0", "enp5s0"));
    let address = text(&ground, &format!("{NETWORKS}/05-neuron-br0.network"));
    let expected =
        "[Match]\nName=br0\n\n[Network]\nDHCP=yes\nMulticastDNS=yes\n\n[DHCPv4]\nRouteMetric=100\n";
    assert!(address.ends_with(expected), "{address}");
}
