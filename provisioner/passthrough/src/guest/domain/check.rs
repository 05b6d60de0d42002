//! What stands against a domain, told before anything is made of it.

use std::sync::LazyLock;

use regex::Regex;

use super::{HOST_MEMORY, Inputs, NODE_MEMORY, Problem, looking_glass, pinning::PinningError};
use crate::answers::{AudioBackend, Display, NetworkKind, Vm, VmGpus, VmKind};
use crate::guest::bridge;
use crate::guest::capabilities::Capabilities;

static USB_ID: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("^[0-9a-f]{4}:[0-9a-f]{4}$").ok());
/// As the kernel names devices in `/sys/bus/usb/devices`: a bus, and a port on each hub down to it.
static USB_PORT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[1-9][0-9]{0,2}-[1-9][0-9]{0,2}(\.[1-9][0-9]{0,2}){0,3}$").ok());
static INPUT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[A-Za-z0-9_:+][A-Za-z0-9_:+.-]{0,199}$").ok());

fn matches(form: &LazyLock<Option<Regex>>, text: &str) -> bool {
    form.as_ref().is_some_and(|form| form.is_match(text))
}

fn problem(name: &str, key: &str, why: impl Into<String>, hint: impl Into<String>) -> Problem {
    Problem { key: format!("vm.{name}.{key}"), why: why.into(), hint: hint.into() }
}

pub(super) fn no_such_machine(inputs: &Inputs<'_>) -> Problem {
    let names: Vec<&str> = inputs.subject.answers.vm.keys().map(String::as_str).collect();
    let hint = if names.is_empty() {
        format!("add a table [vm.{}] to the answers", inputs.subject.name)
    } else {
        format!("the answers have: {}", names.join(", "))
    };
    Problem {
        key: format!("vm.{}", inputs.subject.name),
        why: "there is no such table in the answers".to_owned(),
        hint,
    }
}

/// Everything that the answers or the host have against it.
pub(super) fn problems(inputs: &Inputs<'_>, vm: &Vm) -> Vec<Problem> {
    let mut found = Vec::new();
    host(inputs, vm, &mut found);
    files(inputs.subject.name, vm, &mut found);
    devices(inputs, vm, &mut found);
    sound(inputs, vm, &mut found);
    pipewire(inputs, vm, &mut found);
    found
}

/// What libvirt and QEMU cannot do here.
fn host(inputs: &Inputs<'_>, vm: &Vm, found: &mut Vec<Problem>) {
    let capabilities = inputs.capabilities;
    let mut lacks = |key: &str, is_there: bool, why: &str, hint: &str| {
        if !is_there {
            found.push(problem(inputs.subject.name, key, why, hint));
        }
    };
    lacks("kind", capabilities.has_efi, "libvirt finds no UEFI firmware", "install edk2-ovmf");
    let checks = !vm.secure_boot || capabilities.has_secure_boot;
    lacks(
        "secure_boot",
        checks,
        "no firmware with Secure Boot is there",
        "install edk2-ovmf, or set secure_boot = false",
    );
    let tpm = vm.kind != VmKind::Windows11 || capabilities.has_tpm;
    lacks("kind", tpm, "Windows 11 needs a TPM 2.0, and libvirt cannot emulate one", "install swtpm");
    let processor = cpu_mode(capabilities).is_some();
    lacks(
        "kind",
        processor,
        "libvirt offers no mode of the processor that is known",
        "update libvirt and QEMU",
    );
    let spice = vm.display != Display::Spice || capabilities.graphics.contains("spice");
    lacks(
        "display",
        spice,
        "this QEMU has no SPICE",
        "install qemu-desktop or qemu-ui-spice-core, or set display = \"vnc\"",
    );
    let vnc = vm.display != Display::Vnc || capabilities.graphics.contains("vnc");
    lacks("display", vnc, "this QEMU has no VNC", "set display = \"spice\"");
    if vm.vcpus > capabilities.most_vcpus {
        let why =
            format!("{} processors are more than the {} that QEMU can do", vm.vcpus, capabilities.most_vcpus);
        found.push(problem(inputs.subject.name, "vcpus", why, "ask for fewer"));
    }
    if vm.display == Display::None && inputs.gpus.is_empty() {
        let why = "without a GPU and without a display nobody could see it";
        found.push(problem(inputs.subject.name, "display", why, "set display = \"spice\", or give it a GPU"));
    }
    let without_spice =
        inputs.subject.answers.audio.backend == AudioBackend::Spice && vm.display != Display::Spice;
    if without_spice {
        let why = "sound by SPICE needs a SPICE display";
        found.push(problem(
            inputs.subject.name,
            "display",
            why,
            "set display = \"spice\", or [audio] backend = \"none\"",
        ));
    }
}

