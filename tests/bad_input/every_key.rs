//! Every key of the answers, wrong in every way that its type allows: made from the schema, so that no
//! key can be forgotten.

use std::fs;

use neuron_tests::keys::{Key, keys, schema};
use serde_json::{Value, json};

use super::{fails, ground};

/// Values of every type. What the schema of a key accepts among them is no mistake there.
fn values() -> [(&'static str, Value); 14] {
    [
        ("1", json!(1)),
        ("-1", json!(-1)),
        ("1.5", json!(1.5)),
        ("99999999999", json!(99_999_999_999_u64)),
        ("true", json!(true)),
        ("\"\"", json!("")),
        ("\"nonsense\"", json!("nonsense")),
        ("\"1\"", json!("1")),
        ("[]", json!([])),
        ("[1]", json!([1])),
        ("[\"nonsense\"]", json!(["nonsense"])),
        ("[[]]", json!([[]])),
        ("{}", json!({})),
        ("{ nonsense = 1 }", json!({ "nonsense": 1 })),
    ]
}

/// What a table is nothing without.
fn beside(key: &Key) -> bool {
    key.tables.last().is_some_and(|table| table == "disk") && key.name != "path"
}

/// A file with this value for a key, and the number of its line.
fn file(key: &Key, value: &str) -> (String, usize) {
    if key.tables.is_empty() {
        return (format!("# Wrong on the second line.\n{} = {value}\n", key.name), 2);
    }
    let beside = if beside(key) { "path = \"/a\"\n" } else { "" };
    let head = format!("schema = 1\n[{}]\n{beside}", key.tables.join("."));
    let line = head.lines().count() + 1;
    (format!("{head}{} = {value}\n", key.name), line)
}

/// The document that such a file is.
fn document(key: &Key, value: &Value) -> Value {
    let mut inner = json!({ key.name.clone(): value });
    if beside(key) {
        inner["path"] = json!("/a");
    }
    key.tables.iter().rev().fold(inner, |inner, table| json!({ table.clone(): inner }))
}

#[test]
fn the_keys_are_all_there() {
    let paths: Vec<String> = keys().unwrap().iter().map(Key::path).collect();
    for path in ["schema", "passthrough.mode", "vm", "vm.x.kind", "vm.x.disk.size_gib", "vm.x.network.bridge"]
    {
        assert!(paths.iter().any(|one| one == path), "{path}: {paths:?}");
    }
    assert!(paths.len() > 45, "{}: {paths:?}", paths.len());
}

#[test]
fn every_key_says_what_is_wrong_where_and_what_would_be_right() {
    let ground = ground("arch-grub");
    let given = ground.beside("answers.toml");
    let path = given.display().to_string();
    let schema = jsonschema::draft202012::new(&schema().unwrap()).unwrap();
    for key in keys().unwrap() {
        let mut wrong = 0;
        for (text, value) in values() {
            if schema.is_valid(&document(&key, &value)) {
                continue;
            }
            wrong += 1;
            let (file, line) = file(&key, text);
            fs::write(&given, &file).unwrap();
            let output = fails(&ground, &["validate", &path], 2, &[&path, &format!("line {line}"), "hint:"]);
            // A table of any name is itself a key that can be wrong.
            let names = [key.name.as_str(), "nonsense"].map(|name| format!("`{name}`"));
            assert!(names.iter().any(|name| output.stderr.contains(name)), "{file}{}", output.stderr);
        }
        assert!(wrong >= 6, "{}: of {} values the schema calls {wrong} wrong", key.path(), values().len());
    }
}

/// A key that is not known is named with the near one, in every table.
#[test]
fn every_key_is_suggested_where_a_letter_is_missing() {
    let ground = ground("arch-grub");
    let given = ground.beside("answers.toml");
    let path = given.display().to_string();
    for key in keys().unwrap().into_iter().filter(|key| key.name.len() > 4) {
        let misspelt = Key { name: key.name[..key.name.len() - 1].to_owned(), ..key.clone() };
        let (file, line) = file(&misspelt, "1");
        fs::write(&given, &file).unwrap();
        let words = [
            path.clone(),
            format!("line {line}"),
            format!("`{}`", misspelt.name),
            format!("did you mean `{}`?", key.name),
        ];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        fails(&ground, &["validate", &path], 2, &words);
    }
}
