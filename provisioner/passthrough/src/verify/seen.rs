//! What the checks look at, read once.

use super::{Reboot, Recorded};
use crate::binding::VFIO_DEVICES;
use crate::facts::{Machine, PciFunction, Target};
use crate::id::PciAddress;
use crate::policy::KILL_SWITCH;
use crate::root::{ReadError, Root};
use crate::text::command_line;
use crate::text::vfio_devices::{self, Recorded as Function, Role};

/// Where the kernel shows what a driver holds.
pub(super) const VFIO_PCI: &str = "sys/bus/pci/drivers/vfio-pci";
/// Files of the running system that only doctor reads.
const OF_THE_BOOT: [&str; 3] = [super::CLAIM, super::NEUTRAL_IDS, "proc/sys/kernel/osrelease"];

/// What this boot can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Boot {
    /// It began before the last change: it cannot show anything.
    Before,
    /// It was told to leave everything with the host.
    Host,
    /// The functions went back to the host while it started: too many boots before were never good.
    GivenBack,
    /// It was to give the functions away.
    Passthrough,
}

/// The list of what is given away.
#[derive(Debug)]
pub(super) enum List {
    Missing,
    Unreadable(String),
    Broken(String),
    Functions {
        all: Vec<Function>,
        /// It says that the host keeps none.
        without_host: bool,
    },
}

/// Everything that was read.
pub(super) struct Seen<'a> {
    pub(super) machine_root: &'a Root,
    pub(super) target_root: &'a Root,
    pub(super) recorded: &'a Recorded,
    pub(super) machine: Result<Machine, String>,
    pub(super) target: Result<Target, String>,
    pub(super) list: List,
    pub(super) boot: Boot,
}

impl<'a> Seen<'a> {
    pub(super) fn read(machine_root: &'a Root, target_root: &'a Root, recorded: &'a Recorded) -> Self {
        let list = list(target_root);
        let listed: Vec<PciAddress> = match &list {
            List::Functions { all, .. } => all.iter().map(|one| one.address).collect(),
            List::Missing | List::Unreadable(_) | List::Broken(_) => Vec::new(),
        };
        let answers = recorded.answers.clone().unwrap_or_default();
        let machine = Machine::read_for_with(machine_root, Some(target_root), &answers, &listed)
            .map_err(|error| in_full(&error));
        let target = match &machine {
            Ok(machine) => Target::read(target_root, machine).map_err(|error| in_full(&error)),
            Err(error) => Err(error.clone()),
        };
        let mut seen =
            Self { machine_root, target_root, recorded, machine, target, list, boot: Boot::Passthrough };
        seen.boot = seen.which_boot();
        seen
    }

    fn which_boot(&self) -> Boot {
        let line = self.command_line().unwrap_or_default();
        let shows_it = || {
            let parameters = &self.recorded.parameters;
            self.machine_root.exists(super::CLAIM).unwrap_or(false)
                || (!parameters.is_empty() && parameters.iter().all(|token| command_line::has(line, token)))
        };
        match self.recorded.reboot {
            Reboot::Owed => Boot::Before,
            _ if kill_switch(line).is_some() => Boot::Host,
            Reboot::CannotTell if !shows_it() => Boot::Before,
            _ if self.recorded.given_back.is_some() => Boot::GivenBack,
            Reboot::CannotTell | Reboot::Done => Boot::Passthrough,
        }
    }

    /// The running kernel's command line.
    pub(super) fn command_line(&self) -> Option<&str> {
        self.machine.as_ref().ok()?.command_line.as_deref()
    }

    /// The functions of one role, as they were recorded.
    pub(super) fn listed(&self, role: Role) -> impl Iterator<Item = &Function> {
        let functions = match &self.list {
            List::Functions { all, .. } => all.as_slice(),
            List::Missing | List::Unreadable(_) | List::Broken(_) => &[],
        };
        functions.iter().filter(move |function| function.role == role)
    }

    pub(super) fn guests(&self) -> impl Iterator<Item = &Function> {
        self.listed(Role::Guest)
    }

    /// Whether a function is one of those that are given away.
    pub(super) fn is_guest(&self, address: PciAddress) -> bool {
        self.guests().any(|guest| guest.address == address)
    }

    /// What is at an address now.
    pub(super) fn present(&self, address: PciAddress) -> Option<&PciFunction> {
        self.machine.as_ref().ok()?.functions.get(&address)
    }

    /// What to do where something has to be applied (again): a boot that was told to leave everything
    /// with the host judges nothing.
    pub(super) fn apply(&self) -> &'static str {
        if self.command_line().and_then(kill_switch).is_some() {
            "choose the passthrough entry in the boot menu, and there run `neuron-provisioner apply` as root"
        } else {
            "run `neuron-provisioner apply` as root"
        }
    }

    /// Why nothing can be asked of this boot's binding; `None` where it can.
    pub(super) fn excuse(&self) -> Option<&'static str> {
        match self.boot {
            Boot::Passthrough => None,
            Boot::Before => Some("not asked: the reboot is still owed"),
            Boot::GivenBack => Some("not asked: everything was given back to the host, see `boots`"),
            Boot::Host => Some("not asked: this boot leaves everything with the host"),
        }
    }
}

/// The token that leaves everything with the host: for the hook, any value but `on` does.
pub(super) fn kill_switch(line: &str) -> Option<&str> {
    let key = KILL_SWITCH.split('=').next().unwrap_or(KILL_SWITCH);
    command_line::tokens(line).find(|token| {
        token.strip_prefix(key).and_then(|rest| rest.strip_prefix('=')).is_some_and(|value| value != "on")
    })
}

fn list(target: &Root) -> List {
    let text = match target.read(VFIO_DEVICES) {
        Ok(None) => return List::Missing,
        Ok(Some(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return List::Unreadable(read_error(&error)),
    };
    match vfio_devices::parse(&text) {
        Ok(all) => List::Functions { all, without_host: vfio_devices::is_without_host(&text) },
        Err(problem) => List::Broken(format!("{VFIO_DEVICES}, {problem}")),
    }
}

/// An error with its causes, for one line.
pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

pub(super) fn read_error(error: &ReadError) -> String {
    in_full(error)
}

/// Reads what the checks read of the machine beside the facts; what cannot be read is recorded too.
pub(super) fn read_for_capture(machine: &Root) {
    let noted = |read: Result<(), ReadError>| {
        if let Err(error) = read {
            tracing::debug!("{}", in_full(&error));
        }
    };
    for path in OF_THE_BOOT {
        noted(machine.attribute(path).map(drop));
    }
    for path in ["sys/bus/pci/drivers", VFIO_PCI] {
        noted(machine.list(path).map(drop));
    }
    let gpus = Machine::read(machine).map(|read| read.gpus().map(|gpu| gpu.address).collect::<Vec<_>>());
    for address in gpus.unwrap_or_default() {
        noted(machine.attribute(&format!("sys/bus/pci/devices/{address}/power_state")).map(drop));
    }
}
