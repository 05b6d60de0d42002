//! A system whose entries kernel-install makes, when the kernel is updated: with the package that has
//! it run for every kernel, and without.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::build::{NOBODY, built, run};
use crate::root::Root;

const MACHINE: &str = "3f1c2b7a9d8e4c6fb05a1e2d3c4b5a69";
const OLD: &str = "6.12.1-arch1-1";
const NEW: &str = "6.13.0-arch1-1";

/// Notes how it was called; what it does is systemd's own.
const KERNEL_INSTALL: &str = r#"#!/bin/sh
echo "kernel-install $*" >>/var/log/stand-ins
[ ! -e /kernel-install-fails ] || exit 1
exec /usr/lib/systemd/kernel-install "$@"
"#;

/// Where this machine's systemd has the program and the plugin that writes entries.
const OF_SYSTEMD: [(&str, &str); 2] = [
    ("/usr/bin/kernel-install", "usr/lib/systemd/kernel-install"),
    ("/usr/lib/kernel/install.d/90-loaderentry.install", "usr/lib/kernel/install.d/90-loaderentry.install"),
];

/// What both need: busybox looks for mounts in a list that the root has not, and its shell takes its own
/// programs first.
const TOOLS: [&str; 12] =
    ["chown", "cp", "grep", "install", "mkdir", "mktemp", "rm", "sed", "sh", "sort", "stat", "tr"];

/// Stands for the plugin of mkinitcpio, which hands the image over so.
const PLUGIN: (&str, &str) = (
    "usr/lib/kernel/install.d/50-mkinitcpio.install",
    "#!/bin/sh\n[ \"$1\" = add ] || exit 0\necho \"an image for $2\" >\"$KERNEL_INSTALL_STAGING_AREA/initrd\"\n",
);

/// Stands for the kernel's package, of another release.
const KERNEL: &str = "\
pkgname=linux
pkgver=3
pkgrel=1
arch=(any)
package() {
    install -d \"$pkgdir/usr/lib/modules/6.13.0-arch1-1\"
    echo 'stands for the kernel, 3' >\"$pkgdir/usr/lib/modules/6.13.0-arch1-1/vmlinuz\"
}
";

static NEW_KERNEL: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("PKGBUILD"), KERNEL).unwrap();
    run(Command::new("chown").args(["-R", &format!("{NOBODY}:{NOBODY}")]).arg(folder.path()));
    built().make(folder.path(), &[]);
    built().package("linux", "3")
});

fn entry(release: &str) -> String {
    format!("boot/loader/entries/{MACHINE}-{release}.conf")
}

/// An executable text.
fn script(root: &Root, path: &str, text: &str) {
    root.put(path, text);
    fs::set_permissions(root.path(path), fs::Permissions::from_mode(0o755)).unwrap();
}

/// Set up, with systemd's kernel-install.
fn applied(with_package: bool) -> Root {
    let mut root = Root::of("arch-kernel-cmdline");
    root.boot_is_mounted = true;
    for name in TOOLS {
        root.program(&Path::new("/usr/bin").join(name), &format!("usr/bin/{name}"));
    }
    script(&root, PLUGIN.0, PLUGIN.1);
    for (from, to) in OF_SYSTEMD {
        root.program(Path::new(from), to);
    }
    script(&root, "usr/bin/kernel-install", KERNEL_INSTALL);
    if with_package {
        let (is_fine, said) = root.install(&[("neuron-kernel-install", "0.1.0")], &[]);
        assert!(is_fine, "{said}");
    }
    let (code, said) = root.provisioner(&["apply", "--yes"]);
    assert_eq!(code, 4, "{said}");
    let image = format!("/boot/{MACHINE}/{OLD}/initrd");
    let called = root.called();
    let builds: Vec<_> = called.iter().filter(|line| line.starts_with("mkinitcpio")).collect();
    // The kernel that the preset names is not there.
    assert_eq!(builds, [&format!("mkinitcpio --nopost -k {OLD} -g {image}")], "what boots is built");
    root
}

/// Installs a kernel of another release; pacman takes the old one away.
fn update(root: &Root) -> String {
    // What depmod makes of it, which belongs to no package.
    for list in ["modules.dep", "modules.builtin", "modules.alias"] {
        let text = fs::read_to_string(root.path(&format!("usr/lib/modules/{OLD}/{list}"))).unwrap();
        root.put(&format!("usr/lib/modules/{NEW}/{list}"), &text);
    }
    root.put(&format!("usr/lib/modules/{NEW}/pkgbase"), "linux\n");
    for entry in fs::read_dir(root.path(&format!("usr/lib/modules/{OLD}"))).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else if !path.ends_with("vmlinuz") {
            fs::remove_file(path).unwrap();
        }
    }
    let (is_fine, said) = root.install_file(&NEW_KERNEL);
    assert!(is_fine, "{said}");
    said
}

