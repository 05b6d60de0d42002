//! What has to be done inside a Windows machine, for the choices of its answers.

use serde::Serialize;

use super::domain::{DomainError, Problem};
use super::looking_glass::{self, Means};
use super::pinning;
use super::subject::Subject;
use super::templates;
use crate::answers::{AudioBackend, Display, NetworkKind, Vm, VmKind};
use crate::id::PciId;

/// The release of Looking Glass that is meant where nothing tells which client the host has.
const RELEASE: &str = "B7";

/// Everything that a guide is made from.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    /// The machine, and the host that it is made for.
    pub subject: Subject<'a>,
    /// Its GPUs, each with its functions, display function first.
    pub gpus: &'a [Vec<PciId>],
    /// The release of the host's client.
    pub release: Option<&'a str>,
}

/// What the template sees.
#[derive(Debug, Serialize)]
struct Values<'a> {
    name: &'a str,
    system: &'static str,
    install_iso: &'a str,
    virtio_iso: &'a str,
    driver_folder: &'static str,
    has_disk: bool,
    has_tpm: bool,
    vcpus: u32,
    display: Display,
    viewer: bool,
    gpus: Vec<Gpu>,
    memory: Option<Memory<'a>>,
    sound: AudioBackend,
    receiver: &'a str,
}

#[derive(Debug, Serialize)]
struct Gpu {
    id: String,
    vendor: &'static str,
    instance: String,
    companions: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Memory<'a> {
    release: &'a str,
    why_release: &'static str,
    resolution: &'a str,
    hdr: bool,
    mib: u32,
    path: String,
    stat_format: &'static str,
    stat: String,
}

/// Makes the guide, as Markdown.
pub fn make(inputs: &Inputs<'_>) -> Result<String, DomainError> {
    let Some(vm) = inputs.subject.vm() else {
        return Err(refused(
            inputs.subject.name,
            "there is no such table in the answers",
            "see [vm.NAME] there",
        ));
    };
    let (system, driver_folder) = match vm.kind {
        VmKind::Windows11 => ("Windows 11", "w11"),
        VmKind::Windows10 => ("Windows 10", "w10"),
        VmKind::Linux => {
            let why = "the guide is for Windows: Linux has all drivers but the GPU's";
            return Err(refused(inputs.subject.name, why, "install the GPU's driver as on any computer"));
        }
    };
    let vcpus = pinning::pin(inputs.subject.topology, inputs.subject.processors(vm))
        .map_err(|error| {
            refused(inputs.subject.name, &error.to_string(), "see `neuron-provisioner vm render`")
        })?
        .vcpus();
    let values = Values {
        name: inputs.subject.name,
        system,
        install_iso: &vm.install_iso,
        virtio_iso: &vm.virtio_iso,
        driver_folder,
        has_disk: vm.disk.is_some(),
        has_tpm: vm.kind == VmKind::Windows11,
        vcpus,
        display: vm.display,
        viewer: vm.display != Display::None,
        gpus: inputs.gpus.iter().filter_map(|functions| gpu(functions)).collect(),
        memory: memory(inputs)?,
        sound: inputs.subject.answers.audio.backend,
        receiver: receiver(inputs, vm),
    };
    Ok(templates::render("guide-windows.md.j2", inputs.subject.templates, values)?)
}

fn refused(name: &str, why: &str, hint: &str) -> DomainError {
    let key = format!("vm.{}", name.escape_default());
    DomainError::Refused(vec![Problem { key, why: why.to_owned(), hint: hint.to_owned() }])
}

fn gpu(functions: &[PciId]) -> Option<Gpu> {
    let (display, companions) = functions.split_first()?;
    let vendor = match display.vendor {
        0x10de => "NVIDIA",
        0x1002 => "AMD",
        0x8086 => "Intel",
        _ => "the maker",
    };
    let companions = companions.iter().map(|id| instance(*id)).collect();
    Some(Gpu { id: display.to_string(), vendor, instance: instance(*display), companions })
}

/// How Windows begins the names of devices with this id.
fn instance(id: PciId) -> String {
    format!("PCI\\VEN_{:04X}&DEV_{:04X}", id.vendor, id.device)
}

fn memory<'a>(inputs: &Inputs<'a>) -> Result<Option<Memory<'a>>, DomainError> {
    if inputs.gpus.is_empty() {
        return Ok(None);
    }
    let settings = &inputs.subject.answers.looking_glass;
    let Some(memory) = inputs.subject.memory() else { return Ok(None) };
    let mib = looking_glass::size_mib(settings)
        .map_err(|why| refused(inputs.subject.name, &why, "mend it below [looking_glass]"))?;
    let owner = settings.users.first().map_or("root", String::as_str);
    let (stat_format, stat) = match inputs.subject.means {
        Means::Kvmfr => ("%U %G %a", format!("root {} 660", looking_glass::GROUP)),
        Means::File => {
            ("%U %G %a %s", format!("{owner} {} 660 {}", looking_glass::GROUP, u64::from(mib) << 20))
        }
    };
    let (release, why_release) = match inputs.release {
        Some(release) => (release, "It has to be the release of the client, and that is this host's."),
        None => (RELEASE, "It has to be the release of the client: if the host's is another one, take that."),
    };
    Ok(Some(Memory {
        release,
        why_release,
        resolution: &settings.resolution,
        hdr: settings.hdr,
        mib,
        path: memory.path,
        stat_format,
        stat,
    }))
}

/// The host's interface on which Scream's packets arrive.
fn receiver<'a>(inputs: &Inputs<'a>, vm: &'a Vm) -> &'a str {
    match vm.network.kind {
        NetworkKind::Nat => "virbr0",
        NetworkKind::Bridge | NetworkKind::Macvtap | NetworkKind::User => inputs.subject.interface(vm),
    }
}
