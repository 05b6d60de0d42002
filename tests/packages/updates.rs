//! What the hooks do when other packages change, and when ours go. What pacman's own exit code does
//! not tell is looked for in what was written.

use std::fs;

use neuron_tests::tree;

use crate::root::Root;

const STATE: &str = "var/lib/neuron-provisioner";
const BUILD: &str = "mkinitcpio -P";

fn applied() -> Root {
    let root = Root::new();
    let (code, said) = root.provisioner(&["apply", "--yes"]);
    assert_eq!(code, 4, "{said}");
    assert!(root.called().iter().any(|call| call == BUILD));
    root
}

#[test]
fn where_nothing_is_set_up_nothing_is_done() {
    let root = Root::new();
    let (is_fine, said) = root.install(&[("linux", "2"), ("other-modprobe", "1")], &[]);
    assert!(is_fine && said.contains("Checking GPU passthrough"), "{said}");
    assert!(!said.contains("GPU passthrough:") && !said.contains("failed"), "{said}");
    assert_eq!(root.called(), Vec::<String>::new());
    assert!(!root.path(STATE).exists(), "not even a state");
}

#[test]
fn configuration_of_others_that_goes_into_images_builds_them_once() {
    let root = applied();
    let (is_fine, said) = root.install(&[("other-document", "1")], &[]);
    assert!(is_fine && !said.contains("Checking GPU passthrough"), "{said}");
    assert_eq!(root.called(), Vec::<String>::new(), "the control: a document goes into no image");
    let (is_fine, said) = root.install(&[("other-modprobe", "1")], &[]);
    assert!(is_fine && said.contains("GPU passthrough: Build the initramfs"), "{said}");
    assert_eq!(root.called(), [BUILD]);
    // What the stand-in does not do: write an image. Once somebody has, nothing is due.
    fs::write(root.path("boot/initramfs-linux.img"), "a newer image").unwrap();
    let (code, said) = root.provisioner(&["package", "changed"]);
    assert_eq!((code, root.called()), (0, Vec::new()), "{said}");
    assert_eq!(root.provisioner(&["status"]).0, 0);
    // What is gone is still in the images.
    let (is_fine, said) = root.remove("other-modprobe");
    assert!(is_fine && said.contains("GPU passthrough: Build the initramfs"), "{said}");
    assert_eq!(root.called(), [BUILD]);
    fs::write(root.path("boot/initramfs-linux.img"), "a newer image").unwrap();
    let (code, said) = root.provisioner(&["package", "changed"]);
    assert_eq!((code, root.called()), (0, Vec::new()), "{said}");
}

#[test]
fn a_new_kernel_alone_changes_nothing_that_holds() {
    let root = applied();
    let before = tree::snapshot(&root.path("etc")).unwrap();
    let (is_fine, said) = root.install(&[("linux", "2")], &[]);
    assert!(
        is_fine && said.contains("Checking GPU passthrough") && !said.contains("GPU passthrough:"),
        "{said}"
    );
    assert_eq!(root.called(), Vec::<String>::new());
    assert_eq!(tree::diff(&before, &tree::snapshot(&root.path("etc")).unwrap()), []);
}

#[test]
fn what_somebody_changed_is_told_and_left_alone() {
    let root = applied();
    let grub = fs::read_to_string(root.path("etc/default/grub")).unwrap();
    let without = grub.replace(" intel_iommu=on iommu=pt", "");
    assert_ne!(grub, without);
    root.put("etc/default/grub", &without);
    let (is_fine, said) = root.install(&[("linux", "2")], &[]);
    assert!(is_fine, "{said}");
    assert!(said.contains("/etc/default/grub was changed since it was applied"), "{said}");
    assert!(said.contains("neuron-provisioner doctor"), "{said}");
    assert_eq!(fs::read_to_string(root.path("etc/default/grub")).unwrap(), without);
}

