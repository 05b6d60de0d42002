//! What a virtual machine is cut from the host, where the answers leave it open.

use super::HOST_MEMORY;
use super::pinning::{self, Wanted};
use crate::facts::Topology;

/// Half of the host's memory in whole GiB, with something left for the host; in MiB.
pub(in crate::guest) fn memory_mib(host: u64) -> u64 {
    (host / 2).min(most_memory_mib(host)) / 1024 * 1024
}

/// The most that can be given away.
fn most_memory_mib(host: u64) -> u64 {
    host.saturating_sub(HOST_MEMORY)
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
    /// Reads it off a machine, for a GPU at this NUMA node.
    pub fn of(topology: &Topology, node: Option<u32>) -> Self {
        let memory_mib = topology.memory_mib.map(|host| (memory_mib(host), most_memory_mib(host)));
        let pinned = |vcpus| pinning::pin(topology, Wanted { vcpus, node, ..Wanted::default() });
        let vcpus = pinned(0).ok().map(|usual| {
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
        let proposal = Proposal::of(&topology, None);
        assert_eq!(proposal.memory_mib, Some((15_360, 27_904)));
        assert_eq!(proposal.vcpus, Some((6, 6)), "the core of processor 0 stays with the host");
        assert_eq!(Proposal::of(&Topology::default(), None), Proposal::default());
    }
}
