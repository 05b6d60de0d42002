//! What somebody does once it is written: cables, the reboot, the first start, Windows.

use neuron_passthrough::answers::{Answers, DefaultEntry, VmKind};
use neuron_passthrough::policy::{Code, Decision, Gpu, Verdict};

use super::{Draft, Seen};

/// The steps that are left, in order.
pub(crate) fn what_next(seen: &Seen<'_>, draft: &Draft, decision: &Decision, reboot: bool) -> Vec<String> {
    let answers = &draft.answers;
    let mut steps = Vec::new();
    if draft.is_off() {
        if reboot {
            steps.push("Restart the computer: from then on every card is its own again.".to_owned());
        }
        return steps;
    }
    let judgement = seen.judge(answers);
    let at = |address| judgement.gpus.iter().find(|gpu| gpu.address == address);
    if let Some(host) = decision.host_gpu.and_then(at) {
        steps.extend(host_cable(seen, host));
    }
    let guests: Vec<&Gpu> = decision.guest_gpus.iter().filter_map(|address| at(*address)).collect();
    steps.extend(guests.iter().filter_map(|gpu| guest_cable(seen, gpu, answers)));
    if reboot {
        steps.push(restart(answers, decision));
    }
    if decision.verdict == Verdict::Pending {
        steps.push(
            "Then the rest is written by itself, and a message asks for another restart. Where it does not \
             come, run `neuron-provisioner apply`."
                .to_owned(),
        );
        return steps;
    }
    steps.push("Look whether all is well: `neuron-provisioner doctor`.".to_owned());
    if let (Some(name), Some(vm)) = (&draft.name, draft.vm()) {
        steps.push(format!("Make the virtual machine: `neuron-provisioner vm define {name}`."));
        steps.extend(inside(vm.kind, answers));
    }
    steps
}

fn host_cable(seen: &Seen<'_>, host: &Gpu) -> Option<String> {
    let name = seen.name(host);
    (!host.has_display && host.has_outputs)
        .then(|| format!("Plug the monitor's cable into {name}: there this computer draws from now on."))
}

fn guest_cable(seen: &Seen<'_>, guest: &Gpu, answers: &Answers) -> Option<String> {
    if !guest.has_outputs || guest.drives_panel {
        return None;
    }
    let name = seen.name(guest);
    Some(if answers.looking_glass.enable {
        format!(
            "Leave a cable or a dummy plug in {name}: without a monitor the card draws nothing that Looking \
             Glass could show."
        )
    } else {
        format!("Plug a monitor, or a second input of yours, into {name}: there the virtual machine draws.")
    })
}

fn restart(answers: &Answers, decision: &Decision) -> String {
    let wishes = &answers.passthrough;
    let is_tried = decision.findings.iter().any(|finding| finding.code == Code::Trial);
    let more = match (decision.verdict, wishes.default_entry) {
        (Verdict::Pending, _) => "",
        (_, DefaultEntry::Host) => " Choose the entry with GPU passthrough in the boot menu.",
        (_, DefaultEntry::Passthrough) if is_tried => {
            " The first start asks at the screen whether the picture is there: press a key. Without one the \
             card goes back."
        }
        (_, DefaultEntry::Passthrough) => {
            " If it shows no picture, choose the entry without GPU passthrough in the boot menu."
        }
    };
    format!("Restart the computer.{more}")
}

fn inside(kind: VmKind, answers: &Answers) -> Vec<String> {
    let mut steps = Vec::new();
    match kind {
        VmKind::Windows11 | VmKind::Windows10 => {
            steps.push(
                "In the installer of Windows, load the disk's driver from the VirtIO medium. Once it runs, \
                 install virtio-win-guest-tools from there, and the card's own driver."
                    .to_owned(),
            );
            if answers.looking_glass.enable {
                steps.push(
                    "In Windows, install the host application of Looking Glass, of the very release that the \
                     client here has."
                        .to_owned(),
                );
            }
        }
        VmKind::Linux => steps.push("Install the distribution, and the card's driver in it.".to_owned()),
    }
    steps
}
