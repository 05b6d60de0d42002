//! A machine and a target after an apply and the reboot, as a kernel and the hook leave them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use neuron_passthrough::guest::capabilities::Capabilities;
use neuron_tests::scenario::Ground;
use neuron_tests::tests_folder;
use serde_json::{Value, json};

pub(crate) const GUESTS: [&str; 4] = ["0000:01:00.0", "0000:01:00.1", "0000:01:00.2", "0000:01:00.3"];
pub(crate) const HOST: &str = "0000:00:02.0";
pub(crate) const OURS: &str = "intel_iommu=on iommu=pt";
pub(crate) const IMAGE: &str = "boot/initramfs-linux.img";
pub(crate) const MEMORY: &str = "dev/shm/looking-glass";
/// What the answers of the target say.
const ANSWERS: &str = "[looking_glass]\nusers = [\"vera\"]\n[vm.windows11]\nmemory_mib = 16384\n\
                       disk = { path = \"/var/lib/libvirt/images/windows11.qcow2\", size_gib = 64 }\n";
pub(crate) const DOMAIN: &str = "etc/libvirt/qemu/windows11.xml";
pub(crate) const DOMAINS: &str = "var/lib/neuron-provisioner/domains.json";
pub(crate) const DISK: &str = "var/lib/libvirt/images/windows11.qcow2";
pub(crate) const KVM: &str = "dev/kvm";
pub(crate) const LOADER: &str = "usr/share/edk2/x64/OVMF_CODE.secboot.4m.fd";
const HOOK: &str = "usr/lib/initcpio/install/neuron-vfio";
const BOOTED: &str = "22222222-2222-4222-8222-222222222222";

/// Whether the target has the early hook, and the boot ran it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    Ran,
    Absent,
}

pub(crate) fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub(crate) fn text(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap()
}

pub(crate) fn remove(root: &Path, path: &str) {
    fs::remove_file(root.join(path)).unwrap();
}

/// Before the reboot.
pub(crate) fn applied(hook: Hook) -> Ground {
    let ground = Ground::new("made-rtx-usbc-igpu", "looking-glass").unwrap();
    put(&ground.target(), "etc/neuron/provisioner.toml", ANSWERS);
    people(&ground);
    put(&ground.machine(), "proc/cmdline", "root=UUID=0b1fd2c4-5a0e-4f43-9d5c-3d9a6b2f7e11 rw quiet\n");
    put(&ground.machine(), "sys/devices/virtual/dmi/id/bios_version", "F10\n");
    if hook == Hook::Ran {
        put(&ground.target(), HOOK, "#!/bin/bash\n");
    }
    let done = ground.run(&["apply", "--yes"]).unwrap();
    assert_eq!(done.code, 4, "{}{}", done.stdout, done.stderr);
    build(&ground);
    ground
}

/// After the reboot.
pub(crate) fn healthy(hook: Hook) -> Ground {
    let ground = applied(hook);
    let machine = ground.machine();
    ground.boot(BOOTED).unwrap();
    line(&ground, &format!("rw quiet {OURS}"));
    for guest in GUESTS {
        bind(&machine, guest, "vfio-pci");
        put(&machine, &format!("sys/bus/pci/devices/{guest}/power_state"), "D0\n");
    }
    put(
        &machine,
        "proc/interrupts",
        "  0:  9  IR-IO-APIC  2-edge  timer\n 24:  1  IR-PCI-MSI  0-edge  ahci\n",
    );
    if hook == Hook::Ran {
        claim(&ground, &format!("result=claimed\nreason={}\n", GUESTS.join(" ")));
        put(&machine, "run/modprobe.d/zz-neuron-vfio.conf", "options vfio-pci ids=\n");
    }
    looking_glass(&ground);
    domain(&ground);
    ground
}

/// The domain, which hangs on the answers and the machine alone: the same on every ground.
static RENDERED: OnceLock<String> = OnceLock::new();

