//! Whole installations, and the trees that must come out.
//!
//! A case is a folder of `expected/`: `case.json` says what is installed where and what the readers
//! must make of it, `root/` holds what must be different from the same installation without our
//! module, file by file. The journal under `/var/lib/neuron-provisioner` is ours to shape; there only
//! the names count.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use neuron_tests::tree::{self, Difference, Kind, Tree};
use serde::Deserialize;

use crate::effective;
use crate::installation::{Installation, STATE};
use crate::installer::{here, is_other_suite, say};

/// A case of `expected/`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    machine: String,
    target: String,
    loader: String,
    choice: String,
    /// Files of the state directory that must be there; without any, there is none.
    state: Vec<String>,
    /// What the programs that read the files at boot must find more than without our module.
    #[serde(default)]
    pub(crate) effective: Effective,
    #[serde(skip)]
    root: Tree,
}

/// What is effective after the installation and was not before.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Effective {
    /// The ids that vfio-pci is loaded with.
    pub(crate) ids: Vec<String>,
    /// Drivers before which vfio-pci is loaded.
    pub(crate) before: Vec<String>,
    /// The modules that come first in every image.
    pub(crate) modules: Vec<String>,
    /// Kernel parameters.
    pub(crate) parameters: Vec<String>,
}

impl Case {
    fn load(name: &str) -> Self {
        let folder = here().join("expected").join(name);
        let text = fs::read(folder.join("case.json")).unwrap();
        let mut case: Self = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let root = folder.join("root");
        if root.exists() {
            case.root = tree::snapshot(&root).unwrap();
        }
        case
    }
}

/// Runs every case of a boot loader. The installation without our module is the same for all of them.
fn check_all(loader: &str) {
    let mut names: Vec<String> = fs::read_dir(here().join("expected"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.strip_suffix(loader).is_some_and(|rest| rest.ends_with('-')))
        .collect();
    names.sort();
    assert!(names.len() > 9, "{names:?}");
    let only = std::env::var("NEURON_CALAMARES_CASE").unwrap_or_default();
    let mut without = BTreeMap::new();
    let mut wrong = Vec::new();
    for name in names.iter().filter(|name| name.contains(&only)) {
        let case = Case::load(name);
        assert_eq!(case.loader, loader, "{name}");
        let without = without.entry(case.target.clone()).or_insert_with(|| install_without(&case));
        let checked = std::panic::AssertUnwindSafe(|| check(name, &case, without));
        if let Err(panic) = std::panic::catch_unwind(checked) {
            let why = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            wrong.push(format!("== {name}\n{why}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn with_grub_every_case_leaves_the_tree_that_was_written_down() {
    check_all("grub");
}

#[test]
fn with_systemd_boot_every_case_leaves_the_tree_that_was_written_down() {
    if is_other_suite() {
        // From 3.3 on the stock module has kernel-install write the entries, and the targets only have
        // a stand-in for it.
        say(
            "SKIPPED in this suite: the expected trees with systemd-boot (its stock module writes other entries)",
        );
        return;
    }
    check_all("systemd-boot");
}

/// An installation without our module, for comparison.
fn install_without(case: &Case) -> Installation {
    let without = Installation::new(&case.machine, &case.target, &case.loader);
    without.sequence(false);
    without.installer.run().globals();
    without
}

/// Runs a case and compares what our module made of it.
fn check(name: &str, case: &Case, without: &Installation) {
    let with = Installation::new(&case.machine, &case.target, &case.loader);
    with.stored(Some(&case.choice));
    with.sequence(true);
    with.installer.run().globals();
    let (before, after) = (without.tree(), with.tree());
    if let Ok(folder) = std::env::var("NEURON_CALAMARES_KEEP") {
        keep(Path::new(&folder).join(name).as_path(), &before, &after);
    }
    compare(case, &before, &after);
    effective::check(case, &without.installer.target(), &with.installer.target());
}

fn compare(case: &Case, before: &Tree, after: &Tree) {
    let mut expected: BTreeMap<&str, &Kind> = BTreeMap::new();
    for (path, entry) in &case.root {
        if entry.kind != Kind::Directory {
            expected.insert(path, &entry.kind);
        }
    }
    for difference in tree::diff(before, after) {
        let path = difference.path();
        if path.starts_with(STATE) || after.get(path).is_some_and(|entry| entry.kind == Kind::Directory) {
            continue;
        }
        assert!(!matches!(difference, Difference::Removed(_)), "{difference}");
        let wanted = expected.remove(path).unwrap_or_else(|| panic!("not expected: {difference}"));
        assert_eq!(text(&after[path].kind), text(wanted), "{path}");
    }
    assert!(expected.is_empty(), "missing or unchanged: {:?}", expected.keys());
    for name in &case.state {
        assert!(after.contains_key(&format!("{STATE}/{name}")), "{STATE}/{name} is missing");
    }
    if case.state.is_empty() {
        assert!(!after.contains_key(STATE), "nothing was to be kept in {STATE}");
    }
}

fn text(kind: &Kind) -> String {
    match kind {
        // From 3.3 on the stock modules quote otherwise, and ours follows; to a shell it is the same.
        Kind::File(bytes) if is_other_suite() => String::from_utf8_lossy(bytes).replace(['\'', '"'], ""),
        Kind::File(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => format!("{other:?}"),
    }
}

/// Writes down what came out, for whoever writes a case: to be read, not to be copied blindly.
fn keep(folder: &Path, before: &Tree, after: &Tree) {
    for difference in tree::diff(before, after) {
        if let Some(Kind::File(bytes)) = after.get(difference.path()).map(|entry| &entry.kind) {
            let path = folder.join(difference.path());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
}
