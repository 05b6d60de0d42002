//! Whether everything can be written, asked before anything is.

use std::collections::BTreeMap;

use nix::sys::stat::fstat;
use nix::sys::statvfs::fstatvfs;
use nix::unistd::geteuid;

use super::error::ApplyError;
use super::execute::Change;
use super::place::{Place, Tree};
use crate::id::TargetPath;

/// For the journal's own lines, and a margin for what a file system allocates beside the bytes.
const JOURNAL: u64 = 64 * 1024;

/// What is needed on one file system, and what it has.
struct Demand {
    path: TargetPath,
    needed: u64,
    available: Option<u64>,
    block: u64,
}

/// Refuses when a directory cannot be written to or a file system is too full. `state` is a path
/// in the directory that keeps the saved bytes.
pub(super) fn check(tree: &Tree<'_>, changes: &[&Change], state: &TargetPath) -> Result<(), ApplyError> {
    let mut demands = BTreeMap::new();
    let (place, _) = tree.missing_directories(state)?;
    let kept = demand(&mut demands, &place, state)?;
    kept.needed += JOURNAL;
    let block = kept.block;
    let saved = |length: u64| if length == 0 { 0 } else { length.div_ceil(block) * block + block };
    let kept_changes = changes.iter().filter(|change| !change.copy);
    kept.needed += kept_changes.map(|c| saved(c.before.len()) + saved(c.after.len())).sum::<u64>();
    for change in changes {
        let (place, missing) = tree.missing_directories(&change.real)?;
        let demand = demand(&mut demands, &place, &change.real)?;
        let blocks = change.after.len().div_ceil(demand.block) + 1 + missing.len() as u64;
        demand.needed += blocks * demand.block;
    }
    for Demand { path, needed, available, .. } in demands.into_values() {
        if let Some(available) = available
            && needed > available
        {
            return Err(ApplyError::NoSpace { path, needed, available });
        }
    }
    Ok(())
}

fn demand<'a>(
    demands: &'a mut BTreeMap<u64, Demand>,
    place: &Place,
    path: &TargetPath,
) -> Result<&'a mut Demand, ApplyError> {
    let not_writable = |source| ApplyError::NotWritable { path: path.clone(), fat: place.fat, source };
    place.check_writable().map_err(not_writable)?;
    let stat = fstat(&place.directory).map_err(|errno| not_writable(errno.into()))?;
    let system = fstatvfs(&place.directory).map_err(|errno| not_writable(errno.into()))?;
    // Part of ext4 is kept for root.
    let free = if geteuid().is_root() { system.blocks_free() } else { system.blocks_available() };
    let block = system.fragment_size().max(512);
    Ok(demands.entry(stat.st_dev).or_insert_with(|| Demand {
        path: path.clone(),
        needed: 0,
        // A tmpfs without a limit reports no blocks at all.
        available: (system.blocks() > 0).then(|| free * block),
        block,
    }))
}
