//! What the program prints is what the committed schemas say.
#![allow(clippy::unwrap_used, reason = "what a test prepares by a function of its own may fail it, too")]

use std::ffi::OsStr;
use std::fs;

use neuron_tests::{machine, program, target, tests_folder};
use serde_json::{Value, json};

fn schema(name: &str) -> jsonschema::Validator {
    let path = tests_folder().join("../provisioner/docs/schema").join(format!("{name}.json"));
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

/// What is wrong with a document; empty when nothing is.
fn problems(schema: &jsonschema::Validator, document: &Value) -> Vec<String> {
    schema.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// A machine and a target as directories.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(machine: &str, target: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let found = machine::Machine::load(machine).unwrap();
        machine::lay_out(&found, &folder.path().join("machine")).unwrap();
        target::copy(target, &folder.path().join("target")).unwrap();
        Self { folder }
    }

    fn run(&self, arguments: &[&str]) -> program::Output {
        let mut command = program::command().unwrap();
        command.args(arguments);
        command.arg("--machine-root").arg(self.folder.path().join("machine"));
        command.arg("--target-root").arg(self.folder.path().join("target"));
        program::output(&mut command).unwrap()
    }

    /// Runs a verb with `--json` and holds its document against its schema.
    fn check(&self, name: &str, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        document(name, &output)
    }
}

fn document(name: &str, output: &program::Output) -> Value {
    let document: Value =
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{name}: {error}: {output:?}"));
    assert_eq!(problems(&schema(name), &document), Vec::<String>::new(), "{name}: {document:#}");
    document
}

#[test]
fn every_verb_keeps_to_its_schema_on_every_kind_of_machine() {
    let machines = [
        "z390m-9900k-rtx2080s-usbc",
        "made-intel-pending",
        "made-single-gpu",
        "made-twins-one-is-host",
        "made-group-shared-nvme",
        "made-laptop-muxless",
        "made-vmd-five-digit-gpu",
        "made-intel-off-in-firmware",
        "nas-board-ast-only",
    ];
    let mut verdicts = std::collections::BTreeSet::new();
    for (machine, target) in machines.iter().zip(["arch-grub", "arch-systemd-boot"].iter().cycle()) {
        let place = Place::new(machine, target);
        let inspected = place.check("neuron-inspect-1", &["inspect"]);
        verdicts.insert(inspected["decision"]["verdict"].as_str().unwrap().to_owned());
        place.check("neuron-status-1", &["status"]);
        place.check("neuron-plan-1", &["plan"]);
        place.check("neuron-result-1", &["apply", "--yes", "--no-reload"]);
        place.check("neuron-status-1", &["status"]);
        place.check("neuron-doctor-1", &["doctor"]);
        place.check("neuron-looking-glass-1", &["looking-glass", "status"]);
        place.check("neuron-result-1", &["revert", "--yes", "--no-reload"]);
        place.check("provisioner.toml-1", &["validate"]);
        document("neuron-capture-1", &place.run(&["capture"]));
    }
    // Else this test would not have seen what the schemas say of these.
    for wanted in ["ready", "pending", "refused"] {
        assert!(verdicts.contains(wanted), "{verdicts:?}");
    }
}

#[test]
fn the_demo_and_its_steps_keep_to_their_schemas() {
    let demo = document("neuron-demo-1", &program::run(["demo", "--json"]).unwrap());
    for step in demo["steps"].as_array().unwrap() {
        let name = match step["verb"].as_str().unwrap() {
            "apply" | "revert" => "neuron-result-1".to_owned(),
            verb => format!("neuron-{verb}-1"),
        };
        assert_eq!(problems(&schema(&name), &step["result"]), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn the_built_in_machine_is_a_valid_capture() {
    let path = tests_folder().join("../provisioner/cli/demo/machine.json");
    let capture: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(problems(&schema("neuron-capture-1"), &capture), Vec::<String>::new());
}

/// The schemas can say no.
#[test]
fn a_document_that_is_wrong_is_refused() {
    let place = Place::new("z390m-9900k-rtx2080s-usbc", "arch-grub");
    let good = place.check("neuron-inspect-1", &["inspect"]);
    let spoil = |pointer: &str, value: Value| {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
        bad
    };
    let inspect = schema("neuron-inspect-1");
    for (pointer, value) in [
        ("/schema", json!("neuron-inspect/2")),
        ("/gpus/0/role", json!("victim")),
        ("/gpus/0/address", json!("1:0.0")),
        ("/decision/verdict", json!(null)),
        ("/iommu/groups", json!("14")),
    ] {
        assert!(!problems(&inspect, &spoil(pointer, value)).is_empty(), "{pointer} may be anything");
    }
    let mut more = good.clone();
    more["unheard"] = json!(1);
    assert!(!problems(&inspect, &more).is_empty(), "any field may be added");
    let mut less = good.clone();
    less.as_object_mut().unwrap().remove("decision");
    assert!(!problems(&inspect, &less).is_empty(), "the decision may be missing");
    let doctor = schema("neuron-doctor-1");
    let mut checks = place.check("neuron-doctor-1", &["doctor"]);
    checks["checks"][0]["status"] = json!("fine");
    assert!(!problems(&doctor, &checks).is_empty(), "a check may end in any word");
    let answers = schema("provisioner.toml-1");
    assert!(!problems(&answers, &json!({ "passthrough": { "mode": "sometimes" } })).is_empty());
    assert!(!problems(&answers, &json!({ "looking_glass": { "resolution": "big" } })).is_empty());
    assert!(problems(&answers, &json!({})).is_empty());
}

/// Whatever the program accepts as answers, their schema accepts too.
#[test]
fn the_full_answers_keep_to_their_schema() {
    let full = tests_folder().join("../provisioner/passthrough/tests/answers-full.toml");
    assert!(full.is_file(), "{}", full.display());
    let arguments: [&OsStr; 3] = ["validate".as_ref(), full.as_os_str(), "--json".as_ref()];
    let document = document("provisioner.toml-1", &program::run(arguments).unwrap());
    assert!(document["vm"].as_object().is_some_and(|vms| !vms.is_empty()), "{document:#}");
}
