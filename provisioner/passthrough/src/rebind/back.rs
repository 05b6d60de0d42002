//! Everything back to the host, as the early hook does it.

use std::path::Path;

use super::{
    Bound, DEVICES, DRIVERS, Hand, PROBE, RebindError, Standing, VFIO, no_effect, standing, unbind, write,
};
use crate::id::PciAddress;
use crate::root::{ReadError, Root};

/// The kernel keeps the last `ids=` that it is given, and modprobe reads this file last.
const NEUTRAL: &str = "/run/modprobe.d/zz-neuron-vfio.conf";
const NEUTRAL_TEXT: &str = "# The card went back to the host in this boot: no id gives it to vfio-pci again.\n\
                            options vfio-pci ids=";

/// What came of giving everything back.
#[derive(Debug, Default)]
pub struct GivenBack {
    /// Functions that the host has again.
    pub returned: Vec<Bound>,
    /// What could not be done.
    pub failed: Vec<RebindError>,
}

/// Gives back every function that vfio-pci has or is promised, and sees to it that no id takes one
/// again in this boot. One that cannot be moved keeps the others from nothing.
pub fn give_back(root: &Root, hand: &mut dyn Hand) -> Result<GivenBack, ReadError> {
    let mut done = GivenBack::default();
    if let Err(source) = neutralise(root, hand) {
        done.failed.push(RebindError::Neutral { path: NEUTRAL, source });
    }
    for name in root.list(DEVICES)?.unwrap_or_default() {
        let Ok(address) = name.parse::<PciAddress>() else { continue };
        let is_ours = |now: Standing| now.is_promised || now.driver.as_deref() == Some(VFIO);
        match standing(root, address).map(is_ours) {
            Ok(false) => {}
            Ok(true) => match one(root, hand, address) {
                Ok(bound) => done.returned.push(bound),
                Err(error) => done.failed.push(error),
            },
            Err(error) => done.failed.push(error),
        }
    }
    Ok(done)
}

fn neutralise(root: &Root, hand: &mut dyn Hand) -> std::io::Result<()> {
    let folder = Path::new(NEUTRAL).parent().unwrap_or(Path::new("/run"));
    let place = root.path().unwrap_or(Path::new("/")).join(folder.strip_prefix("/").unwrap_or(folder));
    std::fs::create_dir_all(place)?;
    hand.write(NEUTRAL, NEUTRAL_TEXT)
}

pub(super) fn one(root: &Root, hand: &mut dyn Hand, address: PciAddress) -> Result<Bound, RebindError> {
    let before = standing(root, address)?;
    let device = format!("{DEVICES}/{address}");
    if before.is_promised {
        let attempt = format!("take back its promise to {VFIO}");
        write(hand, address, &attempt, &format!("{device}/driver_override"), "")?;
        if standing(root, address)?.is_promised {
            return Err(no_effect(address, attempt, "its driver_override is still there".to_owned()));
        }
    }
    if before.driver.as_deref() == Some(VFIO) {
        forget_ids(root, hand, &device)?;
        unbind(root, hand, address, VFIO)?;
    } else if before.driver.is_some() {
        return Ok(Bound { address, driver: before.driver, changed: before.is_promised });
    }
    let attempt = "let a driver of the host probe it".to_owned();
    write(hand, address, &attempt, PROBE, &address.to_string())?;
    let driver = standing(root, address)?.driver;
    if driver.as_deref() == Some(VFIO) {
        return Err(no_effect(address, attempt, format!("{VFIO} has it again")));
    }
    if driver.is_none() {
        // No driver for it is loaded yet: udev loads it, as it does for a device that was plugged in.
        let attempt = "announce it to udev";
        write(hand, address, attempt, &format!("{device}/uevent"), "add")?;
    }
    Ok(Bound { address, driver, changed: true })
}

/// The ids that vfio-pci was given would let it take the function at the next probe. That it never
/// knew them is no failure.
fn forget_ids(root: &Root, hand: &mut dyn Hand, device: &str) -> Result<(), ReadError> {
    let number = |name: &str| root.attribute(&format!("{device}/{name}"));
    if let (Some(vendor), Some(product)) = (number("vendor")?, number("device")?) {
        let ids = [vendor, product].map(|one| one.trim_start_matches("0x").to_owned()).join(" ");
        if let Err(error) = hand.write(&format!("{DRIVERS}/{VFIO}/remove_id"), &ids) {
            tracing::debug!("{VFIO} knew no id {ids}: {error}");
        }
    }
    Ok(())
}
