//! The kernel's virtualization, which a domain needs to start, and whether QEMU may open it.

use super::{Finding, Seen, of_each};
use crate::facts::{KVM, Kvm};
use crate::guest::qemu::{Access, Account};
use crate::root::ReadError;

pub(in super::super) fn kvm(seen: &Seen<'_>) -> Vec<Finding> {
    of_each(seen, |_, existing| {
        if !existing.needs_kvm {
            return vec![Finding::pass("its processor is emulated, which needs no virtualization")];
        }
        vec![look(seen).unwrap_or_else(|error| Finding::unread(&error))]
    })
}

fn look(seen: &Seen<'_>) -> Result<Finding, ReadError> {
    let Some(kvm) = Kvm::read(seen.machine_root, seen.target_root)? else {
        return Ok(Finding::not_told("a capture has no devices"));
    };
    if kvm.device.is_none() {
        return Ok(Finding::fail(
            format!("{KVM} is not there: the kernel has no virtualization, and it cannot start"),
            "turn virtualization (VT-x, SVM) on in the firmware; where it is, `modprobe kvm_intel` or `modprobe \
             kvm_amd`, as root, says what is wrong",
        ));
    }
    Ok(match Account::of(&kvm) {
        Err(why) => Finding::unknown(why, format!("say it in /etc/libvirt/qemu.conf, and look at {KVM}")),
        Ok(account) => match account.access(&kvm) {
            Access::Closed { why, hint } => Finding::fail(why, hint),
            Access::Unknown { why } => {
                Finding::unknown(why, format!("`getfacl {KVM}` shows whom that lets in"))
            }
            Access::Open => Finding::pass(format!(
                "{KVM} is there, and {}, as which QEMU runs, may open it",
                account.name
            )),
        },
    })
}
