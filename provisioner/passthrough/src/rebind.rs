//! Moves a live function between drivers, through sysfs.
//!
//! ```text
//! to vfio-pci:   override -> unbind -> probe        back:   clear the override -> unbind -> probe
//! ```
//!
//! By `driver_override` and address only, never by `new_id`: ids cannot tell two equal cards apart.
//! Every step is read back, because the kernel takes a write that has no effect without a word.
//! What can wait in the kernel is done by a [child with a limit](Bounded). Nothing here speaks to a
//! hypervisor: its hook calls this, and must not be called back.

mod back;
mod hand;
#[cfg(test)]
mod tests;

use std::io;

pub use back::{GivenBack, give_back};
pub use hand::{Bounded, Hand};

use crate::id::PciAddress;
use crate::root::{ReadError, Root};

/// The driver that guests get their functions from.
pub const VFIO: &str = "vfio-pci";
const DEVICES: &str = "/sys/bus/pci/devices";
const DRIVERS: &str = "/sys/bus/pci/drivers";
const PROBE: &str = "/sys/bus/pci/drivers_probe";

/// Why a function could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum RebindError {
    /// There is no such function.
    #[error("{0}: there is no such function")]
    NotThere(PciAddress),
    /// The driver that is wanted is not loaded.
    #[error("{0}: the module vfio-pci is not loaded")]
    NotLoaded(PciAddress),
    /// The kernel refused.
    #[error("{address}: cannot {attempt}")]
    Refused {
        /// The function.
        address: PciAddress,
        /// What was tried.
        attempt: String,
        /// What the kernel said, or that it said nothing in time.
        source: io::Error,
    },
    /// The kernel took it, and nothing happened.
    #[error("{address}: the kernel took the attempt to {attempt}, but {found}")]
    NoEffect {
        /// The function.
        address: PciAddress,
        /// What was tried.
        attempt: String,
        /// What is so all the same.
        found: String,
    },
    /// The ids of `modprobe.d` could not be made neutral.
    #[error("cannot write {path}")]
    Neutral {
        /// The file that would do it.
        path: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// Sysfs could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// What a function has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The function.
    pub address: PciAddress,
    /// Its driver; none when none took it, which one that is loaded later still can.
    pub driver: Option<String>,
    /// Whether that is so through us.
    pub changed: bool,
}

/// Where a function stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Standing {
    driver: Option<String>,
    is_promised: bool,
}

/// Gives a function to vfio-pci, whatever driver has it. One that vfio-pci has already is left as it
/// is; one that cannot be moved is given back to the driver that it had.
pub fn to_vfio(root: &Root, hand: &mut dyn Hand, address: PciAddress) -> Result<Bound, RebindError> {
    let before = standing(root, address)?;
    if before.is_promised && before.driver.as_deref() == Some(VFIO) {
        return Ok(Bound { address, driver: before.driver, changed: false });
    }
    if !root.exists(&format!("{DRIVERS}/{VFIO}"))? {
        return Err(RebindError::NotLoaded(address));
    }
    match take(root, hand, address, &before) {
        Ok(()) => Ok(Bound { address, driver: Some(VFIO.to_owned()), changed: true }),
        Err(error) => {
            // What went wrong first is what counts; that this fails as well would not help anybody.
            if let Err(second) = back::one(root, hand, address) {
                tracing::warn!("{second}");
            }
            Err(error)
        }
    }
}

fn take(root: &Root, hand: &mut dyn Hand, address: PciAddress, before: &Standing) -> Result<(), RebindError> {
    // First the override: between unbind and probe nobody else may take it.
    let attempt = format!("promise it to {VFIO}");
    write(hand, address, &attempt, &format!("{DEVICES}/{address}/driver_override"), VFIO)?;
    if !standing(root, address)?.is_promised {
        return Err(no_effect(address, attempt, "its driver_override is another".to_owned()));
    }
    if before.driver.as_deref() == Some(VFIO) {
        return Ok(());
    }
    if let Some(driver) = &before.driver {
        unbind(root, hand, address, driver)?;
    }
    let attempt = format!("let {VFIO} probe it");
    write(hand, address, &attempt, PROBE, &address.to_string())?;
    match standing(root, address)?.driver {
        Some(driver) if driver == VFIO => Ok(()),
        Some(driver) => Err(no_effect(address, attempt, format!("{driver} has it"))),
        None => Err(no_effect(address, attempt, "no driver has it".to_owned())),
    }
}

/// Gives a function back to the host: to whichever driver of its own takes it.
pub fn to_host(root: &Root, hand: &mut dyn Hand, address: PciAddress) -> Result<Bound, RebindError> {
    back::one(root, hand, address)
}

/// Takes a function from its driver.
fn unbind(root: &Root, hand: &mut dyn Hand, address: PciAddress, driver: &str) -> Result<(), RebindError> {
    let attempt = format!("unbind it from {driver}");
    write(hand, address, &attempt, &format!("{DRIVERS}/{driver}/unbind"), &address.to_string())?;
    match standing(root, address)?.driver {
        None => Ok(()),
        Some(driver) => Err(no_effect(address, attempt, format!("{driver} still has it"))),
    }
}

fn write(
    hand: &mut dyn Hand,
    address: PciAddress,
    attempt: &str,
    path: &str,
    value: &str,
) -> Result<(), RebindError> {
    let refused = |source| RebindError::Refused { address, attempt: attempt.to_owned(), source };
    hand.write(path, value).map_err(refused)
}

fn no_effect(address: PciAddress, attempt: String, found: String) -> RebindError {
    RebindError::NoEffect { address, attempt, found }
}

fn standing(root: &Root, address: PciAddress) -> Result<Standing, RebindError> {
    let device = format!("{DEVICES}/{address}");
    if !root.exists(&device)? {
        return Err(RebindError::NotThere(address));
    }
    let link = root.read_link(&format!("{device}/driver"))?;
    let driver = link.and_then(|link| Some(link.rsplit_once('/')?.1.to_owned()));
    let promised = root.attribute(&format!("{device}/driver_override"))?;
    Ok(Standing { driver, is_promised: promised.as_deref() == Some(VFIO) })
}
