//! The rules on machines that no report shows.

use neuron_passthrough::policy::{self, Decision, KILL_SWITCH, Verdict};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::complaints;
use super::strategy::trial;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_hold((machine, answers) in trial()) {
        let wrong = complaints(&machine, &answers);
        prop_assert!(wrong.is_empty(), "{:#?}\n{:#?}", wrong, policy::judge(&machine, &answers).decision);
    }

    #[test]
    fn a_judgement_is_repeatable_and_survives_json_and_the_kill_switch_ends_it((mut machine, answers) in trial()) {
        let judgement = policy::judge(&machine, &answers);
        prop_assert_eq!(&judgement, &policy::judge(&machine, &answers));
        let json = serde_json::to_string(&judgement.decision).unwrap();
        prop_assert_eq!(serde_json::from_str::<Decision>(&json).unwrap(), judgement.decision);

        let line = machine.command_line.take().unwrap_or_default();
        machine.command_line = Some(format!("{line} {KILL_SWITCH}"));
        prop_assert!(policy::judge(&machine, &answers).decision.bind.is_empty());
        prop_assert_eq!(complaints(&machine, &answers), Vec::<String>::new());
    }
}

/// Rules that are only ever asked of refusals would hold for nothing.
#[test]
fn generated_machines_reach_every_verdict() {
    let mut runner = TestRunner::deterministic();
    let mut counts = [0; 4];
    let mut with_devices = 0;
    for _ in 0..1000 {
        let (machine, answers) = trial().new_tree(&mut runner).unwrap().current();
        let decision = policy::judge(&machine, &answers).decision;
        let bound = !decision.bind.is_empty();
        with_devices += usize::from(bound && answers.devices().next().is_some());
        match decision.verdict {
            Verdict::Ready => counts[0] += usize::from(bound),
            Verdict::Pending => counts[1] += usize::from(bound),
            Verdict::Ask => counts[2] += 1,
            Verdict::Refused => counts[3] += 1,
        }
    }
    let wanted = [60, 15, 60, 300];
    assert!(with_devices > 5, "{with_devices} with devices beside GPUs");
    assert!(counts.iter().zip(wanted).all(|(got, least)| *got >= least), "{counts:?}, at least {wanted:?}");
}
