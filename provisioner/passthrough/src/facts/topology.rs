//! How the machine's processors are laid out, and its memory: what a virtual machine is cut from.
//!
//! Not part of [`super::Machine`]: only a virtual machine needs it, and on a big machine it is some
//! hundred files. Sources: `Documentation/ABI/stable/sysfs-devices-system-cpu` and
//! `sysfs-devices-node` of the kernel; `/sys/devices/cpu_core` and `cpu_atom` are the performance
//! counters of hybrid processors, each with the list of its processors.

use std::collections::BTreeMap;

use super::FactsError;
use crate::id::PciAddress;
use crate::root::Root;
use crate::text::cpu_list;

const CPUS: &str = "sys/devices/system/cpu";
const NODES: &str = "sys/devices/system/node";

/// A core: processors that share its units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Core {
    /// Its processors that are online, in order: one, or more with SMT.
    pub processors: Vec<u32>,
    /// The NUMA node; 0 where there are none.
    pub node: u32,
    /// The processors of its last-level cache, as the kernel lists them; empty when it does not tell.
    pub cache: String,
    /// Whether it is one of a hybrid processor's small cores.
    pub is_small: bool,
}

/// The machine's processors and memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Topology {
    /// The cores, in the order of their first processors.
    pub cores: Vec<Core>,
    /// Memory in MiB; `None` when the machine does not tell.
    pub memory_mib: Option<u64>,
    /// The memory of each NUMA node that tells, in MiB.
    pub node_memory_mib: BTreeMap<u32, u64>,
    /// Whether the processors have pages of 1 GiB; `None` when the machine does not tell.
    pub has_gib_pages: Option<bool>,
}

impl Topology {
    /// Reads the processors that are online.
    pub fn read(root: &Root) -> Result<Self, FactsError> {
        let online = list(root, &format!("{CPUS}/online"))?.unwrap_or_default();
        let small = list(root, "sys/devices/cpu_atom/cpus")?.unwrap_or_default();
        let numbers = node_numbers(root)?;
        let nodes = nodes(root, &numbers)?;
        let mut cores: BTreeMap<u32, Core> = BTreeMap::new();
        for processor in &online {
            let base = format!("{CPUS}/cpu{processor}");
            let siblings = list(root, &format!("{base}/topology/thread_siblings_list"))?;
            let mut processors = siblings.unwrap_or_else(|| vec![*processor]);
            processors.retain(|sibling| online.contains(sibling));
            let Some(first) = processors.first().copied() else { continue };
            if cores.contains_key(&first) {
                continue;
            }
            let core = Core {
                node: nodes.get(&first).copied().unwrap_or_default(),
                cache: last_cache(root, &base)?,
                is_small: small.contains(&first),
                processors,
            };
            cores.insert(first, core);
        }
        Ok(Self {
            cores: cores.into_values().collect(),
            memory_mib: memory(root, "proc/meminfo")?,
            node_memory_mib: node_memories(root, &numbers)?,
            has_gib_pages: super::cpu::has_flag(root, "pdpe1gb")?,
        })
    }
}

/// The NUMA node that a function is attached to; `None` when the machine has none or does not tell.
pub fn numa_node(root: &Root, function: PciAddress) -> Result<Option<u32>, FactsError> {
    let node = root.attribute(&format!("sys/bus/pci/devices/{function}/numa_node"))?;
    // The kernel writes -1 where there is none.
    Ok(node.and_then(|node| node.trim().parse().ok()))
}

fn list(root: &Root, path: &str) -> Result<Option<Vec<u32>>, FactsError> {
    let Some(text) = root.attribute(path)? else { return Ok(None) };
    match cpu_list::parse(&text) {
        Ok(processors) => Ok(Some(processors)),
        Err(_) => Err(FactsError::Nonsense {
            path: path.to_owned(),
            value: text,
            wanted: "a list of processors like `0-3`",
        }),
    }
}

