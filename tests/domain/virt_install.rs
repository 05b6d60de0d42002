//! The table that holds our domain beside that of virt-install, held against both.

use std::fs;

use crate::Bench;

const ANSWERS: &str = "[vm.windows11]\nmemory_mib = 16384\nvcpus = 12\n\
    disk = { path = \"/var/lib/libvirt/images/windows11.qcow2\" }\n\
    install_iso = \"/var/lib/libvirt/images/Win11.iso\"\n";

/// What stands in backquotes in a cell.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn what_the_table_says_of_both_is_so() {
    let folder = neuron_tests::tests_folder();
    let theirs = fs::read_to_string(folder.join("domain/virt-install.xml")).unwrap();
    let ours = Bench::of_kvm().xml(ANSWERS);
    let table = fs::read_to_string(folder.join("../provisioner/docs/beside-virt-install.md")).unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    assert!(rows.len() > 15, "{} rows", rows.len());
    for row in rows {
        let [what, their_cell, our_cell, why] = row.as_slice() else { panic!("{row:?}") };
        assert!(!why.is_empty(), "{what}");
        for (cell, own, other) in [(their_cell, &theirs, &ours), (our_cell, &ours, &theirs)] {
            let said = quoted(cell);
            assert_eq!(said.is_empty(), *cell == "-", "{what}: {cell}");
            assert!(said.iter().all(|element| own.contains(element)), "{what}: {cell}\n{own}");
            // A difference is one: what is named on one side is not all on the other as well.
            let is_shared = !said.is_empty() && said.iter().all(|element| other.contains(element));
            assert!(
                !is_shared || ["firmware", "Hyper-V", "identity"].contains(what),
                "{what}: {cell}\n{other}"
            );
        }
    }
}
