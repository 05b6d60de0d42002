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
    /// Whether others may use it than its mode tells.
    pub has_acl: bool,
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
            has_acl: machine.has_acl(KVM)?,
            qemu_conf: text(QEMU_CONF)?,
            passwd: text("/etc/passwd")?,
            groups: text("/etc/group")?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An access control list that lets user 1000 in: tag, what it allows and whom, entry by entry. Source:
    /// the kernel's `posix_acl_xattr.h`.
    fn acl() -> Vec<u8> {
        let entries =
            [(1_u16, 6_u16, u32::MAX), (2, 6, 1000), (4, 0, u32::MAX), (16, 6, u32::MAX), (32, 0, u32::MAX)];
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        for (tag, allows, whom) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(allows.to_le_bytes());
            bytes.extend(whom.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn an_access_control_list_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::directory(folder.path()).unwrap();
        let read = || {
            let kvm = Kvm::read(&root, &root).unwrap().unwrap();
            (kvm.device.is_some(), kvm.has_acl)
        };
        assert_eq!(read(), (false, false));
        let device = folder.path().join("dev/kvm");
        std::fs::create_dir(folder.path().join("dev")).unwrap();
        std::fs::write(&device, "").unwrap();
        assert_eq!(read(), (true, false));
        rustix::fs::setxattr(&device, "system.posix_acl_access", &acl(), rustix::fs::XattrFlags::empty())
            .unwrap();
        assert_eq!(read(), (true, true));
    }
}
