//! Takes out of a capture what identifies a machine or a person.

use crate::root::{Capture, Entry};

/// The parameters whose values decide something here and identify nobody.
const TELLING: [&str; 13] = [
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
    "video",
    "initcall_blacklist",
];

/// Bare words that say how a machine boots. Any other may be a name that somebody gave something.
const TELLING_WORDS: [&str; 11] = [
    "debug",
    "nohibernate",
    "nolapic",
    "nomodeset",
    "noresume",
    "nosmt",
    "quiet",
    "ro",
    "rw",
    "single",
    "splash",
];

/// Keeps of the command line what decides something: known parameters and bare words whole, of
/// other parameters the name alone, and nothing from `--` on, which the kernel hands to init. Everything else that is read (classes, ids, groups, connectors, ACPI table names)
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
    let tokens = line.split_whitespace().take_while(|token| *token != "--");
    let tokens = tokens.map(|token| match token.split_once('=') {
        None if TELLING_WORDS.contains(&token) => token.to_owned(),
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

    #[test]
    fn bare_words_and_what_init_gets_may_be_names() {
        assert_eq!(
            scrubbed_line("ro nomodeset annas-laptop -- annas-token key=secret quiet"),
            "ro nomodeset scrubbed\n"
        );
        assert_eq!(scrubbed_line("quiet annas-- splash"), "quiet scrubbed splash\n");
    }
}
