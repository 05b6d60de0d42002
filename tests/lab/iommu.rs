//! Groups, drivers and the IOMMU itself: as the hook sees them and as the program tells them, on
//! machines of all kinds.

use serde_json::Value;

use crate::case::{Case, Report};
use crate::claim::{AUDIO, GUEST, HOST, holds_and, nothing_claimed, set_up, twins, two_gpus};
use crate::machine::{Function, Iommu, Machine, Model, function};
use crate::table::{Name, row};
use crate::truth::{Account, disagreements, inspected};

/// Boots; the program has to agree with the kernel, the kernel with what was described, and both with the
/// judge.
fn told(
    name: Name,
    case: Case,
    described: &[Function],
    judge: impl FnOnce(&Value, &Account),
) -> (Value, Account) {
    let of = |report: &Report| (inspected(report), Account::of(report));
    let judge = |report: &Report| {
        let (document, kernel) = of(report);
        kernel.has(described);
        assert_eq!(disagreements(&document, &kernel), Vec::<String>::new(), "{name}\n{document:#}");
        judge(&document, &kernel);
    };
    of(&holds_and(name, &case.inspects().unwrap(), judge))
}

fn gpu(document: &Value, one: Function) -> &Value {
    let gpus = document["gpus"].as_array().unwrap();
    gpus.iter().find(|gpu| gpu["address"] == one.address).unwrap_or_else(|| panic!("{document:#}"))
}

#[test]
fn with_an_iommu_the_guest_is_claimed_and_without_one_nothing() {
    let here = [HOST, GUEST, AUDIO];
    // What is a guest in a virtual machine has to be said.
    let machine = |iommu| set_up(Machine { iommu, ..two_gpus() }).answers(&guest_is(GUEST));
    let on = [(row!("Intel, on"), Iommu::Intel), (row!("AMD, on without a parameter"), Iommu::Amd)].map(
        |(name, iommu)| {
            let case = machine(iommu).says("claimed", GUEST.address);
            let case = case.with_vfio(&[GUEST, AUDIO]).with_host(&[HOST]);
            told(name, case, &here, |document, kernel| {
                let both = serde_json::json!([GUEST.address, AUDIO.address]);
                assert!(kernel.groups() > 3, "{name}: {kernel:#?}");
                assert_eq!(gpu(document, GUEST)["functions"], both);
                assert_eq!(document["decision"]["bind"], both, "{name}: {document:#}");
            })
        },
    );
    let off = [(row!("Intel, off on the command line"), Iommu::IntelOff), (row!("no IOMMU"), Iommu::Absent)]
        .map(|(name, iommu)| {
            let case = nothing_claimed(machine(iommu), &here, "doubt", "the IOMMU is off");
            told(name, case, &here, |document, kernel| {
                assert_eq!(kernel.groups(), 0, "{name}: {kernel:#?}");
                assert_eq!(document["decision"]["bind"], Value::Array(Vec::new()), "{name}: {document:#}");
            })
        });
    // Controls: what was told of one machine is not true of another.
    for ((document, _), (_, other)) in on.iter().zip(&off) {
        assert!(disagreements(document, other).len() >= 5, "{:?}", disagreements(document, other));
    }
    for ((document, _), (_, other)) in off.iter().zip(&on) {
        assert!(disagreements(document, other).len() >= 5, "{:?}", disagreements(document, other));
    }
}

/// Answers that give this GPU away.
fn guest_is(gpu: Function) -> String {
    format!("schema = 1\n[passthrough]\nguest_gpus = [\"{}\"]\n", gpu.address)
}

const BRIDGE: Function = function("0000:01:00.0", Model::Bridge);
const BEHIND: Function = function("0000:02:01.0", Model::Virtio);
const BESIDE: Function = function("0000:02:02.0", Model::Serial);

#[test]
fn a_gpu_in_a_shared_group_is_refused() {
    let name = row!("a GPU behind a bridge, and another function");
    behind_a_bridge(name, &[HOST, BRIDGE, BEHIND, BESIDE], |document| {
        assert_eq!(document["decision"]["verdict"], "refused", "{document:#}");
        let shared = gpu(document, BEHIND);
        assert!(shared["findings"].to_string().contains("group-shared"), "{document:#}");
        assert_eq!(shared["viability"], "blocked", "{document:#}");
        assert_eq!(shared["group_peers"], serde_json::json!([BESIDE.address]), "{document:#}");
        assert_eq!(document["decision"]["bind"], Value::Array(Vec::new()), "{document:#}");
    });
    let name = row!("control: a GPU alone behind a bridge");
    behind_a_bridge(name, &[HOST, BRIDGE, BEHIND], |document| {
        assert_eq!(document["decision"]["verdict"], "ready", "{document:#}");
        let alone = gpu(document, BEHIND);
        assert!(!alone["findings"].to_string().contains("group-shared"), "{document:#}");
        assert_eq!(document["decision"]["bind"], serde_json::json!([BEHIND.address]), "{document:#}");
    });
}

/// The GPU behind the bridge shall be given away.
fn behind_a_bridge(name: Name, here: &[Function], judge: impl FnOnce(&Value)) {
    let machine = Machine { iommu: Iommu::Intel, functions: here.to_vec() };
    let case = Case::new(machine).with_host(&[HOST, BEHIND]).answers(&guest_is(BEHIND));
    told(name, case, here, |document, _| judge(document));
}

#[test]
fn twins_a_gpu_without_driver_and_virtual_functions_are_told() {
    let added = [function("0000:03:00.0", Model::Driverless), function("0000:04:00.0", Model::Nvme)];
    let mut machine = twins();
    machine.functions.push(HOST);
    machine.functions.extend(added);
    let here = machine.functions.clone();
    let before = "/usr/bin/modprobe nvme\n\
                  echo 0 >/sys/bus/pci/devices/0000:04:00.0/sriov_drivers_autoprobe\n\
                  echo 4 >/sys/bus/pci/devices/0000:04:00.0/sriov_numvfs\n";
    let case = Case::new(machine.clone()).with_host(&added).answers(&guest_is(machine.functions[0]));
    let (bare, without) = told(row!("twins, a GPU without a driver"), case.clone(), &here, |_, _| ());
    told(row!("the same with virtual functions"), case.before(before), &here, |document, with| {
        assert_eq!(gpu(document, added[0])["driver"], Value::Null, "{document:#}");
        assert_eq!(with.groups(), without.groups() + 4, "{with:#?}");
        // Controls: four groups more are noticed; a GPU with a driver is not told to have none.
        assert_ne!(disagreements(&bare, with), Vec::<String>::new());
        assert_ne!(gpu(document, HOST)["driver"], Value::Null, "{document:#}");
        let findings = |one: Function| gpu(document, one)["findings"].to_string();
        assert!(findings(machine.functions[0]).contains("identical-ids"), "{document:#}");
        assert!(!findings(added[0]).contains("identical-ids"), "{document:#}");
    });
}
