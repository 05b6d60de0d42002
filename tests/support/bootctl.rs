//! Entries of systemd-boot, told by systemd's own parser.

use std::io;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::left_out;
use crate::readers::{in_own_mounts, output};

/// bootctl wants the boot partition to be a file system: it becomes one, in memory, in a mount
/// namespace of its own.
const LIST: &str = r#"
boot=$(mktemp -d)
mount -t tmpfs none "$boot"
cp -R "$1/." "$boot/"
SYSTEMD_RELAX_ESP_CHECKS=1 bootctl --esp-path="$boot" --json=short list
umount "$boot"
rmdir "$boot"
"#;

/// The options of every type 1 entry by its file's name, in the order of the menu.
pub fn list(boot: &Path) -> io::Result<Vec<(String, String)>> {
    let (good, said, error) = in_own_mounts(LIST, boot)?;
    if !good {
        let text = format!("bootctl (package systemd-boot or systemd-boot-tools) failed: {error}");
        return Err(io::Error::other(text));
    }
    let type_1 = |entry: &Value| {
        let id = entry["id"].as_str().filter(|id| id.contains(".conf"))?;
        Some((id.to_owned(), entry["options"].as_str().unwrap_or_default().to_owned()))
    };
    Ok(documents(&said)?.iter().filter_map(type_1).collect())
}

/// systemd 252 prints one document an entry, later ones an array.
fn documents(said: &str) -> io::Result<Vec<Value>> {
    let mut found = Vec::new();
    for document in serde_json::Deserializer::from_str(said).into_iter::<Value>() {
        match document? {
            Value::Array(entries) => found.extend(entries),
            entry => found.push(entry),
        }
    }
    Ok(found)
}

/// Debian 12 has bootctl only in a package that would install a boot loader on a machine with UEFI.
///
/// # Panics
///
/// Where it is missing and could be installed.
#[must_use]
pub fn is_there() -> bool {
    let found = output(Command::new("bootctl").arg("--version"), "systemd-boot").is_ok();
    if !found {
        assert!(
            Path::new("/sys/firmware/efi").exists(),
            "no bootctl: package systemd-boot-tools or systemd-boot"
        );
        left_out::tell("this machine has no bootctl, systemd's own parser");
    }
    found
}
