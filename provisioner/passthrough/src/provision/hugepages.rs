//! The parameters that reserve huge pages, from the answers and the machine.

use std::collections::BTreeMap;

use super::ProvisionError;
use super::guest::gpus;
use crate::answers::{Answers, Hugepages, Mode, VmGpus};
use crate::facts::{Topology, numa_node};
use crate::guest::hugepages::{self, Share};
use crate::policy::{Code, Finding, Judgement, Severity, Verdict};
use crate::root::Root;

/// The parameters, or why there cannot be such pages.
pub(super) fn parameters(
    machine: &Root,
    answers: &Answers,
    judgement: &Judgement,
) -> Result<Result<Vec<String>, Finding>, ProvisionError> {
    // Switched off, no GPU goes to a guest, and nothing is reserved for one.
    let is_allowed = judgement.decision.mode != Mode::Off
        && matches!(judgement.decision.verdict, Verdict::Ready | Verdict::Pending);
    let mut shares = BTreeMap::new();
    for (name, vm) in answers.vm.iter().filter(|(_, vm)| is_allowed && vm.hugepages != Hugepages::Off) {
        let gpus = if vm.gpus == VmGpus::None { Vec::new() } else { gpus(judgement, answers, name, vm)? };
        let gpus: Vec<_> = gpus.iter().filter_map(|functions| functions.first().copied()).collect();
        let node = match gpus.first() {
            Some(gpu) => numa_node(machine, *gpu).map_err(ProvisionError::Machine)?,
            None => None,
        };
        shares.insert(name.clone(), Share { gpus: gpus.into_iter().collect(), node });
    }
    if shares.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let topology = Topology::read(machine).map_err(ProvisionError::Machine)?;
    Ok(hugepages::parameters(answers, &shares, &topology).map_err(|problem| {
        let message = format!("{}: {}", problem.key, problem.why);
        Finding::new(Code::Hugepages, Severity::Blocker, message, problem.hint)
    }))
}
