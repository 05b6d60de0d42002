//! Takes out of a capture what identifies a machine or a person.

use crate::root::{Capture, Entry};

/// The parameters whose values decide something here and identify nobody.
const TELLING: [&str; 14] = [
    "intel_iommu",
    "amd_iommu",
    "iommu",
    "iommu.passthrough",
    "iommu.strict",
    "pcie_acs_override",
    "vfio-pci.ids",
    "vfio_pci.ids",
    "modprobe.blacklist",
    "module_blacklist",
    "neuron.passthrough",
    "nomodeset",
    "video",
    "initcall_blacklist",
];

/// Keeps of the command line what decides something: known parameters whole, of the others the
/// name alone. Everything else that is read (classes, ids, groups, connectors, ACPI table names)
/// is the same on every machine of a model.
pub fn scrub(capture: &mut Capture) {
    for (path, entry) in capture.entries_mut() {
        if path == "proc/cmdline"
            && let Entry::Text(line) = entry
        {
            *line = scrubbed_line(line);
        }
    }
}

fn scrubbed_line(line: &str) -> String {
    let tokens = line.split_whitespace().map(|token| match token.split_once('=') {
        None if token.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) => token.to_owned(),
        None => "scrubbed".to_owned(),
        Some((key, _)) if TELLING.contains(&key) => token.to_owned(),
        Some((key, _)) => format!("{key}=scrubbed"),
    });
    tokens.collect::<Vec<_>>().join(" ") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_it_is_goes_and_what_decides_stays() {
        let line = "BOOT_IMAGE=/vmlinuz root=UUID=1234-abcd rw intel_iommu=on ip=10.0.0.1 user@host quiet";
        assert_eq!(
            scrubbed_line(line),
            "BOOT_IMAGE=scrubbed root=scrubbed rw intel_iommu=on ip=scrubbed scrubbed quiet\n"
        );
    }
}
