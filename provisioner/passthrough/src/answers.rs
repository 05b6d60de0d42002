//! The answers: what a person, a file or the installer chose. Everything has a default.
//!
//! The file is `/etc/neuron/provisioner.toml`; its keys are frozen by `schema`. It never holds a
//! command, so reading one can do no harm.

mod amend;
mod choice;
mod form;
mod name;
mod parse;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use choice::{CpuPinning, Gpus, HostGpu, VmGpus};
pub use name::{VM_NAMES, is_vm_name};
pub use parse::{InvalidAnswers, nearest};

use crate::id::{FunctionName, PciAddress};

/// The number of this form of the file.
const SCHEMA: u32 = 1;

/// The key that names USB controllers.
pub const USB_CONTROLLERS: &str = "usb_controllers";
/// The key that names other PCI functions.
pub const PCI_DEVICES: &str = "pci_devices";

/// A whole answers file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Answers {
    /// The form of this file; 1.
    pub schema: u32,
    /// Which GPU goes, and how.
    pub passthrough: Passthrough,
    /// The shared memory that brings the guest's picture to the host.
    pub looking_glass: LookingGlass,
    /// The virtual machines, by domain name.
    #[schemars(extend("propertyNames" = name::schema()))]
    pub vm: BTreeMap<String, Vm>,
    /// The guest's sound.
    pub audio: Audio,
    /// Parts of a GPU instead of a whole one.
    pub vgpu: Vgpu,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            passthrough: Passthrough::default(),
            looking_glass: LookingGlass::default(),
            vm: BTreeMap::new(),
            audio: Audio::default(),
            vgpu: Vgpu::default(),
        }
    }
}

/// A PCI function beside GPUs that a virtual machine is to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device<'a> {
    /// The virtual machine.
    pub vm: &'a str,
    /// The key that names it.
    pub key: &'static str,
    /// Its name.
    pub name: FunctionName,
}

impl Answers {
    /// The PCI functions beside GPUs that virtual machines are to get.
    pub fn devices(&self) -> impl Iterator<Item = Device<'_>> {
        self.vm.iter().flat_map(|(name, vm)| vm.devices(name))
    }
}

/// Which GPU is given away, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Passthrough {
    /// When the GPU changes hands.
    pub mode: Mode,
    /// Which GPUs go to a guest.
    pub guest_gpus: Gpus,
    /// Which GPU the host keeps.
    pub host_gpu: HostGpu,
    /// How vfio-pci is told which functions it gets.
    pub r#match: MatchBy,
    /// What the boot menu starts when nobody chooses.
    pub default_entry: DefaultEntry,
    /// Whether the first passthrough boot is on trial; false where nobody could answer.
    pub trial: bool,
    /// Whether the host's own devices bypass the IOMMU's translation (`iommu=pt`).
    pub iommu_pt: bool,
    /// Further kernel parameters.
    pub extra_parameters: Vec<String>,
    /// Safety rules that this person sets aside, by name.
    pub allow: Vec<Override>,
}

impl Default for Passthrough {
    fn default() -> Self {
        Self {
            mode: Mode::Auto,
            guest_gpus: Gpus::Auto,
            host_gpu: HostGpu::Auto,
            r#match: MatchBy::Auto,
            default_entry: DefaultEntry::Passthrough,
            trial: true,
            iommu_pt: true,
            extra_parameters: Vec::new(),
            allow: Vec::new(),
        }
    }
}

impl Passthrough {
    /// Whether this rule was set aside.
    pub fn allows(&self, rule: Override) -> bool {
        self.allow.contains(&rule)
    }
}

/// When the GPU changes hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The best that this machine can do.
    #[default]
    Auto,
    /// At every boot, before the host's drivers see it.
    AtBoot,
    /// When the virtual machine starts, and back when it stops.
    OnDemand,
    /// Never: the guest gets a virtual GPU that draws with the host's.
    Paravirtual,
    /// No passthrough at all.
    Off,
}

/// How vfio-pci is told which functions it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MatchBy {
    /// By ids where they are unmistakable, else by address.
    #[default]
    Auto,
    /// By vendor:device.
    Ids,
    /// By PCI address, with the early hook.
    Address,
}

