//! The boot after a trial that nobody kept: the entry without passthrough. One command has it tried
//! again, and nothing that this boot shows changes what is set up.

use std::fs;

use neuron_tests::scenario::{Ground, Scenario};
use serde_json::Value;

use super::{assert_same, ends, runs, stand_in, status, tree, with_shell};

const SET: &str = "grub-editenv /boot/grub/grubenv set next_entry=0";
const ANSWERS: &str = "etc/neuron/provisioner.toml";

/// A set-up that is on trial, before the reboot.
fn applied(scenario: &str) -> Ground {
    let ground = with_shell(Scenario::load(scenario).unwrap().ground().unwrap());
    for program in ["grub-editenv", "systemctl", "bootctl"] {
        stand_in(&ground, program, "");
    }
    ends(&ground, &["apply", "--yes"], 4);
    ground
}

/// The machine starts the entry without passthrough: no IOMMU, and the kill switch.
fn host_boot(ground: &Ground, number: u32) {
    ground.boot(&format!("00000000-0000-4000-8000-{number:012}")).unwrap();
    let line = "BOOT_IMAGE=/vmlinuz-linux root=/dev/sda2 rw neuron.passthrough=off vfio-pci.ids=\n";
    fs::write(ground.machine().join("proc/cmdline"), line).unwrap();
    claim(ground, "off");
    let groups = ground.machine().join("sys/kernel/iommu_groups");
    if groups.is_dir() {
        fs::remove_dir_all(&groups).unwrap();
        fs::create_dir(&groups).unwrap();
    }
}

/// The machine starts the other one.
fn passthrough_boot(ground: &Ground, number: u32, result: &str) {
    ground.boot(&format!("00000000-0000-4000-8000-{number:012}")).unwrap();
    let line = "BOOT_IMAGE=/vmlinuz-linux root=/dev/sda2 rw intel_iommu=on iommu=pt\n";
    fs::write(ground.machine().join("proc/cmdline"), line).unwrap();
    claim(ground, result);
}

fn claim(ground: &Ground, result: &str) {
    let file = ground.machine().join("run/neuron/claim");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, format!("result={result}\nreason=as the test wants\n")).unwrap();
}

#[test]
fn a_boot_that_died_is_tried_again_by_one_command() {
    let ground = applied("grub-trial");
    let before = tree(&ground);
    passthrough_boot(&ground, 1, "claimed");
    ends(&ground, &["boot", "begin"], 0);
    host_boot(&ground, 2);
    let now = status(&ground);
    assert_eq!(
        (&now["state"], &now["trial"], &now["runs_without"]),
        (&"trial".into(), &"over".into(), &true.into())
    );
    assert!(
        ends(&ground, &["status"], 0).contains("`neuron-provisioner apply` has the next boot try it again")
    );
    let built = || (runs(&ground, "mkinitcpio"), runs(&ground, "grub-mkconfig"));
    assert_eq!((runs(&ground, SET), built()), (1, (1, 1)));
    let said = ends(&ground, &["apply", "--yes"], 4);
    assert!(said.contains("once more at the next boot"), "{said}");
    assert_eq!((runs(&ground, SET), built()), (2, (1, 1)), "nothing is built for it");
    let now = status(&ground);
    assert_eq!((&now["trial"], &now["boots"]["unproven"]), (&"waits".into(), &0.into()));
    // Set once is enough; the reboot stays owed.
    ends(&ground, &["apply", "--yes"], 4);
    assert_eq!(runs(&ground, SET), 2);
    assert_same(&ground, &before);
    // That one dies, too.
    host_boot(&ground, 3);
    ends(&ground, &["apply", "--yes"], 4);
    assert_eq!(runs(&ground, SET), 3);
    passthrough_boot(&ground, 4, "claimed");
    assert_eq!(status(&ground)["trial"], "runs");
    ends(&ground, &["confirm"], 0);
    assert_eq!((&status(&ground)["state"], &status(&ground)["trial"]), (&"active".into(), &Value::Null));
}

