//! What a bridge would undo, or what would undo it, is named, and nothing is written.

use std::fs;
use std::os::unix::fs::symlink;

use neuron_tests::scenario::{Ground, without_state};
use neuron_tests::tree::diff;
use neuron_tests::write;

use super::{MANAGER, NETWORKD, NETWORKS, PROFILES, answers, ground, run};

const RUN_PROFILES: &str = "run/NetworkManager/system-connections";
const LIB_PROFILES: &str = "usr/lib/NetworkManager/system-connections";
const LIB_NETWORKS: &str = "usr/lib/systemd/network";
/// Says that nothing keeps the bridge from being made: a control.
const MADE: &str = "";

/// The usual answers on a target where somebody wrote these files.
fn with(service: &str, files: &[(&str, &str)], wanted: &str) {
    let ground = ground(&[service]);
    for (path, text) in files {
        write(&ground.target().join(path), text).unwrap();
    }
    refused_or_not(&ground, &answers("br0", "enp5s0"), wanted);
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

#[test]
fn answers_and_services_that_do_not_go_together() {
    let usual = || answers("br0", "enp5s0");
    let two = "[vm.a]\n[vm.a.network]\nkind = \"bridge\"\nbridge_port = \"enp5s0\"\n\
               [vm.b]\n[vm.b.network]\nkind = \"bridge\"\nbridge = \"br1\"\nbridge_port = \"enp5s0\"\n";
    let cases: [(&[&str], String, &str); 17] = [
        (&[], usual(), "neither NetworkManager nor systemd-networkd starts"),
        (&[MANAGER, NETWORKD], usual(), "both start with this system"),
        (&[MANAGER], usual(), MADE),
        (&[MANAGER, "dhcpcd"], usual(), "dhcpcd.service starts with this system beside NetworkManager"),
        (
            &[NETWORKD, "dhcpcd@enp5s0"],
            usual(),
            "dhcpcd@enp5s0.service starts with this system beside systemd-networkd",
        ),
        (&[MANAGER, "dhcpcd@br0"], usual(), "would bring enp5s0 or br0 up as well"),
        (&[MANAGER, "connman"], usual(), "connman.service starts with this system"),
        (&[MANAGER, "netctl@office"], usual(), "netctl@office.service starts with this system"),
        (&[MANAGER, "dhcpcd@wlan0", "netctl-auto@wlan0"], usual(), MADE),
        (&["connman"], usual(), "neither NetworkManager nor systemd-networkd starts"),
        (&[MANAGER], answers("br0", "eth9"), "there is no interface eth9"),
        (&[MANAGER], answers("br0", "../.."), "are to be names of interfaces"),
        (&[MANAGER], answers("a b", "enp5s0"), "are to be names of interfaces"),
        (&[MANAGER], answers("virbr0", "enp5s0"), "a name that libvirt gives"),
        // Its files would be those of a card on the bridge `br0`.
        (&[MANAGER], answers("br0-port", "enp5s0"), "br0-port ends in -port"),
        (&[MANAGER], answers("enp5s0", "enp5s0"), "a bridge is no part of itself"),
        (&[MANAGER], two.to_owned(), "another machine has it otherwise"),
    ];
    for (services, text, wanted) in cases {
        refused_or_not(&ground(services), &text, wanted);
    }
}

#[test]
fn a_service_that_is_masked_starts_nothing() {
    for (unit, mask) in [("dhcpcd", "dhcpcd"), ("dhcpcd@enp5s0", "dhcpcd@"), (NETWORKD, NETWORKD)] {
        let ground = ground(&[MANAGER, unit]);
        refused_or_not(&ground, &answers("br0", "enp5s0"), "with this system");
        symlink("/dev/null", ground.target().join(format!("etc/systemd/system/{mask}.service"))).unwrap();
        refused_or_not(&ground, &answers("br0", "enp5s0"), MADE);
    }
}

/// netctl lets an interface want its service, and dhclient may be wanted by any target.
#[test]
fn a_service_that_something_else_wants_is_seen() {
    for (unit, folder, wanted) in [
        ("netctl-auto@enp5s0", "sys-subsystem-net-devices-enp5s0.device.wants", "netctl-auto@enp5s0.service"),
        ("netctl-ifplugd@br0", "sys-subsystem-net-devices-br0.device.wants", "netctl-ifplugd@br0.service"),
        ("dhclient@enp5s0", "network-online.target.wants", "dhclient@enp5s0.service"),
        ("netctl-auto@wlan0", "sys-subsystem-net-devices-wlan0.device.wants", MADE),
        ("netctl-auto@enp5s0", "sys-subsystem-net-devices-enp5s0.device.d", MADE),
    ] {
        let ground = ground(&[MANAGER]);
        let units = ground.target().join("etc/systemd/system");
        write(&units.join(format!("{folder}/{unit}.service")), "[Unit]\n").unwrap();
        refused_or_not(&ground, &answers("br0", "enp5s0"), wanted);
        symlink("/dev/null", units.join(format!("{unit}.service"))).unwrap();
        refused_or_not(&ground, &answers("br0", "enp5s0"), MADE);
    }
}

#[test]
fn what_the_machine_has_already() {
    // Wireless, virtual, on another bridge, and a bridge of that name that is nobody's of ours.
    for (path, wanted) in [
        ("enp5s0/phy80211/name", "is no wired card"),
        ("enp5s0/device", "is no wired card"),
        ("enp5s0/master", "a part of lan"),
        ("br0/address", "there is an interface br0 already"),
        ("br1/address", MADE),
    ] {
        let ground = ground(&[MANAGER]);
        let interfaces = ground.machine().join("sys/class/net");
        match path {
            "enp5s0/device" => fs::remove_dir_all(interfaces.join(path)).unwrap(),
            "enp5s0/master" => symlink("../lan", interfaces.join(path)).unwrap(),
            _ => write(&interfaces.join(path), "phy0\n").unwrap(),
        }
        refused_or_not(&ground, &answers("br0", "enp5s0"), wanted);
    }
}

#[test]
fn another_bridge_of_ours_hides_no_part_of_something_else() {
    let ground = ground(&[MANAGER]);
    super::apply(&ground, &answers("br0", "enp5s0"));
    let card = ground.machine().join("sys/class/net/enp6s0");
    for (file, text) in [("address", "52:54:00:11:22:44\n"), ("type", "1\n"), ("device/vendor", "0x8086\n")] {
        write(&card.join(file), text).unwrap();
    }
    refused_or_not(&ground, &answers("br1", "enp6s0"), MADE);
    symlink("../bond0", card.join("master")).unwrap();
    refused_or_not(&ground, &answers("br1", "enp6s0"), "enp6s0 is a part of bond0");
}

#[test]
fn profiles_of_network_manager_that_do_more_than_ask_by_dhcp() {
    let file = format!("{PROFILES}/office.nmconnection");
    let usual = "[connection]\nid=x\nuuid=11111111-1111-4111-8111-111111111113\ntype=ethernet\n\
                 autoconnect-priority=-999\ninterface-name=enp5s0\ntimestamp=1\n[ethernet]\n\
                 mac-address=52:54:00:11:22:33\n[ipv4]\nmethod=auto\ndns-search=\n[ipv6]\n\
                 addr-gen-mode=stable-privacy\nmethod=auto\n[proxy]\n";
    with(MANAGER, &[(&file, usual)], MADE);
    // What it writes by itself for a card without a profile, and for what others made.
    let automatic = "[connection]\nid=Wired connection 1\nuuid=11111111-1111-4111-8111-111111111114\n\
                     type=ethernet\nautoconnect-priority=-999\ninterface-name=enp5s0\ntimestamp=1\n\n[ethernet]\n\n\
                     [ipv4]\nmethod=auto\n\n[ipv6]\naddr-gen-mode=stable-privacy\nmethod=auto\n\n[proxy]\n\n\
                     [.nmmeta]\nnm-generated=true\n";
    let path = format!("{RUN_PROFILES}/Wired connection 1.nmconnection");
    with(MANAGER, &[(&path, automatic)], MADE);
    let shadowed = automatic.replace("nm-generated=true", "shadowed-storage=/etc/x");
    with(MANAGER, &[(&path, &shadowed)], "sets shadowed-storage ([.nmmeta])");
    for (line, wanted) in [
        ("[ipv4]\nmethod=manual\n", "sets method ([ipv4])"),
        ("[ipv4]\naddress1=192.0.2.2/24,192.0.2.1\n", "sets address1 ([ipv4])"),
        ("[ipv4]\nroute1=198.51.100.0/24,192.0.2.7\n", "sets route1 ([ipv4])"),
        ("[ipv4]\ndns=192.0.2.53;\n", "sets dns ([ipv4])"),
        ("[ipv4]\nignore-auto-dns=true\n", "sets ignore-auto-dns ([ipv4])"),
        ("[ipv4]\nnever-default=true\n", "sets never-default ([ipv4])"),
        ("[ipv6]\nmethod=disabled\n", "sets method ([ipv6])"),
        ("[ethernet]\nmtu=9000\n", "sets mtu ([ethernet])"),
        ("[ethernet]\ncloned-mac-address=random\n", "sets cloned-mac-address ([ethernet])"),
        ("[connection]\nzone=work\n", "sets zone ([connection])"),
        ("[connection]\nmaster=bond0\n", "sets master ([connection])"),
        ("[connection]\nautoconnect-priority=999\n", "sets autoconnect-priority ([connection])"),
        ("[802-1x]\neap=peap;\n", "sets eap ([802-1x])"),
        ("[user]\nanything=1\n", "sets anything ([user])"),
    ] {
        for folder in [PROFILES, RUN_PROFILES, LIB_PROFILES] {
            let path = format!("{folder}/office.nmconnection");
            with(MANAGER, &[(&path, &format!("{usual}{line}"))], &format!("office.nmconnection {wanted}"));
        }
        let other = usual.replace("enp5s0", "enp6s0");
        with(MANAGER, &[(&file, &format!("{other}{line}"))], MADE);
    }
    // What is called as ours are is not ours for that.
    let own_name = format!("{PROFILES}/neuron-office.nmconnection");
    let manual = format!("{usual}[ipv4]\nmethod=manual\n");
    with(MANAGER, &[(&own_name, &manual)], "neuron-office.nmconnection sets method");
    let taken = format!("{PROFILES}/neuron-br0.nmconnection");
    with(
        MANAGER,
        &[(&taken, &usual.replace("enp5s0", "enp6s0"))],
        "neuron-br0.nmconnection is there already",
    );
}

#[test]
fn connections_that_lie_on_the_card() {
    let file = format!("{PROFILES}/office.nmconnection");
    let by_uuid = "parent=11111111-1111-4111-8111-111111111113";
    for (kind, more, wanted) in [
        ("pppoe", "[pppoe]\nparent=enp5s0\n", "is a connection of type pppoe"),
        ("pppoe", "[pppoe]\nparent=enp6s0\n", MADE),
        ("vlan", "[vlan]\nparent=enp5s0\n", "is a connection of type vlan"),
        ("macvlan", &format!("[macvlan]\n{by_uuid}\n"), "is a connection of type macvlan"),
        ("veth", "interface-name=vnet0\n[veth]\npeer=vnet1\n", MADE),
        ("hsr", "[hsr]\nport1=enp5s0\n", "is a connection of type hsr"),
        ("wifi", "[ipv4]\nmethod=manual\n", MADE),
        ("bridge", "interface-name=lan\n[ipv4]\nmethod=manual\n", MADE),
        ("bridge", "interface-name=br0\n[ipv4]\nmethod=manual\n", "office.nmconnection is about br0"),
        ("ethernet", "interface-name=enp6s0\nmaster=br0\n", "office.nmconnection is about br0"),
    ] {
        with(MANAGER, &[(&file, &format!("[connection]\ntype={kind}\n{more}"))], wanted);
    }
}

#[test]
fn settings_of_network_manager_that_leave_the_card_out() {
    let unmanaged = "leaves interfaces out of NetworkManager";
    for (text, wanted) in [
        ("[keyfile]\nunmanaged-devices=interface-name:en*\n", unmanaged),
        ("[keyfile]\nunmanaged-devices=*,except:type:wifi\n", unmanaged),
        ("[keyfile]\nunmanaged-devices+=mac:52:54:00:11:22:33\n", unmanaged),
        ("[keyfile]\nunmanaged-devices=interface-name:veth*;interface-name:=docker0\n", MADE),
        ("[keyfile]\npath=/srv\n", "sets path ([keyfile])"),
        ("[device]\nmanaged=0\n", "sets managed ([device])"),
        ("[device-x]\nmatch-device=type:wifi\nwifi.scan-rand-mac-address=no\n", MADE),
        ("[connection]\nethernet.cloned-mac-address=random\n", "sets ethernet.cloned-mac-address"),
        (
            "[main]\nplugins=ifupdown,keyfile\ndns=none\n[ifupdown]\nmanaged=false\n[logging]\nlevel=WARN\n",
            MADE,
        ),
    ] {
        for path in [
            "etc/NetworkManager/NetworkManager.conf",
            "etc/NetworkManager/conf.d/x.conf",
            "run/NetworkManager/conf.d/x.conf",
            "usr/lib/NetworkManager/conf.d/x.conf",
        ] {
            with(MANAGER, &[(path, text)], wanted);
        }
    }
    // As Ubuntu's is undone: a file of the same name in front of it.
    let all = "[keyfile]\nunmanaged-devices=*,except:type:wifi\n";
    let hidden = [("usr/lib/NetworkManager/conf.d/x.conf", all), ("etc/NetworkManager/conf.d/x.conf", "")];
    with(MANAGER, &hidden, MADE);
}

#[test]
fn files_of_networkd_that_do_more_than_ask_by_dhcp() {
    // As Arch's installer leaves it.
    let usual = "[Match]\nName=en*\nName=eth*\n[Link]\nRequiredForOnline=routable\n[Network]\nDHCP=yes\n\
                 MulticastDNS=yes\n[DHCPv4]\nRouteMetric=100\n[IPv6AcceptRA]\nRouteMetric=100\n";
    let file = format!("{NETWORKS}/20-wired.network");
    with(NETWORKD, &[(&file, usual)], MADE);
    for (line, wanted) in [
        ("[Network]\nAddress=192.0.2.2/24\n", "sets Address ([Network])"),
        ("[Network]\nDNS=192.0.2.53\n", "sets DNS ([Network])"),
        ("[Network]\nBridge=br7\n", "sets Bridge ([Network])"),
        ("[Network]\nVLAN=office\n", "sets VLAN ([Network])"),
        ("[Network]\nMulticastDNS=no\n", "sets MulticastDNS ([Network])"),
        ("[Link]\nMTUBytes=9000\n", "sets MTUBytes ([Link])"),
        ("[Route]\nGateway=192.0.2.1\n", "sets Gateway ([Route])"),
        ("[DHCPv4]\nUseDNS=no\n", "sets UseDNS ([DHCPv4])"),
    ] {
        for folder in [NETWORKS, "run/systemd/network", LIB_NETWORKS] {
            let path = format!("{folder}/20-wired.network");
            with(NETWORKD, &[(&path, &format!("{usual}{line}"))], &format!("20-wired.network {wanted}"));
            let drop_in = format!("{folder}/20-wired.network.d/x.conf");
            with(NETWORKD, &[(&file, usual), (&drop_in, line)], &format!("x.conf {wanted}"));
            let of_none = format!("{folder}/30-none.network.d/x.conf");
            with(NETWORKD, &[(&file, usual), (&of_none, line)], MADE);
        }
        with(NETWORKD, &[(&file, &format!("[Match]\nType=wlan\n{line}"))], MADE);
        with(NETWORKD, &[(&file, &format!("[Match]\nName=ve-*\nKind=veth\n{line}"))], MADE);
        with(NETWORKD, &[(&file, &format!("[Match]\nName=eth*\n{line}"))], MADE);
        // `enp5s0` may be called `eno1` as well.
        with(NETWORKD, &[(&file, &format!("[Match]\nName=eno1\n{line}"))], wanted);
    }
    for (text, wanted) in [
        ("[Match]\nName=enp5s0\n[Network]\nDHCP=no\n", "sets DHCP ([Network])"),
        ("[Match]\nName=enp5s0\n[Network]\nIPv6AcceptRA=yes\n", "does not ask for an address by DHCP"),
        ("[Match]\nName=br0\n[Network]\nDHCP=yes\n", "20-wired.network is about br0"),
    ] {
        with(NETWORKD, &[(&file, text)], wanted);
    }
    let first = format!("{NETWORKS}/00-all.network");
    with(NETWORKD, &[(&first, "[Match]\nName=*\n[Network]\nDHCP=yes\n")], "is read before 05-neuron-");
    let device = format!("{LIB_NETWORKS}/10-br0.netdev");
    with(NETWORKD, &[(&device, "[NetDev]\nName=br0\nKind=bridge\n")], "10-br0.netdev is about br0");
    with(NETWORKD, &[(&device, "[NetDev]\nName=br7\nKind=bridge\n")], MADE);
}

#[test]
fn ifupdown_and_netplan() {
    let interfaces = "etc/network/interfaces";
    let usual = "# as installed\nsource /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n";
    let plan = "network:\n  version: 2\n  renderer: NetworkManager # all\n";
    for service in [MANAGER, NETWORKD] {
        with(service, &[(interfaces, usual), ("etc/netplan/01.yaml", plan)], MADE);
        for (path, text, wanted) in [
            (interfaces, "iface enp5s0 inet dhcp\n", "interfaces sets up interfaces by ifupdown"),
            (interfaces, "source /srv/*\n", "interfaces sets up interfaces by ifupdown"),
            ("etc/network/interfaces.d/br0", "iface br0 inet dhcp\n", "interfaces.d/br0 sets up"),
            ("run/network/interfaces.d/x", "auto enp5s0\n", "interfaces.d/x sets up"),
            (
                "etc/netplan/02.yaml",
                "network:\n  ethernets:\n    enp5s0:\n",
                "02.yaml sets up interfaces by netplan",
            ),
            ("run/netplan/02.yaml", "network: {ethernets: {}}\n", "02.yaml sets up interfaces by netplan"),
        ] {
            with(service, &[(path, text)], wanted);
        }
    }
}

/// As the packages of this system have them.
#[test]
fn what_the_services_bring_themselves_is_no_reason() {
    for (service, folder) in [(MANAGER, "usr/lib/NetworkManager/conf.d"), (NETWORKD, LIB_NETWORKS)] {
        let ground = ground(&[service]);
        let of_system = std::path::Path::new("/").join(folder);
        for entry in fs::read_dir(&of_system).into_iter().flatten() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            write(&ground.target().join(folder).join(path.file_name().unwrap()), text).unwrap();
        }
        refused_or_not(&ground, &answers("br0", "enp5s0"), MADE);
        // What one of those says, for the card.
        let theirs = ground.target().join(LIB_NETWORKS).join("80-container-ve.network");
        if service == NETWORKD {
            let text = fs::read_to_string(&theirs).unwrap().replace("Name=ve-*", "Name=en*");
            write(&theirs, text).unwrap();
            refused_or_not(&ground, &answers("br0", "enp5s0"), "80-container-ve.network sets Address");
        }
    }
}
