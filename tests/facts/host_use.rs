//! What the host does with functions that somebody names: each use is seen, and nothing else is.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use neuron_passthrough::answers::Answers;
use neuron_passthrough::facts::{HostUse, Machine};
use neuron_passthrough::id::PciAddress;
use neuron_passthrough::root::Root;
use neuron_tests::machine::in_use;
use neuron_tests::write;

use super::laid_out;

const SATA: &str = "0000:00:17.0";
const USB: &str = "0000:00:14.0";
const NVME: &str = "0000:02:00.0";
const NIC: &str = "0000:00:1f.6";

fn at(address: &str) -> PciAddress {
    address.parse().unwrap()
}

fn machine(root: &Path) -> Machine {
    let answers = Answers::parse(&format!("[vm.a]\nusb_controllers = [\"{USB}\"]\n")).unwrap();
    Machine::read_for(&Root::directory(root).unwrap(), &answers).unwrap()
}

fn used(root: &Path) -> HostUse {
    machine(root).host_use.unwrap()
}

fn prepared() -> tempfile::TempDir {
    let folder = laid_out("made-rtx-usbc-igpu");
    in_use::in_no_use(folder.path()).unwrap();
    folder
}

fn mount(root: &Path, line: &str) {
    write(&root.join("proc/self/mountinfo"), format!("{line}\n")).unwrap();
}

/// A way of using an `NVMe` disk's second partition.
type Way = fn(&Path);

#[test]
fn every_way_of_using_a_disk_is_seen() {
    let ways: [(&str, Way); 11] = [
        ("is what this boot was started from", |root| {
            fs::create_dir_all(root.join("dev/disk/by-partuuid")).unwrap();
            symlink("../../nvme0n1p2", root.join("dev/disk/by-partuuid/ab-01")).unwrap();
            let variable = "LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
            let text: Vec<u8> = "AB-01\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
            let variable = root.join("sys/firmware/efi/efivars").join(variable);
            write(&variable, [&[6, 0, 0, 0], text.as_slice()].concat()).unwrap();
        }),
        ("is mounted at /home", |root| mount(root, "30 1 259:2 / /home rw - ext4 /dev/root rw")),
        ("is mounted at /srv", |root| mount(root, "30 1 0:31 /@ /srv rw shared:1 - btrfs /dev/nvme0n1p2 rw")),
        ("holds swap", |root| {
            write(
                &root.join("proc/swaps"),
                "Filename Type Size Used Priority\n/dev/nvme0n1p2 partition 1 0 -2\n",
            )
            .unwrap();
        }),
        ("is part of dm-0", |root| {
            write(&root.join("sys/class/block/nvme0n1p2/holders/dm-0"), "").unwrap();
        }),
        ("is part of a btrfs", |root| {
            write(&root.join("sys/fs/btrfs/1111/devices/nvme0n1p2"), "").unwrap();
        }),
        ("may be part of a zfs pool", |root| mount(root, "30 1 0:40 / / rw - zfs rpool/root rw")),
        ("is named in /etc/fstab", |root| {
            fs::create_dir_all(root.join("dev/disk/by-uuid")).unwrap();
            symlink("../../nvme0n1p2", root.join("dev/disk/by-uuid/ab-cd")).unwrap();
            write(&root.join("etc/fstab"), "# none\nUUID=ab-cd /data ext4 defaults 0 2\n").unwrap();
        }),
        ("is named in /etc/fstab", |root| {
            write(&root.join("etc/fstab"), "/dev/nvme0n1p2 none swap sw\n").unwrap();
        }),
        ("is named in /etc/crypttab", |root| {
            write(&root.join("etc/crypttab"), "data /dev/nvme0n1p2 none luks\n").unwrap();
        }),
        ("is mounted at /mnt", |root| {
            // A drive with two ways to it: the disk lies below a subsystem.
            fs::remove_file(root.join("sys/class/block/nvme0n1p2")).unwrap();
            let subsystem = "sys/devices/virtual/nvme-subsystem/nvme-subsys0";
            write(&root.join(subsystem).join("nvme0n1/nvme0n1p2/dev"), "259:2\n").unwrap();
            fs::create_dir_all(root.join("sys/class/nvme-subsystem")).unwrap();
            symlink(format!("../../{}", &subsystem[4..]), root.join("sys/class/nvme-subsystem/nvme-subsys0"))
                .unwrap();
            symlink(
                format!("../../{}/nvme0n1/nvme0n1p2", &subsystem[4..]),
                root.join("sys/class/block/nvme0n1p2"),
            )
            .unwrap();
            symlink(
                format!("../../../pci0000:00/0000:00:1d.0/{NVME}/nvme/nvme0"),
                root.join(subsystem).join("nvme0"),
            )
            .unwrap();
            mount(root, "30 1 259:2 / /mnt rw - ext4 /dev/nvme0n1p2 rw");
        }),
    ];
    for (how, way) in ways {
        let folder = prepared();
        let root = folder.path();
        in_use::disk(root, NVME, "nvme0n1", "259:0").unwrap();
        in_use::disk(root, NVME, "nvme0n1p2", "259:2").unwrap();
        in_use::disk(root, SATA, "sda", "8:0").unwrap();
        // The control: what is there and not used is no use.
        assert_eq!(used(root), HostUse::default(), "{how}");
        way(root);
        let seen = used(root);
        let told: Vec<&str> = seen.disks_of(at(NVME)).map(|disk| disk.used.as_str()).collect();
        assert!(told.iter().any(|one| one.starts_with(how)), "{how}: {told:?}");
        let of_other = seen.disks_of(at(SATA)).count();
        assert_eq!(of_other, usize::from(how.contains("pool")), "{how}: which disks a pool has is not told");
    }
}

