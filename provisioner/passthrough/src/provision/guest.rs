//! The domain of a virtual machine, for whoever asks.

use super::{ProvisionError, Source};
use crate::answers::{Answers, AudioBackend, NetworkKind, Vm, VmGpus};
use crate::facts::{
    Client, Machine, Target, Topology, default_interface, is_bridge, knows_usb_ports, numa_node, release,
};
use crate::guest::capabilities::Capabilities;
use crate::guest::domain::{self, Domain, DomainError, Problem};
use crate::guest::existing::Kept;
use crate::guest::{Subject, guide, looking_glass, sound};
use crate::id::{PciAddress, PciId};
use crate::policy::{self, GpuRole, Judgement, Verdict};
use crate::root::Root;

/// Where templates of the user lie; they win over the built-in ones of the same name.
const TEMPLATES: &str = "/etc/neuron/templates";
const MACHINE_ID: &str = "/etc/machine-id";

/// Makes the domain of a virtual machine of the answers; writes nothing.
///
/// Without a name, that of the only one.
pub fn domain(
    machine: &Root,
    target: &Root,
    source: &Source,
    name: Option<&str>,
    capabilities: &Capabilities,
) -> Result<Domain, ProvisionError> {
    let answers = super::answers(target, source)?;
    let name = name.map_or_else(|| only(&answers), |name| Ok(name.to_owned()))?;
    render(machine, target, &answers, &name, capabilities, None)
}

/// The name of the virtual machine that is meant: without one, that of the only one of the answers.
pub fn named(target: &Root, source: &Source, name: Option<&str>) -> Result<String, ProvisionError> {
    match name {
        Some(name) => Ok(name.to_owned()),
        None => only(&super::answers(target, source)?),
    }
}

/// What [`domain`] makes, with what a domain that is there keeps.
pub(super) fn render(
    machine: &Root,
    target: &Root,
    answers: &Answers,
    name: &str,
    capabilities: &Capabilities,
    kept: Option<&Kept>,
) -> Result<Domain, ProvisionError> {
    let read = Read::of(machine, target, answers, name)?;
    let seed = seed(target)?;
    let pipewire =
        (answers.audio.backend == AudioBackend::Pipewire).then(|| sound::runtime_dir(answers, &read.target));
    let made = domain::make(&domain::Inputs {
        subject: read.subject(name, answers),
        gpus: &read.own.gpus,
        devices: &read.own.devices,
        cpu_vendor: read.machine.cpu.vendor,
        capabilities,
        seed: seed.as_bytes(),
        kept,
        has_bridge: has_bridge(machine, answers.vm.get(name))?,
        knows_usb_ports: knows_usb_ports(target)?,
        pipewire: pipewire.as_ref(),
    });
    Ok(made?)
}

/// What has to be done inside a machine of the answers, as Markdown, and the machine's name.
pub fn guide(
    machine: &Root,
    target: &Root,
    source: &Source,
    name: Option<&str>,
) -> Result<(String, String), ProvisionError> {
    let answers = super::answers(target, source)?;
    let name = name.map_or_else(|| only(&answers), |name| Ok(name.to_owned()))?;
    let read = Read::of(machine, target, &answers, &name)?;
    let id = |address: &PciAddress| read.machine.functions.get(address).and_then(|function| function.id);
    let ids = read.own.gpus.iter().map(|functions| functions.iter().filter_map(id).collect());
    let ids: Vec<Vec<PciId>> = ids.collect();
    let client = match Client::read(target)? {
        Client::Version(version) => release(&version),
        Client::Absent | Client::Untold => None,
    };
    let text = guide::make(&guide::Inputs {
        subject: read.subject(&name, &answers),
        gpus: &ids,
        release: client.as_deref(),
    })?;
    Ok((name, text))
}

/// What is read of machine and target for a virtual machine of the answers.
struct Read {
    machine: Machine,
    target: Target,
    own: Own,
    topology: Topology,
    node: Option<u32>,
    default_interface: Option<String>,
    templates: Vec<(String, String)>,
}

impl Read {
    fn of(machine: &Root, target: &Root, answers: &Answers, name: &str) -> Result<Self, ProvisionError> {
        let facts = Machine::read_for(machine, Some(target), answers).map_err(ProvisionError::Machine)?;
        let own = own(&facts, answers, name)?;
        Ok(Self {
            topology: Topology::read(machine).map_err(ProvisionError::Machine)?,
            node: node(machine, &own.gpus)?,
            default_interface: default_interface(machine).map_err(ProvisionError::Machine)?,
            target: Target::read(target, &facts)?,
            templates: templates(target)?,
            machine: facts,
            own,
        })
    }

    fn subject<'a>(&'a self, name: &'a str, answers: &'a Answers) -> Subject<'a> {
        Subject {
            name,
            answers,
            topology: &self.topology,
            node: self.node,
            means: looking_glass::means(&answers.looking_glass, &self.target.kernels),
            default_interface: self.default_interface.as_deref(),
            templates: &self.templates,
        }
    }
}

/// What of the host is a virtual machine's own.
#[derive(Debug, Default)]
struct Own {
    /// Its GPUs, each with its companions.
    gpus: Vec<Vec<PciAddress>>,
    /// What else it gets.
    devices: Vec<PciAddress>,
}

