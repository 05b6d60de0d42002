//! Devices beside GPUs: what may go with a GPU, and what never does.

use std::path::Path;

use neuron_passthrough::facts::{Machine, Target};
use neuron_passthrough::policy::{self, AssignmentRole, Code, Decision, Matching, Severity, Verdict};
use neuron_passthrough::root::Root;
use neuron_tests::machine::{self, in_use};
use neuron_tests::rules::{Trial, broken};

use super::answers;

const SATA: &str = "0000:00:17.0";
const USB: &str = "0000:00:14.0";
const NVME: &str = "0000:02:00.0";
const NIC: &str = "0000:00:1f.6";
/// The card's own USB controller.
const OWN_USB: &str = "0000:01:00.2";

/// A machine with a card to give away, in no use but for a keyboard and this.
fn laid_out(id: &str, spoil: impl FnOnce(&Path)) -> tempfile::TempDir {
    let folder = neuron_tests::scratch().unwrap();
    machine::lay_out(&machine::Machine::load(id).unwrap(), folder.path()).unwrap();
    spoil(folder.path());
    folder
}

fn decide(folder: &Path, text: &str) -> Decision {
    let given = answers(text);
    let facts = Machine::read_for(&Root::directory(folder).unwrap(), None, &given).unwrap();
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
    let facts = Machine::read_for(&Root::directory(folder.path()).unwrap(), None, &given).unwrap();
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
    let decision = on_rtx(|_| {}, &format!("[passthrough]\nallow = [\"host-network\"]\n{}", pci(NIC)));
    assert_eq!(blockers(&decision), [Code::GroupShared]);
    assert_eq!(decision.findings[0].subject.as_deref(), Some(NIC));
    // A controller in the card's group: it goes along where it is named, without any override.
    let shared = laid_out("made-group-shared-usb", |_| {});
    assert_eq!(decide(shared.path(), "").verdict, Verdict::Refused);
    let decision = decide(shared.path(), &usb("0000:03:00.0"));
    assert_eq!(decision.verdict, Verdict::Ready, "{:#?}", decision.findings);
    assert!(bound(&decision).contains(&"0000:03:00.0".to_owned()));
}

/// Buses are counted as they are found: without a controller the others have other numbers.
#[test]
fn no_port_is_named_where_a_controller_goes() {
    for (devices, more, wanted) in [
        ("usb_devices = [\"1-2.3\"]", format!("usb_controllers = [\"{USB}\"]"), vec![Code::DeviceUnfit]),
        ("usb_devices = [\"1-2.3\"]", format!("pci_devices = [\"{USB}\"]"), vec![Code::DeviceUnfit]),
        ("usb_devices = [\"046d:c52b\"]", format!("usb_controllers = [\"{USB}\"]"), Vec::new()),
        ("usb_devices = [\"1-2.3\"]", format!("pci_devices = [\"{NVME}\"]"), Vec::new()),
    ] {
        // In another machine's table it is the same port.
        for text in [format!("[vm.a]\n{devices}\n{more}\n"), format!("[vm.a]\n{devices}\n[vm.b]\n{more}\n")] {
            assert_eq!(blockers(&on_rtx(|_| {}, &text)), wanted, "{text}");
        }
    }
}

/// What is built in is in no list of depmod's; the kernel's own build names what it takes.
#[test]
fn a_built_in_driver_of_what_is_named_is_found() {
    let folder = laid_out("made-desktop-60-functions", |root| {
        with_cards(root);
        in_use::default_route(root, &["eno1"]).unwrap();
    });
    let given = answers(&pci(CARDS[0]));
    let facts = Machine::read_for(&Root::directory(folder.path()).unwrap(), None, &given).unwrap();
    let target = neuron_tests::scratch().unwrap();
    neuron_tests::target::copy("arch-grub", target.path()).unwrap();
    let modules = target.path().join("usr/lib/modules/6.12.1-arch1-1");
    let is_found = || {
        let read = Target::read(&Root::directory(target.path()).unwrap(), &facts).unwrap();
        let judgement = policy::target::judge(policy::judge(&facts, &given), &facts, &given, &read);
        let mut found = judgement.decision.findings.into_iter();
        found.any(|finding| {
            finding.code == Code::BuiltinDriver && finding.subject.as_deref() == Some(CARDS[0])
        })
    };
    for list in ["modules.dep", "modules.alias"] {
        let text = std::fs::read_to_string(modules.join(list)).unwrap();
        let rest: Vec<&str> = text.lines().filter(|line| !line.contains("igb")).collect();
        assert_ne!(rest.len(), text.lines().count(), "{list}");
        std::fs::write(modules.join(list), rest.join("\n")).unwrap();
    }
    neuron_tests::write(&modules.join("modules.builtin"), "kernel/drivers/net/ethernet/intel/igb/igb.ko\n")
        .unwrap();
    assert!(!is_found(), "the control: nothing says what igb takes");
    let aliases = "igb.license=GPL\0igb.alias=pci:v00008086d00001521sv*sd*bc*sc*i*\0";
    neuron_tests::write(&modules.join("modules.builtin.modinfo"), aliases).unwrap();
    assert!(is_found());
}

