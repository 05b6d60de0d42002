//! Whole installations: a machine, a boot loader, the stock modules around ours, and the tree that
//! must come out.
//!
//! A case is a folder of `expected/`: `case.json` says what is installed where, `root/` holds what
//! must be different from the same installation without our module, file by file. The journal
//! under `/var/lib/neuron-provisioner` is ours to shape; there only the names count.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use neuron_tests::tree::{self, Difference, Kind, Tree};
use neuron_tests::{machine, target};
use serde_json::{Value, json};

use crate::installer::{Installer, ROOT_VARIABLE, here, module_sources};

const STATE: &str = "var/lib/neuron-provisioner";

/// A case of `expected/`.
struct Case {
    machine: String,
    target: String,
    loader: String,
    choice: Option<String>,
    /// Files of the state directory that must be there.
    state: Vec<String>,
    root: Tree,
}

impl Case {
    fn load(name: &str) -> Self {
        let folder = here().join("expected").join(name);
        let case: Value = serde_json::from_slice(&fs::read(folder.join("case.json")).unwrap()).unwrap();
        let text = |key: &str| case[key].as_str().map(str::to_owned);
        let root = folder.join("root");
        Self {
            machine: text("machine").unwrap(),
            target: text("target").unwrap(),
            loader: text("loader").unwrap(),
            choice: text("choice"),
            state: case["state"]
                .as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap().into())
                .collect(),
            root: if root.exists() { tree::snapshot(&root).unwrap() } else { Tree::new() },
        }
    }
}

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
    fn example(&self) -> std::path::PathBuf {
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

    pub(crate) fn sequence(&self, ours: bool) {
        let jobs = self.jobs(ours);
        let jobs: Vec<&str> = jobs.iter().map(String::as_str).collect();
        self.installer.sequence(&[("exec", &jobs), ("show", &["finished"])]);
    }

    pub(crate) fn tree(&self) -> Tree {
        tree::snapshot(&self.installer.target()).unwrap()
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
    let install = bin.join("grub-install");
    if !install.exists() {
        let text = "#!/bin/sh\n# Stands for grub-install in tests: notes how it was called and does nothing.\n\
                    echo \"grub-install $*\" >>/var/log/stand-ins\n";
        fs::write(&install, text).unwrap();
        let made = Command::new("chmod").arg("755").arg(&install).status().unwrap();
        assert!(made.success());
    }
}

/// Runs a case with and without our module and compares what our module made of it.
fn check(name: &str) {
    let case = Case::load(name);
    let without = Installation::new(&case.machine, &case.target, &case.loader);
    without.sequence(false);
    without.installer.run().globals();

    let with = Installation::new(&case.machine, &case.target, &case.loader);
    with.stored(case.choice.as_deref());
    with.sequence(true);
    with.installer.run().globals();

    let (before, after) = (without.tree(), with.tree());
    if let Ok(folder) = std::env::var("NEURON_CALAMARES_KEEP") {
        keep(Path::new(&folder).join(name).as_path(), &before, &after);
    }
    compare(&case, &before, &after);
}

fn compare(case: &Case, before: &Tree, after: &Tree) {
    let mut expected: BTreeMap<&str, &Kind> = BTreeMap::new();
    for (path, entry) in &case.root {
        if entry.kind != Kind::Directory {
            expected.insert(path, &entry.kind);
        }
    }
    for difference in tree::diff(before, after) {
        let path = difference.path();
        if path.starts_with(STATE) || after.get(path).is_some_and(|entry| entry.kind == Kind::Directory) {
            continue;
        }
        assert!(!matches!(difference, Difference::Removed(_)), "{difference}");
        let wanted = expected.remove(path).unwrap_or_else(|| panic!("not expected: {difference}"));
        assert_eq!(text(&after[path].kind), text(wanted), "{path}");
    }
    assert!(expected.is_empty(), "missing or unchanged: {:?}", expected.keys());
    for name in &case.state {
        assert!(after.contains_key(&format!("{STATE}/{name}")), "{STATE}/{name} is missing");
    }
    if case.state.is_empty() {
        assert!(!after.contains_key(STATE), "nothing was to be kept in {STATE}");
    }
}

fn text(kind: &Kind) -> String {
    match kind {
        // From 3.3 on the stock modules quote otherwise, and ours follows; to a shell it is the same.
        Kind::File(bytes) if is_other_suite() => String::from_utf8_lossy(bytes).replace(['\'', '"'], ""),
        Kind::File(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => format!("{other:?}"),
    }
}

/// Writes down what came out, for whoever writes a case: to be read, not to be copied blindly.
fn keep(folder: &Path, before: &Tree, after: &Tree) {
    for difference in tree::diff(before, after) {
        if let Some(Kind::File(bytes)) = after.get(difference.path()).map(|entry| &entry.kind) {
            let path = folder.join(difference.path());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
}

/// In another suite's Calamares the stock module writes loader entries by kernel-install, which the
/// targets only have as a stand-in; there the cases with GRUB say it all.
fn is_other_suite() -> bool {
    std::env::var_os(ROOT_VARIABLE).is_some()
}

#[test]
fn every_case_leaves_the_tree_that_was_written_down() {
    let mut names: Vec<String> = fs::read_dir(here().join("expected"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(!names.is_empty());
    let only = std::env::var("NEURON_CALAMARES_CASE").unwrap_or_default();
    let mut wrong = Vec::new();
    for name in names.iter().filter(|name| name.contains(&only)) {
        if is_other_suite() && Case::load(name).loader != "grub" {
            continue;
        }
        if let Err(panic) = std::panic::catch_unwind(|| check(name)) {
            let why = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            wrong.push(format!("== {name}\n{why}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The entry that the stock module wrote is edited by the stage behind it, and still has its root.
#[test]
fn the_stock_modules_own_entry_gets_the_parameters() {
    if is_other_suite() {
        return;
    }
    let installation = Installation::new("z390m-9900k-rtx2080s-usbc", "arch-systemd-boot", "systemd-boot");
    installation.stored(Some("0000:01:00.0"));
    installation.sequence(true);
    let log = installation.installer.run().log;
    let entry = fs::read_to_string(installation.installer.target().join("boot/loader/entries/Plain.conf"))
        .unwrap_or_else(|error| panic!("{error}\n{log}"));
    let options = entry.lines().find(|line| line.starts_with("options")).unwrap();
    assert_eq!(
        options,
        "options quiet root=UUID=0b1fd2c4-5a0e-4f43-9d5c-3d9a6b2f7e11 rw intel_iommu=on iommu=pt"
    );
}

/// The same installation, with the whole tree before and after; the machine is a twin's.
fn refusing(on_refused: &str) -> Installation {
    let installation = Installation::new("dual-gtx480-identical", "arch-grub", "grub");
    installation.stored(Some("0000:02:00.0"));
    let machine = installation.installer.path("machine");
    let ours = format!(
        "stage: all\nchoice: packagechooser_gpu\nonRefused: {on_refused}\nmachineRoot: {}",
        machine.display()
    );
    installation.installer.configure("vfio-setup", &ours);
    installation
        .installer
        .sequence(&[("exec", &["partition", "vfio-setup", "standin-verdict"]), ("show", &["finished"])]);
    installation
}

#[test]
fn a_medium_that_insists_stops_with_the_reason() {
    let installation = refusing("fail");
    let outcome = installation.installer.run();
    let (title, detail) = outcome.failure();
    assert_eq!(title, "This computer cannot hand a graphics card to a virtual machine");
    assert!(detail.contains("neuron-initcpio-hooks"), "{detail}");
    assert!(installation.installer.target().join(STATE).join("refusal.json").exists());

    let skipping = refusing("skip");
    skipping.installer.run().globals();
}

#[test]
fn a_broken_target_fails_in_our_words_and_is_put_back() {
    let installation = Installation::new("z390m-9900k-rtx2080s-usbc", "arch-grub", "grub");
    installation.stored(Some("0000:01:00.0"));
    installation
        .installer
        .sequence(&[("exec", &["partition", "vfio-setup", "standin-verdict"]), ("show", &["finished"])]);
    // A file where a folder has to be.
    let folder = installation.installer.target().join("etc/modprobe.d");
    fs::remove_dir(&folder).unwrap();
    fs::write(&folder, "not a folder\n").unwrap();
    let before = installation.tree();
    let outcome = installation.installer.run();
    let (title, detail) = outcome.failure();
    assert_eq!(title, "The new system could not be prepared for GPU passthrough");
    assert!(detail.contains("/etc/modprobe.d"), "{detail}");
    let after = installation.tree();
    let changed: Vec<_> =
        tree::diff(&before, &after).into_iter().filter(|one| !one.path().starts_with("var/lib")).collect();
    assert!(changed.is_empty(), "{changed:?}");
}

#[test]
fn a_second_run_in_the_same_process_changes_nothing() {
    let installation = Installation::new("z390m-9900k-rtx2080s-usbc", "arch-grub", "grub");
    installation.stored(Some("0000:01:00.0"));
    let once = Installation::new("z390m-9900k-rtx2080s-usbc", "arch-grub", "grub");
    once.stored(Some("0000:01:00.0"));
    once.installer
        .sequence(&[("exec", &["partition", "vfio-setup", "standin-verdict"]), ("show", &["finished"])]);
    once.installer.run().globals();
    installation.installer.sequence(&[
        ("exec", &["partition", "vfio-setup"]),
        ("exec", &["vfio-setup", "standin-verdict"]),
        ("show", &["finished"]),
    ]);
    installation.installer.run().globals();
    let changed: Vec<_> = tree::diff(&once.tree(), &installation.tree())
        .into_iter()
        .filter(|one| !one.path().starts_with(STATE))
        .collect();
    assert!(changed.is_empty(), "{changed:?}");
}
