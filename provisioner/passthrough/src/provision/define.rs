//! A domain is handed to libvirt, with all that it needs to start; or nothing is.
//!
//! Not a step of a plan: libvirt answers only on the system that runs, and a domain fits the machine
//! only once passthrough is in force. See ADR 13.

use std::path::Path;

use super::domains::{Defined, Domains, Former, back_up};
use super::guest::{only, refused, render};
use super::{ProvisionError, Source, answers};
use crate::answers::{NetworkKind, Vm, VmKind};
use crate::apply::{StepOutcome, StepResult};
use crate::guest::capabilities::{Capabilities, InvalidCapabilities};
use crate::guest::domain::{Domain, Problem, disk_format};
use crate::guest::existing::Existing;
use crate::libvirt::{FirmwareState, Image, ImageError, Libvirt, LibvirtError, has_program, is_file};
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
    name: Option<&str>,
    libvirt: &Libvirt,
    may_replace: bool,
) -> Result<Definition, ProvisionError> {
    let answers = answers(target, source)?;
    let name = name.map_or_else(|| only(&answers), |name| Ok(name.to_owned()))?;
    let capabilities = capabilities(libvirt)?;
    let record = Domains::load(target)?;
    let there = libvirt.domain(&name)?;
    let existing = there.as_deref().map(|xml| read(&name, xml)).transpose()?;
    let kept = existing.as_ref().map(|existing| &existing.kept);
    let domain = render(machine, target, &answers, &name, &capabilities, kept)?;
    let known = record.defined.get(&name).filter(|known| known.uuid == domain.uuid);
    let is_foreign = existing.as_ref().is_some_and(|existing| !existing.is_ours);
    // A copy of ours that somebody made bears our mark too, but nobody remembers it.
    let is_as_written = |now: &String| known.is_some_and(|known| known.understood == *now);
    let is_edited = !is_foreign && there.as_ref().is_some_and(|now| !is_as_written(now));
    if (is_foreign || is_edited) && !may_replace {
        return Err(ProvisionError::DomainNotAsWritten { name, is_foreign });
    }
    // A table that render found is there.
    let Some(vm) = answers.vm.get(&name) else { return Err(gone(&name)) };
    let running = libvirt.domains(true)?;
    let mut acts = Vec::new();
    let problems = check_files(&name, vm, running.contains(&name), &mut acts)?;
    network(&name, vm, libvirt, &mut acts)?;
    if !problems.is_empty() {
        return Err(ProvisionError::Domain(crate::guest::domain::DomainError::Refused(problems)));
    }
    let is_same = known.is_some_and(|known| known.rendered == domain.xml) && there.is_some() && !is_edited;
    if !is_same {
        acts.push(Act::Define { former: there.clone() });
    }
    let is_automatic = there.is_some() && libvirt.is_automatic(&name)?;
    if is_automatic != vm.autostart {
        acts.push(Act::SetAutomatic(vm.autostart));
    }
    let former = match known {
        Some(known) => known.former.clone(),
        None => there.clone().filter(|_| is_foreign).map(|xml| Former { xml, is_automatic }),
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
    if definition.acts.is_empty() {
        steps.push(outcome("domain", StepResult::Unchanged, None));
        return Ok(steps);
    }
    let mut done = Vec::new();
    let mut failed = None;
    for act in &definition.acts {
        match carry_out(act, &definition.domain, libvirt) {
            Ok(()) => done.push(act),
            Err(error) => {
                failed = Some(in_full(&error));
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
    for act in done.into_iter().rev() {
        let put_back = take_back(act, name, libvirt);
        let result = if put_back.is_ok() { StepResult::Reverted } else { StepResult::Failed };
        steps.push(outcome(act.id(), result, None));
        left.extend(put_back.err().map(|error| format!("{}: {}", act.sentence(name), in_full(&error))));
    }
    Err(DefineError { why, left, steps }.into())
}

pub(super) fn outcome(id: &str, outcome: StepResult, why: Option<String>) -> StepOutcome {
    StepOutcome { id: id.to_owned(), outcome, who: None, why }
}

fn carry_out(act: &Act, domain: &Domain, libvirt: &Libvirt) -> Result<(), ImageError> {
    match act {
        Act::LetNetworkComeUp => libvirt.set_network_automatic(DEFAULT_NETWORK, true)?,
        Act::StartNetwork => libvirt.start_network(DEFAULT_NETWORK)?,
        Act::MakeDisk { path, format, gib } => Image::make(Path::new(path), format, *gib)?,
        Act::Define { .. } => libvirt.define(&domain.name, &domain.xml)?,
        Act::SetAutomatic(is_automatic) => libvirt.set_automatic(&domain.name, *is_automatic)?,
    }
    Ok(())
}

fn take_back(act: &Act, name: &str, libvirt: &Libvirt) -> Result<(), ImageError> {
    match act {
        Act::LetNetworkComeUp => libvirt.set_network_automatic(DEFAULT_NETWORK, false)?,
        Act::StartNetwork => libvirt.stop_network(DEFAULT_NETWORK)?,
        Act::MakeDisk { path, .. } => Image::take_back(Path::new(path))?,
        Act::Define { former: Some(xml) } => libvirt.restore(name, xml)?,
        Act::Define { former: None } => libvirt.undefine(name, FirmwareState::Keep)?,
        Act::SetAutomatic(is_automatic) => libvirt.set_automatic(name, !is_automatic)?,
    }
    Ok(())
}

fn remember(target: &Root, libvirt: &Libvirt, definition: &Definition) -> Result<(), ProvisionError> {
    let Definition { domain, acts, record, capabilities, former, .. } = definition;
    let Some(understood) = libvirt.domain(&domain.name)? else { return Err(gone(&domain.name)) };
    let mut record = record.clone();
    if acts.contains(&Act::LetNetworkComeUp) {
        record.networks.push(DEFAULT_NETWORK.to_owned());
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
    record.save(target)
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

/// What libvirt can do.
pub fn capabilities(libvirt: &Libvirt) -> Result<Capabilities, ProvisionError> {
    let text = libvirt.capabilities()?;
    Capabilities::parse(&text).map_err(|problem: InvalidCapabilities| {
        let attempt = "understand what libvirt can do".to_owned();
        ProvisionError::Libvirt(LibvirtError::Said { attempt, said: problem.to_string() })
    })
}

/// What a machine needs of files: its media are there, its disk is there or can be made.
fn check_files(
    name: &str,
    vm: &Vm,
    is_running: bool,
    acts: &mut Vec<Act>,
) -> Result<Vec<Problem>, ProvisionError> {
    let mut found = Vec::new();
    let mut problem = |key: &str, why: String, hint: &str| {
        found.push(Problem { key: format!("vm.{name}.{key}"), why, hint: hint.to_owned() });
    };
    let media =
        [("install_iso", &vm.install_iso), ("virtio_iso", &vm.virtio_iso), ("rom_file", &vm.rom_file)];
    for (key, path) in media.into_iter().filter(|(_, path)| !path.is_empty() && !is_file(path)) {
        problem(key, format!("there is no file {path}"), "put it there, or take the key out");
    }
    let Some(disk) = &vm.disk else { return Ok(found) };
    let (path, wanted) = (&disk.path, disk_format(&disk.path));
    let mut wrong = |why: String, hint: &str| problem("disk", why, hint);
    match Image::look(Path::new(path)).map_err(ProvisionError::Image)? {
        Image::Absent { free } if free >> 30 < u64::from(disk.size_gib) => wrong(
            format!("{path}: {} GiB are wanted, and {} GiB are free there", disk.size_gib, free >> 30),
            "set size_gib to less, or name a path on a larger file system",
        ),
        Image::Absent { .. } if !has_program("qemu-img") => {
            wrong(format!("{path} is not there, and nothing here can make it"), "install qemu-img");
        }
        Image::Absent { .. } => {
            acts.push(Act::MakeDisk { path: path.clone(), format: wanted, gib: disk.size_gib });
        }
        Image::NoFolder => {
            wrong(format!("{path}: its folder is not there"), "make the folder, or name another path");
        }
        Image::NoFile => wrong(format!("{path} is no file"), "name the path of an image file"),
        Image::There { format } if format != wanted => wrong(
            format!("{path} is a {format} image, and by its name it would be a {wanted} one"),
            "rename it: images that end in .raw or .img are raw, all others qcow2",
        ),
        Image::InUse if !is_running => wrong(
            format!("{path} is in use by another program"),
            "shut the machine down that uses it, or name another path",
        ),
        Image::There { .. } | Image::InUse => {}
    }
    Ok(found)
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
