//! The packages as a builder makes them: makepkg compiles what is in them, as an ordinary user, from
//! a checkout and from a release tarball. By name only (`tests/run --tier packages-compiled`), since
//! it is some minutes of compiling.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::build::{NOBODY, PACKAGES, checkout, run};
use crate::root::Root;

/// A folder of nobody's, who has a home there, the compiler, and a checkout.
struct Maker {
    folder: TempDir,
}

impl Maker {
    fn new() -> Self {
        let maker = Self { folder: tempfile::tempdir().unwrap() };
        checkout(&maker.path("checkout"));
        for folder in ["toolchain", ".cargo/registry"] {
            fs::create_dir_all(maker.path(folder)).unwrap();
        }
        run(Command::new("chown").args(["-R", &format!("{NOBODY}:{NOBODY}")]).arg(maker.folder.path()));
        maker
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// The compiler and the crates of whoever runs the tests lie in a home that nobody may enter, and
    /// are shown to makepkg only.
    fn as_nobody(&self, folder: &Path) -> Command {
        let home = std::env::var_os("CARGO_HOME").map_or_else(
            || PathBuf::from(std::env::var_os("HOME").expect("HOME is not set")).join(".cargo"),
            PathBuf::from,
        );
        let toolchain = run(Command::new("rustc").args(["--print", "sysroot"]));
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-euc"]);
        command.arg(
            "mount --bind \"$1\" \"$3/toolchain\"; mount --bind \"$2\" \"$3/.cargo/registry\"; cd \"$4\"; \
             shift 4; exec \"$@\"",
        );
        command
            .arg("sh")
            .arg(toolchain.trim())
            .arg(home.join("registry"))
            .arg(self.folder.path())
            .arg(folder);
        command.args(["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
        let path = std::env::var("PATH").unwrap();
        command.env_clear().env("PATH", format!("{}/bin:{path}", self.path("toolchain").display()));
        command.env("HOME", self.folder.path()).env("LC_ALL", "C.UTF-8");
        command.env("CARGO_NET_OFFLINE", "true").env("SOURCE_DATE_EPOCH", "1700000000");
        command
    }

    /// Makes every package into a folder, each where `place` says; gives their files.
    fn make(&self, into: &str, place: impl Fn(&str) -> PathBuf, tarball: Option<&Path>) -> Vec<PathBuf> {
        let packages = self.path(into);
        for package in PACKAGES {
            let mut makepkg = self.as_nobody(&place(package));
            makepkg.args(["makepkg", "--nodeps", "--noconfirm", "--clean"]);
            makepkg.env("PKGDEST", &packages).env("PKGEXT", ".pkg.tar").env("BUILDDIR", self.path("build"));
            makepkg.env("CARGO_TARGET_DIR", self.path("target"));
            if let Some(tarball) = tarball {
                makepkg.env("NEURON_TARBALL", tarball);
            }
            run(&mut makepkg);
        }
        let mut files: Vec<PathBuf> =
            fs::read_dir(packages).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert_eq!(files.len(), PACKAGES.len(), "{files:?}");
        files
    }

    fn tarball(&self) -> PathBuf {
        let tarball = self.path("neuron-0.1.0.tar.gz");
        let mut archive = Command::new("git");
        archive.args([
            "-c",
            "safe.directory=*",
            "archive",
            "--format=tar.gz",
            "--prefix=neuron-0.1.0/",
            "-o",
        ]);
        run(archive.arg(&tarball).arg("HEAD").current_dir(self.path("checkout")));
        tarball
    }
}

/// Every file of a package with its content's checksum, without what makepkg notes about the build.
fn contents(package: &Path) -> Vec<String> {
    let unpacked = tempfile::tempdir().unwrap();
    run(Command::new("tar").arg("-xf").arg(package).arg("-C").arg(unpacked.path()));
    let sums = "find . -type f ! -name '.[BMP]*' -exec sha256sum {} + | sort -k 2";
    let listed = run(Command::new("sh").args(["-c", sums]).current_dir(unpacked.path()));
    listed.lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "compiles for some minutes: tests/run --tier packages-compiled"]
fn what_makepkg_compiles_is_installed_and_runs() {
    let maker = Maker::new();
    let packages =
        maker.make("from-checkout", |package| maker.path("checkout/archiso-hooks").join(package), None);
    let tarball = maker.tarball();
    // As the guide says: the PKGBUILD alone in an empty folder.
    let alone = |package: &str| {
        let folder = maker.path("alone").join(package);
        fs::create_dir_all(&folder).unwrap();
        let lies = maker.path("checkout/archiso-hooks").join(package).join("PKGBUILD");
        fs::copy(lies, folder.join("PKGBUILD")).unwrap();
        run(Command::new("chown").args(["-R", &format!("{NOBODY}:{NOBODY}")]).arg(maker.path("alone")));
        folder
    };
    let from_tarball = maker.make("from-tarball", alone, Some(&tarball));
    for (one, other) in packages.iter().zip(&from_tarball) {
        assert_eq!(one.file_name(), other.file_name());
        let files = contents(one);
        assert!(files.len() > 2 && files.iter().any(|file| file.ends_with("/LICENSE")), "{files:?}");
        assert_eq!(files, contents(other), "{}", one.display());
    }

    let root = Root::new();
    let before = fs::read(root.path("usr/bin/neuron-provisioner")).unwrap();
    let (is_fine, said) = root.install(&[("calamares", "1")], &[]);
    assert!(is_fine, "{said}");
    for package in &packages {
        let (is_fine, said) = root.install_file(package);
        assert!(is_fine, "{said}");
    }
    let program = fs::read(root.path("usr/bin/neuron-provisioner")).unwrap();
    assert_ne!(before, program, "the other one was compiled by the tests, without optimisation");
    let home = maker.folder.path().display().to_string();
    let names_it = |bytes: &[u8]| bytes.windows(home.len()).any(|window| window == home.as_bytes());
    assert!(!names_it(&program), "the program names the folder of its builder");
    assert_eq!(root.provisioner(&["--version"]), (0, "neuron-provisioner 0.1.0\n".to_owned()));
    let (code, said) = root.provisioner(&["apply", "--yes"]);
    assert_eq!(code, 4, "{said}");
    assert!(root.path("etc/modprobe.d/vfio.conf").exists(), "{said}");
    let (code, said) = root.provisioner(&["revert", "--yes"]);
    assert_eq!(code, 4, "{said}");
    assert!(!root.path("etc/modprobe.d/vfio.conf").exists(), "{said}");

    let module = root.path("usr/lib/calamares/modules/vfio-setup");
    let loads = "import _vfio_setup; print(sorted(name for name in dir(_vfio_setup) if name[0] != '_'))";
    let said = run(Command::new("python3").args(["-B", "-c", loads]).env("PYTHONPATH", module));
    assert!(said.contains("run"), "{said}");
}
