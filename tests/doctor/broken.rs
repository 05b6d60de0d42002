//! For every check a machine that turns it, and nothing else, to its failing status.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use neuron_passthrough::verify;
use neuron_tests::scenario::Ground;

use crate::machine::{
    GUESTS, HOST, Hook, IMAGE, MEMORY, OURS, bind, claim, doctor, healthy, line, memory, put, remove, text,
    worst,
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
    .also(&GLASS),
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
    .also(&["parameters", "bound", "group", "ids", "interrupt-remapping"]),
    broken("bound", "the kill switch was ignored", "fail", |ground| {
        line(ground, "rw quiet neuron.passthrough=off");
        claim(ground, "result=off\nreason=neuron.passthrough=off is on the kernel command line\n");
    })
    .also(&["boot-entry", "parameters", "group", "ids", "interrupt-remapping"]),
    broken("boots", "three were never good", "fail", |ground| {
        boots(ground, r#"[], "given_back": {"boot": "x", "because": "three were never good"}"#);
        for guest in GUESTS {
            bind(&ground.machine(), guest, "nouveau");
        }
    })
    .also(&["parameters", "bound", "group", "ids", "interrupt-remapping"]),
    broken("boots", "two were never good", "warn", |ground| boots(ground, r#"["x", "y"]"#)),
    broken("parameters", "a loader of somebody else's started it", "fail", |ground| {
        line(ground, "rw quiet iommu=pt");
    }),
    broken("parameters", "something behind ours undoes them", "fail", |ground| {
        line(ground, &format!("rw quiet {OURS} intel_iommu=off"));
    }),
    broken("iommu", "no groups", "fail", |ground| {
        fs::remove_dir_all(ground.machine().join("sys/kernel/iommu_groups")).unwrap();
        fs::create_dir_all(ground.machine().join("sys/kernel/iommu_groups")).unwrap();
    }),
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
    .also(&["bound"]),
    broken("identity", "another model sits there", "fail", |ground| {
        put(&ground.machine(), &format!("{DEVICES}/{}/device", GUESTS[0]), "0x2204\n");
    }),
    broken("identity", "another board sits there", "fail", |ground| {
        put(&ground.machine(), &format!("{DEVICES}/{}/subsystem_device", GUESTS[0]), "0x0001\n");
    }),
    broken("bound", "a driver of the host has it", "fail", |ground| {
        bind(&ground.machine(), GUESTS[1], "snd_hda_intel");
    }),
    broken("bound", "no driver has it", "fail", |ground| bind(&ground.machine(), GUESTS[0], "")),
    broken("group", "the host uses another function of it", "fail", |ground| {
        join_group(ground, "0000:02:00.0");
    }),
    broken("taken", "a twin, by ids", "fail", |ground| {
        put(&ground.machine(), &format!("{DEVICES}/0000:02:00.0/vendor"), "0x10de\n");
        put(&ground.machine(), &format!("{DEVICES}/0000:02:00.0/device"), "0x1e87\n");
        put(&ground.machine(), &format!("{DEVICES}/0000:02:00.0/class"), "0x030000\n");
        bind(&ground.machine(), "0000:02:00.0", "vfio-pci");
    }),
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
    .also(&["host-driver", "host-picture"]),
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
    }),
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
    broken("looking-glass-module", "it is not loaded", "fail", kvmfr)
        .also(&["looking-glass-memory", "looking-glass-release"]),
    broken("looking-glass-module", "libvirt keeps it from its machines", "fail", |ground| {
        kvmfr(ground);
        fs::create_dir_all(ground.machine().join("sys/module/kvmfr")).unwrap();
        put(&ground.target(), "etc/libvirt/qemu.conf", "cgroup_device_acl = [ \"/dev/null\" ]\n");
    })
    .also(&["looking-glass-memory", "looking-glass-release"]),
];

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
const GLASS: [&str; 4] =
    ["looking-glass-memory", "looking-glass-users", "looking-glass-module", "looking-glass-release"];

/// Without the list, nothing of single functions is looked at, and what vfio-pci has is nobody's.
const LISTED: [&str; 12] = [
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