#[test]
fn silence_is_tried_again_by_one_command() {
    for scenario in ["grub-trial", "systemd-boot-trial"] {
        let ground = applied(scenario);
        let before = tree(&ground);
        let set = if scenario == "grub-trial" { SET } else { "bootctl set-oneshot arch" };
        passthrough_boot(&ground, 1, "claimed");
        ends(&ground, &["boot", "ask", "--seconds", "1"], 0);
        host_boot(&ground, 2);
        assert_eq!(status(&ground)["state"], "given-back");
        assert_eq!(runs(&ground, set), 1, "{scenario}");
        let checked = ends(&ground, &["plan", "--check"], 7);
        assert!(checked.contains("run "), "{checked}");
        ends(&ground, &["apply", "--yes"], 4);
        assert_eq!(runs(&ground, set), 2, "{scenario}");
        let now = status(&ground);
        assert_eq!((&now["state"], &now["boots"]["given_back"]), (&"trial".into(), &Value::Null));
        assert_same(&ground, &before);
    }
}

/// A boot of the passthrough entry in which the hook had a doubt: the entry was started, and once is over.
#[test]
fn where_it_was_not_in_force_an_apply_that_changes_nothing_has_it_started_again() {
    let ground = applied("grub-trial");
    ends(&ground, &["apply", "--yes"], 4);
    assert_eq!(runs(&ground, SET), 1, "in the boot that set it, it is set");
    passthrough_boot(&ground, 1, "doubt");
    ends(&ground, &["apply", "--yes"], 4);
    assert_eq!(runs(&ground, SET), 2);
    // The control: in the boot that is the trial there is nothing to start.
    passthrough_boot(&ground, 2, "claimed");
    ends(&ground, &["apply", "--yes"], 0);
    assert_eq!(runs(&ground, SET), 2);
}

/// The kill switch stays what it is where no trial is over.
#[test]
fn nothing_new_is_applied_in_such_a_boot() {
    let other = "schema = 1\n[passthrough]\nextra_parameters = [\"quiet\"]\n";
    for (scenario, answers) in [("grub-trial", Some(other)), ("grub-trial-lvm", None)] {
        let ground = applied(scenario);
        host_boot(&ground, 1);
        if let Some(answers) = answers {
            fs::write(ground.target().join(ANSWERS), answers).unwrap();
        }
        let before = tree(&ground);
        let said = ends(&ground, &["apply", "--yes"], 3);
        assert!(said.contains("choose the passthrough entry") && said.contains("revert"), "{said}");
        assert_same(&ground, &before);
        assert_eq!(runs(&ground, SET), usize::from(scenario == "grub-trial"));
    }
    // Never applied at all.
    let ground = with_shell(Scenario::load("grub-trial").unwrap().ground().unwrap());
    let before = tree(&ground);
    host_boot(&ground, 1);
    ends(&ground, &["apply", "--yes"], 3);
    assert_same(&ground, &before);
}

/// Answers that a person put in place or changed are nobody's but theirs, and are followed all the same.
#[test]
fn with_answers_of_ones_own_it_is_tried_again_as_long_as_they_say_the_same() {
    let own = |word: &str| format!("schema = 1\n[passthrough]\nextra_parameters = [\"{word}\"]\n");
    let fresh = || {
        let ground = with_shell(Scenario::load("grub-trial").unwrap().ground().unwrap());
        for program in ["grub-editenv", "systemctl"] {
            stand_in(&ground, program, "");
        }
        fs::create_dir_all(ground.target().join("etc/neuron")).unwrap();
        ground
    };
    for (ground, sets) in [(fresh(), 1), (applied("grub-trial"), 1)] {
        let put = |word: &str| fs::write(ground.target().join(ANSWERS), own(word)).unwrap();
        put("quiet");
        ends(&ground, &["apply", "--yes"], 4);
        assert_eq!(runs(&ground, SET), sets);
        host_boot(&ground, 1);
        ends(&ground, &["apply", "--yes"], 4);
        assert_eq!(runs(&ground, SET), sets + 1);
        host_boot(&ground, 2);
        put("splash");
        assert!(ends(&ground, &["apply", "--yes"], 3).contains("choose the passthrough entry"));
        put("quiet");
        ends(&ground, &["apply", "--yes"], 4);
        assert_eq!(runs(&ground, SET), sets + 2);
    }
}

