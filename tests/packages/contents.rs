//! What is in the packages.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::build::{built, run};
use crate::root::Root;

const OURS: [&str; 3] = ["neuron-provisioner", "neuron-initcpio-hooks", "neuron-kernel-install"];

#[test]
fn every_file_below_usr_is_installed_as_it_lies_there_and_belongs_to_one_package() {
    let root = Root::new();
    let (is_fine, said) = root.install(&[("neuron-kernel-install", "0.1.0")], &[]);
    assert!(is_fine, "{said}");
    let mut owners: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for package in OURS {
        let owned = root.owned(package);
        for path in owned.iter().filter(|path| !path.ends_with('/')) {
            owners.entry(path.clone()).or_default().push(package);
        }
        let tree = built().tree().join("archiso-hooks").join(package);
        let files = run(Command::new("find").args(["usr", "-type", "f"]).current_dir(&tree));
        assert!(files.lines().count() > 1, "{files}");
        for file in files.lines() {
            assert!(owned.iter().any(|path| path == file), "{file} is in no package");
            assert_eq!(fs::read(root.path(file)).unwrap(), fs::read(tree.join(file)).unwrap(), "{file}");
        }
    }
    for (path, packages) in &owners {
        assert_eq!(packages.len(), 1, "{path} belongs to {packages:?}");
        let mode = fs::metadata(root.path(path)).unwrap().permissions().mode() & 0o7777;
        let runs = path.starts_with("usr/bin/")
            || path.contains("/scripts/")
            || path.contains("/dracut/modules.d/")
            || path.ends_with("neuron-vfio-claim");
        assert_eq!(mode, if runs { 0o755 } else { 0o644 }, "{path}");
    }
    for path in [
        "usr/bin/neuron-provisioner",
        "usr/share/man/man1/neuron-provisioner-apply.1.gz",
        "usr/share/man/man5/provisioner.toml.5.gz",
        "usr/share/bash-completion/completions/neuron-provisioner",
        "usr/share/zsh/site-functions/_neuron-provisioner",
        "usr/share/fish/vendor_completions.d/neuron-provisioner.fish",
        "usr/lib/neuron/neuron-vfio-claim",
    ] {
        assert!(owners.contains_key(path), "{path} is in no package");
    }
    // Nothing else lies at the top, and nothing in /etc: that is the user's.
    assert!(owners.keys().all(|path| path.starts_with("usr/")), "{owners:?}");
}

#[test]
fn pacman_refuses_a_path_that_two_packages_have() {
    let root = Root::new();
    let folder = tempfile::tempdir().unwrap();
    let twice = folder.path().join("PKGBUILD");
    let text = "pkgname=twice\npkgver=1\npkgrel=1\narch=(any)\npackage() {\n    \
                install -Dm755 /dev/null \"$pkgdir/usr/lib/neuron/neuron-vfio-claim\"\n}\n";
    fs::write(&twice, text).unwrap();
    run(Command::new("chown").args(["-R", "65534:65534"]).arg(folder.path()));
    built().make(folder.path(), &[]);
    let (is_fine, said) = root.install_file(&built().package("twice", "1"));
    assert!(!is_fine && said.contains("neuron-vfio-claim exists in filesystem"), "{said}");
}

#[test]
fn a_release_tarball_makes_the_same_package() {
    let folder = tempfile::tempdir().unwrap();
    let tree = built().tree();
    let tarball = folder.path().join("release.tar.gz");
    run(Command::new("tar")
        .args(["-czf"])
        .arg(&tarball)
        .args(["--transform", "s,^\\.,neuron-0.1.0,", "-C"])
        .arg(&tree)
        .arg("."));
    let files = |package: &std::path::Path| {
        let listed = run(Command::new("bsdtar").arg("-tvf").arg(package));
        listed.lines().filter(|line| line.contains(" usr/")).map(str::to_owned).collect::<Vec<_>>()
    };
    let from_checkout = files(&built().package("neuron-initcpio-hooks", "0.1.0"));
    assert!(from_checkout.len() > 10, "{from_checkout:?}");
    let alone = folder.path().join("alone");
    fs::create_dir(&alone).unwrap();
    let pkgbuild = tree.join("archiso-hooks/neuron-initcpio-hooks/PKGBUILD");
    let text = fs::read_to_string(pkgbuild).unwrap().replace("pkgrel=1", "pkgrel=2");
    fs::write(alone.join("PKGBUILD"), text).unwrap();
    run(Command::new("chown").args(["-R", "65534:65534"]).arg(folder.path()));
    built().make(&alone, &[("NEURON_TARBALL", tarball.to_str().unwrap())]);
    assert_eq!(files(&built().package("neuron-initcpio-hooks", "0.1.0-2")), from_checkout);
}

#[test]
fn the_installer_finds_its_module_where_it_looks() {
    let root = Root::new();
    let (is_fine, said) = root.install(&[("neuron-calamares-vfio", "0.1.0")], &[]);
    assert!(!is_fine && said.contains("calamares"), "the control: it needs Calamares\n{said}");
    let (is_fine, said) = root.install(&[("calamares", "1"), ("neuron-calamares-vfio", "0.1.0")], &[]);
    assert!(is_fine, "{said}");
    let mut owned = root.owned("neuron-calamares-vfio");
    owned.retain(|path| !path.ends_with('/'));
    for (path, source) in [
        ("usr/lib/calamares/modules/vfio-setup/main.py", "vfio-setup/main.py"),
        ("usr/lib/calamares/modules/vfio-setup/module.desc", "vfio-setup/module.desc"),
        ("usr/share/calamares/modules/vfio-setup.conf", "vfio-setup/vfio-setup.conf"),
        // The profile's branding has a link to it.
        ("usr/share/neuron-calamares-vfio/branding/gpu.qml", "page/gpu.qml"),
        ("usr/share/neuron-calamares-vfio/examples/grub/settings.conf", "examples/grub/settings.conf"),
    ] {
        assert!(owned.iter().any(|one| one == path), "{path} is not in {owned:?}");
        let lies = built().tree().join("calamares-module").join(source);
        assert_eq!(fs::read(root.path(path)).unwrap(), fs::read(lies).unwrap(), "{path}");
    }
    assert!(owned.iter().any(|path| path == "usr/lib/calamares/modules/vfio-setup/_vfio_setup.abi3.so"));
    for path in &owned {
        assert!(path.starts_with("usr/"), "{path}");
        let mode = fs::metadata(root.path(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o644, "{path}");
    }
    let (is_gone, said) = root.remove("neuron-calamares-vfio");
    assert!(is_gone && owned.iter().all(|path| !root.path(path).exists()), "{said}");
}
