//! A whole installation: a machine, a boot loader, and the stock modules around ours.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use neuron_tests::tree::{self, Tree};
use neuron_tests::{machine, target};
use serde_json::json;

use crate::installer::{Installer, module_sources};

/// Where our state lies in a target.
pub(crate) const STATE: &str = "var/lib/neuron-provisioner";

/// A target, the stock modules of a loader's example, and ours where the example has it.
pub(crate) struct Installation {
    pub(crate) installer: Installer,
    loader: String,
}

impl Installation {
    pub(crate) fn new(machine: &str, target: &str, loader: &str) -> Self {
        let installer = Installer::new();
        fs::remove_dir(installer.target()).unwrap();
        target::copy(target, &installer.target()).unwrap();
        add_shell(&installer.target());
        let laid_out = machine::Machine::load(machine).unwrap();
        machine::lay_out(&laid_out, &installer.path("machine")).unwrap();
        installer.configure("initcpiocfg", "{}");
        installer.configure("grubcfg", "overwrite: false\nkeepDistributor: true");
        installer.configure("initcpio", "kernel: linux");
        installer.configure("bootloader", BOOTLOADER.replace("LOADER", loader).as_str());
        let installation = Self { installer, loader: loader.into() };
        installation.stored(None);
        for entry in fs::read_dir(installation.example().join("modules")).unwrap() {
            let path = entry.unwrap().path();
            let instance = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(&path).unwrap().replace("---\n", "");
            // What the example says, but for another machine.
            let machine = format!("\nmachineRoot: {}", installation.installer.path("machine").display());
            let ours = if instance.starts_with("vfio-setup") { machine } else { String::new() };
            installation.installer.configure(&instance, &(text + &ours));
        }
        installation
    }

    /// The loader's example settings.
    fn example(&self) -> PathBuf {
        module_sources().join("examples").join(&self.loader)
    }

    /// What the stand-in for partitioning stores; with the user's choice, where no page is shown.
    pub(crate) fn stored(&self, choice: Option<&str>) {
        let is_grub = self.loader == "grub";
        let mut globals = json!({
            "firmwareType": if is_grub { "bios" } else { "efi" },
            "bootLoader": { "installPath": "/dev/null" },
            "efiSystemPartition": "/boot",
            "partitions": [
                { "device": "/dev/vda2", "fs": "ext4", "mountPoint": "/", "uuid": "0b1fd2c4-5a0e-4f43-9d5c-3d9a6b2f7e11", "claimed": true },
                { "device": "/dev/vda1", "fs": "fat32", "mountPoint": "/boot", "uuid": "7C1B-52E0", "claimed": true },
            ],
        });
        if let Some(choice) = choice {
            globals["packagechooser_gpu"] = json!(choice);
        }
        self.installer.globals(&globals);
    }

    /// The jobs of the example's last `exec`, in its order: ours if wanted, and those stock ones
    /// that do not need a disk. `partition` is the stand-in.
    pub(crate) fn jobs(&self, ours: bool) -> Vec<String> {
        let settings = fs::read_to_string(self.example().join("settings.conf")).unwrap();
        let last = settings.rsplit_once("- exec:").unwrap().1;
        let names = last.lines().filter_map(|line| line.strip_prefix("  - ")?.split_whitespace().next());
        let mut jobs: Vec<String> = names
            .filter_map(|name| match name {
                "partition" | "initcpiocfg" | "grubcfg" | "initcpio" | "bootloader" => Some(name),
                name if name.starts_with("vfio-setup") && ours => Some(name),
                _ => None,
            })
            .map(str::to_owned)
            .collect();
        jobs.push("standin-verdict".into());
        jobs
    }

    /// The example's jobs as the whole sequence.
    pub(crate) fn sequence(&self, ours: bool) {
        let jobs = self.jobs(ours);
        let jobs: Vec<&str> = jobs.iter().map(String::as_str).collect();
        self.installer.sequence(&[("exec", &jobs), ("show", &["finished"])]);
    }

    /// These jobs, between the stand-ins, as the whole sequence.
    pub(crate) fn only(&self, jobs: &[&str]) {
        let jobs: Vec<&str> =
            ["partition"].into_iter().chain(jobs.iter().copied()).chain(["standin-verdict"]).collect();
        self.installer.sequence(&[("exec", &jobs), ("show", &["finished"])]);
    }

    /// The target as it is now.
    pub(crate) fn tree(&self) -> Tree {
        tree::snapshot(&self.installer.target()).unwrap()
    }

    /// A file of the target.
    pub(crate) fn file(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.installer.target().join(path)).ok()
    }

    /// What differs in the target between another installation and this one, beside our state.
    pub(crate) fn changes_since(&self, before: &Tree) -> Vec<String> {
        let changes = tree::diff(before, &self.tree());
        let changes = changes.iter().filter(|one| !one.path().starts_with("var/lib"));
        changes.map(ToString::to_string).collect()
    }
}

const BOOTLOADER: &str = "efiBootLoader: LOADER
kernel: /boot/vmlinuz-linux
img: /boot/initramfs-linux.img
kernelSearchPath: /usr/lib/modules
kernelPattern: ^vmlinuz.*
kernelParams: [ quiet ]
timeout: 10
loaderEntries: [ timeout 5 ]
grubInstall: grub-install
grubMkconfig: grub-mkconfig
grubCfg: /boot/grub/grub.cfg
grubProbe: grub-probe
efiBootMgr: efibootmgr";

const GRUB_INSTALL: &str = "#!/bin/sh
# Stands for grub-install in tests: notes how it was called and does nothing.
echo \"grub-install $*\" >>/var/log/stand-ins
";

const KERNEL_INSTALL: &str = "#!/bin/sh
# Stands for kernel-install in tests: makes the entry that its plugin 90-loaderentry would make.
read -r options </etc/kernel/cmdline || true
read -r machine </etc/machine-id
printf 'title Plain\\nversion %s\\noptions %s\\nlinux /vmlinuz-linux\\n' \"$2\" \"$options\" \\
    >\"/boot/loader/entries/$machine-$2.conf\"
";

/// The programs of a target are scripts that note how they were called; they need a shell.
fn add_shell(target: &Path) {
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    let busybox = busybox.expect("busybox (package busybox-static)");
    let bin = target.join("usr/bin");
    fs::create_dir_all(&bin).unwrap();
    fs::copy(busybox, bin.join("busybox")).unwrap();
    for name in ["sh", "which", "grep", "env"] {
        std::os::unix::fs::symlink("busybox", bin.join(name)).unwrap();
    }
    if !target.join("bin").exists() {
        std::os::unix::fs::symlink("usr/bin", target.join("bin")).unwrap();
    }
    for (name, text) in [("grub-install", GRUB_INSTALL), ("kernel-install", KERNEL_INSTALL)] {
        let program = bin.join(name);
        if !program.exists() {
            fs::write(&program, text).unwrap();
            let made = Command::new("chmod").arg("755").arg(&program).status().unwrap();
            assert!(made.success());
        }
    }
}
