//! The libvirt domain of a virtual machine, from answers, machine and what libvirt can do.

mod check;
mod proposal;

pub use proposal::Proposal;
pub(super) use proposal::{memory_mib as proposed_memory_mib, most_memory_mib};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::capabilities::Capabilities;
use super::existing::{Kept, NAMESPACE};
use super::looking_glass::{self, Means};
use super::pinning::{self, Pinning};
use super::subject::Subject;
use super::templates::{self, TemplateError};
use crate::answers::{AudioBackend, Display, Hugepages, NetworkKind, Vm, VmKind};
use crate::facts::CpuVendor;
use crate::id::PciAddress;
use crate::text::digest::sha256;

/// The enlightenments that are wanted, where libvirt lists them, each behind what it needs.
const HYPERV: [&str; 11] = [
    "relaxed",
    "vapic",
    "spinlocks",
    "vpindex",
    "runtime",
    "synic",
    "stimer",
    "reset",
    "frequencies",
    "tlbflush",
    "ipi",
];

/// Those of them that every Windows machine may have, where libvirt does not know: virt-install gives them
/// unasked.
const OLD_HYPERV: [&str; 3] = ["relaxed", "vapic", "spinlocks"];

/// The enlightenments of a machine: those that libvirt lists, and none without KVM.
fn enlightenments(vm: &Vm, capabilities: &Capabilities) -> Vec<&'static str> {
    if vm.kind == VmKind::Linux || capabilities.domain_type != "kvm" {
        return Vec::new();
    }
    if !capabilities.knows_hyperv() {
        return OLD_HYPERV.to_vec();
    }
    HYPERV.iter().copied().filter(|name| capabilities.hyperv.contains(*name)).collect()
}

/// Memory that stays with the host, in MiB.
pub const HOST_MEMORY: u64 = 4096;

/// Memory that stays on a NUMA node to which a machine's memory is bound, in MiB: what serves the machine
/// runs there, and the kernel keeps its own tables on every node.
pub const NODE_MEMORY: u64 = 2048;

/// Everything that a domain is made from.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    /// The machine, and the host that it is made for.
    pub subject: Subject<'a>,
    /// Its GPUs, each with its functions, display function first.
    pub gpus: &'a [Vec<PciAddress>],
    /// What else it gets of the host's PCI functions.
    pub devices: &'a [PciAddress],
    /// Who made the processors.
    pub cpu_vendor: CpuVendor,
    /// What libvirt can do.
    pub capabilities: &'a Capabilities,
    /// A secret of this system, so that no two systems make equal ids.
    pub seed: &'a [u8],
    /// What stays the same, where libvirt has the domain already.
    pub kept: Option<&'a Kept>,
    /// Whether the bridge of the answers is there; `None` when the machine does not tell.
    pub has_bridge: Option<bool>,
    /// Whether libvirt knows USB devices by their port.
    pub knows_usb_ports: bool,
    /// Where QEMU finds `PipeWire`, or why it would not; only where the answers want that.
    pub pipewire: Option<&'a Result<String, Problem>>,
}

/// A domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Its name.
    pub name: String,
    /// Its UUID.
    pub uuid: String,
    /// Its XML.
    pub xml: String,
    /// What is worth knowing.
    pub notes: Vec<Problem>,
}

/// Something that stands against a domain, or is worth knowing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// The key of the answers.
    pub key: String,
    /// What is wrong, with the value.
    pub why: String,
    /// What to do about it.
    pub hint: String,
}

/// Why there is no domain.
#[derive(Debug, thiserror::Error)]
pub enum DomainError {
    /// The answers or the host stand against it.
    #[error("{}", list(.0))]
    Refused(Vec<Problem>),
    /// A template cannot be rendered.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

fn list(problems: &[Problem]) -> String {
    let all: Vec<String> =
        problems.iter().map(|problem| format!("{}: {}", problem.key, problem.why)).collect();
    all.join("; ")
}

/// The format of a disk image, by its name: `raw` or `qcow2`.
pub fn disk_format(path: &str) -> &'static str {
    let is_raw =
        std::path::Path::new(path).extension().is_some_and(|ending| ending == "raw" || ending == "img");
    if is_raw { "raw" } else { "qcow2" }
}

