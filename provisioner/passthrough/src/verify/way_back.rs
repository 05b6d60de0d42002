//! Whether the entry without passthrough would come up.

use super::Finding;
use super::disk::asked;
use super::seen::Seen;
use crate::bootloader;
use crate::facts::Running;

pub(super) fn way_back(seen: &Seen<'_>) -> Vec<Finding> {
    asked(seen, |target| {
        let lost = bootloader::lost(target);
        let keeps = "it keeps the kernel that is there now";
        let mut findings = Vec::new();
        if !lost.is_empty() {
            findings.push(Finding::fail(
                format!(
                    "the entry without passthrough starts {}, whose modules were removed since",
                    lost.join(", ")
                ),
                format!("{}: {keeps}", seen.apply()),
            ));
        }
        findings.extend(bootloader::dead(target).map(|(entry, gone)| {
            Finding::fail(
                format!("{entry}, the entry without passthrough, starts {gone}, which is not there"),
                format!("{}: {keeps}", seen.apply()),
            )
        }));
        let running = Running::read(seen.machine_root, seen.target_root);
        let without = bootloader::without_menu(target, &running);
        findings.extend(without.map(|found| Finding::warn(found.message, found.hint)));
        if findings.is_empty() {
            findings.push(Finding::pass(
                "what is kept for the entry without passthrough is there, and no kernel of it lost its modules",
            ));
        }
        findings
    })
}
