//! For administrators: a second run changes nothing, another answer changes what depends on it and
//! nothing else, and so does another machine.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use neuron_tests::keys::keys;
use neuron_tests::machine::{self, Machine};
use neuron_tests::program::{self, Output};
use neuron_tests::scenario::{Ground, without_state};
use neuron_tests::tree::{Tree, diff};
use serde_json::{Value, json};

/// Three GPUs of three kinds.
const MACHINE: &str = "prime-x370-three-gpus";

const BASE: [(&str, &str); 7] = [
    ("passthrough.guest_gpus", "[\"0000:08:00.0\"]"),
    ("passthrough.host_gpu", "\"0000:04:00.0\""),
    ("passthrough.trial", "false"),
    ("vm.x.kind", "\"linux\""),
    ("vm.x.memory_mib", "8192"),
    ("vm.x.disk.path", "\"/var/lib/libvirt/images/x.qcow2\""),
    ("vm.x.network.kind", "\"nat\""),
];

/// What a change of one answer leads to, beside the answers file itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leads {
    /// These steps and no other.
    To(&'static [&'static str]),
    /// Nothing that decides what the next boot is like: it is the guest's.
    ToTheGuest,
}

use Leads::{To, ToTheGuest};

/// The steps by which a boot becomes another one.
const OF_THE_BOOT: [&str; 7] =
    ["vfio-conf", "vfio-devices", "initramfs", "grub-default", "host-grub", "grub-cfg", "trial"];

/// Every key with another value than the base has.
const KEYS: [(&str, &str, Leads); 46] = [
    (
        "passthrough.mode",
        "\"off\"",
        To(&[
            "retire-grub",
            "retire-99_neuron_host",
            "retire-95-neuron-vfio.conf",
            "retire-vfio.conf",
            "retire-vfio-devices",
            "initramfs",
            "grub-cfg",
        ]),
    ),
    ("passthrough.guest_gpus", "[\"0000:09:00.0\"]", To(&["vfio-conf", "vfio-devices", "initramfs"])),
    ("passthrough.host_gpu", "\"auto\"", To(&[])),
    ("passthrough.match", "\"address\"", To(&["vfio-conf", "initramfs"])),
    ("passthrough.default_entry", "\"host\"", To(&["grub-default", "grub-cfg"])),
    ("passthrough.trial", "true", To(&[])),
    ("passthrough.iommu_pt", "false", To(&["grub-default", "host-grub", "grub-cfg"])),
    ("passthrough.extra_parameters", "[\"quirk=1\"]", To(&["grub-default", "host-grub", "grub-cfg"])),
    ("passthrough.allow", "[\"acs-override\"]", To(&[])),
    ("looking_glass.enable", "false", ToTheGuest),
    ("looking_glass.transport", "\"shm\"", ToTheGuest),
    ("looking_glass.resolution", "\"3840x2160\"", ToTheGuest),
    ("looking_glass.hdr", "true", ToTheGuest),
    ("looking_glass.size_mib", "256", ToTheGuest),
    ("looking_glass.users", "[\"vera\"]", ToTheGuest),
    ("vm.x.kind", "\"windows10\"", ToTheGuest),
    ("vm.x.gpus", "\"none\"", ToTheGuest),
    ("vm.x.memory_mib", "4096", ToTheGuest),
    ("vm.x.vcpus", "2", ToTheGuest),
    ("vm.x.cpu_pinning", "\"off\"", ToTheGuest),
    ("vm.x.hugepages", "\"2M\"", To(&["grub-default", "host-grub", "grub-cfg"])),
    ("vm.x.disk.path", "\"/var/lib/libvirt/images/y.qcow2\"", ToTheGuest),
    ("vm.x.disk.size_gib", "64", ToTheGuest),
    ("vm.x.install_iso", "\"/srv/install.iso\"", ToTheGuest),
    ("vm.x.virtio_iso", "\"/srv/virtio.iso\"", ToTheGuest),
    ("vm.x.rom_file", "\"/srv/rom\"", ToTheGuest),
    ("vm.x.usb_controllers", "[\"0000:0a:00.3\"]", To(&["vfio-conf", "vfio-devices", "initramfs"])),
    ("vm.x.usb_devices", "[\"046d:c52b\"]", ToTheGuest),
    ("vm.x.evdev", "[\"usb-keyboard\"]", ToTheGuest),
    ("vm.x.pci_devices", "[\"0000:01:00.0\"]", To(&["vfio-conf", "vfio-devices", "initramfs"])),
    ("vm.x.display", "\"vnc\"", ToTheGuest),
    ("vm.x.secure_boot", "false", ToTheGuest),
    ("vm.x.autostart", "true", ToTheGuest),
    ("vm.x.network.kind", "\"user\"", ToTheGuest),
    ("vm.x.network.bridge", "\"br1\"", ToTheGuest),
    ("vm.x.network.bridge_port", "\"enp5s0\"", ToTheGuest),
    ("vm.x.network.interface", "\"eth0\"", ToTheGuest),
    ("vm.x.network.macvtap_mode", "\"vepa\"", ToTheGuest),
    ("audio.backend", "\"none\"", ToTheGuest),
    ("vgpu.kind", "\"mdev\"", ToTheGuest),
    ("vgpu.parent", "\"0000:09:00.0\"", ToTheGuest),
    ("vgpu.profile", "\"nvidia-1\"", ToTheGuest),
    // More of the same key.
    ("passthrough.guest_gpus", "\"all\"", To(&["vfio-conf", "vfio-devices", "initramfs"])),
    ("passthrough.match", "\"ids\"", To(&[])),
    ("passthrough.mode", "\"at-boot\"", To(&[])),
    ("vm.x.gpus", "[\"0000:08:00.0\"]", ToTheGuest),
];

