//! netplan: it writes files for the other services at every boot.

use super::{Networking, files, text};
use crate::root::{ReadError, Root};

const FOLDERS: [&str; 4] = ["/etc/netplan", "/run/netplan", "/lib/netplan", "/usr/lib/netplan"];

pub(super) fn read(root: &Root, seen: &mut Networking) -> Result<(), ReadError> {
    for path in files(root, &FOLDERS, ".yaml")?.into_values() {
        let lines = text(root, &path)?.unwrap_or_default();
        if let Some(line) = lines.lines().find(|line| !is_usual(line)) {
            seen.for_any(&path, &format!("sets up interfaces by netplan (`{}`)", line.trim().escape_debug()));
        }
    }
    Ok(())
}

/// What a file has that only says who brings the network up.
fn is_usual(line: &str) -> bool {
    let line = line.split('#').next().unwrap_or_default().trim();
    ["", "---", "network:", "version: 2"].contains(&line) || line.starts_with("renderer:")
}
