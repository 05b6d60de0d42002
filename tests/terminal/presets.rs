//! Kernels that come and go between an apply and a revert: of mkinitcpio's presets those are built whose kernels
//! are there when it runs. The stand-in fails as mkinitcpio does where a preset's kernel is missing.

use std::fs;

use neuron_tests::scenario::Ground;

use super::{ends, ground, mkinitcpio, runs, status, with_shell};

/// Notes every preset that it built.
const BUILDS: &str = r#"
names=
case $1 in
-P) for file in /etc/mkinitcpio.d/*.preset; do file=${file##*/}; names="$names ${file%.preset}"; done ;;
-p) while [ $# -gt 1 ]; do names="$names $2"; shift 2; done ;;
esac
failed=0
for name in $names; do
    while read -r line; do
        case $line in
        \#*) ;;
        *_kver=*)
            kernel=${line#*=\"}
            kernel=${kernel%\"}
            [ -e "$kernel" ] || { echo "==> ERROR: no $kernel" >&2; failed=1; continue; }
            echo "built $name." >>/var/log/stand-ins ;;
        esac
    done </etc/mkinitcpio.d/$name.preset || failed=1
done
exit $failed
"#;

fn kernel(ground: &Ground, name: &str) -> std::path::PathBuf {
    ground.target().join(format!("boot/vmlinuz-{name}"))
}

/// A preset, as a kernel's package brings it.
fn preset(ground: &Ground, name: &str, has_kernel: bool) {
    let folder = ground.target().join("etc/mkinitcpio.d");
    let stock = fs::read_to_string(folder.join("linux.preset")).unwrap();
    let text =
        stock.replace("-linux\"", &format!("-{name}\"")).replace("-linux.img", &format!("-{name}.img"));
    assert_ne!(stock, text);
    fs::write(folder.join(format!("{name}.preset")), text).unwrap();
    if has_kernel {
        fs::copy(kernel(ground, "linux"), kernel(ground, name)).unwrap();
    }
}

/// A target with these kernels beside its own, and with presets whose kernels are gone.
fn with(others: &[&str], gone: &[&str]) -> Ground {
    let ground = ground();
    mkinitcpio(&ground, BUILDS);
    for name in others {
        preset(&ground, name, true);
    }
    for name in gone {
        preset(&ground, name, false);
    }
    ground
}

/// How often the presets of `linux` and of `linux-lts` were built.
fn built(ground: &Ground) -> (usize, usize) {
    (runs(ground, "built linux."), runs(ground, "built linux-lts."))
}

#[test]
fn a_kernel_that_came_since_is_built_by_a_revert() {
    for gone in [&[][..], &["linux-old"]] {
        let ground = with(&[], gone);
        ends(&ground, &["apply", "--yes"], 4);
        assert_eq!(built(&ground), (1, 0));
        // The control: what names every preset runs where none is stale.
        assert_eq!(runs(&ground, "mkinitcpio -P"), usize::from(gone.is_empty()));
        preset(&ground, "linux-lts", true);
        ends(&ground, &["revert", "--yes"], 4);
        assert_eq!(built(&ground), (2, 1), "{gone:?}");
    }
}

#[test]
fn a_kernel_that_went_since_holds_up_no_revert() {
    for (with_preset, gone) in
        [(false, &[][..]), (false, &["linux-old"]), (true, &[]), (true, &["linux-old"])]
    {
        let ground = with(&["linux-lts"], gone);
        ends(&ground, &["apply", "--yes"], 4);
        assert_eq!(built(&ground), (1, 1));
        fs::remove_file(kernel(&ground, "linux-lts")).unwrap();
        if with_preset {
            fs::remove_file(ground.target().join("etc/mkinitcpio.d/linux-lts.preset")).unwrap();
        }
        ends(&ground, &["revert", "--yes"], 4);
        assert_eq!(built(&ground), (2, 1), "{with_preset} {gone:?}");
    }
}

/// An earlier version recorded the presets by their names.
#[test]
fn what_was_recorded_by_name_is_the_presets_of_today() {
    let ground = with(&[], &[]);
    ends(&ground, &["apply", "--yes"], 4);
    let journal = ground.target().join("var/lib/neuron-provisioner/journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let named = text.replace(r#"["mkinitcpio","-P"]"#, r#"["mkinitcpio","-p","linux-gone"]"#);
    assert_ne!(text, named);
    fs::write(&journal, named).unwrap();
    preset(&ground, "linux-lts", true);
    ends(&ground, &["revert", "--yes"], 4);
    assert_eq!((built(&ground), runs(&ground, "mkinitcpio -p")), ((2, 1), 0));
}

#[test]
fn a_build_that_was_put_off_stays_the_same_one_while_kernels_come_and_go() {
    for goes in [true, false] {
        let ground = with(if goes { &["linux-lts"] } else { &[] }, if goes { &[] } else { &["linux-lts"] });
        ends(&ground, &["apply", "--yes", "--no-reload"], 4);
        assert_eq!(built(&ground), (0, 0));
        let due = |ground: &Ground| {
            let due = status(ground)["due_rebuilds"].as_array().unwrap().clone();
            due.iter().filter(|argv| argv[0] == "mkinitcpio").count()
        };
        assert_eq!(due(&ground), 1);
        if goes {
            fs::remove_file(kernel(&ground, "linux-lts")).unwrap();
        } else {
            preset(&ground, "linux-lts", true);
        }
        ends(&ground, &["apply", "--yes"], 4);
        assert_eq!((built(&ground), due(&ground)), ((1, usize::from(!goes)), 0));
        assert!(ends(&ground, &["apply", "--yes"], 4).contains("Nothing would change"));
        assert_eq!(built(&ground), (1, usize::from(!goes)), "nothing is due any more");
    }
}

#[test]
fn a_preset_file_with_one_kernel_of_two_fails_loudly() {
    for is_there in [false, true] {
        let ground = with(&["linux-lts"], &[]);
        let path = ground.target().join("etc/mkinitcpio.d/linux.preset");
        let text = fs::read_to_string(&path).unwrap().replace("('default')", "('default' 'old')");
        let more = "old_image=\"/boot/initramfs-old.img\"\nold_kver=\"/boot/vmlinuz-old\"\n";
        fs::write(&path, text + more).unwrap();
        if is_there {
            fs::copy(kernel(&ground, "linux"), kernel(&ground, "old")).unwrap();
        }
        let said = ends(&ground, &["apply", "--yes"], if is_there { 4 } else { 6 });
        assert_eq!(said.contains("ERROR: no /boot/vmlinuz-old"), !is_there, "{said}");
    }
}

/// kernel-install took over: its image is what is built, and once.
#[test]
fn where_no_preset_has_a_kernel_the_images_of_kernel_install_are_built_once() {
    let ground = with_shell(Ground::new("made-rtx-usbc-igpu", "arch-kernel-cmdline").unwrap());
    mkinitcpio(&ground, BUILDS);
    ends(&ground, &["apply", "--yes"], 4);
    let all = |ground: &Ground| (runs(ground, "mkinitcpio --nopost -k"), runs(ground, "mkinitcpio"));
    assert_eq!(all(&ground), (1, 1));
    ends(&ground, &["revert", "--yes"], 4);
    assert_eq!(all(&ground), (2, 2));
}
