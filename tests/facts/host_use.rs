//! What the host does with functions that somebody names: each use is seen, and nothing else is.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::Path;

use neuron_passthrough::answers::Answers;
use neuron_passthrough::facts::{HostUse, Machine};
use neuron_passthrough::id::PciAddress;
use neuron_passthrough::root::Root;
use neuron_tests::machine::in_use;
use neuron_tests::{left_out, write};

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
    Machine::read_for(&Root::directory(root).unwrap(), None, &answers).unwrap()
}

fn used(root: &Path) -> HostUse {
    machine(root).host_use.unwrap()
}

/// A machine that is in no use at all.
fn prepared() -> tempfile::TempDir {
    let folder = laid_out("made-rtx-usbc-igpu");
    in_use::without_keyboard(folder.path()).unwrap();
    folder
}

/// A link below `/dev/disk` to the second partition.
fn by(root: &Path, folder: &str, name: &str) {
    let folder = root.join("dev/disk").join(folder);
    fs::create_dir_all(&folder).unwrap();
    symlink("../../nvme0n1p2", folder.join(name)).unwrap();
}

fn mount(root: &Path, line: &str) {
    write(&root.join("proc/self/mountinfo"), format!("{line}\n")).unwrap();
}

/// A way of using an `NVMe` disk's second partition.
type Way = fn(&Path);

