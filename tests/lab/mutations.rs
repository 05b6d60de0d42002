//! Breaking the product breaks the lab: each mutation must make the matching case fail.
//!
//! A mutation is a sed expression over a shipped file, or over a source of the program. One that changes
//! nothing any more, and one that nobody notices, are failures.

use crate::case::{Case, Report, Shipped, mutate};
use crate::claim::{
    another_identity, companion_gone, drive_added, driver_was_first, iommu_off, kill_switch, plain,
    taken_too_early, twins_taken_too_early, without_host_in_list,
};
use crate::program;
use crate::provision::{self, AS_BEFORE};
use crate::table::{Name, row};

/// A way to break a shipped file, the case that has to notice, and which of its checks has to fail.
struct Mutation {
    name: Name,
    file: Shipped,
    sed: &'static str,
    case: fn() -> Case,
    fails: &'static str,
}

const fn of(
    name: Name,
    file: Shipped,
    sed: &'static str,
    case: fn() -> Case,
    fails: &'static str,
) -> Mutation {
    Mutation { name, file, sed, case, fails }
}

/// What has to fail: the guest keeps the GPU, the host does.
const WITH_VFIO: &str = "0000:01:00.0 is with vfio-pci";
const WITH_HOST: &str = "0000:01:00.0 is with virtio-pci";

/// In the table; a part is written by one tier, so the cheap ones stand among the other cases.
const PART: &str = "Broken on purpose";

/// These are tried in every run of the lab.
const CHEAP: [Mutation; 4] = [
    of(row!("mutation: the early claim is gone"), Shipped::Claim, "2,$d", driver_was_first, WITH_VFIO),
    of(
        row!("mutation: the kill switch is ignored"),
        Shipped::Claim,
        "s/passthrough=[*]) switch=off/passthrough=*) /",
        kill_switch,
        WITH_HOST,
    ),
    of(
        row!("mutation: identity is not checked"),
        Shipped::Claim,
        r#"/^    is_recorded "\$2"/d"#,
        another_identity,
        WITH_HOST,
    ),
    of(
        row!("mutation: drives are not counted"),
        Shipped::Claim,
        "/^    check_drives$/d",
        drive_added,
        "0000:02:00.0 is with nvme",
    ),
];

/// These by name: `tests/run --tier mutations`.
const OTHERS: [Mutation; 10] = [
    of(
        row!(PART, "mutation: mkinitcpio's hook calls nothing"),
        Shipped::Hook,
        "s/.bin.sh .*/:/",
        driver_was_first,
        WITH_VFIO,
    ),
    of(
        row!(PART, "mutation: the list has other ids"),
        Shipped::List,
        "s/1af4:1050/10de:2204/",
        plain,
        WITH_VFIO,
    ),
    of(
        row!(PART, "mutation: the list has another address"),
        Shipped::List,
        "s/^guest 0000:01:00.1/guest 0000:01:00.7/",
        plain,
        WITH_VFIO,
    ),
    of(
        row!(PART, "mutation: the ids are not neutralised"),
        Shipped::Claim,
        "s/^options vfio-pci ids=/# &/",
        kill_switch,
        WITH_HOST,
    ),
    of(
        row!(PART, "mutation: not all or nothing"),
        Shipped::Claim,
        r#"s/^    is_recorded "\$2".*/    is_recorded "$2" "$3" "$4" "$5" || { reason= guests=${guests% *}; return 0; }/"#,
        companion_gone,
        WITH_HOST,
    ),
    of(
        row!(PART, "mutation: a list without host will do"),
        Shipped::Claim,
        "/names no host GPU/d",
        without_host_in_list,
        WITH_HOST,
    ),
    of(
        row!(PART, "mutation: the IOMMU is not asked for"),
        Shipped::Claim,
        r#"s/if \[ "\$1" = guest \]/if false/"#,
        iommu_off,
        "its reason names: the IOMMU is off",
    ),
    of(
        row!(PART, "mutation: nothing is given back"),
        Shipped::Claim,
        "s/bounded give_back/true/",
        taken_too_early,
        WITH_HOST,
    ),
    of(
        row!(PART, "mutation: a twin that vfio-pci has is left there"),
        Shipped::Claim,
        r"s/release \$guests/:/",
        twins_taken_too_early,
        WITH_VFIO,
    ),
    of(
        row!(PART, "mutation: a driver is not asked to let go"),
        Shipped::Claim,
        "s|put .*device/driver/unbind.*|:|",
        driver_was_first,
        WITH_VFIO,
    ),
];

/// A way to break the program, which is built anew, and what of its case has to fail.
struct Broken {
    name: Name,
    source: &'static str,
    sed: &'static str,
    fails: &'static str,
}

/// By name as well.
const PROGRAMS: [Broken; 2] = [
    Broken {
        name: row!(PART, "mutation: a revert skips a file"),
        source: "provisioner/passthrough/src/apply/revert.rs",
        sed: "s/ledger().files.iter().filter(|(_, owned)| !owned.copy)/&.skip(1)/",
        fails: AS_BEFORE,
    },
    Broken {
        name: row!(PART, "mutation: the program writes wrong ids"),
        source: "provisioner/passthrough/src/binding.rs",
        sed: r"s/{role} {} {id} {board} {}/{role} {} {board} {id} {}/",
        fails: WITH_VFIO,
    },
];

/// What survived.
fn survivors(mutations: &[Mutation]) -> Vec<Name> {
    let survives = |one: &&Mutation| {
        let case = (one.case)().mutated(one.file, one.sed).unwrap();
        let noticed = |report: &Report| report.failed().contains(&one.fails);
        // What breaks the boot itself shows nothing to judge by.
        match case.run(one.name, noticed) {
            Ok(report) => !noticed(&report),
            Err(error) => panic!("{}: {error}", one.name),
        }
    };
    mutations.iter().filter(survives).map(|one| one.name).collect()
}

#[test]
fn every_mutation_still_applies() {
    for one in CHEAP.iter().chain(&OTHERS) {
        (one.case)().mutated(one.file, one.sed).unwrap_or_else(|error| panic!("{}: {error}", one.name));
    }
    for one in &PROGRAMS {
        program::source_mutated(one.source, one.sed).unwrap_or_else(|error| panic!("{}: {error}", one.name));
    }
    mutate("nothing of this is there\n", "s/neuron/other/").unwrap_err();
}

#[test]
fn breaking_the_hook_breaks_its_case() {
    assert_eq!(survivors(&CHEAP), Vec::<Name>::new());
}

#[test]
#[ignore = "by name, it takes some minutes: tests/run --tier mutations"]
fn breaking_anything_breaks_its_case() {
    assert_eq!(survivors(&OTHERS), Vec::<Name>::new());
}

/// The control is the case itself, which runs with the lab.
#[test]
#[ignore = "by name, each builds the program anew: tests/run --tier mutations"]
fn breaking_the_program_breaks_its_case() {
    for Broken { name, source, sed, fails } in PROGRAMS {
        let case = provision::set_up_by(&program::mutated(source, sed).unwrap()).unwrap();
        let noticed = |report: &Report| {
            assert!(report.failed().contains(&fails), "{name}: nobody noticed\n{}", report.console);
            true
        };
        case.run(name, noticed).unwrap();
    }
}
