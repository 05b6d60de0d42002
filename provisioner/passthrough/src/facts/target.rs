//! The target: the system that is changed, as it stands in its root.

mod boot;
mod dracut;
mod images;
mod kernels;
mod networking;

use std::collections::{BTreeMap, BTreeSet};

pub use images::{KEPT, is_kept, kernel_version};
pub use kernels::{Kernel, Provides};
pub use networking::{
    ByHand, NETWORKD, Named, NetworkService, Networking, OWN, OWN_FIRST, Other, PROFILES, Plain,
};

use super::{FactsError, Machine};
use crate::id::TargetPath;
use crate::root::Root;
use crate::step::FileState;

/// Where the early hook for mkinitcpio's images lies when its package is installed.
pub const MKINITCPIO_HOOK: &str = "/usr/lib/initcpio/install/neuron-vfio";
/// Where the early hook for dracut's images lies when its package is installed.
pub const DRACUT_HOOK: &str = "/usr/lib/dracut/modules.d/90neuron-vfio/module-setup.sh";

/// libvirt's configuration of QEMU.
pub const QEMU_CONF: &str = "/etc/libvirt/qemu.conf";

/// Files that matter, whether they are there or not.
const FILES: [&str; 35] = [
    "/etc/crypttab",
    "/etc/default/grub",
    "/etc/default/limine",
    "/etc/dracut.conf",
    "/etc/dracut.conf.d/95-neuron-vfio.conf",
    "/etc/dracut.conf.d/zz-neuron-vfio-cmdline.conf",
    "/etc/environment",
    "/etc/fstab",
    "/etc/group",
    "/etc/grub.d/99_neuron_host",
    "/etc/kernel/cmdline",
    "/etc/kernel/install.conf",
    "/etc/limine-entry-tool.conf",
    "/etc/looking-glass-client.ini",
    "/etc/machine-id",
    "/etc/mkinitcpio.conf",
    "/etc/mkinitcpio.conf.d/95-neuron-vfio.conf",
    "/etc/modprobe.d/vfio.conf",
    "/etc/modules-load.d/kvmfr.conf",
    "/etc/neuron/host-cmdline",
    "/etc/neuron/host-os-release",
    "/etc/neuron/provisioner.toml",
    "/etc/neuron/vfio-devices",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/sdboot-manage.conf",
    "/etc/supergfxd.conf",
    "/etc/systemd/system/neuron-trial.service",
    "/etc/sysusers.d/neuron-passthrough.conf",
    "/etc/udev/rules.d/70-kvmfr.rules",
    "/etc/X11/xorg.conf",
    "/var/lib/neuron-provisioner/candidate.json",
    "/var/lib/neuron-provisioner/trial.json",
    "/usr/lib/kernel/cmdline",
    "/usr/lib/os-release",
];

/// Directories of configuration, and how the names of their files end.
const DIRECTORIES: [(&str, &str); 16] = [
    ("/etc/X11/xorg.conf.d", ".conf"),
    ("/etc/cmdline.d", ".conf"),
    ("/etc/default/grub.d", ".cfg"),
    ("/etc/dracut.conf.d", ".conf"),
    ("/etc/environment.d", ".conf"),
    ("/etc/limine-entry-tool.d", ".conf"),
    ("/etc/mkinitcpio.conf.d", ".conf"),
    ("/etc/mkinitcpio.d", ".preset"),
    ("/etc/modprobe.d", ".conf"),
    ("/etc/pacman.d/hooks", ".hook"),
    ("/etc/sdboot-manage.conf.d", ".conf"),
    ("/etc/tmpfiles.d", ".conf"),
    ("/usr/lib/dracut/dracut.conf.d", ".conf"),
    ("/usr/lib/modprobe.d", ".conf"),
    ("/usr/share/libalpm/hooks", ".hook"),
    ("/usr/share/limine-entry-tool.d", ".conf"),
];

/// Of these, what virtual machines are about.
const FOR_GUESTS: [&str; 3] = ["/etc/group", "/etc/passwd", "/etc/tmpfiles.d/10-looking-glass.conf"];

/// What only root may read on some systems. Not everybody who asks needs it.
const CLOSED: [&str; 1] = [QEMU_CONF];

/// Where a boot partition may be mounted.
pub const BOOT_MOUNTS: [&str; 3] = ["/efi", "/boot", "/boot/efi"];

/// Limine's tools. Where one is, it takes the place of its generator: it builds every image, puts it where
/// Limine finds it, and makes Limine's entries.
pub const LIMINE_TOOLS: [&str; 2] = [LIMINE_MKINITCPIO, LIMINE_DRACUT];
/// The one for mkinitcpio.
pub const LIMINE_MKINITCPIO: &str = "/usr/bin/limine-mkinitcpio";
/// The one for dracut.
pub const LIMINE_DRACUT: &str = "/usr/bin/limine-dracut";

