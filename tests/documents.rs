//! The JSON outputs: they parse, and have exactly the fields that are documented.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

use std::collections::BTreeSet;

use neuron_tests::scenario::Ground;
use serde_json::Value;

/// Field by field what a document is: the names of an object's fields, in any order.
fn fields(value: &Value) -> BTreeSet<&str> {
    value.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

fn has_exactly(what: &str, value: &Value, names: &str) {
    let wanted: BTreeSet<&str> = names.split_whitespace().collect();
    assert_eq!(fields(value), wanted, "{what}");
}

fn each<'a>(value: &'a Value, list: &str) -> &'a [Value] {
    let items = value[list].as_array().unwrap();
    assert!(!items.is_empty(), "no {list} to look at");
    items
}

fn is_one_of(what: &str, value: &Value, words: &str) {
    let word = value.as_str().unwrap_or("nothing");
    assert!(words.split('|').any(|known| known == word), "{what} is {value}");
}

fn json(ground: &Ground, arguments: &[&str], code: i32) -> Value {
    let output = ground.run(&[arguments, &["--json"]].concat()).unwrap();
    assert_eq!(output.code, code, "{arguments:?}: {}", output.stderr);
    serde_json::from_str(&output.stdout).unwrap()
}

fn decision(value: &Value) {
    has_exactly("a decision", value, "verdict mode host_gpu guest_gpus bind match question findings");
    is_one_of("a verdict", &value["verdict"], "ready|pending|ask|refused");
    is_one_of("a mode", &value["mode"], "at-boot|on-demand|paravirtual|off");
    is_one_of("match", &value["match"], "ids|address");
    for finding in value["findings"].as_array().unwrap() {
        has_exactly("a finding", finding, "code severity subject message hint");
        is_one_of("a severity", &finding["severity"], "info|warning|blocker");
    }
}

#[test]
fn inspect_has_the_documented_fields() {
    for machine in ["made-rtx-usbc-igpu", "made-intel-pending", "made-single-gpu", "made-bmc-two-dgpus"] {
        let ground = Ground::new(machine, "arch-grub").unwrap();
        let report = json(&ground, &["inspect"], 0);
        has_exactly("the report", &report, "schema machine iommu gpus decision parameters");
        assert_eq!(report["schema"], "neuron-inspect/1");
        has_exactly("machine", &report["machine"], "cpu_vendor chassis virtualization firmware secure_boot");
        is_one_of("cpu_vendor", &report["machine"]["cpu_vendor"], "intel|amd|other");
        is_one_of("chassis", &report["machine"]["chassis"], "desktop|laptop|server|vm|unknown");
        is_one_of("firmware", &report["machine"]["firmware"], "uefi|bios|unknown");
        has_exactly("iommu", &report["iommu"], "state groups why");
        is_one_of("the state", &report["iommu"]["state"], "on|pending|off-in-firmware|absent|unknown");
        for gpu in each(&report, "gpus") {
            let names = "address ids name kind role because boot_vga driver iommu_group functions group_peers \
                         viability findings";
            has_exactly("a GPU", gpu, names);
            is_one_of("a kind", &gpu["kind"], "integrated|discrete|bmc|virtual|unknown");
            is_one_of("a role", &gpu["role"], "host|guest|spare");
            is_one_of("viability", &gpu["viability"], "viable|blocked|pending|unknown");
        }
        decision(&report["decision"]);
    }
}

#[test]
fn plan_has_the_documented_fields() {
    let ground = Ground::new("made-rtx-usbc-igpu", "arch-grub").unwrap();
    let plan = json(&ground, &["plan"], 0);
    let names = "schema id stage decision assignments host tokens copies reboot_needed steps settled";
    has_exactly("the plan", &plan, names);
    assert_eq!(plan["schema"], "neuron-plan/1");
    decision(&plan["decision"]);
    for step in each(&plan, "steps") {
        has_exactly("a step", step, "id title because action");
        let names = "kind path mode before_sha256 after_sha256 diff argv undo points_to outputs before after";
        has_exactly("an action", &step["action"], names);
        is_one_of("a kind", &step["action"]["kind"], "write|remove|symlink|copy|rebuild");
        let is_rebuild = step["action"]["kind"] == "rebuild";
        assert_eq!(step["action"]["argv"].is_array(), is_rebuild);
        assert_eq!(step["action"]["path"].is_string(), !is_rebuild);
    }
}

