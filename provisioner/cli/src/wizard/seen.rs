//! What the questions need to know of machine and target, read once.

use std::collections::BTreeMap;
use std::fmt;

use neuron_passthrough::answers::Answers;
use neuron_passthrough::facts::{self, Machine, PciFunction, Target, Topology};
use neuron_passthrough::guest::domain::Proposal;
use neuron_passthrough::id::{PciAddress, PciId};
use neuron_passthrough::policy::{self, Gpu, GpuKind, Judgement};
use neuron_passthrough::provision::{self, Standing};
use neuron_passthrough::root::Root;

use super::Draft;
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
    /// Its processors and memory, of which a virtual machine gets some.
    topology: Topology,
    /// The NUMA nodes of its GPUs, where it has several.
    nodes: BTreeMap<PciAddress, u32>,
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
    /// What people call the functions.
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
        let is_whole = machine.descriptor().is_some();
        let facts = if is_whole {
            Machine::read_to_choose(machine, Some(target))
        } else {
            Machine::read_for(machine, Some(target), present)
        };
        let facts = facts.map_err(provision::ProvisionError::Machine)?;
        let read = Target::read(target, &facts)?;
        // A capture does not hold it: nothing is decided by it.
        let interface = if is_whole { facts::default_interface(machine)? } else { None };
        let wired = match &interface {
            Some(name) => {
                facts::Port::read(machine, name)?.filter(|port| port.is_wired).map(|_| name.clone())
            }
            None => None,
        };
        let ids: Vec<PciId> = facts.functions.values().filter_map(|function| function.id).collect();
        Ok(Self {
            standing: provision::status(machine, target)?.standing,
            topology: Topology::read(machine)?,
            nodes: if is_whole { nodes(machine, &facts)? } else { BTreeMap::new() },
            people: facts::people(target)?,
            media: media(target)?,
            interface,
            wired,
            bridges: if is_whole { bridges(machine)? } else { Vec::new() },
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

    /// What the virtual machine that is being described would get: near its first GPU.
    pub(crate) fn proposal(&self, draft: &Draft) -> Proposal {
        let pinning = draft.vm().map(|vm| vm.cpu_pinning).unwrap_or_default();
        Proposal::of(&self.topology, self.node(draft), pinning)
    }

    /// The NUMA node of its first GPU; none where it gets none, or where the answers do not fit the machine,
    /// which is told where they are followed.
    fn node(&self, draft: &Draft) -> Option<u32> {
        let (name, vm) = (draft.name.as_ref()?, draft.vm()?);
        let judgement = self.judge(&draft.answers);
        let gpus = provision::gpus_of(&judgement, &draft.answers, name, vm).ok()?;
        self.nodes.get(gpus.first()?.first()?).copied()
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

    /// What a device is called, with its address, in so many characters.
    pub(crate) fn device(&self, function: &PciFunction, width: usize) -> String {
        let (noun, address) = (function.class.noun(), function.address);
        let name = function.id.and_then(|id| self.names.get(&id)).map(|name| plain(name));
        let whole = name.map(|name| format!("{noun} {name} ({address})"));
        let fitting = whole.filter(|whole| whole.chars().count() <= width);
        fitting.unwrap_or_else(|| match function.id {
            Some(id) => format!("{noun} {id} ({address})"),
            None => format!("{noun} ({address})"),
        })
    }

    /// Whether something of ours is there.
    pub(crate) fn is_set_up(&self) -> bool {
        !matches!(self.standing, Standing::Unconfigured | Standing::Reverted)
    }
}

fn nodes(machine: &Root, facts: &Machine) -> Result<BTreeMap<PciAddress, u32>, Failure> {
    let mut found = BTreeMap::new();
    for gpu in facts.gpus() {
        found.extend(facts::numa_node(machine, gpu.address)?.map(|node| (gpu.address, node)));
    }
    Ok(found)
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

#[cfg(test)]
mod tests {
    use neuron_tests::scenario::Ground;

    use super::*;

    /// Two NUMA nodes, of 8 processors and 16 GiB, and of 4 processors and 12 GiB, with the card on this one.
    fn on_node(node: u32) -> Ground {
        let ground = Ground::new("made-rtx-usbc-igpu", "arch-grub").unwrap();
        let put = |path: &str, text: String| neuron_tests::write(&ground.machine().join(path), text).unwrap();
        put("sys/devices/system/cpu/online", "0-11\n".to_owned());
        put("proc/meminfo", format!("MemTotal: {} kB\n", 28 << 20));
        for (number, processors, gib) in [(0, 0..8, 16), (1, 8..12, 12)] {
            let folder = format!("sys/devices/system/node/node{number}");
            let last = processors.end - 1;
            put(&format!("{folder}/cpulist"), format!("{}-{last}\n", processors.start));
            put(&format!("{folder}/meminfo"), format!("Node {number} MemTotal: {} kB\n", gib << 20));
            for processor in processors {
                let base = format!("sys/devices/system/cpu/cpu{processor}");
                put(&format!("{base}/topology/thread_siblings_list"), format!("{processor}\n"));
            }
        }
        put("sys/bus/pci/devices/0000:01:00.0/numa_node", format!("{node}\n"));
        ground
    }

    #[test]
    fn what_is_proposed_lies_on_the_node_of_the_card() {
        for (node, more, memory, most_vcpus) in [
            (0, "", (14_336, 14_336), 7),
            (1, "", (10_240, 10_240), 3),
            (1, "gpus = \"none\"\n", (14_336, 14_336), 7),
            (1, "cpu_pinning = \"off\"\n", (14_336, 24_576), 12),
        ] {
            let ground = on_node(node);
            let [machine, target] =
                [ground.machine(), ground.target()].map(|path| Root::directory(&path).unwrap());
            let seen = Seen::read(&machine, &target, &machine, &Answers::default()).unwrap();
            let draft = Draft::new(Answers::parse(&format!("[vm.a]\n{more}")).unwrap());
            let proposal = seen.proposal(&draft);
            assert_eq!(proposal.memory_mib, Some(memory), "{node} {more}");
            assert_eq!(proposal.vcpus.map(|(_, most)| most), Some(most_vcpus), "{node} {more}");
        }
    }
}
