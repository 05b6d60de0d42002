//! Entries that kernel-install made of what we wrote, for kernels that came since: they are no files of ours, and
//! none of our parameters stays in them. The stand-in makes them as kernel-install does, of `/etc/kernel/cmdline`.

use std::fs;
use std::path::PathBuf;

use neuron_tests::scenario::Ground;

use super::{ends, mkinitcpio, runs, stand_in, with_shell};

const TOKEN: &str = "3f1c2b7a9d8e4c6fb05a1e2d3c4b5a69";
const OLD: &str = "6.12.1-arch1-1";
const NEW: &str = "6.13.2-arch1-1";
const NEWER: &str = "6.14.0-arch1-1";

const KERNEL_INSTALL: &str = r#"
[ "$1" = add ] && [ ! -e /kernel-install-fails ] || exit 1
line=
while read -r words; do line="$line $words"; done </etc/kernel/cmdline
token=3f1c2b7a9d8e4c6fb05a1e2d3c4b5a69
{
    echo "title Arch Linux"
    echo "version $2"
    echo "machine-id $token"
    echo "options $line"
    echo "linux /$token/$2/linux"
    echo "initrd /$token/$2/initrd"
} >/boot/loader/entries/$token-$2.conf
"#;

fn put(ground: &Ground, path: &str, text: &str) {
    fs::write(ground.target().join(path), text).unwrap();
}

fn answer(ground: &Ground, mode: &str) {
    put(ground, "etc/neuron/provisioner.toml", &format!("schema = 1\n[passthrough]\nmode = \"{mode}\"\n"));
}

fn entry(ground: &Ground, release: &str) -> PathBuf {
    ground.target().join(format!("boot/loader/entries/{TOKEN}-{release}.conf"))
}

fn text(ground: &Ground, release: &str) -> String {
    fs::read_to_string(entry(ground, release)).unwrap()
}

/// The package manager takes one kernel away and brings another, and kernel-install makes its entry.
fn update(ground: &Ground, from: &str, to: &str) {
    for folder in ["usr/lib/modules".to_owned(), format!("boot/{TOKEN}")] {
        let folder = ground.target().join(folder);
        fs::rename(folder.join(from), folder.join(to)).unwrap();
    }
    put(ground, &format!("usr/lib/modules/{to}/vmlinuz"), "a kernel");
    let line = fs::read_to_string(ground.target().join("etc/kernel/cmdline")).unwrap();
    let new = format!(
        "title Arch Linux\nversion {to}\nmachine-id {TOKEN}\noptions {}\nlinux /{TOKEN}/{to}/linux\n",
        line.trim()
    );
    fs::remove_file(entry(ground, from)).unwrap();
    fs::write(entry(ground, to), new).unwrap();
}

/// Set up, and updated.
fn updated() -> Ground {
    let ground = with_shell(Ground::new("made-rtx-usbc-igpu", "arch-kernel-cmdline").unwrap());
    mkinitcpio(&ground, "");
    stand_in(&ground, "kernel-install", KERNEL_INSTALL);
    ends(&ground, &["apply", "--yes"], 4);
    update(&ground, OLD, NEW);
    assert!(text(&ground, NEW).contains("intel_iommu=on iommu=pt"), "{}", text(&ground, NEW));
    ground
}

fn made(ground: &Ground, release: &str) -> usize {
    runs(ground, &format!("kernel-install add {release} /usr/lib/modules/{release}/vmlinuz"))
}

#[test]
fn switched_off_no_entry_holds_a_parameter_of_ours() {
    let ground = updated();
    // Of another system on the same disk.
    let theirs = text(&ground, NEW).replace(TOKEN, &"5".repeat(32));
    put(&ground, "boot/loader/entries/theirs.conf", &theirs);
    answer(&ground, "off");
    ends(&ground, &["apply", "--yes"], 4);
    assert_eq!(made(&ground, NEW), 1);
    for file in fs::read_dir(ground.target().join("boot/loader/entries")).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let is_theirs = path.ends_with("theirs.conf");
        let has_ours = text.contains("iommu") || text.contains("neuron");
        assert_eq!(has_ours, is_theirs, "{}: {text}", path.display());
    }
    assert!(text(&ground, NEW).contains("root=UUID="));
    ends(&ground, &["plan", "--check"], 0);
    assert_eq!(made(&ground, NEW), 1);
}

#[test]
fn an_entry_that_cannot_be_made_anew_is_told_and_made_by_the_next_run() {
    let ground = updated();
    answer(&ground, "off");
    put(&ground, "kernel-install-fails", "");
    let said = ends(&ground, &["apply", "--yes"], 6);
    assert!(said.contains("kernel-install"), "{said}");
    assert!(text(&ground, NEW).contains("iommu"));
    fs::remove_file(ground.target().join("kernel-install-fails")).unwrap();
    ends(&ground, &["apply", "--yes"], 4);
    assert!(!text(&ground, NEW).contains("iommu"), "{}", text(&ground, NEW));
}

/// What was recorded for a kernel that is gone by now is nobody's work any more.
#[test]
fn a_kernel_that_went_since_holds_up_no_revert() {
    let ground = updated();
    answer(&ground, "off");
    ends(&ground, &["apply", "--yes"], 4);
    answer(&ground, "auto");
    ends(&ground, &["apply", "--yes"], 4);
    update(&ground, NEW, NEWER);
    let before = made(&ground, NEW);
    // The answers were written anew by a person.
    ends(&ground, &["revert", "--yes"], 5);
    assert_eq!((made(&ground, NEW), made(&ground, NEWER)), (before, 1));
    assert!(!text(&ground, NEWER).contains("iommu"), "{}", text(&ground, NEWER));
}
