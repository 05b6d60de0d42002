//! What is: the machine (from a machine root) and the target (from a target root).
//!
//! Facts are read once and judged elsewhere. What the machine does not tell is `None`, never a
//! guess; a file with nonsense in it is an error that names file and value.

mod connectors;
mod cpu;
mod functions;
mod host_use;
mod iommu;
mod kvm;
mod libvirt;
mod names;
mod network;
mod pci;
mod people;
mod platform;
mod release;
pub mod running;
mod scrub;
mod sessions;
pub mod shared_memory;
pub mod target;
mod topology;

use std::collections::{BTreeMap, BTreeSet};

pub use connectors::{Connector, DisplayCard};
pub use cpu::{Cpu, CpuVendor};
pub use host_use::{Disk, HostUse};
pub use iommu::{AcpiTables, Group, Iommu};
pub use kvm::{KVM, Kvm};
pub use libvirt::{LibvirtDaemon, knows_usb_ports, libvirt_daemon};
pub use names::names;
pub use network::{Port, default_interface, is_bridge};
pub use pci::{Class, PciFunction};
pub use people::people;
pub use platform::{Chassis, Firmware, Mux};
pub use release::{Client, release};
pub use running::Running;
pub use scrub::scrub;
pub use sessions::{Process, processes_of};
pub use shared_memory::SharedMemory;
pub use target::Target;
pub use topology::{Core, Topology, node_memory_mib, numa_node};

use crate::answers::Answers;
use crate::id::{FunctionName, GroupId, PciAddress, PciId};
use crate::root::{ReadError, Root};

/// Why the machine could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// A file that is needed could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file holds something that the kernel would not write there.
    #[error("/{path} holds `{value}`, expected {wanted}")]
    Nonsense {
        /// The file, without its leading `/`.
        path: String,
        /// What it holds.
        value: String,
        /// What would be right.
        wanted: &'static str,
    },
    /// There is no PCI bus to look at.
    #[error("/sys/bus/pci/devices is not there: this is no running machine, or it has no PCI bus")]
    NoPci,
}

/// Everything that policy needs to know of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The processor.
    pub cpu: Cpu,
    /// What kind of box it is.
    pub chassis: Chassis,
    /// What booted it.
    pub firmware: Firmware,
    /// Whether Secure Boot is on; `None` when the firmware does not tell.
    pub secure_boot: Option<bool>,
    /// The IOMMU's traces.
    pub iommu: Iommu,
    /// The running kernel's command line.
    pub command_line: Option<String>,
    /// Every PCI function, by address. Only those near a GPU are known in full.
    pub functions: BTreeMap<PciAddress, PciFunction>,
    /// The IOMMU groups that a GPU, its slot or a neighbour is in.
    pub groups: BTreeMap<GroupId, Group>,
    /// Cards of the kernel's display subsystem, with their connectors.
    pub displays: Vec<DisplayCard>,
    /// Which GPU a laptop's multiplexer gives the panel to.
    pub mux: Option<Mux>,
    /// What the host does with what; only for answers, where more than pictures and sound may be given
    /// away, and where the machine shows it.
    pub host_use: Option<HostUse>,
    /// What could not be read though it may matter; for the explanation.
    pub unreadable: Vec<String>,
}

impl Machine {
    /// Reads a machine from its root, in one pass.
    pub fn read(root: &Root) -> Result<Self, FactsError> {
        Ok(Self::read_all(root, &[], &[])?.0)
    }

    /// The same for answers: the devices that they name, and, where more than pictures and sound may go,
    /// what the host uses, and the target once it runs.
    pub fn read_for(root: &Root, target: Option<&Root>, answers: &Answers) -> Result<Self, FactsError> {
        Self::read_for_with(root, target, answers, &[])
    }

    /// The same, with these functions and what is near them in full, whatever they are by now.
    pub fn read_for_with(
        root: &Root,
        target: Option<&Root>,
        answers: &Answers,
        also: &[PciAddress],
    ) -> Result<Self, FactsError> {
        let named: Vec<FunctionName> = answers.devices().map(|device| device.name).collect();
        Self::read_named(root, target, also, &named)
    }

