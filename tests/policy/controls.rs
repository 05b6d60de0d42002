//! Each rule's check sees a decision that breaks the rule.

use neuron_passthrough::answers::Answers;
use neuron_passthrough::facts::{Class, Disk, HostUse, Machine};
use neuron_passthrough::id::{GroupId, PciAddress};
use neuron_passthrough::policy::{self, Judgement, Matching, Severity, Verdict};
use neuron_tests::rules::{RULES, Trial, broken};

use super::{answers, seen};

fn at(address: &str) -> PciAddress {
    address.parse().unwrap()
}

/// Which rules complain after a sound trial was spoilt: their names' first words.
fn complaining(spoil: impl FnOnce(&mut Machine, &mut Answers, &mut Judgement)) -> Vec<&'static str> {
    let mut machine = seen("made-rtx-usbc-igpu").facts.clone();
    let mut answers = Answers::default();
    let mut judgement = policy::judge(&machine, &answers);
    assert_eq!(judgement.decision.verdict, Verdict::Ready);
    assert_eq!(broken(Trial { machine: &machine, answers: &answers, judgement: &judgement }), [""; 0]);
    spoil(&mut machine, &mut answers, &mut judgement);
    let trial = Trial { machine: &machine, answers: &answers, judgement: &judgement };
    RULES.iter().filter(|(_, check)| !check(trial).is_empty()).map(|(name, _)| *name).collect()
}

fn sees(rule: &str, what: &str, spoil: impl FnOnce(&mut Machine, &mut Answers, &mut Judgement)) {
    let found = complaining(spoil);
    assert!(
        found.iter().any(|name| name.starts_with(rule)),
        "rule {rule} does not see {what}, only {found:?}"
    );
}

const HOST: &str = "0000:00:02.0";
const GUEST: &str = "0000:01:00.0";
const SOUND: &str = "0000:01:00.1";

#[test]
fn rule_1_sees_a_host_without_a_picture() {
    sees("1", "no host", |_, _, judgement| judgement.decision.host_gpu = None);
    sees("1", "the host's GPU bound", |_, _, judgement| judgement.decision.bind.push(at(HOST)));
    sees("1", "the host's GPU at a guest", |_, _, judgement| judgement.decision.guest_gpus.push(at(HOST)));
    sees("1", "a host without outputs", |machine, _, _| {
        machine.functions.get_mut(&at(HOST)).unwrap().class = Class(0x03_0200);
    });
    sees("1", "a host that is not there", |machine, _, _| drop(machine.functions.remove(&at(HOST))));
    let allowed = complaining(|_, answers, judgement| {
        judgement.decision.host_gpu = None;
        *answers = super::answers("[passthrough]\nallow = [\"only-gpu\"]\n");
    });
    assert!(!allowed.iter().any(|name| name.starts_with('1')), "only-gpu allows it: {allowed:?}");
}

