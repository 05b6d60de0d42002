//! A kernel goes, as package managers have it: with its modules, and with the entry that
//! kernel-install made for it. The way back goes on with the kernel that is there.

use std::fs;
use std::path::PathBuf;

use neuron_tests::kernel;
use neuron_tests::scenario::{Ground, without_state};
use neuron_tests::tree::{self, Tree};

use crate::copies::{both, copies, host_starts};
use crate::{boot, ends, status, way_back};

const MODULES: &str = "usr/lib/modules";
const OLD: &str = "6.12.1-arch1-1";
const NEW: &str = "6.13.2-arch1-1";

/// The kernel of this release, and its image.
fn install(ground: &Ground, release: &str, build: &str) {
    fs::write(ground.target().join("boot/vmlinuz-linux"), kernel::made(release, build)).unwrap();
    fs::write(ground.target().join("boot/initramfs-linux.img"), format!("image of {build}")).unwrap();
}

fn modules(ground: &Ground, release: &str) -> PathBuf {
    ground.target().join(MODULES).join(release)
}

fn applied(answers: Option<&str>) -> Ground {
    let ground = Ground::new("made-rtx-usbc-igpu", "arch-systemd-boot").unwrap();
    if let Some(answers) = answers {
        let path = ground.target().join("etc/neuron/provisioner.toml");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, answers).unwrap();
    }
    install(&ground, OLD, "#1 SMP");
    ends(&ground, &["apply", "--yes"], 4);
    assert_eq!(host_starts(&ground), both("#1 SMP"));
    ground
}

/// What Arch does: the new kernel's modules come, the old one's go.
fn update(ground: &Ground) {
    install(ground, NEW, "#2 SMP");
    fs::rename(modules(ground, OLD), modules(ground, NEW)).unwrap();
}

/// This boot is one of the entry without passthrough.
fn without_passthrough(ground: &Ground) {
    let path = ground.machine().join("proc/cmdline");
    let line = fs::read_to_string(&path).unwrap_or_default();
    fs::write(path, format!("{} neuron.passthrough=off\n", line.trim_end())).unwrap();
}

/// What differs from a tree that was seen before.
fn changes(ground: &Ground, before: &Tree) -> Vec<String> {
    let now = without_state(&ground.tree().unwrap());
    tree::diff(before, &now).iter().map(ToString::to_string).collect()
}

#[test]
fn a_kept_kernel_whose_modules_went_is_not_what_the_way_back_starts() {
    for answers in [None, Some("schema = 1\n[passthrough]\ndefault_entry = \"host\"\n")] {
        for (number, off) in (1..).zip([false, true]) {
            let ground = applied(answers);
            boot(&ground, number, if off { "off" } else { "claimed" });
            if off {
                without_passthrough(&ground);
            }
            update(&ground);
            assert_eq!((host_starts(&ground), way_back(&ground)), (both("#1 SMP"), "fail".into()));
            assert_eq!(status(&ground)["state"], "drifted");
            ends(&ground, &["package", "changed"], 0);
            assert_eq!((host_starts(&ground), way_back(&ground)), (both("#2 SMP"), "pass".into()), "{off}");
            assert_eq!(copies(&ground), 2, "what nobody can start is gone");
            let before = without_state(&ground.tree().unwrap());
            ends(&ground, &["package", "changed"], 0);
            assert_eq!(changes(&ground, &before), Vec::<String>::new(), "once is enough");
            ends(&ground, &["revert", "--yes"], 4);
            assert_eq!(copies(&ground), 0);
        }
    }
}

/// Debian keeps the old kernel's modules: what was good stays what the way back starts.
#[test]
fn a_kept_kernel_with_its_modules_stays() {
    let ground = applied(None);
    install(&ground, NEW, "#2 SMP");
    fs::create_dir(modules(&ground, NEW)).unwrap();
    for list in ["modules.alias", "modules.builtin", "modules.dep", "pkgbase"] {
        fs::copy(modules(&ground, OLD).join(list), modules(&ground, NEW).join(list)).unwrap();
    }
    ends(&ground, &["package", "changed"], 0);
    assert_eq!((host_starts(&ground), way_back(&ground)), (both("#1 SMP"), "pass".into()));
}

/// By hand it is the same as by the hook.
#[test]
fn an_apply_puts_it_right_as_well() {
    let ground = applied(None);
    boot(&ground, 1, "claimed");
    update(&ground);
    let said = ends(&ground, &["apply", "--yes"], 0).stdout;
    assert_eq!((host_starts(&ground), way_back(&ground)), (both("#2 SMP"), "pass".into()), "{said}");
    ends(&ground, &["apply", "--yes"], 0);
}

/// Somebody made room on the boot partition.
#[test]
fn a_way_back_without_its_files_is_found_and_mended() {
    for file in ["kept-vmlinuz-linux", "kept-initramfs-linux.img"] {
        let ground = applied(None);
        assert_eq!(way_back(&ground), "pass");
        fs::remove_file(ground.target().join("boot/neuron-host").join(file)).unwrap();
        assert_eq!(way_back(&ground), "fail", "{file}");
        ends(&ground, &["apply", "--yes"], 4);
        assert_eq!((host_starts(&ground), way_back(&ground)), (both("#1 SMP"), "pass".into()), "{file}");
        ends(&ground, &["revert", "--yes"], 4);
        assert_eq!(copies(&ground), 0);
    }
}

