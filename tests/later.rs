//! What comes after an apply: somebody edits a file, changes the answers, takes a card out, looks as an
//! ordinary user. What others wrote stays, and what is said of it is so.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::process::Command;

use neuron_tests::left_out;
use neuron_tests::machine::{self, Machine, in_use};
use neuron_tests::program::{self, Output};
use neuron_tests::scenario::{Ground, without_state};
use neuron_tests::tree;
use serde_json::{Value, json};

const ANSWERS: &str = "etc/neuron/provisioner.toml";
const GRUB: &str = "etc/default/grub";
const VFIO_CONF: &str = "etc/modprobe.d/vfio.conf";
const OFF: &str = "schema = 1\n[passthrough]\nmode = \"off\"\n";
const OTHERWISE: &str = "schema = 1\n[passthrough]\niommu_pt = false\n";

fn ground() -> Ground {
    Ground::new("made-rtx-usbc-igpu", "arch-grub").unwrap()
}

fn applied() -> Ground {
    let ground = ground();
    ends(&ground, &["apply", "--yes"], 4);
    ground
}

/// Runs, and looks at the exit code.
fn ends(ground: &Ground, arguments: &[&str], code: i32) -> Output {
    let output = ground.run(arguments).unwrap();
    assert_eq!(output.code, code, "{arguments:?}: {}{}", output.stdout, output.stderr);
    output
}

fn status(ground: &Ground) -> Value {
    serde_json::from_str(&ground.run(&["status", "--json"]).unwrap().stdout).unwrap()
}

fn text(ground: &Ground, path: &str) -> String {
    fs::read_to_string(ground.target().join(path)).unwrap()
}

fn put(ground: &Ground, path: &str, text: &str) {
    fs::write(ground.target().join(path), text).unwrap();
}

fn put_new(ground: &Ground, path: &str, text: &str) {
    fs::create_dir_all(ground.target().join(path).parent().unwrap()).unwrap();
    put(ground, path, text);
}

fn append(ground: &Ground, path: &str, line: &str) {
    put(ground, path, &(text(ground, path) + line + "\n"));
}

/// The card's own USB controller goes with it, and what was plugged in there since with that.
#[test]
fn what_the_host_came_to_use_since_a_plan_was_saved_stays() {
    let ground = ground();
    let saved = ground.beside("plan.json").display().to_string();
    ends(&ground, &["plan", "--out", &saved], 0);
    let apply = ["apply", "--yes", "--plan", &saved];
    let mounts = ground.machine().join("proc/self/mountinfo");
    let before = fs::read_to_string(&mounts).unwrap();
    in_use::disk(&ground.machine(), "0000:01:00.2", "sdb1", "8:17").unwrap();
    fs::write(&mounts, "30 1 8:17 / /mnt rw - vfat /dev/sdb1 rw\n").unwrap();
    let told = ends(&ground, &apply, 5).stderr;
    assert!(told.contains("sdb1 is mounted at /mnt"), "{told}");
    // Nor is anything carried out where that is not known: a plan of such a machine is a plan all the same.
    fs::remove_file(&mounts).unwrap();
    ends(&ground, &["plan"], 0);
    let told = ends(&ground, &["apply", "--yes"], 3).stderr;
    assert!(told.contains("cannot be read here: 0000:01:00.2"), "{told}");
    ends(&ground, &apply, 5);
    assert!(!ground.target().join(VFIO_CONF).exists());
    // The control: the disk is there, and in no use.
    fs::write(&mounts, before).unwrap();
    ends(&ground, &apply, 4);
}

#[test]
fn an_edit_between_two_applies_outlives_switching_off() {
    for edit in ["GRUB_THEME=/mine", ""] {
        let ground = ground();
        let before = text(&ground, GRUB);
        ends(&ground, &["apply", "--yes"], 4);
        if !edit.is_empty() {
            append(&ground, GRUB, edit);
        }
        put(&ground, ANSWERS, OTHERWISE);
        ends(&ground, &["apply", "--yes"], 4);
        assert!(!text(&ground, GRUB).contains("iommu=pt"), "the second apply wrote the file");
        put(&ground, ANSWERS, OFF);
        ends(&ground, &["apply", "--yes"], 4);
        let wanted = if edit.is_empty() { before } else { format!("{before}{edit}\n") };
        assert_eq!(text(&ground, GRUB), wanted);
        ends(&ground, &["plan", "--check"], 0);
    }
}

