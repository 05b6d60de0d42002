//! What the machines' sources say should come out, beside what does.

use std::collections::BTreeSet;

use neuron_passthrough::policy::{IommuState, Judgement, Verdict, Viability};
use neuron_tests::seen::Seen;

use super::{MACHINES, judged, seen, word};

/// Machines where what their source reports is not what comes out, and why that is right.
const EXCEPTIONS: [(&str, &str); 1] = [(
    "turducken-ryzen-rx580-gtx1080-acs",
    "its owner gives both of two cards away, which takes allow = [\"only-gpu\"], and trusts groups that an override made",
)];

/// Tells every difference between a machine's expectations and what comes out.
fn differences(seen: &Seen) -> Vec<String> {
    let mut wrong = Vec::new();
    let expected = &seen.machine.expected;
    let judgement = judged(&seen.facts, "");
    let decision = &judgement.decision;
    let mut compare = |what: &str, wanted: &Option<String>, got: Option<String>| {
        if wanted.is_some() && *wanted != got {
            wrong.push(format!("{what}: {wanted:?} is expected, {got:?} comes out"));
        }
    };
    compare("host_gpu", &expected.host_gpu, decision.host_gpu.map(|host| host.to_string()));
    compare("iommu_state", &expected.iommu_state, Some(word(judgement.iommu)));
    compare("verdict", &expected.verdict, Some(word(decision.verdict)));
    compare("match", &expected.matching, Some(word(decision.matching)));
    let codes: BTreeSet<String> = decision.findings.iter().map(|finding| finding.code.to_string()).collect();
    let missing = expected.findings.iter().filter(|code| !codes.contains(*code));
    wrong.extend(missing.map(|code| format!("finding {code} is expected, {codes:?} come out")));
    let bind: Vec<String> = decision.bind.iter().map(ToString::to_string).collect();
    if seen.machine.made && expected.passthrough.as_ref().is_some_and(|given| *given != bind) {
        wrong.push(format!("passthrough: {:?} is expected, {bind:?} is bound", expected.passthrough));
    }
    wrong.extend(viability(seen, &judgement));
    wrong.extend(owners_choice(seen));
    wrong
}

/// `viable` speaks of what is passed through; where that is not said, of every GPU but the host's.
fn viability(seen: &Seen, judgement: &Judgement) -> Option<String> {
    let expected = &seen.machine.expected;
    let viable = expected.viable?;
    let speaks_of = |address: String| match &expected.passthrough {
        Some(given) => given.contains(&address),
        None => {
            Some(&address) != expected.host_gpu.as_ref()
                && judgement.decision.host_gpu.map(|host| host.to_string()) != Some(address)
        }
    };
    let gpus = judgement.gpus.iter().filter(|gpu| speaks_of(gpu.address.to_string()));
    let got: Vec<_> = gpus.map(|gpu| (gpu.address.to_string(), gpu.viability)).collect();
    // No groups and no word about ACPI tables: the source's "not viable" is our "unknown".
    let agrees = |one: Viability| match one {
        Viability::Viable => viable,
        Viability::Blocked => !viable,
        Viability::Pending | Viability::Unknown => !viable && judgement.iommu != IommuState::On,
    };
    got.iter()
        .any(|(_, one)| !agrees(*one))
        .then(|| format!("viable: {viable} is expected, {got:?} come out"))
}

/// What the owner gave away, given as answers, is ready and is exactly that.
fn owners_choice(seen: &Seen) -> Option<String> {
    let expected = &seen.machine.expected;
    let given = expected.passthrough.as_ref().filter(|_| expected.viable == Some(true))?;
    let gpus: Vec<String> = seen.facts.gpus().map(|gpu| gpu.address.to_string()).collect();
    let guests: Vec<&String> = given.iter().filter(|address| gpus.contains(address)).collect();
    let host = expected.host_gpu.as_ref().map(|host| format!("host_gpu = \"{host}\"\n")).unwrap_or_default();
    let text = format!("[passthrough]\nguest_gpus = {guests:?}\n{host}");
    let decision = judged(&seen.facts, &text).decision;
    let bind: Vec<String> = decision.bind.iter().map(ToString::to_string).collect();
    let wanted: BTreeSet<&String> = given.iter().collect();
    let is_right = decision.verdict == Verdict::Ready && wanted == bind.iter().collect();
    let findings: Vec<String> = decision.findings.iter().map(|finding| finding.code.to_string()).collect();
    (!is_right).then(|| format!("{guests:?}: {:?} {bind:?} for {given:?}, {findings:?}", decision.verdict))
}

#[test]
fn what_the_sources_say_comes_out() {
    let mut different = Vec::new();
    for seen in MACHINES.iter() {
        let wrong = differences(seen);
        let exception = EXCEPTIONS.iter().find(|(id, _)| *id == seen.machine.id);
        match (wrong.is_empty(), exception) {
            (true, None) | (false, Some(_)) => {}
            (true, Some(_)) => {
                different.push(format!("{}: an exception that is none any more", seen.machine.id));
            }
            (false, None) => different.push(format!("{}: {}", seen.machine.id, wrong.join("\n    "))),
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert_eq!(EXCEPTIONS.len(), 1, "a new exception is counted, and explained");
    assert!(
        EXCEPTIONS
            .iter()
            .all(|(id, why)| MACHINES.iter().any(|seen| seen.machine.id == *id) && !why.is_empty())
    );
}

#[test]
fn with_the_overrides_named_the_exception_is_what_its_owner_did() {
    let owner = seen("turducken-ryzen-rx580-gtx1080-acs");
    let text = "[passthrough]\nguest_gpus = [\"0000:0a:00.0\", \"0000:0b:00.0\"]\n\
                allow = [\"only-gpu\", \"acs-override\", \"guest-is-boot-vga\"]\n";
    let decision = judged(&owner.facts, text).decision;
    let bind: Vec<String> = decision.bind.iter().map(ToString::to_string).collect();
    assert_eq!(decision.verdict, Verdict::Ready, "{:?}", decision.findings);
    assert_eq!(Some(bind), owner.machine.expected.passthrough);
}
