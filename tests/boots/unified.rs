//! Unified images: what was built beside an image whose boot was good stays in the menu, whatever is built
//! later; and an image whose kernel lost its modules is built anew.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use neuron_tests::kernel;
use neuron_tests::scenario::{Ground, without_state};

use crate::copies::{log_in, start_kernel};
use crate::{boot, ends, way_back};

const FOLDER: &str = "boot/EFI/Linux";
const TWIN: &str = "arch-linux.efi";
const HOST: &str = "neuron-host-linux.efi";
const OLD: &str = "6.12.1-arch1-1";
const NEW: &str = "6.13.2-arch1-1";

fn path(ground: &Ground, name: &str) -> PathBuf {
    ground.target().join(FOLDER).join(name)
}

/// Somebody builds an image.
fn build(ground: &Ground, name: &str, release: &str, number: &str) {
    // What is written within one tick of the clock cannot be told apart.
    thread::sleep(Duration::from_millis(20));
    fs::write(path(ground, name), kernel::unified(release, number, name)).unwrap();
}

/// As `mkinitcpio -P` does.
fn build_all(ground: &Ground, release: &str, number: &str) {
    build(ground, TWIN, release, number);
    build(ground, HOST, release, number);
}

fn applied() -> Ground {
    let ground = Ground::new("made-rtx-usbc-igpu", "uki-only").unwrap();
    ends(&ground, &["apply", "--yes"], 4);
    build_all(&ground, OLD, "#1 SMP");
    ground
}

/// The copies that are kept: their names, and of which build they are.
fn kept(ground: &Ground) -> Vec<(String, String)> {
    let names = fs::read_dir(ground.target().join(FOLDER)).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let copies = names.filter(|name| name.starts_with("neuron-host-kept"));
    let build = |name: &str| {
        let bytes = fs::read(path(ground, name)).unwrap();
        let numbers = ["#1 SMP", "#2 SMP", "#3 SMP"];
        let of = |number: &&&str| bytes == kernel::unified(OLD, number, HOST);
        numbers.iter().find(of).map_or("another", |number| number).to_owned()
    };
    let mut copies: Vec<_> = copies.map(|name| (name.clone(), build(&name))).collect();
    copies.sort();
    copies
}

fn one(name: &str, build: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), build.to_owned())]
}

fn start(ground: &Ground, number: u32, build: &str) {
    start_kernel(ground, number, OLD, build);
}

#[test]
fn what_stood_beside_a_good_boot_outlives_every_build_until_the_next_one_was_good() {
    let ground = applied();
    start(&ground, 1, "#1 SMP");
    assert_eq!(kept(&ground), [], "not before it is good");
    log_in(&ground);
    assert_eq!(kept(&ground), one("neuron-host-kept-linux.efi", "#1 SMP"));
    let before = without_state(&ground.tree().unwrap());
    log_in(&ground);
    assert_eq!(without_state(&ground.tree().unwrap()), before, "once is enough");
    ends(&ground, &["apply", "--yes"], 0);
    for (number, build, name) in
        [(2, "#2 SMP", "neuron-host-kept2-linux.efi"), (3, "#3 SMP", "neuron-host-kept-linux.efi")]
    {
        let old = kept(&ground);
        build_all(&ground, OLD, build);
        ends(&ground, &["package", "changed"], 0);
        start(&ground, number, build);
        assert_eq!(kept(&ground), old, "nobody has booted that yet");
        log_in(&ground);
        assert_eq!(kept(&ground), one(name, build));
    }
    ends(&ground, &["revert", "--yes"], 4);
    assert_eq!(kept(&ground), []);
    assert!(!path(&ground, HOST).exists() && path(&ground, TWIN).exists());
}

type Happens<'a> = &'a dyn Fn(&Ground);

