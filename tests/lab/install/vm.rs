//! The virtual machine that our command defines, on a system that Calamares installed: its own kernel and systemd,
//! libvirt and QEMU of its suite, and the functions that the early hook claims there.
//!
//! What runs inside is what `tests/lab/vm` has inside, for the reasons told there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cases::{holds, host_entry, host_entry_once, passed_through};
use super::installed::{Loader, installed};
use super::medium::Medium;
use super::packages;
use super::steps::{Steps, copy, project};
use crate::kernel::run;
use crate::qemu::Equipment;
use crate::table::row;
use crate::vm::host::kernel;
use crate::vm::inner;
use crate::vm::life::{BARE, Check, LIFE, NATIVE, lived, sees_memory_alone, takes_nothing};

/// The heading in the table.
const PART: &str = "The virtual machine that our command defines, on a system that Calamares installed";

/// AMD's IOMMU is with this one, and so is a virtualization that QEMU emulates.
const LOADER: Loader = Loader::SystemdBoot;

/// The 4 GiB that stay with the host, and what the virtual machine gets; a processor for each.
const EQUIPMENT: Equipment = Equipment { arguments: "-m 6144 -smp 2", patience: 3 };

/// What a user adds to the answers that the installer left.
const ANSWERS: &str = r#"
[looking_glass]
users = ["vera"]
[audio]
backend = "none"
[vm.windows]
kind = "windows10"
memory_mib = 1024
vcpus = 1
secure_boot = false
display = "vnc"
autostart = true
[vm.windows.disk]
path = "/var/lib/libvirt/images/windows.qcow2"
size_gib = 1
[vm.windows.network]
kind = "user"
"#;

/// libvirt is installed, and its daemon started as it will be in every boot.
const INSTALL: &str = "\
tar -xf /dev/disk/by-id/virtio-packages --no-overwrite-dir -C /; unpacked=$?
systemctl daemon-reload
udevadm control --reload
systemd-tmpfiles --create
useradd vera
systemctl start libvirtd.service
";

/// What both boots have.
const BEGIN: &str = "\
mkdir -p /run/vm
tar -xf /dev/disk/by-id/virtio-files --no-overwrite-dir -C /
. /usr/lib/lab/domain
";

const DEFINE: &str = "\
cat /usr/lib/lab/answers >>/etc/neuron/provisioner.toml
neuron-provisioner apply --yes >/run/vm/applied 2>&1; applied=$?
show 'neuron-provisioner apply' </run/vm/applied
neuron-provisioner vm define --yes >/run/vm/defined 2>&1; defined=$?
show 'neuron-provisioner vm define' </run/vm/defined
stat -c '%U:%G %a %s' $memory >/run/vm/memory.before
start first
";

/// What libvirt said in this boot, which began with what starts with the host.
const BOOTED: &str = "\
virsh --quiet list --all --autostart --name >/run/vm/automatic
journalctl --quiet --boot --output cat --unit libvirtd.service >/run/vm/libvirtd
stat -c '%U:%G %a %s' $memory >/run/vm/memory.before
";

#[test]
fn the_guest_has_what_was_given_away_and_on_the_host_entry_nothing_is_taken() {
    let machine = LOADER.machine();
    let (medium, _scratch) = medium().unwrap_or_else(|error| panic!("{error}"));
    let steps = passed_through(LOADER, Steps::default().then(BEGIN)).then(INSTALL);
    let steps = steps.check("libvirt is unpacked", "$unpacked", "0").then(DEFINE).then(LIFE);
    let steps = steps.check("apply needs no reboot", "$applied", "0");
    let steps = steps.check("the domain is defined", "$defined", "0");
    let steps = with(steps, lived("running (booted)")).then(host_entry_once(LOADER));
    holds(
        &medium,
        row!(PART, "set up, defined, started, stopped, destroyed, killed, refused"),
        &machine,
        &steps,
    );
    let steps = host_entry(LOADER).then(BEGIN).then(BOOTED).then(BARE);
    let steps = with(steps, takes_nothing(NATIVE));
    let steps = with(steps, [sees_memory_alone()]);
    holds(&medium, row!(PART, "the host entry: it takes nothing"), &machine, &steps);
}

fn with(steps: Steps, checks: impl IntoIterator<Item = Check>) -> Steps {
    checks.into_iter().fold(steps, |steps, Check { name, command, expected }| {
        steps.check(&name, &format!("$({command})"), &expected)
    })
}

/// An overlay of the installed disk beside the packages and the files of the case, which lie in the folder.
fn medium() -> io::Result<(Medium, tempfile::TempDir)> {
    let packages = packages::libvirt()?;
    let scratch = neuron_tests::scratch()?;
    let files = files(scratch.path())?;
    let disks = [("packages", packages.archive.as_path()), ("files", &files)];
    Ok((Medium::of(installed(LOADER)?)?.equipped(EQUIPMENT, &disks, &packages.with), scratch))
}

/// An archive of what the case has: the kernel inside and its only process, the template that starts them, answers.
fn files(scratch: &Path) -> io::Result<PathBuf> {
    let (folder, archive) = (scratch.join("files"), scratch.join("files.tar"));
    let media = folder.join(inner::MEDIA.trim_start_matches('/'));
    copy(&kernel()?.unpacked, &media.join("linux"))?;
    fs::write(media.join("initramfs"), inner::initramfs()?)?;
    copy(&project("tests/lab/guest/domain"), &folder.join("usr/lib/lab/domain"))?;
    fs::write(folder.join("usr/lib/lab/answers"), ANSWERS)?;
    neuron_tests::write(&folder.join("etc/neuron/templates/domain.xml.j2"), inner::template()?)?;
    let mut tar = Command::new("tar");
    tar.args(["--create", "--owner=0", "--group=0", "--numeric-owner", "--file"]).arg(&archive);
    run(tar.arg("--directory").arg(&folder).arg("."))?;
    Ok(archive)
}
