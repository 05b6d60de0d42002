//! What the questions need to know of machine and target, read once.

use std::collections::BTreeMap;
use std::fmt;

use neuron_passthrough::answers::Answers;
use neuron_passthrough::facts::{self, Machine, Target, Topology};
use neuron_passthrough::guest::domain::Proposal;
use neuron_passthrough::id::PciId;
use neuron_passthrough::policy::{self, Gpu, GpuKind, Judgement};
use neuron_passthrough::provision::{self, Standing};
use neuron_passthrough::root::Root;

use crate::failure::Failure;
use crate::render::{card_name, plain};

/// Where installation media are looked for, besides everybody's `Downloads`.
const MEDIA: [&str; 3] = ["/var/lib/libvirt/images", "/usr/share/virtio-win", "/usr/share/virtio"];

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing.
    Nothing,
    /// A regular file.
    File,
    /// Something else.
    Other,
}

/// The files of the system that is set up.
pub(crate) trait Files {
    /// What stands at an absolute path; an error in words.
    fn look(&self, path: &str) -> Result<Found, String>;
}

impl Files for Root {
    fn look(&self, path: &str) -> Result<Found, String> {
        if self.size(path).map_err(|error| error.to_string())?.is_some() {
            return Ok(Found::File);
        }
        let is_there = self.exists(path).map_err(|error| error.to_string())?;
        Ok(if is_there { Found::Other } else { Found::Nothing })
    }
}

/// What was seen.
pub(crate) struct Seen<'a> {
    /// The machine.
    pub(crate) machine: Machine,
    /// The target.
    pub(crate) target: Target,
    /// Where the set-up stands.
    pub(crate) standing: Standing,
    /// What a virtual machine would get.
    pub(crate) proposal: Proposal,
    /// People who use the system.
    pub(crate) people: Vec<String>,
    /// Installation media.
    pub(crate) media: Vec<String>,
    /// The interface of the default route.
    pub(crate) interface: Option<String>,
    /// The same where it is a card with a wire, which a bridge can be made with.
    pub(crate) wired: Option<String>,
    /// Bridges.
    pub(crate) bridges: Vec<String>,
    /// What people call the GPUs.
    pub(crate) names: BTreeMap<PciId, String>,
    /// The target's files.
    pub(crate) files: &'a dyn Files,
}

impl fmt::Debug for Seen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen").field("people", &self.people).finish_non_exhaustive()
    }
}

impl<'a> Seen<'a> {
    /// Looks, for the answers that there are. Names of GPUs come from `system`.
    pub(crate) fn read(
        machine: &Root,
        target: &'a Root,
        system: &Root,
        present: &Answers,
    ) -> Result<Self, Failure> {
        let facts =
            Machine::read_for(machine, Some(target), present).map_err(provision::ProvisionError::Machine)?;
        let read = Target::read(target, &facts)?;
        let topology = Topology::read(machine)?;
        // A capture does not hold it: nothing is decided by it.
        let has_network = machine.descriptor().is_some();
        let interface = if has_network { facts::default_interface(machine)? } else { None };
        let wired = match &interface {
            Some(name) => {
                facts::Port::read(machine, name)?.filter(|port| port.is_wired).map(|_| name.clone())
            }
            None => None,
        };
        let ids: Vec<PciId> = facts.gpus().filter_map(|function| function.id).collect();
        Ok(Self {
            standing: provision::status(machine, target)?.standing,
            proposal: Proposal::of(&topology, None),
            people: facts::people(target)?,
            media: media(target)?,
            interface,
            wired,
            bridges: if has_network { bridges(machine)? } else { Vec::new() },
            names: facts::names(system, &ids),
            files: target,
            machine: facts,
            target: read,
        })
    }

    /// What policy says of these answers.
    pub(crate) fn judge(&self, answers: &Answers) -> Judgement {
        let judgement = policy::judge(&self.machine, answers);
        policy::target::judge(judgement, &self.machine, answers, &self.target)
    }

    /// What a GPU is called, with its address.
    pub(crate) fn name(&self, gpu: &Gpu) -> String {
        let name = gpu.id.and_then(|id| self.names.get(&id)).map(|name| plain(&card_name(name)));
        let name = name.unwrap_or_else(|| match (gpu.kind, gpu.id) {
            (GpuKind::Integrated, Some(id)) => format!("graphics of the processor {id}"),
            (_, Some(id)) => format!("graphics card {id}"),
            (_, None) => "graphics card".to_owned(),
        });
        format!("{name} ({})", gpu.address)
    }

    /// Whether something of ours is there.
    pub(crate) fn is_set_up(&self) -> bool {
        !matches!(self.standing, Standing::Unconfigured | Standing::Reverted)
    }
}

/// ISO files in the places where people put them, at most some dozen.
fn media(target: &Root) -> Result<Vec<String>, Failure> {
    let homes = target.list("/home")?.unwrap_or_default();
    let downloads = homes.iter().map(|home| format!("/home/{home}/Downloads"));
    let mut found = Vec::new();
    for folder in MEDIA.iter().map(|folder| (*folder).to_owned()).chain(downloads) {
        // A home that is not mounted, or encrypted, hides nothing that is needed.
        let names = target.list(&folder).ok().flatten().unwrap_or_default();
        let is_medium = |name: &String| name.to_ascii_lowercase().ends_with(".iso");
        found.extend(names.into_iter().filter(is_medium).map(|name| format!("{folder}/{name}")));
    }
    found.truncate(32);
    Ok(found)
}

fn bridges(machine: &Root) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for name in machine.list("sys/class/net")?.unwrap_or_default() {
        if machine.exists(&format!("sys/class/net/{name}/bridge"))? {
            found.push(name);
        }
    }
    Ok(found)
}