fn files(name: &str, vm: &Vm, found: &mut Vec<Problem>) {
    let disk = vm.disk.as_ref().map(|disk| ("disk.path", disk.path.as_str()));
    let optional =
        [("install_iso", &vm.install_iso), ("virtio_iso", &vm.virtio_iso), ("rom_file", &vm.rom_file)];
    let optional =
        optional.into_iter().map(|(key, path)| (key, path.as_str())).filter(|(_, path)| !path.is_empty());
    for (key, path) in disk.into_iter().chain(optional) {
        if !path.starts_with('/')
            || path.chars().any(char::is_control)
            || path.split('/').any(|part| part == "..")
        {
            let why = format!("`{}` is no absolute path of a file", path.escape_debug());
            found.push(problem(name, key, why, "write the whole path, without `..` and line breaks"));
        } else if key == "disk.path" && (path.starts_with("/dev/") || path.ends_with('/')) {
            let why = format!("`{path}` is no file, and only image files are supported");
            found.push(problem(
                name,
                key,
                why,
                "name an image file, like \"/var/lib/libvirt/images/windows11.qcow2\"",
            ));
        }
    }
}

fn devices(inputs: &Inputs<'_>, vm: &Vm, found: &mut Vec<Problem>) {
    let name = inputs.subject.name;
    for device in vm.usb_devices.iter().filter(|device| !matches(&USB_ID, device)) {
        let is_port = matches(&USB_PORT, device);
        if is_port && !inputs.knows_usb_ports {
            let why = format!("this libvirt knows `{device}` by no port");
            let hint = "libvirt 12 does; name the device as lsusb shows it, like \"046d:c52b\"";
            found.push(problem(name, "usb_devices", why, hint));
        } else if !is_port {
            let why = format!("`{}` is no vendor:product and no port", device.escape_debug());
            let hint =
                "write it as lsusb shows it, like \"046d:c52b\", or as `lsusb -t` does, like \"1-2.3\"";
            found.push(problem(name, "usb_devices", why, hint));
        }
    }
    for input in vm.evdev.iter().filter(|input| !matches(&INPUT, input)) {
        let why = format!("`{}` is no name of /dev/input/by-id", input.escape_debug());
        found.push(problem(name, "evdev", why, "write the name that `ls /dev/input/by-id` shows"));
    }
    if !matches!(vm.network.kind, NetworkKind::Nat | NetworkKind::User) {
        let source = inputs.subject.interface(vm);
        if !bridge::is_interface_name(source) {
            let key =
                if vm.network.kind == NetworkKind::Bridge { "network.bridge" } else { "network.interface" };
            let why = format!("`{}` is no name of a network interface", source.escape_debug());
            found.push(problem(name, key, why, "write the name that `ip link` shows"));
        } else if vm.network.kind == NetworkKind::Bridge && inputs.has_bridge == Some(false) {
            let why = format!("there is no bridge `{source}` on this machine");
            found.push(problem(
                name,
                "network.bridge",
                why,
                bridge::hint(inputs.subject.answers, &vm.network),
            ));
        }
    }
    if inputs.gpus.len() > 1 && !vm.rom_file.is_empty() {
        let why = format!("{} is the ROM of one card, and it gets {} GPUs", vm.rom_file, inputs.gpus.len());
        let hint = "leave rom_file out, or name one GPU in `gpus`";
        found.push(problem(name, "rom_file", why, hint));
    }
    let most = inputs.gpus.iter().find(|functions| functions.len() > 8);
    if most.is_some() {
        let why = "more than 8 functions do not fit into one slot";
        found.push(problem(name, "gpus", why, "name fewer in the answers"));
    }
    if let Err(why) = looking_glass::size_mib(&inputs.subject.answers.looking_glass) {
        found.push(Problem {
            key: "looking_glass".to_owned(),
            why,
            hint: "leave size_mib = 0, or use a power of two like 64".to_owned(),
        });
    }
}

