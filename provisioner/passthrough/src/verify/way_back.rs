//! Whether the entry without passthrough would come up.

use super::Finding;
use super::disk::asked;
use super::seen::Seen;
use crate::bootloader::{self, Lost};
use crate::facts::Running;

pub(super) fn way_back(seen: &Seen<'_>) -> Vec<Finding> {
    asked(seen, |target| {
        let (by_hand, lost): (Vec<Lost>, Vec<Lost>) =
            bootloader::lost(target).into_iter().partition(|lost| lost.by_hand.is_some());
        let keeps = "it keeps the kernel that is there now";
        let mut findings = Vec::new();
        if !lost.is_empty() {
            let paths: Vec<String> = lost.into_iter().map(|lost| lost.path).collect();
            findings.push(removed(&paths.join(", "), format!("{}: {keeps}", seen.apply())));
        }
        findings.extend(by_hand.into_iter().map(|Lost { path, by_hand }| {
            let command = by_hand.unwrap_or_default();
            removed(
                &path,
                format!("run `{command}` as root: its preset builds it for the kernel that is there now"),
            )
        }));
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

fn removed(what: &str, hint: String) -> Finding {
    Finding::fail(
        format!("the entry without passthrough starts {what}, whose modules were removed since"),
        hint,
    )
}
