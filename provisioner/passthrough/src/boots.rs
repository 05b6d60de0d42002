//! Boots with passthrough in force, and whether they were good.
//!
//! An initramfs has no disk to count on, so the booted system counts. A boot is counted when it
//! begins, and the count goes when somebody could use it ([`Session::proves_after`]). After [`LIMIT`]
//! in a row that nobody could, the next one gives the card back before a display manager starts, and
//! so does every boot after it, until a person says otherwise ([`clear`]). A count that cannot be read
//! leaves one more try: whatever stood there, a boot is never held up by it.

mod count;
mod files;
mod in_force;
mod proof;

pub use count::{BootFiles, Boots, GivenBack, LIMIT, Next};
pub use files::proven;
pub use in_force::{InForce, in_force};
pub use proof::{AUTOLOGIN_HOLD, Held, PROPERTIES, Session, UNATTENDED_HOLD};

use crate::apply::{ApplyError, Notes};
use crate::facts::boot_id;
use crate::root::{ReadError, Root};

/// The file, in the state directory, that holds the count.
pub const BOOTS: &str = "boots.json";

/// Why a boot could not be counted.
#[derive(Debug, thiserror::Error)]
pub enum BootsError {
    /// The machine could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The count could not be read or written.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The kernel does not tell boots apart.
    #[error("/proc/sys/kernel/random/boot_id: it cannot be read, so this boot cannot be told from others")]
    NoBootId,
}

/// What was counted so far. What cannot be understood is told, and leaves one try.
pub fn load(target: &Root) -> Result<Boots, ApplyError> {
    let Some(bytes) = Notes::read(target, BOOTS)? else { return Ok(Boots::default()) };
    Ok(Boots::parse(&bytes).unwrap_or_else(|problem| {
        tracing::warn!("{BOOTS} in the state directory: {problem}; this boot gets one try");
        Boots::damaged()
    }))
}

/// A boot that was counted.
#[derive(Debug)]
pub struct Begun {
    /// What has to be done now, whether it could be remembered or not.
    pub next: Next,
    /// Whether the count was written.
    pub saved: Result<(), ApplyError>,
}

/// Counts a boot in which passthrough is in force, and says what has to be done now.
pub fn begin(machine: &Root, target: &Root) -> Result<Begun, BootsError> {
    begin_with(machine, target, |id| files::note(machine, target, id))
}

/// The same, with who looks at the boot partitions: a look that hangs must not keep a boot from being
/// counted, so the count is on disk before.
fn begin_with(
    machine: &Root,
    target: &Root,
    look: impl FnOnce(String) -> Option<BootFiles>,
) -> Result<Begun, BootsError> {
    let before = load(target)?;
    let id = boot_id(machine).ok_or(BootsError::NoBootId)?;
    let mut boots = before.clone();
    let next = boots.begin(&id);
    let saved = if boots == before { Ok(()) } else { save(target, &boots) };
    if matches!(next, Next::Try(_)) && boots.files.as_ref().is_none_or(|files| files.boot != id) {
        boots.files = look(id);
        if let Err(error) = save(target, &boots) {
            tracing::warn!("what this boot started could not be remembered: {}", error.in_full());
        }
    }
    Ok(Begun { next, saved })
}

/// The card goes back to the host in this boot, and stays there: nobody wanted to keep it.
pub fn give_back(machine: &Root, target: &Root, because: &str) -> Result<(), BootsError> {
    let id = boot_id(machine).ok_or(BootsError::NoBootId)?;
    let before = load(target)?;
    let mut boots = before.clone();
    boots.give_back(&id, because);
    if boots != before {
        save(target, &boots)?;
    }
    Ok(())
}

/// This boot was good: the count begins anew. What was given back stays so.
pub fn mark_good(target: &Root) -> Result<(), BootsError> {
    let before = load(target)?;
    let mut boots = before.clone();
    boots.good();
    if boots != before {
        save(target, &boots)?;
    }
    Ok(())
}

/// A person wants passthrough (again): nothing counts any more. Tells whether it takes another boot
/// until it is in force, because this one gave it back.
pub fn clear(machine: &Root, target: &Root) -> Result<bool, ApplyError> {
    let (before, now) = (load(target)?, boot_id(machine));
    let mut boots = before.clone();
    boots.clear(now.clone());
    if boots == Boots::default() {
        forget(target)?;
    } else if boots != before {
        save(target, &boots)?;
    }
    Ok(before.given_back.is_some() || (boots.wanted_in.is_some() && boots.wanted_in == now))
}

/// Nothing is set up any more: nothing is remembered either.
pub fn forget(target: &Root) -> Result<(), ApplyError> {
    if Notes::read(target, BOOTS)?.is_none() {
        return Ok(());
    }
    Notes::open(target)?.remove(BOOTS)
}

/// With the file's own safe way of writing: the old count or the new one, whenever the power goes.
fn save(target: &Root, boots: &Boots) -> Result<(), ApplyError> {
    Notes::open(target)?.write(BOOTS, boots.render().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_on_disk_before_the_boot_partitions_are_looked_at() {
        let tree = tempfile::tempdir().unwrap();
        let id = tree.path().join("proc/sys/kernel/random/boot_id");
        std::fs::create_dir_all(id.parent().unwrap()).unwrap();
        std::fs::write(id, "a\n").unwrap();
        let root = Root::directory(tree.path()).unwrap();
        let mut looked = false;
        let begun = begin_with(&root, &root, |boot| {
            looked = true;
            assert_eq!(load(&root).unwrap().unproven, std::slice::from_ref(&boot));
            Some(BootFiles { boot, stamps: std::collections::BTreeMap::new() })
        });
        assert_eq!((begun.unwrap().next, looked), (Next::Try(1), true));
        assert_eq!(load(&root).unwrap().files.unwrap().boot, "a");
        // Once is enough for a boot.
        begin_with(&root, &root, |_| panic!("this boot was looked at already")).unwrap();
    }
}
