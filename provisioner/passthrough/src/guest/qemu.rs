//! As whom libvirt runs QEMU, and whether that user may open the kernel's virtualization.

use crate::facts::target::QEMU_CONF;
use crate::facts::{KVM, Kvm};
use crate::step::Owner;
use crate::text::{TextError, accounts, qemu_conf};

/// The users that distributions make for it, where `qemu.conf` shows none: Debian and Arch, others.
const USERS: [&str; 2] = ["libvirt-qemu", "qemu"];

/// Whether QEMU may open the kernel's virtualization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// It may.
    Open,
    /// Not by the mode; there is an access control list besides, which nobody read.
    Unknown {
        /// Who may not.
        why: String,
    },
    /// It may not: libvirt would try for minutes, and then emulate the processor or not start at all.
    Closed {
        /// Who may not.
        why: String,
        /// What to do about it.
        hint: String,
    },
}

/// The user that QEMU runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name, or its number where it has none.
    pub name: String,
    uid: u32,
    groups: Vec<u32>,
}

impl Account {
    /// Reads it off a system; `Err` tells why nobody knows.
    ///
    /// Its groups are its own, those it is a member of, and the one of `qemu.conf`. Source: libvirt's
    /// `virGetGroupList`.
    pub fn of(kvm: &Kvm) -> Result<Self, String> {
        let wrong = |error: TextError| format!("{QEMU_CONF}, {error}");
        let own_choice = |key: &str| qemu_conf::own_choice(&kvm.qemu_conf, key).map(str::to_owned);
        let usual = || USERS.into_iter().find(|name| accounts::user(&kvm.passwd, name).is_some());
        let user = qemu_conf::user(&kvm.qemu_conf).map_err(wrong)?.or_else(|| own_choice("user"));
        let name = user
            .or_else(|| usual().map(str::to_owned))
            .ok_or_else(|| format!("neither {QEMU_CONF} nor /etc/passwd tells as whom libvirt runs QEMU"))?;
        let group = qemu_conf::group(&kvm.qemu_conf).map_err(wrong)?.or_else(|| own_choice("group"));
        let group = group.and_then(|group| accounts::group(&kvm.groups, &group).or_else(|| number(&group)));
        let Some(uid) = accounts::user(&kvm.passwd, &name).map(|user| user.uid).or_else(|| number(&name))
        else {
            return Err(format!("libvirt runs QEMU as {name}, and /etc/passwd has no such user"));
        };
        let name = accounts::name_of(&kvm.passwd, uid);
        let mut groups = accounts::groups_of(&kvm.passwd, &kvm.groups, &name);
        groups.extend(group);
        Ok(Self { name, uid, groups })
    }

    /// Whether it may read and write what has this mode and owner.
    fn may_use(&self, mode: u32, owner: Owner) -> bool {
        let bits = if owner.uid == self.uid {
            mode >> 6
        } else if self.groups.contains(&owner.gid) {
            mode >> 3
        } else {
            mode
        };
        bits & 0o6 == 0o6
    }

    /// Whether it may open the virtualization; what is not there, nobody is kept from.
    pub fn access(&self, kvm: &Kvm) -> Access {
        let Some(device) = kvm.device.filter(|device| !self.may_use(device.mode, device.owner)) else {
            return Access::Open;
        };
        let (name, group) = (&self.name, accounts::name_of(&kvm.groups, device.owner.gid));
        let owner = accounts::name_of(&kvm.passwd, device.owner.uid);
        let why = format!(
            "libvirt runs QEMU as {name}, which may not open {KVM} (of {owner} and the group {group}, mode {:04o})",
            device.mode
        );
        if kvm.has_acl {
            return Access::Unknown { why: format!("{why}, but for its access control list") };
        }
        let hint = if device.owner.gid != 0 && device.mode >> 3 & 0o6 == 0o6 {
            format!("as root, `usermod --append --groups {group} {name}`, then restart libvirt")
        } else {
            format!(
                "as root, `udevadm trigger --settle {KVM}` gives it the group and the mode of this system's rules; \
                 if that is not enough, look for another rule about it in /etc/udev/rules.d"
            )
        };
        Access::Closed { why, hint }
    }
}

