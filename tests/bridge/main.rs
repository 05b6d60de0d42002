//! A bridge for virtual machines, made by what brings the host's network up: written, followed, taken
//! back, and refused where it would undo what somebody set.

#![allow(clippy::unwrap_used, reason = "what a test prepares by a function of its own may fail it, too")]

mod real;

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
    ground
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

/// What somebody wrote there.
const FILE: &str = "etc/NetworkManager/system-connections/office.nmconnection";
const NETWORK: &str = "etc/systemd/network/20-wired.network";

/// What is prepared, the services, the answers, and the words that say why it is refused.
type Refusal = (&'static [&'static str], &'static [(&'static str, &'static str)], String, &'static str);

#[test]
fn what_it_would_undo_is_named_and_nothing_is_written() {
    let usual = || answers("br0", "enp5s0");
    let manager: &[&str] = &[MANAGER];
    let networkd: &[&str] = &[NETWORKD];
    let two = "[vm.a]\n[vm.a.network]\nkind = \"bridge\"\nbridge_port = \"enp5s0\"\n\
               [vm.b]\n[vm.b.network]\nkind = \"bridge\"\nbridge = \"br1\"\nbridge_port = \"enp5s0\"\n";
    let profile = |more: &str| format!("[connection]\ntype=ethernet\n{more}");
    let [manual, for_any, other_card, login, part, wireless] = [
        profile("interface-name=enp5s0\n[ipv4]\nmethod=manual\naddress1=192.0.2.2/24\n"),
        profile("[ipv6]\nmethod=manual\n"),
        profile("interface-name=enp6s0\n[ipv4]\nmethod=manual\n"),
        profile("[802-1x]\neap=peap;\n"),
        profile("interface-name=enp5s0\nmaster=bond0\n"),
        "[connection]\ntype=wifi\n[ipv4]\nmethod=manual\n".to_owned(),
    ]
    .map(|text| -> &'static str { text.leak() });
    let cases: Vec<Refusal> = vec![
        (&[], &[], usual(), "neither NetworkManager nor systemd-networkd starts"),
        (&[MANAGER, NETWORKD], &[], usual(), "both start with this system"),
        (manager, &[], answers("br0", "eth9"), "there is no interface eth9"),
        (manager, &[], answers("br0", "../.."), "are to be names of interfaces"),
        (manager, &[], answers("a b", "enp5s0"), "are to be names of interfaces"),
        (manager, &[], answers("virbr0", "enp5s0"), "a name that libvirt gives"),
        (manager, &[], answers("enp5s0", "enp5s0"), "a bridge is no part of itself"),
        (manager, &[], two.to_owned(), "another machine has it otherwise"),
        (manager, vec![(FILE, manual)].leak(), usual(), "office.nmconnection sets its addresses itself"),
        (manager, vec![(FILE, for_any)].leak(), usual(), "office.nmconnection sets its addresses itself"),
        (manager, vec![(FILE, other_card)].leak(), usual(), ""),
        (manager, vec![(FILE, wireless)].leak(), usual(), ""),
        (manager, vec![(FILE, login)].leak(), usual(), "logs in to the network"),
        (manager, vec![(FILE, part)].leak(), usual(), "a part of another interface"),
        (
            manager,
            &[("etc/NetworkManager/conf.d/x.conf", "[keyfile]\nunmanaged-devices=interface-name:en*\n")],
            usual(),
            "leaves interfaces out of NetworkManager",
        ),
        (manager, &[("etc/network/interfaces", "iface enp5s0 inet dhcp\n")], usual(), "has it (ifupdown)"),
        (manager, &[("etc/network/interfaces", "iface lo inet loopback\n")], usual(), ""),
        (networkd, &[(NETWORK, "[Match]\nName=en*\n[Network]\nDHCP=yes\n")], usual(), ""),
        (networkd, &[(NETWORK, "[Match]\nName=eth*\n[Network]\nAddress=192.0.2.2/24\n")], usual(), ""),
        (networkd, &[(NETWORK, "[Match]\nType=wlan\n[Network]\nAddress=192.0.2.2/24\n")], usual(), ""),
        (
            networkd,
            &[(NETWORK, "[Match]\nName=en*\n[Network]\nAddress=192.0.2.2/24\n")],
            usual(),
            "sets Address",
        ),
        (
            networkd,
            &[(NETWORK, "[Network]\nDHCP=yes\n[Route]\nGateway=192.0.2.1\n")],
            usual(),
            "a section [Route]",
        ),
        (networkd, &[(NETWORK, "[Match]\nName=enp5s0\n[Network]\nBridge=br7\n")], usual(), "sets Bridge"),
        (
            networkd,
            &[(NETWORK, "[Match]\nName=enp5s0\n[Network]\nDHCP=no\n")],
            usual(),
            "does not ask for an address by DHCP",
        ),
        (
            networkd,
            &[("etc/systemd/network/00-all.network", "[Match]\nName=*\n[Network]\nDHCP=yes\n")],
            usual(),
            "is read before 05-neuron-",
        ),
    ];
    for (services, files, text, wanted) in cases {
        let ground = ground(services);
        for (path, text) in files {
            write(&ground.target().join(path), text).unwrap();
        }
        refused_or_not(&ground, &text, wanted);
    }
    // Wireless, virtual, and one that is on another bridge already.
    for (path, wanted) in
        [("phy80211/name", "is no wired card"), ("device", "is no wired card"), ("master", "a part of lan")]
    {
        let ground = ground(&[MANAGER]);
        let card = ground.machine().join("sys/class/net/enp5s0");
        match path {
            "device" => fs::remove_dir_all(card.join("device")).unwrap(),
            "master" => symlink("../lan", card.join("master")).unwrap(),
            _ => write(&card.join(path), "phy0\n").unwrap(),
        }
        refused_or_not(&ground, &usual(), wanted);
    }
}

/// An empty `wanted` is a control.
fn refused_or_not(ground: &Ground, answers: &str, wanted: &str) {
    let before = ground.tree().unwrap();
    let output = run(ground, answers, &["plan"]);
    let said = format!("{}{}", output.stdout, output.stderr).replace('\n', " ");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    if wanted.is_empty() {
        assert!(output.code == 0 && !said.contains("Refused:"), "{answers}{said}");
        return;
    }
    assert!(said.contains("Refused:"), "{wanted}: {answers}{said}");
    assert!(said.contains(wanted) && said.contains("bridge_port"), "{wanted}: {said}");
    assert_eq!(run(ground, answers, &["apply", "--yes"]).code, 3);
    assert_eq!(diff(&without_state(&before), &without_state(&ground.tree().unwrap())), []);
}
