//! Taking everything back while a program of the target does not work: the entry without passthrough,
//! and what it starts, goes last.

use std::fs;

use neuron_tests::scenario::Ground;

use super::{assert_same, ends, ground, mkinitcpio, runs, stand_in, status, tree};

const WAY_BACK: [&str; 3] = [
    "etc/grub.d/99_neuron_host",
    "boot/neuron-host/kept-vmlinuz-linux",
    "boot/neuron-host/kept-initramfs-linux.img",
];
const OFF: &str = "schema = 1\n[passthrough]\nmode = \"off\"\n";

fn there(ground: &Ground) -> Vec<bool> {
    WAY_BACK.iter().map(|path| ground.target().join(path).exists()).collect()
}

fn applied() -> Ground {
    let ground = ground();
    for program in ["mkinitcpio", "grub-mkconfig"] {
        stand_in(&ground, program, "");
    }
    ground
}

#[test]
fn an_image_that_fails_in_a_revert_leaves_the_entry_without_passthrough() {
    let ground = applied();
    let before = tree(&ground);
    ends(&ground, &["apply", "--yes"], 4);
    mkinitcpio(&ground, "echo no such module >&2; exit 1");
    let menus = runs(&ground, "grub-mkconfig");
    let said = ends(&ground, &["revert", "--yes"], 6);
    assert!(said.contains("mkinitcpio -P") && said.contains("revert again"), "{said}");
    assert_eq!(there(&ground), [true; 3]);
    assert_eq!(runs(&ground, "grub-mkconfig"), menus, "the menu is as it was");
    let now = status(&ground);
    assert_eq!((&now["state"], &now["reverting"]), (&"pending".into(), &true.into()));
    assert!(ends(&ground, &["status"], 0).contains("a revert is not finished"));
    mkinitcpio(&ground, "");
    ends(&ground, &["revert", "--yes"], 4);
    assert_eq!(there(&ground), [false; 3]);
    assert_eq!(
        (&status(&ground)["state"], &status(&ground)["reverting"]),
        (&"reverted".into(), &false.into())
    );
    assert_same(&ground, &with_program(&before, &ground));
}

#[test]
fn what_is_put_off_holds_it_in_a_revert_and_when_it_is_switched_off() {
    for off in [false, true] {
        let ground = applied();
        ends(&ground, &["apply", "--yes"], 4);
        let arguments: &[&str] = if off { &["apply", "--yes"] } else { &["revert", "--yes"] };
        if off {
            fs::write(ground.target().join("etc/neuron/provisioner.toml"), OFF).unwrap();
        }
        let said = ends(&ground, &[arguments, &["--no-reload"]].concat(), 4);
        assert!(said.contains("mkinitcpio -P"), "{said}");
        assert!(off || said.contains("`neuron-provisioner revert` once more"), "{said}");
        assert_eq!(there(&ground), [true; 3], "off: {off}");
        assert!(!ground.target().join("etc/neuron/vfio-devices").exists());
        ends(&ground, arguments, 4);
        assert_eq!(there(&ground), [false; 3], "off: {off}");
    }
}

/// The stand-in was written anew meanwhile.
fn with_program(before: &neuron_tests::tree::Tree, ground: &Ground) -> neuron_tests::tree::Tree {
    let now = tree(ground);
    let mut wanted = before.clone();
    let path = "usr/bin/mkinitcpio";
    wanted.insert(path.to_owned(), now[path].clone());
    wanted
}
