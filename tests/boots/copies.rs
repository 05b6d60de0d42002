//! After a boot that was good, the entry without passthrough starts what that boot started: the kernel
//! and the image together, or neither.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use neuron_tests::kernel;
use neuron_tests::scenario::{Ground, without_state};

use crate::good::{LOGIN, good, witnesses};
use crate::{begin, boot, ends, status};

const KERNEL: &str = "boot/vmlinuz-linux";
const IMAGE: &str = "boot/initramfs-linux.img";
const FOLDER: &str = "boot/neuron-host";
const ENTRY: &str = "boot/loader/entries/aa-neuron-host-arch.conf";
const RELEASE: &str = "6.16.1-arch1-1";

fn kernel(build: &str) -> Vec<u8> {
    kernel::made(RELEASE, build)
}

/// A kernel of this build is installed, with the image that belongs to it.
fn install(ground: &Ground, build: &str) {
    // What is written within one tick of the clock cannot be told apart.
    thread::sleep(Duration::from_millis(20));
    fs::write(ground.target().join(KERNEL), kernel(build)).unwrap();
    fs::write(ground.target().join(IMAGE), format!("image of {build}")).unwrap();
}

/// The machine boots this build, with passthrough, and the guard sees it.
fn start(ground: &Ground, number: u32, build: &str) {
    start_kernel(ground, number, RELEASE, build);
}

pub(crate) fn start_kernel(ground: &Ground, number: u32, release: &str, build: &str) {
    boot(ground, number, "claimed");
    let kernel = ground.machine().join("proc/sys/kernel");
    fs::write(kernel.join("osrelease"), format!("{release}\n")).unwrap();
    fs::write(kernel.join("version"), format!("{build}\n")).unwrap();
    begin(ground);
}

/// Somebody logs in; what the program says.
pub(crate) fn log_in(ground: &Ground) -> String {
    let (ended, said) = good(ground, &witnesses(ground, LOGIN, 0), 60);
    assert!(ended && said.contains("this boot was good"), "{said}");
    said
}

fn read(ground: &Ground, path: &str) -> String {
    String::from_utf8_lossy(&fs::read(ground.target().join(path)).unwrap()).into_owned()
}

/// The builds that the entry without passthrough starts: of its kernel and of its image.
pub(crate) fn host_starts(ground: &Ground) -> (String, String) {
    let entry = read(ground, ENTRY);
    let named = |key: &str| {
        let values = entry.lines().filter_map(|line| line.strip_prefix(key));
        let path = values.map(str::trim).find(|path| !path.contains("ucode")).unwrap();
        read(ground, &format!("boot{path}"))
    };
    let kernel = named("linux ");
    let build = kernel.split(") ").nth(1).unwrap_or_default().trim_matches('\0');
    (build.to_owned(), named("initrd ").trim_start_matches("image of ").to_owned())
}

pub(crate) fn both(build: &str) -> (String, String) {
    (build.to_owned(), build.to_owned())
}

pub(crate) fn copies(ground: &Ground) -> usize {
    fs::read_dir(ground.target().join(FOLDER)).map_or(0, Iterator::count)
}

fn applied() -> Ground {
    let ground = Ground::new("made-rtx-usbc-igpu", "arch-systemd-boot").unwrap();
    install(&ground, "#1 SMP");
    ends(&ground, &["apply", "--yes"], 4);
    ground
}

#[test]
fn the_pair_follows_every_boot_that_was_good_and_no_other() {
    let ground = applied();
    let before = without_state(&ground.tree().unwrap());
    start(&ground, 1, "#1 SMP");
    assert!(!log_in(&ground).contains("copies"), "they are the same already");
    assert_eq!(without_state(&ground.tree().unwrap()), before);
    for (number, build) in [(2, "#2 SMP"), (3, "#3 SMP"), (4, "#4 SMP")] {
        let old = host_starts(&ground);
        install(&ground, build);
        start(&ground, number, build);
        assert_eq!(host_starts(&ground), old, "not before it is good");
        assert!(log_in(&ground).contains("starts copies of this kernel"));
        assert_eq!(host_starts(&ground), both(build));
        assert_eq!(copies(&ground), 2, "the old ones are gone");
        let status = status(&ground);
        assert_eq!((&status["state"], &status["reboot_needed"]), (&"active".into(), &false.into()));
        assert!(!log_in(&ground).contains("copies"), "once is enough");
    }
    // The next apply leaves them as they are.
    ends(&ground, &["apply", "--yes"], 0);
    assert_eq!(host_starts(&ground), both("#4 SMP"));
    ends(&ground, &["revert", "--yes"], 4);
    assert_eq!(copies(&ground), 0);
}