/// A virtual machine may go on naming its GPU and wanting huge pages: both are for when it is on again.
#[test]
fn switched_off_no_huge_pages_are_reserved_whatever_a_virtual_machine_wants() {
    let vm = "[vm.windows11]\nmemory_mib = 8192\nhugepages = \"2M\"\ngpus = [\"0000:01:00.0\"]\n";
    let (ground, on) = (ground(), format!("schema = 1\n{vm}"));
    let before = text(&ground, GRUB);
    put_new(&ground, ANSWERS, &on);
    ends(&ground, &["apply", "--yes"], 4);
    let reserved = text(&ground, GRUB);
    assert!(reserved.contains("hugepages=4096"), "{reserved}");
    put(&ground, ANSWERS, &format!("{OFF}{vm}"));
    ends(&ground, &["apply", "--yes"], 4);
    assert_eq!(text(&ground, GRUB), before);
    put(&ground, ANSWERS, &on);
    ends(&ground, &["apply", "--yes"], 4);
    assert_eq!(text(&ground, GRUB), reserved);
}

#[test]
fn a_file_that_was_taken_back_is_the_users_again() {
    let ground = applied();
    put(&ground, ANSWERS, OFF);
    ends(&ground, &["apply", "--yes"], 4);
    append(&ground, GRUB, "# by hand");
    let told = status(&ground);
    assert_eq!((&told["state"], &told["drifted"]), (&json!("pending"), &json!([])), "{told}");
    // On again: what stands there now is what comes back.
    let mine = text(&ground, GRUB);
    fs::remove_file(ground.target().join(ANSWERS)).unwrap();
    ends(&ground, &["apply", "--yes"], 4);
    assert_ne!(text(&ground, GRUB), mine);
    let back = ends(&ground, &["revert", "--yes"], 5);
    assert!(!back.stdout.contains("/etc/default/grub was changed"), "{}", back.stdout);
    assert_eq!(text(&ground, GRUB), mine);
    // The control: an edit of a file that is ours is told.
    let ground = applied();
    append(&ground, GRUB, "# by hand");
    let told = status(&ground);
    assert_eq!((&told["state"], &told["drifted"]), (&json!("drifted"), &json!(["/etc/default/grub"])));
}

#[test]
fn answers_that_were_edited_and_followed_are_no_foreign_change() {
    let ground = applied();
    put(&ground, ANSWERS, OTHERWISE);
    assert_eq!(status(&ground)["drifted"], json!(["/etc/neuron/provisioner.toml"]), "not followed yet");
    ends(&ground, &["apply", "--yes"], 4);
    let told = status(&ground);
    assert_eq!((&told["state"], &told["drifted"]), (&json!("pending"), &json!([])), "{told}");
    assert_eq!(text(&ground, ANSWERS), OTHERWISE);
    ends(&ground, &["plan", "--check"], 0);
    ends(&ground, &["revert", "--yes"], 5);
    assert_eq!(text(&ground, ANSWERS), OTHERWISE, "whoever edited them made them theirs");
}

#[test]
fn lines_that_stood_in_vfio_conf_before_come_back_beside_those_added_since() {
    let before = "# mine\noptions vfio-pci ids=1002:67df disable_idle_d3=1\noptions kvm ignore_msrs=1\n";
    for (edit, code) in [("options snd x=1\n", 5), ("", 4)] {
        let ground = ground();
        put(&ground, VFIO_CONF, before);
        ends(&ground, &["apply", "--yes"], 4);
        assert!(!text(&ground, VFIO_CONF).contains("67df"), "two claims in one file");
        put(&ground, VFIO_CONF, &(text(&ground, VFIO_CONF) + edit));
        ends(&ground, &["revert", "--yes"], code);
        assert_eq!(text(&ground, VFIO_CONF), format!("{before}{edit}"));
    }
}

