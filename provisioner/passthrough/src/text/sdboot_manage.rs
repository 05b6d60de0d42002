//! `/etc/sdboot-manage.conf`: a piece of bash. `sdboot-manage` (of `CachyOS`) makes the entries of
//! systemd-boot anew for every kernel, with `LINUX_OPTIONS` behind the root that it finds itself.

use super::{TextError, shell_parameters};

pub use super::shell_parameters::Setting;

const OPTIONS: &str = "LINUX_OPTIONS";

/// What the options of every entry are. An error is a text that bash cannot parse either.
pub fn options(text: &str) -> Result<Setting, TextError> {
    shell_parameters::setting(text, OPTIONS)
}

/// The text with these parameters among the options, each only once.
///
/// An error is a text that bash cannot parse, or a parameter that cannot be written plainly.
pub fn set_parameters(text: &str, parameters: &[String]) -> Result<String, TextError> {
    let known = options(text)?;
    shell_parameters::set_parameters(text, OPTIONS, &[OPTIONS], known.known(), parameters)
}

/// The text without these parameters (where they stand exactly so), and without our block once it
/// holds nothing more.
pub fn remove_parameters(text: &str, parameters: &[String]) -> Result<String, TextError> {
    shell_parameters::remove_parameters(text, OPTIONS, parameters)
}

/// What keeps the entries that others made, and, where one of them is the default, what keeps
/// `loader.conf`: every new kernel would change both.
fn kept(is_default: bool) -> &'static [(&'static str, &'static str)] {
    let all = &[("PRESERVE_FOREIGN", "yes"), ("DEFAULT_ENTRY", "manual")];
    if is_default { all } else { &all[..1] }
}

/// The text with the settings under which an entry of ours stays (as the default, if it is to be).
///
/// An error is a text that bash cannot parse.
pub fn keep_foreign(text: &str, is_default: bool) -> Result<String, TextError> {
    kept(is_default)
        .iter()
        .try_fold(text.to_owned(), |text, (name, value)| shell_parameters::set_value(&text, name, value))
}

/// The first of those settings that is not in force.
///
/// An error is a text that bash cannot parse.
pub fn not_kept(text: &str, is_default: bool) -> Result<Option<&'static str>, TextError> {
    for (name, value) in kept(is_default) {
        if shell_parameters::setting(text, name)? != Setting::Literal((*value).to_owned()) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The text with what `original` had in the place of those settings.
///
/// An error is a text that bash cannot parse.
pub fn unkeep_foreign(text: &str, original: &str) -> Result<String, TextError> {
    kept(true).iter().try_fold(text.to_owned(), |text, (name, value)| {
        shell_parameters::unset_value(&text, original, name, value)
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn ours() -> Vec<String> {
        vec!["intel_iommu=on".to_owned(), "iommu=pt".to_owned()]
    }

    #[test]
    fn set_table() {
        for (before, after) in [
            (
                "# LINUX_OPTIONS=\"\"\nLINUX_OPTIONS=\"quiet splash\"\nENTRY_TITLE=\"x\"\n",
                "# LINUX_OPTIONS=\"\"\nLINUX_OPTIONS=\"quiet splash intel_iommu=on iommu=pt\"\nENTRY_TITLE=\"x\"\n",
            ),
            ("LINUX_OPTIONS=''\r\n", "LINUX_OPTIONS='intel_iommu=on iommu=pt'\r\n"),
            (
                "A=1\n",
                "A=1\n# >>> neuron-provisioner\nLINUX_OPTIONS=\"$LINUX_OPTIONS intel_iommu=on iommu=pt\"\n# <<< \
                 neuron-provisioner\n",
            ),
        ] {
            let set = set_parameters(before, &ours()).unwrap();
            assert_eq!(set, after);
            assert_eq!(set_parameters(&set, &ours()).unwrap(), set);
            assert_eq!(remove_parameters(&set, &ours()).unwrap(), before);
        }
        assert!(set_parameters("LINUX_OPTIONS=\"a\n", &ours()).is_err());
    }

    #[test]
    fn entries_of_others_are_kept() {
        for before in
            ["", "A=1\n", "PRESERVE_FOREIGN=\"no\"\nDEFAULT_ENTRY='latest'\n", "DEFAULT_ENTRY=oldest"]
        {
            let options = set_parameters(before, &ours()).unwrap();
            let kept = keep_foreign(&options, true).unwrap();
            assert_eq!(not_kept(&kept, true).unwrap(), None, "{kept}");
            assert_eq!(keep_foreign(&kept, true).unwrap(), kept);
            assert_eq!(set_parameters(&kept, &ours()).unwrap(), kept);
            assert_eq!(unkeep_foreign(&kept, before).unwrap(), options);
            let only_options = unkeep_foreign(&remove_parameters(&kept, &ours()).unwrap(), before).unwrap();
            assert_eq!(only_options, before);
        }
        assert_eq!(not_kept("PRESERVE_FOREIGN=yes\n", true).unwrap(), Some("DEFAULT_ENTRY"));
        assert_eq!(not_kept("PRESERVE_FOREIGN=yes\n", false).unwrap(), None);
        let changed = keep_foreign("", false).unwrap().replace("=yes", "=no");
        assert_eq!(unkeep_foreign(&changed, "").unwrap(), changed);
    }

    /// What bash has in the variable after it sourced the text.
    fn as_bash_reads(text: &str) -> Vec<String> {
        let script = "eval \"$1\"; printf %s \"${LINUX_OPTIONS-}\"";
        let done = Command::new("bash").args(["-c", script, "bash", text]).output().unwrap();
        assert!(done.status.success(), "{text:?}");
        String::from_utf8(done.stdout).unwrap().split_whitespace().map(str::to_owned).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn bash_reads_them(
            text in "((LINUX_OPTIONS(=|\\+=)(\"[a-c ]{0,5}\"|'[a-c ]{0,5}'|[a-c]{0,3}|\"\\$A [a-c]\")|A=[a-c]|#[a-c =]{0,4})\n){0,5}"
        ) {
            let mut wanted = as_bash_reads(&text);
            let after = set_parameters(&text, &ours()).unwrap();
            wanted.extend(ours());
            prop_assert_eq!(as_bash_reads(&after), wanted);
            prop_assert_eq!(set_parameters(&after, &ours()).unwrap(), after.clone());
            prop_assert_eq!(remove_parameters(&after, &ours()).unwrap(), text);
        }
    }
}