#[test]
fn what_is_mounted_on_demand_is_in_no_use() {
    let folder = prepared();
    in_use::disk(folder.path(), NVME, "nvme0n1p2", "259:2").unwrap();
    for (options, uses) in [("noauto,user", 0), ("user", 1), ("noauto,x-systemd.automount", 1)] {
        write(&folder.path().join("etc/fstab"), format!("/dev/nvme0n1p2 /data ext4 {options} 0 2\n"))
            .unwrap();
        assert_eq!(used(folder.path()).disks.len(), uses, "{options}");
    }
}

#[test]
fn keyboards_are_known_by_their_keys_and_their_place() {
    let folder = prepared();
    let root = folder.path();
    in_use::keyboard(root, Some(USB), "input5").unwrap();
    assert!(used(root).keyboard_goes_with(&[at(USB)]));
    assert!(!used(root).keyboard_goes_with(&[at(SATA)]), "the control");
    // A mouse, and a keyboard that a program made up, are none.
    in_use::keyboard(root, None, "input6").unwrap();
    let keys = root.join("sys/devices/platform/i8042/serio0/input/input6/capabilities/key");
    fs::write(&keys, "1f0000 0 0 0 0\n").unwrap();
    write(&root.join("sys/devices/virtual/misc/uhid/input7/capabilities/key"), "fffffffffffffffe\n").unwrap();
    symlink("../../devices/virtual/misc/uhid/input7", root.join("sys/class/input/input7")).unwrap();
    assert!(used(root).keyboard_goes_with(&[at(USB)]));
    fs::write(&keys, "402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe\n").unwrap();
    assert!(!used(root).keyboard_goes_with(&[at(USB)]), "one on a port of its own stays");
}

#[test]
fn the_way_to_the_network_leads_through_what_interfaces_lie_on() {
    let folder = prepared();
    let root = folder.path();
    in_use::interface(root, NIC, "enp0s31f6").unwrap();
    assert!(used(root).routes.is_empty(), "an interface alone is no way");
    in_use::default_route(root, "enp0s31f6").unwrap();
    assert_eq!(used(root).routes[&at(NIC)], "enp0s31f6");
    // The same through a bridge on a bond.
    for (upper, lower) in [("br0", "bond0"), ("bond0", "enp0s31f6")] {
        let device = root.join("sys/devices/virtual/net").join(upper);
        fs::create_dir_all(&device).unwrap();
        symlink(format!("../{lower}"), device.join(format!("lower_{lower}"))).unwrap();
        symlink(format!("../../devices/virtual/net/{upper}"), root.join("sys/class/net").join(upper))
            .unwrap();
    }
    in_use::default_route(root, "br0").unwrap();
    assert_eq!(used(root).routes[&at(NIC)], "enp0s31f6");
    // And where only IPv6 has a default route; one that rejects leads nowhere.
    fs::remove_file(root.join("proc/net/route")).unwrap();
    let zeros = "0".repeat(32);
    let line = |flags: &str| {
        format!("{zeros} 00 {zeros} 00 fe800000000000000000000000000001 00000064 1 0 {flags} enp0s31f6\n")
    };
    for (flags, ways) in [("00200200", 0), ("00000003", 1)] {
        fs::write(root.join("proc/net/ipv6_route"), line(flags)).unwrap();
        assert_eq!(used(root).routes.len(), ways, "{flags}");
    }
}

#[test]
fn it_is_read_only_where_something_is_named_and_unknown_where_it_is_not_shown() {
    let folder = prepared();
    let root = Root::directory(folder.path()).unwrap().recording();
    assert_eq!(Machine::read_for(&root, &Answers::default()).unwrap().host_use, None);
    let mut capture = root.recorded().unwrap();
    assert!(!capture.entries_mut().any(|(path, _)| path.contains("mountinfo") || path.contains("class/net")));
    assert!(machine(folder.path()).host_use.is_some());
    for missing in ["proc/self/mountinfo", "sys/class/block", "sys/class/input", "sys/class/net"] {
        let folder = prepared();
        let path = folder.path().join(missing);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        assert_eq!(machine(folder.path()).host_use, None, "{missing}");
    }
}

#[test]
fn what_is_named_by_its_id_is_read_in_full() {
    let folder = prepared();
    let root = Root::directory(folder.path()).unwrap();
    let read = |answers: &str| Machine::read_for(&root, &Answers::parse(answers).unwrap()).unwrap();
    let full = |machine: &Machine| machine.functions[&at(SATA)].driver.clone();
    assert_eq!(full(&read("")), None);
    assert_eq!(full(&read("[vm.a]\npci_devices = [\"8086:a352\"]\n")).as_deref(), Some("ahci"));
    assert_eq!(full(&read(&format!("[vm.a]\npci_devices = [\"{SATA}\"]\n"))).as_deref(), Some("ahci"));
}