/// What a machine gets, where the decision lets it have any.
fn own(facts: &Machine, answers: &Answers, name: &str) -> Result<Own, ProvisionError> {
    let Some(vm) = answers.vm.get(name) else { return Ok(Own::default()) };
    if vm.gpus == VmGpus::None && vm.devices(name).next().is_none() {
        return Ok(Own::default());
    }
    let judgement = policy::judge(facts, answers);
    if judgement.decision.verdict != Verdict::Ready {
        return Err(ProvisionError::Refused(Box::new(judgement.decision)));
    }
    let gpus = if vm.gpus == VmGpus::None { Vec::new() } else { gpus(&judgement, answers, name, vm)? };
    let devices = policy::devices_of(facts, vm);
    if let Some(stays) = devices.iter().find(|device| !judgement.decision.bind.contains(device)) {
        return Err(refused(
            format!("vm.{name}"),
            format!("{stays} is named for it, and mode = \"off\" gives nothing away"),
            "set mode = \"auto\" below [passthrough], or name no devices".to_owned(),
        ));
    }
    Ok(Own { gpus, devices })
}

/// The NUMA node of the first GPU.
fn node(machine: &Root, gpus: &[Vec<PciAddress>]) -> Result<Option<u32>, ProvisionError> {
    match gpus.first().and_then(|functions| functions.first()) {
        Some(gpu) => numa_node(machine, *gpu).map_err(ProvisionError::Machine),
        None => Ok(None),
    }
}

pub(super) fn refused(key: String, why: String, hint: String) -> ProvisionError {
    ProvisionError::Domain(DomainError::Refused(vec![Problem { key, why, hint }]))
}

/// The name of the only virtual machine.
fn only(answers: &Answers) -> Result<String, ProvisionError> {
    let names: Vec<&String> = answers.vm.keys().collect();
    match names.as_slice() {
        [name] => Ok((*name).clone()),
        [] => Err(refused(
            "vm".to_owned(),
            "the answers name no virtual machine".to_owned(),
            "add a table like [vm.windows11] to /etc/neuron/provisioner.toml".to_owned(),
        )),
        names => Err(refused(
            "vm".to_owned(),
            format!("the answers name {} virtual machines", names.len()),
            format!("say which: {}", names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")),
        )),
    }
}

/// The GPUs of a virtual machine, each with its companions, display function first.
pub fn gpus(
    judgement: &Judgement,
    answers: &Answers,
    name: &str,
    vm: &Vm,
) -> Result<Vec<Vec<PciAddress>>, ProvisionError> {
    let guests: Vec<_> = judgement.gpus.iter().filter(|gpu| gpu.role == GpuRole::Guest).collect();
    let named_by =
        |vm: &Vm, address: PciAddress| matches!(&vm.gpus, VmGpus::Named(list) if list.contains(&address));
    let is_guest = |address: &&PciAddress| guests.iter().any(|gpu| gpu.address == **address);
    if let VmGpus::Named(list) = &vm.gpus
        && let Some(other) = list.iter().find(|address| !is_guest(address))
    {
        let there: Vec<String> = guests.iter().map(|gpu| gpu.address.to_string()).collect();
        return Err(refused(
            format!("vm.{name}.gpus"),
            format!("{other} is no GPU that goes to a guest"),
            format!("those that do: {}", there.join(", ")),
        ));
    }
    let others = |address| answers.vm.iter().any(|(other, vm)| other != name && named_by(vm, address));
    let is_its = |address: PciAddress| match vm.gpus {
        VmGpus::Named(_) => named_by(vm, address),
        VmGpus::Auto => !others(address),
        VmGpus::None => false,
    };
    let own = guests.iter().filter(|gpu| is_its(gpu.address));
    Ok(own.map(|gpu| gpu.functions.clone()).collect())
}

/// Whether the bridge that is wanted is there. A capture holds no interfaces.
fn has_bridge(machine: &Root, vm: Option<&Vm>) -> Result<Option<bool>, ProvisionError> {
    match vm {
        Some(vm) if vm.network.kind == NetworkKind::Bridge && machine.descriptor().is_some() => {
            is_bridge(machine, &vm.network.bridge).map_err(ProvisionError::Machine)
        }
        _ => Ok(None),
    }
}

/// What makes ids differ between systems: systemd's identifier of this one, which itself must not be
/// shown to others.
fn seed(target: &Root) -> Result<String, ProvisionError> {
    let id = target.attribute(MACHINE_ID)?.unwrap_or_default();
    let id = id.trim();
    if id.is_empty() || id == "uninitialized" {
        return Err(refused(
            "vm".to_owned(),
            format!(
                "{MACHINE_ID} holds no identifier yet, and the machine's address and id are made from it"
            ),
            "boot the system once, or run systemd-machine-id-setup".to_owned(),
        ));
    }
    Ok(id.to_owned())
}

fn templates(target: &Root) -> Result<Vec<(String, String)>, ProvisionError> {
    let mut all = Vec::new();
    for name in target.list(TEMPLATES)?.unwrap_or_default() {
        if std::path::Path::new(&name).extension().is_none_or(|ending| ending != "j2") {
            continue;
        }
        let path = format!("{TEMPLATES}/{name}");
        let Some(bytes) = target.read(&path)? else { continue };
        let text = String::from_utf8(bytes).map_err(|_| {
            refused(path.clone(), "it is not UTF-8 text".to_owned(), "write it anew as plain text".to_owned())
        })?;
        all.push((name, text));
    }
    Ok(all)
}
