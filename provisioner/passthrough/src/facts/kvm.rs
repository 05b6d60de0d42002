//! The kernel's virtualization, and what says who may use it.

use super::target::QEMU_CONF;
use crate::root::{Node, ReadError, Root};

/// What every virtual machine needs whose processor is not emulated.
pub const KVM: &str = "/dev/kvm";

/// The device, and what tells as whom QEMU would open it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kvm {
    /// What stands there; `None` where nothing does.
    pub device: Option<Node>,
    /// libvirt's `qemu.conf`.
    pub qemu_conf: String,
    /// `/etc/passwd`.
    pub passwd: String,
    /// `/etc/group`.
    pub groups: String,
}

impl Kvm {
    /// Looks at a running system; `None` for a capture, which has no devices.
    pub fn read(machine: &Root, target: &Root) -> Result<Option<Self>, ReadError> {
        if machine.descriptor().is_none() {
            return Ok(None);
        }
        let text = |path: &str| Ok(target.attribute(path)?.unwrap_or_default());
        Ok(Some(Self {
            device: machine.node(KVM)?,
            qemu_conf: text(QEMU_CONF)?,
            passwd: text("/etc/passwd")?,
            groups: text("/etc/group")?,
        }))
    }
}