fn node_numbers(root: &Root) -> Result<Vec<u32>, FactsError> {
    let names = root.list(NODES)?.unwrap_or_default();
    Ok(names.iter().filter_map(|name| name.strip_prefix("node")?.parse().ok()).collect())
}

/// The node of every processor.
fn nodes(root: &Root, numbers: &[u32]) -> Result<BTreeMap<u32, u32>, FactsError> {
    let mut of = BTreeMap::new();
    for node in numbers {
        let processors = list(root, &format!("{NODES}/node{node}/cpulist"))?.unwrap_or_default();
        of.extend(processors.into_iter().map(|processor| (processor, *node)));
    }
    Ok(of)
}

fn node_memories(root: &Root, numbers: &[u32]) -> Result<BTreeMap<u32, u64>, FactsError> {
    let mut of = BTreeMap::new();
    for node in numbers {
        let memory = match node_memory_mib(root, *node) {
            // A capture may be older than this question: it does not tell.
            Err(FactsError::Read(_)) if root.descriptor().is_none() => None,
            told => told?,
        };
        of.extend(memory.map(|mib| (*node, mib)));
    }
    Ok(of)
}

/// The memory of a NUMA node in MiB; `None` when there is no such node, or it does not tell.
pub fn node_memory_mib(root: &Root, node: u32) -> Result<Option<u64>, FactsError> {
    memory(root, &format!("{NODES}/node{node}/meminfo"))
}

/// Who shares the cache of the highest level.
fn last_cache(root: &Root, cpu: &str) -> Result<String, FactsError> {
    let mut last = (0, String::new());
    for name in root.list(&format!("{cpu}/cache"))?.unwrap_or_default() {
        if !name.starts_with("index") {
            continue;
        }
        let level = root.attribute(&format!("{cpu}/cache/{name}/level"))?;
        let level: u32 = level.and_then(|level| level.trim().parse().ok()).unwrap_or_default();
        if level > last.0
            && let Some(shared) = root.attribute(&format!("{cpu}/cache/{name}/shared_cpu_list"))?
        {
            last = (level, shared.trim().to_owned());
        }
    }
    Ok(last.1)
}

/// The line is `MemTotal: 32768 kB`, with `Node 0` before it in the file of a node.
fn memory(root: &Root, path: &str) -> Result<Option<u64>, FactsError> {
    let Some(text) = root.read_head(path, 4096)? else { return Ok(None) };
    let line = text.lines().find_map(|line| {
        let (before, behind) = line.split_once("MemTotal:")?;
        (before.is_empty() || before.starts_with("Node ")).then_some(behind)
    });
    let Some(line) = line else { return Ok(None) };
    let kib = line.trim().strip_suffix("kB").map(str::trim).and_then(|number| number.parse::<u64>().ok());
    match kib {
        Some(kib) => Ok(Some(kib / 1024)),
        None => Err(FactsError::Nonsense {
            path: path.to_owned(),
            value: line.trim().to_owned(),
            wanted: "a number of kB behind MemTotal:",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::{Capture, Entry};

    #[test]
    fn a_capture_that_is_older_than_the_question_tells_nothing_of_it() {
        let mut capture = Capture::default();
        let file = format!("{NODES}/node1/meminfo");
        capture.insert(&file, Entry::Text("Node 1 MemTotal: 2048 kB\n".to_owned()));
        let read = |capture: &Capture| node_memories(&Root::capture(capture.clone()), &[0, 1]);
        assert_eq!(read(&capture).unwrap(), [(1, 2)].into());
        capture.insert(&file, Entry::Text("Node 1 MemTotal: much\n".to_owned()));
        assert!(matches!(read(&capture), Err(FactsError::Nonsense { .. })));
        // A machine that cannot be read is another thing.
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join(&file)).unwrap();
        assert!(node_memories(&Root::directory(folder.path()).unwrap(), &[0, 1]).is_err());
    }
}
