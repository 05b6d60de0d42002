//! What runs inside the virtual machine: a kernel with one process.

use std::fs;
use std::io;
use std::process::Command;

use crate::archive::Archive;
use crate::kernel::run;
use crate::qemu::QUICK;

/// Where kernel and initramfs of the virtual machine lie in the machine.
pub(crate) const MEDIA: &str = "/var/lib/libvirt/images";

/// The shipped template but for the firmware, in whose place the kernel is started: OVMF sets the priority of
/// its task in every interrupt, and when that is done in an emulated virtualization of AMD's, QEMU 7.2 ends with a
/// failed assertion.
pub(crate) fn template() -> io::Result<String> {
    let shipped = neuron_tests::tests_folder().join("../provisioner/passthrough/templates/domain.xml.j2");
    let text = fs::read_to_string(&shipped)?;
    let parts = text.split_once("  <os firmware='efi'>\n").and_then(|(before, rest)| {
        let (_, behind) = rest.split_once("  </os>\n")?;
        Some((before, behind))
    });
    let (before, behind) =
        parts.ok_or_else(|| io::Error::other(format!("{} names no firmware", shipped.display())))?;
    Ok(format!(
        "{before}  <os>\n    <type arch='x86_64' machine='{{{{ domain.machine }}}}'>hvm</type>\n    \
         <kernel>{MEDIA}/linux</kernel>\n    <initrd>{MEDIA}/initramfs</initrd>\n    \
         <cmdline>console=ttyS0 quiet loglevel=1 no_timer_check panic=-1 {QUICK}</cmdline>\n  </os>\n{behind}"
    ))
}

pub(crate) fn initramfs() -> io::Result<Vec<u8>> {
    let mut archive = Archive::default();
    let busybox = run(Command::new("sh").args(["-c", "command -v busybox"]))?;
    archive.copy_to(busybox.trim().as_ref(), "/bin/busybox")?;
    archive.copy_to(&neuron_tests::tests_folder().join("lab/guest/inner"), "/init")?;
    Ok(archive.finish())
}
