//! Why nothing was done, kept where `status` and the first boot find it.

use crate::answers::Mode;
use crate::apply::{Options, Store};
use crate::facts::FactsError;
use crate::policy::{Code, Decision, Finding, Matching, Severity, Verdict};
use crate::root::Root;

/// The file, in the state directory, that says why nothing was done.
pub const REFUSAL: &str = "refusal.json";

/// What is decided of a machine that cannot be read: nobody knows what would be given away.
pub fn unreadable(error: &FactsError) -> Decision {
    let finding = Finding::new(
        Code::MachineUnreadable,
        Severity::Blocker,
        format!("this machine cannot be read: {error}"),
        "run `neuron-provisioner apply` as root on the machine itself, with /sys and /proc mounted",
    );
    Decision {
        verdict: Verdict::Refused,
        mode: Mode::AtBoot,
        host_gpu: None,
        guest_gpus: Vec::new(),
        bind: Vec::new(),
        matching: Matching::Ids,
        question: None,
        findings: vec![finding],
    }
}

/// Keeps the reason of a refusal in a target. One that cannot even take that (read-only, or not
/// ours) is left as it is: the caller has the reason in its hand.
pub fn keep_reason(target: &Root, decision: &Decision) {
    let kept = serde_json::to_string_pretty(decision).map(|text| text + "\n");
    let written = kept.map_err(|error| error.to_string()).and_then(|text| {
        let mut store = Store::open(target, Options::default()).map_err(|error| error.in_full())?;
        store.write_state_file(REFUSAL, text.as_bytes()).map_err(|error| error.in_full())
    });
    if let Err(error) = written {
        tracing::warn!("the reason of the refusal could not be kept: {error}");
    }
}