/// Things of which only the presence matters.
const TRACES: [&str; 25] = [
    MKINITCPIO_HOOK,
    DRACUT_HOOK,
    "/etc/grub.d/10_linux",
    "/usr/bin/grub-mkconfig",
    "/usr/bin/update-grub",
    "/usr/sbin/grub-mkconfig",
    "/boot/grub",
    "/boot/grub/grub.cfg",
    "/usr/bin/mkinitcpio",
    "/usr/bin/dracut",
    "/usr/bin/dracut-rebuild",
    LIMINE_DRACUT,
    "/usr/bin/limine-entry-tool",
    LIMINE_MKINITCPIO,
    "/usr/bin/sdboot-manage",
    "/usr/bin/kernel-install",
    "/etc/systemd/system/multi-user.target.wants/nvidia-persistenced.service",
    "/etc/systemd/system/multi-user.target.wants/neuron-trial.service",
    "/usr/lib/systemd/system/multi-user.target.wants/neuron-trial.service",
    "/usr/bin/envycontrol",
    "/usr/bin/optimus-manager",
    "/usr/bin/looking-glass-client",
    "/usr/lib/systemd/system/libvirtd.service",
    "/usr/lib/systemd/system/virtqemud.service",
    "/etc/apparmor.d/abstractions/libvirt-qemu",
];

/// Whether a path is that of an entry of systemd-boot. All that are there are among a target's files.
pub fn is_entry(path: &TargetPath) -> bool {
    path.parent().ends_with("/loader/entries")
}

/// Whether a path is that of a configuration of Limine's on a boot partition.
pub fn is_limine_configuration(path: &TargetPath) -> bool {
    ["limine.conf", "limine.cfg"].contains(&path.file_name()) && !path.as_str().starts_with("/etc/")
}

/// What policy and plan need to know of the target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// The kernels that can be booted.
    pub kernels: Vec<Kernel>,
    /// Files that matter, with what stands there. A path that is not in it was not looked at.
    pub files: BTreeMap<TargetPath, FileState>,
    /// Files that matter and that only root may read; whoever asked is not root.
    pub closed: Vec<TargetPath>,
    /// Boot partitions (or directories) that hold `loader/` or `EFI/`: where systemd-boot looks.
    pub boot_mounts: Vec<BootMount>,
    /// Programs and directories that are there.
    pub traces: Vec<String>,
    /// Kernels at the top of the places where a boot partition may be mounted: their paths.
    pub boot_kernels: Vec<String>,
    /// Files at the top of the places where a boot partition may be mounted, those that entries of
    /// systemd-boot name, and kept copies: their paths and sizes.
    pub boot_files: BTreeMap<String, u64>,
    /// Kept copies of kernels, and unified images of the host's, whose modules are gone, and then every other
    /// kernel without modules: an update replaced what they are copies of.
    pub without_modules: BTreeSet<String>,
    /// The bytes that are free at those places.
    pub boot_room: BTreeMap<String, u64>,
    /// Whether the target's grub-mkconfig reads `/etc/default/grub.d/*.cfg`.
    pub grub_reads_drop_ins: bool,
    /// Who brings the network up.
    pub networking: Networking,
    /// Limine's own programs that bear a checksum of its configuration: they boot no other.
    pub limine_checksums: Vec<String>,
}

/// A place where a boot loader looks for entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootMount {
    /// Where it is mounted, for example `/boot`.
    pub path: String,
    /// Whether systemd-boot itself is installed there, or a `loader.conf` of its.
    pub has_systemd_boot: bool,
    /// Whether its program lies there: this is the ESP, and it reads the `loader.conf` of no other.
    pub has_program: bool,
    /// Files beside the entries that they name: kernels at its top level.
    pub kernels: Vec<String>,
    /// Unified kernel images in `EFI/Linux`.
    pub unified_images: Vec<String>,
}

impl Target {
    /// Reads a target from its root. The machine says which drivers to ask the kernels for.
    pub fn read(root: &Root, machine: &Machine) -> Result<Self, FactsError> {
        let mut target = Self::default();
        for path in FILES {
            target.file(root, path)?;
        }
        for path in CLOSED {
            target.closed_file(root, path)?;
        }
        for (directory, ending) in DIRECTORIES {
            for name in root.list(directory)?.unwrap_or_default() {
                if name.ends_with(ending) {
                    target.file(root, &format!("{directory}/{name}"))?;
                }
            }
        }
        for path in TRACES {
            if root.exists(path)? {
                target.traces.push(path.to_owned());
            }
        }
        target.networking = Networking::read(root)?;
        for path in networking::own_files(root)? {
            target.closed_file(root, &path)?;
        }
        for mount in BOOT_MOUNTS {
            target.boot_mount(root, mount)?;
        }
        target.boot_loaders(root)?;
        target.kernels = kernels::read(root, machine)?;
        target.boot_images(root)?;
        target.files_of_presets(root)?;
        Ok(target)
    }