/// An answers file: the base, with one key changed.
fn file(key: &str, value: &str) -> String {
    let mut values: BTreeMap<&str, &str> = BASE.into_iter().collect();
    values.insert(key, value);
    let mut tables: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (path, value) in values {
        let (table, name) = path.rsplit_once('.').unwrap_or(("", path));
        tables.entry(table).or_insert_with(|| vec![format!("[{table}]")]).push(format!("{name} = {value}"));
    }
    tables.into_values().flatten().collect::<Vec<_>>().join("\n") + "\n"
}

fn base() -> String {
    let (key, value) = BASE[0];
    file(key, value)
}

struct Place {
    ground: Ground,
}

impl Place {
    /// A system whose programs run: stand-ins that note it.
    fn new() -> Self {
        let ground = Ground::new(MACHINE, "early-hook").unwrap();
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
        let busybox = busybox.expect("no busybox (Debian: busybox-static, Arch: busybox)");
        fs::copy(busybox, ground.target().join("usr/bin/sh")).unwrap();
        Self { ground }
    }

    fn run(&self, answers: &str, arguments: &[&str]) -> Output {
        let file = self.ground.beside("answers.toml");
        fs::write(&file, answers).unwrap();
        // Only root can change into another root; an ordinary user is root of its own namespace.
        let program = program::path().unwrap();
        let mut command = if nix::unistd::geteuid().is_root() {
            Command::new(program)
        } else {
            let mut command = Command::new("unshare");
            command.args(["--map-root-user", "--"]).arg(program);
            command
        };
        command.arg("--machine-root").arg(self.ground.machine());
        command.arg("--target-root").arg(self.ground.target()).arg("--answers").arg(&file);
        program::output(command.args(arguments).stdin(Stdio::null())).unwrap()
    }

    /// Applies, and whether anything changed.
    fn apply(&self, answers: &str, code: i32) -> bool {
        let output = self.run(answers, &["apply", "--yes", "--json"]);
        assert_eq!(output.code, code, "{answers}{}{}", output.stdout, output.stderr);
        let result: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(result["error"], Value::Null, "{result:#}");
        result["changed"].as_bool().unwrap()
    }

    fn plan(&self, answers: &str) -> Value {
        let output = self.run(answers, &["plan", "--json"]);
        assert_eq!(output.code, 0, "{answers}{}", output.stderr);
        serde_json::from_str(&output.stdout).unwrap()
    }

    fn tree(&self) -> Tree {
        self.ground.tree().unwrap()
    }

    /// The system as it is, without what is noted of programs that ran.
    fn files(&self) -> Tree {
        let mut tree = without_state(&self.tree());
        tree.remove("var/log/stand-ins");
        tree
    }

    fn reboot(&self, number: u32) {
        self.ground.boot(&format!("00000000-0000-4000-8000-{number:012}")).unwrap();
    }
}