    /// The same with everything in full that somebody could name for a virtual machine: for whoever asks
    /// which it is to be. A capture does not hold that.
    pub fn read_to_choose(root: &Root, target: Option<&Root>) -> Result<Self, FactsError> {
        let all = Self::read(root)?.functions;
        let others = all.values().filter(|function| !function.class.is_bridge());
        let names: Vec<FunctionName> =
            others.map(|function| FunctionName::Address(function.address)).collect();
        Self::read_named(root, target, &[], &names)
    }

    fn read_named(
        root: &Root,
        target: Option<&Root>,
        also: &[PciAddress],
        named: &[FunctionName],
    ) -> Result<Self, FactsError> {
        let (mut machine, near) = Self::read_all(root, also, named)?;
        let may_matter = |address: &PciAddress| {
            let function = machine.functions.get(address);
            function.is_some_and(|function| !function.class.is_bridge() && !function.class.is_of_a_picture())
        };
        if !named.is_empty() || near.iter().any(may_matter) {
            match HostUse::read(root, target, &near) {
                Ok(found) => machine.host_use = found,
                Err(error) => machine.unreadable.push(error.path),
            }
        }
        Ok(machine)
    }

    /// And the functions that are known in full: nothing else can be given away.
    fn read_all(
        root: &Root,
        also: &[PciAddress],
        names: &[FunctionName],
    ) -> Result<(Self, BTreeSet<PciAddress>), FactsError> {
        let cpu = cpu::read(root)?;
        let read = functions::read(root, also, names)?;
        let mut unreadable = read.unreadable;
        let iommu = iommu::read(root, &read.groups, &mut unreadable);
        let machine = Self {
            chassis: platform::chassis(root, cpu)?,
            firmware: platform::firmware(root)?,
            secure_boot: platform::secure_boot(root),
            iommu,
            command_line: root.attribute("proc/cmdline")?,
            displays: connectors::read(root)?,
            mux: platform::mux(root)?,
            functions: read.all,
            groups: read.groups,
            cpu,
            host_use: None,
            unreadable,
        };
        Ok((machine, read.full))
    }

    /// The functions that are GPUs: display controllers that are no virtual function of another.
    pub fn gpus(&self) -> impl Iterator<Item = &PciFunction> {
        self.functions
            .values()
            .filter(|function| function.class.is_display() && !function.is_virtual_function)
    }

    /// The functions in the slot of this one, itself included.
    pub fn slot(&self, address: PciAddress) -> impl Iterator<Item = &PciFunction> {
        self.functions.values().filter(move |other| other.address.same_slot(address))
    }

    /// Functions that bear this id.
    pub fn with_id(&self, id: PciId) -> impl Iterator<Item = &PciFunction> {
        self.functions.values().filter(move |function| function.id == Some(id))
    }

    /// The connectors that a GPU drives.
    pub fn connectors(&self, gpu: PciAddress) -> impl Iterator<Item = &Connector> {
        self.displays.iter().filter(move |card| card.function == Some(gpu)).flat_map(|card| &card.connectors)
    }

    /// A parameter's last value on the running kernel's command line.
    pub fn parameter(&self, key: &str) -> Option<&str> {
        let line = self.command_line.as_deref()?;
        line.split_whitespace().filter_map(|token| token.strip_prefix(key)?.strip_prefix('=')).next_back()
    }
}

/// The identifier of this boot; `None` when the machine does not tell.
///
/// Not part of [`Machine`]: it identifies a machine, so a capture must not hold it.
pub fn boot_id(root: &Root) -> Option<String> {
    root.attribute("proc/sys/kernel/random/boot_id").ok().flatten()
}

/// The version that the firmware gives itself; `None` when it does not tell.
///
/// Not part of [`Machine`] either: nothing is decided by it.
pub fn firmware_version(root: &Root) -> Option<String> {
    root.attribute("sys/class/dmi/id/bios_version").ok().flatten().filter(|version| !version.is_empty())
}
