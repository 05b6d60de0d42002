//! A domain is handed to libvirt, with all that it needs to start; or nothing is.
//!
//! Not a step of a plan: libvirt answers only on the system that runs, and a domain fits the machine
//! only once passthrough is in force. See ADR 13.

mod files;

use std::path::Path;

use super::domains::{Defined, Domains, Former, Network, back_up};
use super::guest::{refused, render};
use super::{ProvisionError, Source, answers};
use crate::answers::{NetworkKind, Vm, VmKind};
use crate::apply::{Options, StepOutcome, StepResult, Store};
use crate::facts::Kvm;
use crate::guest::capabilities::{Capabilities, InvalidCapabilities};
use crate::guest::domain::Domain;
use crate::guest::existing::Existing;
use crate::guest::qemu::{Access, Account};
use crate::libvirt::{
    FirmwareState, Image, ImageError, Libvirt, LibvirtError, has_program, is_of_this_system,
};
use crate::root::Root;
use crate::verify::in_full;

/// The network behind `kind = "nat"`.
const DEFAULT_NETWORK: &str = "default";

/// Why a domain was begun to be defined, or to be taken back, and that was not finished.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct DefineError {
    /// What did not work.
    pub why: String,
    /// What could not be put back, each with what there is to do.
    pub left: Vec<String>,
    /// Every step and how it ended.
    pub steps: Vec<StepOutcome>,
}

/// One thing that defining a domain does.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Act {
    LetNetworkComeUp,
    StartNetwork,
    MakeDisk { path: String, format: &'static str, gib: u32 },
    Define { former: Option<String> },
    SetAutomatic(bool),
}

/// What would be done, before anything is.
#[derive(Debug)]
pub struct Definition {
    /// The domain.
    pub domain: Domain,
    /// What is worth knowing about what there is.
    pub notes: Vec<String>,
    /// Whether there is a guide for what is to be done inside.
    pub is_windows: bool,
    acts: Vec<Act>,
    record: Domains,
    capabilities: Capabilities,
    former: Option<Former>,
    /// What is kept aside, since somebody else made or changed it.
    backup: Option<String>,
}

impl Definition {
    /// What is done, in sentences; nothing where all of it is so already.
    pub fn sentences(&self) -> Vec<String> {
        self.acts.iter().map(|act| act.sentence(&self.domain.name)).collect()
    }

    /// What is remembered of a domain with the same name and another UUID would be forgotten: what was
    /// there before that one.
    fn lost_former(&self) -> Option<(&str, &str)> {
        let known = self.record.defined.get(&self.domain.name)?;
        let former = known.former.as_ref().filter(|_| known.uuid != self.domain.uuid)?;
        Some((&known.uuid, &former.xml))
    }

    /// What is remembered from now on.
    fn record(&self, libvirt: &Libvirt, understood: Option<String>) -> Domains {
        let Self { domain, acts, record, capabilities, former, .. } = self;
        let mut record = record.clone();
        if acts.contains(&Act::LetNetworkComeUp) {
            let connect = libvirt.uri().to_owned();
            record.networks.insert(Network { connect, name: DEFAULT_NETWORK.to_owned() });
        }
        let defined = Defined {
            connect: libvirt.uri().to_owned(),
            uuid: domain.uuid.clone(),
            rendered: domain.xml.clone(),
            understood,
            capabilities: capabilities.clone(),
            former: former.clone(),
        };
        record.defined.insert(domain.name.clone(), defined);
        record
    }
}

