//! The program sets a small system up from what a real kernel tells, the hook claims by what it wrote,
//! and a revert takes all of it back.

use std::io;
use std::path::Path;
use std::process::Command;

use crate::case::Case;
use crate::claim::{AUDIO, GUEST, HOST, does_not_hold, holds, two_gpus};
use crate::kernel::run;
use crate::machine::{Iommu, Machine};
use crate::program;
use crate::table::row;

/// The system: Arch with GRUB and mkinitcpio. What makes images and menus there are stand-ins.
const TARGET: &str = "arch-grub";

/// Puts the system there, with a shell for its stand-ins. `manifest FILE` tells its files, but for what
/// is kept of what was done and what the stand-ins note.
const PREPARE: &str = "\
ln -s /bin/busybox /usr/bin/chroot
mkdir /target && tar -xf /lab/target.tar -C /target && cp /bin/busybox /target/usr/bin/sh
manifest() {
    find /target -path /target/var/lib/neuron-provisioner -prune -o -path /target/var/log/stand-ins -prune -o \\
        ! -type l -exec stat -c '%F %a %u:%g %n' {} + >$1
    find /target -path /target/var/lib/neuron-provisioner -prune -o -path /target/var/log/stand-ins -prune -o \\
        -type f -exec sha256sum {} + >>$1
    sort -o $1 $1
}
provisioner() {
    verb=$1; shift
    /usr/bin/neuron-provisioner $verb --target-root /target --yes \"$@\" >/run/$verb 2>&1
    echo $? >/run/rc.$verb
    sed \"s/^/LAB-SHOWS $verb: /\" /run/$verb
}
";

/// Sets up, lets the hook claim by the list that was written, and reverts.
const SET_UP: &str = "\
manifest /run/before
provisioner apply --answers /lab/answers.toml
mkdir -p /etc/neuron && cp /target/etc/neuron/vfio-devices /etc/neuron/vfio-devices
rm -rf /run/neuron
/bin/sh /usr/lib/neuron/neuron-vfio-claim
/lab/coldplug
";

const REVERT: &str = "provisioner revert\nmanifest /run/after\n";

/// The check that a revert which skips a file breaks.
pub(crate) const AS_BEFORE: &str = "every file is as before";

const CODES: &str = "how apply and revert ended";

/// A target as a machine unpacks it, with root as the owner of everything.
pub(crate) fn packed(target: &str) -> io::Result<Vec<u8>> {
    let scratch = neuron_tests::scratch()?;
    let (root, archive) = (scratch.path().join("root"), scratch.path().join("tar"));
    neuron_tests::target::copy(target, &root)?;
    let mut tar = Command::new("tar");
    tar.args(["--create", "--owner=0", "--group=0", "--numeric-owner", "--file"]).arg(&archive);
    run(tar.arg("--directory").arg(&root).arg("."))?;
    std::fs::read(archive)
}

fn case(iommu: Iommu, program: &Path, between: &str) -> io::Result<Case> {
    let answers = format!("schema = 1\n[passthrough]\nguest_gpus = [\"{}\"]\n", GUEST.address);
    let case = Case::new(Machine { iommu, ..two_gpus() })
        .program("/usr/bin/neuron-provisioner", &std::fs::read(program)?)
        .program("/lab/target.tar", &packed(TARGET)?)
        .program("/lab/answers.toml", answers.as_bytes())
        .after(&format!("{PREPARE}{SET_UP}{between}cp /target/etc/default/grub /run/grub\n{REVERT}"));
    Ok(case
        .with_vfio(&[GUEST, AUDIO])
        .with_host(&[HOST])
        .says("claimed", "0000:01:00.0 0000:01:00.1")
        .prints(CODES, "cat /run/rc.apply /run/rc.revert | tr '\\n' ' '", "4 4 ")
        .prints(AS_BEFORE, "diff /run/before /run/after | grep '^[-+][^-+]'", ""))
}

/// Which words of ours stand in the defaults of GRUB.
fn sets(case: Case, expected: &str) -> Case {
    let words = "grep -owE '(intel|amd)_iommu=on|iommu=pt' /run/grub | tr '\\n' ' '";
    case.prints("the parameters", words, expected)
}

/// A machine of Intel's, set up and reverted by this program.
pub(crate) fn set_up_by(program: &Path) -> io::Result<Case> {
    Ok(sets(case(Iommu::Intel, program, "")?, "intel_iommu=on iommu=pt "))
}

#[test]
fn what_apply_writes_is_what_the_hook_claims_and_a_revert_takes_it_back() {
    let program = program::built().unwrap();
    holds(row!("apply, claim and revert, Intel"), &set_up_by(program).unwrap());
    holds(row!("apply, claim and revert, AMD"), &sets(case(Iommu::Amd, program, "").unwrap(), "iommu=pt "));
    // What somebody else changed is left alone, and said: then not every file is as before.
    let edited = case(Iommu::Intel, program, "echo '# mine' >>/target/etc/modprobe.d/vfio.conf\n").unwrap();
    does_not_hold(row!("control: a revert that leaves a file"), &edited, &[AS_BEFORE, CODES]);
}