/// Makes the domain of the virtual machine `inputs.subject.name`.
pub fn make(inputs: &Inputs<'_>) -> Result<Domain, DomainError> {
    let Some(vm) = inputs.subject.vm() else {
        return Err(DomainError::Refused(vec![check::no_such_machine(inputs)]));
    };
    let mut problems = check::problems(inputs, vm);
    let pinning = match pinning::pin(inputs.subject.topology, inputs.subject.processors(vm)) {
        Ok(pinning) => Some(pinning),
        Err(error) => {
            problems.push(check::pinning(inputs.subject.name, &error));
            None
        }
    };
    let node = pinning.as_ref().and_then(|pinning| pinning.node);
    let memory = check::memory(inputs, vm, node, &mut problems);
    let (Some(pinning), Some(memory), true) = (pinning, memory, problems.is_empty()) else {
        return Err(DomainError::Refused(problems));
    };
    let values = values(inputs, vm, &pinning, memory);
    let xml = templates::render(
        &format!("{}-passthrough.xml.j2", kind(vm.kind)),
        inputs.subject.templates,
        values,
    )?;
    Ok(Domain {
        name: inputs.subject.name.to_owned(),
        uuid: identity(inputs).uuid,
        xml: format!("{}\n", xml.trim_end()),
        notes: check::notes(inputs, vm),
    })
}

fn kind(kind: VmKind) -> &'static str {
    match kind {
        VmKind::Windows11 => "windows11",
        VmKind::Windows10 => "windows10",
        VmKind::Linux => "linux",
    }
}

/// What templates see.
#[derive(Debug, Serialize)]
struct Values<'a> {
    domain: Head<'a>,
    memory: Memory,
    cpu: Cpu<'a>,
    firmware: Firmware,
    hyperv: Vec<&'a str>,
    disk: Option<Disk<'a>>,
    isos: Vec<Iso<'a>>,
    ports: Vec<usize>,
    functions: Vec<Function<'a>>,
    usb_devices: Vec<UsbDevice<'a>>,
    network: Network<'a>,
    tpm: bool,
    evdev: &'a [String],
    display: Display,
    spice_audio: bool,
    pipewire: Option<&'a str>,
    video: &'a str,
    shared_memory: Option<SharedMemory>,
}

#[derive(Debug, Serialize)]
struct Head<'a> {
    r#type: &'a str,
    name: &'a str,
    uuid: String,
    kind: &'static str,
    machine: &'a str,
    namespace: &'static str,
}

#[derive(Debug, Serialize)]
struct Memory {
    mib: u64,
    hugepages: Option<u32>,
    hugepages_unit: &'static str,
}

#[derive(Debug, Serialize)]
struct Cpu<'a> {
    mode: &'a str,
    vcpus: u32,
    cores: u32,
    threads: u32,
    topoext: bool,
    pins: Vec<u32>,
    rest: String,
    node: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Firmware {
    secure_boot: bool,
}

#[derive(Debug, Serialize)]
struct Disk<'a> {
    path: &'a str,
    format: &'static str,
}

#[derive(Debug, Serialize)]
struct Iso<'a> {
    path: &'a str,
    target: &'static str,
    boots: bool,
}

/// A function on the guest's bus: one slot for all functions of a GPU, one for each other device.
#[derive(Debug, Serialize)]
struct Function<'a> {
    domain: String,
    bus: String,
    slot: String,
    number: String,
    rom: Option<&'a str>,
    guest_bus: usize,
    guest_number: usize,
    multifunction: bool,
}

#[derive(Debug, Serialize)]
struct UsbDevice<'a> {
    vendor: &'a str,
    product: &'a str,
    /// Bus and port instead, where it is named by them.
    bus: &'a str,
    port: &'a str,
}

#[derive(Debug, Serialize)]
struct Network<'a> {
    kind: NetworkKind,
    source: &'a str,
    mode: crate::answers::MacvtapMode,
    mac: String,
}

#[derive(Debug, Serialize)]
struct SharedMemory {
    name: String,
    mib: u32,
    /// The device of the module, where it comes from there.
    device: Option<String>,
    bytes: u64,
}

fn values<'a>(inputs: &Inputs<'a>, vm: &'a Vm, pinning: &Pinning, mib: u64) -> Values<'a> {
    let capabilities = inputs.capabilities;
    let identity = identity(inputs);
    let functions = functions(inputs, vm);
    let (hugepages, hugepages_unit) = match vm.hugepages {
        Hugepages::Off => (None, ""),
        Hugepages::TwoMib => (Some(2), "MiB"),
        Hugepages::OneGib => (Some(1), "GiB"),
    };
    Values {
        domain: Head {
            r#type: &capabilities.domain_type,
            name: inputs.subject.name,
            uuid: identity.uuid,
            kind: kind(vm.kind),
            machine: inputs.kept.and_then(|kept| kept.machine.as_deref()).unwrap_or(&capabilities.machine),
            namespace: NAMESPACE,
        },
        memory: Memory { mib, hugepages, hugepages_unit },
        cpu: cpu(inputs, pinning),
        firmware: Firmware { secure_boot: vm.secure_boot },
        hyperv: enlightenments(vm, capabilities),
        disk: vm.disk.as_ref().map(|disk| Disk { path: &disk.path, format: disk_format(&disk.path) }),
        isos: isos(vm),
        ports: (1..=inputs.gpus.len() + inputs.devices.len()).collect(),
        functions,
        usb_devices: vm.usb_devices.iter().filter_map(|name| usb_device(name)).collect(),
        network: Network {
            kind: vm.network.kind,
            source: inputs.subject.interface(vm),
            mode: vm.network.macvtap_mode,
            mac: identity.mac,
        },
        tpm: vm.kind == VmKind::Windows11,
        evdev: &vm.evdev,
        display: vm.display,
        spice_audio: inputs.subject.answers.audio.backend == AudioBackend::Spice
            && vm.display == Display::Spice,
        pipewire: inputs.pipewire.and_then(|found| found.as_deref().ok()),
        video: check::video(inputs, vm),
        shared_memory: shared_memory(inputs),
    }
}

