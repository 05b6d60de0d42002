//! Which processors run a virtual machine, and which stay with the host.
//!
//! Whole cores only: two machines on the threads of one core wait for each other. Never across NUMA
//! nodes, within one last-level cache where that is enough, and on a hybrid processor the big cores.
//! The core of processor 0 stays with the host: the kernel does its own work there.

use std::collections::{BTreeMap, BTreeSet};

use crate::answers::CpuPinning;
use crate::facts::{Core, Topology};
use crate::text::cpu_list;

/// How the virtual machine's processors lie on the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pinning {
    /// Cores of the virtual machine.
    pub(super) cores: u32,
    /// Threads of each.
    pub(super) threads: u32,
    /// The host's processor for each of its processors, in order; empty when nothing is pinned.
    pub(super) processors: Vec<u32>,
    /// The host's processors for everything else of the virtual machine; empty when not pinned.
    pub(super) rest: Vec<u32>,
    /// The NUMA node of its memory, where the host has several.
    pub(super) node: Option<u32>,
}

impl Pinning {
    /// How many processors the virtual machine has.
    pub(super) fn vcpus(&self) -> u32 {
        self.cores * self.threads
    }
}

/// What is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Processors of the virtual machine; 0 takes them from the machine.
    pub(super) vcpus: u32,
    /// Which cores.
    pub(super) pinning: CpuPinning,
    /// The node of the GPU.
    pub(super) node: Option<u32>,
}

/// Why there is no such pinning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PinningError {
    /// The machine did not say which processors it has.
    #[error("the machine does not tell which processors are online")]
    Unknown,
    /// More is asked for than can be given.
    #[error("{wanted} processors are wanted, and {available} can be given away {whence}")]
    TooMany {
        /// How many are wanted.
        wanted: u32,
        /// How many there are.
        available: u32,
        /// Where.
        whence: String,
    },
    /// The answers name a processor that is not online.
    #[error("cpu_pinning = {{first = {0}}}: there is no such processor online")]
    NoSuchProcessor(u32),
}

