//! What is generated from the program and committed under `provisioner/docs`: schemas, man pages,
//! completions. These tests fail when one is out of step; with `NEURON_UPDATE=1` they write it.
//!
//!     NEURON_UPDATE=1 cargo test -p neuron-provisioner committed

mod manual;
mod schemas;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// A folder of `provisioner/docs`.
fn docs(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(folder)
}

/// Names of files to their texts; every file of the folder that `belongs` must be among them.
fn assert_in_step(folder: &str, files: &BTreeMap<String, String>, belongs: impl Fn(&str) -> bool) {
    let folder = docs(folder);
    if std::env::var_os("NEURON_UPDATE").is_some() {
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
    }
    for (name, text) in files {
        let path = folder.join(name);
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == *text,
            "{} is out of step: NEURON_UPDATE=1 cargo test -p neuron-provisioner committed",
            path.display()
        );
    }
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(!belongs(&name) || files.contains_key(&name), "{name} is nobody's any more: remove it");
    }
}
