//! Which drivers would take a function if vfio-pci did not come first.

use crate::facts::target::Kernel;
use crate::facts::{Class, PciFunction, Target};
use crate::text::command_line::Parameter;
use crate::text::modprobe_conf::normal;

/// The modules, named with `_`, that may take this function on any kernel: those that the target
/// has now, and those that a package may bring later (the nvidia driver often does).
pub fn native_drivers(function: &PciFunction, target: &Target) -> Vec<String> {
    let mut drivers: Vec<String> =
        known(function.class, function.vendor()).iter().map(|&name| name.to_owned()).collect();
    for kernel in &target.kernels {
        drivers.extend(of_kernel(kernel, function).into_iter().flatten());
    }
    drivers.sort_unstable();
    drivers.dedup();
    drivers
}

/// The modules of one kernel that match a function; `None` when the kernel has no list of aliases.
pub(super) fn of_kernel(kernel: &Kernel, function: &PciFunction) -> Option<Vec<String>> {
    let matching = kernel.drivers.as_ref()?.get(&function.modalias()?)?;
    Some(matching.iter().filter(|name| !name.starts_with("vfio")).cloned().collect())
}

/// The drivers that distributions ship for the kinds of functions that GPUs have, and for drives.
pub(super) fn known(class: Class, vendor: u16) -> &'static [&'static str] {
    match (class.kind(), class.base(), vendor) {
        (_, 0x03, 0x10de) => &["nouveau", "nova_core", "nvidia", "nvidiafb"],
        (_, 0x03, 0x1002) => &["amdgpu", "radeon"],
        (_, 0x03, 0x8086) => &["i915", "xe"],
        (_, 0x03, 0x1a03) => &["ast"],
        (_, 0x03, 0x102b) => &["mgag200"],
        (0x0403, ..) => &["snd_hda_intel"],
        (0x0c03, ..) => &["xhci_pci"],
        (0x0108, ..) => &["nvme"],
        (0x0106, ..) => &["ahci"],
        (0x0c80, _, 0x10de) => &["i2c_nvidia_gpu"],
        (0x0c80, _, 0x1002) => &["i2c_designware_pci"],
        _ => &[],
    }
}

/// The driver that a parameter (`i915.modeset=0`) keeps from showing pictures, named with `_`.
pub(super) fn switched_off(parameter: Parameter<'_>) -> Option<String> {
    let (module, option) = parameter.key.rsplit_once('.')?;
    shows_nothing(&normal(module), option, parameter.value?)
}

/// The driver that this option of a module keeps from showing pictures.
///
/// `modeset=0` is that of every driver that has it; nouveau's 2 is a card without displays. The
/// outputs of an NVIDIA GPU are nvidia-drm's, and without them nvidia shows nothing to a desktop.
pub(super) fn shows_nothing(module: &str, option: &str, value: &str) -> Option<String> {
    let is_off = |value: &str| ["0", "0x0", "n", "N", "off", "no"].contains(&value);
    let dark = match normal(option).as_str() {
        "modeset" => is_off(value) || (module == "nouveau" && value == "2"),
        "disable_display" => module == "i915" && !is_off(value),
        _ => false,
    };
    let driver = if module == "nvidia_drm" { "nvidia" } else { module };
    dark.then(|| driver.to_owned())
}
