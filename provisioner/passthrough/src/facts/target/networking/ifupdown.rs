//! ifupdown: it has the interfaces that its files name, whoever else is there. Anything but the loopback
//! counts: which cards an option of another interface means takes its own programs to know.

use super::{Networking, files, text};
use crate::root::{ReadError, Root};

const FILE: &str = "/etc/network/interfaces";
/// What the file as Debian has it brings in, and what that of its cloud images does.
const FOLDERS: [&str; 2] = ["/etc/network/interfaces.d", "/run/network/interfaces.d"];

pub(super) fn read(root: &Root, seen: &mut Networking) -> Result<(), ReadError> {
    let mut paths = vec![FILE.to_owned()];
    for folder in FOLDERS {
        paths.extend(files(root, &[folder], "")?.into_values());
    }
    for path in paths {
        let lines = text(root, &path)?.unwrap_or_default();
        if let Some(line) = lines.lines().find(|line| !is_usual(line)) {
            seen.for_any(
                &path,
                &format!("sets up interfaces by ifupdown (`{}`)", line.trim().escape_debug()),
            );
        }
    }
    Ok(())
}

fn is_usual(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        [] | ["auto" | "allow-hotplug", "lo"] | ["iface", "lo", "inet" | "inet6", "loopback"] => true,
        ["source", path] => FOLDERS.iter().any(|folder| *path == format!("{folder}/*")),
        ["source-directory", path] => FOLDERS.contains(path),
        [first, ..] => first.starts_with('#'),
    }
}