/// With a `+` it is a number and never a name.
fn number(name: &str) -> Option<u32> {
    name.trim_start_matches('+').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::{Node, NodeKind};

    const PASSWD: &str =
        "root:x:0:0::/root:/bin/sh\nlibvirt-qemu:x:64055:994::/:/bin/false\nvera:x:1000:1000::/:/bin/sh\n";
    const GROUPS: &str = "root:x:0:\nkvm:x:992:vera\nlibvirt-qemu:x:994:\n";

    fn kvm(conf: &str, groups: &str, (mode, uid, gid): (u32, u32, u32)) -> Kvm {
        let device = Node { kind: NodeKind::Device, mode, owner: Owner { uid, gid }, size: 0 };
        let (passwd, groups) = (PASSWD.to_owned(), groups.to_owned());
        Kvm { device: Some(device), has_acl: false, qemu_conf: conf.to_owned(), passwd, groups }
    }

    #[test]
    fn who_may_open_it_is_found_as_the_kernel_does() {
        let member = GROUPS.replace("kvm:x:992:vera", "kvm:x:992:vera,libvirt-qemu");
        let usual = (0o660, 0, 992);
        for (conf, groups, device, wanted) in [
            ("", GROUPS, usual, Err("usermod --append --groups kvm libvirt-qemu")),
            ("", &*member, usual, Ok("libvirt-qemu")),
            ("", GROUPS, (0o666, 0, 0), Ok("libvirt-qemu")),
            ("", &*member, (0o600, 0, 0), Err("udevadm trigger")),
            ("", &*member, (0o640, 0, 992), Err("udevadm trigger")),
            // The group of the device is asked before everybody is.
            ("", &*member, (0o606, 0, 992), Err("udevadm trigger")),
            ("group = \"kvm\"\n", GROUPS, usual, Ok("libvirt-qemu")),
            ("group = \"+992\"\n", GROUPS, usual, Ok("libvirt-qemu")),
            ("#group = \"kvm\"\n", GROUPS, usual, Ok("libvirt-qemu")),
            ("user = \"vera\"\n", GROUPS, usual, Ok("vera")),
            ("user = \"+1000\"\n", GROUPS, usual, Ok("vera")),
            ("user = \"root\"\n", GROUPS, usual, Ok("root")),
            ("user = \"4711\"\n", GROUPS, usual, Err("usermod --append --groups kvm 4711")),
        ] {
            let mut kvm = kvm(conf, groups, device);
            let account = Account::of(&kvm).unwrap();
            match (account.access(&kvm), wanted) {
                (Access::Open, Ok(name)) => assert_eq!(account.name, name, "{conf}"),
                (Access::Closed { why, hint }, Err(wanted)) => {
                    assert!(why.contains(&format!("as {}, which may not", account.name)), "{why}");
                    assert!(hint.contains(wanted), "{conf} {device:?}: {hint}");
                }
                (found, wanted) => panic!("{conf} {groups} {device:?}: {found:?}, not {wanted:?}"),
            }
            kvm.has_acl = true;
            let is_open = account.access(&kvm) == Access::Open;
            assert_eq!(is_open, wanted.is_ok(), "{conf} {device:?}");
            assert!(is_open || matches!(account.access(&kvm), Access::Unknown { .. }), "{conf} {device:?}");
        }
    }

    #[test]
    fn what_nobody_knows_is_told() {
        let mut nobody = kvm("", GROUPS, (0o660, 0, 992));
        nobody.passwd = String::new();
        assert!(Account::of(&nobody).unwrap_err().starts_with("neither /etc/libvirt/qemu.conf nor"));
        let gone = kvm("user = \"games\"\n", GROUPS, (0o660, 0, 992));
        assert!(Account::of(&gone).unwrap_err().contains("as games, and /etc/passwd has no such user"));
        let broken = kvm("user = 7\n", GROUPS, (0o660, 0, 992));
        assert!(Account::of(&broken).unwrap_err().starts_with("/etc/libvirt/qemu.conf, line 1"));
    }
}
