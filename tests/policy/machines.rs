//! The rules on every machine, with the default answers and with a fixed set of others.

use std::collections::BTreeMap;

use neuron_passthrough::answers::Answers;
use neuron_passthrough::policy::{self, Decision, Verdict};
use neuron_tests::seen::Seen;

use super::{MACHINES, answers, complaints, judged, seen};

const ALLOWED: [&str; 6] = [
    "guest-is-boot-vga",
    "guest-drives-panel",
    "group-peers",
    "only-gpu",
    "acs-override",
    "iommu-off-on-cmdline",
];

/// The answers that are tried on every machine.
fn variations(seen: &Seen) -> Vec<String> {
    let mut bodies: Vec<String> =
        ["", "guest_gpus = \"all\"", "match = \"ids\"", "match = \"address\"", "iommu_pt = false"]
            .map(str::to_owned)
            .to_vec();
    bodies.extend(
        ["auto", "at-boot", "on-demand", "paravirtual", "off"].map(|mode| format!("mode = \"{mode}\"")),
    );
    let gpus: Vec<_> = seen.facts.gpus().collect();
    for gpu in gpus.iter().take(4) {
        let address = gpu.address;
        bodies.push(format!("guest_gpus = [\"{address}\"]"));
        bodies.push(format!("host_gpu = \"{address}\""));
        bodies.push(format!("host_gpu = \"{address}\"\nguest_gpus = \"all\""));
        bodies.push(format!("host_gpu = \"{address}\"\nguest_gpus = [\"{address}\"]"));
        bodies.extend(gpu.id.map(|id| format!("guest_gpus = [\"{id}\"]")));
    }
    bodies.push("guest_gpus = [\"0000:7f:1f.7\"]".to_owned());
    bodies.push("host_gpu = \"dead:beef\"".to_owned());
    let all = format!("allow = {ALLOWED:?}");
    let allows = ALLOWED.map(|rule| format!("allow = [\"{rule}\"]")).into_iter().chain([String::new(), all]);
    let mut texts = Vec::new();
    for allow in allows {
        texts.extend(bodies.iter().map(|body| format!("[passthrough]\n{allow}\n{body}\n")));
    }
    texts
}

#[test]
fn the_rules_hold_on_every_machine_with_every_answer() {
    let mut tried = BTreeMap::<String, usize>::new();
    for seen in MACHINES.iter() {
        for text in variations(seen) {
            let given = answers(&text);
            let wrong = complaints(&seen.facts, &given);
            assert!(wrong.is_empty(), "{}, {text}{wrong:#?}", seen.machine.id);
            *tried
                .entry(format!("{:?}", policy::judge(&seen.facts, &given).decision.verdict))
                .or_default() += 1;
        }
    }
    // Rules that are only ever asked of refusals would hold for nothing.
    for verdict in [Verdict::Ready, Verdict::Pending, Verdict::Ask, Verdict::Refused] {
        assert!(tried.get(&format!("{verdict:?}")).is_some_and(|count| *count > 50), "{tried:?}");
    }
}

#[test]
fn the_same_machine_and_answers_give_the_same_judgement_and_it_survives_json() {
    for seen in MACHINES.iter() {
        for text in ["", "[passthrough]\nguest_gpus = \"all\"\n"] {
            let judgement = judged(&seen.facts, text);
            assert_eq!(judgement, judged(&seen.facts, text), "{}", seen.machine.id);
            let json = serde_json::to_string(&judgement.decision).unwrap();
            assert_eq!(serde_json::from_str::<Decision>(&json).unwrap(), judgement.decision);
        }
    }
}

#[test]
fn mode_off_asks_for_nothing_on_any_machine() {
    for seen in MACHINES.iter() {
        let judgement = judged(&seen.facts, "[passthrough]\nmode = \"off\"\n");
        assert_eq!(judgement.decision.verdict, Verdict::Ready, "{}", seen.machine.id);
        assert!(judgement.parameters.is_empty() && judgement.assignments.is_empty());
    }
}

#[test]
fn the_kill_switch_stops_what_would_be_ready_but_not_switching_off() {
    let mut facts = seen("made-rtx-usbc-igpu").facts.clone();
    assert_eq!(policy::judge(&facts, &Answers::default()).decision.verdict, Verdict::Ready);
    facts.command_line = Some("quiet neuron.passthrough=off".to_owned());
    let judgement = policy::judge(&facts, &Answers::default());
    assert_eq!(judgement.decision.verdict, Verdict::Refused);
    assert!(judgement.decision.bind.is_empty());
    let off = judged(&facts, "[passthrough]\nmode = \"off\"\n");
    assert_eq!(off.decision.verdict, Verdict::Ready, "{:?}", off.decision.findings);
    facts.command_line = Some("quiet neuron.passthrough=offline".to_owned());
    assert_eq!(policy::judge(&facts, &Answers::default()).decision.verdict, Verdict::Ready);
}

#[test]
fn all_of_one_gpu_is_not_ready_to_give_nothing() {
    let judgement = judged(&seen("made-single-gpu").facts, "[passthrough]\nguest_gpus = \"all\"\n");
    assert_eq!(judgement.decision.verdict, Verdict::Refused);
    let judgement = judged(&seen("made-rtx-usbc-igpu").facts, "[passthrough]\nguest_gpus = \"all\"\n");
    assert_eq!(judgement.decision.verdict, Verdict::Ready);
}

#[test]
fn the_command_line_is_read_as_the_kernel_reads_it() {
    let mut facts = seen("made-intel-pending").facts.clone();
    let mut state = |line: &str| {
        facts.command_line = Some(line.to_owned());
        policy::iommu_state(&facts).0
    };
    for off in [
        "intel_iommu=off",
        "intel_iommu=on intel_iommu=off",
        "iommu=off iommu=pt",
        "iommu=pt,off",
        "iommu=soft",
    ] {
        assert_eq!(state(off), policy::IommuState::OffOnCmdline, "{off}");
    }
    for on in
        ["", "quiet", "intel_iommu=off intel_iommu=on", "intel_iommu=on,sm_on", "iommu=pt", "xiommu=off"]
    {
        assert_eq!(state(on), policy::IommuState::Pending, "{on}");
    }
}

/// In a virtual machine the question names what is there: no GPU of a processor's.
#[test]
fn virtual_gpus_are_called_so() {
    let seen = MACHINES.iter().find(|seen| seen.machine.id == "dual-gtx480-identical").unwrap();
    let question = |id: Option<&str>| {
        let mut facts = seen.facts.clone();
        let gpus: Vec<_> = facts.gpus().map(|gpu| gpu.address).collect();
        for address in gpus {
            let function = facts.functions.get_mut(&address).unwrap();
            function.id = id.map_or(function.id, |id| id.parse().ok());
        }
        let decision = policy::judge(&facts, &Answers::default()).decision;
        decision.findings.into_iter().map(|one| one.message).collect::<Vec<_>>().join("; ")
            + &decision.question.unwrap_or_default()
    };
    let made = question(Some("1234:1111"));
    assert!(made.contains("that is a virtual GPU") && !made.contains("discrete"), "{made}");
    assert!(!question(None).contains("virtual GPU"));
}
