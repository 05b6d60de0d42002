//! One PCI function, and the class that says what it is.

use std::fmt;

use crate::id::{GroupId, PciAddress, PciId};

/// A PCI class: base class, subclass and programming interface in 24 bits, as sysfs writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Class(pub u32);

impl Class {
    /// Base class and subclass, for example `0x0300`.
    pub fn kind(self) -> u16 {
        u16::try_from(self.0 >> 8 & 0xffff).unwrap_or_default()
    }

    /// The base class alone, for example `0x03`.
    pub fn base(self) -> u8 {
        u8::try_from(self.0 >> 16 & 0xff).unwrap_or_default()
    }

    /// A display controller: VGA (0300), 3D controller (0302), or 0380, which some firmware gives
    /// to APUs and to second GPUs.
    pub fn is_display(self) -> bool {
        self.base() == 0x03
    }

    /// A 3D controller: it has no outputs of its own.
    pub fn is_without_outputs(self) -> bool {
        self.kind() == 0x0302
    }

    /// A bridge that does not count as an endpoint of its group: host bridge or PCI bridge. Known
    /// by class, since the header type is in `config`, and opening that can wake a sleeping card.
    pub fn is_bridge(self) -> bool {
        matches!(self.kind(), 0x0600 | 0x0604)
    }

    /// Sound of a GPU or of the mainboard.
    pub fn is_audio(self) -> bool {
        self.kind() == 0x0403
    }

    /// What GPUs bring along beside their display function: audio, a USB controller, UCSI.
    pub fn is_companion_kind(self) -> bool {
        matches!(self.kind(), 0x0403 | 0x0c03 | 0x0c80)
    }

    /// A controller of USB ports.
    pub fn is_usb_controller(self) -> bool {
        self.kind() == 0x0c03
    }

    /// Whether it is a GPU or sound: the host runs from neither, nor does anybody reach it through one.
    pub fn is_of_a_picture(self) -> bool {
        self.is_display() || self.is_audio()
    }

    /// What it is, in a word that a person knows.
    pub fn noun(self) -> &'static str {
        match (self.kind(), self.base()) {
            (0x0403, _) => "sound",
            (0x0c03, _) => "USB controller",
            (0x0c80, _) => "USB-C controller",
            (0x0c05, _) => "SMBus",
            (0x0108, _) => "NVMe drive",
            (0x0106, _) => "SATA controller",
            (_, 0x01) => "storage controller",
            (_, 0x02) => "network card",
            (_, 0x03) => "GPU",
            (_, 0x04) => "multimedia device",
            (_, 0x06) => "bridge",
            (_, 0x0d) => "wireless card",
            (_, 0x10) => "security processor",
            _ => "device",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06x}", self.0)
    }
}

/// A PCI function. `None` is "not read, or the machine does not say".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PciFunction {
    /// Where it sits.
    pub address: PciAddress,
    /// What it is.
    pub class: Class,
    /// Vendor and device.
    pub id: Option<PciId>,
    /// Vendor and device of the board.
    pub subsystem: Option<PciId>,
    /// The silicon's revision.
    pub revision: Option<u8>,
    /// The driver that holds it now.
    pub driver: Option<String>,
    /// Its IOMMU group.
    pub group: Option<GroupId>,
    /// Whether the firmware shows its picture here (exists for class 0300 only).
    pub boot_vga: Option<bool>,
    /// How the kernel can reset it; empty means not at all.
    pub reset_methods: Option<Vec<String>>,
    /// The sizes of its memory regions, in bytes.
    pub regions: Vec<u64>,
    /// The bridges above it, the outermost first.
    pub parents: Vec<PciAddress>,
    /// Whether it can be unplugged while the machine runs (Thunderbolt).
    pub is_removable: bool,
    /// Whether it is a virtual function of an SR-IOV device.
    pub is_virtual_function: bool,
}

impl PciFunction {
    /// A function of which only address and class are known.
    pub fn bare(address: PciAddress, class: Class) -> Self {
        Self {
            address,
            class,
            id: None,
            subsystem: None,
            revision: None,
            driver: None,
            group: None,
            boot_vga: None,
            reset_methods: None,
            regions: Vec::new(),
            parents: Vec::new(),
            is_removable: false,
            is_virtual_function: false,
        }
    }

    /// The vendor's number; 0 when it is not known.
    pub fn vendor(&self) -> u16 {
        self.id.map_or(0, |id| id.vendor)
    }

    /// What the kernel matches drivers against, as in `modules.alias`.
    pub fn modalias(&self) -> Option<String> {
        let id = self.id?;
        let subsystem = self.subsystem.unwrap_or(PciId { vendor: 0, device: 0 });
        let class = self.class.0;
        Some(format!(
            "pci:v{:08X}d{:08X}sv{:08X}sd{:08X}bc{:02X}sc{:02X}i{:02X}",
            id.vendor,
            id.device,
            subsystem.vendor,
            subsystem.device,
            class >> 16 & 0xff,
            class >> 8 & 0xff,
            class & 0xff,
        ))
    }
}