/// Lays a virtual machine's processors onto the host's.
pub(super) fn pin(topology: &Topology, wanted: Wanted) -> Result<Pinning, PinningError> {
    let cores = &topology.cores;
    if cores.is_empty() {
        return Err(PinningError::Unknown);
    }
    let pool = match wanted.pinning {
        CpuPinning::From { first } => from(cores, first)?,
        CpuPinning::Auto | CpuPinning::Off => candidates(cores, near(cores, wanted.node)),
    };
    let (count, threads) = shape(&pool, wanted.vcpus);
    if wanted.pinning == CpuPinning::Off {
        return unpinned(cores, count, threads);
    }
    if count > pool.len() {
        return Err(too_many(&pool, count * threads, threads));
    }
    let taken = near_each_other(&pool, count);
    let used: BTreeSet<u32> = taken.iter().flat_map(|core| core.processors.iter().copied()).collect();
    let rest = rest(cores, taken[0].node, &used);
    if rest.is_empty() {
        // One core is all there is: nothing can be kept apart.
        return unpinned(cores, count, threads);
    }
    let several_nodes = cores.iter().any(|core| core.node != cores[0].node);
    let processors = taken.iter().flat_map(|core| core.processors.iter().take(threads).copied());
    Ok(Pinning {
        cores: number(count),
        threads: number(threads),
        processors: processors.collect(),
        rest,
        node: several_nodes.then_some(taken[0].node),
    })
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn unpinned(cores: &[Core], count: usize, threads: usize) -> Result<Pinning, PinningError> {
    let all: Vec<&Core> = cores.iter().collect();
    let online: usize = cores.iter().map(|core| core.processors.len()).sum();
    if count * threads > online {
        return Err(too_many(&all, count * threads, 1));
    }
    let (cores, threads) = (number(count), number(threads));
    Ok(Pinning { cores, threads, processors: Vec::new(), rest: Vec::new(), node: None })
}

fn too_many(pool: &[&Core], wanted: usize, threads: usize) -> PinningError {
    let available: usize = pool.iter().map(|core| core.processors.len().min(threads.max(1))).sum();
    let list: Vec<u32> = pool.iter().flat_map(|core| core.processors.iter().copied()).collect();
    PinningError::TooMany {
        wanted: number(wanted),
        available: number(available),
        whence: format!("(of processors {})", cpu_list::render(&list)),
    }
}

/// The node to stay on: the GPU's, if it has big cores; else the one with the most.
fn near(cores: &[Core], gpu: Option<u32>) -> u32 {
    let on = |node: u32| cores.iter().filter(|core| core.node == node && !core.is_small).count();
    if let Some(node) = gpu.filter(|node| on(*node) > 0) {
        return node;
    }
    // The host starts on the first node, so of equals the last one goes.
    let nodes: BTreeSet<u32> = cores.iter().map(|core| core.node).collect();
    nodes.into_iter().max_by_key(|node| on(*node)).unwrap_or_default()
}

/// How many cores the host keeps at least: the first, and on bigger machines a second one.
fn kept(cores: usize) -> usize {
    match cores {
        0..=1 => 0,
        2..=4 => 1,
        _ => 2,
    }
}

/// The cores that may go: of one node, big ones where there are such, without what the host keeps.
fn candidates(cores: &[Core], node: u32) -> Vec<&Core> {
    let has_big = cores.iter().any(|core| core.node == node && !core.is_small);
    let mut pool: Vec<&Core> =
        cores.iter().filter(|core| core.node == node && !(has_big && core.is_small)).collect();
    if pool.len() > 1 {
        pool.retain(|core| !core.processors.contains(&0));
    }
    let missing = kept(cores.len()).saturating_sub(cores.len() - pool.len());
    pool.drain(..missing.min(pool.len().saturating_sub(1)));
    // What serves the machine from outside is not to do so from another node.
    if pool.len() > 1 && pool.len() == cores.iter().filter(|core| core.node == node).count() {
        pool.remove(0);
    }
    pool
}

/// The cores of one node from this processor on; of all cores one stays with the host.
fn from(cores: &[Core], first: u32) -> Result<Vec<&Core>, PinningError> {
    let at = cores.iter().position(|core| core.processors.contains(&first));
    let at = at.ok_or(PinningError::NoSuchProcessor(first))?;
    let mut pool: Vec<&Core> = cores[at..].iter().filter(|core| core.node == cores[at].node).collect();
    if pool.len() == cores.len() && pool.len() > 1 {
        pool.pop();
    }
    Ok(pool)
}

/// How many cores, with how many threads each.
fn shape(pool: &[&Core], vcpus: u32) -> (usize, usize) {
    let threads = pool.iter().map(|core| core.processors.len()).min().unwrap_or(1).max(1);
    let wanted = usize::try_from(vcpus).unwrap_or(usize::MAX);
    if wanted == 0 {
        let largest = caches(pool).iter().map(Vec::len).max().unwrap_or_default();
        // A single core is no machine: better two caches.
        return (if largest >= 2 { largest } else { pool.len() }, threads);
    }
    if wanted % threads == 0 { (wanted / threads, threads) } else { (wanted, 1) }
}

/// The pool by last-level cache.
fn caches<'a>(pool: &[&'a Core]) -> Vec<Vec<&'a Core>> {
    let mut by_cache: BTreeMap<&str, Vec<&Core>> = BTreeMap::new();
    for core in pool {
        by_cache.entry(&core.cache).or_default().push(core);
    }
    by_cache.into_values().collect()
}