const WAYS: [(&str, Way); 19] = [
    ("is what this boot was started from", |root| {
        by(root, "by-partuuid", "ab-01");
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
        by(root, "by-uuid", "ab-cd");
        write(&root.join("etc/fstab"), "# none\nUUID=AB-CD /data ext4 defaults 0 2\n").unwrap();
    }),
    ("is named in /etc/fstab", |root| {
        write(&root.join("etc/fstab"), "/dev/nvme0n1p2 none swap sw\n").unwrap();
    }),
    ("is named in /etc/crypttab", |root| {
        write(&root.join("etc/crypttab"), "data /dev/nvme0n1p2 none luks\n").unwrap();
    }),
    ("is named in /etc/crypttab", |root| {
        by(root, "by-label", "my\\x20stick");
        let line = "data /dev/sda1 /key:LABEL=my\\040stick luks\n";
        write(&root.join("etc/crypttab"), line).unwrap();
    }),
    ("is named in /etc/crypttab", |root| {
        by(root, "by-id", "nvme-a:b");
        let line = "data /dev/sda1 none luks,header=/h:/dev/disk/by-id/nvme-a:b,discard\n";
        write(&root.join("etc/crypttab"), line).unwrap();
    }),
    ("is named in /etc/fstab", |root| {
        write(&root.join("etc/fstab"), "/dev/sda1 /data ext4 rw,journal_path=/dev/nvme0n1p2 0 2\n").unwrap();
    }),
    ("is named in /proc/cmdline", |root| {
        by(root, "by-partlabel", "keys");
        fs::write(root.join("proc/cmdline"), "quiet cryptkey=PARTLABEL=keys:ext4:/key rw\n").unwrap();
    }),
    ("is named in /proc/cmdline", |root| {
        by(root, "by-uuid", "1234-56");
        fs::write(root.join("proc/cmdline"), "rd.luks.key=77=/key:UUID=1234-56 rw\n").unwrap();
    }),
    ("is named in /proc/cmdline", |root| {
        by(root, "by-uuid", "1234-56");
        fs::write(root.join("proc/cmdline"), "rd.luks.uuid=luks-1234-56 rw\n").unwrap();
    }),
    ("is named in /etc/default/grub", |root| {
        by(root, "by-uuid", "1234-56");
        let line = "GRUB_CMDLINE_LINUX=\"cryptdevice=UUID=1234-56:root rw\"\n";
        write(&root.join("etc/default/grub"), line).unwrap();
    }),
    ("is named in /etc/kernel/cmdline", |root| {
        write(&root.join("etc/kernel/cmdline"), "resume=/dev/nvme0n1p2\n").unwrap();
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

#[test]
fn every_way_of_using_a_disk_is_seen() {
    for (how, way) in WAYS {
        let folder = prepared();
        let root = folder.path();
        in_use::disk(root, NVME, "nvme0n1", "259:0").unwrap();
        in_use::disk(root, NVME, "nvme0n1p2", "259:2").unwrap();
        in_use::disk(root, SATA, "sda", "8:0").unwrap();
        // The control: what is there and not used is no use, and a word is no name.
        by(root, "by-label", "quiet");
        by(root, "by-partlabel", "root");
        assert_eq!(used(root), HostUse::default(), "{how}");
        way(root);
        let seen = used(root);
        let told: Vec<&str> = seen.disks_of(at(NVME)).map(|disk| disk.used.as_str()).collect();
        assert!(told.iter().any(|one| one.starts_with(how)), "{how}: {told:?}");
        let of_other = seen.disks_of(at(SATA)).count();
        assert_eq!(of_other, usize::from(how.contains("pool")), "{how}: which disks a pool has is not told");
    }
}

/// A new system is not what its installer runs: its own tables count too.
#[test]
fn what_a_target_mounts_at_its_start_is_in_use() {
    let folder = prepared();
    let root = folder.path();
    in_use::disk(root, NVME, "nvme0n1p2", "259:2").unwrap();
    by(root, "by-uuid", "ab-cd");
    let target = neuron_tests::scratch().unwrap();
    let disks = |target: &Path| {
        let answers = Answers::parse(&format!("[vm.a]\nusb_controllers = [\"{USB}\"]\n")).unwrap();
        let (machine, target) = (Root::directory(root).unwrap(), Root::directory(target).unwrap());
        let machine = Machine::read_for(&machine, Some(&target), &answers).unwrap();
        machine.host_use.unwrap().disks
    };
    assert_eq!(disks(target.path()), []);
    write(&target.path().join("etc/fstab"), "UUID=ab-cd /home ext4 defaults 0 2\n").unwrap();
    assert_eq!(disks(target.path())[0].used, "is named in /etc/fstab");
    assert_eq!(used(root).disks, [], "the control: the machine's own say nothing of it");
}

/// Of what may be given away, the kernel itself is asked, by the device: what cannot be opened may be in use.
#[test]
fn a_disk_that_cannot_be_asked_may_be_in_use() {
    let folder = prepared();
    let root = folder.path();
    let disks = |answers: &str| {
        let answers = Answers::parse(answers).unwrap();
        let machine = Machine::read_for(&Root::directory(root).unwrap(), None, &answers).unwrap();
        machine.host_use.unwrap().disks.into_iter().map(|disk| disk.used).collect::<Vec<_>>()
    };
    in_use::disk(root, NVME, "nvme0n1", "259:0").unwrap();
    let named = format!("[vm.a]\npci_devices = [\"{NVME}\"]\n");
    assert_eq!(disks(&named), [""; 0], "the control: it can be opened");
    let node = root.join("dev/nvme0n1");
    fs::remove_file(&node).unwrap();
    assert_eq!(disks(&named), ["may be in use: there is no /dev/nvme0n1 to be asked"]);
    symlink("nvme0n1", &node).unwrap();
    let told = disks(&named);
    assert!(told.len() == 1 && told[0].starts_with("may be in use: cannot read /dev/nvme0n1"), "{told:?}");
    assert_eq!(disks(&format!("[vm.a]\nusb_controllers = [\"{USB}\"]\n")), [""; 0], "nobody asks for it");
    // One of several ways to a disk has no number and no device.
    fs::remove_file(root.join("sys/class/block/nvme0n1/dev")).unwrap();
    assert_eq!(disks(&named), [""; 0]);
}

#[test]
fn what_somebody_has_for_himself_is_held() {
    if left_out::without_root("who holds a block device is told to root alone") {
        return;
    }
    let root = Root::directory(Path::new("/")).unwrap();
    let devices = (0..8).map(|number| format!("/dev/loop{number}"));
    let Some(device) = devices.into_iter().find(|path| root.is_held(path).ok() == Some(Some(false))) else {
        left_out::tell("there is no loop device that is free");
        return;
    };
    let mut options = fs::OpenOptions::new();
    let held = options.read(true).custom_flags(nix::libc::O_EXCL).open(&device).unwrap();
    assert_eq!(root.is_held(&device).unwrap(), Some(true));
    drop(held);
    assert_eq!(root.is_held(&device).unwrap(), Some(false), "the control: it was let go");
    assert_eq!(root.is_held("/dev/no-such-disk").unwrap(), None);
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
    assert!(!used(root).keeps_a_keyboard(&[at(USB)]));
    assert!(used(root).keeps_a_keyboard(&[at(SATA)]), "the control");
    // A mouse, one that has the keys of a keyboard, and a keyboard that a program made up, are none.
    in_use::keyboard(root, None, "input6").unwrap();
    let keys = root.join("sys/devices/platform/i8042/serio0/input/input6/capabilities/key");
    fs::write(&keys, "1f0000 0 0 0 0\n").unwrap();
    write(&root.join("sys/devices/virtual/misc/uhid/input7/capabilities/key"), "fffffffffffffffe\n").unwrap();
    symlink("../../devices/virtual/misc/uhid/input7", root.join("sys/class/input/input7")).unwrap();
    let typing = "402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe\n";
    in_use::keyboard(root, None, "input8").unwrap();
    let mouse = root.join("sys/devices/platform/i8042/serio0/input/input8/capabilities/rel");
    fs::write(&mouse, "1943\n").unwrap();
    assert!(!used(root).keeps_a_keyboard(&[at(USB)]));
    fs::write(&mouse, "1040\n").unwrap();
    assert!(used(root).keeps_a_keyboard(&[at(USB)]), "a wheel alone moves no pointer");
    fs::remove_file(root.join("sys/class/input/input8")).unwrap();
    assert!(!used(root).keeps_a_keyboard(&[at(USB)]));
    fs::write(&keys, typing).unwrap();
    assert!(used(root).keeps_a_keyboard(&[at(USB)]), "one on a port of its own stays");
}

fn ways(root: &Path) -> Vec<(String, Vec<String>)> {
    let shown = |all: Vec<PciAddress>| all.iter().map(ToString::to_string).collect();
    used(root).ways.into_iter().map(|(name, functions)| (name, shown(functions))).collect()
}

fn virtual_interface(root: &Path, name: &str, below: &[&str]) {
    let device = root.join("sys/devices/virtual/net").join(name);
    fs::create_dir_all(&device).unwrap();
    for lower in below {
        symlink(format!("../{lower}"), device.join(format!("lower_{lower}"))).unwrap();
    }
    symlink(format!("../../devices/virtual/net/{name}"), root.join("sys/class/net").join(name)).unwrap();
}

#[test]
fn the_way_to_the_network_leads_through_what_interfaces_lie_on() {
    let folder = prepared();
    let root = folder.path();
    in_use::interface(root, NIC, "enp0s31f6").unwrap();
    assert_eq!(used(root).cards[&at(NIC)], "enp0s31f6");
    assert!(ways(root).is_empty(), "an interface alone is no way");
    in_use::default_route(root, &["enp0s31f6"]).unwrap();
    let through_the_card = [("enp0s31f6".to_owned(), vec![NIC.to_owned()])];
    assert_eq!(ways(root), through_the_card);
    // The same through a bridge on a bond.
    virtual_interface(root, "br0", &["bond0"]);
    virtual_interface(root, "bond0", &["enp0s31f6"]);
    in_use::default_route(root, &["br0"]).unwrap();
    assert_eq!(ways(root), through_the_card);
    // What a program made hides where it leads; beside it the other way is seen.
    virtual_interface(root, "tun0", &[]);
    in_use::default_route(root, &["tun0", "br0"]).unwrap();
    assert_eq!(ways(root), [through_the_card[0].clone(), ("tun0".to_owned(), Vec::new())]);
    // Where interfaces lie on each other for ever, nothing is known.
    virtual_interface(root, "a", &["b"]);
    virtual_interface(root, "b", &["a"]);
    in_use::default_route(root, &["a"]).unwrap();
    assert!(ways(root).iter().all(|(_, functions)| functions.is_empty()) && !ways(root).is_empty());
    // And where only IPv6 has a default route; one that rejects leads nowhere.
    fs::remove_file(root.join("proc/net/route")).unwrap();
    let zeros = "0".repeat(32);
    let line = |flags: &str| {
        format!("{zeros} 00 {zeros} 00 fe800000000000000000000000000001 00000064 1 0 {flags} enp0s31f6\n")
    };
    for (flags, count) in [("00200200", 0), ("00000003", 1)] {
        fs::write(root.join("proc/net/ipv6_route"), line(flags)).unwrap();
        assert_eq!(ways(root).len(), count, "{flags}");
    }
}

/// A virtual function goes with the function that made it.
#[test]
fn the_card_behind_a_virtual_function_is_on_the_way() {
    let folder = prepared();
    let root = folder.path();
    in_use::interface(root, NIC, "enp0s31f6v0").unwrap();
    in_use::default_route(root, &["enp0s31f6v0"]).unwrap();
    symlink(format!("../{SATA}"), root.join("sys/bus/pci/devices").join(NIC).join("physfn")).unwrap();
    assert_eq!(ways(root), [("enp0s31f6v0".to_owned(), vec![NIC.to_owned(), SATA.to_owned()])]);
}

#[test]
fn it_is_read_only_for_answers_and_unknown_where_it_is_not_shown() {
    let folder = prepared();
    let root = Root::directory(folder.path()).unwrap().recording();
    assert_eq!(Machine::read(&root).unwrap().host_use, None);
    let mut capture = root.recorded().unwrap();
    assert!(!capture.entries_mut().any(|(path, _)| path.contains("mountinfo") || path.contains("class/net")));
    // The card brings a USB controller along, whether somebody names a device or not.
    let plain = |root: &Root| Machine::read_for(root, None, &Answers::default()).unwrap();
    assert!(plain(&Root::directory(folder.path()).unwrap()).host_use.is_some());
    assert!(machine(folder.path()).host_use.is_some());
    // A capture shows nothing of it, and that is nothing to complain about.
    let captured = plain(&Root::capture(capture));
    assert_eq!((captured.host_use, captured.unreadable), (None, Vec::new()));
    // Where only pictures and sound can go, nobody asks.
    let only_pictures = laid_out("made-single-gpu");
    assert_eq!(plain(&Root::directory(only_pictures.path()).unwrap()).host_use, None);
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
    let read = |answers: &str| Machine::read_for(&root, None, &Answers::parse(answers).unwrap()).unwrap();
    let full = |machine: &Machine| machine.functions[&at(SATA)].driver.clone();
    assert_eq!(full(&read("")), None);
    assert_eq!(full(&read("[vm.a]\npci_devices = [\"8086:a352\"]\n")).as_deref(), Some("ahci"));
    assert_eq!(full(&read(&format!("[vm.a]\npci_devices = [\"{SATA}\"]\n"))).as_deref(), Some("ahci"));
}
