//! A small target, a program that makes derived output of it, and a look at the whole tree.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tempfile::TempDir;

use crate::apply::{
    ApplyError, ChangedFile, Interrupt, Options, Outcome, RevertRequest, Reverted, RunResult, Runner, Store,
    Transaction,
};
use crate::root::Root;
use crate::step::{Action, FileState, Step};

pub(super) const STATE: &str = "var/lib/neuron-provisioner";

/// What is at a path: kind and content, mode, owner, extended attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) content: String,
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    pub(super) xattr: Option<Vec<u8>>,
}

pub(super) type Snapshot = BTreeMap<String, Seen>;

pub(super) struct Target {
    pub(super) outer: TempDir,
}

impl Target {
    /// In memory where possible: the crash tests flush some ten thousand times.
    pub(super) fn empty() -> Self {
        let outer = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
        fs::create_dir_all(outer.path().join("target/var/lib")).unwrap();
        Self { outer }
    }

    pub(super) fn new() -> Self {
        let target = Self::empty();
        target.put("etc/default/grub", "GRUB_CMDLINE_LINUX='quiet'\n");
        target.put("etc/old.conf", "old\n");
        target.put("etc/modprobe.d/other.conf", "options other x=1\n");
        target.put("boot/image", "image of: \n");
        let grub = target.at("etc/default/grub");
        fs::set_permissions(&grub, fs::Permissions::from_mode(0o640)).unwrap();
        let file = fs::File::open(&grub).unwrap();
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::fsetxattr(&file, "user.label", b"kept \0\xff", flags).unwrap();
        target
    }

    pub(super) fn path(&self) -> PathBuf {
        self.outer.path().join("target")
    }

    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    pub(super) fn put(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    pub(super) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }

    pub(super) fn root(&self) -> Root {
        Root::directory(&self.path()).unwrap()
    }

    /// Everything but our own state.
    pub(super) fn snapshot(&self) -> Snapshot {
        let mut seen = snapshot(&self.path());
        seen.retain(|path, _| !path.starts_with(STATE));
        seen
    }

    pub(super) fn state(&self, path: &str) -> FileState {
        self.root().file_state(path).unwrap()
    }

    pub(super) fn write(&self, id: &str, path: &str, text: &str) -> Step {
        let before = self.state(path);
        let after = before.with_text(text);
        step(id, Action::WriteFile { path: path.parse().unwrap(), before, after })
    }

    /// One step of every kind, for files that are there and files that are not.
    pub(super) fn transaction(&self) -> Transaction {
        let gone = "/etc/old.conf";
        let link = "/etc/systemd/wanted.service";
        transaction(vec![
            self.write("grub", "/etc/default/grub", "GRUB_CMDLINE_LINUX='quiet iommu=pt'\n"),
            self.write("devices", "/etc/neuron/sub/vfio-devices", "0000:01:00.0\n"),
            self.write("vfio-conf", "/etc/modprobe.d/vfio.conf", "options vfio-pci ids=10de:2204\n"),
            step("old", Action::RemoveFile { path: gone.parse().unwrap(), before: self.state(gone) }),
            step(
                "service",
                Action::MakeSymlink {
                    path: link.parse().unwrap(),
                    before: FileState::Absent,
                    points_to: "/usr/lib/systemd/system/wanted.service".to_owned(),
                },
            ),
            rebuild("image", &["mkimage", "-P"]),
        ])
    }

    /// The same, and a copy is kept first; besides, a preset makes the program build an image of its own.
    pub(super) fn transaction_with_copy(&self) -> Transaction {
        let mut transaction = self.transaction();
        let path: crate::id::TargetPath = COPY.parse().unwrap();
        let from = "/etc/default/grub".parse().unwrap();
        let action = Action::CopyFile { from, path: path.clone(), is_there: false };
        transaction.steps.insert(0, step("keep", action));
        transaction.steps.insert(1, self.write("preset", &format!("/{PRESET}"), "PRESETS=('host')\n"));
        transaction.copies = vec![path, MADE.parse().unwrap()];
        transaction
    }

    pub(super) fn apply(&self, transaction: &Transaction) -> Result<Outcome, ApplyError> {
        self.apply_with(transaction, Options::default(), &mut Maker::new(self))
    }

    pub(super) fn apply_with(
        &self,
        transaction: &Transaction,
        options: Options<'_>,
        runner: &mut dyn Runner,
    ) -> Result<Outcome, ApplyError> {
        let root = self.root();
        Store::open(&root, options)?.apply(transaction, runner, &mut |_| ())
    }

    pub(super) fn revert(&self) -> Result<Reverted, ApplyError> {
        self.revert_with(Options::default(), &mut |_| None, &mut Maker::new(self))
    }

    pub(super) fn revert_with(
        &self,
        options: Options<'_>,
        merge: &mut dyn FnMut(&ChangedFile) -> Option<FileState>,
        runner: &mut dyn Runner,
    ) -> Result<Reverted, ApplyError> {
        let root = self.root();
        let request = RevertRequest::default();
        Store::open(&root, options)?.revert(&request, merge, runner, &mut |_| ())
    }
}

