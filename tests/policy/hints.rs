//! Hints that say what to write: written so, they help.

use neuron_passthrough::answers::Answers;
use neuron_passthrough::facts::Machine;
use neuron_passthrough::policy::{self, Decision, Finding, Severity, Verdict};

use super::{MACHINES, answers, judged, seen};

/// The answers with what a hint says to write; none if it says nothing of the kind.
fn followed(given: &Answers, hint: &str) -> Option<Answers> {
    let list = |key: &str| {
        let rest = hint.split_once(&format!("{key} = ["))?.1;
        Some(format!("{key} = [{}]\n", rest.split_once(']')?.0))
    };
    let told =
        answers(&format!("[passthrough]\n{}{}", list("allow")?, list("guest_gpus").unwrap_or_default()));
    let mut given = given.clone();
    given.passthrough.allow.extend(told.passthrough.allow);
    if hint.contains("guest_gpus = [") {
        given.passthrough.guest_gpus = told.passthrough.guest_gpus;
    }
    Some(given)
}

fn same<'a>(decision: &'a Decision, finding: &Finding) -> Option<&'a Finding> {
    let mut findings = decision.findings.iter();
    findings.find(|other| other.code == finding.code && other.subject == finding.subject)
}

#[test]
fn every_override_that_a_hint_names_has_an_effect_as_it_is_written() {
    let mut tried = 0;
    for seen in MACHINES.iter() {
        let mut texts = vec![String::new(), "guest_gpus = \"all\"\n".to_owned()];
        for gpu in seen.facts.gpus().take(4) {
            texts.push(format!("host_gpu = \"{}\"\n", gpu.address));
            texts.push(format!("guest_gpus = [\"{}\"]\n", gpu.address));
            texts.push(format!("guest_gpus = \"all\"\nhost_gpu = \"{}\"\n", gpu.address));
        }
        for text in texts {
            let given = answers(&format!("[passthrough]\n{text}"));
            let before = policy::judge(&seen.facts, &given).decision;
            for finding in &before.findings {
                let Some(then) = followed(&given, &finding.hint) else { continue };
                tried += 1;
                let after = policy::judge(&seen.facts, &then).decision;
                let what = format!("{}: {text}{finding:#?}\n{after:#?}", seen.machine.id);
                let rest = same(&after, finding);
                if finding.severity == Severity::Blocker {
                    assert!(rest.is_none_or(|rest| rest.severity < Severity::Blocker), "{what}");
                }
                if before.verdict == Verdict::Ask {
                    assert_ne!(after.question, before.question, "{what}");
                }
            }
        }
    }
    assert!(tried > 100, "{tried}");
}

/// Follows every hint until none says anything new.
fn to_the_end(machine: &Machine, text: &str) -> Decision {
    let mut given = answers(text);
    for _ in 0..5 {
        let decision = policy::judge(machine, &given).decision;
        if decision.verdict == Verdict::Ready {
            return decision;
        }
        for finding in &decision.findings {
            given = followed(&given, &finding.hint).unwrap_or(given);
        }
    }
    policy::judge(machine, &given).decision
}

#[test]
fn the_only_gpu_goes_if_one_writes_what_the_hints_say() {
    for (machine, text) in [
        ("made-single-gpu", ""),
        ("made-single-gpu", "[passthrough]\nguest_gpus = \"all\"\n"),
        ("lg-gram-12th", ""),
        ("lg-gram-12th", "[passthrough]\nguest_gpus = \"all\"\n"),
    ] {
        let mut facts = seen(machine).facts.clone();
        // Alone in its group, so that nothing but the picture is in the way.
        facts.iommu.groups = Some(facts.groups.len().max(1));
        let gpus: Vec<_> = facts.gpus().map(|gpu| gpu.address).collect();
        assert_eq!(gpus.len(), 1, "{machine}");
        let decision = judged(&facts, text).decision;
        assert_eq!(decision.verdict, Verdict::Refused, "{machine}: {text}");
        let group = facts.functions[&gpus[0]].group.unwrap_or(neuron_passthrough::id::GroupId(0));
        facts.functions.get_mut(&gpus[0]).unwrap().group = Some(group);
        let own = neuron_passthrough::facts::Group { members: vec![gpus[0]], ..Default::default() };
        facts.groups.entry(group).or_insert(own);
        let decision = to_the_end(&facts, text);
        assert_eq!(decision.verdict, Verdict::Ready, "{machine}: {text}{decision:#?}");
        assert_eq!(decision.guest_gpus, gpus, "{machine}");
    }
}