/// What the boot menu starts when nobody chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DefaultEntry {
    /// The entry that gives the GPU away.
    #[default]
    Passthrough,
    /// The entry that keeps everything with the host.
    Host,
}

/// A safety rule that a person can set aside, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Override {
    /// Give away the GPU that the firmware shows its picture on.
    GuestIsBootVga,
    /// Give away the GPU that drives the laptop's internal panel.
    GuestDrivesPanel,
    /// Give away whatever else shares the GPU's IOMMU group.
    GroupPeers,
    /// Give away the only GPU; the host has no picture then.
    OnlyGpu,
    /// Trust groups that `pcie_acs_override` made.
    AcsOverride,
    /// The passphrase prompt of an encrypted root may end up on the guest's GPU.
    EncryptedRootPrompt,
    /// The recovery key of a TPM-sealed disk is at hand.
    TpmSealedRoot,
    /// Another tool that switches GPUs stays installed.
    OtherGpuSwitcher,
    /// Desktop configuration that names the guest's GPU stays as it is.
    DesktopNamesGuest,
    /// Our kernel parameter may replace the one that turns the IOMMU off.
    IommuOffOnCmdline,
    /// Give away a USB controller though no keyboard is seen that the host would keep.
    HostKeyboard,
    /// Give away what carries a network interface though nothing shows that the host is reached without.
    HostNetwork,
}

/// Looking Glass: shared memory that brings the guest's picture to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LookingGlass {
    /// Whether to set it up.
    pub enable: bool,
    /// Where the memory comes from.
    pub transport: Transport,
    /// The largest picture, `WIDTHxHEIGHT` in pixels.
    #[schemars(regex(pattern = r"^[1-9][0-9]{1,4}x[1-9][0-9]{1,4}$"))]
    pub resolution: String,
    /// Whether pixels have 8 bytes instead of 4.
    pub hdr: bool,
    /// Size in MiB; 0 takes it from the resolution.
    pub size_mib: u32,
    /// Who may open it.
    pub users: Vec<String>,
}

impl Default for LookingGlass {
    fn default() -> Self {
        Self {
            enable: true,
            transport: Transport::Auto,
            resolution: "2560x1440".to_owned(),
            hdr: false,
            size_mib: 0,
            users: Vec::new(),
        }
    }
}

/// Where Looking Glass's memory comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// kvmfr where its module is there, else a file.
    #[default]
    Auto,
    /// A file in `/dev/shm`.
    Shm,
    /// The kvmfr kernel module.
    Kvmfr,
}

/// One virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Vm {
    /// Which template it is made from.
    pub kind: VmKind,
    /// Which of the guest GPUs it gets.
    pub gpus: VmGpus,
    /// Memory in MiB; 0 takes it from the machine.
    pub memory_mib: u64,
    /// Virtual CPUs; 0 takes them from the machine.
    pub vcpus: u32,
    /// Which cores run it.
    pub cpu_pinning: CpuPinning,
    /// The size of its memory's pages.
    pub hugepages: Hugepages,
    /// Its disk.
    pub disk: Option<Disk>,
    /// The installation medium; empty for none.
    pub install_iso: String,
    /// The virtio drivers' medium; empty for none.
    pub virtio_iso: String,
    /// The GPU's ROM; empty for its own.
    pub rom_file: String,
    /// USB controllers that go with it.
    pub usb_controllers: Vec<PciAddress>,
    /// USB devices that go with it, `vendor:product` or bus port.
    pub usb_devices: Vec<String>,
    /// Input devices that are shared by hotkey, names of `/dev/input/by-id`.
    pub evdev: Vec<String>,
    /// Further PCI functions that go with it, whole groups.
    pub pci_devices: Vec<FunctionName>,
    /// The emulated display.
    pub display: Display,
    /// Whether its firmware checks signatures.
    pub secure_boot: bool,
    /// Whether it starts with the host.
    pub autostart: bool,
    /// How it reaches the network.
    pub network: Network,
}

