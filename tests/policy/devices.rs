//! Devices beside GPUs: what may go with a GPU, and what never does.

use std::path::Path;

use neuron_passthrough::facts::Machine;
use neuron_passthrough::policy::{self, AssignmentRole, Code, Decision, Matching, Severity, Verdict};
use neuron_passthrough::root::Root;
use neuron_tests::machine::{self, in_use};
use neuron_tests::rules::{Trial, broken};

use super::answers;

const SATA: &str = "0000:00:17.0";
const USB: &str = "0000:00:14.0";
const NVME: &str = "0000:02:00.0";
const NIC: &str = "0000:00:1f.6";

/// A machine with a card to give away, in no use but for this.
fn laid_out(id: &str, spoil: impl FnOnce(&Path)) -> tempfile::TempDir {
    let folder = neuron_tests::scratch().unwrap();
    machine::lay_out(&machine::Machine::load(id).unwrap(), folder.path()).unwrap();
    in_use::in_no_use(folder.path()).unwrap();
    spoil(folder.path());
    folder
}

fn decide(folder: &Path, text: &str) -> Decision {
    let given = answers(text);
    let facts = Machine::read_for(&Root::directory(folder).unwrap(), &given).unwrap();
    let judgement = policy::judge(&facts, &given);
    let trial = Trial { machine: &facts, answers: &given, judgement: &judgement };
    assert_eq!(broken(trial), [""; 0], "{text}");
    judgement.decision
}

fn on_rtx(spoil: impl FnOnce(&Path), text: &str) -> Decision {
    decide(laid_out("made-rtx-usbc-igpu", spoil).path(), text)
}

fn blockers(decision: &Decision) -> Vec<Code> {
    let blockers = decision.findings.iter().filter(|finding| finding.severity == Severity::Blocker);
    blockers.map(|finding| finding.code).collect()
}

fn bound(decision: &Decision) -> Vec<String> {
    decision.bind.iter().map(ToString::to_string).collect()
}

fn usb(address: &str) -> String {
    format!("[vm.a]\nusb_controllers = [\"{address}\"]\n")
}

fn pci(name: &str) -> String {
    format!("[vm.a]\npci_devices = [\"{name}\"]\n")
}

#[test]
fn what_is_named_goes_along_with_the_card() {
    let plain = bound(&on_rtx(|_| {}, ""));
    for (text, more) in [
        (usb(USB), vec![USB]),
        (pci(NVME), vec![NVME]),
        (pci("144d:a808"), vec![NVME]),
        (pci(SATA), vec![SATA]),
        (
            format!("[vm.a]\nusb_controllers = [\"{USB}\"]\npci_devices = [\"{NVME}\", \"{USB}\"]\n"),
            vec![USB, NVME],
        ),
    ] {
        let decision = on_rtx(|_| {}, &text);
        assert_eq!(decision.verdict, Verdict::Ready, "{text}{:#?}", decision.findings);
        let mut wanted: Vec<String> =
            plain.iter().cloned().chain(more.iter().map(ToString::to_string)).collect();
        wanted.sort();
        assert_eq!(bound(&decision), wanted, "{text}");
    }
    // It is called what it is.
    let folder = laid_out("made-rtx-usbc-igpu", |_| {});
    let given = answers(&usb(USB));
    let facts = Machine::read_for(&Root::directory(folder.path()).unwrap(), &given).unwrap();
    let judgement = policy::judge(&facts, &given);
    let roles = judgement.assignments.iter().filter(|one| one.role == AssignmentRole::Device);
    assert_eq!(roles.map(|one| one.address.to_string()).collect::<Vec<_>>(), [USB]);
    assert_eq!(policy::devices_of(&facts, &given.vm["a"]), [USB.parse().unwrap()]);
    // Nothing goes where nothing is to.
    let off = on_rtx(|_| {}, &format!("[passthrough]\nmode = \"off\"\n{}", usb(USB)));
    assert_eq!((off.verdict, off.bind.len()), (Verdict::Ready, 0));
}

#[test]
fn what_is_no_such_device_is_refused_by_its_key() {
    for (text, code, said) in [
        (
            pci("0000:7f:00.0"),
            Code::DeviceNotFound,
            "vm.a.pci_devices: there is no PCI function 0000:7f:00.0",
        ),
        (pci("dead:beef"), Code::DeviceNotFound, "there is no PCI function dead:beef"),
        (usb(SATA), Code::DeviceUnfit, "is no USB controller"),
        (pci("0000:01:00.0"), Code::DeviceUnfit, "is a GPU"),
        (pci("0000:00:02.0"), Code::DeviceUnfit, "is a GPU"),
        (usb("0000:01:00.2"), Code::DeviceUnfit, "belongs to the GPU 0000:01:00.0"),
        (pci("0000:00:1d.0"), Code::DeviceUnfit, "a part of the machine"),
        (pci("0000:00:1f.0"), Code::DeviceUnfit, "a part of the machine"),
        (pci("0000:00:1f.4"), Code::DeviceUnfit, "a part of the machine"),
    ] {
        let decision = on_rtx(|_| {}, &text);
        assert_eq!(decision.verdict, Verdict::Refused, "{text}");
        assert!(decision.bind.is_empty());
        let found = decision.findings.iter().find(|finding| finding.code == code);
        assert!(
            found.is_some_and(|finding| finding.message.contains(said)),
            "{text}{:#?}",
            decision.findings
        );
    }
    // Several bear one id.
    let decision = decide(laid_out("made-desktop-60-functions", |_| {}).path(), &pci("8086:1521"));
    assert_eq!(blockers(&decision), [Code::DeviceAmbiguous]);
    // Virtual functions and what can be unplugged are not there when a boot begins.
    let removable = |root: &Path| {
        let path = root.join("sys/bus/pci/devices").join(NVME).join("removable");
        neuron_tests::write(&path, "removable\n").unwrap();
    };
    assert_eq!(blockers(&on_rtx(removable, &pci(NVME))), [Code::DeviceUnfit]);
    let virtual_function = |root: &Path| {
        let path = root.join("sys/bus/pci/devices").join(NVME).join("physfn");
        std::os::unix::fs::symlink("../0000:00:1f.6", path).unwrap();
    };
    assert_eq!(blockers(&on_rtx(virtual_function, &pci(NVME))), [Code::DeviceUnfit]);
}