#[test]
fn what_a_boot_does_not_show_is_not_kept() {
    let since: [(&str, Happens<'_>); 4] = [
        ("the host's image was built meanwhile", &|ground| build(ground, HOST, OLD, "#1 SMP")),
        ("the other one was", &|ground| build(ground, TWIN, OLD, "#1 SMP")),
        ("the host's is cut off", &|ground| fs::write(path(ground, HOST), "MZ").unwrap()),
        ("another kernel runs", &|ground| {
            fs::write(ground.machine().join("proc/sys/kernel/version"), "#9 SMP\n").unwrap();
        }),
    ];
    for (why, happens) in since {
        let ground = applied();
        start(&ground, 1, "#1 SMP");
        happens(&ground);
        log_in(&ground);
        assert_eq!(kept(&ground), [], "{why}");
    }
    // Of two kernels one is not proven by the other.
    let ground = applied();
    build(&ground, HOST, OLD, "#2 SMP");
    start(&ground, 1, "#1 SMP");
    log_in(&ground);
    assert_eq!(kept(&ground), []);
}

/// The firmware starts the image, and shows what it knows in a menu of its own.
#[test]
fn an_image_that_no_menu_shows_is_told_until_the_firmware_knows_it() {
    let ground = Ground::new("made-rtx-usbc-igpu", "uki-firmware").unwrap();
    ends(&ground, &["apply", "--yes"], 4);
    assert_eq!(way_back(&ground), "warn");
    let variable = |name: &str, bytes: &[u8]| {
        let file = format!("sys/firmware/efi/efivars/{name}-8be4df61-93ca-11d2-aa0d-00e098032b8c");
        fs::create_dir_all(ground.machine().join(&file).parent().unwrap()).unwrap();
        fs::write(ground.machine().join(file), bytes).unwrap();
    };
    let option = |path: &str| {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let (name, path) = (utf16("Linux\0"), utf16(path));
        let bytes = [&[7, 0, 0, 0, 1, 0, 0, 0, 46, 0][..], &name, &[4, 4, 0, 0], &path].concat();
        variable("Boot0003", &bytes);
    };
    let order = |number: u8| variable("BootOrder", &[7, 0, 0, 0, number, 0]);
    order(3);
    option("\\EFI\\Linux\\arch-linux.efi\0");
    assert_eq!(way_back(&ground), "warn");
    assert!(ends(&ground, &["plan"], 0).stdout.contains("[no-boot-menu]"));
    option("\\EFI\\LINUX\\neuron-host-linux.efi\0");
    assert_eq!(way_back(&ground), "pass");
    assert!(!ends(&ground, &["plan"], 0).stdout.contains("[no-boot-menu]"));
    // An option that the firmware does not try.
    order(4);
    assert_eq!(way_back(&ground), "warn");
}

/// pacman's hook builds the preset of the kernel that changed, and that is not the host's.
#[test]
fn an_image_whose_kernel_lost_its_modules_is_built_for_the_kernel_that_is_there() {
    let ground = applied();
    boot(&ground, 1, "claimed");
    build(&ground, TWIN, NEW, "#2 SMP");
    // The control: the old kernel has its modules yet.
    assert_eq!(way_back(&ground), "pass");
    ends(&ground, &["plan", "--check"], 0);
    let modules = ground.target().join("usr/lib/modules");
    fs::rename(modules.join(OLD), modules.join(NEW)).unwrap();
    assert_eq!(way_back(&ground), "fail");
    let plan = ends(&ground, &["plan"], 0).stdout;
    let wanted = "run mkinitcpio -k /boot/vmlinuz-linux --cmdline /etc/neuron/host-cmdline --osrelease \
                  /etc/neuron/host-os-release -U /boot/EFI/Linux/neuron-host-linux.efi";
    let runs: Vec<&str> = plan.lines().map(str::trim).filter(|line| line.starts_with("run ")).collect();
    assert_eq!(runs, [wanted], "{plan}");
    let said = ends(&ground, &["package", "changed"], 4);
    assert!(format!("{}{}", said.stdout, said.stderr).contains("neuron-host-linux.efi"), "{said:?}");
    build(&ground, HOST, NEW, "#2 SMP");
    assert_eq!(way_back(&ground), "pass");
    ends(&ground, &["revert", "--yes"], 4);
    assert!(!path(&ground, HOST).exists());
}
