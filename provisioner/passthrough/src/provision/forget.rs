//! A domain whose libvirt is gone is forgotten: nobody can take it back, and no revert has to ask for it
//! again.

use super::ProvisionError;
use super::define::outcome;
use super::domains::{Defined, Domains, back_up};
use super::guest::refused;
use super::undefine::named;
use crate::apply::{StepOutcome, StepResult};
use crate::libvirt::{KEPT, Libvirt, is_of_this_system};
use crate::root::{ReadError, Root};

/// What is forgotten.
#[derive(Debug)]
pub struct Forgetting {
    /// The domain's name.
    pub name: String,
    /// The libvirt that had it.
    pub connect: String,
    record: Domains,
}

/// Finds out what would be forgotten; `None` where nothing is known. A libvirt that answers can take its
/// domain back, and is not forgotten; nor is one whose file this system's libvirt still has: that may be
/// stopped for a while only, and would start the domain with the host, GPU and all.
pub fn prepare_forgetting(target: &Root, name: Option<&str>) -> Result<Option<Forgetting>, ProvisionError> {
    let record = Domains::load(target)?;
    let Some(name) = named(&record, name)? else { return Ok(None) };
    let Some(known) = record.defined.get(&name) else {
        let hint = "`neuron-provisioner doctor` looks at those that were".to_owned();
        return Err(refused(format!("vm.{name}"), "it was not defined by this program".to_owned(), hint));
    };
    let connect = known.connect.clone();
    if Libvirt::at(&connect).domains(false).is_ok() {
        return Err(refused(
            format!("vm.{name}"),
            format!("the libvirt at {connect}, which has it, answers"),
            "leave --forget out: it is taken back there".to_owned(),
        ));
    }
    if let Some(path) = kept_here(target, known)? {
        return Err(refused(
            format!("vm.{name}"),
            format!("{path} still has it: a libvirt that does not run now finds it there"),
            format!(
                "start libvirt, or install it and its client again, and leave --forget out; where no libvirt is to come \
                 back, move {path} away first"
            ),
        ));
    }
    Ok(Some(Forgetting { name, connect, record }))
}

/// The file in which the libvirt of this system keeps a domain of ours; somebody may have renamed it.
fn kept_here(target: &Root, known: &Defined) -> Result<Option<String>, ReadError> {
    if !is_of_this_system(&known.connect) {
        return Ok(None);
    }
    for name in target.list(KEPT)?.unwrap_or_default() {
        let path = format!("{KEPT}/{name}");
        let is_it = |text: String| text.contains(&known.uuid);
        if name.strip_suffix(".xml").is_some() && target.attribute(&path)?.is_some_and(is_it) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Forgets it. What bore its name before is kept in a file: nobody can bring it back any more.
pub fn forget(target: &Root, forgetting: Forgetting) -> Result<Vec<StepOutcome>, ProvisionError> {
    let Forgetting { name, connect, mut record } = forgetting;
    let mut steps = Vec::new();
    let known = record.defined.remove(&name);
    if let Some((uuid, former)) = known.and_then(|known| Some((known.uuid, known.former?))) {
        let path = back_up(target, &uuid, &former.xml)?;
        let why = format!("what bore the name before it is in {path}");
        steps.push(outcome("backup", StepResult::Done, Some(why)));
    }
    // They come up with a host whose libvirt is gone as little as the domain does.
    record.take_unneeded(&connect);
    record.save(target)?;
    steps.push(outcome("domain", StepResult::Done, Some("it is forgotten".to_owned())));
    Ok(steps)
}