#[test]
fn a_file_that_we_made_goes_though_somebody_took_lines_out_of_it() {
    let ground = ground();
    let before = ground.tree().unwrap();
    ends(&ground, &["apply", "--yes"], 4);
    let kept: Vec<String> = text(&ground, VFIO_CONF).lines().skip(5).map(str::to_owned).collect();
    put(&ground, VFIO_CONF, &(kept.join("\n") + "\n"));
    ends(&ground, &["revert", "--yes"], 5);
    assert_eq!(tree::diff(&without_state(&before), &without_state(&ground.tree().unwrap())), []);
}

#[test]
fn a_refusal_says_that_an_earlier_set_up_goes_on() {
    let ground = applied();
    let words = "an earlier set-up is still in place";
    fs::remove_dir_all(ground.machine()).unwrap();
    machine::lay_out(&Machine::load("made-single-gpu").unwrap(), &ground.machine()).unwrap();
    let refused = ends(&ground, &["apply", "--yes"], 3);
    assert!(refused.stdout.contains(words), "{}", refused.stdout);
    assert!(refused.stderr.contains("`neuron-provisioner revert` takes it back"), "{}", refused.stderr);
    assert!(ends(&ground, &["status"], 0).stdout.contains(words));
    // The control: where nothing is in place, nothing is said of it.
    let ground = Ground::new("made-single-gpu", "arch-grub").unwrap();
    let refused = ends(&ground, &["apply", "--yes"], 3);
    assert!(!refused.stdout.contains(words) && !refused.stderr.contains("revert"), "{}", refused.stderr);
}

#[test]
fn an_ordinary_user_may_ask_where_it_stands() {
    if left_out::without_root("nobody else is there to own the target") {
        return;
    }
    let ground = applied();
    chown(ground.beside(""), Some(65534), None).unwrap();
    let as_user = |verb: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program::path().unwrap());
        command.arg("--machine-root").arg(ground.machine()).arg("--target-root").arg(ground.target());
        program::output(command.arg(verb)).unwrap()
    };
    let told = as_user("status");
    assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{}", told.stderr);
    assert!(told.stdout.starts_with("pending") && told.stdout.contains("/etc/modprobe.d/vfio.conf"));
    // What the files held before is not for everybody: that is said, and not that it is lost.
    let plan = as_user("plan");
    assert_eq!(plan.code, 1, "{}", plan.stderr);
    assert!(plan.stderr.contains("run this as root") && !plan.stderr.contains("backup"), "{}", plan.stderr);
}

#[test]
fn configuration_that_is_masked_is_read_as_nothing() {
    let ground = ground();
    // As on a running system, where /dev/null is a device and no missing file.
    fs::create_dir_all(ground.target().join("dev/null")).unwrap();
    for path in ["etc/modprobe.d/masked.conf", "etc/environment.d/masked.conf"] {
        fs::create_dir_all(ground.target().join(path).parent().unwrap()).unwrap();
        symlink("/dev/null", ground.target().join(path)).unwrap();
    }
    let before = ground.tree().unwrap();
    ends(&ground, &["apply", "--yes"], 4);
    ends(&ground, &["revert", "--yes"], 4);
    assert_eq!(tree::diff(&without_state(&before), &without_state(&ground.tree().unwrap())), []);
    // A file that is to be written is not written through such a link.
    symlink("/dev/null", ground.target().join(VFIO_CONF)).unwrap();
    let refused = ends(&ground, &["apply", "--yes"], 3);
    assert!(refused.stderr.contains("/dev/null"), "{}", refused.stderr);
}

#[test]
fn a_configuration_that_a_preset_names_counts_wherever_it_lies() {
    let ground = applied();
    let (own, preset) = ("etc/initcpio-rescue.conf", "etc/mkinitcpio.d/linux.preset");
    put(&ground, own, "MODULES=()\n");
    let named = text(&ground, preset)
        .replace("#default_config=\"/etc/mkinitcpio.conf\"", "default_config=\"/etc/initcpio-rescue.conf\"");
    put(&ground, preset, &named);
    let done = ends(&ground, &["apply", "--yes", "--json"], 4);
    let done: Value = serde_json::from_str(&done.stdout).unwrap();
    let steps: Vec<_> = done["steps"].as_array().unwrap().iter().map(|step| step["id"].clone()).collect();
    assert!(steps.contains(&json!("initramfs")), "the image is as old as before: {done}");
    append(&ground, own, "# by hand");
    ends(&ground, &["revert", "--yes"], 5);
    assert_eq!(text(&ground, own), "MODULES=()\n# by hand\n");
}

