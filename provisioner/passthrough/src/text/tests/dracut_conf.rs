use std::process::Command;

use proptest::prelude::*;

use super::*;

fn known(text: &str) -> Held {
    Held::Known(text.to_owned())
}

/// What bash has in a variable after these texts, each sourced as a file of its own.
fn sourced(texts: &[&str], variable: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        files.push(folder.path().join(index.to_string()));
        std::fs::write(&files[index], text).unwrap();
    }
    let script = format!("for file; do . \"$file\"; done; printf %s \"${variable}\"");
    let mut bash = Command::new("bash");
    let output = bash.args(["-c", &script, "bash"]).args(files).env_remove(variable).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn settings_are_found_where_they_stand() {
    let text = "# head\nforce_drivers+=\" nvidia  nouveau \"\nuefi=yes # ours\n\n[[ $x ]] && hostonly='no'\n\
                omit_drivers=\"$mine x\"\nadd_dracutmodules=(a 'b c')\n";
    let found = settings(text).unwrap();
    let row = |s: &Setting| (s.variable.clone(), s.line, s.appends, s.conditional, s.value.clone());
    let value = |text: &str| Some(text.to_owned());
    assert_eq!(
        found.iter().map(row).collect::<Vec<_>>(),
        [
            ("force_drivers".to_owned(), 2, true, false, value(" nvidia  nouveau ")),
            ("uefi".to_owned(), 3, false, false, value("yes")),
            ("hostonly".to_owned(), 5, false, true, value("no")),
            ("omit_drivers".to_owned(), 6, false, false, None),
            ("add_dracutmodules".to_owned(), 7, false, false, value("a b c")),
        ]
    );
    assert_eq!(found[0].words().collect::<Vec<_>>(), ["nvidia", "nouveau"]);
    assert_eq!(found[3].words().count(), 0);
    assert_eq!(settings("a=b\nforce_drivers+=\" x").unwrap_err().line, Some(2));
}

#[test]
fn what_is_held_follows_the_order_of_the_texts() {
    for (texts, wanted) in [
        (&[][..], known("")),
        (&["x=\"a\"", "x+=\" b \""], known("a b ")),
        (&["x+=\"a\"", "x=\"b\""], known("b")),
        (&["x=\"$(cat /proc/cmdline)\"", "y=1"], Held::Computed(0, 1)),
        (&["x=\"$(cat /proc/cmdline)\"", "\nx+=\" b\""], Held::Computed(0, 1)),
        (&["x=\"$(cat /proc/cmdline)\"", "x=b"], known("b")),
        (&["x=a", "if true; then\nx=b\nfi"], Held::Computed(1, 2)),
        // dracut goes on without a file that bash cannot read.
        (&["x=a", "x=\"never closed"], known("a")),
    ] {
        assert_eq!(held(texts.iter().copied(), "x"), wanted, "{texts:?}");
    }
}

#[test]
fn parameters_are_left_out_where_the_switch_is() {
    let parameters = ["intel_iommu=on".to_owned(), "iommu=pt".to_owned()];
    let ours = command_line_unless("neuron.passthrough=off", &parameters).unwrap();
    for (before, wanted) in [
        ("kernel_cmdline='root=a rw'", "root=a rw intel_iommu=on iommu=pt "),
        ("kernel_cmdline='root=a rw'\nkernel_cmdline_l=('quiet')", "root=a rw intel_iommu=on iommu=pt "),
        (
            "kernel_cmdline='root=a rw'\nkernel_cmdline_l=('neuron.passthrough=off vfio-pci.ids=')",
            "root=a rw",
        ),
    ] {
        assert_eq!(sourced(&[before, &ours], "kernel_cmdline"), wanted, "{before}");
    }
    assert!(command_line_unless("x", &["a=\"b c\"$(d)".to_owned()]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn bash_agrees(
        texts in prop::collection::vec("((x|y)\\+?=(a|'b  c'|\" d \"|e\\\\ f)\n|# x=z\n|\n){0,4}", 1..4)
    ) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        prop_assert_eq!(held(texts.iter().copied(), "x"), known(&sourced(&texts, "x")));
    }

    #[test]
    fn nothing_panics(text in ".{0,80}") {
        let _ = settings(&text);
        let _ = held([text.as_str()], "x");
    }
}