fn steps(plan: &Value) -> Vec<String> {
    let steps = plan["steps"].as_array().unwrap().iter();
    let mut ids: Vec<String> = steps.map(|step| step["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn a_second_run_changes_nothing_and_starts_nothing() {
    let place = Place::new();
    assert!(place.apply(&base(), 4));
    let before = place.tree();
    let log = fs::read_to_string(place.ground.target().join("var/log/stand-ins")).unwrap();
    assert!(log.contains("mkinitcpio") && log.contains("grub-mkconfig"), "the control: they run\n{log}");
    // The reboot is owed until it happens, and asked for by nothing else.
    for code in [4, 4] {
        assert!(!place.apply(&base(), code));
        assert_eq!(diff(&before, &place.tree()), []);
    }
    place.reboot(2);
    assert!(!place.apply(&base(), 0));
    assert_eq!(diff(&before, &place.tree()), []);
    assert_eq!(place.run(&base(), &["plan", "--check"]).code, 0);
}

#[test]
fn every_key_of_the_answers_is_in_the_table() {
    let keys = keys().unwrap();
    let paths: Vec<String> = keys.iter().map(neuron_tests::keys::Key::path).collect();
    let is_table = |path: &String| paths.iter().any(|other| other.starts_with(&format!("{path}.")));
    let missing: Vec<&String> = paths
        .iter()
        // There is one schema, and no other value of it.
        .filter(|path| path.as_str() != "schema" && !is_table(path))
        .filter(|path| !KEYS.iter().any(|(key, ..)| key == path))
        .collect();
    assert_eq!(missing, Vec::<&String>::new());
    for (key, ..) in KEYS {
        assert!(paths.iter().any(|path| path == key), "{key} is no key any more");
    }
}

#[test]
fn another_answer_changes_what_depends_on_it_and_nothing_else() {
    let place = Place::new();
    place.apply(&base(), 4);
    place.reboot(2);
    let before = place.files();
    for (number, (key, value, leads)) in (1..).zip(KEYS) {
        let changed = file(key, value);
        let plan = place.plan(&changed);
        let mut found = steps(&plan);
        assert!(found.contains(&"answers".to_owned()), "{key} = {value}: it is kept: {found:?}");
        found.retain(|id| id != "answers");
        match leads {
            To(expected) => {
                let mut expected = expected.to_vec();
                expected.sort_unstable();
                assert_eq!(found, expected, "{key} = {value}");
                assert_eq!(plan["reboot_needed"], json!(!expected.is_empty()), "{key} = {value}");
            }
            ToTheGuest => {
                let of_the_boot = found
                    .iter()
                    .find(|id| OF_THE_BOOT.contains(&id.as_str()) || id.starts_with("retire-grub"));
                assert_eq!(of_the_boot, None, "{key} = {value}");
            }
        }
        assert_eq!(place.run(&changed, &["plan", "--check"]).code, 7, "{key} = {value}");
        // It is done in one go, and so is the way back.
        let code = if plan["reboot_needed"] == json!(true) { 4 } else { 0 };
        assert!(place.apply(&changed, code), "{key} = {value}");
        assert_eq!(place.run(&changed, &["plan", "--check"]).code, 0, "{key} = {value}");
        assert!(place.apply(&base(), code), "{key} = {value}");
        assert_eq!(diff(&before, &place.files()), [], "{key} = {value}, and back");
        place.reboot(number * 10);
    }
}

/// A card that was moved is the same card: what names it by address is written anew, ids are not.
#[test]
fn another_machine_changes_what_depends_on_it_and_nothing_else() {
    let place = Place::new();
    let answers = base().replace("0000:08:00.0", "1002:67df");
    place.apply(&answers, 4);
    place.reboot(2);
    let lay_out = |change: &dyn Fn(&mut Machine)| {
        let mut machine = Machine::load(MACHINE).unwrap();
        change(&mut machine);
        fs::remove_dir_all(place.ground.machine()).unwrap();
        machine::lay_out(&machine, &place.ground.machine()).unwrap();
        place.reboot(3);
    };
    // The control: something else about the machine is other.
    lay_out(&|machine| machine.cmdline = machine.cmdline.take().map(|line| line + " quiet"));
    assert_eq!(place.run(&answers, &["plan", "--check"]).code, 0);
    lay_out(&|machine| {
        for function in &mut machine.functions {
            function.address = function.address.replace("0000:08:", "0000:18:");
        }
    });
    assert_eq!(place.run(&answers, &["plan", "--check"]).code, 7);
    assert_eq!(steps(&place.plan(&answers)), ["initramfs", "vfio-devices"]);
    assert!(place.apply(&answers, 4));
    assert!(!place.apply(&answers, 4));
    let list = fs::read_to_string(place.ground.target().join("etc/neuron/vfio-devices")).unwrap();
    assert!(list.contains("0000:18:00.0") && !list.contains("0000:08:00.0"), "{list}");
}
