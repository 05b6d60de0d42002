//! A virtual machine of the answers and the host that it is made for: what its domain and its guide have in
//! common.

use super::looking_glass::{self, Means, Memory};
use super::pinning::Wanted;
use crate::answers::{Answers, NetworkKind, Vm};
use crate::facts::Topology;

/// What both are made from.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its name: the name of the table in the answers.
    pub name: &'a str,
    /// All answers.
    pub answers: &'a Answers,
    /// The host's processors and memory.
    pub topology: &'a Topology,
    /// The NUMA node of its first GPU.
    pub node: Option<u32>,
    /// Where Looking Glass's memory comes from.
    pub means: Means,
    /// The interface of the default route, for `macvtap`.
    pub default_interface: Option<&'a str>,
    /// Templates of the user, by name.
    pub templates: &'a [(String, String)],
}

impl<'a> Subject<'a> {
    /// What the answers say of it.
    pub(super) fn vm(&self) -> Option<&'a Vm> {
        self.answers.vm.get(self.name)
    }

    /// The processors that it wants.
    pub(super) fn processors(&self, vm: &Vm) -> Wanted {
        Wanted { vcpus: vm.vcpus, pinning: vm.cpu_pinning, node: self.node }
    }

    /// The memory that brings its picture to the host.
    pub(super) fn memory(&self) -> Option<Memory> {
        let mut memories = looking_glass::memories(self.answers, self.means).into_iter();
        memories.find(|memory| memory.vm.as_deref() == Some(self.name))
    }

    /// The host's interface that its network lies on; empty where that is none.
    pub(super) fn interface(&self, vm: &'a Vm) -> &'a str {
        match vm.network.kind {
            NetworkKind::Bridge => &vm.network.bridge,
            NetworkKind::Macvtap if vm.network.interface.is_empty() => {
                self.default_interface.unwrap_or_default()
            }
            NetworkKind::Macvtap => &vm.network.interface,
            NetworkKind::Nat | NetworkKind::User => "",
        }
    }
}
