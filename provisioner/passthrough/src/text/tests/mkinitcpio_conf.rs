use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

type Row = (String, usize, Form, bool, Option<Vec<String>>);

fn items(text: &str) -> Vec<Row> {
    assignments(text).unwrap().into_iter().map(|a| (a.variable, a.line, a.form, a.appends, a.items)).collect()
}

/// What bash has in `MODULES`, made an array as mkinitcpio does it.
fn sourced(parts: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("conf");
    std::fs::write(&file, parts.concat()).unwrap();
    let script = format!(
        "set -f; . '{}' || exit 1; [[ ${{MODULES@a}} != *a* ]] && IFS=' ' read -r -a MODULES <<<\"$MODULES\"; \
         printf '%s\\n' \"${{MODULES[@]}}\"",
        file.display()
    );
    let output = Command::new("bash").arg("-c").arg(script).env_remove("MODULES").output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().filter(|l| !l.is_empty()).map(str::to_owned).collect()
}

/// What we say that bash has: only for texts whose assignments are all literal.
fn predicted(text: &str) -> Vec<String> {
    let mut now = Vec::new();
    for assignment in assignments(text).unwrap().into_iter().filter(|a| a.variable == "MODULES") {
        if !assignment.appends {
            now.clear();
        }
        now.extend(assignment.items.unwrap());
    }
    now
}

#[test]
fn forms_and_lines() {
    let text = "# MODULES=(no)\nMODULES=(a\n  b # not c\n  \"d\" 'e'\n)\nHOOKS=(base udev)\nMODULES+=(f)\n\
                MODULES=\"g h\"\nMODULES=(vfio_pci \"${MODULES[@]}\")\nFILES=(x)\n";
    let list = |items: &[&str]| Some(items.iter().map(ToString::to_string).collect::<Vec<_>>());
    let (modules, hooks) = ("MODULES".to_owned(), "HOOKS".to_owned());
    assert_eq!(
        items(text),
        [
            (modules.clone(), 2, Form::Array, false, list(&["a", "b", "d", "e"])),
            (hooks, 6, Form::Array, false, list(&["base", "udev"])),
            (modules.clone(), 7, Form::Array, true, list(&["f"])),
            (modules.clone(), 8, Form::Text, false, list(&["g", "h"])),
            (modules, 9, Form::Array, false, None),
        ]
    );
    assert!(assignments("if true; then MODULES=(a); fi\n").unwrap()[0].conditional);
    assert_eq!(assignments("HOOKS=(a)\nMODULES=(a\n").unwrap_err().line, Some(2));
}

#[test]
fn bash_agrees() {
    for text in [
        "MODULES=(a\n b # c\n 'd'\n)\n",
        "MODULES=\"a b\"\n",
        "MODULES=''\n",
        "MODULES=()\nMODULES+=(a b)\n",
        "MODULES=(a \\\n b)",
        "MODULES=(a module?)\r\n",
        "#MODULES=(a)\nMODULES=(\"a\" b'c')\n",
    ] {
        let text = text.replace("\r\n", "\n");
        assert_eq!(sourced(&[&text]), predicted(&text), "{text:?}");
    }
}

#[test]
fn bash_shows_why_the_form_matters() {
    let prepend = "\nMODULES=(vfio_pci \"${MODULES[@]}\")\n";
    assert_eq!(sourced(&["MODULES=(a b)", prepend]), ["vfio_pci", "a", "b"]);
    assert_eq!(sourced(&["MODULES=\"a b\"", prepend]), ["vfio_pci", "a b"]);
    let text = super::super::block::append_block("MODULES=(a)", prepend);
    assert_eq!(sourced(&[&text]), ["vfio_pci", "a"]);
}

fn by_sort(names: &[String]) -> Vec<String> {
    let mut child = Command::new("sort")
        .args(["-V", "-s"])
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all((names.join("\n") + "\n").as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn drop_ins_sort_by_version() {
    assert!(sorts_before("10-chwd.conf", "90-vfio.conf"));
    assert!(sorts_before("9-z.conf", "10-a.conf"));
    assert!(sorts_before("99-z.conf", "archiso.conf"));
    assert!(sorts_before("Z.conf", "a.conf"));
    assert!(!sorts_before("1.conf", "01.conf") && !sorts_before("01.conf", "1.conf"));
    assert!(!sorts_before("a.conf", "a.conf"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_order_is_that_of_sort(
        mut names in proptest::collection::vec("[ab0-2~_Z-][ab0-2.~_Z-]{0,5}(\\.conf)?|(0|1|9|10|99|100)-?[a-c]{0,2}\\.conf", 1..12)
    ) {
        let sorted = by_sort(&names);
        names.sort_by(|a, b| version_order(a, b));
        prop_assert_eq!(names, sorted);
    }
}
