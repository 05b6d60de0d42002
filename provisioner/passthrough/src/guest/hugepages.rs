//! Huge pages: what the kernel is told so that they are there when a virtual machine starts.
//!
//! They are reserved at boot, before memory is cut up. `default_hugepagesz=` and `hugepages=` mean the
//! same in either order, which `hugepagesz=` does not, and systemd mounts `/dev/hugepages` with the
//! default size, where libvirt looks for it. Source: the kernel's
//! `Documentation/admin-guide/mm/hugetlbpage.rst`.

use std::collections::{BTreeMap, BTreeSet};

use super::domain::{HOST_MEMORY, NODE_MEMORY, Problem, most_memory_mib, proposed_memory_mib};
use super::pinning::{self, Wanted};
use crate::answers::{Answers, Hugepages, Vm};
use crate::facts::Topology;
use crate::id::PciAddress;

/// What a virtual machine gets of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Share {
    /// Its GPUs.
    pub gpus: BTreeSet<PciAddress>,
    /// The NUMA node of the first one.
    pub node: Option<u32>,
}

/// The parameters that reserve the pages of all virtual machines that can run at once; none where no
/// machine wants any. `shares` has a line for each of those that do.
pub fn parameters(
    answers: &Answers,
    shares: &BTreeMap<String, Share>,
    topology: &Topology,
) -> Result<Vec<String>, Problem> {
    let wanted: Vec<(&String, &Vm)> =
        answers.vm.iter().filter(|(_, vm)| vm.hugepages != Hugepages::Off).collect();
    let Some((first, vm)) = wanted.first() else { return Ok(Vec::new()) };
    if let Some((other, _)) = wanted.iter().find(|(_, other)| other.hugepages != vm.hugepages) {
        let why = format!("vm.{first} wants pages of another size, and the kernel has one default size");
        return Err(problem(other, why, "use one size for all virtual machines"));
    }
    let page = vm.hugepages.mib();
    if page == 1024 && topology.has_gib_pages == Some(false) {
        let why = "this processor has no pages of 1 GiB (pdpe1gb)".to_owned();
        return Err(problem(first, why, "use hugepages = \"2M\""));
    }
    // Machines with the same GPUs never run at once: they share their pages.
    let mut pages: BTreeMap<(Option<u32>, Sharers<'_>), u64> = BTreeMap::new();
    for (name, vm) in &wanted {
        let share = shares.get(*name).cloned().unwrap_or_default();
        let node = node(name, vm, &share, topology)?;
        let group = if share.gpus.is_empty() { Sharers::Nobody(name) } else { Sharers::Gpus(share.gpus) };
        let count = pages.entry((node, group)).or_default();
        *count = (*count).max(memory(name, vm, node, topology)?.div_ceil(page));
    }
    let all: u64 = pages.values().sum();
    let most = topology.memory_mib.map_or(u64::MAX, |host| host.saturating_sub(HOST_MEMORY));
    if all * page > most {
        let why = format!(
            "{} MiB would be reserved, and {most} can be given away: {HOST_MEMORY} MiB stay with the host",
            all * page
        );
        return Err(problem(first, why, "set memory_mib to less, or hugepages = \"off\""));
    }
    let counts = by_node(&pages, topology);
    for (node, count) in counts.iter().flatten() {
        let most = most_memory_mib(topology, Some(*node)).unwrap_or(u64::MAX);
        if count * page > most {
            let why = format!(
                "{} MiB would be reserved on NUMA node {node}, and {most} can be given away there: {NODE_MEMORY} MiB \
                 stay",
                count * page
            );
            let hint = "set memory_mib to less, cpu_pinning = \"off\" or hugepages = \"off\"";
            return Err(problem(first, why, hint));
        }
    }
    let counts = counts.map_or_else(
        || all.to_string(),
        |counts| counts.iter().map(|(node, count)| format!("{node}:{count}")).collect::<Vec<_>>().join(","),
    );
    let size = if page == 1024 { "1G" } else { "2M" };
    Ok(vec![format!("default_hugepagesz={size}"), format!("hugepages={counts}")])
}

/// Who takes turns with one share of the pages.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sharers<'a> {
    Nobody(&'a str),
    Gpus(BTreeSet<PciAddress>),
}

/// `hugepages=` counts for the whole machine, or by node (`0:4,1:8`) where a virtual machine's memory
/// has to lie on one.
fn by_node(
    pages: &BTreeMap<(Option<u32>, Sharers<'_>), u64>,
    topology: &Topology,
) -> Option<BTreeMap<u32, u64>> {
    if pages.keys().all(|(node, _)| node.is_none()) {
        return None;
    }
    let anywhere = topology.cores.first().map(|core| core.node).unwrap_or_default();
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    for ((node, _), count) in pages {
        *counts.entry(node.unwrap_or(anywhere)).or_default() += count;
    }
    Some(counts)
}

/// The node to which its memory is bound; none on a machine that does not tell its processors, of which
/// `vm define` makes no domain.
fn node(name: &str, vm: &Vm, share: &Share, topology: &Topology) -> Result<Option<u32>, Problem> {
    if topology.cores.is_empty() {
        return Ok(None);
    }
    let wanted = Wanted { vcpus: vm.vcpus, pinning: vm.cpu_pinning, node: share.node };
    match pinning::pin(topology, wanted) {
        Ok(pinning) => Ok(pinning.node),
        Err(error) => {
            let hint = "see `neuron-provisioner vm render`";
            Err(Problem { key: format!("vm.{name}.vcpus"), why: error.to_string(), hint: hint.to_owned() })
        }
    }
}

fn memory(name: &str, vm: &Vm, node: Option<u32>, topology: &Topology) -> Result<u64, Problem> {
    match (vm.memory_mib, proposed_memory_mib(topology, node)) {
        (0, Some(proposed)) => Ok(proposed),
        (0, None) => {
            let why = "the machine does not tell how much memory it has".to_owned();
            Err(problem(name, why, "set memory_mib"))
        }
        (asked, _) => Ok(asked),
    }
}

fn problem(name: &str, why: String, hint: &str) -> Problem {
    Problem { key: format!("vm.{name}.hugepages"), why, hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Core;

    fn host(nodes: u32) -> Topology {
        let core = |at: u32| Core {
            processors: vec![at],
            node: at / 4,
            cache: (at / 4).to_string(),
            is_small: false,
        };
        let cores = (0..4 * nodes).map(core).collect();
        let node_memory_mib = (0..nodes).map(|node| (node, 32_768 / u64::from(nodes))).collect();
        Topology { cores, memory_mib: Some(32_768), node_memory_mib, has_gib_pages: Some(true) }
    }

    fn share(gpus: &[&str], node: Option<u32>) -> Share {
        Share { gpus: gpus.iter().map(|gpu| gpu.parse().unwrap()).collect(), node }
    }

    fn told(answers: &str, shares: &[(&str, Share)], topology: &Topology) -> Result<String, String> {
        let shares = shares.iter().map(|(name, share)| ((*name).to_owned(), share.clone())).collect();
        parameters(&Answers::parse(answers).unwrap(), &shares, topology)
            .map(|all| all.join(" "))
            .map_err(|problem| format!("{}: {}", problem.key, problem.why))
    }

    #[test]
    fn pages_are_for_all_that_run_at_once() {
        let one = "[vm.a]\nmemory_mib = 8192\nhugepages = \"1G\"\n";
        let card = share(&["0000:01:00.0"], None);
        let reserved = |text: &str, shares: &[(&str, Share)]| told(text, shares, &host(1)).unwrap();
        assert_eq!(reserved("[vm.a]\n", &[]), "", "nobody wants any");
        assert_eq!(reserved(one, &[("a", card.clone())]), "default_hugepagesz=1G hugepages=8");
        let two = format!("{one}[vm.b]\nmemory_mib = 4096\nhugepages = \"1G\"\n");
        let turns = [("a", card.clone()), ("b", card.clone())];
        assert_eq!(reserved(&two, &turns), "default_hugepagesz=1G hugepages=8", "they take turns");
        let both = [("a", card), ("b", share(&["0000:02:00.0"], None))];
        assert_eq!(reserved(&two, &both), "default_hugepagesz=1G hugepages=12");
        assert_eq!(reserved(&two, &[]), "default_hugepagesz=1G hugepages=12", "without a GPU as well");
        let small = "[vm.a]\nhugepages = \"2M\"\n";
        assert_eq!(reserved(small, &[]), "default_hugepagesz=2M hugepages=8192", "half of the host's");
    }

    #[test]
    fn they_lie_on_the_node_of_the_gpu() {
        let one = "[vm.a]\nmemory_mib = 8192\nhugepages = \"1G\"\n";
        let two = format!("{one}[vm.b]\nmemory_mib = 4096\nhugepages = \"1G\"\n");
        let shares = [("a", share(&["0000:81:00.0"], Some(1))), ("b", share(&["0000:01:00.0"], Some(0)))];
        assert_eq!(told(one, &shares, &host(2)).unwrap(), "default_hugepagesz=1G hugepages=1:8");
        assert_eq!(told(&two, &shares, &host(2)).unwrap(), "default_hugepagesz=1G hugepages=0:4,1:8");
        let unpinned = one.replace("[vm.a]\n", "[vm.a]\ncpu_pinning = \"off\"\n");
        assert_eq!(told(&unpinned, &shares, &host(2)).unwrap(), "default_hugepagesz=1G hugepages=8");
        // Never the whole node: its 16 GiB are half of the host.
        let proposed = "[vm.a]\nhugepages = \"1G\"\n";
        assert_eq!(told(proposed, &shares, &host(2)).unwrap(), "default_hugepagesz=1G hugepages=1:14");
        let large = one.replace("8192", "15360");
        let why = told(&large, &shares, &host(2)).unwrap_err();
        assert!(why.contains("15360 MiB would be reserved on NUMA node 1, and 14336 can"), "{why}");
        assert!(told(&large, &shares, &host(1)).is_ok(), "the control");
    }

    #[test]
    fn what_cannot_be_reserved_is_refused() {
        let of = |size: &str, mib: u32| format!("[vm.a]\nmemory_mib = {mib}\nhugepages = \"{size}\"\n");
        let small = Topology { has_gib_pages: Some(false), ..host(1) };
        let unknown = Topology::default();
        let mixed = format!("{}[vm.b]\nhugepages = \"2M\"\n", of("1G", 1024));
        for (text, host, wanted) in [
            (of("1G", 1024), &small, "vm.a.hugepages: this processor has no pages of 1 GiB"),
            (of("2M", 30_000), &host(1), "vm.a.hugepages: 30000 MiB would be reserved, and 28672 can"),
            (of("2M", 0), &unknown, "vm.a.hugepages: the machine does not tell how much memory"),
            (mixed, &host(1), "vm.b.hugepages: vm.a wants pages of another size"),
        ] {
            let why = told(&text, &[], host).unwrap_err();
            assert!(why.starts_with(wanted), "{why}");
        }
        assert!(told(&of("2M", 1024), &[], &small).is_ok(), "the control");
    }
}
