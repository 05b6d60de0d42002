use std::process::Command;

use proptest::prelude::*;

use super::*;
use crate::text::block;

const DEBIAN: &str = "# If you change this file, run update-grub\nGRUB_DEFAULT=0\nGRUB_TIMEOUT=5\n\
                      GRUB_CMDLINE_LINUX_DEFAULT=\"quiet splash\" # here\nGRUB_CMDLINE_LINUX=\"\"\n";

fn ours() -> Vec<String> {
    vec!["intel_iommu=on".to_owned(), "iommu=pt".to_owned()]
}

/// What sh makes of the text: both halves, as tokens.
fn sourced(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("grub");
    std::fs::write(&file, text).unwrap();
    let script = format!(". '{}'; printf '%s %s' \"${LINUX}\" \"${DEFAULT}\"", file.display());
    let output =
        Command::new("sh").arg("-c").arg(script).env_remove(LINUX).env_remove(DEFAULT).output().unwrap();
    assert!(output.status.success(), "{text}\n{output:?}");
    let line = String::from_utf8(output.stdout).unwrap();
    command_line::tokens(&line).map(str::to_owned).collect()
}

#[test]
fn every_form_gets_the_parameters() {
    for (text, edited) in [
        (DEBIAN, true),
        ("GRUB_CMDLINE_LINUX_DEFAULT='quiet'\n", true),
        ("GRUB_CMDLINE_LINUX_DEFAULT='quiet'", true),
        ("GRUB_CMDLINE_LINUX_DEFAULT=''\n", true),
        ("export GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n", true),
        ("  GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"; A=1\n", true),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"old\"\nGRUB_CMDLINE_LINUX_DEFAULT='quiet'\n", true),
        ("A=1\r\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\r\n", true),
        ("GRUB_CMDLINE_LINUX_DEFAULT=quiet\n", false),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\n", false),
        ("", false),
        ("#GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n", false),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"quiet \\\nsplash\"\n", false),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"a=\\\"b c\\\"\"", false),
        ("GRUB_CMDLINE_LINUX_DEFAULT='a'\"b\"\n", false),
        ("A=x\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet $A\"\n", false),
        ("GRUB_CMDLINE_LINUX_DEFAULT=\"$(echo quiet)\"\n", false),
        ("GRUB_CMDLINE_LINUX_DEFAULT=`echo quiet`\n", false),
        ("GRUB_CMDLINE_LINUX_DEFAULT='quiet'\nif true; then GRUB_CMDLINE_LINUX_DEFAULT='x'; fi\n", false),
        (
            "GRUB_CMDLINE_LINUX_DEFAULT='quiet'\nGRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT x\"",
            false,
        ),
        ("GRUB_CMDLINE_LINUX_DEFAULT='quiet'\nGRUB_CMDLINE_LINUX_DEFAULT='other' true\n", true),
        ("GRUB_CMDLINE_LINUX_DEFAULT='a=\"b c\"'\n", true),
    ] {
        let after = set_parameters(text, &ours()).unwrap();
        let mut wanted = sourced(text);
        wanted.extend(ours());
        assert_eq!(sourced(&after), wanted, "{text:?} -> {after:?}");
        assert_eq!(block::body(&after).is_none(), edited, "{after}");
        assert_eq!(set_parameters(&after, &ours()).unwrap(), after);
        assert_eq!(remove_parameters(&after, &ours()).unwrap(), text);
    }
}

#[test]
fn quotes_comments_and_line_ends_are_kept() {
    let after = set_parameters(DEBIAN, &ours()).unwrap();
    assert_eq!(after, DEBIAN.replace("quiet splash", "quiet splash intel_iommu=on iommu=pt"));
    let text = "A=1\r\nGRUB_CMDLINE_LINUX_DEFAULT='quiet'\r\n";
    assert_eq!(
        set_parameters(text, &ours()).unwrap(),
        "A=1\r\nGRUB_CMDLINE_LINUX_DEFAULT='quiet intel_iommu=on iommu=pt'\r\n"
    );
}

