//! The real libvirt, without a daemon.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};

/// One folder for all tests: the driver asks QEMU what it can do once, which takes seconds.
static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("etc")).unwrap();
    let settings = "user = \"root\"\ngroup = \"root\"\nsecurity_driver = \"none\"\n";
    fs::write(folder.path().join("etc/qemu.conf"), settings).unwrap();
    folder
});

/// Two drivers over one folder would be two daemons over one state.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

static CAPABILITIES: LazyLock<PathBuf> = LazyLock::new(|| {
    let (is_fine, text) = virsh(&["domcapabilities", "--virttype", "qemu", "--machine", "q35"]);
    assert!(is_fine, "libvirt does not say what it can do: {text}");
    let path = FOLDER.path().join("capabilities.xml");
    fs::write(&path, text).unwrap();
    path
});

fn virsh(arguments: &[&str]) -> (bool, String) {
    let lock = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let connection = format!("qemu:///embed?root={}", FOLDER.path().display());
    let done = Command::new("virsh").args(["--connect", &connection]).args(arguments).output().unwrap();
    drop(lock);
    let errors: String = String::from_utf8_lossy(&done.stderr)
        .lines()
        .filter(|line| line.starts_with("error"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let text =
        if done.status.success() { String::from_utf8_lossy(&done.stdout).into_owned() } else { errors };
    (done.status.success(), text)
}

/// What libvirt and QEMU can do here, as a file.
pub(crate) fn capabilities() -> PathBuf {
    CAPABILITIES.clone()
}

/// Defines a domain with libvirt's schema held against it, and takes it away again. Gives the domain
/// as libvirt understood it; an error is what libvirt said.
pub(crate) fn define(xml: &str) -> Result<String, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), xml).unwrap();
    let path = file.path().to_str().unwrap();
    let (is_defined, said) = virsh(&["define", "--validate", path]);
    if !is_defined {
        return Err(said);
    }
    let uuid = between(xml, "<uuid>", "</uuid>").to_owned();
    let (is_there, understood) = virsh(&["dumpxml", "--inactive", &uuid]);
    let (is_gone, why) = virsh(&["undefine", "--nvram", &uuid]);
    assert!(is_there && is_gone, "{understood}{why}");
    Ok(understood)
}

/// Defines many domains in one go, one over the other where they bear one name. Gives those that
/// libvirt does not take, with everything that it complained of.
pub(crate) fn define_all<'a>(all: &[&'a str]) -> Vec<(&'a str, String)> {
    let folder = tempfile::tempdir().unwrap();
    let file = |at: usize| folder.path().join(format!("{at}.xml"));
    let mut commands = String::new();
    for (at, xml) in all.iter().enumerate() {
        fs::write(file(at), xml).unwrap();
        write!(commands, "define --validate {};", file(at).display()).unwrap();
    }
    let lock = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let connection = format!("qemu:///embed?root={}", FOLDER.path().display());
    let done = Command::new("virsh").args(["--connect", &connection, &commands]).output().unwrap();
    let names = ["windows11", "windows10", "linux"];
    drop(lock);
    for name in names {
        let _ = virsh(&["undefine", "--nvram", name]);
    }
    let (said, complaints) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    let is_defined = |at: usize| said.contains(&format!("defined from {}\n", file(at).display()));
    let refused = all.iter().enumerate().filter(|(at, _)| !is_defined(*at));
    refused.map(|(at, xml)| (*xml, format!("{}: {complaints}", file(at).display()))).collect()
}

/// The text between two others.
pub(crate) fn between<'a>(text: &'a str, before: &str, behind: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split_once(behind).unwrap().0
}

/// A copy of what libvirt can do here, with a change.
pub(crate) fn changed_capabilities(folder: &Path, from: &str, to: &str) -> PathBuf {
    let text = fs::read_to_string(capabilities()).unwrap();
    assert!(text.contains(from), "no {from} in it");
    let path = folder.join("changed-capabilities.xml");
    fs::write(&path, text.replace(from, to)).unwrap();
    path
}
