use std::process::Command;

use proptest::prelude::*;

use super::*;

fn literals(text: &str) -> Vec<(usize, &str, bool, bool, Option<String>)> {
    assignments(text)
        .unwrap()
        .into_iter()
        .map(|a| {
            let literal = match a.value {
                Value::Word(word) => word.literal,
                Value::Array(words) => words
                    .into_iter()
                    .map(|word| word.literal)
                    .collect::<Option<Vec<_>>>()
                    .map(|items| items.join("|")),
            };
            (a.line, a.name, a.appends, a.alone, literal)
        })
        .collect()
}

#[test]
fn assignments_table() {
    let text = "# A=0\nA=1 # B=2\nexport B=\"x \\\"y\\\"\"\nC='s'\"d\"\\ e; D=$A\n\
                E+=(a 'b c' # no)\n\"d\")\nF=1 run\nrun G=2\nif true; then H=1; fi\ntrue && I=1\nJ=\\\nk\n\
                K=a#b\nL=\"$(echo \")\")\"\nM=(a{b,c})\nN=\"a\\\nb\"\nO=`x` P=\n\
                true &&\nQ=1\nf() {\nR=1\n}\n(S=1)\nT=1 | cat; T=1 &\nU=1";
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        literals(text),
        [
            (2, "A", false, true, some("1")),
            (3, "B", false, true, some("x \"y\"")),
            (4, "C", false, true, some("sd e")),
            (4, "D", false, true, None),
            (5, "E", true, true, some("a|b c|d")),
            (9, "H", false, false, some("1")),
            (10, "I", false, false, some("1")),
            (11, "J", false, true, some("k")),
            (13, "K", false, true, some("a#b")),
            (14, "L", false, true, None),
            (15, "M", false, true, None),
            (16, "N", false, true, some("ab")),
            (18, "O", false, true, None),
            (18, "P", false, true, some("")),
            (20, "Q", false, false, some("1")),
            (22, "R", false, false, some("1")),
            (24, "S", false, false, some("1")),
            (26, "U", false, true, some("1")),
        ]
    );
}

#[test]
fn what_is_never_closed_is_named_with_its_line() {
    for (text, line) in
        [("A=1\nB=\"x\n\n", 2), ("\nB='x", 2), ("B=$(x", 1), ("A=(\nb\n", 1), ("A=`b", 1), ("A=${b", 1)]
    {
        assert_eq!(assignments(text).unwrap_err().line, Some(line), "{text:?}");
    }
    assert_eq!(
        assignments("A=\"quiet\n").unwrap_err().to_string(),
        "line 1: `\"quiet` opens with a double quote that is never closed"
    );
}

fn script() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        "\"([a-c ]|\\\\\"|\\\\\\\\|\\\\a|'){0,5}\"",
        "'([a-c \"\\\\#]){0,5}'",
        "[a-c#]{0,3}(\\\\ )?('x y')?",
        Just("\"a$A\"".to_owned()),
        "\\$\\(echo [a-c]\\)",
    ];
    let line = (
        prop_oneof!["A=", "B=", "export A=", "# A="],
        value,
        prop_oneof![Just("\n"), Just("; "), Just(" # x\n")],
    );
    proptest::collection::vec(line, 0..5)
        .prop_map(|lines| lines.into_iter().map(|(head, value, end)| head + &value + end).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// The real shell agrees wherever we claim to know a value.
    #[test]
    fn sh_agrees_on_literal_values(script in script()) {
        let output = Command::new("sh").arg("-c").arg(format!("{script}\nprintf %s \"$A\"")).env_remove("A").output().unwrap();
        let found = assignments(&script);
        prop_assert_eq!(found.is_ok(), output.status.success(), "{:?} {:?}", script, output);
        let last = found.unwrap().into_iter().rev().find(|a| a.name == "A");
        match last.map(|a| a.value) {
            None => prop_assert_eq!(output.stdout, b""),
            Some(Value::Word(Word { literal: Some(literal), .. })) => {
                prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), literal);
            }
            Some(_) => {}
        }
    }

    #[test]
    fn no_text_panics(text in "[A=\"'\\\\$(){}`#; \r\na+é&|]{0,20}") {
        let _ = assignments(&text);
    }
}
