//! What else of this computer the virtual machine gets whole: USB controllers and other PCI devices, of which
//! only those are offered that policy lets go.

use neuron_passthrough::answers::Vm;
use neuron_passthrough::facts::PciFunction;
use neuron_passthrough::id::{FunctionName, PciAddress};
use neuron_passthrough::policy::{self, Decision, Severity, Verdict};

use super::{Step, Taken, has_machine};
use crate::render::plain;
use crate::wizard::{Answer, Draft, Part, Question, Seen};

/// What a console's line has room for, beside what marks it.
const WIDTH: usize = 70;
/// Functions that do nothing for anybody (non-essential instrumentation): AMD's chips have many.
const DUMMY: u8 = 0x13;

pub(super) const STEPS: &[Step] = &[Step {
    id: "devices",
    applies: |seen, draft| has_machine(seen, draft) && !offers(seen, draft).is_empty(),
    ask,
    take,
}];

/// A device that can be marked, or is.
struct Offer<'a> {
    function: &'a PciFunction,
    is_marked: bool,
    /// What is worth knowing where it goes.
    catches: Vec<String>,
}

fn offers<'a>(seen: &'a Seen<'_>, draft: &Draft) -> Vec<Offer<'a>> {
    let Some(vm) = draft.vm() else { return Vec::new() };
    let marked = policy::devices_of(&seen.machine, vm);
    let offer = |function: &'a PciFunction| {
        let is_marked = marked.contains(&function.address);
        if function.class.base() == DUMMY && !is_marked {
            return None;
        }
        let decision = with(seen, draft, function, is_marked);
        let goes = decision.verdict == Verdict::Ready && decision.bind.contains(&function.address);
        let catches = || catches(&decision, function.address);
        (is_marked || goes).then(|| Offer { function, is_marked, catches: catches() })
    };
    seen.machine.functions.values().filter_map(offer).collect()
}

/// What policy says where this one goes along.
fn with(seen: &Seen<'_>, draft: &Draft, function: &PciFunction, is_marked: bool) -> Decision {
    let mut tried = draft.clone();
    if let Some(vm) = tried.vm_mut().filter(|_| !is_marked) {
        mark(vm, function);
    }
    seen.judge(&tried.answers).decision
}

fn catches(decision: &Decision, address: PciAddress) -> Vec<String> {
    let about = address.to_string();
    let is_it = |severity: Severity| matches!(severity, Severity::Warning | Severity::Blocker);
    let found = decision.findings.iter();
    let found = found.filter(|one| is_it(one.severity) && one.subject.as_ref() == Some(&about));
    found.map(|finding| plain(&finding.message)).collect()
}

fn mark(vm: &mut Vm, function: &PciFunction) {
    if function.class.is_usb_controller() {
        vm.usb_controllers.push(function.address);
    } else {
        vm.pci_devices.push(FunctionName::Address(function.address));
    }
}

fn unmark(vm: &mut Vm, function: &PciFunction) {
    vm.usb_controllers.retain(|address| *address != function.address);
    vm.pci_devices.retain(|name| match name {
        FunctionName::Address(address) => *address != function.address,
        FunctionName::Id(id) => function.id != Some(*id),
    });
}

fn ask(seen: &Seen<'_>, draft: &Draft) -> Question {
    let offers = offers(seen, draft);
    let label = |offer: &Offer<'_>| {
        format!("[{}] {}", if offer.is_marked { 'x' } else { ' ' }, seen.device(offer.function, WIDTH))
    };
    let mut options: Vec<String> = offers.iter().map(label).collect();
    let has_any = offers.iter().any(|offer| offer.is_marked);
    options.push(if has_any { "Go on with these" } else { "None" }.to_owned());
    let catches = offers.iter().filter(|offer| !offer.catches.is_empty()).map(|offer| {
        Part::Item(format!("{}: {}.", seen.device(offer.function, WIDTH), offer.catches.join("; ")))
    });
    let mut question = Question::choice("Which other devices go along, whole?", options)
        .proposing(offers.len())
        .text(
            "What is marked with [x] belongs to virtual machines alone from the next start on: a USB controller \
             with all that is plugged into it. Choosing a device marks or unmarks it. Here is what this computer \
             can do without.",
        );
    question.text.extend(catches);
    question
}

