//! What boot loaders keep in a target beside the entries of systemd-boot.

use super::{BOOT_MOUNTS, Target};
use crate::facts::FactsError;
use crate::id::TargetPath;
use crate::root::Root;
use crate::text::limine_conf;
use crate::text::mkinitcpio_preset::Presets;

/// Where GRUB's generator may be.
const GRUB_MKCONFIG: [&str; 2] = ["/usr/bin/grub-mkconfig", "/usr/sbin/grub-mkconfig"];

/// Configurations of Limine and rEFInd, below every place where a boot partition may be mounted.
///
/// Limine: `init_config_disk`, and beside its own program; archinstall makes a folder of its own.
const CONFIGURATIONS: [&str; 16] = [
    "limine.conf",
    "limine/limine.conf",
    "boot/limine.conf",
    "boot/limine/limine.conf",
    "EFI/BOOT/limine.conf",
    "EFI/limine/limine.conf",
    "EFI/arch-limine/limine.conf",
    "limine.cfg",
    "limine/limine.cfg",
    "boot/limine.cfg",
    "boot/limine/limine.cfg",
    "EFI/BOOT/limine.cfg",
    "refind_linux.conf",
    "EFI/refind/refind.conf",
    "EFI/BOOT/refind.conf",
    "EFI/BOOT/refind_linux.conf",
];

/// Folders with Limine's own program.
const LIMINE_PROGRAMS: [&str; 4] = ["EFI/limine", "EFI/arch-limine", "EFI/BOOT", "limine"];

/// No boot program is larger; what is larger is not read.
const PROGRAM_LIMIT: u64 = 4 << 20;

impl Target {
    pub(super) fn boot_loaders(&mut self, root: &Root) -> Result<(), FactsError> {
        for mount in BOOT_MOUNTS {
            for name in CONFIGURATIONS {
                let path = format!("{mount}/{name}");
                if root.exists(&path)? {
                    self.file(root, &path)?;
                }
            }
            let kernels = root.list(mount)?.unwrap_or_default().into_iter();
            let kernels = kernels.filter(|name| name.starts_with("vmlinuz"));
            self.boot_kernels.extend(kernels.map(|name| format!("{mount}/{name}")));
            for folder in LIMINE_PROGRAMS {
                self.limine_programs(root, &format!("{mount}/{folder}"))?;
            }
        }
        for path in GRUB_MKCONFIG {
            let script = root.read(path)?.unwrap_or_default();
            self.grub_reads_drop_ins |= String::from_utf8_lossy(&script)
                .lines()
                .any(|line| !line.trim_start().starts_with('#') && line.contains("/default/grub.d"));
        }
        Ok(())
    }

    fn limine_programs(&mut self, root: &Root, folder: &str) -> Result<(), FactsError> {
        for name in root.list(folder)?.unwrap_or_default() {
            if !name.to_ascii_lowercase().ends_with(".efi") {
                continue;
            }
            let path = format!("{folder}/{name}");
            let program = root.read_head(&path, PROGRAM_LIMIT)?.unwrap_or_default();
            if limine_conf::has_enrolled_checksum(&program) {
                self.limine_checksums.push(path);
            }
        }
        Ok(())
    }

    /// A preset can name a configuration of its own and a command line of its own; those are the
    /// ones which count for it.
    pub(super) fn files_of_presets(&mut self, root: &Root) -> Result<(), FactsError> {
        let named: Vec<String> = self
            .in_directory("/etc/mkinitcpio.d")
            .filter_map(|(_, state)| state.text())
            // A preset that cannot be parsed is the plan's business: it names file and line.
            .filter_map(|text| Presets::parse(text).ok())
            .flat_map(|presets| {
                let configs = presets.configs().unwrap_or_default().into_iter().map(|used| used.path);
                let lines = presets.command_lines().unwrap_or_default();
                configs.chain(lines.into_iter().filter_map(|line| line.path)).collect::<Vec<_>>()
            })
            .collect();
        for path in named {
            if path.parse::<TargetPath>().is_err() {
                continue;
            }
            let Some(inside) = root.list(&path)? else {
                self.file(root, &path)?;
                continue;
            };
            for name in
                inside.into_iter().filter(|name| name.rsplit_once('.').is_some_and(|(_, end)| end == "conf"))
            {
                self.file(root, &format!("{path}/{name}"))?;
            }
        }
        Ok(())
    }
}
