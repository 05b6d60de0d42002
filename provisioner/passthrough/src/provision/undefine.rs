//! A domain that we defined is taken back; its disks stay.

use super::ProvisionError;
use super::define::{DefineError, outcome, read};
use super::domains::{Domains, back_up};
use super::guest::refused;
use crate::apply::{StepOutcome, StepResult};
use crate::guest::existing::is_same;
use crate::libvirt::{FirmwareState, Libvirt, LibvirtError};
use crate::root::Root;
use crate::verify::in_full;

/// What is taken back of a domain.
#[derive(Debug)]
pub struct Undefinition {
    /// Its name.
    pub name: String,
    /// Its disks, which stay.
    pub disks: Vec<String>,
    /// What bore the name before it, and comes back.
    pub has_former: bool,
    now: Option<String>,
    uuid: String,
    is_edited: bool,
}

/// The names of all domains that we defined, with the libvirt of each.
pub fn defined(target: &Root) -> Result<Vec<(String, Libvirt)>, ProvisionError> {
    let record = Domains::load(target)?;
    Ok(record.defined.into_iter().map(|(name, known)| (name, Libvirt::at(&known.connect))).collect())
}

/// Finds out what taking a domain back would do; `None` where there is nothing to take back.
pub fn prepare_undefinition(
    target: &Root,
    name: Option<&str>,
    libvirt: &Libvirt,
) -> Result<Option<Undefinition>, ProvisionError> {
    let record = Domains::load(target)?;
    let Some(name) = named(&record, name)? else { return Ok(None) };
    record.of_same_libvirt(&name, libvirt)?;
    let now = record.ask(libvirt, &name)?;
    let Some(known) = record.defined.get(&name) else {
        if now.is_none() {
            return Ok(None);
        }
        let hint = format!("if it is to go, `virsh undefine {name}` takes it away");
        return Err(refused(format!("vm.{name}"), "it was not defined by this program".to_owned(), hint));
    };
    let existing = now.as_deref().map(|xml| read(&name, xml)).transpose()?;
    if existing.as_ref().is_some_and(|there| there.kept.uuid != known.uuid) {
        return Err(ProvisionError::OtherDomain { name, renamed: None });
    }
    // A run that was cut off may have brought the former one back already.
    if known.former.is_none() && existing.as_ref().is_some_and(|there| !there.is_ours) {
        return Err(ProvisionError::DomainNotAsWritten { name, is_foreign: true });
    }
    let renamed = if now.is_none() { libvirt.name_of(&known.uuid)? } else { None };
    let called = renamed.as_ref().unwrap_or(&name);
    if libvirt.domains(true)?.contains(called) {
        let hint = format!("shut it down first, in the guest or with `virsh shutdown {called}`");
        return Err(refused(format!("vm.{name}"), "it is running".to_owned(), hint));
    }
    if renamed.is_some() {
        return Err(ProvisionError::OtherDomain { name, renamed });
    }
    let is_back = |now: &str| known.former.as_ref().is_some_and(|former| is_same(&former.xml, now));
    let is_edited = now.as_deref().zip(existing.as_ref()).is_some_and(|(now, existing)| {
        if existing.is_ours { !known.is_as_written(now) } else { !is_back(now) }
    });
    Ok(Some(Undefinition {
        disks: existing.map(|existing| existing.disks).unwrap_or_default(),
        has_former: known.former.is_some(),
        is_edited,
        uuid: known.uuid.clone(),
        name,
        now,
    }))
}

/// The domain that is meant: without a name, the only one that we defined; `None` where there is none.
pub(super) fn named(record: &Domains, name: Option<&str>) -> Result<Option<String>, ProvisionError> {
    let names: Vec<&str> = record.defined.keys().map(String::as_str).collect();
    match (name, names.as_slice()) {
        (Some(name), _) | (None, &[name]) => Ok(Some(name.to_owned())),
        (None, []) => Ok(None),
        (None, names) => {
            let why = format!("{} virtual machines are defined", names.len());
            Err(refused("vm".to_owned(), why, format!("say which: {}", names.join(", "))))
        }
    }
}

/// Takes a domain back. Disks stay; what its firmware and TPM remember stays unless somebody asks.
///
/// Once the domain is gone the rest is tried to its end: what does not work is left to a person, and
/// the record says what is.
pub fn undefine(
    target: &Root,
    libvirt: &Libvirt,
    undefinition: &Undefinition,
    state: FirmwareState,
) -> Result<Vec<StepOutcome>, ProvisionError> {
    let Undefinition { name, now, uuid, is_edited, .. } = undefinition;
    let mut record = Domains::load(target)?;
    let mut steps = Vec::new();
    if let Some(xml) = now.as_ref().filter(|_| *is_edited) {
        let path = back_up(target, uuid, xml)?;
        let why = format!("it was changed since it was defined; what it was is in {path}");
        steps.push(outcome("backup", StepResult::Done, Some(why)));
    }
    let former = record.defined.get(name).and_then(|known| known.former.as_ref());
    let (result, why) = match (former, now) {
        (Some(former), _) => {
            libvirt.restore(name, &former.xml).map_err(|error| untouched(&error, &steps))?;
            (StepResult::Reverted, Some("it is what it was before".to_owned()))
        }
        (None, Some(_)) => {
            libvirt.undefine((name, uuid), state).map_err(|error| untouched(&error, &steps))?;
            (StepResult::Done, None)
        }
        (None, None) => (StepResult::Unchanged, Some("libvirt has it no more".to_owned())),
    };
    steps.push(outcome("domain", result, why));
    let mut left = Vec::new();
    if let Some(former) = former {
        let as_before = libvirt.set_automatic((name, uuid), former.is_automatic);
        left.extend(as_before.err().map(|error| in_full(&error)));
    }
    record.defined.remove(name);
    for network in record.take_unneeded(libvirt.uri()) {
        match no_longer_automatic(libvirt, &network.name) {
            Ok(false) => {}
            Ok(true) => steps.push(outcome("network-autostart", StepResult::Reverted, None)),
            Err(error) => {
                left.push(in_full(&error));
                record.networks.insert(network);
            }
        }
    }
    left.extend(record.save(target).err().map(|error| in_full(&error)));
    if left.is_empty() {
        return Ok(steps);
    }
    let why = format!("the domain `{name}` was taken back, and not everything about it");
    Err(DefineError { why, left, steps }.into())
}

/// Nothing was changed yet: the domain is as it was.
fn untouched(error: &LibvirtError, steps: &[StepOutcome]) -> DefineError {
    DefineError { why: in_full(error), left: Vec::new(), steps: steps.to_vec() }
}

/// Whether a network came up with the host, and does no more.
fn no_longer_automatic(libvirt: &Libvirt, name: &str) -> Result<bool, LibvirtError> {
    let is_automatic = libvirt.network(name)?.is_some_and(|network| network.is_automatic);
    if is_automatic {
        libvirt.set_network_automatic(name, false)?;
    }
    Ok(is_automatic)
}
