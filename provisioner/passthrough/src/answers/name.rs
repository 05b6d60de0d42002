//! The names of virtual machines: libvirt takes more, but names of files are made from them, and virsh has
//! to find the machine that is meant.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

/// What names are made of.
const FORM: &str = "^[A-Za-z0-9][A-Za-z0-9_.+-]{0,49}$";
/// virsh takes a number for the one of a machine that runs, and 32 hexadecimal digits, hyphens or not, for
/// a UUID, before it looks for a name: whoever types such a name there would reach another machine.
const SOMETHING_ELSE: &str = "^([0-9]+|-*([0-9A-Fa-f]-*){32})$";

static NAME: LazyLock<Option<[Regex; 2]>> =
    LazyLock::new(|| Some([Regex::new(FORM).ok()?, Regex::new(SOMETHING_ELSE).ok()?]));

/// Whether this can be the name of a virtual machine.
pub fn is_vm_name(name: &str) -> bool {
    NAME.as_ref().is_some_and(|[form, other]| form.is_match(name) && !other.is_match(name))
}

/// What can be the name of a virtual machine, for a person.
pub const VM_NAMES: &str =
    "use at most 50 letters, digits and _ . + -, a letter or digit first; no number alone, and no UUID";

/// The same for whoever checks a file with the schema.
pub(super) fn schema() -> Value {
    json!({ "pattern": FORM, "not": { "pattern": SOMETHING_ELSE } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_or_something_else_to_virsh_is_none() {
        for name in ["", "-a", ".a", "a b", "a/b", "..", "a'b", "a&b", "a\n", "<a>", "ä", &"a".repeat(51)] {
            assert!(!is_vm_name(name), "{name}");
        }
        for name in ["3", "007", "11111111-2222-4333-8444-555555555555", &"aB0".repeat(11)[..32]] {
            assert!(!is_vm_name(name), "{name}");
        }
        for name in ["win3", "3a", "11111111-2222-4333-8444-55555555555", &"ab0".repeat(11), "10.0", "a+b"] {
            assert!(is_vm_name(name), "{name}");
        }
    }
}