/// What failed and was put back was not followed.
#[test]
fn after_an_apply_that_failed_the_answers_of_before_are_known() {
    let own = |word: &str| format!("schema = 1\n[passthrough]\nextra_parameters = [\"{word}\"]\n");
    let ground = with_shell(Scenario::load("grub-trial").unwrap().ground().unwrap());
    for program in ["grub-editenv", "systemctl"] {
        stand_in(&ground, program, "");
    }
    fs::create_dir_all(ground.target().join("etc/neuron")).unwrap();
    let put = |word: &str| fs::write(ground.target().join(ANSWERS), own(word)).unwrap();
    put("quiet");
    ends(&ground, &["apply", "--yes"], 4);
    put("splash");
    stand_in(&ground, "grub-mkconfig", "[ -e /var/log/failed ] || { echo >/var/log/failed; exit 1; }");
    ends(&ground, &["apply", "--yes"], 1);
    host_boot(&ground, 1);
    assert!(ends(&ground, &["apply", "--yes"], 3).contains("choose the passthrough entry"));
    put("quiet");
    ends(&ground, &["apply", "--yes"], 4);
    assert_eq!(runs(&ground, SET), 2);
}

/// A plan that was saved does not say which answers it follows.
#[test]
fn what_a_saved_plan_followed_is_not_guessed() {
    let ground = applied("grub-trial");
    let other = "schema = 1\n[passthrough]\nextra_parameters = [\"splash\"]\n";
    let first = fs::read(ground.target().join(ANSWERS)).unwrap();
    fs::write(ground.target().join(ANSWERS), other).unwrap();
    let plan = ground.target().join("run/plan.json");
    fs::create_dir_all(plan.parent().unwrap()).unwrap();
    fs::write(&plan, ground.run(&["plan", "--json"]).unwrap().stdout).unwrap();
    ends(&ground, &["apply", "--yes", "--plan", plan.to_str().unwrap()], 4);
    fs::write(ground.target().join(ANSWERS), &first).unwrap();
    host_boot(&ground, 1);
    ends(&ground, &["apply", "--yes"], 3);
}

/// The answers can still take everything back.
#[test]
fn switching_off_goes_on_in_such_a_boot() {
    let ground = applied("grub-trial");
    host_boot(&ground, 1);
    fs::write(ground.target().join(ANSWERS), "schema = 1\n[passthrough]\nmode = \"off\"\n").unwrap();
    ends(&ground, &["apply", "--yes"], 4);
    assert!(!ground.target().join("etc/neuron/vfio-devices").exists());
}

#[test]
fn programs_that_were_put_off_run_before_the_next_try() {
    let ground = with_shell(Scenario::load("grub-trial").unwrap().ground().unwrap());
    for program in ["grub-editenv", "grub-mkconfig", "mkinitcpio"] {
        stand_in(&ground, program, "");
    }
    ends(&ground, &["apply", "--yes", "--no-reload"], 4);
    host_boot(&ground, 1);
    ends(&ground, &["apply", "--yes"], 4);
    let ran = [SET, "mkinitcpio -P", "grub-mkconfig -o /boot/grub/grub.cfg"].map(|one| runs(&ground, one));
    assert_eq!(ran, [1, 1, 1]);
    assert_eq!(status(&ground)["due_rebuilds"], Value::Array(Vec::new()));
}

#[test]
fn what_no_boot_has_shown_is_not_made_the_default_unless_it_is_meant() {
    for (scenario, hint) in
        [("grub-trial", "`neuron-provisioner apply`"), ("grub-trial-lvm", "choose the passthrough entry")]
    {
        let ground = applied(scenario);
        host_boot(&ground, 1);
        let before = tree(&ground);
        let said = ends(&ground, &["confirm"], 3);
        assert!(said.contains(hint) && said.contains("--unproven"), "{said}");
        assert_same(&ground, &before);
        assert_eq!(status(&ground)["state"], "trial");
        ends(&ground, &["confirm", "--unproven"], 4);
        assert_eq!(status(&ground)["trial"], Value::Null);
        let defaults = fs::read_to_string(ground.target().join("etc/default/grub")).unwrap();
        assert!(defaults.contains("GRUB_DEFAULT=0"), "{defaults}");
    }
    // The control, and the same once the card went back in that boot.
    let ground = applied("grub-trial-lvm");
    passthrough_boot(&ground, 1, "claimed");
    ends(&ground, &["boot", "ask", "--seconds", "1"], 0);
    ends(&ground, &["confirm"], 3);
    let ground = applied("grub-trial-lvm");
    passthrough_boot(&ground, 1, "claimed");
    ends(&ground, &["confirm"], 0);
}
