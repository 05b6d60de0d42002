//! The keys of the answers, out of their schema: a new one cannot be forgotten by a test that asks here.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use serde_json::Value;

/// A key: the tables above it, and its name. A table of any name is called `x`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The tables, from the top.
    pub tables: Vec<String>,
    /// The name.
    pub name: String,
}

impl Key {
    /// All of it, with dots between.
    pub fn path(&self) -> String {
        self.tables.iter().chain([&self.name]).cloned().collect::<Vec<_>>().join(".")
    }
}

/// The committed schema of the answers.
pub fn schema() -> io::Result<Value> {
    let path = crate::tests_folder().join("../provisioner/docs/schema/provisioner.toml-1.json");
    serde_json::from_str(&fs::read_to_string(path)?).map_err(io::Error::from)
}

/// Every key that it has, tables among them.
pub fn keys() -> io::Result<BTreeSet<Key>> {
    let schema = schema()?;
    let mut keys = BTreeSet::new();
    collect(&schema, &schema, &[], &mut keys);
    Ok(keys)
}

fn collect(root: &Value, of: &Value, tables: &[String], keys: &mut BTreeSet<Key>) {
    for (name, field) in of["properties"].as_object().into_iter().flatten() {
        keys.insert(Key { tables: tables.to_vec(), name: name.clone() });
        let below = [tables, std::slice::from_ref(name)].concat();
        let of_any_name = [below.as_slice(), &["x".to_owned()]].concat();
        for (form, tables) in [(field, below), (&field["additionalProperties"], of_any_name)] {
            for form in [form, &form["anyOf"][0]] {
                let to = form["$ref"].as_str().map(|to| to.trim_start_matches('#'));
                if let Some(node) = to.and_then(|to| root.pointer(to)) {
                    collect(root, node, &tables, keys);
                }
            }
        }
    }
}
