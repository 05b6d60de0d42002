//! What is written makes a bridge: read by the services themselves, in a network of their own.

use std::path::Path;
use std::process::Command;

use neuron_tests::left_out;

use super::{MAC, MANAGER, NETWORKD, NETWORKS, PROFILES, answers, apply, ground};

/// A network with a card `enp5s0` whose cable leads to `other`, where addresses are given out by DHCP; then the
/// service, and what became of it: the card's bridge, and which interface has such an address.
const SCRIPT: &str = r#"
set -e
service=$1 files=$2
mount -t sysfs -o ro sysfs /sys
mount -t tmpfs private /run
mkdir -p /run/dbus /run/NetworkManager
ip link add enp5s0 type veth peer name other
ip link set other up
ip address add 192.0.2.1/24 dev other
dnsmasq --conf-file=/dev/null --user=root --pid-file=/run/dnsmasq --port=0 --interface=other --bind-interfaces \
    --dhcp-range=192.0.2.50,192.0.2.60,1h --dhcp-leasefile=/run/leases --no-ping --log-facility=/run/log-dhcp
addressed() { ip -4 -o address show | sed -n 's/^[0-9]*: \([a-z0-9]*\) *inet 192\.0\.2\.[56][0-9].*/\1/p'; }
case $service in
    systemd-networkd)
        mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
        chown -R systemd-network /run/systemd/netif
        mkdir -p /etc/systemd/network
        mount --bind "$files" /etc/systemd/network
        /usr/lib/systemd/systemd-networkd >/run/log 2>&1 &
        ;;
    NetworkManager)
        mount -t tmpfs private /var/lib/NetworkManager
        mount --bind "$files" /etc/NetworkManager/system-connections
        dbus-daemon --system --fork
        NetworkManager --no-daemon >/run/log 2>&1 &
        ;;
esac
for tenth in $(seq "$3"); do
    with=$(addressed)
    if [ -n "$with" ]; then break; fi
    sleep 0.1
done
on=none
if [ -e /sys/class/net/br0/brif/enp5s0 ]; then on=$(cat /sys/class/net/br0/address); fi
echo "bridge $on, address on ${with:-none}"
kill "$(cat /run/dnsmasq)"
cat /run/log /run/log-dhcp >&2
"#;

/// What the service makes of these files, once some interface has an address; at most so many tenths of a second.
fn made(service: &str, files: &Path, patience: u32) -> String {
    let mut unshare = Command::new("unshare");
    unshare.args([
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "sh",
        "-c",
        SCRIPT,
        "sh",
    ]);
    let done = unshare.arg(service).arg(files).arg(patience.to_string()).output().unwrap();
    assert!(done.status.success(), "{service}: {}", String::from_utf8_lossy(&done.stderr));
    let said = String::from_utf8_lossy(&done.stdout).trim().to_owned();
    println!("{service}: {said}\n{}", String::from_utf8_lossy(&done.stderr));
    said
}

#[test]
fn each_service_makes_the_bridge_and_prefers_ours_to_what_had_the_card() {
    if left_out::without_root("a network of its own, and services in it, take root") {
        return;
    }
    let by_dhcp = "[Match]\nName=en*\n[Network]\nDHCP=yes\n";
    let profile = "[connection]\nid=wired\nuuid=11111111-1111-4111-8111-111111111113\ntype=ethernet\n\
                   interface-name=enp5s0\n[ipv4]\nmethod=auto\n";
    for (service, folder, theirs, text) in [
        (NETWORKD, NETWORKS, "20-wired.network", by_dhcp),
        (MANAGER, PROFILES, "wired.nmconnection", profile),
    ] {
        let ground = ground(&[service]);
        let files = ground.target().join(folder);
        let path = files.join(theirs);
        neuron_tests::write(&path, text).unwrap();
        std::fs::set_permissions(
            &path,
            std::os::unix::fs::PermissionsExt::from_mode(if service == MANAGER { 0o600 } else { 0o644 }),
        )
        .unwrap();
        // The folder of a test is its own; networkd is another user.
        for folder in files
            .ancestors()
            .take_while(|folder| *folder != Path::new("/dev/shm") && *folder != Path::new("/tmp"))
        {
            let _ = std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755));
        }
        // The control: what was there makes none, and the card has the address.
        assert_eq!(made(service, &files, 290), "bridge none, address on enp5s0", "{service}");
        apply(&ground, &answers("br0", "enp5s0"));
        assert_eq!(made(service, &files, 290), format!("bridge {MAC}, address on br0"), "{service}");
    }
}