/// A machine with processors and memory, a domain as `vm define` leaves it, and all that it needs.
fn domain(ground: &Ground) {
    let (machine, target) = (ground.machine(), ground.target());
    let cpus = "sys/devices/system/cpu";
    put(&machine, &format!("{cpus}/online"), "0-15\n");
    for processor in 0..16 {
        let base = format!("{cpus}/cpu{processor}");
        let siblings = format!("{},{}\n", processor % 8, processor % 8 + 8);
        put(&machine, &format!("{base}/topology/thread_siblings_list"), &siblings);
        put(&machine, &format!("{base}/cache/index3/level"), "3\n");
        put(&machine, &format!("{base}/cache/index3/shared_cpu_list"), "0-15\n");
    }
    put(&machine, "proc/meminfo", "MemTotal:       33554432 kB\nMemAvailable:   30000000 kB\n");
    put(&machine, "run/libvirt/network/default.xml", "<networkstatus/>\n");
    put(&target, "etc/libvirt/qemu/networks/autostart/default.xml", "<network/>\n");
    put(&machine, KVM, "");
    fs::set_permissions(machine.join(KVM), fs::Permissions::from_mode(0o660)).unwrap();
    chown(machine.join(KVM), None, Some(numbers().1)).unwrap();
    put(&target, DISK, "");
    put(&target, LOADER, "");
    put(&target, "usr/bin/swtpm", "");
    let capabilities = tests_folder().join("domain/kvm-capabilities.xml");
    let xml = RENDERED.get_or_init(|| {
        let words = ["vm", "render", "--capabilities"].map(OsStr::new);
        let rendered = ground.run(&[&words[..], &[capabilities.as_os_str()]].concat()).unwrap();
        assert_eq!(rendered.code, 0, "{}", rendered.stderr);
        rendered.stdout
    });
    let understood =
        xml.replace("<loader secure='yes'/>", &format!("<loader secure='yes'>/{LOADER}</loader>"));
    assert_ne!(understood, *xml);
    let capabilities = Capabilities::parse(&fs::read_to_string(capabilities).unwrap()).unwrap();
    let uuid = xml.split("<uuid>").nth(1).unwrap().split('<').next().unwrap();
    let record = json!({
        "schema": "neuron-domains/1",
        "defined": { "windows11": {
            "connect": "qemu:///system", "uuid": uuid, "rendered": xml, "understood": understood,
            "capabilities": capabilities, "former": null,
        } },
        "networks": [],
    });
    put(&target, DOMAINS, &record.to_string());
    put(&target, DOMAIN, &format!("<!--\nWARNING: THIS IS AN AUTO-GENERATED FILE.\n-->\n\n{understood}"));
}

/// The numbers of vera and of the group kvm: who is not root can give files to nobody else.
fn numbers() -> (u32, u32) {
    let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
    if user.is_root() { (1000, 992) } else { (user.as_raw(), group.as_raw()) }
}

fn people(ground: &Ground) {
    let (vera, kvm) = numbers();
    let passwd = format!(
        "root:x:0:0::/root:/usr/bin/bash\nvera:x:{vera}:100::/home/vera:/usr/bin/bash\n\
         libvirt-qemu:x:994:{kvm}::/:/usr/bin/nologin\n"
    );
    put(&ground.target(), "etc/passwd", &passwd);
    put(
        &ground.target(),
        "etc/group",
        &format!("root:x:0:root\nusers:x:100:\nkvm:x:{kvm}:\nlibvirt:x:960:\n"),
    );
}

/// What systemd's programs make of our files, a client of a package, and a guest whose host application
/// ran already; vera is logged in.
fn looking_glass(ground: &Ground) {
    let (machine, target) = (ground.machine(), ground.target());
    let (vera, kvm) = numbers();
    let groups = text(&target, "etc/group");
    let joined = groups.replace(&format!("kvm:x:{kvm}:"), &format!("kvm:x:{kvm}:vera"));
    put(&target, "etc/group", &joined.replace("libvirt:x:960:", "libvirt:x:960:vera"));
    memory(&machine, 64 << 20, "B7");
    put(&target, "usr/bin/looking-glass-client", "");
    put(&target, "var/lib/pacman/local/looking-glass-2:B7-1/desc", "%NAME%\nlooking-glass\n");
    let status = format!("Name:\tkwin_wayland\nUid:\t{vera}\t{vera}\nGid:\t100\t100\nGroups:\t960 {kvm}\n");
    put(&machine, "proc/900/status", &status);
    put(&machine, "proc/4242/comm", "qemu-system-x86\n");
    put(
        &machine,
        "proc/4242/cmdline",
        "/usr/bin/qemu-system-x86_64\0-name\0guest=windows11,debug-threads=on\0",
    );
    put(&machine, "proc/4242/maps", "7f00-7f01 rw-s 00000000 00:1a 12 /dev/shm/looking-glass\n");
}