#[test]
fn where_only_management_graphics_is_left_no_override_is_offered() {
    for text in ["", "[passthrough]\nguest_gpus = \"all\"\n"] {
        let decision = judged(&seen("nas-board-ast-only").facts, text).decision;
        let finding =
            decision.findings.iter().find(|finding| finding.code == policy::Code::SingleGpu).unwrap();
        assert!(!finding.hint.contains("only-gpu"), "{finding:?}");
    }
    let single = judged(&seen("made-single-gpu").facts, "").decision;
    assert!(single.findings.iter().any(|finding| finding.hint.contains("allow = [\"only-gpu\"]")));
}

#[test]
fn an_iommu_that_somebody_turned_off_comes_back_where_ours_can_replace_that() {
    let facts = &seen("made-intel-off-on-cmdline").facts;
    let ask = judged(facts, "").decision;
    assert_eq!(ask.verdict, Verdict::Ask);
    assert!(ask.question.unwrap().contains("intel_iommu=off"));
    let allow = "[passthrough]\nallow = [\"iommu-off-on-cmdline\"]\n";
    let pending = judged(facts, allow);
    assert_eq!(pending.decision.verdict, Verdict::Pending, "{:?}", pending.decision.findings);
    assert_eq!(pending.parameters, ["intel_iommu=on", "iommu=pt"]);
    let codes: Vec<String> =
        pending.decision.findings.iter().map(|finding| finding.code.to_string()).collect();
    assert!(codes.contains(&"iommu-off-on-cmdline".to_owned()), "it is still told: {codes:?}");

    // No table, no vmx, AMD, or a parameter that ours do not replace: a question that stays one.
    let spoilt = |spoil: &dyn Fn(&mut Machine)| {
        let mut facts = facts.clone();
        spoil(&mut facts);
        let before = judged(&facts, "").decision;
        assert_eq!(before.verdict, Verdict::Ask);
        assert!(before.question.clone().is_some_and(|question| question.contains("no answer")), "{before:?}");
        let hints = before.findings.iter().map(|finding| finding.hint.as_str());
        assert!(!hints.collect::<String>().contains("allow ="), "{before:?}");
        assert_eq!(judged(&facts, allow).decision, before);
    };
    spoilt(&|facts| facts.iommu.tables.as_mut().unwrap().dmar = false);
    spoilt(&|facts| facts.cpu.virtualization = Some(false));
    spoilt(&|facts| facts.command_line = Some("iommu=pt amd_iommu=off".to_owned()));
    spoilt(&|machine| machine.clone_from(&seen("made-amd-off-on-cmdline").facts));
    let no_pt = "[passthrough]\niommu_pt = false\nallow = [\"iommu-off-on-cmdline\"]\n";
    let mut soft = facts.clone();
    soft.command_line = Some("iommu=soft".to_owned());
    assert_eq!(judged(&soft, no_pt).decision.verdict, Verdict::Ask);
    assert_eq!(judged(&soft, allow).decision.verdict, Verdict::Pending);
}

#[test]
fn what_takes_the_early_hook_says_that_apply_refuses_without_it() {
    let decision = judged(&seen("made-twins-one-is-host").facts, "").decision;
    let finding =
        decision.findings.iter().find(|finding| finding.code == policy::Code::IdenticalIds).unwrap();
    assert!(finding.hint.contains(policy::target::HOOK_PACKAGE) && finding.hint.contains("refuses"));
}

#[test]
fn a_gpu_that_drives_the_panel_has_a_display_of_its_own() {
    let codes = |machine: &str| -> Vec<String> {
        let findings = judged(&seen(machine).facts, "").decision.findings;
        findings.into_iter().map(|finding| finding.code.to_string()).collect()
    };
    let discrete = codes("made-laptop-mux-discrete");
    assert!(discrete.contains(&"guest-drives-panel".to_owned()));
    assert!(!discrete.contains(&"muxless-laptop".to_owned()), "{discrete:?}");
    assert!(codes("made-laptop-muxless").contains(&"muxless-laptop".to_owned()));
}
