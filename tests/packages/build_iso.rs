//! `archiso-hooks/build-iso`: with the real makepkg and repo-add; mkarchiso, sudo and what needs
//! Arch's mirrors are stand-ins.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::build::{NOBODY, built, run, tried};

/// Says what it was given, and does not read it.
const MKARCHISO: &str = r#"#!/bin/sh
echo "epoch $SOURCE_DATE_EPOCH"
for last; do :; done
cp -r "$last" "$OUT/seen"
echo "==> $MKARCHISO_SAYS"
: >"$OUT/neuronos.iso"
exit "${MKARCHISO_ENDS:-0}"
"#;

/// Has every package but those named; all else is pacman's own affair.
const PACMAN: &str = r#"#!/bin/sh
case " $* " in
    *" -Sy "*) exit 0 ;;
    *" -Sp "*)
        for last; do :; done
        case " $NOT_TO_BE_HAD " in *" $last "*) ;; *) exit 0 ;; esac
        [ "$last" != calamares ] || echo ":: unable to satisfy dependency 'kpmcore>=3' required by calamares
:: unable to satisfy dependency 'ckbcomp' required by calamares"
        echo "error: not to be had" >&2
        exit 1
        ;;
esac
exec /usr/bin/pacman "$@"
"#;

const SUDO: &str = "#!/bin/sh\nexec \"$@\"\n";

struct Builder {
    folder: TempDir,
}