    /// Reads only what virtual machines are about, which everybody may read: who looks for a guest's
    /// picture is seldom root, and need not be kept from it by a closed boot partition.
    pub fn read_for_guests(root: &Root, machine: &Machine) -> Result<Self, FactsError> {
        let mut target = Self::default();
        for path in FOR_GUESTS {
            target.file(root, path)?;
        }
        for path in CLOSED {
            target.closed_file(root, path)?;
        }
        target.kernels = kernels::read(root, machine)?;
        Ok(target)
    }

    fn file(&mut self, root: &Root, path: &str) -> Result<(), FactsError> {
        let Ok(name) = path.parse::<TargetPath>() else { return Ok(()) };
        let state = root.file_state(path)?;
        self.files.insert(name, state);
        Ok(())
    }

    fn closed_file(&mut self, root: &Root, path: &str) -> Result<(), FactsError> {
        match self.file(root, path) {
            Err(FactsError::Read(error)) if error.source.kind() == std::io::ErrorKind::PermissionDenied => {
                self.closed.extend(path.parse());
                Ok(())
            }
            other => other,
        }
    }

    fn boot_mount(&mut self, root: &Root, mount: &str) -> Result<(), FactsError> {
        let entries = root.list(&format!("{mount}/loader/entries"))?;
        let has_program = root.exists(&format!("{mount}/EFI/systemd"))?;
        let configuration = format!("{mount}/loader/loader.conf");
        let has_configuration = root.exists(&configuration)?;
        let ending = |names: Option<Vec<String>>, keep: &dyn Fn(&str) -> bool| -> Vec<String> {
            names.unwrap_or_default().into_iter().filter(|name| keep(name)).collect()
        };
        let unified_images = ending(root.list(&format!("{mount}/EFI/Linux"))?, &|name| {
            name.to_ascii_lowercase().ends_with(".efi")
        });
        if entries.is_none() && !has_program && !has_configuration && unified_images.is_empty() {
            return Ok(());
        }
        if has_configuration {
            self.file(root, &configuration)?;
        }
        for name in entries.unwrap_or_default() {
            if name.to_ascii_lowercase().ends_with(".conf") {
                self.file(root, &format!("{mount}/loader/entries/{name}"))?;
            }
        }
        self.boot_mounts.push(BootMount {
            path: mount.to_owned(),
            has_systemd_boot: has_program || has_configuration,
            has_program,
            kernels: ending(root.list(mount)?, &|name| name.starts_with("vmlinuz")),
            unified_images,
        });
        Ok(())
    }

    /// What stands at a path; absent for one that was not looked at.
    pub fn state(&self, path: &TargetPath) -> &FileState {
        self.files.get(path).unwrap_or(&FileState::Absent)
    }

    /// The text of a file, if it is there and is text.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(&path.parse::<TargetPath>().ok()?)?.text()
    }

    /// The files of one directory, by name.
    pub fn in_directory<'a>(
        &'a self,
        directory: &'a str,
    ) -> impl Iterator<Item = (&'a TargetPath, &'a FileState)> {
        self.files.iter().filter(move |(path, _)| path.parent() == directory)
    }

    /// Whether this program, directory or file of the fixed list of traces is there.
    pub fn has(&self, path: &str) -> bool {
        self.traces.iter().any(|trace| trace == path)
    }

    /// Whether somebody asks on the screen of the first passthrough boot: the unit is enabled, and
    /// not masked.
    pub fn has_trial_unit(&self) -> bool {
        let own =
            self.files.iter().find(|(path, _)| path.as_str() == "/etc/systemd/system/neuron-trial.service");
        // systemd: a link to /dev/null masks, and so does an empty file.
        let is_masked = own.is_some_and(|(_, state)| match state {
            FileState::Absent => false,
            FileState::Regular { bytes, .. } => bytes.is_empty(),
            FileState::Symlink { points_to } => points_to == "/dev/null",
        });
        !is_masked
            && ["/etc", "/usr/lib"].iter().any(|folder| {
                self.has(&format!("{folder}/systemd/system/multi-user.target.wants/neuron-trial.service"))
            })
    }

    /// Whether the hook that claims by address before any driver is installed, for the images of
    /// some generator.
    pub fn has_early_hook(&self) -> bool {
        self.has(MKINITCPIO_HOOK) || self.has(DRACUT_HOOK)
    }
}