#[test]
fn the_id_of_a_plan_is_that_of_its_content() {
    let id = |machine: &str, target: &str| {
        json(&Ground::new(machine, target).unwrap(), &["plan"], 0)["id"].as_str().unwrap().to_owned()
    };
    assert_eq!(id("made-rtx-usbc-igpu", "arch-grub"), id("made-rtx-usbc-igpu", "arch-grub"));
    // Both do nothing, for different reasons.
    assert_ne!(id("made-single-gpu", "arch-grub"), id("made-rtx-usbc-igpu", "no-loader"));
}

#[test]
fn what_apply_revert_and_status_say_has_the_documented_fields() {
    let ground = Ground::new("made-rtx-usbc-igpu", "arch-grub").unwrap();
    for (arguments, code) in [
        (&["apply", "--yes", "--no-reload"][..], 4),
        (&["apply", "--yes", "--no-reload"], 4),
        (&["revert", "--yes", "--no-reload"], 4),
    ] {
        let result = json(&ground, arguments, code);
        has_exactly("the result", &result, "schema changed reboot_needed steps left merged error");
        assert_eq!(result["schema"], "neuron-result/1");
        assert!(result["error"].is_null());
        for step in each(&result, "steps") {
            is_one_of("an outcome", &step["outcome"], "done|unchanged|deferred|failed|reverted");
            let extra: BTreeSet<&str> =
                fields(step).into_iter().filter(|name| !["who", "why"].contains(name)).collect();
            assert_eq!(extra, BTreeSet::from(["id", "outcome"]));
            let is_deferred = step["outcome"] == "deferred";
            assert_eq!(step["who"].is_string(), is_deferred, "{step}");
        }
        let status = json(&ground, &["status"], 0);
        let names = "schema state reboot_needed interrupted in_progress files drifted left not_in_force parameters \
                     open_rebuilds due_rebuilds boots refusal first_boot trial runs_without reverting";
        has_exactly("the status", &status, names);
        assert_eq!(status["schema"], "neuron-status/1");
        is_one_of(
            "a state",
            &status["state"],
            "unconfigured|pending|trial|active|drifted|given-back|reverted",
        );
    }
}

#[test]
fn a_refusal_is_a_result_as_well() {
    let ground = Ground::new("made-single-gpu", "arch-grub").unwrap();
    let result = json(&ground, &["apply", "--yes"], 3);
    has_exactly("the result", &result, "schema changed reboot_needed steps left merged error");
    assert!(result["error"].as_str().is_some_and(|error| error.contains("refused")), "{result}");
    assert_eq!(result["changed"], false);
    decision(&json(&ground, &["status"], 0)["refusal"]);
}

#[test]
fn an_error_before_the_work_is_a_result_as_well() {
    let ground = Ground::new("made-rtx-usbc-igpu", "arch-grub").unwrap();
    std::fs::create_dir_all(ground.target().join("etc/neuron")).unwrap();
    std::fs::write(ground.target().join("etc/neuron/provisioner.toml"), "[broken\n").unwrap();
    let result = json(&ground, &["apply", "--yes"], 2);
    assert_eq!(result["schema"], "neuron-result/1");
    assert!(result["error"].as_str().is_some_and(|error| error.contains("provisioner.toml")), "{result}");
}

#[test]
fn the_checks_can_fail() {
    let document: Value = serde_json::from_str(r#"{"a": 1, "b": "on"}"#).unwrap();
    has_exactly("it", &document, "b a");
    assert!(std::panic::catch_unwind(|| has_exactly("it", &document, "a")).is_err());
    assert!(std::panic::catch_unwind(|| has_exactly("it", &document, "a b c")).is_err());
    assert!(std::panic::catch_unwind(|| is_one_of("b", &document["b"], "off|unknown")).is_err());
}