#[test]
fn where_only_the_package_of_grub_is_there_no_menu_is_made() {
    let ids = |ground: &Ground| {
        let plan: Value = serde_json::from_str(&ends(ground, &["plan", "--json"], 0).stdout).unwrap();
        let steps = plan["steps"].as_array().unwrap().clone();
        steps.iter().map(|step| step["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let ground = Ground::new("made-rtx-usbc-igpu", "arch-systemd-boot").unwrap();
    fs::create_dir_all(ground.target().join("etc/default")).unwrap();
    put(&ground, GRUB, "GRUB_CMDLINE_LINUX_DEFAULT='quiet'\n");
    assert!(!ids(&ground).contains(&"grub-cfg".to_owned()), "grub-mkconfig could not write it");
    fs::create_dir_all(ground.target().join("boot/grub")).unwrap();
    fs::create_dir_all(ground.target().join("etc/grub.d")).unwrap();
    put(&ground, "etc/grub.d/10_linux", "#!/bin/sh\n");
    assert!(ids(&ground).contains(&"grub-cfg".to_owned()), "the control");
    // Before the installer's own job has installed it, nothing else is there.
    let ground = self::ground();
    fs::remove_dir_all(ground.target().join("boot/grub")).unwrap();
    assert!(ids(&ground).contains(&"grub-cfg".to_owned()));
}

/// A target with unified images, applied, and the host's image built by whoever runs the real program.
fn with_host_image(target: &str, image: &str) -> Ground {
    let ground = Ground::new("made-rtx-usbc-igpu", target).unwrap();
    ends(&ground, &["apply", "--yes"], 4);
    put(&ground, image, "built\n");
    ground
}

const HOST_IMAGES: [(&str, &str); 2] = [
    ("uki-only", "boot/EFI/Linux/neuron-host-linux.efi"),
    ("dracut-uki", "boot/EFI/Linux/aa-neuron-host-6.12.1-arch1-1.efi"),
];

#[test]
fn the_image_without_passthrough_goes_when_passthrough_is_switched_off() {
    for (target, image) in HOST_IMAGES {
        let ground = with_host_image(target, image);
        put(&ground, "boot/EFI/Linux/somebodys.efi", "mine\n");
        let there = |path: &str| ground.target().join(path).exists();
        put(&ground, ANSWERS, OTHERWISE);
        ends(&ground, &["apply", "--yes"], 4);
        assert!(there(image), "{target}: what is still wanted stays");
        put(&ground, ANSWERS, OFF);
        ends(&ground, &["apply", "--yes"], 4);
        assert!(!there(image) && there("boot/EFI/Linux/somebodys.efi"), "{target}");
    }
}

#[test]
fn a_kernel_that_came_gets_an_image_without_passthrough_and_one_that_went_leaves_none() {
    let (target, image) = HOST_IMAGES[1];
    let ground = with_host_image(target, image);
    ends(&ground, &["plan", "--check"], 0);
    let modules = ground.target().join("usr/lib/modules");
    fs::rename(modules.join("6.12.1-arch1-1"), modules.join("6.12.9-arch1-1")).unwrap();
    let plan = ends(&ground, &["plan"], 0).stdout;
    let new = image.replace("6.12.1", "6.12.9");
    assert!(plan.contains("--kver 6.12.9-arch1-1") && plan.contains(&new), "{plan}");
    ends(&ground, &["apply", "--yes"], 4);
    let there = |path: &str| ground.target().join(path).exists();
    assert!(there(image), "the programs are stand-ins: the new one was not built yet");
    put(&ground, &new, "built\n");
    ends(&ground, &["apply", "--yes"], 4);
    assert!(!there(image) && there(&new));
    ends(&ground, &["revert", "--yes"], 4);
    assert!(!there(&new));
}
