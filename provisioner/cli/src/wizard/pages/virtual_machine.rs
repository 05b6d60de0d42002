//! The virtual machine: which, its name, its share of memory and processors.

use neuron_passthrough::answers::{VM_NAMES, VmKind, is_vm_name};

use super::{Step, Taken, has_machine, is_on, whole};
use crate::wizard::{Answer, BACK, Draft, Question, Seen};

const KINDS: [(VmKind, &str); 3] = [
    (VmKind::Windows11, "A new one for Windows 11"),
    (VmKind::Windows10, "A new one for Windows 10"),
    (VmKind::Linux, "A new one for Linux"),
];

pub(super) const STEPS: &[Step] = &[
    Step { id: "machine", applies: is_on, ask, take },
    Step {
        id: "name",
        applies: has_machine,
        ask: |_, draft| Question::line("Its name", draft.name.clone().unwrap_or_default()),
        take: |_, draft, answer| {
            let name = answer.line();
            if !is_vm_name(name) || name == BACK {
                return Err(format!("`{name}` cannot be its name: {VM_NAMES}"));
            }
            draft.rename(name)?;
            Ok(Taken::Next)
        },
    },
    Step { id: "memory", applies: has_machine, ask: ask_memory, take: take_memory },
    Step { id: "processors", applies: has_machine, ask: ask_processors, take: take_processors },
];

fn ask(_: &Seen<'_>, draft: &Draft) -> Question {
    let before = draft.machines_before();
    let mut options: Vec<String> =
        before.iter().map(|name| format!("{name}, which the answers have")).collect();
    options.extend(KINDS.iter().map(|(_, label)| (*label).to_owned()));
    options.push("None now".to_owned());
    let here = draft.name.as_ref().and_then(|name| before.iter().position(|other| other == name));
    let kind = draft.vm().and_then(|vm| KINDS.iter().position(|(kind, _)| *kind == vm.kind));
    let proposed = here.or(kind.map(|kind| before.len() + kind)).unwrap_or(before.len());
    Question::choice("Which virtual machine gets the card?", options)
        .proposing(proposed)
        .text("Its description is kept with the answers; the next questions fill it in.")
}

fn take(_: &Seen<'_>, draft: &mut Draft, answer: &Answer) -> Result<Taken, String> {
    let before = draft.machines_before().to_vec();
    match before.get(answer.index()) {
        Some(name) => draft.take_up(name),
        None => match KINDS.get(answer.index() - before.len()) {
            Some((kind, _)) => draft.begin_machine(*kind),
            None => draft.without_machine(),
        },
    }
    Ok(Taken::Next)
}

fn ask_memory(seen: &Seen<'_>, draft: &Draft) -> Question {
    let asked = draft.vm().map_or(0, |vm| vm.memory_mib);
    let Some((usual, most)) = seen.proposal(draft).memory_mib else {
        let proposed = if asked == 0 { 8192 } else { asked };
        return Question::line("Memory in GiB", (proposed / 1024).to_string())
            .text("This computer does not tell how much memory it has; half of it is a good measure.");
    };
    let proposed = if asked == 0 { usual } else { asked };
    Question::line("Memory in GiB", (proposed / 1024).to_string()).text(format!(
        "It takes its memory from this computer while it runs: {} GiB is half of what is here, {} GiB the most.",
        usual / 1024,
        most / 1024
    ))
}

fn take_memory(seen: &Seen<'_>, draft: &mut Draft, answer: &Answer) -> Result<Taken, String> {
    let most = seen.proposal(draft).memory_mib.map_or(4096, |(_, most)| most / 1024);
    let gib = whole(answer.line(), 1, most)?;
    let usual = seen.proposal(draft).memory_mib.is_some_and(|(usual, _)| usual == gib * 1024);
    if let Some(vm) = draft.vm_mut()
        // What is not a whole number of GiB was written by hand, and is proposed rounded.
        && (vm.memory_mib / 1024 != gib || vm.memory_mib == 0)
    {
        vm.memory_mib = if usual { 0 } else { gib * 1024 };
    }
    Ok(Taken::Next)
}

fn ask_processors(seen: &Seen<'_>, draft: &Draft) -> Question {
    let asked = draft.vm().map_or(0, |vm| vm.vcpus);
    let Some((usual, most)) = seen.proposal(draft).vcpus else {
        let proposed = if asked == 0 { 4 } else { asked };
        return Question::line("Processors", proposed.to_string())
            .text("This computer does not tell how many processors it has; leave it some.");
    };
    let proposed = if asked == 0 { usual } else { asked };
    Question::line("Processors", proposed.to_string()).text(format!(
        "They are kept for it while it runs, and this computer always keeps some: {usual} is the proposal, {most} the most."
    ))
}

fn take_processors(seen: &Seen<'_>, draft: &mut Draft, answer: &Answer) -> Result<Taken, String> {
    let most = seen.proposal(draft).vcpus.map_or(512, |(_, most)| most);
    let wanted = u32::try_from(whole(answer.line(), 1, most.into())?).unwrap_or(most);
    let usual = seen.proposal(draft).vcpus.is_some_and(|(usual, _)| usual == wanted);
    if let Some(vm) = draft.vm_mut()
        && vm.vcpus != wanted
    {
        vm.vcpus = if usual { 0 } else { wanted };
    }
    Ok(Taken::Next)
}