#[test]
fn rule_2_sees_what_is_no_part_of_the_guest() {
    let foreign = |machine: &Machine| {
        let away = machine.functions.values().find(|f| f.class.base() == 0x01 || f.class.base() == 0x02);
        away.unwrap().address
    };
    sees("2", "a foreign function", |machine, _, judgement| judgement.decision.bind.push(foreign(machine)));
    sees("2", "a function that is not there", |_, _, judgement| {
        judgement.decision.bind.push(at("0000:77:00.0"));
    });
    sees("2", "a foreign function that shares no group, allowed or not", |machine, answers, judgement| {
        judgement.decision.bind.push(foreign(machine));
        *answers = super::answers("[passthrough]\nallow = [\"group-peers\"]\n");
    });
    sees("2", "storage, allowed or not", |machine, answers, judgement| {
        let (address, group) = (foreign(machine), machine.functions[&at(GUEST)].group);
        let function = machine.functions.get_mut(&address).unwrap();
        (function.group, function.class) = (group, Class(0x01_0802));
        judgement.decision.bind.push(address);
        *answers = super::answers("[passthrough]\nallow = [\"group-peers\"]\n");
    });
    let free = || Some(HostUse::default());
    let naming =
        |machine: &Machine| super::answers(&format!("[vm.a]\npci_devices = [\"{}\"]\n", foreign(machine)));
    // Named, and in no use: that is sound. Each use of it is seen.
    let sound = complaining(|machine, answers, judgement| {
        judgement.decision.bind.push(foreign(machine));
        judgement.decision.matching = Matching::Address;
        (*answers, machine.host_use) = (naming(machine), free());
    });
    assert!(!sound.iter().any(|name| name.starts_with('2')), "{sound:?}");
    let uses: [fn(&mut HostUse, PciAddress); 3] = [
        |used, at| {
            used.disks.push(Disk { name: "sda".to_owned(), functions: vec![at], used: "is".to_owned() });
        },
        |used, at| used.keyboards.push(vec![at]),
        |used, at| drop(used.cards.insert(at, "eth0".to_owned())),
    ];
    for spoil in uses {
        sees("2", "what the host uses", |machine, answers, judgement| {
            let address = foreign(machine);
            judgement.decision.bind.push(address);
            judgement.decision.matching = Matching::Address;
            (*answers, machine.host_use) = (naming(machine), free());
            spoil(machine.host_use.as_mut().unwrap(), address);
        });
    }
    sees("2", "a drive that is claimed by its id", |machine, answers, judgement| {
        judgement.decision.bind.push(foreign(machine));
        (*answers, machine.host_use) = (naming(machine), free());
    });
    sees("2", "that nobody knows what the host uses", |machine, answers, judgement| {
        judgement.decision.bind.push(foreign(machine));
        *answers = naming(machine);
    });
    sees("2", "a bridge that is named", |machine, answers, judgement| {
        let address = foreign(machine);
        machine.functions.get_mut(&address).unwrap().class = Class(0x06_0400);
        judgement.decision.bind.push(address);
        *answers = super::answers(&format!("[vm.a]\npci_devices = [\"{address}\"]\n"));
        machine.host_use = free();
    });
    sees("2", "a guest that is not bound", |_, _, judgement| {
        judgement.decision.bind.retain(|address| *address != at(GUEST));
    });
}

#[test]
fn rule_3_sees_a_group_that_is_not_whole() {
    let group = |machine: &Machine| machine.functions[&at(GUEST)].group.unwrap();
    sees("3", "a companion that stays", |_, _, judgement| {
        judgement.decision.bind.retain(|a| *a != at(SOUND));
    });
    sees("3", "a peer", |machine, _, _| {
        let id = group(machine);
        machine.groups.get_mut(&id).unwrap().members.push(at("0000:77:00.0"));
    });
    sees("3", "a stranger", |machine, _, _| {
        let id = group(machine);
        machine.groups.get_mut(&id).unwrap().strangers.push("x".to_owned());
    });
    sees("3", "a fixed mapping", |machine, _, _| {
        let id = group(machine);
        machine.groups.get_mut(&id).unwrap().has_direct_region = true;
    });
    sees("3", "a group that isolates nothing", |machine, _, _| {
        let id = group(machine);
        machine.groups.get_mut(&id).unwrap().is_fake = true;
    });
    sees("3", "a group that nobody read", |machine, _, _| {
        machine.functions.get_mut(&at(SOUND)).unwrap().group = Some(GroupId(4711));
    });
    sees("3", "a function without a group", |machine, _, _| {
        machine.functions.get_mut(&at(SOUND)).unwrap().group = None;
    });
    sees("3", "an IOMMU that is off", |machine, _, _| machine.iommu.groups = Some(0));
}

#[test]
fn rule_4_sees_an_id_that_names_two() {
    sees("4", "a twin", |machine, _, _| {
        let id = machine.functions[&at(SOUND)].id;
        machine.functions.get_mut(&at(HOST)).unwrap().id = id;
    });
    sees("4", "ids though an address is wanted", |_, answers, _| {
        *answers = super::answers("[passthrough]\nmatch = \"address\"\n");
    });
    let by_address = complaining(|machine, _, judgement| {
        let id = machine.functions[&at(SOUND)].id;
        machine.functions.get_mut(&at(HOST)).unwrap().id = id;
        judgement.decision.matching = Matching::Address;
    });
    assert!(!by_address.iter().any(|name| name.starts_with('4')), "by address it is right: {by_address:?}");
}

