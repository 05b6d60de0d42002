//! makepkg, as an ordinary user, over a copy of the tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};

use neuron_tests::{program, tests_folder};
use tempfile::TempDir;

/// Who builds: makepkg refuses to run as root. On every distribution these are nobody's.
pub(crate) const NOBODY: &str = "65534";

/// Ours.
pub(crate) const PACKAGES: [&str; 4] =
    ["neuron-provisioner", "neuron-initcpio-hooks", "neuron-calamares-vfio", "neuron-kernel-install"];

/// makepkg works where it worked before, and two at once would take things from each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What packages are made of, but for what is compiled.
const PARTS: &[&str] = &[
    "archiso-hooks",
    "provisioner/docs",
    "provisioner/passthrough/templates",
    "calamares-module",
    "iso-profile",
    "LICENSE",
    "tests/packages",
];

/// Everything that was built, once for all tests.
pub(crate) struct Built {
    folder: TempDir,
}

static BUILT: LazyLock<Built> = LazyLock::new(Built::new);

/// The packages.
pub(crate) fn built() -> &'static Built {
    &BUILT
}

impl Built {
    fn new() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "only root can put packages into a root of its own");
        let built = Self { folder: tempfile::tempdir().unwrap() };
        let tree = built.tree();
        copy_of_the_tree(&tree, PARTS);
        // As somebody who keeps things private checks it out: what is installed is for all to read.
        run(Command::new("chmod").args(["-R", "go="]).arg(&tree));
        fs::copy(program::path().unwrap(), built.program()).unwrap();
        fs::create_dir(built.at("packages")).unwrap();
        built.lay_out_module();
        run(Command::new("chown").args(["-R", &format!("{NOBODY}:{NOBODY}")]).arg(built.folder.path()));
        for package in PACKAGES {
            built.make(&tree.join("archiso-hooks").join(package), &[]);
        }
        for version in ["1", "2"] {
            built.make(&tree.join("tests/packages/stand-ins"), &[("STAND_IN_VERSION", version)]);
        }
        built
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The installer's module as `calamares-module/build` leaves it; the compiled part is a stand-in,
    /// since the tier `module` builds the real one.
    fn lay_out_module(&self) {
        let (sources, module) = (self.tree().join("calamares-module"), self.module());
        fs::create_dir_all(module.join("vfio-setup")).unwrap();
        fs::create_dir(module.join("branding")).unwrap();
        for file in ["module.desc", "main.py", "vfio-setup.conf", "vfio-setup.schema.yaml"] {
            fs::copy(sources.join("vfio-setup").join(file), module.join("vfio-setup").join(file)).unwrap();
        }
        fs::write(module.join("vfio-setup/_vfio_setup.abi3.so"), "stands for the extension").unwrap();
        fs::copy(sources.join("page/gpu.qml"), module.join("branding/gpu.qml")).unwrap();
    }

    /// The folder of the installer's module.
    pub(crate) fn module(&self) -> PathBuf {
        self.at("module")
    }

    /// The program that is in the package.
    pub(crate) fn program(&self) -> PathBuf {
        self.at("program")
    }

    /// The copy of the tree that was built from.
    pub(crate) fn tree(&self) -> PathBuf {
        self.at("tree")
    }

    /// Runs makepkg in a folder; packages of the same name, version and release are replaced.
    pub(crate) fn make(&self, folder: &Path, environment: &[(&str, &str)]) {
        let mut makepkg = Command::new("setpriv");
        makepkg.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "makepkg"]);
        makepkg.args(["--force", "--nodeps", "--noconfirm", "--clean"]).current_dir(folder);
        makepkg.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("LC_ALL", "C.UTF-8");
        makepkg.env("HOME", self.folder.path()).env("BUILDDIR", self.at("build"));
        makepkg.env("PKGDEST", self.at("packages")).env("PKGEXT", ".pkg.tar");
        makepkg.env("SOURCE_DATE_EPOCH", "1700000000").env("NEURON_PROGRAM", self.program());
        makepkg.env("NEURON_MODULE", self.module());
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        run(makepkg.envs(environment.iter().copied()));
    }

    /// The file of a package.
    pub(crate) fn package(&self, name: &str, version: &str) -> PathBuf {
        let begin = format!("{name}-{version}-");
        let packages = fs::read_dir(self.at("packages")).unwrap();
        let mut found = packages.map(|entry| entry.unwrap().path());
        let is_it = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(&begin);
        found.find(is_it).unwrap_or_else(|| panic!("{begin}* was not built"))
    }
}

/// What git would see of these parts of the tree, changes included: makepkg must not write into the
/// tree itself.
fn copy_of_the_tree(to: &Path, parts: &[&str]) {
    let from = tests_folder().join("..");
    fs::create_dir(to).unwrap();
    let copy = "to=$1; shift; git -c safe.directory='*' ls-files -z --cached --others --exclude-standard -- \"$@\" | \
                tar --create --null --files-from=- --ignore-failed-read 2>/dev/null | tar --extract --directory \"$to\"";
    run(Command::new("sh").args(["-c", copy, "sh"]).arg(to).args(parts).current_dir(from));
    assert!(to.join("archiso-hooks/neuron-provisioner/PKGBUILD").is_file(), "the copy is not whole");
}

/// A checkout in which everything is committed, as one that is released from.
pub(crate) fn checkout(to: &Path) {
    copy_of_the_tree(to, &["."]);
    for arguments in [&["init", "-q"][..], &["add", "-A"], &["commit", "-q", "-m", "as it is"]] {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=tests", "-c", "user.email=tests@localhost"]).args(arguments);
        run(git.current_dir(to));
    }
}

/// Runs a program that has to succeed, and gives what it said.
pub(crate) fn run(command: &mut Command) -> String {
    let (is_fine, said) = tried(command);
    assert!(is_fine, "{command:?}\n{said}");
    said
}

/// Whether a program succeeded, and everything that it said.
pub(crate) fn tried(command: &mut Command) -> (bool, String) {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (done.status.success(), text(&done.stdout) + &text(&done.stderr))
}
