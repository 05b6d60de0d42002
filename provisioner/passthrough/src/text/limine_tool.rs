//! What `limine-entry-tool` makes kernel command lines from: `KERNEL_CMDLINE[name]=` and `+=` in
//! `/etc/default/limine` and its drop-ins.
//!
//! The tool reads the files in layers and takes the lines in order: `=` begins anew, `+=` adds, and
//! nothing is put between. `default` serves every kernel that has no name of its own. Once any
//! layer says something, `/etc/kernel/cmdline` counts no more.

use super::lines::lines;
use super::{TextError, command_line};

const VARIABLE: &str = "KERNEL_CMDLINE[";

/// One assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment<'a> {
    /// The kernel's name, or `default`.
    pub name: &'a str,
    /// Counted from 1.
    pub line: usize,
    /// `+=`.
    pub appends: bool,
    /// What it says, without quotes.
    pub value: &'a str,
}

/// The assignments of a text, in order.
pub fn assignments(text: &str) -> impl Iterator<Item = Assignment<'_>> {
    lines(text).filter_map(|line| {
        let (name, rest) = line.text.trim().strip_prefix(VARIABLE)?.split_once(']')?;
        let rest = rest.trim_start();
        let (appends, value) = match rest.strip_prefix("+=") {
            Some(value) => (true, value),
            None => (false, rest.strip_prefix('=')?),
        };
        let value = value.trim();
        let inner = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.split(quote).next());
        let name = name.trim().trim_matches(['"', '\'']);
        Some(Assignment { name, line: line.number, appends, value: inner.unwrap_or(value) })
    })
}

/// What the layers together say for a kernel's name; `None` when no layer says anything.
pub fn command_line(layers: &[&str], name: &str) -> Option<String> {
    let mut line = None;
    for one in layers.iter().flat_map(|text| assignments(text)).filter(|one| one.name == name) {
        let before = if one.appends { line.unwrap_or_default() } else { String::new() };
        line = Some(before + one.value);
    }
    line
}

/// Lines that add these parameters, each name's own, to what the layers say; empty for nothing.
///
/// An error is a parameter that cannot be written plainly.
pub fn additions(missing: &[(&str, Vec<String>)]) -> Result<String, TextError> {
    let mut out = String::new();
    for (name, tokens) in missing.iter().filter(|(_, tokens)| !tokens.is_empty()) {
        command_line::check(tokens)?;
        // Nothing stands between two values but what they bring along, on either side: CachyOS's own
        // line begins without a blank.
        out.extend([VARIABLE, *name, "]+=\" ", &tokens.join(" "), " \"\n"]);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn layers_add_up() {
        let base = "# KERNEL_CMDLINE[default]=\"no\"\nESP_PATH=\"/boot\"\nKERNEL_CMDLINE[default]+=\"root=UUID=1 \
                    rw\"\r\n  KERNEL_CMDLINE[\"linux-lts\"] = 'root=UUID=1'\n";
        let more = "KERNEL_CMDLINE[default]+=\" quiet\"\n";
        assert_eq!(command_line(&[base, more], "default").as_deref(), Some("root=UUID=1 rw quiet"));
        assert_eq!(command_line(&[more, base], "default").as_deref(), Some(" quietroot=UUID=1 rw"));
        assert_eq!(command_line(&[base, more], "linux-lts").as_deref(), Some("root=UUID=1"));
        assert_eq!(command_line(&[base, more], "linux"), None);
        let anew = "KERNEL_CMDLINE[default]=x\n";
        assert_eq!(command_line(&[base, more, anew], "default").as_deref(), Some("x"));
        assert_eq!(assignments(base).map(|one| one.line).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn additions_are_lines_of_their_own() {
        let missing = [
            ("default", vec!["a=1".to_owned(), "b".to_owned()]),
            ("x", vec![]),
            ("lts", vec!["b".to_owned()]),
        ];
        let text = "KERNEL_CMDLINE[default]+=\" a=1 b \"\nKERNEL_CMDLINE[lts]+=\" b \"\n";
        assert_eq!(additions(&missing).unwrap(), text);
        assert!(additions(&[("default", vec!["a\"b".to_owned()])]).is_err());
        assert_eq!(additions(&[]).unwrap(), "");
    }

    proptest! {
        #[test]
        fn what_is_added_is_there_and_nothing_is_lost(base in "[a-c=]{1,5}( [a-c]{1,3}){0,3} ?") {
            let layer = format!("KERNEL_CMDLINE[default]=\"{base}\"\n");
            let ours = vec!["intel_iommu=on".to_owned()];
            let added = additions(&[("default", ours)]).unwrap();
            let whole = command_line(&[&layer, &added], "default").unwrap();
            let mut wanted: Vec<&str> = base.split_whitespace().collect();
            wanted.push("intel_iommu=on");
            prop_assert_eq!(whole.split_whitespace().collect::<Vec<_>>(), wanted);
            let behind = "KERNEL_CMDLINE[default]+=\"quiet\"\n";
            let whole = command_line(&[&layer, &added, behind], "default").unwrap();
            prop_assert!(whole.split_whitespace().any(|word| word == "intel_iommu=on"));
        }
    }
}
