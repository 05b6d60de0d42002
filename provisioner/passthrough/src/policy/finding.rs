//! Findings: what is worth knowing, each with a stable code and a hint.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::answers::Mode;
use crate::id::PciAddress;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// It works, with a catch.
    Warning,
    /// It cannot be done like this.
    Blocker,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The stable name of what was found.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub enum Code { $($(#[$doc])* $name),* }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

codes! {
    /// The IOMMU is off now and a parameter turns it on.
    IommuPending,
    /// The firmware has it off.
    IommuOffInFirmware,
    /// A kernel parameter has it off.
    IommuOffOnCmdline,
    /// Its state cannot be known.
    IommuUnknown,
    /// The processor cannot run virtual machines.
    NoVirtualization,
    /// This is itself a virtual machine.
    GuestInVm,
    /// There is no GPU.
    NoGpu,
    /// There is only one GPU, and the host needs it.
    SingleGpu,
    /// Several GPUs are equally good.
    GpuTie,
    /// An answer names a GPU that is not there.
    GpuNotFound,
    /// An answer names something that is no GPU.
    NotAGpu,
    /// An id in the answers names several GPUs.
    GpuAmbiguous,
    /// The host's GPU and the guest's are one.
    HostIsGuest,
    /// The host would be left without a picture.
    HostWithoutPicture,
    /// Only an integrated GPU could be given away.
    GuestIsIntegrated,
    /// The firmware shows its picture on the guest's GPU.
    GuestIsBootVga,
    /// The laptop's panel hangs on the guest's GPU.
    GuestDrivesPanel,
    /// The GPU can be unplugged, so it may come late or not at all.
    ExternalGpu,
    /// A monitor is plugged into the guest's GPU and none into the host's.
    MonitorOnGuest,
    /// A function belongs to two GPUs, and one of them stays with the host.
    CardShared,
    /// Something else is in the GPU's IOMMU group.
    GroupShared,
    /// The group holds storage, which is never given away.
    GroupHoldsStorage,
    /// The firmware holds a fixed mapping in the group.
    ReservedRegion,
    /// A function is in no IOMMU group that is known to isolate it.
    NoGroup,
    /// An answer names a device beside GPUs that is not there.
    DeviceNotFound,
    /// An id in the answers names several devices.
    DeviceAmbiguous,
    /// An answer names a function that goes to no guest, or not by this key.
    DeviceUnfit,
    /// The host has disks in use on a device that would be given away.
    DeviceInUse,
    /// What the host uses of the devices that would be given away is not known.
    DeviceUseUnknown,
    /// The host's last keyboard hangs on what would be given away, or none is seen that stays.
    HostKeyboard,
    /// Nothing shows that the host reaches the network without what would be given away.
    HostNetwork,
    /// Storage that would be given away could be mistaken for storage of the host.
    StorageTwin,
    /// What identifies a function could not be read.
    IdentityUnknown,
    /// Another function bears the same id.
    IdenticalIds,
    /// A laptop's discrete GPU has no output of its own.
    MuxlessLaptop,
    /// The GPU cannot be reset.
    NoResetMethod,
    /// GPUs of this generation often do not come back after a reset.
    AmdResetRisk,
    /// Groups are split by an override; isolation is claimed, not real.
    AcsOverridePresent,
    /// The passphrase prompt may appear on the guest's GPU.
    EncryptedRootPrompt,
    /// Secure Boot refuses modules that nobody signed.
    SecureBootAndDkms,
    /// A driver is built into the kernel and cannot be outrun by a softdep.
    BuiltinDriver,
    /// The GPU shows all of its memory to the processor.
    ResizableBar,
    /// A service holds NVIDIA GPUs open.
    NvidiaPersistenced,
    /// This boot was told to keep everything with the host.
    KillSwitch,
    /// The mode is not there yet.
    ModeNotAvailable,
    /// Matching by address needs the early hook.
    EarlyHookMissing,
    /// The target has no kernel.
    NoKernel,
    /// A kernel of the target has no vfio-pci.
    VfioMissing,
    /// The host's GPU has no driver in the target.
    HostWithoutDriver,
    /// Whether the host's GPU has a driver in the target is not known.
    HostDriverUnknown,
    /// The same functions are claimed by other configuration.
    ClaimedElsewhere,
    /// Desktop configuration names the guest's GPU.
    DesktopNamesGuest,
    /// Another tool switches GPUs.
    OtherGpuSwitcher,
    /// The root's key is sealed against what changes now.
    TpmSealedRoot,
    /// Hibernation loses a GPU that a guest holds.
    Hibernation,
    /// The kernel was told not to set graphics modes.
    Nomodeset,
    /// No boot loader was found, or none that is known.
    LoaderUnknown,
    /// Another boot loader is there as well.
    OtherLoader,
    /// The boot menu is not shown by itself, and the host entry is in it.
    MenuHidden,
    /// The firmware starts the system by itself, and no menu holds the host entry.
    NoBootMenu,
    /// The boot loader starts again what it started last.
    DefaultIsSaved,
    /// The boot partition has no room for copies of the kernel and the initramfs.
    NoRoomForCopies,
    /// No copies can be kept for the host entry.
    NoCopies,
    /// No generator of the initramfs was found, or none that is known.
    GeneratorUnknown,
    /// Configuration in the target would undo or break ours.
    TargetConflict,
    /// The machine could not be read at all.
    MachineUnreadable,
    /// The first passthrough boot is on trial, and how.
    Trial,
    /// Passthrough boots from now on, without a trial.
    NoTrial,
    /// No boot has shown yet that there is a picture with passthrough.
    NotShown,
    /// Nothing may be given away now, and an earlier set-up still gives something away.
    StillApplied,
    /// A kernel parameter that the answers add must not be written.
    ParameterRefused,
    /// Huge pages that a virtual machine wants cannot be reserved.
    Hugepages,
    /// A bridge that a virtual machine wants cannot be made.
    Bridge,
    /// The answers hold something that nothing acts on yet.
    KeptForLater,
    /// An answer names a user of Looking Glass that the target does not have.
    LookingGlassUser,
    /// Looking Glass is to use a module that a kernel of the target does not have.
    LookingGlassModule,
    /// Looking Glass's memory cannot be made for a virtual machine: one uses it as it is, or has no name for it.
    LookingGlassMemory,
}

/// One thing worth knowing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Its stable name.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: a PCI address, a path; `None` for the whole machine.
    pub subject: Option<String>,
    /// What was found, in a sentence.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Finding {
    /// A finding about the whole machine.
    pub fn new(code: Code, severity: Severity, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, severity, subject: None, message: message.into(), hint: hint.into() }
    }

    /// The same, about one function.
    #[must_use]
    pub fn about(mut self, address: PciAddress) -> Self {
        self.subject = Some(address.to_string());
        self
    }

    /// The same, about one file.
    #[must_use]
    pub fn in_file(mut self, path: impl Into<String>) -> Self {
        self.subject = Some(path.into());
        self
    }

    pub(super) fn kill_switch() -> Self {
        Self::new(
            Code::KillSwitch,
            Severity::Blocker,
            format!("this boot runs with {}: everything stays with the host", super::KILL_SWITCH),
            "choose the passthrough entry in the boot menu, then try again; where that shows no picture, \
             `neuron-provisioner revert` takes everything back, and after a reboot something else can be set up",
        )
    }

    pub(super) fn mode_not_available(mode: Mode) -> Self {
        let name = if mode == Mode::OnDemand { "on-demand" } else { "paravirtual" };
        Self::new(
            Code::ModeNotAvailable,
            Severity::Blocker,
            format!("mode \"{name}\" is not there yet"),
            "use mode = \"at-boot\" (or \"auto\"), or \"off\"",
        )
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => f.write_str(&name),
            _ => Err(std::fmt::Error),
        }
    }
}