#[test]
fn the_block_is_readable_and_grows_in_place() {
    let text = "GRUB_TIMEOUT=5";
    let after = set_parameters(text, &["iommu=pt".to_owned()]).unwrap();
    assert_eq!(
        after,
        "GRUB_TIMEOUT=5\n# >>> neuron-provisioner (the line above had no end)\n\
         GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT iommu=pt\"\n# <<< neuron-provisioner\n"
    );
    let more = set_parameters(&after, &ours()).unwrap();
    assert_eq!(more, after.replace("iommu=pt", "iommu=pt intel_iommu=on"));
    let less = remove_parameters(&more, &["iommu=pt".to_owned()]).unwrap();
    assert_eq!(sourced(&less), ["intel_iommu=on"]);
    assert_eq!(remove_parameters(&less, &ours()).unwrap(), text);
}

#[test]
fn what_the_other_half_says_is_not_said_again() {
    let archinstall =
        "GRUB_CMDLINE_LINUX_DEFAULT=\"loglevel=3\"\nGRUB_CMDLINE_LINUX=\"rw intel_iommu=on,sm_on\"\n";
    let after = set_parameters(archinstall, &ours()).unwrap();
    assert_eq!(sourced(&after), ["rw", "intel_iommu=on,sm_on", "loglevel=3", "iommu=pt"]);

    // The other half contradicts: ours comes later and counts.
    let text = "GRUB_CMDLINE_LINUX='intel_iommu=off'\nGRUB_CMDLINE_LINUX_DEFAULT='quiet'\n";
    let after = set_parameters(text, &ours()).unwrap();
    assert_eq!(sourced(&after), ["intel_iommu=off", "quiet", "intel_iommu=on", "iommu=pt"]);

    // Said in the first half, undone in the second.
    let text = "GRUB_CMDLINE_LINUX='intel_iommu=on'\nGRUB_CMDLINE_LINUX_DEFAULT='intel_iommu=off'\n";
    let after = set_parameters(text, &["intel_iommu=on".to_owned()]).unwrap();
    assert_eq!(sourced(&after), ["intel_iommu=on", "intel_iommu=on"]);
}

#[test]
fn a_block_that_calamares_rewrote_still_works() {
    let text = set_parameters("GRUB_TIMEOUT=5\n", &ours()).unwrap();
    let rewritten = text.replace("\"$GRUB", "\"quiet $GRUB");
    assert_eq!(set_parameters(&rewritten, &ours()).unwrap(), rewritten);
    let less = remove_parameters(&rewritten, &ours()).unwrap();
    assert_eq!(sourced(&less), ["quiet"]);
}

#[test]
fn what_sh_cannot_parse_is_refused_with_its_line() {
    let error = set_parameters("A=1\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\n", &ours()).unwrap_err();
    assert_eq!(error.line, Some(2));
    assert_eq!(set_parameters("A=1 \\\n", &ours()).unwrap_err().line, Some(1));
    let error =
        set_parameters("GRUB_CMDLINE_LINUX='x'\nGRUB_CMDLINE_LINUX_DEFAULT='a=\"b'\n", &ours()).unwrap_err();
    assert_eq!((error.line, error.value.as_str()), (Some(2), DEFAULT));
    assert!(set_parameters(DEBIAN, &["a'b".to_owned()]).is_err());
    assert!(remove_parameters("A='", &ours()).is_err());
}

#[test]
fn both_halves_are_read() {
    let line =
        command_line("GRUB_CMDLINE_LINUX=a\nGRUB_CMDLINE_LINUX+=' b'\nGRUB_CMDLINE_LINUX_DEFAULT=$X\n")
            .unwrap();
    assert_eq!(line.linux, Setting::Literal("a b".to_owned()));
    assert_eq!(line.linux_default, Setting::Computed(String::new()));
    assert_eq!(line.known(), "a b");
    assert_eq!(command_line("").unwrap().linux, Setting::Unset);
}