/// Sound that would not be heard.
fn sound(inputs: &Inputs<'_>, vm: &Vm, found: &mut Vec<Problem>) {
    let audio = inputs.subject.answers.audio.backend;
    if audio == AudioBackend::Scream && matches!(vm.network.kind, NetworkKind::User | NetworkKind::Macvtap) {
        let kind = if vm.network.kind == NetworkKind::User { "user" } else { "macvtap" };
        found.push(Problem {
            key: "audio.backend".to_owned(),
            why: format!(
                "Scream sends its sound to the network, and kind = \"{kind}\" lets nothing of it reach the host"
            ),
            hint: "use network kind \"nat\" or \"bridge\", or backend = \"spice\"".to_owned(),
        });
    }
}

fn pipewire(inputs: &Inputs<'_>, vm: &Vm, found: &mut Vec<Problem>) {
    let Some(way) = inputs.pipewire else { return };
    let mut refuse = |why: &str, hint: &str| {
        let key = "audio.backend".to_owned();
        found.push(Problem { key, why: why.to_owned(), hint: hint.to_owned() });
    };
    if !inputs.capabilities.has_pipewire {
        refuse(
            "this libvirt or this QEMU is too old for sound to PipeWire",
            "use backend = \"spice\" or \"none\"; or update to QEMU 8.1 and libvirt 10.8",
        );
    }
    if vm.autostart {
        refuse(
            "PipeWire runs while somebody is logged in, and nobody is when the machine starts with the host",
            "set autostart = false, or use backend = \"spice\"",
        );
    }
    found.extend(way.as_ref().err().cloned());
}

pub(super) fn pinning(name: &str, error: &PinningError) -> Problem {
    let (key, hint) = match error {
        PinningError::Unknown => ("vcpus", "give the root of a running system as --machine-root"),
        PinningError::TooMany { .. } => ("vcpus", "ask for fewer, or set cpu_pinning = \"off\""),
        PinningError::NoSuchProcessor(_) => {
            ("cpu_pinning", "see `lscpu --extended` for those that are online")
        }
    };
    problem(name, key, error.to_string(), hint)
}

/// The machine's memory in MiB: what is asked for, or half of the host's in whole GiB, with something
/// left for the host.
pub(super) fn memory(
    inputs: &Inputs<'_>,
    vm: &Vm,
    node: Option<u32>,
    found: &mut Vec<Problem>,
) -> Option<u64> {
    let topology = inputs.subject.topology;
    let proposed = super::proposed_memory_mib(topology, node);
    let Some((proposed, most)) = proposed.zip(super::most_memory_mib(topology, node)) else {
        let why = "the machine does not tell how much memory it has";
        found.push(problem(
            inputs.subject.name,
            "memory_mib",
            why,
            "give the root of a running system as --machine-root",
        ));
        return None;
    };
    let wanted = if vm.memory_mib > 0 { vm.memory_mib } else { proposed };
    if wanted < 1024 || wanted > most {
        let (stay, hint) = match node.filter(|_| super::most_memory_mib(topology, None) > Some(most)) {
            Some(node) => (
                format!("it is cut from NUMA node {node}, where {NODE_MEMORY} MiB stay"),
                "set memory_mib to less, or cpu_pinning = \"off\": then it may lie on every node",
            ),
            None => {
                (format!("{HOST_MEMORY} MiB stay with the host"), "set memory_mib to less, or add memory")
            }
        };
        let why = format!("{wanted} MiB: between 1024 and {most} can be given away, {stay}");
        found.push(problem(inputs.subject.name, "memory_mib", why, hint));
        return None;
    }
    let page = vm.hugepages.mib().max(1);
    if wanted % page != 0 {
        let why = format!("{wanted} MiB is no multiple of {page} MiB, the size of its pages");
        let hint = format!("set memory_mib = {}", wanted / page * page);
        found.push(problem(inputs.subject.name, "memory_mib", why, hint));
        return None;
    }
    Some(wanted)
}