impl Act {
    fn id(&self) -> &'static str {
        match self {
            Self::LetNetworkComeUp => "network-autostart",
            Self::StartNetwork => "network",
            Self::MakeDisk { .. } => "disk",
            Self::Define { .. } => "domain",
            Self::SetAutomatic(_) => "autostart",
        }
    }

    fn sentence(&self, name: &str) -> String {
        match self {
            Self::LetNetworkComeUp => format!("the network `{DEFAULT_NETWORK}` comes up with the host"),
            Self::StartNetwork => format!("the network `{DEFAULT_NETWORK}` is started"),
            Self::MakeDisk { path, format, gib } => {
                format!("the disk {path} is made: {gib} GiB, {format}; it grows as it is filled")
            }
            Self::Define { former: None } => format!("the domain `{name}` is defined"),
            Self::Define { former: Some(_) } => {
                format!("the domain `{name}` is defined anew; its UUID and its network address stay")
            }
            Self::SetAutomatic(true) => format!("`{name}` starts with the host"),
            Self::SetAutomatic(false) => format!("`{name}` no longer starts with the host"),
        }
    }
}

/// Finds out what defining a virtual machine of the answers would do; changes nothing.
///
/// A domain of that name that is not ours, or that somebody changed since, is taken over only where
/// `may_replace` says so.
pub fn prepare_definition(
    machine: &Root,
    target: &Root,
    source: &Source,
    name: &str,
    libvirt: &Libvirt,
    may_replace: bool,
) -> Result<Definition, ProvisionError> {
    let answers = answers(target, source)?;
    let name = name.to_owned();
    let record = Domains::load(target)?;
    record.of_same_libvirt(&name, libvirt)?;
    let there = record.ask(libvirt, &name)?;
    let capabilities = capabilities(machine, target, libvirt)?;
    let existing = there.as_deref().map(|xml| read(&name, xml)).transpose()?;
    let kept = existing.as_ref().map(|existing| &existing.kept);
    let domain = render(machine, target, &answers, &name, &capabilities, kept)?;
    let known = record.defined.get(&name).filter(|known| known.uuid == domain.uuid);
    let is_foreign = existing.as_ref().is_some_and(|existing| !existing.is_ours);
    // A copy of ours that somebody made bears our mark too, but nobody remembers it.
    let is_as_written = |now: &String| known.is_some_and(|known| known.is_as_written(now));
    let is_edited = !is_foreign && there.as_ref().is_some_and(|now| !is_as_written(now));
    if (is_foreign || is_edited) && !may_replace {
        return Err(ProvisionError::DomainNotAsWritten { name, is_foreign });
    }
    // A table that render found is there.
    let Some(vm) = answers.vm.get(&name) else { return Err(gone(&name)) };
    let running = libvirt.domains(true)?;
    let mut acts = Vec::new();
    let remembered = match known {
        Some(known) => read(&name, &known.rendered)?.disks,
        None => Vec::new(),
    };
    let mut problems = files::check(&name, vm, running.contains(&name), &remembered, &mut acts)?;
    if let Some(disk) = vm.disk.as_ref().filter(|disk| !may_replace && !remembered.contains(&disk.path)) {
        problems.extend(files::of_another(&name, &disk.path, &answers, libvirt)?);
    }
    network(&name, vm, libvirt, &mut acts)?;
    if !problems.is_empty() {
        return Err(ProvisionError::Domain(crate::guest::domain::DomainError::Refused(problems)));
    }
    let is_same = known.is_some_and(|known| known.rendered == domain.xml && known.understood.is_some())
        && there.is_some()
        && !is_edited
        && !is_foreign;
    if !is_same {
        acts.push(Act::Define { former: there.clone() });
    }
    let is_automatic = there.is_some() && libvirt.is_automatic(&name)?;
    if is_automatic != vm.autostart {
        acts.push(Act::SetAutomatic(vm.autostart));
    }
    // Where a run was cut off before libvirt had it, the former one is still there, as it is now.
    let former = match known {
        Some(known) if known.understood.is_some() || !is_foreign => known.former.clone(),
        _ => there.clone().filter(|_| is_foreign).map(|xml| Former { xml, is_automatic }),
    };
    let notes = if running.contains(&name) && !is_same {
        vec![format!("`{name}` is running: what changes takes effect when it starts the next time")]
    } else {
        Vec::new()
    };
    let backup = there.filter(|_| is_foreign || is_edited);
    let is_windows = vm.kind != VmKind::Linux;
    Ok(Definition { domain, notes, is_windows, acts, record, capabilities, former, backup })
}

