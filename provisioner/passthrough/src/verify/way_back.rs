//! Whether the entry without passthrough would come up.

use super::Finding;
use super::disk::asked;
use super::seen::Seen;
use crate::bootloader;

pub(super) fn way_back(seen: &Seen<'_>) -> Vec<Finding> {
    asked(seen, |target| {
        let lost: Vec<&str> = bootloader::lost(target).collect();
        vec![if lost.is_empty() {
            Finding::pass("no kernel that is kept for the entry without passthrough lost its modules")
        } else {
            Finding::fail(
                format!(
                    "the entry without passthrough starts {}, whose modules were removed since",
                    lost.join(", ")
                ),
                format!("{}: it keeps the kernel that is there now", seen.apply()),
            )
        }]
    })
}
