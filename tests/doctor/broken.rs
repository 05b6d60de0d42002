//! For every check a machine that turns it, and nothing else, to its failing status.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use neuron_passthrough::verify;
use neuron_tests::kernel;
use neuron_tests::scenario::Ground;
use serde_json::Value;

use crate::machine::{
    DISK, DOMAIN, DOMAINS, GUESTS, HOST, Hook, IMAGE, KVM, LOADER, MEMORY, OURS, bind, claim, doctor,
    healthy, line, memory, put, remove, text, worst,
};

/// One way in which it is not as it should be.
struct Broken {
    id: &'static str,
    what: &'static str,
    status: &'static str,
    hook: Hook,
    by: fn(&Ground),
    /// Checks that cannot but see it as well.
    also: &'static [&'static str],
}

const fn broken(id: &'static str, what: &'static str, status: &'static str, by: fn(&Ground)) -> Broken {
    Broken { id, what, status, hook: Hook::Ran, by, also: &[] }
}

impl Broken {
    const fn without_hook(mut self) -> Self {
        self.hook = Hook::Absent;
        self
    }

    const fn also(mut self, also: &'static [&'static str]) -> Self {
        self.also = also;
        self
    }
}

const VFIO_CONF: &str = "etc/modprobe.d/vfio.conf";
const LIST: &str = "etc/neuron/vfio-devices";
const DEVICES: &str = "sys/bus/pci/devices";
const JOURNAL: &str = "var/lib/neuron-provisioner/journal.jsonl";
const MODULES: &str = "usr/lib/modules/6.12.1-arch1-1";