fn take(seen: &Seen<'_>, draft: &mut Draft, answer: &Answer) -> Result<Taken, String> {
    let offers = offers(seen, draft);
    let Some(offer) = offers.get(answer.index()) else { return Ok(Taken::Next) };
    if let Some(vm) = draft.vm_mut() {
        if offer.is_marked {
            unmark(vm, offer.function);
        } else {
            mark(vm, offer.function);
        }
    }
    Ok(Taken::Again)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use neuron_passthrough::answers::Answers;
    use neuron_passthrough::root::Root;
    use neuron_tests::machine::in_use;
    use neuron_tests::scenario::Ground;

    use super::*;

    const USB: &str = "0000:00:14.0";
    const NVME: &str = "0000:02:00.0";
    /// The card's own.
    const OWN_USB: &str = "0000:01:00.2";

    /// What is offered on a machine of which no disk is in use, where the early hook claims drives, and what of
    /// it is marked.
    fn offered(answers: &str, spoil: impl FnOnce(&Ground)) -> Vec<(String, bool)> {
        on(answers, spoil, |seen, draft| {
            let offers = offers(seen, draft).into_iter();
            offers.map(|offer| (offer.function.address.to_string(), offer.is_marked)).collect()
        })
    }

    fn on<T>(answers: &str, spoil: impl FnOnce(&Ground), look: impl FnOnce(&Seen<'_>, &mut Draft) -> T) -> T {
        let ground = Ground::new("made-rtx-usbc-igpu", "early-hook").unwrap();
        fs::write(ground.target().join("etc/fstab"), "").unwrap();
        spoil(&ground);
        let [machine, target] =
            [ground.machine(), ground.target()].map(|path| Root::directory(&path).unwrap());
        let seen = Seen::read(&machine, &target, &machine, &Answers::default()).unwrap();
        look(&seen, &mut Draft::new(Answers::parse(answers).unwrap()))
    }

    fn has(offers: &[(String, bool)], address: &str) -> Option<bool> {
        offers.iter().find(|(offered, _)| offered == address).map(|(_, is_marked)| *is_marked)
    }

    #[test]
    fn what_the_host_needs_is_not_offered() {
        let free = offered("[vm.a]\n", |_| {});
        assert_eq!(
            (has(&free, USB), has(&free, NVME), has(&free, OWN_USB)),
            (Some(false), Some(false), None)
        );
        let used = offered("[vm.a]\n", |ground| {
            in_use::disk(&ground.machine(), NVME, "nvme0n1p2", "259:2").unwrap();
            let line = "30 1 259:2 / / rw - ext4 /dev/nvme0n1p2 rw\n";
            fs::write(ground.machine().join("proc/self/mountinfo"), line).unwrap();
            in_use::keyboard(&ground.machine(), Some(USB), "input3").unwrap();
            in_use::without_keyboard(&ground.machine()).unwrap();
        });
        assert_eq!((has(&used, USB), has(&used, NVME)), (None, None), "{used:?}");
        let marked = offered(&format!("[vm.a]\npci_devices = [\"{NVME}\"]\n"), |_| {});
        assert_eq!((has(&marked, USB), has(&marked, NVME)), (Some(false), Some(true)), "{marked:?}");
        assert!(offered("[vm.a]\n[passthrough]\nmode = \"off\"\n", |_| {}).is_empty());
    }

    #[test]
    fn a_device_is_marked_and_unmarked_by_whatever_name_it_has() {
        let text =
            "[vm.a]\nusb_controllers = [\"0000:00:14.0\"]\npci_devices = [\"0000:00:14.0\", \"8086:a36d\"]\n";
        on(
            text,
            |_| {},
            |seen, draft| {
                let function = |address: &str| &seen.machine.functions[&address.parse().unwrap()];
                let vm = draft.vm_mut().unwrap();
                unmark(vm, function(USB));
                assert!(vm.usb_controllers.is_empty() && vm.pci_devices.is_empty(), "{vm:?}");
                mark(vm, function(USB));
                mark(vm, function(NVME));
                assert_eq!(vm.usb_controllers, [USB.parse().unwrap()]);
                assert_eq!(vm.pci_devices, [FunctionName::Address(NVME.parse().unwrap())]);
            },
        );
    }
}