impl Vm {
    /// The PCI functions beside GPUs that it is to get, each once.
    pub fn devices<'a>(&'a self, vm: &'a str) -> impl Iterator<Item = Device<'a>> {
        let controllers = self.usb_controllers.iter().copied().map(FunctionName::Address);
        let controllers = controllers.map(|name| (USB_CONTROLLERS, name));
        let others = self.pci_devices.iter().map(|name| (PCI_DEVICES, *name));
        controllers.chain(others).map(move |(key, name)| Device { vm, key, name })
    }
}

impl Default for Vm {
    fn default() -> Self {
        Self {
            kind: VmKind::Windows11,
            gpus: VmGpus::Auto,
            memory_mib: 0,
            vcpus: 0,
            cpu_pinning: CpuPinning::Auto,
            hugepages: Hugepages::Off,
            disk: None,
            install_iso: String::new(),
            virtio_iso: String::new(),
            rom_file: String::new(),
            usb_controllers: Vec::new(),
            usb_devices: Vec::new(),
            evdev: Vec::new(),
            pci_devices: Vec::new(),
            display: Display::Spice,
            secure_boot: true,
            autostart: false,
            network: Network::default(),
        }
    }
}

/// Which template a virtual machine is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VmKind {
    /// Windows 11: TPM and secure boot.
    Windows11,
    /// Windows 10.
    Windows10,
    /// Linux.
    Linux,
}

/// The size of a virtual machine's memory pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Hugepages {
    /// Ordinary pages.
    #[default]
    #[serde(rename = "off")]
    Off,
    /// 2 MiB.
    #[serde(rename = "2M")]
    TwoMib,
    /// 1 GiB, reserved at boot.
    #[serde(rename = "1G")]
    OneGib,
}

impl Hugepages {
    /// The size of a page in MiB; 0 for ordinary ones.
    pub fn mib(self) -> u64 {
        match self {
            Self::Off => 0,
            Self::TwoMib => 2,
            Self::OneGib => 1024,
        }
    }
}

/// A virtual machine's disk image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// Where it lies on the host.
    pub path: String,
    /// How large it is made when it is not there.
    #[serde(default = "default_disk_size")]
    pub size_gib: u32,
}

fn default_disk_size() -> u32 {
    128
}

/// The emulated display beside the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Display {
    /// SPICE on the loopback address.
    #[default]
    Spice,
    /// VNC on the loopback address.
    Vnc,
    /// The GPU alone.
    None,
}

/// How a virtual machine reaches the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// By which means.
    pub kind: NetworkKind,
    /// The bridge, for `bridge`.
    pub bridge: String,
    /// The wired interface that the bridge is made with; empty where the bridge is there.
    pub bridge_port: String,
    /// The host's interface, for `macvtap`; empty for the one of the default route.
    pub interface: String,
    /// The mode of `macvtap`.
    pub macvtap_mode: MacvtapMode,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            kind: NetworkKind::Nat,
            bridge: "br0".to_owned(),
            bridge_port: String::new(),
            interface: String::new(),
            macvtap_mode: MacvtapMode::Bridge,
        }
    }
}

/// By which means a virtual machine reaches the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkKind {
    /// libvirt's default network.
    #[default]
    Nat,
    /// A bridge of the host.
    Bridge,
    /// A macvtap of a host interface.
    Macvtap,
    /// QEMU's user-mode network.
    User,
}

/// The mode of a macvtap interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MacvtapMode {
    /// Guests reach each other.
    #[default]
    Bridge,
    /// All traffic goes to the switch.
    Vepa,
    /// Guests are kept apart.
    Private,
    /// One guest owns the interface.
    Passthrough,
}

/// The guest's sound.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Audio {
    /// Where it goes.
    pub backend: AudioBackend,
}

/// Where the guest's sound goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AudioBackend {
    /// Through SPICE, which Looking Glass plays.
    #[default]
    Spice,
    /// To `PipeWire`.
    Pipewire,
    /// Over the network, by Scream.
    Scream,
    /// Nowhere.
    None,
}

/// Parts of a GPU instead of a whole one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Vgpu {
    /// By which means.
    pub kind: VgpuKind,
    /// The function that is divided; empty for none.
    pub parent: String,
    /// The type of the parts; empty for none.
    pub profile: String,
}

/// By which means a GPU is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VgpuKind {
    /// It is not.
    #[default]
    None,
    /// Mediated devices.
    Mdev,
    /// Virtual functions.
    Sriov,
}