const ALL: &[Broken] = &[
    broken("set-up", "a run was refused since", "warn", |ground| {
        let refusal = r#"{"verdict":"ask","mode":"at-boot","host_gpu":null,"guest_gpus":[],"bind":[],"match":"ids","question":"Which one?","findings":[]}"#;
        put(&ground.target(), "var/lib/neuron-provisioner/refusal.json", refusal);
    }),
    broken("set-up", "the journal is lost", "fail", |ground| remove(&ground.target(), JOURNAL))
        .also(&["files", "images"]),
    broken("set-up", "the journal is damaged", "fail", |ground| put(&ground.target(), JOURNAL, "{}\n{}\n"))
        .also(&[
            "domain",
            "boots",
            "parameters",
            "images",
            "image-configuration",
            "entries",
            "menu",
            "files",
            "rebuilds",
            "firmware",
        ]),
    broken("set-up", "the answers cannot be followed", "warn", |ground| {
        put(&ground.target(), "etc/neuron/provisioner.toml", "schema = 1\nguest_gpu = 1\n");
    })
    .also(&WANTED),
    broken("reboot", "this boot began before", "warn", |ground| {
        ground.boot("11111111-1111-4111-8111-111111111111").unwrap();
    })
    .also(&["parameters", "claim", "bound", "group", "taken", "ids", "interrupt-remapping"]),
    broken("boot-entry", "the host entry was chosen", "warn", |ground| {
        line(ground, "rw quiet neuron.passthrough=off vfio-pci.ids=");
        claim(ground, "result=off\nreason=neuron.passthrough=off is on the kernel command line\n");
        for guest in GUESTS {
            bind(&ground.machine(), guest, "nouveau");
        }
    })
    .also(&["domain", "parameters", "bound", "group", "ids", "interrupt-remapping"]),
    broken("bound", "the kill switch was ignored", "fail", |ground| {
        line(ground, "rw quiet neuron.passthrough=off");
        claim(ground, "result=off\nreason=neuron.passthrough=off is on the kernel command line\n");
    })
    .also(&["domain", "boot-entry", "parameters", "group", "ids", "interrupt-remapping"]),
    broken("boots", "three were never good", "fail", |ground| {
        boots(ground, r#"[], "given_back": {"boot": "x", "because": "three were never good"}"#);
        for guest in GUESTS {
            bind(&ground.machine(), guest, "nouveau");
        }
    })
    .also(&["parameters", "bound", "group", "ids", "interrupt-remapping"]),
    broken("boots", "two were never good", "warn", |ground| boots(ground, r#"["x", "y"]"#)),
    broken("way-back", "an update took the modules of the kept kernel", "fail", |ground| {
        kernel(ground, "boot/vmlinuz-linux", "6.12.1-arch1-1");
        kernel(ground, "boot/neuron-host/kept-vmlinuz-linux", "6.11.9-arch1-1");
    }),
    broken("parameters", "a loader of somebody else's started it", "fail", |ground| {
        line(ground, "rw quiet iommu=pt");
    }),
    broken("parameters", "something behind ours undoes them", "fail", |ground| {
        line(ground, &format!("rw quiet {OURS} intel_iommu=off"));
    }),
    broken("iommu", "no groups", "fail", |ground| {
        fs::remove_dir_all(ground.machine().join("sys/kernel/iommu_groups")).unwrap();
        fs::create_dir_all(ground.machine().join("sys/kernel/iommu_groups")).unwrap();
    })
    .also(&["domain"]),
    broken("claim", "the hook was in doubt", "fail", |ground| {
        claim(ground, "result=doubt\nreason=0000:00:02.0 is not there\n");
    }),
    broken("claim", "the hook did not run", "fail", |ground| remove(&ground.machine(), "run/neuron/claim"))
        .also(&["ids"]),
    broken("claim", "the image has an older list", "fail", |ground| {
        claim(ground, "result=claimed\nreason=0000:05:00.0\n");
    }),
    broken("claim", "switched off by nobody", "fail", |ground| claim(ground, "result=off\nreason=?\n")),
    broken("claim", "nonsense", "unknown", |ground| claim(ground, "result=perhaps\n")),
    broken("list", "a line is cut short", "fail", |ground| {
        put(&ground.target(), LIST, "guest 0000:01:00.0 10de\n");
    })
    .also(&LISTED),
    broken("list", "it is gone", "fail", |ground| remove(&ground.target(), LIST)).also(&LISTED),
    broken("identity", "a card was taken out", "fail", |ground| {
        remove(&ground.machine(), &format!("{DEVICES}/{}", GUESTS[0]));
    })
    .also(&["domain", "domain-devices", "bound"]),
    broken("identity", "another model sits there", "fail", |ground| {
        put(&ground.machine(), &format!("{DEVICES}/{}/device", GUESTS[0]), "0x2204\n");
    })
    .also(&["domain-devices"]),
    broken("identity", "another board sits there", "fail", |ground| {
        put(&ground.machine(), &format!("{DEVICES}/{}/subsystem_device", GUESTS[0]), "0x0001\n");
    })
    .also(&["domain-devices"]),
    broken("bound", "a driver of the host has it", "fail", |ground| {
        bind(&ground.machine(), GUESTS[1], "snd_hda_intel");
    }),
    broken("bound", "no driver has it", "fail", |ground| bind(&ground.machine(), GUESTS[0], "")),
    broken("group", "the host uses another function of it", "fail", |ground| {
        join_group(ground, "0000:02:00.0");
    })
    .also(&["domain"]),
    broken("taken", "a twin, by ids", "fail", |ground| {
        put(&ground.machine(), &format!("{DEVICES}/0000:02:00.0/vendor"), "0x10de\n");
        put(&ground.machine(), &format!("{DEVICES}/0000:02:00.0/device"), "0x1e87\n");
        put(&ground.machine(), &format!("{DEVICES}/0000:02:00.0/class"), "0x030000\n");
        bind(&ground.machine(), "0000:02:00.0", "vfio-pci");
    })
    .also(&["domain"]),
    broken("taken", "somebody's network card", "warn", |ground| {
        bind(&ground.machine(), "0000:00:1f.6", "vfio-pci");
    }),
    broken("ids", "in force beside the hook", "fail", |ground| {
        remove(&ground.machine(), "run/modprobe.d/zz-neuron-vfio.conf");
    }),
    broken("ids", "vfio.conf has them no more", "fail", |ground| {
        let lines = text(&ground.target(), VFIO_CONF);
        let kept: Vec<&str> = lines.lines().filter(|line| !line.starts_with("options")).collect();
        put(&ground.target(), VFIO_CONF, &(kept.join("\n") + "\n"));
    })
    .without_hook()
    .also(&["files"]),
    broken("ids", "neutralised, and no hook", "fail", |ground| {
        put(&ground.machine(), "run/modprobe.d/zz-neuron-vfio.conf", "options vfio-pci ids=\n");
    })
    .without_hook(),
    broken("host-gpu", "it was taken out", "fail", |ground| {
        remove(&ground.machine(), &format!("{DEVICES}/{HOST}"));
    })
    .also(&["domain", "host-driver", "host-picture"]),
    broken("host-driver", "it has none", "fail", |ground| bind(&ground.machine(), HOST, "")),
    broken("host-driver", "vfio-pci has it", "fail", |ground| bind(&ground.machine(), HOST, "vfio-pci"))
        .also(&["taken"]),
    broken("host-picture", "the kernel has no card of it", "fail", |ground| {
        fs::remove_dir_all(ground.machine().join("sys/class/drm")).unwrap();
    }),
    broken("running-kernel", "updated since this boot", "warn", |ground| {
        put(&ground.machine(), "proc/sys/kernel/osrelease", "6.11.9-arch1-1\n");
    }),
    broken("kernels", "a kernel without vfio", "fail", |ground| {
        let (from, to) = (ground.target().join(MODULES), ground.target().join("usr/lib/modules/6.13.0-slim"));
        fs::create_dir_all(&to).unwrap();
        let modules = fs::read_to_string(from.join("modules.dep")).unwrap();
        let slim: Vec<&str> = modules.lines().filter(|line| !line.contains("vfio")).collect();
        fs::write(to.join("modules.dep"), slim.join("\n")).unwrap();
        fs::copy(from.join("modules.alias"), to.join("modules.alias")).unwrap();
    }),
    broken("images", "older than the set-up", "warn", |ground| age(ground, IMAGE)).also(&["rebuilds"]),
    broken("images", "one is missing", "fail", |ground| remove(&ground.target(), IMAGE)).also(&["rebuilds"]),
    broken("image-configuration", "a preset turns drop-ins off", "fail", |ground| {
        let preset = "etc/mkinitcpio.d/linux.preset";
        let own = text(&ground.target(), preset).replace("#default_config", "default_config");
        put(&ground.target(), preset, &own);
    }),
    broken("image-configuration", "a later drop-in loses the modules", "fail", |ground| {
        put(&ground.target(), "etc/mkinitcpio.conf.d/99-mine.conf", "MODULES=(btrfs)\n");
    }),
    broken("entries", "another loader's entry was made anew", "fail", |ground| {
        let entry = "title Arch\nlinux /vmlinuz-linux\ninitrd /initramfs-linux.img\n\
                     options root=UUID=0b1fd2c4-5a0e-4f43-9d5c-3d9a6b2f7e11 rw\n";
        put(&ground.target(), "boot/loader/entries/arch.conf", entry);
        put(&ground.target(), "boot/loader/loader.conf", "timeout 3\n");
    }),
    broken("menu", "it was not made anew", "fail", |ground| {
        let menu = "boot/grub/grub.cfg";
        put(&ground.target(), menu, &text(&ground.target(), menu).replace(&format!(" {OURS}"), ""));
    })
    .also(&["rebuilds"]),
    broken("files", "somebody edited one", "warn", |ground| {
        let grub = "etc/default/grub";
        put(&ground.target(), grub, &(text(&ground.target(), grub) + "# mine\n"));
    }),
    broken("files", "one is gone", "fail", |ground| {
        remove(&ground.target(), "etc/mkinitcpio.conf.d/95-neuron-vfio.conf");
    }),
    broken("rebuilds", "a program was put off", "fail", |ground| {
        put(&ground.target(), "etc/neuron/provisioner.toml", "schema = 1\n[passthrough]\niommu_pt = false\n");
        let done = ground.run(&["apply", "--yes", "--no-reload"]).unwrap();
        assert_eq!(done.code, 4, "{}", done.stderr);
        ground.boot("33333333-3333-4333-8333-333333333333").unwrap();
    })
    .also(&["domain"]),
    broken("conflicts", "ids of somebody else's", "fail", |ground| {
        put(&ground.target(), "etc/modprobe.d/nic.conf", "options vfio-pci ids=8086:15bc\n");
    }),
    broken("conflicts", "vfio is kept from loading", "fail", |ground| {
        put(&ground.target(), "usr/lib/modprobe.d/no.conf", "blacklist vfio-pci\n");
    }),
    broken("conflicts", "ids on the command line", "fail", |ground| {
        line(ground, &format!("rw quiet {OURS} vfio-pci.ids=8086:15bc"));
    }),
    broken("nvidia-persistenced", "it is enabled", "warn", |ground| {
        let wants = "etc/systemd/system/multi-user.target.wants/nvidia-persistenced.service";
        put(&ground.target(), "usr/lib/systemd/system/nvidia-persistenced.service", "[Unit]\n");
        fs::create_dir_all(ground.target().join(wants).parent().unwrap()).unwrap();
        let unit = "/usr/lib/systemd/system/nvidia-persistenced.service";
        symlink(unit, ground.target().join(wants)).unwrap();
    }),
    broken("reset", "the kernel knows no way", "warn", |ground| {
        put(&ground.machine(), &format!("{DEVICES}/{}/reset_method", GUESTS[0]), "\n");
    }),
    broken("power", "it sleeps without power", "warn", |ground| {
        put(&ground.machine(), &format!("{DEVICES}/{}/power_state", GUESTS[0]), "D3cold\n");
    }),
    broken("interrupt-remapping", "off", "warn", |ground| {
        put(&ground.machine(), "proc/interrupts", "  0:  9  IO-APIC  2-edge  timer\n");
    }),
    broken("interrupt-remapping", "nothing tells", "unknown", |ground| {
        put(&ground.machine(), "proc/interrupts", "");
    }),
    broken("firmware", "updated since", "warn", |ground| {
        put(&ground.machine(), "sys/devices/virtual/dmi/id/bios_version", "F11\n");
    }),
    broken("looking-glass-memory", "it is not there", "fail", |ground| remove(&ground.machine(), MEMORY))
        .also(&["looking-glass-release"]),
    broken("looking-glass-memory", "it is of another size", "fail", |ground| {
        memory(&ground.machine(), 32 << 20, "B7");
    }),
    broken("looking-glass-memory", "everybody may open it", "fail", |ground| {
        mode(ground, 0o666);
    }),
    broken("looking-glass-memory", "nobody but its owner may", "fail", |ground| mode(ground, 0o600)),
    broken("looking-glass-memory", "it is QEMU's", "fail", |ground| {
        let passwd = text(&ground.target(), "etc/passwd").replace("vera:x:", "vera:x:1");
        put(&ground.target(), "etc/passwd", &passwd);
    }),
    broken("looking-glass-memory", "it is of another group", "fail", |ground| {
        let group = text(&ground.target(), "etc/group").replace("kvm:x:", "kvm:x:1");
        put(&ground.target(), "etc/group", &group);
    })
    .also(&["looking-glass-users"]),
    broken("looking-glass-memory", "a folder is there", "fail", |ground| {
        remove(&ground.machine(), MEMORY);
        fs::create_dir(ground.machine().join(MEMORY)).unwrap();
    })
    .also(&["looking-glass-release"]),
    broken("looking-glass-users", "one is in no group", "fail", |ground| {
        let group = text(&ground.target(), "etc/group").replace("libvirt:x:960:vera", "libvirt:x:960:");
        put(&ground.target(), "etc/group", &group);
    }),
    broken("looking-glass-users", "one logged in before", "warn", |ground| {
        let status = text(&ground.machine(), "proc/900/status").replace("Groups:\t960 ", "Groups:\t");
        put(&ground.machine(), "proc/901/status", &status);
    }),
    broken("looking-glass-users", "one is gone", "warn", |ground| {
        let passwd = text(&ground.target(), "etc/passwd").replace("vera", "noor");
        put(&ground.target(), "etc/passwd", &passwd);
    })
    .also(&["looking-glass-memory"]),
    broken("looking-glass-release", "the host application is older", "fail", |ground| {
        memory(&ground.machine(), 64 << 20, "B6");
    }),
    broken("looking-glass-release", "none ran yet", "unknown", |ground| {
        memory(&ground.machine(), 64 << 20, "");
    }),
    broken("looking-glass-release", "no package tells", "unknown", |ground| {
        fs::remove_dir_all(ground.target().join("var/lib/pacman/local")).unwrap();
    }),
    broken("looking-glass-release", "no client", "warn", |ground| {
        remove(&ground.target(), "usr/bin/looking-glass-client");
    }),
    broken("looking-glass-module", "it is not loaded", "fail", kvmfr).also(&[
        "domain",
        "looking-glass-memory",
        "looking-glass-release",
    ]),
    broken("looking-glass-module", "libvirt keeps it from its machines", "fail", |ground| {
        kvmfr(ground);
        fs::create_dir_all(ground.machine().join("sys/module/kvmfr")).unwrap();
        put(&ground.target(), "etc/libvirt/qemu.conf", "cgroup_device_acl = [ \"/dev/null\" ]\n");
    })
    .also(&["domain", "looking-glass-memory", "looking-glass-release"]),
    broken("domain", "libvirt has it no more", "fail", |ground| remove(&ground.target(), DOMAIN))
        .also(&NEEDS),
    broken("domain", "libvirt's file is cut short", "fail", |ground| {
        put(&ground.target(), DOMAIN, "<domain type='kvm'>");
    })
    .also(&NEEDS),
    broken("domain", "another one has its name", "fail", |ground| {
        let uuid = between(&text(&ground.target(), DOMAIN), "<uuid>", "</uuid>");
        replace(ground, DOMAIN, &uuid, "00000000-0000-4000-8000-000000000000");
    }),
    broken("domain", "somebody edited it", "warn", |ground| {
        replace(ground, DOMAIN, "<on_crash>destroy", "<on_crash>restart");
    }),
    broken("domain", "other answers", "warn", |ground| {
        replace(ground, "etc/neuron/provisioner.toml", "16384", "8192");
    }),
    broken("domain", "the answers want more than there is", "fail", |ground| {
        replace(ground, "etc/neuron/provisioner.toml", "16384", "65536");
    }),
    broken("domain", "its record is damaged", "fail", |ground| put(&ground.target(), DOMAINS, "{}")),
    broken("domain", "a run that defined it was cut off", "fail", |ground| {
        let mut record: Value = serde_json::from_str(&text(&ground.target(), DOMAINS)).unwrap();
        record["defined"]["windows11"]["understood"] = Value::Null;
        put(&ground.target(), DOMAINS, &record.to_string());
    }),
    broken("domain", "it is elsewhere", "unknown", |ground| {
        replace(ground, DOMAINS, "qemu:///system", "qemu+ssh://other/system");
    }),
    broken("domain-devices", "the card is at another address", "fail", shift)
        .also(&["domain", "identity", "bound", "group"]),
    broken("domain-devices", "another model sits there", "fail", |ground| {
        put(&ground.machine(), &format!("{DEVICES}/{}/device", GUESTS[1]), "0x2204\n");
    })
    .also(&["identity"]),
    broken("domain-devices", "it gets what the host keeps", "fail", |ground| {
        edited(ground, "bus='0x01' slot='0x00' function='0x3'", "bus='0x00' slot='0x1f' function='0x6'");
    }),
    broken("domain-kvm", "the firmware has it off", "fail", |ground| remove(&ground.machine(), KVM)),
    broken("domain-kvm", "QEMU is not in its group", "fail", |ground| {
        replace(ground, "etc/passwd", "libvirt-qemu:x:994:", "libvirt-qemu:x:994:1");
    }),
    broken("domain-kvm", "it is root's alone", "fail", |ground| {
        fs::set_permissions(ground.machine().join(KVM), fs::Permissions::from_mode(0o600)).unwrap();
    }),
    broken("domain-kvm", "nothing tells as whom QEMU runs", "unknown", |ground| {
        replace(ground, "etc/passwd", "libvirt-qemu:", "other:");
    }),
    broken("domain-disk", "it is not there", "fail", |ground| remove(&ground.target(), DISK)),
    broken("domain-disk", "another machine runs on it", "fail", |ground| {
        uses_disk(ground, "qemu-system-x86\n", "/usr/bin/qemu-system-x86_64\0-name\0guest=other\0");
    }),
    broken("domain-disk", "a program has it open by another name", "fail", |ground| {
        let disk = ground.target().join(DISK);
        fs::rename(&disk, disk.with_extension("real")).unwrap();
        symlink("windows11.real", disk).unwrap();
        uses_disk(ground, "qemu-nbd\n", "qemu-nbd\0");
        let link = ground.machine().join("proc/77/fd/9");
        fs::remove_file(&link).unwrap();
        symlink("/var/lib/libvirt/images/windows11.real", link).unwrap();
    }),
    broken("domain-firmware", "its file was renamed", "fail", |ground| remove(&ground.target(), LOADER)),
    broken("domain-firmware", "none is described", "fail", |ground| {
        edited(ground, &format!(">/{LOADER}</loader>"), "/>");
    }),
    broken("domain-firmware", "nothing emulates its TPM", "fail", |ground| {
        remove(&ground.target(), "usr/bin/swtpm");
    }),
    broken("domain-network", "it is not up", "fail", |ground| {
        remove(&ground.machine(), "run/libvirt/network/default.xml");
    }),
    broken("domain-network", "it will not come up", "warn", |ground| {
        remove(&ground.target(), "etc/libvirt/qemu/networks/autostart/default.xml");
    }),
    broken("domain-network", "its bridge is not there", "fail", |ground| bridge(ground, None)),
    broken("domain-network", "its bridge is down", "fail", |ground| bridge(ground, Some("0x1002"))),
    broken("domain-memory", "there is too little", "fail", |ground| {
        put(&ground.machine(), "proc/meminfo", "MemTotal: 18000000 kB\nMemAvailable: 17000000 kB\n");
    })
    .also(&["domain"]),
    broken("domain-memory", "it is not free", "warn", |ground| {
        fs::remove_dir_all(ground.machine().join("proc/4242")).unwrap();
        put(&ground.machine(), "proc/meminfo", "MemTotal: 33554432 kB\nMemAvailable: 9000000 kB\n");
    }),
    broken("domain-memory", "its NUMA node has too little", "fail", |ground| on_node(ground, 17_000_000)),
    broken("domain-memory", "no huge pages are reserved on its NUMA node", "fail", |ground| {
        on_node(ground, 24_000_000);
        huge_pages(ground, 16, 16);
    }),
    broken("domain-memory", "no huge pages are reserved", "fail", |ground| huge_pages(ground, 0, 0)),
    broken("domain-memory", "its huge pages are taken", "fail", |ground| {
        fs::remove_dir_all(ground.machine().join("proc/4242")).unwrap();
        huge_pages(ground, 16, 8);
    }),
];

/// What is asked only of a domain that can be read.
const NEEDS: [&str; 6] =
    ["domain-devices", "domain-kvm", "domain-disk", "domain-firmware", "domain-network", "domain-memory"];

fn between(text: &str, before: &str, behind: &str) -> String {
    text.split(before).nth(1).unwrap().split(behind).next().unwrap().to_owned()
}

fn replace(ground: &Ground, path: &str, from: &str, to: &str) {
    let before = text(&ground.target(), path);
    assert!(before.contains(from), "{path} has no {from}");
    put(&ground.target(), path, &before.replace(from, to));
}

/// Edits the domain, as libvirt keeps it and as it was understood when it was defined.
fn edited(ground: &Ground, from: &str, to: &str) {
    replace(ground, DOMAIN, from, to);
    let mut record: Value = serde_json::from_str(&text(&ground.target(), DOMAINS)).unwrap();
    record["defined"]["windows11"]["understood"] = text(&ground.target(), DOMAIN).into();
    put(&ground.target(), DOMAINS, &record.to_string());
}

/// As a card in a slot before it does.
pub(crate) fn shift(ground: &Ground) {
    let machine = ground.machine();
    for guest in GUESTS {
        bind(&machine, guest, "");
        let moved = guest.replace(":01:", ":03:");
        fs::rename(machine.join(DEVICES).join(guest), machine.join(DEVICES).join(&moved)).unwrap();
        let group = machine.join("sys/kernel/iommu_groups/1/devices");
        fs::remove_file(group.join(guest)).or_else(|_| fs::remove_dir_all(group.join(guest))).unwrap();
        fs::create_dir_all(group.join(&moved)).unwrap();
    }
}

fn uses_disk(ground: &Ground, comm: &str, cmdline: &str) {
    let folder = ground.machine().join("proc/77");
    put(&folder, "comm", comm);
    put(&folder, "cmdline", cmdline);
    fs::create_dir(folder.join("fd")).unwrap();
    symlink(format!("/{DISK}"), folder.join("fd/9")).unwrap();
}

/// From now on it uses a bridge, with these flags where it is there.
fn bridge(ground: &Ground, flags: Option<&str>) {
    edited(ground, "<source network='default'/>", "<source bridge='br0'/>");
    put(&ground.machine(), "sys/class/net/lo/flags", "0x9\n");
    if let Some(flags) = flags {
        put(&ground.machine(), "sys/class/net/br0/flags", flags);
        put(&ground.machine(), "sys/class/net/br0/bridge/bridge_id", "x\n");
    }
}

/// From now on it is made of pages of 1 GiB, of which there are so many, and so many are free.
/// Its memory is bound to a node, which has so much.
fn on_node(ground: &Ground, kib: u32) {
    edited(ground, "<os ", "<numatune><memory mode='strict' nodeset='1'/></numatune><os ");
    let path = "sys/devices/system/node/node1/meminfo";
    put(&ground.machine(), path, &format!("Node 1 MemTotal:       {kib} kB\n"));
}

fn huge_pages(ground: &Ground, all: u32, free: u32) {
    let backing =
        "<memoryBacking><hugepages><page size='1048576' unit='KiB'/></hugepages></memoryBacking><vcpu ";
    edited(ground, "<vcpu ", backing);
    let folder = "sys/kernel/mm/hugepages/hugepages-1048576kB";
    put(&ground.machine(), &format!("{folder}/nr_hugepages"), &all.to_string());
    put(&ground.machine(), &format!("{folder}/free_hugepages"), &free.to_string());
}

fn mode(ground: &Ground, mode: u32) {
    fs::set_permissions(ground.machine().join(MEMORY), fs::Permissions::from_mode(mode)).unwrap();
}

/// From now on the answers want the module.
fn kvmfr(ground: &Ground) {
    let answers = "etc/neuron/provisioner.toml";
    let wanted = text(&ground.target(), answers).replace("users =", "transport = \"kvmfr\"\nusers =");
    put(&ground.target(), answers, &wanted);
}

/// What the answers say is wanted.
const WANTED: [&str; 5] = [
    "looking-glass-memory",
    "looking-glass-users",
    "looking-glass-module",
    "looking-glass-release",
    "domain",
];

/// Without the list, nothing of single functions is looked at, and what vfio-pci has is nobody's.
const LISTED: [&str; 13] = [
    "domain-devices",
    "files",
    "claim",
    "identity",
    "bound",
    "group",
    "taken",
    "ids",
    "host-gpu",
    "host-driver",
    "host-picture",
    "reset",
    "power",
];

fn kernel(ground: &Ground, path: &str, release: &str) {
    let path = ground.target().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, kernel::made(release, "#1 SMP")).unwrap();
}

fn boots(ground: &Ground, unproven: &str) {
    let text = format!(r#"{{"schema": "neuron-boots/1", "unproven": {unproven}}}"#);
    put(&ground.target(), "var/lib/neuron-provisioner/boots.json", &text);
}

fn join_group(ground: &Ground, address: &str) {
    let machine = ground.machine();
    let link = machine.join(DEVICES).join(address).join("iommu_group");
    fs::remove_file(&link).unwrap();
    symlink("../../../kernel/iommu_groups/1", &link).unwrap();
    fs::create_dir_all(machine.join("sys/kernel/iommu_groups/1/devices").join(address)).unwrap();
}

fn age(ground: &Ground, path: &str) {
    let before = SystemTime::now() - Duration::from_secs(3600);
    let file = fs::File::options().append(true).open(ground.target().join(path)).unwrap();
    file.set_modified(before).unwrap();
}

#[test]
fn every_check_has_a_machine_that_it_does_not_pass_on() {
    let checks: BTreeSet<&str> = verify::ALL.iter().map(|question| question.id).collect();
    assert_eq!(checks.len(), verify::ALL.len(), "two checks have one name");
    let machines: BTreeSet<&str> = ALL.iter().map(|broken| broken.id).collect();
    assert_eq!(machines, checks);
}

#[test]
fn where_everything_holds_every_check_passes() {
    for hook in [Hook::Ran, Hook::Absent] {
        let (code, checks) = doctor(&healthy(hook));
        let trouble: Vec<_> = checks.iter().filter(|check| check.status != "pass").collect();
        assert_eq!((code, trouble.len()), (0, 0), "{hook:?}: {trouble:#?}");
        for question in verify::ALL {
            assert_eq!(worst(&checks, question.id), "pass", "{} on {hook:?}", question.id);
        }
        assert!(checks.iter().all(|check| check.hint.is_none() && !check.evidence.is_empty()));
    }
}

#[test]
fn what_is_broken_is_what_is_reported() {
    let mut wrong = Vec::new();
    for Broken { id, what, status, hook, by, also } in ALL {
        let ground = healthy(*hook);
        by(&ground);
        let (code, checks) = doctor(&ground);
        let told = worst(&checks, id);
        if told != *status {
            wrong.push(format!("{id} ({what}): {told}, expected {status}: {checks:#?}"));
            continue;
        }
        for check in checks.iter().filter(|check| check.status != "pass") {
            if check.id != *id && !also.contains(&check.id.as_str()) {
                wrong.push(format!("{id} ({what}): {check:?} as well"));
            }
            if check.status != "unknown" && check.hint.as_ref().is_none_or(|hint| hint.len() < 6) {
                wrong.push(format!("{id} ({what}): {check:?} does not say what to do"));
            }
        }
        for seen_too in *also {
            if worst(&checks, seen_too) == "pass" {
                wrong.push(format!("{id} ({what}): {seen_too} passes all the same"));
            }
        }
        let fails = checks.iter().any(|check| check.status == "fail");
        if code != i32::from(fails) {
            wrong.push(format!("{id} ({what}): ends with {code}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