/// What happens between the beginning of a boot and the first login.
#[derive(Debug, Clone, Copy)]
enum Meanwhile {
    /// Kernel and image are of another build.
    Updated,
    /// The image was built anew, and badly.
    ImageBuilt,
    /// The kernel on the disk never was the one that runs.
    AnotherRuns,
}

fn happens(ground: &Ground, meanwhile: Meanwhile) {
    match meanwhile {
        Meanwhile::Updated => install(ground, "#2 SMP"),
        Meanwhile::ImageBuilt => {
            thread::sleep(Duration::from_millis(20));
            fs::write(ground.target().join(IMAGE), "broken").unwrap();
        }
        Meanwhile::AnotherRuns => {
            fs::write(ground.machine().join("proc/sys/kernel/version"), "#9 SMP\n").unwrap();
        }
    }
}

#[test]
fn what_this_boot_did_not_start_is_not_kept() {
    for meanwhile in [Meanwhile::Updated, Meanwhile::ImageBuilt, Meanwhile::AnotherRuns] {
        let ground = applied();
        install(&ground, "#1b SMP");
        start(&ground, 1, "#1b SMP");
        happens(&ground, meanwhile);
        log_in(&ground);
        assert_eq!(host_starts(&ground), both("#1 SMP"), "{meanwhile:?}");
        assert_eq!(copies(&ground), 2, "{meanwhile:?}");
    }
    // The control: nothing of that happens.
    let ground = applied();
    install(&ground, "#1b SMP");
    start(&ground, 1, "#1b SMP");
    log_in(&ground);
    assert_eq!(host_starts(&ground), both("#1b SMP"));
}

/// An installer applies before there are images: the first boot that is good makes the copies, and the
/// entries start them.
#[test]
fn where_there_was_nothing_to_copy_the_first_good_boot_does() {
    let ground = Ground::new("made-rtx-usbc-igpu", "arch-systemd-boot").unwrap();
    fs::remove_file(ground.target().join(IMAGE)).unwrap();
    ends(&ground, &["apply", "--yes"], 4);
    assert_eq!(copies(&ground), 0);
    assert!(read(&ground, ENTRY).contains("linux /vmlinuz-linux"), "{}", read(&ground, ENTRY));
    install(&ground, "#1 SMP");
    start(&ground, 1, "#1 SMP");
    log_in(&ground);
    assert_eq!(host_starts(&ground), both("#1 SMP"));
    assert!(read(&ground, ENTRY).contains(FOLDER.trim_start_matches("boot")));
}

/// What a person has not applied yet is not applied by a boot.
#[test]
fn nothing_else_is_applied_on_the_way() {
    let ground = applied();
    let answers = ground.target().join("etc/neuron/provisioner.toml");
    fs::write(&answers, "schema = 1\n[passthrough]\niommu_pt = false\n").unwrap();
    install(&ground, "#2 SMP");
    start(&ground, 1, "#2 SMP");
    let before = without_state(&ground.tree().unwrap());
    assert!(log_in(&ground).contains("`neuron-provisioner apply` has something to do"));
    assert_eq!(without_state(&ground.tree().unwrap()), before);
    ends(&ground, &["apply", "--yes"], 4);
    log_in(&ground);
    assert_eq!(host_starts(&ground), both("#2 SMP"));
}

/// GRUB's menu is made by a script: that names the copies.
#[test]
fn the_script_of_grub_names_the_new_pair() {
    let ground = Ground::new("made-rtx-usbc-igpu", "arch-grub").unwrap();
    install(&ground, "#1 SMP");
    ends(&ground, &["apply", "--yes"], 4);
    install(&ground, "#2 SMP");
    start(&ground, 1, "#2 SMP");
    log_in(&ground);
    let script = read(&ground, "etc/grub.d/99_neuron_host");
    for name in ["vmlinuz-linux", "initramfs-linux.img"] {
        let copy = format!("{FOLDER}/kept2-{name}");
        assert!(script.contains(&format!("[ -e /{copy} ]")), "{script}");
        assert!(Path::new(&ground.target()).join(copy).is_file());
    }
    assert!(!script.contains("kept-"), "{script}");
    assert_eq!(copies(&ground), 2);
}
