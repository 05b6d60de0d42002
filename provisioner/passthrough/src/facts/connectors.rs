//! Who drives a display: the connectors of the kernel's display cards.

use super::FactsError;
use crate::id::PciAddress;
use crate::root::Root;

const DRM: &str = "sys/class/drm";

/// One card of the display subsystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayCard {
    /// The PCI function behind it; `None` for a card that is not on PCI.
    pub function: Option<PciAddress>,
    /// Whether the kernel says that the boot console is here.
    pub is_boot_display: bool,
    /// Where displays can be plugged in.
    pub connectors: Vec<Connector>,
}

/// One connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector {
    /// Its name, for example `DP-1`.
    pub name: String,
    /// Whether a display is plugged in.
    pub connected: bool,
}

impl Connector {
    /// Whether this is the internal panel of a laptop.
    pub fn is_internal(&self) -> bool {
        ["eDP", "LVDS", "DSI"].iter().any(|kind| self.name.starts_with(kind))
    }
}

pub(super) fn read(root: &Root) -> Result<Vec<DisplayCard>, FactsError> {
    let names = root.list(DRM)?.unwrap_or_default();
    let is_card = |name: &str| {
        name.strip_prefix("card")
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    let mut cards = Vec::new();
    for card in names.iter().filter(|name| is_card(name)) {
        let device = root.read_link(&format!("{DRM}/{card}/device"))?;
        let boot_display = root.attribute(&format!("{DRM}/{card}/boot_display"))?;
        let mut connectors = Vec::new();
        for name in names.iter().filter_map(|name| name.strip_prefix(card.as_str())?.strip_prefix('-')) {
            let status = root.attribute(&format!("{DRM}/{card}-{name}/status"))?;
            connectors
                .push(Connector { name: name.to_owned(), connected: status.as_deref() == Some("connected") });
        }
        cards.push(DisplayCard {
            function: device.and_then(|to| to.rsplit('/').next().and_then(|last| last.parse().ok())),
            is_boot_display: boot_display.as_deref() == Some("1"),
            connectors,
        });
    }
    Ok(cards)
}