#[test]
fn the_default_entry_comes_and_goes() {
    for (before, after) in [
        ("GRUB_DEFAULT=0\nA=1\n", "GRUB_DEFAULT=neuron-host\nA=1\n"),
        ("GRUB_DEFAULT='saved' # mine\n", "GRUB_DEFAULT='neuron-host' # mine\n"),
        (
            "A=1",
            "A=1\n# >>> neuron-provisioner (the line above had no end)\nGRUB_DEFAULT=neuron-host\n# <<< neuron-provisioner\n",
        ),
        (
            "GRUB_DEFAULT=$X\n",
            "GRUB_DEFAULT=$X\n# >>> neuron-provisioner\nGRUB_DEFAULT=neuron-host\n# <<< neuron-provisioner\n",
        ),
    ] {
        let set = set_default_entry(before, "neuron-host").unwrap();
        assert_eq!(set, after);
        assert_eq!(default_entry(&set).unwrap().known(), "neuron-host");
        assert_eq!(set_default_entry(&set, "neuron-host").unwrap(), set);
        assert_eq!(unset_default_entry(&set, before, "neuron-host").unwrap(), before);
        let theirs = set.replace("neuron-host\n", "2\n");
        if theirs != set {
            assert_eq!(unset_default_entry(&theirs, before, "neuron-host").unwrap(), theirs);
        }
        let with_both = set_parameters(&set, &ours()).unwrap();
        assert_eq!(default_entry(&with_both).unwrap().known(), "neuron-host", "{with_both}");
        let without = remove_parameters(&with_both, &ours()).unwrap();
        assert_eq!(without, set);
    }
    assert!(set_default_entry("A='", "neuron-host").is_err());
    assert_eq!(value("A=1\nB=$A\n", "A").as_deref(), Some("1"));
    assert_eq!((value("A=1\nB=$A\n", "B"), value("", "A")), (None, None));
}

fn grub_default() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        "\"[a-c =]{0,6}\"",
        "'[a-c =]{0,6}'",
        "[a-c=]{0,4}",
        "\"[ab ]{0,3}(\\$GRUB_CMDLINE_LINUX_DEFAULT|\\$\\(echo z\\)|x=\\\\\"y z\\\\\")[ab ]{0,3}\"",
        Just("\"intel_iommu=off a\"".to_owned()),
    ];
    let name = prop_oneof![
        Just("GRUB_CMDLINE_LINUX_DEFAULT="),
        Just("#GRUB_CMDLINE_LINUX_DEFAULT="),
        Just("export GRUB_CMDLINE_LINUX_DEFAULT="),
        Just("GRUB_CMDLINE_LINUX="),
        Just("GRUB_TIMEOUT="),
    ];
    let line = (name, value, prop_oneof![Just("\n"), Just(" # x\n"), Just("\n\n")]);
    (proptest::collection::vec(line, 0..5), any::<bool>()).prop_map(|(lines, end)| {
        let text: String = lines.into_iter().map(|(name, value, end)| [name, &value, end].concat()).collect();
        if end { text } else { text.trim_end_matches('\n').to_owned() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn sh_sees_the_parameters_and_everything_else(text in grub_default()) {
        // Another variable that copies ours changes with it, in words of its own.
        prop_assume!(!text.lines().any(|line| line.contains('$') && !line.contains("DEFAULT=")));
        let after = set_parameters(&text, &ours()).unwrap();
        let (before_tokens, after_tokens) = (sourced(&text), sourced(&after));
        let joined = after_tokens.join(" ");
        for token in ours() {
            prop_assert!(command_line::has(&joined, &token), "{} lacks {}", after, token);
        }
        let foreign = |tokens: Vec<String>| -> Vec<_> {
            tokens.into_iter().filter(|token| !token.contains("iommu")).collect()
        };
        prop_assert_eq!(foreign(before_tokens), foreign(after_tokens));
        prop_assert_eq!(set_parameters(&after, &ours()).unwrap(), after.clone());
        if !text.contains("iommu") {
            prop_assert_eq!(remove_parameters(&after, &ours()).unwrap(), text);
        }
    }
}