impl Builder {
    fn new() -> Self {
        let builder = Self { folder: tempfile::tempdir().unwrap() };
        let programs = [("mkarchiso", MKARCHISO), ("pacman", PACMAN), ("sudo", SUDO), ("msgfmt", SUDO)];
        for (name, text) in programs {
            let path = builder.path("bin").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        // It is only asked for: what it would build is there already.
        symlink("/bin/true", builder.path("bin/cargo")).unwrap();
        fs::create_dir(builder.path("out")).unwrap();
        run(Command::new("chown").args(["-R", &format!("{NOBODY}:{NOBODY}")]).arg(builder.folder.path()));
        builder
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> (bool, String) {
        let tree = built().tree();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
        command.arg(tree.join("archiso-hooks/build-iso")).args(arguments).arg(self.path("out"));
        command.env_clear().env("LC_ALL", "C.UTF-8").env("HOME", self.folder.path());
        command.env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()));
        command.env("OUT", self.path("out")).env("PKGEXT", ".pkg.tar");
        command.env("MKARCHISO_SAYS", "done").env("SOURCE_DATE_EPOCH", "1700000000");
        command.env("NEURON_PROGRAM", built().program()).env("NEURON_MODULE", built().module());
        tried(command.envs(environment.iter().copied()))
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_image_is_made_of_our_packages_and_the_profile() {
    let builder = Builder::new();
    let (is_fine, said) = builder.run(&["--loader", "systemd-boot"], &[]);
    assert!(is_fine && said.contains("neuronos.iso"), "{said}");
    assert!(said.contains("epoch 1700000000"), "{said}");
    let listed = run(Command::new("tar").arg("-tzf").arg(builder.path("out/packages/neuron.db.tar.gz")));
    for package in
        ["neuron-provisioner-", "neuron-initcpio-hooks-", "neuron-calamares-vfio-", "neuron-kernel-install-"]
    {
        assert!(listed.lines().any(|line| line.starts_with(package)), "{package}: {listed}");
    }
    let repository = format!("Server = file://{}\n", builder.path("out/packages").display());
    assert!(text(&builder.path("out/seen/pacman.conf")).contains(&repository));
    let wants = || text(&builder.path("out/seen/packages.x86_64")).contains("\nneuron-kernel-install\n");
    assert!(wants());
    let calamares = builder.path("out/seen/airootfs/etc/calamares");
    assert!(text(&calamares.join("settings.conf")).contains("  - vfio-setup@cmdline\n"));
    assert!(text(&calamares.join("modules/bootloader.conf")).contains("efiBootLoader: systemd-boot"));

    // Nothing of the first run is in the second.
    fs::remove_dir_all(builder.path("out/seen")).unwrap();
    let (is_fine, said) = builder.run(&[], &[]);
    assert!(is_fine, "{said}");
    assert!(!wants() && !text(&calamares.join("settings.conf")).contains("vfio-setup@cmdline"));
    assert!(text(&calamares.join("modules/bootloader.conf")).contains("efiBootLoader: grub"));
}

#[test]
fn a_package_that_is_nowhere_is_named_before_anything_is_built_of_it() {
    let builder = Builder::new();
    let (is_fine, said) = builder.run(&[], &[("NOT_TO_BE_HAD", "calamares swtpm")]);
    assert!(!is_fine && said.contains("  swtpm\n  calamares, which needs ckbcomp kpmcore>=3\n"), "{said}");
    assert!(said.contains("--extra") && !builder.path("out/seen").exists(), "{said}");
}

#[test]
fn a_check_says_the_same_and_makes_no_image() {
    let builder = Builder::new();
    let (is_fine, said) = builder.run(&["--check"], &[]);
    assert!(is_fine && said.contains("all is there"), "{said}");
    assert!(!builder.path("out/seen").exists() && !builder.path("out/neuronos.iso").exists());
    let (is_fine, said) = builder.run(&["--check"], &[("NOT_TO_BE_HAD", "calamares")]);
    assert!(!is_fine && said.contains("  calamares, ") && !said.contains("all is there"), "{said}");
}

#[test]
fn answers_are_looked_at_and_lie_in_the_image() {
    let builder = Builder::new();
    let answers = builder.path("my answers.toml");
    let name = answers.display().to_string();
    let (is_fine, said) = builder.run(&["--answers", &name], &[]);
    assert!(!is_fine && said.contains("there is no such file"), "{said}");
    fs::write(&answers, "[passthrough]\nguest_gpu = \"all\"\n").unwrap();
    let (is_fine, said) = builder.run(&["--answers", &name], &[]);
    assert!(!is_fine && said.contains("line 2") && said.contains("did you mean `guest_gpus`?"), "{said}");
    assert!(said.contains("it is not valid") && !builder.path("out/seen").exists(), "{said}");

    let valid = "[passthrough]\nguest_gpus = \"all\"\ntrial = false\n";
    fs::write(&answers, valid).unwrap();
    let (is_fine, said) = builder.run(&["--answers", &name], &[]);
    assert!(is_fine, "{said}");
    assert_eq!(text(&builder.path("out/seen/airootfs/etc/neuron/provisioner.toml")), valid);
}

#[test]
fn packages_of_the_builder_are_in_the_repository() {
    let builder = Builder::new();
    let extra = builder.path("extra");
    fs::create_dir(&extra).unwrap();
    let name = extra.display().to_string();
    let (is_fine, said) = builder.run(&["--extra", &name], &[]);
    assert!(!is_fine && said.contains("there is no package"), "{said}");
    let stand_in = built().package("other-document", "1");
    fs::copy(&stand_in, extra.join(stand_in.file_name().unwrap())).unwrap();
    let (is_fine, said) = builder.run(&["--extra", &name], &[]);
    assert!(is_fine, "{said}");
    let listed = run(Command::new("tar").arg("-tzf").arg(builder.path("out/packages/neuron.db.tar.gz")));
    assert!(listed.contains("other-document-1-1/"), "{listed}");
}

/// Folders of the names that are made anew, but somebody else's.
#[test]
fn nothing_of_the_builders_is_deleted() {
    for folder in ["packages", "profile", "databases"] {
        let builder = Builder::new();
        let theirs = builder.path("out").join(folder).join("theirs");
        fs::create_dir(theirs.parent().unwrap()).unwrap();
        fs::write(&theirs, "").unwrap();
        let (is_fine, said) = builder.run(&["--check"], &[]);
        assert!(!is_fine && said.contains("name an empty folder") && theirs.exists(), "{said}");
    }
    let builder = Builder::new();
    let (is_fine, said) = builder.run(&["--check"], &[]);
    assert!(is_fine, "{said}");
    let theirs = builder.path("out/packages/theirs.pkg.tar");
    fs::write(&theirs, "").unwrap();
    let (is_fine, said) =
        builder.run(&["--check", "--extra", &builder.path("out/packages").display().to_string()], &[]);
    assert!(!is_fine && said.contains("in one of their own") && theirs.exists(), "{said}");
    let (is_fine, said) = builder.run(&["--check"], &[]);
    assert!(is_fine && !theirs.exists(), "the control: what it made itself is made anew: {said}");
}

#[test]
fn an_image_whose_log_has_errors_is_not_called_done() {
    let builder = Builder::new();
    let (is_fine, said) = builder.run(&[], &[("MKARCHISO_SAYS", "ERROR: module not found: `vfio_pci'")]);
    assert!(!is_fine && said.contains("do not use this image"), "{said}");
    let (is_fine, said) = builder.run(&[], &[("MKARCHISO_ENDS", "3")]);
    assert!(!is_fine && said.contains("mkarchiso ended with 3"), "{said}");
}

#[test]
fn what_a_run_that_was_cut_off_left_is_not_built_on() {
    let builder = Builder::new();
    fs::create_dir(builder.path("out/work")).unwrap();
    let (is_fine, said) = builder.run(&[], &[]);
    assert!(!is_fine && said.contains("an earlier run left") && said.contains("findmnt"), "{said}");
    assert!(!builder.path("out/packages").exists() && builder.path("out/work").exists());
}

#[test]
fn what_is_missing_on_the_machine_is_said_at_once() {
    let builder = Builder::new();
    for program in ["mkarchiso", "sudo"] {
        fs::remove_file(builder.path("bin").join(program)).unwrap();
    }
    // Where this machine has sudo itself, only the other one is missing.
    let (is_fine, said) = builder.run(&[], &[]);
    assert!(
        !is_fine && said.contains("install these packages (`sudo pacman -S --needed`): archiso"),
        "{said}"
    );
    assert!(!builder.path("out/packages").exists());
}