fn text(root: &Root, path: &str) -> String {
    fs::read_to_string(root.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_menu_starts_the_new_kernel_with_the_parameters_and_nothing_has_drifted() {
    let root = applied(true);
    let said = update(&root);
    assert!(said.contains("Updating the boot entries") && !said.contains("failed"), "{said}");
    let called = root.called();
    let (add, remove) = (
        format!("kernel-install add {NEW} /usr/lib/modules/{NEW}/vmlinuz"),
        format!("kernel-install remove {OLD}"),
    );
    let calls: Vec<&String> = called.iter().filter(|call| call.starts_with("kernel-install")).collect();
    assert_eq!(calls, [&add, &remove], "first the new one, then away with the old one");
    assert!(text(&root, &entry(NEW)).contains("intel_iommu=on iommu=pt"));
    assert!(!root.path(&entry(OLD)).exists());
    assert!(!said.contains("was changed since it was applied"), "{said}");
    let (code, said) = root.provisioner(&["status"]);
    assert!(code == 0 && !said.contains("drifted"), "{said}");
    // The entry without passthrough starts what it kept.
    let host = text(&root, &format!("boot/loader/entries/aa-neuron-host-{MACHINE}.conf"));
    assert!(host.contains("/neuron-host/kept-linux") && host.contains("neuron.passthrough=off"), "{host}");
    assert!(host.contains(&format!("version {NEW}")), "{host}");
}

#[test]
fn a_revert_after_an_update_leaves_none_of_our_parameters() {
    let root = applied(true);
    update(&root);
    root.called();
    let (code, said) = root.provisioner(&["revert", "--yes"]);
    assert_eq!(code, 4, "{said}");
    let called = root.called();
    let image = format!("mkinitcpio --nopost -k {NEW} -g /boot/{MACHINE}/{NEW}/initrd");
    assert_eq!(called.iter().filter(|call| **call == image).count(), 1, "{called:?}");
    assert!(called.iter().all(|call| !call.contains(OLD)), "a kernel that is gone: {called:?}");
    assert!(!text(&root, &entry(NEW)).contains("iommu"), "{called:?} {}", text(&root, &entry(NEW)));
    assert!(text(&root, &entry(NEW)).contains("root=UUID="));
    assert!(!root.path(&entry(OLD)).exists());
    let (code, said) = root.provisioner(&["status"]);
    assert!(code == 0 && said.contains("reverted"), "{said}");
    let (is_gone, said) = root.remove("neuron-provisioner");
    assert!(is_gone, "{said}");
}

#[test]
fn passthrough_can_be_switched_off_after_an_update() {
    let root = applied(true);
    update(&root);
    root.put("etc/neuron/provisioner.toml", "schema = 1\n[passthrough]\nmode = \"off\"\n");
    let (code, said) = root.provisioner(&["apply", "--yes"]);
    assert_eq!(code, 4, "{said}");
    assert!(
        !text(&root, "etc/kernel/cmdline").contains("iommu")
            && !root.path("etc/modprobe.d/vfio.conf").exists()
    );
    assert!(!root.path(&entry(OLD)).exists());
    assert!(!text(&root, &entry(NEW)).contains("iommu"), "{}", text(&root, &entry(NEW)));
    assert!(text(&root, &entry(NEW)).contains("root=UUID="));
    let (code, said) = root.provisioner(&["plan", "--check"]);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn what_goes_into_images_makes_those_of_kernel_install_anew() {
    let root = applied(true);
    let before = text(&root, &entry(OLD));
    let (is_fine, said) = root.install(&[("linux-firmware", "1")], &[]);
    assert!(is_fine && !said.contains("failed"), "{said}");
    let add = format!("kernel-install add {OLD} /usr/lib/modules/{OLD}/vmlinuz");
    assert!(root.called().contains(&add));
    assert_ne!(text(&root, &entry(OLD)), before, "kernel-install puts the words in another order");
    let (code, said) = root.provisioner(&["status"]);
    assert!(code == 0 && !said.contains("drifted"), "{said}");
    // The control: somebody took a parameter out.
    root.put(&entry(OLD), &text(&root, &entry(OLD)).replace(" iommu=pt", ""));
    let (code, said) = root.provisioner(&["status"]);
    assert!(code == 5 && said.contains("drifted"), "{said}");
}

#[test]
fn an_entry_that_cannot_be_made_takes_no_other_away() {
    let root = applied(true);
    root.put("kernel-install-fails", "");
    let said = update(&root);
    assert!(said.contains("an entry could not be made") && said.contains(NEW), "{said}");
    assert!(root.path(&entry(OLD)).exists());
    assert!(!root.called().contains(&format!("kernel-install remove {OLD}")));
}

#[test]
fn where_no_command_line_is_kept_nothing_is_done() {
    let root = Root::new();
    let (is_fine, said) = root.install(&[("neuron-kernel-install", "0.1.0"), ("linux", "2")], &[]);
    assert!(is_fine && said.contains("Updating the boot entries") && !said.contains("failed"), "{said}");
    assert_eq!(root.called(), Vec::<String>::new());
}

#[test]
fn without_the_package_the_update_is_told_loudly() {
    let root = applied(false);
    let said = update(&root);
    assert!(said.contains("nothing ran kernel-install") && said.contains(NEW), "{said}");
    let (code, said) = root.provisioner(&["doctor"]);
    assert!(code == 1 && said.contains("whose modules are gone: nothing ran kernel-install"), "{said}");
}

#[test]
fn who_removes_the_package_is_told_what_it_did() {
    for has_entries in [true, false] {
        let root = applied(true);
        if !has_entries {
            fs::remove_file(root.path("etc/kernel/cmdline")).unwrap();
        }
        let (is_fine, said) = root.remove("neuron-kernel-install");
        assert!(is_fine && !said.contains("failed"), "{said}");
        assert_eq!(said.contains("nothing of it makes boot entries"), has_entries, "{said}");
    }
}
