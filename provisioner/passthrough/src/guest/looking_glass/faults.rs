//! What about a memory is not as it is to be: for `doctor` and `looking-glass status`, and for the
//! steps that mend it.

use super::{GROUP, Means, Memory, Wanted};
use crate::facts::Target;
use crate::facts::shared_memory::{File, NodeKind};
use crate::text::accounts;

/// How the memory is to be open: to its owner and its group, and to nobody else.
const MODE: u32 = 0o660;

/// What is wrong with a memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not there.
    Missing,
    /// Something of another kind is there: a plain file for the module's device, or the reverse.
    Kind,
    /// It belongs to another user.
    Owner(u32),
    /// It belongs to another group.
    Group(u32),
    /// Others may open it, or who should may not.
    Mode(u32),
    /// It is of another size, in bytes.
    Size(u64),
}

/// Everything that is wrong with a memory, where `file` is what stands at its path. A file that is empty
/// is right: QEMU makes it as large as the domain says. The module tells nobody how large its devices
/// are.
pub fn faults(wanted: &Wanted, target: &Target, file: Option<&File>) -> Vec<Fault> {
    let Some(File { node, .. }) = file else { return vec![Fault::Missing] };
    let kind = match wanted.means {
        Means::File => NodeKind::File,
        Means::Kvmfr => NodeKind::Device,
    };
    if node.kind != kind {
        return vec![Fault::Kind];
    }
    let text = |path: &str| target.text(path).unwrap_or_default();
    let uid = match wanted.means {
        Means::File => accounts::user(text("/etc/passwd"), wanted.owner()).map_or(0, |user| user.uid),
        // udev gives the device to the group, and to who sits here beside the owner.
        Means::Kvmfr => node.owner.uid,
    };
    let mut found = Vec::new();
    let mut check = |is_right: bool, fault: Fault| found.extend((!is_right).then_some(fault));
    check(node.owner.uid == uid, Fault::Owner(node.owner.uid));
    check(accounts::group(text("/etc/group"), GROUP) == Some(node.owner.gid), Fault::Group(node.owner.gid));
    check(node.mode == MODE, Fault::Mode(node.mode));
    if wanted.means == Means::File {
        check([0, u64::from(wanted.mib) << 20].contains(&node.size), Fault::Size(node.size));
    }
    found
}

impl Fault {
    /// It in words, behind the memory's path.
    pub fn says(self, wanted: &Wanted, target: &Target) -> String {
        let name = |path: &str, number: u32| accounts::name_of(target.text(path).unwrap_or_default(), number);
        match self {
            Self::Missing => "is not there".to_owned(),
            Self::Kind => match wanted.means {
                Means::File => "is no regular file".to_owned(),
                Means::Kvmfr => "is no device of the module kvmfr".to_owned(),
            },
            Self::Owner(uid) => {
                format!("belongs to {}, and should to {}", name("/etc/passwd", uid), wanted.owner())
            }
            Self::Group(gid) => {
                format!("is of the group {}, and should be of {GROUP}", name("/etc/group", gid))
            }
            Self::Mode(mode) => format!("has the mode {mode:04o}, and should have {MODE:04o}"),
            Self::Size(bytes) => format!("is {}, and should be {} MiB", size(bytes), wanted.mib),
        }
    }
}

/// A size for people: whole MiB where it is.
pub fn size(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 20) { format!("{} MiB", bytes >> 20) } else { format!("{bytes} bytes") }
}

impl Memory {
    /// Whose memory it is, for messages.
    pub fn whose(&self) -> String {
        self.vm
            .as_ref()
            .map_or_else(|| "any virtual machine".to_owned(), |vm| format!("the virtual machine {vm}"))
    }
}