#[test]
fn rule_5_sees_a_doubt_that_nobody_was_asked_about() {
    sees("5", "the boot VGA", |machine, _, _| {
        machine.functions.get_mut(&at(GUEST)).unwrap().boot_vga = Some(true);
    });
    sees("5", "a card that can be unplugged", |machine, _, _| {
        machine.functions.get_mut(&at(GUEST)).unwrap().is_removable = true;
    });
    sees("5", "an override of ACS", |machine, _, _| {
        machine.command_line = Some("pcie_acs_override=downstream".to_owned());
    });
    sees("5", "an unknown IOMMU", |machine, _, _| machine.iommu.groups = None);
    sees("5", "a tie", |_, _, judgement| {
        let mut twin = judgement.gpus.iter().find(|gpu| gpu.address == at(GUEST)).unwrap().clone();
        twin.address = at("0000:02:00.0");
        judgement.gpus.push(twin);
    });
    sees("5", "a MUX that gives the panel to the guest", |machine, _, _| {
        machine.mux = Some(neuron_passthrough::facts::Mux::Discrete);
    });
    sees("5", "an ask without its question", |_, _, judgement| judgement.decision.verdict = Verdict::Ask);
    sees("5", "a question that nobody asks", |_, _, judgement| {
        judgement.decision.question = Some("Which?".to_owned());
    });
}

#[test]
fn rule_6_sees_answers_that_lost() {
    for text in [
        "guest_gpus = [\"0000:00:02.0\"]",
        "guest_gpus = [\"0000:77:00.0\"]",
        "host_gpu = \"0000:01:00.0\"",
        "host_gpu = \"dead:beef\"",
    ] {
        sees("6", text, |_, given, _| *given = answers(&format!("[passthrough]\n{text}\n")));
    }
    sees("6", "all but one", |_, given, judgement| {
        *given = answers("[passthrough]\nguest_gpus = \"all\"\n");
        judgement.decision.guest_gpus.clear();
    });
}

#[test]
fn what_is_not_explained_is_seen() {
    let rule = "explained";
    sees(rule, "a refusal without a reason", |_, _, judgement| judgement.decision.verdict = Verdict::Refused);
    sees(rule, "a GPU without a reason", |_, _, judgement| judgement.gpus[0].because.clear());
    sees(rule, "a wrong role", |_, _, judgement| judgement.gpus[0].role = policy::GpuRole::Spare);
    sees(rule, "a GPU that nobody judged", |_, _, judgement| drop(judgement.gpus.pop()));
    sees(rule, "a finding without a hint", |_, _, judgement| {
        judgement.decision.findings.push(policy::Finding::new(
            policy::Code::GpuTie,
            Severity::Info,
            "x",
            " ",
        ));
    });
    sees(rule, "findings in disorder", |_, _, judgement| {
        for severity in [Severity::Info, Severity::Warning] {
            judgement.decision.findings.push(policy::Finding::new(policy::Code::GpuTie, severity, "x", "y"));
        }
    });
    sees(rule, "a blocker that blocks nothing", |_, _, judgement| {
        let blocker = policy::Finding::new(policy::Code::GpuTie, Severity::Blocker, "x", "y");
        judgement.decision.findings.insert(0, blocker);
    });
}

#[test]
fn what_must_not_be_bound_is_seen() {
    let rule = "bound";
    for verdict in [Verdict::Ask, Verdict::Refused] {
        sees(rule, "bound all the same", |_, _, judgement| judgement.decision.verdict = verdict);
    }
    sees(rule, "mode off", |_, given, _| *given = answers("[passthrough]\nmode = \"off\"\n"));
    sees(rule, "the kill switch", |machine, _, _| {
        machine.command_line = Some(policy::KILL_SWITCH.to_owned());
    });
    sees(rule, "ready for nothing", |_, _, judgement| judgement.decision.bind.clear());
    sees(rule, "bound without an identity", |_, _, judgement| drop(judgement.assignments.pop()));
}