/// Does it, or puts everything back. Tells every step, and where a former domain was kept.
pub fn define(
    target: &Root,
    libvirt: &Libvirt,
    definition: &Definition,
) -> Result<Vec<StepOutcome>, ProvisionError> {
    let mut steps = Vec::new();
    if let Some(former) = &definition.backup {
        let path = back_up(target, &definition.domain.uuid, former)?;
        steps.push(outcome("backup", StepResult::Done, Some(format!("what it was is in {path}"))));
    }
    if let Some((uuid, xml)) = definition.lost_former() {
        let path = back_up(target, uuid, xml)?;
        steps.push(outcome("backup", StepResult::Done, Some(format!("what it was before is in {path}"))));
    }
    if definition.acts.is_empty() {
        steps.push(outcome("domain", StepResult::Unchanged, None));
        return Ok(steps);
    }
    let mut done = Vec::new();
    let mut failed = None;
    let mut is_noted = false;
    for act in &definition.acts {
        // What bore the name before must be known to whoever comes after a run that is cut off.
        let noted = match act {
            Act::Define { .. } => {
                is_noted = true;
                definition.record(libvirt, None).save(target)
            }
            _ => Ok(()),
        };
        let carried_out = noted.map_err(|error| in_full(&error)).and_then(|()| {
            carry_out(act, target, &definition.domain, libvirt).map_err(|error| in_full(&error))
        });
        match carried_out {
            Ok(()) => done.push(act),
            Err(why) => {
                failed = Some(why);
                break;
            }
        }
    }
    let name = &definition.domain.name;
    let why = match failed {
        None => match remember(target, libvirt, definition) {
            Ok(()) => {
                steps.extend(
                    done.iter().map(|act| outcome(act.id(), StepResult::Done, Some(act.sentence(name)))),
                );
                return Ok(steps);
            }
            Err(error) => in_full(&error),
        },
        Some(why) => why,
    };
    let mut left = Vec::new();
    let mut is_as_before = true;
    for act in done.into_iter().rev() {
        let put_back = take_back(act, &definition.domain, libvirt);
        let result = if put_back.is_ok() { StepResult::Reverted } else { StepResult::Failed };
        is_as_before &= put_back.is_ok() || !matches!(act, Act::Define { .. });
        steps.push(outcome(act.id(), result, None));
        left.extend(put_back.err().map(|error| format!("{}: {}", act.sentence(name), in_full(&error))));
    }
    if is_noted && is_as_before {
        left.extend(definition.record.save(target).err().map(|error| in_full(&error)));
    }
    Err(DefineError { why, left, steps }.into())
}

pub(super) fn outcome(id: &str, outcome: StepResult, why: Option<String>) -> StepOutcome {
    StepOutcome { id: id.to_owned(), outcome, who: None, why }
}

fn carry_out(act: &Act, target: &Root, domain: &Domain, libvirt: &Libvirt) -> Result<(), ProvisionError> {
    match act {
        Act::LetNetworkComeUp => libvirt.set_network_automatic(DEFAULT_NETWORK, true)?,
        Act::StartNetwork => libvirt.start_network(DEFAULT_NETWORK)?,
        Act::MakeDisk { path, format, gib } => {
            // What is half made is nobody's: whoever makes disks holds this. A lock on the disk itself would
            // be in qemu-img's way where the file system is a network's.
            let _lock = Store::locked(target, Options::default())?;
            Image::make(Path::new(path), format, *gib).map_err(ProvisionError::Image)?;
        }
        Act::Define { .. } => libvirt.define(&domain.name, &domain.xml)?,
        Act::SetAutomatic(is_automatic) => {
            libvirt.set_automatic((&domain.name, &domain.uuid), *is_automatic)?;
        }
    }
    Ok(())
}