const TOKEN: &str = "3f1c2b7a9d8e4c6fb05a1e2d3c4b5a69";
const ENTRIES: &str = "boot/loader/entries";

/// What kernel-install leaves of an update: another folder, another entry.
fn kernel_installed(ground: &Ground) {
    let (entries, token) = (ground.target().join(ENTRIES), ground.target().join("boot").join(TOKEN));
    fs::rename(modules(ground, OLD), modules(ground, NEW)).unwrap();
    fs::rename(token.join(OLD), token.join(NEW)).unwrap();
    fs::write(token.join(NEW).join("linux"), kernel::made(NEW, "#2 SMP")).unwrap();
    let old = entries.join(format!("{TOKEN}-{OLD}.conf"));
    let entry = fs::read_to_string(&old).unwrap().replace(OLD, NEW);
    fs::remove_file(old).unwrap();
    fs::write(entries.join(format!("{TOKEN}-{NEW}.conf")), entry).unwrap();
}

#[test]
fn the_entry_of_a_kernel_that_went_is_missed_by_nobody() {
    for off in [false, true] {
        let ground = Ground::new("made-rtx-usbc-igpu", "arch-kernel-cmdline").unwrap();
        let linux = ground.target().join("boot").join(TOKEN).join(OLD).join("linux");
        fs::write(linux, kernel::made(OLD, "#1 SMP")).unwrap();
        ends(&ground, &["apply", "--yes"], 4);
        boot(&ground, 1, if off { "off" } else { "claimed" });
        if off {
            without_passthrough(&ground);
        }
        assert_eq!(status(&ground)["state"], "active");
        kernel_installed(&ground);
        assert_eq!(status(&ground)["state"], "drifted");
        let said = ends(&ground, &["package", "changed"], 0).stderr;
        assert_eq!(status(&ground)["state"], "active", "{said}");
        let twin = ground.target().join(ENTRIES).join(format!("aa-neuron-host-{TOKEN}.conf"));
        let twin = fs::read_to_string(twin).unwrap();
        assert!(twin.contains(NEW) && twin.contains("linux /neuron-host/kept2-linux"), "{twin}");
        let before = without_state(&ground.tree().unwrap());
        assert!(!twin.contains("iommu"), "{twin}");
        ends(&ground, &["package", "changed"], 0);
        assert_eq!(changes(&ground, &before), Vec::<String>::new(), "once is enough");
        // What kernel-install makes the next entry from is as it was. The one that it made meanwhile is
        // its own: we never wrote it.
        ends(&ground, &["revert", "--yes"], 4);
        let line = fs::read_to_string(ground.target().join("etc/kernel/cmdline")).unwrap();
        assert!(!line.contains("iommu"), "{line}");
        assert_eq!(fs::read_dir(ground.target().join(ENTRIES)).unwrap().count(), 1);
    }
}

/// Where nothing was copied the way back starts what lies there: it follows in its own boot, too.
#[test]
fn without_copies_the_way_back_follows_in_its_own_boot() {
    let ground = Ground::new("made-rtx-usbc-igpu", "arch-kernel-cmdline").unwrap();
    let folder = ground.target().join("boot").join(TOKEN);
    fs::remove_file(folder.join(OLD).join("initrd")).unwrap();
    ends(&ground, &["apply", "--yes"], 4);
    assert_eq!(copies(&ground), 0);
    boot(&ground, 1, "off");
    without_passthrough(&ground);
    kernel_installed(&ground);
    ends(&ground, &["package", "changed"], 0);
    let twin = ground.target().join(ENTRIES).join(format!("aa-neuron-host-{TOKEN}.conf"));
    let twin = fs::read_to_string(twin).unwrap();
    assert!(twin.contains(&format!("linux /{TOKEN}/{NEW}/linux")) && !twin.contains(OLD), "{twin}");
    // A folder of somebody's beside the entries keeps nobody from going back.
    fs::create_dir(ground.target().join(ENTRIES).join("old")).unwrap();
    ends(&ground, &["revert", "--yes"], 4);
}

/// The control: an entry that is there and was changed is somebody's edit.
#[test]
fn an_entry_that_somebody_edited_is_theirs() {
    let ground = Ground::new("made-rtx-usbc-igpu", "arch-kernel-cmdline").unwrap();
    ends(&ground, &["apply", "--yes"], 4);
    boot(&ground, 1, "claimed");
    let path = ground.target().join(ENTRIES).join(format!("{TOKEN}-{OLD}.conf"));
    let entry = fs::read_to_string(&path).unwrap().replace(" quiet", "");
    fs::write(&path, &entry).unwrap();
    let output = ground.run(&["package", "changed"]).unwrap();
    assert!(
        output.code != 0 && output.stderr.contains("was changed since it was applied"),
        "{}",
        output.stderr
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), entry);
}