/// So many cores of the pool: of one cache where one is large enough (the smallest such), else of as
/// few as it takes.
fn near_each_other<'a>(pool: &[&'a Core], count: usize) -> Vec<&'a Core> {
    let mut caches = caches(pool);
    caches.sort_by_key(|cache| (cache.len() < count, cache.len().abs_diff(count)));
    let mut taken: Vec<&Core> = caches.into_iter().flatten().take(count).collect();
    taken.sort_by_key(|core| core.processors[0]);
    taken
}

/// What is left for everything else, on the same node where that has something left. The threads of
/// a core that is used are left alone.
fn rest(cores: &[Core], node: u32, used: &BTreeSet<u32>) -> Vec<u32> {
    let left = |near: &dyn Fn(&Core) -> bool| -> Vec<u32> {
        let near = cores.iter().filter(|core| near(core));
        near.flat_map(|core| core.processors.iter().copied()).filter(|one| !used.contains(one)).collect()
    };
    let here = left(&|core| core.node == node);
    if here.is_empty() { left(&|_| true) } else { here }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Cores with these processors; node, cache and size by the functions.
    fn machine(
        cores: &[&[u32]],
        node: impl Fn(usize) -> u32,
        cache: impl Fn(usize) -> u32,
        small: impl Fn(usize) -> bool,
    ) -> Topology {
        let cores = cores.iter().enumerate().map(|(at, processors)| Core {
            processors: processors.to_vec(),
            node: node(at),
            cache: cache(at).to_string(),
            is_small: small(at),
        });
        Topology { cores: cores.collect(), ..Topology::default() }
    }

    fn auto(topology: &Topology) -> Pinning {
        pin(topology, Wanted::default()).unwrap()
    }

    #[test]
    fn eight_cores_with_two_threads_leave_two_to_the_host() {
        let pairs: Vec<Vec<u32>> = (0..8).map(|core| vec![core, core + 8]).collect();
        let pairs: Vec<&[u32]> = pairs.iter().map(Vec::as_slice).collect();
        let pinning = auto(&machine(&pairs, |_| 0, |_| 0, |_| false));
        assert_eq!((pinning.cores, pinning.threads, pinning.node), (6, 2, None));
        assert_eq!(pinning.processors, [2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15]);
        assert_eq!(pinning.rest, [0, 8, 1, 9]);
    }

    #[test]
    fn of_several_caches_one_is_used() {
        // Two chiplets of four cores.
        let pairs: Vec<Vec<u32>> = (0..8).map(|core| vec![core]).collect();
        let pairs: Vec<&[u32]> = pairs.iter().map(Vec::as_slice).collect();
        let topology = machine(&pairs, |_| 0, |core| u32::from(core >= 4), |_| false);
        let pinning = auto(&topology);
        assert_eq!(pinning.processors, [4, 5, 6, 7]);
        assert_eq!(pinning.rest, [0, 1, 2, 3]);
        // More than one cache holds takes both.
        let six = pin(&topology, Wanted { vcpus: 6, ..Wanted::default() }).unwrap();
        assert_eq!(six.processors, [2, 3, 4, 5, 6, 7]);
        let nine = pin(&topology, Wanted { vcpus: 7, ..Wanted::default() });
        assert!(matches!(nine, Err(PinningError::TooMany { wanted: 7, available: 6, .. })), "{nine:?}");
    }

    #[test]
    fn a_hybrid_processor_gives_its_big_cores() {
        let topology = machine(
            &[&[0, 1], &[2, 3], &[4, 5], &[6, 7], &[8], &[9], &[10], &[11]],
            |_| 0,
            |_| 0,
            |core| core >= 4,
        );
        let pinning = auto(&topology);
        assert_eq!(pinning.processors, [2, 3, 4, 5, 6, 7]);
        assert_eq!(pinning.rest, [0, 1, 8, 9, 10, 11]);
    }

    #[test]
    fn the_node_of_the_gpu_is_used() {
        let topology = machine(
            &[&[0], &[1], &[2], &[3]],
            |core| u32::from(core >= 2),
            |core| u32::from(core >= 2),
            |_| false,
        );
        for (node, wanted, rest) in [(Some(1), [3], [2]), (Some(0), [1], [0]), (None, [3], [2])] {
            let pinning = pin(&topology, Wanted { node, ..Wanted::default() }).unwrap();
            assert_eq!((pinning.processors, pinning.rest), (wanted.to_vec(), rest.to_vec()), "{node:?}");
            assert_eq!(pinning.node, Some(node.unwrap_or(1)));
        }
    }

    #[test]
    fn small_machines_keep_something_for_the_host() {
        let two = auto(&machine(&[&[0], &[1]], |_| 0, |_| 0, |_| false));
        assert_eq!((two.processors, two.rest), (vec![1], vec![0]));
        let one = auto(&machine(&[&[0, 1]], |_| 0, |_| 0, |_| false));
        assert_eq!((one.vcpus(), one.processors), (2, vec![]), "one core cannot be shared out");
        assert_eq!(pin(&Topology::default(), Wanted::default()), Err(PinningError::Unknown));
    }

    #[test]
    fn an_offline_processor_cannot_be_the_first() {
        let topology = machine(&[&[0], &[2], &[3]], |_| 0, |_| 0, |_| false);
        let first =
            |first| pin(&topology, Wanted { pinning: CpuPinning::From { first }, ..Wanted::default() });
        assert_eq!(first(2).unwrap().processors, [2, 3]);
        assert_eq!(first(0).unwrap().processors, [0, 2]);
        assert_eq!(first(1), Err(PinningError::NoSuchProcessor(1)));
    }

    proptest! {
        #[test]
        fn on_any_machine_the_host_keeps_something_and_cores_stay_whole(
            sizes in proptest::collection::vec(1_usize..3, 1..40),
            per_node in 1_usize..20,
            per_cache in 1_usize..8,
            small_from in 0_usize..50,
            vcpus in 0_u32..20,
            gpu in proptest::option::of(0_u32..4),
        ) {
            let mut next = 0;
            let cores: Vec<Vec<u32>> = sizes.iter().map(|size| {
                let processors: Vec<u32> = (next..).take(*size).collect();
                next += number(*size);
                processors
            }).collect();
            let cores: Vec<&[u32]> = cores.iter().map(Vec::as_slice).collect();
            let topology = machine(
                &cores, |at| number(at / per_node), |at| number(at / per_cache), |at| at >= small_from.max(1),
            );
            if let Ok(pinning) = pin(&topology, Wanted { vcpus, node: gpu, ..Wanted::default() }) {
                let is_pinned = !pinning.processors.is_empty();
                prop_assert!(vcpus == 0 || pinning.vcpus() == vcpus);
                if is_pinned {
                    prop_assert_eq!(pinning.processors.len(), usize::try_from(pinning.vcpus()).unwrap());
                    prop_assert!(!pinning.rest.is_empty());
                }
                let mut seen = BTreeSet::new();
                let mut nodes = BTreeSet::new();
                for processor in &pinning.processors {
                    prop_assert!(seen.insert(*processor));
                    let core = topology.cores.iter().find(|core| core.processors.contains(processor)).unwrap();
                    nodes.insert(core.node);
                    prop_assert!(core.processors.iter().all(|sibling| !pinning.rest.contains(sibling)));
                }
                prop_assert!(nodes.len() <= 1);
                let node = |one: &u32| topology.cores.iter().find(|core| core.processors.contains(one)).unwrap().node;
                let on_node = topology.cores.iter().filter(|core| nodes.contains(&core.node)).count();
                prop_assert!(on_node == 1 || pinning.rest.iter().all(|one| nodes.is_empty() || nodes.contains(&node(one))));
                prop_assert!(topology.cores.len() == 1 || !pinning.processors.contains(&0) || pinning.rest.iter().any(|one| *one != 0));
            }
        }
    }
}
