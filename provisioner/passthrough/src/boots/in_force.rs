//! Whether passthrough is in force in the boot that is running.

use crate::binding::VFIO_DEVICES;
use crate::id::PciAddress;
use crate::root::{ReadError, Root};

/// What the early hook leaves.
const CLAIM: &str = "/run/neuron/claim";

/// What shows that passthrough is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InForce {
    /// The early hook says that it claimed.
    Claimed,
    /// A recorded guest function has vfio-pci as its driver.
    Bound(PciAddress),
}

/// Whether and by what passthrough is in force: not in a boot of the host entry, nor in one in which
/// the hook had a doubt.
pub fn in_force(machine: &Root, target: &Root) -> Result<Option<InForce>, ReadError> {
    let claim = machine.attribute(CLAIM)?.unwrap_or_default();
    if claim.lines().any(|line| line == "result=claimed") {
        return Ok(Some(InForce::Claimed));
    }
    let list = target.attribute(VFIO_DEVICES)?.unwrap_or_default();
    for address in guests(&list) {
        let link = machine.read_link(&format!("/sys/bus/pci/devices/{address}/driver"))?;
        if link.is_some_and(|link| link.ends_with("/vfio-pci")) {
            return Ok(Some(InForce::Bound(address)));
        }
    }
    Ok(None)
}

/// The guest functions of the list that the early hook reads.
fn guests(list: &str) -> impl Iterator<Item = PciAddress> {
    list.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let address = fields.next().filter(|role| *role == "guest").and(fields.next())?;
        address.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A made `/sys`: links as the kernel has them, nothing moves by itself.
    fn machine(claim: Option<&str>, driver: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        let device = at("sys/bus/pci/devices/0000:01:00.0");
        std::fs::create_dir_all(&device).unwrap();
        std::os::unix::fs::symlink(format!("../../drivers/{driver}"), device.join("driver")).unwrap();
        std::fs::create_dir_all(at("etc/neuron")).unwrap();
        let list = "# role address\nguest 0000:01:00.0 1:1 - 030000\nhost 0000:00:02.0 1:2 - 030000\n";
        std::fs::write(at("etc/neuron/vfio-devices"), list).unwrap();
        if let Some(claim) = claim {
            std::fs::create_dir_all(at("run/neuron")).unwrap();
            std::fs::write(at("run/neuron/claim"), claim).unwrap();
        }
        root
    }

    #[test]
    fn a_claim_or_a_bound_guest_shows_it() {
        let address = "0000:01:00.0".parse().unwrap();
        for (claim, driver, expected) in [
            (Some("result=claimed\nreason=0000:01:00.0\n"), "nouveau", Some(InForce::Claimed)),
            (None, "vfio-pci", Some(InForce::Bound(address))),
            (None, "nouveau", None),
            (Some("result=off\nreason=neuron.passthrough=off\n"), "nouveau", None),
            (Some("result=doubt\nreason=result=claimed is not so\n"), "nouveau", None),
        ] {
            let tree = machine(claim, driver);
            let root = Root::directory(tree.path()).unwrap();
            assert_eq!(in_force(&root, &root).unwrap(), expected, "{claim:?} {driver}");
        }
    }

    #[test]
    fn a_bare_machine_has_nothing_in_force() {
        let empty = tempfile::tempdir().unwrap();
        let root = Root::directory(empty.path()).unwrap();
        assert_eq!(in_force(&root, &root).unwrap(), None);
    }
}