/// The memory of that size, with the release of the host application in it.
pub(crate) fn memory(machine: &Path, size: u64, host: &str) {
    let begin = [&[7; 1700], &b"KVMFR---"[..], &[20, 0, 0, 0], host.as_bytes()].concat();
    let path = machine.join(MEMORY);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, begin).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(size).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    let (vera, kvm) = numbers();
    chown(&path, Some(vera), Some(kvm)).unwrap();
}

/// What the programs that the target only has stand-ins for would have made.
fn build(ground: &Ground) {
    let target = ground.target();
    let later = SystemTime::now() + Duration::from_secs(60);
    fs::File::options().append(true).open(target.join(IMAGE)).unwrap().set_modified(later).unwrap();
    let menu = text(&target, "boot/grub/grub.cfg").replace("quiet\n", &format!("quiet {OURS}\n"));
    put(&target, "boot/grub/grub.cfg", &menu);
}

pub(crate) fn line(ground: &Ground, end: &str) {
    let root = "root=UUID=0b1fd2c4-5a0e-4f43-9d5c-3d9a6b2f7e11";
    put(&ground.machine(), "proc/cmdline", &format!("BOOT_IMAGE=/vmlinuz-linux {root} {end}\n"));
}

pub(crate) fn claim(ground: &Ground, text: &str) {
    put(&ground.machine(), "run/neuron/claim", text);
}

/// Moves a function to a driver; an empty one is none.
pub(crate) fn bind(machine: &Path, address: &str, driver: &str) {
    let device = machine.join("sys/bus/pci/devices").join(address);
    let link = device.join("driver");
    if let Ok(old) = fs::read_link(&link) {
        let old = machine.join("sys/bus/pci/drivers").join(old.file_name().unwrap());
        fs::remove_file(old.join(address)).unwrap();
        fs::remove_file(&link).unwrap();
    }
    if !driver.is_empty() {
        let new = machine.join("sys/bus/pci/drivers").join(driver);
        fs::create_dir_all(&new).unwrap();
        // Only the last part of where it leads is looked at.
        symlink(format!("../../bus/pci/drivers/{driver}"), &link).unwrap();
        symlink(format!("../../devices/{address}"), new.join(address)).unwrap();
    }
}

/// One check, as far as tests look at it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) evidence: String,
    pub(crate) hint: Option<String>,
}

/// What doctor says, and how it ends.
pub(crate) fn doctor(ground: &Ground) -> (i32, Vec<Seen>) {
    let output = ground.run(&["doctor", "--json"]).unwrap();
    let document: Value = serde_json::from_str(&output.stdout).expect(&output.stderr);
    let string = |value: &Value| value.as_str().map(str::to_owned);
    let checks = document["checks"].as_array().unwrap().iter().map(|check| Seen {
        id: string(&check["id"]).unwrap(),
        status: string(&check["status"]).unwrap(),
        evidence: string(&check["evidence"]).unwrap(),
        hint: string(&check["hint"]),
    });
    (output.code, checks.collect())
}

/// The worst status that a check came to; `absent` where it was not made.
pub(crate) fn worst(checks: &[Seen], id: &str) -> String {
    let order = ["fail", "warn", "unknown", "pass"];
    let mine: Vec<&str> = checks.iter().filter(|one| one.id == id).map(|one| one.status.as_str()).collect();
    order.into_iter().find(|status| mine.contains(status)).unwrap_or("absent").to_owned()
}
