//! Xorg's configuration: whether a line of it picks a guest's GPU.

use super::super::{GpuRole, Judgement};
use crate::facts::Machine;
use crate::id::PciAddress;

/// Xorg's drivers that are made for GPUs of one vendor.
const DRIVERS: [(&str, u16); 7] = [
    ("nvidia", 0x10de),
    ("nouveau", 0x10de),
    ("nv", 0x10de),
    ("amdgpu", 0x1002),
    ("radeon", 0x1002),
    ("ati", 0x1002),
    ("intel", 0x8086),
];

/// The drivers that some guest's GPU could use and no GPU that stays with the host.
pub(super) fn drivers_of_guests_only(judgement: &Judgement, machine: &Machine) -> Vec<&'static str> {
    let has = |vendor: u16, is_guest: bool| {
        let side = judgement.gpus.iter().filter(|gpu| (gpu.role == GpuRole::Guest) == is_guest);
        side.filter_map(|gpu| machine.functions.get(&gpu.address)).any(|gpu| gpu.vendor() == vendor)
    };
    let of_guests = DRIVERS.iter().filter(|(_, vendor)| has(*vendor, true) && !has(*vendor, false));
    of_guests.map(|(driver, _)| *driver).collect()
}

/// The first line that names a guest's GPU: by its bus, or, in a `Device` section without a bus,
/// by a driver that the host's GPUs have no use for.
pub(super) fn naming_line(text: &str, guests: &[PciAddress], drivers: &[&str]) -> Option<usize> {
    let mut is_device = false;
    let mut by_driver = None;
    for (line, number) in text.lines().zip(1..) {
        if names_bus(line, guests) {
            return Some(number);
        }
        let key = line.split_whitespace().next().unwrap_or_default();
        if key.eq_ignore_ascii_case("section") {
            is_device = entry(line, "section").is_some_and(|name| name.eq_ignore_ascii_case("device"));
            by_driver = None;
        } else if key.eq_ignore_ascii_case("endsection") {
            if by_driver.is_some() {
                return by_driver;
            }
            is_device = false;
        } else if entry(line, "busid").is_some() {
            // The bus says which GPU it is, and it is none of the guests'.
            (is_device, by_driver) = (false, None);
        } else if is_device
            && let Some(name) = entry(line, "driver")
            && drivers.iter().any(|driver| driver.eq_ignore_ascii_case(name))
        {
            by_driver = Some(number);
        }
    }
    None
}

/// The value of `Key "value"`; the case of the key's letters does not count.
fn entry<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let mut parts = line.splitn(3, '"');
    let (found, value) = (parts.next()?, parts.next()?);
    found.trim().eq_ignore_ascii_case(key).then_some(value)
}

/// Xorg writes `BusID "PCI:1:0:0"` (decimal, `PCI:bus@domain:device:function`; the case of the
/// letters does not count, and a missing function is 0). The domain is not looked at: a question
/// too many is better than one too few.
fn names_bus(line: &str, guests: &[PciAddress]) -> bool {
    let value = entry(line, "busid").map(str::to_ascii_lowercase);
    let Some(place) = value.as_deref().and_then(|value| value.strip_prefix("pci:")) else { return false };
    let mut numbers =
        place.split(':').map(|part| part.split('@').next().and_then(|part| part.trim().parse().ok()));
    let named = (numbers.next().flatten(), numbers.next().flatten(), numbers.next().unwrap_or(Some(0)));
    guests.iter().any(|guest| named == (Some(guest.bus()), Some(guest.device()), Some(guest.function())))
}
