//! Machines: what their PCI functions, IOMMU groups and firmware said, one JSON file each.
//!
//! `tests/machines/README.md` describes the file. [`lay_out`] turns one into a directory that
//! looks like the machine's "/".

pub mod in_use;
mod layout;
mod synthetic;

use std::collections::BTreeMap;
use std::io;

use serde::Deserialize;

pub use layout::lay_out;
pub use synthetic::synthetic;

/// A machine, real or made. `None` and empty mean "not known" and leave no trace in the layout.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The name of its folder.
    pub id: String,
    /// Whether it was made for a rule instead of being captured.
    #[serde(default)]
    pub made: bool,
    /// Where the facts come from; for a made one, what it was made for.
    pub source: String,
    /// What it is, in a line.
    pub summary: String,
    /// `intel`, `amd` or `unknown`.
    pub cpu_vendor: String,
    /// `desktop`, `laptop`, `server`, `vm` or `unknown`.
    pub chassis: String,
    /// Whether IOMMU groups were seen; unknown where nothing would have shown them.
    pub iommu: Option<bool>,
    /// What is special about it.
    pub tags: Vec<String>,
    /// What should come out.
    pub expected: Expected,
    /// Its PCI functions.
    pub functions: Vec<Function>,
    /// Whether the CPU reports vmx or svm; both vendors do unless this says no.
    #[serde(default = "yes")]
    pub virtualization: bool,
    /// The kernel command line, without its line end.
    #[serde(default)]
    pub cmdline: Option<String>,
    /// `/proc/sys/kernel/osrelease`.
    #[serde(default)]
    pub kernel: Option<String>,
    /// `/proc/sys/kernel/random/boot_id`.
    #[serde(default)]
    pub boot_id: Option<String>,
    /// Names in `/sys/firmware/acpi/tables`.
    #[serde(default)]
    pub acpi_tables: Option<Vec<String>>,
    /// Whether it booted by UEFI.
    #[serde(default)]
    pub efi: Option<bool>,
    /// The `SecureBoot` variable; only with `efi`.
    #[serde(default)]
    pub secure_boot: Option<bool>,
    /// Files of `/sys/class/dmi/id`, beside `chassis_type`.
    #[serde(default)]
    pub dmi: BTreeMap<String, String>,
    /// Display connectors.
    #[serde(default)]
    pub connectors: Vec<Connector>,
    /// The laptop's MUX: 0 is the discrete GPU.
    #[serde(default)]
    pub gpu_mux_mode: Option<u8>,
    /// Group number to the lines of its `reserved_regions`.
    #[serde(default)]
    pub reserved_regions: BTreeMap<u32, Vec<String>>,
    /// Group number to its `name` (`vfio-noiommu`).
    #[serde(default)]
    pub group_names: BTreeMap<u32, String>,
    /// Any other file, by its path without the leading `/`.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// What should come out for a machine.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The GPU that the host keeps.
    pub host_gpu: Option<String>,
    /// What the guest gets.
    pub passthrough: Option<Vec<String>>,
    /// Whether the groups allow it.
    pub viable: Option<bool>,
    /// Where the three come from.
    pub why: String,
    /// The IOMMU state; made machines only.
    #[serde(default)]
    pub iommu_state: Option<String>,
    /// The verdict; made machines only, and only where the rules leave no choice.
    #[serde(default)]
    pub verdict: Option<String>,
    /// `ids` or `address`; made machines only.
    #[serde(default, rename = "match")]
    pub matching: Option<String>,
    /// Codes of findings that must be among those reported; made machines only.
    #[serde(default)]
    pub findings: Vec<String>,
}

/// One PCI function.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Function {
    /// `domain:bus:device.function`.
    pub address: String,
    /// Four hex digits, or six with the programming interface.
    pub class: String,
    /// Four hex digits.
    pub vendor: String,
    /// Four hex digits.
    pub device: String,
    /// `vendor:device` of the board.
    #[serde(default)]
    pub subsystem: Option<String>,
    /// The driver that it was bound to.
    #[serde(default)]
    pub driver: Option<String>,
    /// The number of its IOMMU group.
    #[serde(default)]
    pub iommu_group: Option<u32>,
    /// `boot_vga`; written for class 0300 only, as the kernel does.
    #[serde(default)]
    pub boot_vga: Option<bool>,
    /// What the source calls it.
    #[serde(default)]
    pub name: Option<String>,
    /// Two hex digits.
    #[serde(default)]
    pub revision: Option<String>,
    /// What lies above it in `/sys/devices`, from the root bus down: addresses of bridges, and
    /// `pciDDDDD:BB` for the root bus of a domain behind an Intel VMD.
    #[serde(default)]
    pub parents: Vec<String>,
    /// The lines of `resource`.
    #[serde(default)]
    pub resource: Vec<String>,
    /// `reset_method`; an empty text is an empty file.
    #[serde(default)]
    pub reset_method: Option<String>,
    /// `sriov_totalvfs`.
    #[serde(default)]
    pub sriov_totalvfs: Option<u32>,
    /// `removable`: `removable` or `fixed`.
    #[serde(default)]
    pub removable: Option<String>,
}

/// One display connector.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connector {
    /// `card0`.
    pub card: String,
    /// The address of the GPU that it belongs to.
    pub function: String,
    /// `eDP-1`, `HDMI-A-1`.
    pub name: String,
    /// `connected`, `disconnected` or `unknown`.
    pub status: String,
}

fn yes() -> bool {
    true
}

impl Machine {
    /// Reads a machine from the text of its file.
    pub fn parse(json: &str) -> io::Result<Self> {
        serde_json::from_str(json).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Reads `tests/machines/<id>/machine.json`.
    pub fn load(id: &str) -> io::Result<Self> {
        let path = crate::tests_folder().join("machines").join(id).join("machine.json");
        std::fs::read_to_string(&path)
            .and_then(|text| Self::parse(&text))
            .map_err(|error| crate::at(&path, "read the machine", &error))
    }
}

/// The ids of all machines, real and made, sorted.
pub fn ids() -> io::Result<Vec<String>> {
    crate::names_with(&crate::tests_folder().join("machines"), "machine.json")
}