fn take_back(act: &Act, domain: &Domain, libvirt: &Libvirt) -> Result<(), ImageError> {
    let which = (domain.name.as_str(), domain.uuid.as_str());
    match act {
        Act::LetNetworkComeUp => libvirt.set_network_automatic(DEFAULT_NETWORK, false)?,
        Act::StartNetwork => libvirt.stop_network(DEFAULT_NETWORK)?,
        Act::MakeDisk { path, .. } => Image::take_back(Path::new(path))?,
        Act::Define { former: Some(xml) } => libvirt.restore(&domain.name, xml)?,
        Act::Define { former: None } => libvirt.undefine(which, FirmwareState::Keep)?,
        Act::SetAutomatic(is_automatic) => libvirt.set_automatic(which, !is_automatic)?,
    }
    Ok(())
}

fn remember(target: &Root, libvirt: &Libvirt, definition: &Definition) -> Result<(), ProvisionError> {
    let name = &definition.domain.name;
    let Some(understood) = libvirt.domain(name)? else { return Err(gone(name)) };
    definition.record(libvirt, Some(understood)).save(target)
}

fn gone(name: &str) -> ProvisionError {
    let said = "it vanished while it was worked on".to_owned();
    ProvisionError::Libvirt(LibvirtError::Said { attempt: format!("read domain {name}"), said })
}

pub(super) fn read(name: &str, xml: &str) -> Result<Existing, ProvisionError> {
    Existing::parse(xml).map_err(|said| {
        ProvisionError::Libvirt(LibvirtError::Said { attempt: format!("read domain {name}"), said })
    })
}

/// What libvirt can do. It is not asked where it would try for minutes: it starts a QEMU to find out.
pub fn capabilities(
    machine: &Root,
    target: &Root,
    libvirt: &Libvirt,
) -> Result<Capabilities, ProvisionError> {
    if let Some((why, hint)) = kept_out(machine, target, libvirt)? {
        return Err(refused("vm".to_owned(), why, hint));
    }
    let text = libvirt.capabilities()?;
    Capabilities::parse(&text).map_err(|problem: InvalidCapabilities| {
        let attempt = "understand what libvirt can do".to_owned();
        ProvisionError::Libvirt(LibvirtError::Said { attempt, said: problem.to_string() })
    })
}

/// Why QEMU cannot use the virtualization of the system whose libvirt is asked, and what to do about it.
fn kept_out(
    machine: &Root,
    target: &Root,
    libvirt: &Libvirt,
) -> Result<Option<(String, String)>, ProvisionError> {
    if !is_of_this_system(libvirt.uri()) {
        return Ok(None);
    }
    match Kvm::read(machine, target) {
        // Where the user stands in a file of root's, it is libvirt itself that tells.
        Err(error) if error.source.kind() == std::io::ErrorKind::PermissionDenied => Ok(None),
        read => Ok(read?.and_then(|kvm| match Account::of(&kvm).ok()?.access(&kvm) {
            Access::Closed { why, hint } => Some((why, hint)),
            // Where only a list that nobody read could let it in, it is libvirt that tells.
            Access::Unknown { .. } | Access::Open => None,
        })),
    }
}

/// The network of `kind = "nat"` has to be up, also after the next boot.
fn network(name: &str, vm: &Vm, libvirt: &Libvirt, acts: &mut Vec<Act>) -> Result<(), ProvisionError> {
    if vm.network.kind != NetworkKind::Nat {
        return Ok(());
    }
    let key = format!("vm.{name}.network");
    let Some(network) = libvirt.network(DEFAULT_NETWORK)? else {
        return Err(refused(
            key,
            format!("libvirt has no network `{DEFAULT_NETWORK}`"),
            "virsh net-define /usr/share/libvirt/networks/default.xml; or use kind = \"user\"".to_owned(),
        ));
    };
    if !network.is_active && !has_program("dnsmasq") {
        return Err(refused(
            key,
            format!("the network `{DEFAULT_NETWORK}` cannot be started: dnsmasq is missing"),
            "install dnsmasq; or use kind = \"user\", which needs none".to_owned(),
        ));
    }
    if !network.is_automatic {
        acts.push(Act::LetNetworkComeUp);
    }
    if !network.is_active {
        acts.push(Act::StartNetwork);
    }
    Ok(())
}