pub(super) fn snapshot(root: &Path) -> Snapshot {
    let mut seen = Snapshot::new();
    let mut todo = vec![root.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let mut xattr = None;
            let content = if meta.is_dir() {
                todo.push(path.clone());
                "directory".to_owned()
            } else if meta.is_symlink() {
                format!("link {}", fs::read_link(&path).unwrap().display())
            } else if meta.is_file() {
                let mut value = [0; 64];
                let file = fs::File::open(&path).unwrap();
                let length = rustix::fs::fgetxattr(&file, "user.label", &mut value[..]);
                xattr = length.ok().map(|length| value[..length].to_vec());
                format!("file {:?}", fs::read(&path).unwrap())
            } else {
                "special".to_owned()
            };
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let owner = (meta.uid(), meta.gid());
            seen.insert(name, Seen { content, mode: meta.mode(), owner, xattr });
        }
    }
    seen
}

/// The copy of the transaction.
pub(super) const COPY: &str = "/boot/neuron-host/kept-grub";

/// The image that [`Maker`] makes where this preset asks for it.
pub(super) const MADE: &str = "/boot/made/host.efi";
const PRESET: &str = "etc/host.preset";

/// Without modes and owners: what FAT can hold.
pub(super) fn contents_of(seen: &Snapshot) -> BTreeMap<String, String> {
    seen.iter().map(|(path, seen)| (path.clone(), seen.content.clone())).collect()
}

pub(super) fn step(id: &str, action: Action) -> Step {
    Step { id: id.to_owned(), title: format!("do {id}"), because: "a test wants it".to_owned(), action }
}

pub(super) fn rebuild(id: &str, argv: &[&str]) -> Step {
    let argv = argv.iter().map(|&word| word.to_owned()).collect();
    step(id, Action::Rebuild { argv, outputs: Vec::new(), undo: Vec::new() })
}

pub(super) fn transaction(steps: Vec<Step>) -> Transaction {
    Transaction {
        plan_id: "plan-1".to_owned(),
        stage: "all".to_owned(),
        boot_id: Some("boot-1".to_owned()),
        steps,
        tokens: vec!["iommu=pt".to_owned()],
        copies: Vec::new(),
        retires: false,
        note: serde_json::json!({"a": 1}),
    }
}

/// Makes `boot/image` from the files that count, as a generator does.
pub(super) struct Maker {
    root: PathBuf,
    pub(super) runs: usize,
    /// From which run on it fails, and for how many runs.
    pub(super) fails: std::ops::Range<usize>,
}

impl Maker {
    pub(super) fn new(target: &Target) -> Self {
        Self { root: target.path(), runs: 0, fails: 0..0 }
    }
}

impl Runner for Maker {
    fn run(&mut self, _: &[String]) -> RunResult {
        self.runs += 1;
        let vfio = fs::read_to_string(self.root.join("etc/modprobe.d/vfio.conf")).unwrap_or_default();
        fs::create_dir_all(self.root.join("boot")).unwrap();
        // An image is written even when it is bad, as mkinitcpio does.
        fs::write(self.root.join("boot/image"), format!("image of: {vfio}\n")).unwrap();
        if self.root.join(PRESET).exists() {
            fs::create_dir_all(self.root.join("boot/made")).unwrap();
            fs::write(self.root.join(&MADE[1..]), "made\n").unwrap();
        }
        if self.fails.contains(&self.runs) {
            return RunResult::Failed { why: "==> ERROR: module not found".to_owned() };
        }
        RunResult::Done
    }
}

/// Thrown instead of a signal: nothing on the way down cleans anything up.
pub(super) struct Killed;

/// What happens at one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Error,
    Kill,
}

/// Counts points and strikes at one of them, once.
pub(super) struct Strike {
    pub(super) seen: Rc<RefCell<Vec<String>>>,
    pub(super) at: usize,
    pub(super) then: Then,
}

impl Strike {
    pub(super) fn never() -> Self {
        Self { seen: Rc::default(), at: usize::MAX, then: Then::Error }
    }
}

impl Interrupt for Strike {
    fn at(&mut self, point: &str) -> io::Result<()> {
        let number = self.seen.borrow().len();
        self.seen.borrow_mut().push(point.to_owned());
        match self.then {
            _ if number != self.at => Ok(()),
            Then::Error => Err(io::Error::other(format!("struck {point}"))),
            Then::Kill => std::panic::resume_unwind(Box::new(Killed)),
        }
    }
}

/// Something mounted, for as long as this lives.
pub(super) struct Mounted(PathBuf);

impl Mounted {
    pub(super) fn bind(from: &Path, to: &Path) -> Self {
        Self::mount(&["--bind".as_ref(), from.as_os_str(), to.as_os_str()], to)
    }

    pub(super) fn tmpfs(options: &str, to: &Path) -> Self {
        Self::mount(&["-t", "tmpfs", "-o", options, "tmpfs"].map(AsRef::as_ref), to)
    }

    fn mount(arguments: &[&std::ffi::OsStr], to: &Path) -> Self {
        let mut command = std::process::Command::new("mount");
        command.args(arguments);
        if arguments[0] != "--bind" {
            command.arg(to);
        }
        assert!(command.status().unwrap().success(), "mount {arguments:?}");
        Self(to.to_owned())
    }

    pub(super) fn remount_read_only(&self) {
        let mut command = std::process::Command::new("mount");
        command.args(["-o", "remount,bind,ro"]).arg(&self.0);
        assert!(command.status().unwrap().success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Whether this test can run; says so where no test harness hides it when it cannot.
pub(super) fn may_mount(what: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        writeln!(io::stderr(), "NOT TESTED: {what}: only root can mount").unwrap();
    }
    root
}