#[test]
fn a_group_goes_as_a_whole_or_not_at_all() {
    // The network card sits in one group with the board's own.
    let decision = on_rtx(|_| {}, &pci(NIC));
    assert_eq!(blockers(&decision), [Code::GroupShared]);
    assert_eq!(decision.findings[0].subject.as_deref(), Some(NIC));
    // A controller in the card's group: it goes along where it is named, without any override.
    let shared = laid_out("made-group-shared-usb", |_| {});
    assert_eq!(decide(shared.path(), "").verdict, Verdict::Refused);
    let decision = decide(shared.path(), &usb("0000:03:00.0"));
    assert_eq!(decision.verdict, Verdict::Ready, "{:#?}", decision.findings);
    assert!(bound(&decision).contains(&"0000:03:00.0".to_owned()));
}

/// How the host comes to need something, the answers that name that, and the answer that sets it aside.
type Loss = (Code, fn(&Path), String, Option<&'static str>);

#[test]
fn what_the_host_needs_stays_or_is_allowed_by_name() {
    let losses: [Loss; 5] = [
        (
            Code::DeviceInUse,
            |root| {
                in_use::disk(root, NVME, "nvme0n1p2", "259:2").unwrap();
                let line = "30 1 259:2 / / rw - ext4 /dev/nvme0n1p2 rw\n";
                neuron_tests::write(&root.join("proc/self/mountinfo"), line).unwrap();
            },
            pci(NVME),
            None,
        ),
        (
            Code::DeviceInUse,
            |root| {
                in_use::disk(root, USB, "sdb1", "8:17").unwrap();
                let line = "30 1 8:17 / /mnt rw - vfat /dev/sdb1 rw\n";
                neuron_tests::write(&root.join("proc/self/mountinfo"), line).unwrap();
            },
            usb(USB),
            None,
        ),
        (
            Code::HostKeyboard,
            |root| in_use::keyboard(root, Some(USB), "input3").unwrap(),
            usb(USB),
            Some("host-keyboard"),
        ),
        (
            Code::HostNetwork,
            |root| {
                in_use::interface(root, USB, "enx001122334455").unwrap();
                in_use::default_route(root, "enx001122334455").unwrap();
            },
            usb(USB),
            Some("host-network"),
        ),
        (
            Code::DeviceUseUnknown,
            |root| std::fs::remove_file(root.join("proc/self/mountinfo")).unwrap(),
            usb(USB),
            None,
        ),
    ];
    for (code, spoil, text, allow) in losses {
        // The control: the same device, not needed.
        assert_eq!(on_rtx(|_| {}, &text).verdict, Verdict::Ready, "{code}");
        let decision = on_rtx(spoil, &text);
        assert_eq!((decision.verdict, blockers(&decision)), (Verdict::Refused, vec![code]));
        let hint = &decision.findings[0].hint;
        let every = "allow = [\"host-keyboard\", \"host-network\", \"group-peers\"]";
        let freed = on_rtx(spoil, &format!("[passthrough]\n{every}\n{text}"));
        match allow {
            Some(rule) => {
                assert!(hint.contains(&format!("allow = [\"{rule}\"]")), "{hint}");
                let told = freed.findings.iter().find(|finding| finding.code == code).unwrap();
                assert_eq!((freed.verdict, told.severity), (Verdict::Ready, Severity::Warning));
            }
            None => assert_eq!(freed.verdict, Verdict::Refused, "{code}: nothing sets that aside"),
        }
    }
    // Another keyboard is enough.
    let two = |root: &Path| {
        in_use::keyboard(root, Some(USB), "input3").unwrap();
        in_use::keyboard(root, None, "input4").unwrap();
    };
    assert_eq!(on_rtx(two, &usb(USB)).verdict, Verdict::Ready);
    // Nobody is asked for what no answer names.
    assert_eq!(
        on_rtx(|root| std::fs::remove_file(root.join("proc/self/mountinfo")).unwrap(), "").verdict,
        Verdict::Ready
    );
}

#[test]
fn a_disk_of_the_model_of_the_hosts_is_not_told_apart_by_its_address() {
    let one = laid_out("z390m-9900k-rtx2080s-usbc", |_| {});
    let decision = decide(one.path(), &pci("0000:04:00.0"));
    assert!(blockers(&decision).contains(&Code::StorageTwin), "{:#?}", decision.findings);
    let match_ids = format!("[passthrough]\nmatch = \"ids\"\n{}", pci(NVME));
    let by_id = on_rtx(|_| {}, &match_ids);
    assert_eq!(blockers(&by_id), [Code::StorageTwin], "one of that model may come later");
    assert_eq!(on_rtx(|_| {}, &pci(NVME)).matching, Matching::Address);
    assert_eq!(on_rtx(|_| {}, &usb(USB)).matching, Matching::Ids, "the control");
    let both = "[vm.a]\npci_devices = [\"0000:03:00.0\", \"0000:04:00.0\"]\n";
    assert_eq!(decide(one.path(), both).verdict, Verdict::Ready);
}
