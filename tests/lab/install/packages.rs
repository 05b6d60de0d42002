//! Packages that are added to an installed system: dpkg would need a quarter of an hour for them under emulation, so
//! what it leaves is unpacked there.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::roots;
use crate::suite::{Recipe, made};

/// What a user installs who wants virtual machines and Looking Glass.
const LIBVIRT: [&str; 5] =
    ["libvirt-daemon-system", "libvirt-clients", "qemu-system-x86", "qemu-utils", "ovmf"];

/// Those whose version is told.
const TOLD: [(&str, &str); 2] = [("libvirt-daemon-system", "libvirt"), ("qemu-system-x86", "QEMU")];

/// libvirt and all that it needs, for what was installed from the target's root.
#[derive(Debug)]
pub(super) struct Packages {
    /// An archive of the files that they bring.
    pub(super) archive: PathBuf,
    /// What they are, in a few words.
    pub(super) with: String,
}

/// libvirt; made where it is not there yet.
pub(super) fn libvirt() -> io::Result<Packages> {
    let (base, script) = (roots::target()?.key, include_str!("make-packages"));
    let folder = made(Recipe { name: "libvirt", packages: &LIBVIRT, script, label: &base })?.folder;
    let versions = fs::read_to_string(folder.join("versions"))?;
    let version = |(package, name): (&str, &str)| {
        let of = |line: &str| Some(line.strip_prefix(package)?.strip_prefix(' ')?.to_owned());
        let found = versions.lines().find_map(of);
        let found = found.ok_or_else(|| io::Error::other(format!("{}: no {package}", folder.display())))?;
        // Without epoch and Debian's own part.
        let upstream = found.split(':').next_back().and_then(|version| version.split(['-', '+']).next());
        Ok(format!("{name} {}", upstream.unwrap_or_default()))
    };
    let with: io::Result<Vec<String>> = TOLD.into_iter().map(version).collect();
    Ok(Packages { archive: folder.join("packages.tar"), with: format!("Inside: {}", with?.join(", ")) })
}
