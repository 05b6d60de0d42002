//! What a virtual machine is cut from the host, where the answers leave it open.

use super::pinning::{self, Wanted};
use super::{HOST_MEMORY, NODE_MEMORY};
use crate::answers::CpuPinning;
use crate::facts::Topology;

/// Half of the host's memory in whole GiB, with something left for the host; in MiB. `node` is the one to
/// which the memory is bound, where it is.
pub(in crate::guest) fn memory_mib(topology: &Topology, node: Option<u32>) -> Option<u64> {
    let most = most_memory_mib(topology, node)?;
    topology.memory_mib.map(|host| (host / 2).min(most) / 1024 * 1024)
}

/// The most that can be given away.
pub(in crate::guest) fn most_memory_mib(topology: &Topology, node: Option<u32>) -> Option<u64> {
    let most = topology.memory_mib?.saturating_sub(HOST_MEMORY);
    let of_node = node.and_then(|node| topology.node_memory_mib.get(&node));
    Some(of_node.map_or(most, |mib| most.min(mib.saturating_sub(NODE_MEMORY))))
}

/// What a virtual machine would get of a machine, and the most that it could.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Proposal {
    /// Memory in MiB, and the most; `None` when the machine does not tell.
    pub memory_mib: Option<(u64, u64)>,
    /// Processors, and the most; `None` when the machine does not tell.
    pub vcpus: Option<(u32, u32)>,
}

impl Proposal {
    /// Reads it off a machine, for a GPU at this NUMA node and cores that are chosen so.
    pub fn of(topology: &Topology, node: Option<u32>, pinning: CpuPinning) -> Self {
        let pinned = |vcpus| pinning::pin(topology, Wanted { vcpus, pinning, node });
        let usual = pinned(0).ok();
        let bound = usual.as_ref().and_then(|usual| usual.node);
        let memory_mib = memory_mib(topology, bound).zip(most_memory_mib(topology, bound));
        let vcpus = usual.map(|usual| {
            let online: usize = topology.cores.iter().map(|core| core.processors.len()).sum();
            let most = (1..=u32::try_from(online).unwrap_or(u32::MAX)).rev();
            let most = most.map(|wanted| pinned(wanted).map(|pinned| pinned.vcpus()));
            (usual.vcpus(), most.flatten().next().unwrap_or(usual.vcpus()))
        });
        Self { memory_mib, vcpus }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Core;

    #[test]
    fn the_host_keeps_memory_and_a_core() {
        let core = |first| Core {
            processors: vec![first, first + 4],
            node: 0,
            cache: "0-7".to_owned(),
            is_small: false,
        };
        let topology =
            Topology { cores: (0..4).map(core).collect(), memory_mib: Some(32_000), ..Topology::default() };
        let of = |topology: &Topology, node| Proposal::of(topology, node, CpuPinning::Auto);
        let proposal = of(&topology, None);
        assert_eq!(proposal.memory_mib, Some((15_360, 27_904)));
        assert_eq!(proposal.vcpus, Some((6, 6)), "the core of processor 0 stays with the host");
        assert_eq!(of(&Topology::default(), None), Proposal::default());
        // On a node of its own there is no more than that has.
        let mut two = topology;
        two.cores.iter_mut().skip(2).for_each(|core| core.node = 1);
        two.node_memory_mib = [(0, 20_000), (1, 12_000)].into();
        assert_eq!(of(&two, Some(1)).memory_mib, Some((9_216, 9_952)));
        assert_eq!(of(&two, Some(0)).memory_mib, Some((15_360, 17_952)));
        let anywhere = Proposal::of(&two, Some(1), CpuPinning::Off);
        assert_eq!(anywhere.memory_mib, Some((15_360, 27_904)), "what is not pinned is bound to no node");
    }
}