fn cpu<'a>(inputs: &Inputs<'a>, pinning: &Pinning) -> Cpu<'a> {
    let mode = check::cpu_mode(inputs.capabilities).unwrap_or_default();
    Cpu {
        mode,
        vcpus: pinning.vcpus(),
        cores: pinning.cores,
        threads: pinning.threads,
        // Without it AMD's processors show no threads to a guest.
        topoext: inputs.cpu_vendor == CpuVendor::Amd && pinning.threads > 1 && mode == "host-passthrough",
        pins: pinning.processors.clone(),
        rest: crate::text::cpu_list::render(&pinning.rest),
        node: pinning.node,
    }
}

fn isos(vm: &Vm) -> Vec<Iso<'_>> {
    let install = Iso { path: &vm.install_iso, target: "sda", boots: true };
    let virtio = Iso { path: &vm.virtio_iso, target: "sdb", boots: false };
    [install, virtio].into_iter().filter(|iso| !iso.path.is_empty()).collect()
}

/// By `vendor:product`, or by `bus-port` as the kernel writes it.
fn usb_device(name: &str) -> Option<UsbDevice<'_>> {
    let none = UsbDevice { vendor: "", product: "", bus: "", port: "" };
    match (name.split_once(':'), name.split_once('-')) {
        (Some((vendor, product)), _) => Some(UsbDevice { vendor, product, ..none }),
        (None, Some((bus, port))) => Some(UsbDevice { bus, port, ..none }),
        (None, None) => None,
    }
}

/// Every GPU gets a root port of its own, its functions one slot there; other devices a port each.
fn functions<'a>(inputs: &Inputs<'_>, vm: &'a Vm) -> Vec<Function<'a>> {
    let gpus = inputs.gpus.iter().map(Vec::as_slice);
    let count = inputs.gpus.len();
    let mut all = Vec::new();
    for (port, functions) in gpus.chain(inputs.devices.chunks(1)).enumerate() {
        for (at, address) in functions.iter().enumerate() {
            all.push(Function {
                domain: format!("{:04x}", address.domain()),
                bus: format!("{:02x}", address.bus()),
                slot: format!("{:02x}", address.device()),
                number: format!("{:x}", address.function()),
                rom: Some(vm.rom_file.as_str()).filter(|rom| port < count && at == 0 && !rom.is_empty()),
                guest_bus: port + 1,
                guest_number: at,
                multifunction: at == 0 && functions.len() > 1,
            });
        }
    }
    all
}

/// The memory that brings its picture to the host.
fn shared_memory(inputs: &Inputs<'_>) -> Option<SharedMemory> {
    if inputs.gpus.is_empty() {
        return None;
    }
    let mib = looking_glass::size_mib(&inputs.subject.answers.looking_glass).ok()?;
    let memory = inputs.subject.memory()?;
    let device = (inputs.subject.means == Means::Kvmfr).then_some(memory.path);
    Some(SharedMemory { name: memory.name, mib, device, bytes: u64::from(mib) << 20 })
}

#[derive(Debug)]
struct Identity {
    uuid: String,
    mac: String,
}

/// The same for the same name on the same system, and on no other system; that of a domain that is
/// there stays.
fn identity(inputs: &Inputs<'_>) -> Identity {
    let hex = sha256(&[inputs.seed, &[0], inputs.subject.name.as_bytes()]);
    // Version 8 (custom) and variant 1 of RFC 9562; 52:54:00 is QEMU's own prefix.
    let uuid = format!("{}-{}-8{}-a{}-{}", &hex[0..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32]);
    let mac = format!("52:54:00:{}:{}:{}", &hex[32..34], &hex[34..36], &hex[36..38]);
    match inputs.kept {
        Some(kept) => Identity { uuid: kept.uuid.clone(), mac: kept.mac.clone().unwrap_or(mac) },
        None => Identity { uuid, mac },
    }
}