#[test]
fn a_group_that_two_machines_share_is_told() {
    let folder = laid_out("made-group-shared-usb", |_| {});
    let told = |text: &str| {
        let decision = decide(folder.path(), text);
        assert_eq!(decision.verdict, Verdict::Ready, "{text}");
        decision.findings.iter().any(|finding| finding.message.contains("only one of the two can run"))
    };
    let controller = "usb_controllers = [\"0000:03:00.0\"]";
    assert!(told(&format!("[vm.a]\n[vm.b]\ngpus = \"none\"\n{controller}\n")));
    let named = "gpus = [\"0000:01:00.0\"]";
    assert!(told(&format!("[vm.a]\n{named}\n[vm.b]\n{controller}\n")));
    assert!(!told(&format!("[vm.a]\n{controller}\n[vm.b]\ngpus = \"none\"\n")), "the control: all in one");
    assert!(
        !told(&format!("[vm.a]\n{controller}\n[vm.b]\n{controller}\n")),
        "the control: both have all of it"
    );
    let other = "pci_devices = [\"0000:02:00.0\"]";
    assert!(
        !told(&format!("[vm.a]\n{controller}\n[vm.b]\ngpus = \"none\"\n{other}\n")),
        "the control: another group"
    );
}

/// How the host comes to need something, the answers that name that, and the answer that sets it aside.
type Loss = (Code, fn(&Path), String, Option<&'static str>);

#[test]
fn what_the_host_needs_stays_or_is_allowed_by_name() {
    let losses: [Loss; 8] = [
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
            |root| {
                in_use::keyboard(root, Some(USB), "input3").unwrap();
                in_use::without_keyboard(root).unwrap();
            },
            usb(USB),
            Some("host-keyboard"),
        ),
        // None is plugged in now, or it is switched off.
        (Code::HostKeyboard, |root| in_use::without_keyboard(root).unwrap(), usb(USB), Some("host-keyboard")),
        // The card's own controllers are asked as well, whether anything is named or not.
        (
            Code::HostKeyboard,
            |root| {
                in_use::keyboard(root, Some(OWN_USB), "input3").unwrap();
                in_use::without_keyboard(root).unwrap();
            },
            String::new(),
            Some("host-keyboard"),
        ),
        (
            Code::DeviceInUse,
            |root| {
                in_use::disk(root, OWN_USB, "sdb1", "8:17").unwrap();
                let line = "30 1 8:17 / /mnt rw - vfat /dev/sdb1 rw\n";
                neuron_tests::write(&root.join("proc/self/mountinfo"), line).unwrap();
            },
            String::new(),
            None,
        ),
        (
            Code::HostNetwork,
            |root| {
                in_use::interface(root, USB, "enx001122334455").unwrap();
                in_use::default_route(root, &["enx001122334455"]).unwrap();
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
        let found = decision.findings.iter().find(|finding| finding.code == code);
        let hint = &found.unwrap().hint;
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
    // Another keyboard is enough, and for drives none is needed.
    assert_eq!(
        on_rtx(|root| in_use::keyboard(root, Some(USB), "input3").unwrap(), &usb(USB)).verdict,
        Verdict::Ready
    );
    assert_eq!(on_rtx(|root| in_use::without_keyboard(root).unwrap(), &pci(NVME)).verdict, Verdict::Ready);
    // Who looks at a picture of a machine is told of its card all the same; apply asks again.
    assert_eq!(
        on_rtx(|root| std::fs::remove_file(root.join("proc/self/mountinfo")).unwrap(), "").verdict,
        Verdict::Ready
    );
}

/// What goes along because of its group is asked like what was named.
#[test]
fn what_shares_a_group_is_in_no_use_either() {
    let peers = "[passthrough]\nallow = [\"group-peers\"]\n";
    let spoilt = |spoil: fn(&Path)| blockers(&decide(laid_out("made-group-shared-usb", spoil).path(), peers));
    assert_eq!(spoilt(|_| {}), [], "the control");
    assert_eq!(
        spoilt(|root| {
            in_use::disk(root, "0000:03:00.0", "sdb1", "8:17").unwrap();
            neuron_tests::write(&root.join("proc/swaps"), "Filename\n/dev/sdb1 partition 1 0 -2\n").unwrap();
        }),
        [Code::DeviceInUse]
    );
    assert_eq!(spoilt(|root| in_use::without_keyboard(root).unwrap()), [Code::HostKeyboard]);
    assert_eq!(
        spoilt(|root| std::fs::remove_dir_all(root.join("sys/class/block")).unwrap()),
        [Code::DeviceUseUnknown]
    );
}

const CARDS: [&str; 3] = ["0000:10:00.0", "0000:11:00.0", NIC];

/// Two cards of one model and a third of another, each with an interface.
fn with_cards(root: &Path) {
    for (card, name) in CARDS.iter().zip(["eth0", "eth1", "eno1"]) {
        in_use::interface(root, card, name).unwrap();
    }
    let tunnel = root.join("sys/devices/virtual/net/tun0");
    std::fs::create_dir_all(&tunnel).unwrap();
    std::os::unix::fs::symlink("../../devices/virtual/net/tun0", root.join("sys/class/net/tun0")).unwrap();
}

#[test]
fn what_carries_the_network_stays_unless_another_way_is_shown() {
    let over_ipv6 = |root: &Path, interface: &str| {
        let zeros = "0".repeat(32);
        let gateway = "fe800000000000000000000000000001";
        let line = format!("{zeros} 00 {zeros} 00 {gateway} 00000064 1 0 00000003 {interface}\n");
        neuron_tests::write(&root.join("proc/net/ipv6_route"), line).unwrap();
    };
    let ways: [(&str, &[&str], &str, Verdict, &str); 8] = [
        ("another card", &["eno1"], "", Verdict::Ready, ""),
        ("two of another", &["eno1"], "eno1", Verdict::Ready, ""),
        ("no route at all", &[], "", Verdict::Refused, "no default route"),
        ("itself", &["eth0"], "", Verdict::Refused, "through it (eth0)"),
        ("itself as the second", &["eno1", "eth0"], "", Verdict::Refused, "through it (eth0)"),
        ("itself over IPv6", &["eno1"], "eth0", Verdict::Refused, "through it (eth0)"),
        ("a tunnel", &["tun0", "eno1"], "", Verdict::Refused, "tun0"),
        ("its twin", &["eth1"], "", Verdict::Refused, "of the same model"),
    ];
    for (how, over_ipv4, ipv6, verdict, said) in ways {
        let folder = laid_out("made-desktop-60-functions", |root| {
            with_cards(root);
            in_use::default_route(root, over_ipv4).unwrap();
            if !ipv6.is_empty() {
                over_ipv6(root, ipv6);
            }
        });
        let decision = decide(folder.path(), &pci(CARDS[0]));
        assert_eq!(decision.verdict, verdict, "{how}: {:#?}", decision.findings);
        if verdict == Verdict::Refused {
            assert_eq!(blockers(&decision), [Code::HostNetwork], "{how}");
            assert!(decision.findings[0].message.contains(said), "{how}: {}", decision.findings[0].message);
        }
        let allowed = format!("[passthrough]\nallow = [\"host-network\"]\n{}", pci(CARDS[0]));
        assert_eq!(decide(folder.path(), &allowed).verdict, Verdict::Ready, "{how}");
        assert_eq!(decide(folder.path(), &usb(USB)).verdict, Verdict::Ready, "{how}: carries no network");
    }
    // What vfio-pci has, the host of this boot does without: its interface is gone, and so may the route be.
    let folder = laid_out("made-desktop-60-functions", |root| {
        let driver = root.join("sys/bus/pci/devices").join(CARDS[0]).join("driver");
        std::fs::remove_file(&driver).unwrap();
        std::os::unix::fs::symlink("../../../bus/pci/drivers/vfio-pci", driver).unwrap();
    });
    assert_eq!(decide(folder.path(), &pci(CARDS[0])).verdict, Verdict::Ready);
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
