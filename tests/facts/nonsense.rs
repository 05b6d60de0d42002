//! What the kernel would not write is an error that names file and value; what is gone is gone.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use neuron_passthrough::answers::Answers;
use neuron_passthrough::policy::{self, Code, IommuState, Verdict};
use neuron_passthrough::root::{Capture, Entry, Root};
use neuron_passthrough::{facts::Machine, id::PciAddress};
use neuron_tests::seen::Seen;

use super::{laid_out, read};

const GPU: &str = "sys/bus/pci/devices/0000:01:00.0";

fn replace_link(path: &Path, to: &str) {
    fs::remove_file(path).unwrap();
    symlink(to, path).unwrap();
}

#[test]
fn nonsense_is_an_error_that_names_file_and_value() {
    for (file, value, shown) in [
        ("class", "zzz", "zzz"),
        ("class", "", ""),
        ("class", "0x1030000", "0x1030000"),
        ("class", "0x+30000", "0x+30000"),
        ("class", "196608", "196608"),
        ("vendor", "0x1ffff", "0x1ffff"),
        ("vendor", "0xzz", "0xzz"),
        ("device", "nvidia", "nvidia"),
        ("subsystem_device", "0x12345", "0x12345"),
        ("revision", "0x1ff", "0x1ff"),
        ("boot_vga", "maybe", "maybe"),
        ("boot_vga", "2", "2"),
        ("vendor", "\u{1f}\u{0}", "\u{1f}\u{0}"),
    ] {
        let folder = laid_out("made-rtx-usbc-igpu");
        read(folder.path()).unwrap();
        fs::write(folder.path().join(GPU).join(file), format!("{value}\n")).unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("/{GPU}/{file} holds `{shown}`, expected ")),
            "{file} {value}: {error}"
        );
    }
}

#[test]
fn bytes_that_are_no_text_are_an_error_too() {
    let folder = laid_out("made-rtx-usbc-igpu");
    fs::write(folder.path().join(GPU).join("vendor"), [0xff, 0xfe]).unwrap();
    let error = read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("/vendor holds `\u{fffd}"), "{error}");
}

#[test]
fn a_link_to_no_group_and_a_name_that_is_no_address_are_errors() {
    let folder = laid_out("made-rtx-usbc-igpu");
    replace_link(&folder.path().join(GPU).join("iommu_group"), "../../kernel/iommu_groups/many");
    let error = read(folder.path()).unwrap_err().to_string();
    assert!(error.starts_with(&format!("/{GPU}/iommu_group holds `many`, expected a link")), "{error}");

    let folder = laid_out("made-rtx-usbc-igpu");
    fs::create_dir(folder.path().join("sys/bus/pci/devices/0000:99")).unwrap();
    let error = read(folder.path()).unwrap_err().to_string();
    assert!(error.starts_with("/sys/bus/pci/devices holds `0000:99`"), "{error}");
}

#[test]
fn a_root_without_a_pci_bus_is_no_machine() {
    let folder = tempfile::tempdir().unwrap();
    assert!(read(folder.path()).unwrap_err().to_string().contains("no running machine"));
}

#[test]
fn functions_that_vanish_while_they_are_read_are_gone() {
    let folder = laid_out("made-rtx-usbc-igpu");
    let all = read(folder.path()).unwrap().functions.len();
    // Before its class could be read.
    symlink(
        "../../../devices/pci0000:00/0000:00:1e.0",
        folder.path().join("sys/bus/pci/devices/0000:00:1e.0"),
    )
    .unwrap();
    assert_eq!(read(folder.path()).unwrap().functions.len(), all);
    // Between its class and its ids.
    fs::remove_file(folder.path().join(GPU).join("vendor")).unwrap();
    let facts = read(folder.path()).unwrap();
    assert_eq!(facts.functions.len(), all - 1);
    assert_eq!(facts.gpus().count(), 1);
    let decision = policy::judge(&facts, &Answers::default()).decision;
    assert_eq!((decision.verdict, decision.bind.len()), (Verdict::Refused, 0), "{:?}", decision.findings);
}

/// The capture of a machine where these paths could not be read.
fn unreadable(id: &str, is_it: impl Fn(&str) -> bool) -> Machine {
    let mut capture: Capture = Seen::load(id).unwrap().capture;
    let mut count = 0;
    for (path, entry) in capture.entries_mut() {
        if is_it(path) {
            *entry = Entry::Unreadable("Permission denied (os error 13)".to_owned());
            count += 1;
        }
    }
    assert!(count > 0);
    Machine::read(&Root::capture(capture)).unwrap()
}

#[test]
fn groups_that_cannot_be_read_make_the_state_unknown_and_bind_nothing() {
    let facts = unreadable("made-rtx-usbc-igpu", |path| path.starts_with("sys/kernel/iommu_groups"));
    assert_eq!(policy::iommu_state(&facts).0, IommuState::Unknown);
    assert!(facts.unreadable.iter().any(|path| path == "/sys/kernel/iommu_groups"), "{:?}", facts.unreadable);
    let decision = policy::judge(&facts, &Answers::default()).decision;
    assert_eq!((decision.verdict, decision.bind.len()), (Verdict::Ask, 0));
}

#[test]
fn one_group_that_cannot_be_read_is_not_an_empty_one() {
    let gpu: PciAddress = "0000:01:00.0".parse().unwrap();
    let whole = Seen::load("made-rtx-usbc-igpu").unwrap().facts;
    assert_eq!(policy::judge(&whole, &Answers::default()).decision.verdict, Verdict::Ready);
    let members = format!("sys/kernel/iommu_groups/{}/devices", whole.functions[&gpu].group.unwrap());
    let facts = unreadable("made-rtx-usbc-igpu", |path| path == members);
    let decision = policy::judge(&facts, &Answers::default()).decision;
    assert_eq!((decision.verdict, decision.bind.len()), (Verdict::Refused, 0));
    assert!(decision.findings.iter().any(|finding| finding.code == Code::NoGroup), "{:?}", decision.findings);
}

#[test]
fn tables_that_cannot_be_listed_make_the_state_unknown() {
    let pending = Seen::load("made-intel-pending").unwrap().facts;
    assert_eq!(policy::iommu_state(&pending).0, IommuState::Pending);
    let facts = unreadable("made-intel-pending", |path| path == "sys/firmware/acpi/tables");
    assert_eq!(policy::iommu_state(&facts).0, IommuState::Unknown);
}
