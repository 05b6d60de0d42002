//! `/etc/kernel/cmdline`: the command line that kernel-install writes into entries and that
//! mkinitcpio puts into a UKI. Lines are joined by spaces.
//!
//! A line that begins with `#` is a comment to mkinitcpio (`grep '^[^#]'` in `build_uki`); a
//! kernel-install whose `90-loaderentry.install` runs only `tr` would put it on the command line,
//! which [`comments`] lets a caller say.

use super::lines::{Line, lines};
use super::{TextError, command_line};

fn is_comment(line: &Line<'_>) -> bool {
    line.text.starts_with('#')
}

/// The lines that hold parameters.
fn filled(text: &str) -> Vec<Line<'_>> {
    lines(text).filter(|line| !is_comment(line) && !line.text.trim().is_empty()).collect()
}

/// The whole command line, its lines joined by a space.
pub fn command_line(text: &str) -> String {
    filled(text).iter().map(|line| line.text.trim()).collect::<Vec<_>>().join(" ")
}

/// The numbers of the comment lines, counted from 1.
pub fn comments(text: &str) -> Vec<usize> {
    lines(text).filter(is_comment).map(|line| line.number).collect()
}

/// The text with these parameters set, new ones at the end of the last line that holds any.
///
/// An error is a text without parameters (it would boot without `root=`), or a parameter that
/// cannot be written plainly.
pub fn set_parameters(text: &str, parameters: &[String]) -> Result<String, TextError> {
    command_line::check(parameters)?;
    let known = command_line(text);
    if known.is_empty() {
        let why = "is missing: a command line without it does not boot; write down the present one first";
        return Err(TextError::whole("root=", why));
    }
    let missing: Vec<_> =
        parameters.iter().filter(|token| !command_line::has(&known, token)).cloned().collect();
    Ok(edited(text, |line| command_line::set(line, &missing)))
}

/// The text without these parameters, where they stand exactly so.
pub fn remove_parameters(text: &str, parameters: &[String]) -> String {
    edited(text, |line| command_line::remove(line, parameters))
}

/// Lets `edit` change all lines as one; a newline, white space to the kernel, keeps them apart.
fn edited(text: &str, edit: impl FnOnce(&str) -> String) -> String {
    let filled = filled(text);
    let joined = filled.iter().map(|line| line.text).collect::<Vec<_>>().join("\n");
    let changed = edit(&joined);
    let mut out = String::with_capacity(text.len() + 32);
    let mut from = 0;
    for (line, value) in filled.iter().zip(changed.split('\n')) {
        out.extend([&text[from..line.start], value]);
        from = line.start + line.text.len();
    }
    out + &text[from..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ours() -> Vec<String> {
        vec!["intel_iommu=on".to_owned(), "iommu=pt".to_owned()]
    }

    #[test]
    fn set_table() {
        for (before, after) in [
            ("root=UUID=1 rw\n", "root=UUID=1 rw intel_iommu=on iommu=pt\n"),
            ("root=UUID=1 rw", "root=UUID=1 rw intel_iommu=on iommu=pt"),
            (
                "# mine\nroot=UUID=1\n# end\nrw\n\n",
                "# mine\nroot=UUID=1\n# end\nrw intel_iommu=on iommu=pt\n\n",
            ),
            ("root=UUID=1\r\n", "root=UUID=1 intel_iommu=on iommu=pt\r\n"),
            ("iommu=off\nroot=UUID=1\nintel_iommu=off\n", "iommu=pt\nroot=UUID=1\nintel_iommu=on\n"),
            ("root=1 intel_iommu=off\nintel_iommu=off\n", "root=1 intel_iommu=on\niommu=pt\n"),
        ] {
            let set = set_parameters(before, &ours()).unwrap();
            assert_eq!(set, after, "{before:?}");
            assert_eq!(set_parameters(&set, &ours()).unwrap(), set);
        }
        assert_eq!(command_line("a  b\n#c\n\n d\n"), "a  b d");
        assert_eq!(comments("a\n#c\n #d\n"), [2]);
    }

    #[test]
    fn a_text_without_parameters_is_refused() {
        for text in ["", "\n", "# root=UUID=1\n"] {
            assert_eq!(set_parameters(text, &ours()).unwrap_err().value, "root=");
        }
        assert!(set_parameters("root=1", &["a\"".to_owned()]).is_err());
    }

    /// What mkinitcpio's `grep | tr` makes of the text.
    fn as_mkinitcpio_reads(text: &str) -> Vec<String> {
        let lines = text.split('\n').filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.flat_map(str::split_whitespace).map(str::to_owned).collect()
    }

    proptest! {
        #[test]
        fn in_and_out_again(text in "(#?[a-c= \t]{0,6}\r?\n){0,4}root=1( [a-c])?\n?(#[a-c ]{0,3})?") {
            prop_assume!(text.lines().any(|line| line.starts_with("root=1")));
            let after = set_parameters(&text, &ours()).unwrap();
            let mut wanted = as_mkinitcpio_reads(&text);
            wanted.extend(ours());
            prop_assert_eq!(as_mkinitcpio_reads(&after), wanted);
            prop_assert_eq!(set_parameters(&after, &ours()).unwrap(), after.clone());
            prop_assert_eq!(remove_parameters(&after, &ours()), text);
        }
    }
}