/// What is worth knowing of a domain that can be made.
pub(super) fn notes(inputs: &Inputs<'_>, vm: &Vm) -> Vec<Problem> {
    let mut notes = Vec::new();
    if vm.disk.is_none() {
        let hint = "add disk = { path = \"/var/lib/libvirt/images/NAME.qcow2\" }";
        notes.push(problem(
            inputs.subject.name,
            "disk",
            "there is no disk, so nothing can be installed",
            hint,
        ));
    }
    if vm.kind != VmKind::Linux && !vm.install_iso.is_empty() && vm.virtio_iso.is_empty() {
        let why = "the installer of Windows sees no virtio disk without its drivers";
        notes.push(problem(inputs.subject.name, "virtio_iso", why, "name the ISO of the virtio drivers"));
    }
    if vm.display == Display::None && inputs.subject.answers.looking_glass.enable && vm.kind != VmKind::Linux
    {
        let why = "Looking Glass has no keyboard and mouse without SPICE";
        let hint = "set display = \"spice\", or hand keyboard and mouse over with evdev or usb_devices";
        notes.push(problem(inputs.subject.name, "display", why, hint));
    }
    if inputs.pipewire.is_some() {
        let why =
            "it starts only while that person is logged in, and where QEMU's module for PipeWire is there";
        let hint =
            "install qemu-audio-pipewire (Arch), or the package of QEMU's modules with audio-pipewire.so";
        let key = "audio.backend".to_owned();
        notes.push(Problem { key, why: why.to_owned(), hint: hint.to_owned() });
    }
    if inputs.gpus.is_empty() && vm.gpus != VmGpus::None {
        notes.push(problem(
            inputs.subject.name,
            "gpus",
            "it gets no GPU",
            "see `neuron-provisioner inspect`",
        ));
    }
    if vm.kind != VmKind::Linux
        && inputs.capabilities.domain_type == "kvm"
        && !inputs.capabilities.knows_hyperv()
    {
        let why = "libvirt cannot say which Hyper-V enlightenments QEMU has, so it gets the three oldest";
        let hint = "QEMU tells them since 8.0; with that Windows gets more of them, and runs faster";
        notes.push(problem(inputs.subject.name, "kind", why, hint));
    }
    if inputs.capabilities.domain_type != "kvm" {
        let why = "there is no KVM here: the processor would be emulated, which is very slow";
        notes.push(problem(inputs.subject.name, "kind", why, "turn virtualization on in the firmware"));
    }
    notes
}

/// How libvirt is to show the processor: as it is, where it can.
pub(super) fn cpu_mode(capabilities: &Capabilities) -> Option<&'static str> {
    ["host-passthrough", "maximum", "host-model"]
        .into_iter()
        .find(|mode| capabilities.cpu_modes.contains(*mode))
}

/// The emulated display adapter: one that the guest has a driver for before anything is installed.
pub(super) fn video(inputs: &Inputs<'_>, vm: &Vm) -> &'static str {
    if vm.display == Display::None {
        return "none";
    }
    let is_linux = vm.kind == VmKind::Linux && inputs.capabilities.video.contains("virtio");
    if is_linux { "virtio" } else { "vga" }
}
