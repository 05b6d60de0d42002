//! The answers while they are being chosen.

use std::collections::BTreeSet;

use neuron_passthrough::answers::{Answers, Mode, Override, Vm, VmKind};

/// Answers on their way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    /// As they are by now.
    pub(crate) answers: Answers,
    /// The virtual machine that is being described, by its name in the answers.
    pub(crate) name: Option<String>,
    /// Whether somebody wants to type a resolution.
    pub(crate) types_resolution: bool,
    /// The steps that somebody left open: what would be proposed there is not wanted.
    pub(crate) left_open: BTreeSet<&'static str>,
    /// The safety rules that were set aside before.
    allowed_before: Vec<Override>,
    /// The machines of the answers as they were before.
    machines_before: Vec<String>,
}

impl Draft {
    /// From the answers that are followed now.
    pub(crate) fn new(answers: Answers) -> Self {
        Self {
            name: answers.vm.keys().next().cloned(),
            types_resolution: false,
            left_open: BTreeSet::new(),
            allowed_before: answers.passthrough.allow.clone(),
            machines_before: answers.vm.keys().cloned().collect(),
            answers,
        }
    }

    /// Whether nothing is to be given away.
    pub(crate) fn is_off(&self) -> bool {
        self.answers.passthrough.mode == Mode::Off
    }

    /// The virtual machine that is being described.
    pub(crate) fn vm(&self) -> Option<&Vm> {
        self.answers.vm.get(self.name.as_ref()?)
    }

    /// The same, to change it.
    pub(crate) fn vm_mut(&mut self) -> Option<&mut Vm> {
        self.answers.vm.get_mut(self.name.as_ref()?)
    }

    /// Notes whether a step was left open.
    pub(crate) fn leave_open(&mut self, step: &'static str, is_open: bool) {
        if is_open {
            self.left_open.insert(step);
        } else {
            self.left_open.remove(step);
        }
    }

    /// What was accepted for another card does not count for this one.
    pub(crate) fn forget_doubts(&mut self) {
        self.answers.passthrough.allow.clone_from(&self.allowed_before);
    }

    /// The machines that the answers had from the beginning.
    pub(crate) fn machines_before(&self) -> &[String] {
        &self.machines_before
    }

    /// Describes no virtual machine; one that was begun goes.
    pub(crate) fn without_machine(&mut self) {
        if let Some(name) = self.name.take()
            && !self.machines_before.contains(&name)
        {
            self.answers.vm.remove(&name);
        }
    }

    /// Goes on with a machine that the answers have.
    pub(crate) fn take_up(&mut self, name: &str) {
        if self.name.as_deref() != Some(name) {
            self.without_machine();
            self.another_machine();
            self.name = Some(name.to_owned());
        }
    }

    /// Begins a machine, or makes the one that was begun of this kind.
    pub(crate) fn begin_machine(&mut self, kind: VmKind) {
        let begun = self.name.take().filter(|name| !self.machines_before.contains(name));
        let mut vm = begun.as_ref().and_then(|name| self.answers.vm.remove(name)).unwrap_or_default();
        let keeps_name = vm.kind == kind;
        if !keeps_name {
            self.another_machine();
        }
        vm.kind = kind;
        let usual = usual_name(kind);
        let name = match begun.filter(|_| keeps_name) {
            Some(name) => name,
            None => self.free_name(usual),
        };
        self.answers.vm.insert(name.clone(), vm);
        self.name = Some(name);
    }

    /// What was left open for one machine says nothing of another one.
    fn another_machine(&mut self) {
        self.left_open.retain(|step| !step.ends_with("-iso"));
    }

    /// Gives the machine another name; one that is taken is refused.
    pub(crate) fn rename(&mut self, to: &str) -> Result<(), String> {
        let Some(from) = self.name.clone() else { return Ok(()) };
        if from == to {
            return Ok(());
        }
        if self.answers.vm.contains_key(to) {
            return Err(format!("the answers have another machine `{to}` already"));
        }
        if let Some(vm) = self.answers.vm.remove(&from) {
            self.answers.vm.insert(to.to_owned(), vm);
        }
        self.name = Some(to.to_owned());
        Ok(())
    }

    fn free_name(&self, usual: &str) -> String {
        let taken = |name: &String| self.answers.vm.contains_key(name);
        let numbered = (2..=u32::MAX).map(|number| format!("{usual}-{number}"));
        std::iter::once(usual.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
    }
}

/// What a machine of this kind is called unless somebody says otherwise.
fn usual_name(kind: VmKind) -> &'static str {
    match kind {
        VmKind::Windows11 => "windows11",
        VmKind::Windows10 => "windows10",
        VmKind::Linux => "linux",
    }
}
