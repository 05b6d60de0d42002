//! How the machine reaches the network.

use super::FactsError;
use crate::root::{ReadError, Root};

/// The interface of the default route; `None` when there is none.
///
/// `/proc/net/route` has a line for each route: interface, destination and gateway in hexadecimal,
/// flags, and more behind; the default route's destination and mask are 0. Source: the kernel's
/// `net/ipv4/fib_trie.c`.
pub fn default_interface(root: &Root) -> Result<Option<String>, FactsError> {
    Ok(default_route(root)?)
}

pub(super) fn default_route(root: &Root) -> Result<Option<String>, ReadError> {
    let Some(text) = root.read_head("proc/net/route", 1 << 16)? else { return Ok(None) };
    let default = text.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields.as_slice() {
            [interface, "00000000", _, _, _, _, _, "00000000", ..] => Some((*interface).to_owned()),
            _ => None,
        }
    });
    Ok(default)
}

/// Whether there is a bridge of this name; `None` when the machine does not list its interfaces.
pub fn is_bridge(root: &Root, name: &str) -> Result<Option<bool>, FactsError> {
    const INTERFACES: &str = "/sys/class/net";
    // Without this, a name like `..` would lead elsewhere.
    match root.list(INTERFACES)? {
        None => Ok(None),
        Some(names) if names.iter().any(|there| there == name) => {
            Ok(Some(root.exists(&format!("{INTERFACES}/{name}/bridge"))?))
        }
        Some(_) => Ok(Some(false)),
    }
}
