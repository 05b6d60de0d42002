//! What doctor finds on the system that is running.

use serde_json::Value;

use crate::case::Report;

/// The lines that ask it.
pub(super) const ASK: &str = "echo DOCTOR-BEGIN; neuron-provisioner doctor --json; code=$?; echo DOCTOR-END; \
                              echo \"DOCTOR-CODE $code\"";

/// From good to bad; what is not asked for may be anything but the last, unless that is expected.
const STATUSES: [&str; 4] = ["pass", "warn", "unknown", "fail"];

/// After a boot as it was meant.
pub(super) const GOOD: &[(&str, &str)] = &[
    ("boot-entry", "pass"),
    ("parameters", "pass"),
    ("iommu", "pass"),
    ("claim", "pass"),
    ("list", "pass"),
    ("identity", "pass"),
    ("bound", "pass"),
    ("group", "pass"),
    ("host-gpu", "pass"),
    ("host-driver", "pass"),
    ("host-picture", "pass"),
];

/// Where the entry without passthrough was chosen.
pub(super) const SWITCHED_OFF: &[(&str, &str)] = &[
    ("boot-entry", "warn"),
    ("claim", "pass"),
    ("identity", "pass"),
    ("bound", "unknown"),
    ("host-gpu", "pass"),
    ("host-picture", "pass"),
];

/// The same after a trial that nobody kept.
pub(super) const GIVEN_BACK: &[(&str, &str)] = &[
    ("boots", "fail"),
    ("boot-entry", "warn"),
    ("claim", "pass"),
    ("identity", "pass"),
    ("bound", "unknown"),
    ("host-gpu", "pass"),
    ("host-picture", "pass"),
];

/// Where another card sits at the address of the one that was recorded.
pub(super) const ANOTHER_CARD: &[(&str, &str)] = &[
    ("boot-entry", "pass"),
    ("claim", "fail"),
    ("identity", "fail"),
    ("bound", "fail"),
    ("host-gpu", "pass"),
    ("host-picture", "pass"),
];

/// Where the host's card was taken out.
pub(super) const HOST_GONE: &[(&str, &str)] = &[
    ("boot-entry", "pass"),
    ("claim", "fail"),
    ("identity", "pass"),
    ("bound", "fail"),
    ("host-gpu", "fail"),
];

/// Doctor found just this of these, and ended as it should: with a failure only where one was expected.
pub(super) fn finds(report: &Report, expected: &[(&str, &str)]) {
    let console = &report.console;
    let (_, rest) = console.split_once("DOCTOR-BEGIN").expect(console);
    let (document, rest) = rest.split_once("DOCTOR-END").expect(console);
    let document: Value = serde_json::from_str(document).unwrap_or_else(|error| panic!("{error}\n{console}"));
    let checks = document["checks"].as_array().expect("doctor tells checks");
    let found: Vec<(&str, &str)> = expected.iter().map(|(id, _)| (*id, worst(checks, id))).collect();
    assert_eq!(found, expected, "{document:#}");
    let is_bad = expected.iter().any(|(_, status)| *status == "fail");
    let fails = checks.iter().any(|check| check["status"] == "fail");
    assert_eq!(fails, is_bad, "{document:#}");
    let code = rest.lines().find_map(|line| line.strip_prefix("DOCTOR-CODE ")).expect(console);
    assert_eq!(code != "0", is_bad, "doctor ended with {code}: {document:#}");
}

/// The worst status of the checks with this name.
fn worst<'a>(checks: &'a [Value], id: &str) -> &'a str {
    let of_that = checks.iter().filter(|check| check["id"] == id);
    let rank = |status: &&str| STATUSES.iter().position(|known| known == status);
    of_that.filter_map(|check| check["status"].as_str()).max_by_key(rank).unwrap_or("not asked")
}

#[test]
fn the_worst_counts_and_what_is_not_asked_is_no_pass() {
    let checks = [("a", "pass"), ("a", "fail"), ("a", "warn"), ("b", "pass")];
    let checks = checks.map(|(id, status)| serde_json::json!({"id": id, "status": status}));
    assert_eq!(["a", "b", "c"].map(|id| worst(&checks, id)), ["fail", "pass", "not asked"]);
}
