//! The real libvirt, without a daemon: that of this system, or of the root in `NEURON_DOMAIN_ROOT`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{LazyLock, Mutex};

/// One folder for all tests: the driver asks QEMU what it can do once, which takes seconds.
static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = scratch();
    fs::create_dir_all(folder.path().join("etc")).unwrap();
    let settings = "user = \"root\"\ngroup = \"root\"\nswtpm_user = \"root\"\nswtpm_group = \"root\"\n\
                    security_driver = \"none\"\nstdio_handler = \"file\"\n";
    fs::write(folder.path().join("etc/qemu.conf"), settings).unwrap();
    folder
});

/// Tests define domains of one name: each takes its own away before the next one comes.
static ONE_DOMAIN_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Two drivers over one folder would be two daemons over one state.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

static CAPABILITIES: LazyLock<PathBuf> = LazyLock::new(|| {
    let (is_fine, text) = virsh(&["domcapabilities", "--virttype", "qemu", "--machine", "q35"]);
    assert!(is_fine, "libvirt does not say what it can do: {text}");
    let path = FOLDER.path().join("capabilities.xml");
    fs::write(&path, text).unwrap();
    path
});

/// The root of another suite, whose libvirt is asked instead of this system's.
fn suite() -> Option<PathBuf> {
    std::env::var_os("NEURON_DOMAIN_ROOT").map(PathBuf::from)
}

/// A folder that libvirt sees.
fn scratch() -> tempfile::TempDir {
    match suite() {
        Some(root) => tempfile::tempdir_in(root.join("tmp")).unwrap(),
        None => tempfile::tempdir().unwrap(),
    }
}

/// A path as libvirt sees it.
fn seen(path: &Path) -> String {
    match suite() {
        Some(root) => format!("/{}", path.strip_prefix(root).unwrap().display()),
        None => path.display().to_string(),
    }
}

/// What another suite's libvirt needs around it; everything ends with virsh.
const IN_SUITE: &str = r#"
root=$1
shift
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs private "$root/dev"
mkdir -m 1777 "$root/dev/shm"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 666 "$root/dev/random" c 1 8
mknod -m 666 "$root/dev/urandom" c 1 9
exec chroot "$root" virsh "$@"
"#;

/// virsh, in the one root or the other. One at a time.
fn run(arguments: &[&str]) -> Output {
    let connection = format!("qemu:///embed?root={}", seen(FOLDER.path()));
    let mut command = match suite() {
        Some(root) => {
            let mut command = Command::new("unshare");
            command
                .args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", IN_SUITE, "sh"])
                .arg(root);
            command
        }
        None => Command::new("virsh"),
    };
    let lock = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let done = command.args(["--connect", &connection]).args(arguments).output().unwrap();
    drop(lock);
    done
}

fn virsh(arguments: &[&str]) -> (bool, String) {
    let done = run(arguments);
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
    let _alone = ONE_DOMAIN_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = scratch();
    let file = folder.path().join("domain.xml");
    fs::write(&file, xml).unwrap();
    let (is_defined, said) = virsh(&["define", "--validate", &seen(&file)]);
    if !is_defined {
        return Err(said);
    }
    let uuid = between(xml, "<uuid>", "</uuid>").to_owned();
    let (is_there, understood) = virsh(&["dumpxml", "--inactive", &uuid]);
    let (is_gone, why) = virsh(&["undefine", "--nvram", &uuid]);
    assert!(is_there && is_gone, "{understood}{why}");
    Ok(understood)
}

/// What libvirt tells of a domain before it was started and after. Whether it starts is of no matter.
pub(crate) fn told_around_a_start(xml: &str) -> [String; 2] {
    let _alone = ONE_DOMAIN_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = scratch();
    let file = folder.path().join("domain.xml");
    fs::write(&file, xml).unwrap();
    let (file, uuid) = (seen(&file), between(xml, "<uuid>", "</uuid>"));
    let told = format!("dumpxml --inactive {uuid}");
    let commands = format!(
        "define {file}; {told}; start --paused {uuid}; destroy {uuid}; {told}; undefine --nvram {uuid}"
    );
    let done = run(&[&commands]);
    let said = String::from_utf8_lossy(&done.stdout);
    println!("{}", String::from_utf8_lossy(&done.stderr));
    let each = said.split("<domain ").skip(1).map(|rest| format!("<domain {rest}"));
    let each = each.map(|text| format!("{}</domain>", text.split_once("</domain>").unwrap().0));
    each.collect::<Vec<_>>()
        .try_into()
        .unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&done.stderr)))
}

/// Defines many domains in one go, one over the other where they bear one name. Gives those that
/// libvirt does not take, with everything that it complained of.
pub(crate) fn define_all<'a>(all: &[&'a str]) -> Vec<(&'a str, String)> {
    let folder = scratch();
    let file = |at: usize| folder.path().join(format!("{at}.xml"));
    let mut commands = String::new();
    for (at, xml) in all.iter().enumerate() {
        fs::write(file(at), xml).unwrap();
        write!(commands, "define --validate {};", seen(&file(at))).unwrap();
    }
    let done = run(&[&commands]);
    for name in ["windows11", "windows10", "linux"] {
        let _ = virsh(&["undefine", "--nvram", name]);
    }
    let (said, complaints) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    let is_defined = |at: usize| said.contains(&format!("defined from {}\n", seen(&file(at))));
    let refused = all.iter().enumerate().filter(|(at, _)| !is_defined(*at));
    refused.map(|(at, xml)| (*xml, format!("{}: {complaints}", file(at).display()))).collect()
}

/// The schema that libvirt holds domains against.
pub(crate) fn schema() -> String {
    let file = "usr/share/libvirt/schemas/domaincommon.rng";
    fs::read_to_string(suite().unwrap_or_else(|| PathBuf::from("/")).join(file)).unwrap()
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