#[test]
fn answers_that_were_not_applied_are_not_followed() {
    let root = Root::new();
    root.put("etc/neuron/provisioner.toml", "schema = 1\n");
    let (code, said) = root.provisioner(&["apply", "--yes"]);
    assert_eq!(code, 4, "{said}");
    root.called();
    let before = fs::read_to_string(root.path("etc/default/grub")).unwrap();
    root.put("etc/neuron/provisioner.toml", "schema = 1\n[passthrough]\niommu_pt = false\n");
    let (is_fine, said) = root.install(&[("linux", "2")], &[]);
    assert!(is_fine && said.contains("would be written anew"), "{said}");
    assert_eq!(fs::read_to_string(root.path("etc/default/grub")).unwrap(), before);
    assert_eq!(root.called(), Vec::<String>::new());
}

#[test]
fn in_the_entry_without_passthrough_nothing_is_said() {
    let root = applied();
    let line = fs::read_to_string(root.path("proc/cmdline")).unwrap();
    root.put("proc/cmdline", &format!("{} neuron.passthrough=off\n", line.trim()));
    let (is_fine, said) = root.install(&[("linux", "2")], &[]);
    assert!(is_fine && said.contains("Checking GPU passthrough"), "{said}");
    assert!(!said.contains("GPU passthrough:") && !said.contains("failed"), "{said}");
}

#[test]
fn a_machine_that_changed_is_told_and_nothing_else_is_given_away() {
    let root = applied();
    fs::remove_dir_all(root.path("sys/kernel/iommu_groups")).unwrap();
    fs::create_dir(root.path("sys/kernel/iommu_groups")).unwrap();
    let before = tree::snapshot(&root.path("etc")).unwrap();
    let (is_fine, said) = root.install(&[("linux", "2")], &[]);
    assert!(is_fine && said.contains("GPU passthrough: "), "{said}");
    assert_eq!(tree::diff(&before, &tree::snapshot(&root.path("etc")).unwrap()), []);
}

#[test]
fn our_packages_go_only_when_nothing_is_set_up() {
    let root = applied();
    for package in ["neuron-initcpio-hooks", "neuron-provisioner"] {
        let (is_gone, said) = root.remove(package);
        assert!(!is_gone && said.contains("GPU passthrough is set up"), "{said}");
        assert!(said.contains("neuron-provisioner revert"), "{said}");
        assert!(root.path("usr/bin/neuron-provisioner").exists() && !root.owned(package).is_empty());
    }
    let (code, said) = root.provisioner(&["revert", "--yes"]);
    assert_eq!(code, 4, "{said}");
    let files: Vec<String> = root.owned("neuron-provisioner");
    for package in ["neuron-initcpio-hooks", "neuron-provisioner"] {
        let (is_gone, said) = root.remove(package);
        assert!(is_gone, "{said}");
    }
    for file in files.iter().filter(|path| !path.ends_with('/')) {
        assert!(!root.path(file).exists(), "{file} stays");
    }
    assert!(root.path("boot/vmlinuz-linux").exists() && root.path("boot/initramfs-linux.img").exists());
}

#[test]
fn a_hook_that_cannot_run_is_noticed() {
    let root = applied();
    fs::remove_file(root.path("usr/share/libalpm/scripts/neuron-changed")).unwrap();
    let (_, said) = root.install(&[("other-modprobe", "1")], &[]);
    assert!(said.contains("failed"), "{said}");
    assert_eq!(root.called(), Vec::<String>::new(), "so the other tests see what the hook did");
}

#[test]
fn an_upgrade_of_our_own_keeps_the_set_up() {
    let root = applied();
    let before = tree::snapshot(&root.path("etc")).unwrap();
    let (is_fine, said) =
        root.install(&[("neuron-provisioner", "0.1.0"), ("neuron-initcpio-hooks", "0.1.0")], &[]);
    assert!(is_fine, "{said}");
    assert_eq!(tree::diff(&before, &tree::snapshot(&root.path("etc")).unwrap()), []);
    assert_eq!(root.provisioner(&["status"]).0, 0);
}
