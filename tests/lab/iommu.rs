//! The IOMMU: on, off and absent, as the hook sees it and as the program tells it.

use serde_json::Value;

use crate::case::{Case, Report};
use crate::claim::{AUDIO, GUEST, HOST, holds, nothing_claimed, set_up, two_gpus};
use crate::machine::{Iommu, Machine};

fn machine(iommu: Iommu) -> Case {
    set_up(Machine { iommu, ..two_gpus() }).inspects().unwrap()
}

/// What `inspect --json` printed.
fn inspected(report: &Report) -> Value {
    let (_, rest) = report.console.split_once("INSPECT-BEGIN").expect(&report.console);
    let (document, _) = rest.split_once("INSPECT-END").expect(&report.console);
    serde_json::from_str(document).unwrap_or_else(|error| panic!("{error}\n{}", report.console))
}

#[test]
fn with_an_iommu_the_guest_is_claimed_and_inspect_sees_groups() {
    for (name, iommu) in [("Intel, on", Iommu::Intel), ("AMD, on without a parameter", Iommu::Amd)] {
        let case = machine(iommu).says("claimed", GUEST.address);
        let document = inspected(&holds(name, &case.with_vfio(&[GUEST, AUDIO]).with_host(&[HOST])));
        assert_eq!(document["iommu"]["state"], "on", "{document:#}");
        assert!(document["iommu"]["groups"].as_u64().unwrap() > 3, "{document:#}");
        let gpus = document["gpus"].as_array().unwrap();
        let addresses: Vec<&Value> = gpus.iter().map(|gpu| &gpu["address"]).collect();
        assert_eq!(addresses, [HOST.address, GUEST.address]);
        assert!(gpus.iter().all(|gpu| gpu["iommu_group"].is_u64()), "{document:#}");
        assert_ne!(gpus[0]["iommu_group"], gpus[1]["iommu_group"]);
        assert_eq!(gpus[0]["boot_vga"], true, "{document:#}");
        assert_eq!(gpus[1]["driver"], "vfio-pci", "{document:#}");
    }
}

#[test]
fn without_an_iommu_nothing_is_claimed_and_inspect_sees_no_group() {
    for (name, iommu) in [("Intel, off on the command line", Iommu::IntelOff), ("no IOMMU", Iommu::Absent)] {
        let case = nothing_claimed(machine(iommu), &[HOST, GUEST, AUDIO], "doubt", "the IOMMU is off");
        let document = inspected(&holds(name, &case));
        assert_ne!(document["iommu"]["state"], "on", "{document:#}");
        assert_eq!(document["iommu"]["groups"], 0, "{document:#}");
        assert_eq!(document["decision"]["bind"], Value::Array(Vec::new()), "{document:#}");
    }
}
