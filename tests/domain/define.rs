//! `vm define` and `vm undefine`, with a libvirt that has its daemon.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use neuron_tests::program::Output;
use serde_json::Value;

use crate::daemon::{Daemon, daemon};
use crate::{Bench, libvirt};

/// The libvirt of the namespaces, named by its socket: what a system's own is called is refused for a
/// target that does not run.
pub(crate) const CONNECT: &str = "qemu+unix:///system?socket=/run/libvirt/libvirt-sock";

/// A machine, and a folder for its disks.
pub(crate) struct Desk {
    pub(crate) bench: Bench,
    pub(crate) folder: tempfile::TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { bench: Bench::new(), folder: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap() }
    }

    pub(crate) fn disk(&self) -> PathBuf {
        self.folder.path().join("disk.qcow2")
    }

    pub(crate) fn answers(&self, name: &str, more: &str) -> String {
        format!("[vm.{name}]\ndisk = {{ path = \"{}\", size_gib = 1 }}\n{more}", self.disk().display())
    }

    pub(crate) fn run(&self, daemon: &Daemon, answers: &str, arguments: &[&str]) -> Output {
        let file = self.bench.ground.target().join("etc/neuron-answers.toml");
        fs::write(&file, answers).unwrap();
        let (machine, target) = (self.bench.ground.machine(), self.bench.ground.target());
        let mut all = vec!["--machine-root", machine.to_str().unwrap()];
        all.extend(["--target-root", target.to_str().unwrap()]);
        all.extend(["--answers", file.to_str().unwrap()]);
        all.extend(arguments);
        daemon.program(&all)
    }

    pub(crate) fn define(&self, daemon: &Daemon, answers: &str, more: &[&str]) -> Output {
        let all = [&["vm", "define", "--yes", "--json", "--connect", CONNECT], more].concat();
        self.run(daemon, answers, &all)
    }

    pub(crate) fn undefine(&self, daemon: &Daemon, more: &[&str]) -> Output {
        let all = [&["vm", "undefine", "--yes", "--json", "--connect", CONNECT], more].concat();
        self.run(daemon, "", &all)
    }

    /// The saved domain that a run named.
    fn kept(&self, output: &Output) -> String {
        let why = step(output, "backup")["why"].as_str().unwrap().to_owned();
        let path = why.rsplit_once(' ').unwrap().1.trim_start_matches('/');
        fs::read_to_string(self.bench.ground.target().join(path)).unwrap()
    }
}

pub(crate) fn document(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{}{}", output.stdout, output.stderr))
}

pub(crate) fn steps(output: &Output) -> Vec<String> {
    let document = document(output);
    let steps = document["steps"].as_array().unwrap().iter();
    steps
        .map(|step| format!("{} {}", step["id"].as_str().unwrap(), step["outcome"].as_str().unwrap()))
        .collect()
}

fn step(output: &Output, id: &str) -> Value {
    let document = document(output);
    let found = document["steps"].as_array().unwrap().iter().find(|step| step["id"] == id).cloned();
    found.unwrap_or_else(|| panic!("no step {id}: {document:#}"))
}

pub(crate) fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.code, code, "{}{}", output.stdout, output.stderr);
}

/// What a guest would notice if it changed.
fn identity(xml: &str) -> [String; 3] {
    [("<uuid>", "</uuid>"), ("<mac ", "/>"), ("machine='", "'")]
        .map(|(before, behind)| libvirt::between(xml, before, behind).to_owned())
}

/// Nothing of ours in libvirt, and its network as a distribution leaves it.
pub(crate) fn as_new(daemon: &Daemon) {
    for name in daemon.virsh(&["list", "--all", "--name"]).unwrap().lines().filter(|line| !line.is_empty()) {
        let _ = daemon.virsh(&["destroy", name]);
        daemon.virsh(&["undefine", "--nvram", "--tpm", name]).unwrap();
    }
    let _ = daemon.virsh(&["net-destroy", "default"]);
    daemon.virsh(&["net-autostart", "--disable", "default"]).unwrap();
}

fn network(daemon: &Daemon) -> (bool, bool) {
    let told = daemon.virsh(&["net-info", "default"]).unwrap();
    let is = |key: &str| told.lines().any(|line| line.starts_with(key) && line.trim_end().ends_with("yes"));
    (is("Active:"), is("Autostart:"))
}

#[test]
fn a_domain_is_defined_with_what_it_needs_and_taken_back_without_its_disk() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    let answers = desk.answers("full", "autostart = true\n");
    let first = desk.define(&daemon, &answers, &[]);
    assert_code(&first, 0);
    let done = ["disk done", "network-autostart done", "network done", "domain done", "autostart done"];
    assert_eq!(steps(&first), done);
    assert_eq!(network(&daemon), (true, true));
    let made = fs::metadata(desk.disk()).unwrap();
    assert_eq!(made.permissions().mode() & 0o777, 0o600);
    assert!(made.len() < 1 << 20, "it grows as it is filled");
    let xml = daemon.virsh(&["dumpxml", "--inactive", "full"]).unwrap();
    assert!(daemon.virsh(&["dominfo", "full"]).unwrap().contains("Autostart:      enable"));
    // Once more: nothing is touched.
    let again = desk.define(&daemon, &answers, &[]);
    assert_code(&again, 0);
    assert_eq!(
        (document(&again)["changed"].clone(), steps(&again)),
        (false.into(), vec!["domain unchanged".into()])
    );
    // Other answers are followed, and the guest notices no other machine.
    let changed = desk.define(&daemon, &desk.answers("full", "memory_mib = 2048\n"), &[]);
    assert_code(&changed, 0);
    assert_eq!(steps(&changed), ["domain done", "autostart done"]);
    let now = daemon.virsh(&["dumpxml", "--inactive", "full"]).unwrap();
    assert_eq!(identity(&now), identity(&xml));
    assert!(now.contains("<memory unit='KiB'>2097152</memory>"), "{now}");
    let gone = desk.undefine(&daemon, &[]);
    assert_code(&gone, 0);
    assert_eq!(steps(&gone), ["domain done", "network-autostart reverted"]);
    assert!(daemon.virsh(&["dominfo", "full"]).is_err());
    assert!(desk.disk().is_file(), "a disk is never deleted");
    assert_eq!(network(&daemon), (true, false), "others may use it now");
    let nothing = desk.undefine(&daemon, &[]);
    assert_eq!((nothing.code, document(&nothing)["changed"].clone()), (0, false.into()));
}

#[test]
fn what_somebody_changed_is_kept_and_only_replaced_when_asked() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    let answers = desk.answers("edited", "");
    assert_code(&desk.define(&daemon, &answers, &[]), 0);
    daemon.virsh(&["desc", "edited", "--config", "--title", "mine"]).unwrap();
    let refused = desk.define(&daemon, &answers, &[]);
    assert_code(&refused, 5);
    assert!(refused.stderr.contains("was changed since it was defined"), "{}", refused.stderr);
    let replaced = desk.define(&daemon, &answers, &["--replace"]);
    assert_code(&replaced, 0);
    assert!(desk.kept(&replaced).contains("<title>mine</title>"));
    assert!(!daemon.virsh(&["dumpxml", "edited"]).unwrap().contains("mine"));
    // Changed again, and taken back: what it was is kept.
    daemon.virsh(&["desc", "edited", "--config", "--title", "again mine"]).unwrap();
    let gone = desk.undefine(&daemon, &["edited"]);
    assert_code(&gone, 0);
    assert!(desk.kept(&gone).contains("again mine"));
}

#[test]
fn a_domain_of_somebody_else_is_left_alone_and_comes_back() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    let foreign = "<domain type='qemu'><name>theirs</name><memory unit='MiB'>64</memory>
        <uuid>11111111-2222-4333-8444-555555555555</uuid>
        <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>
        <interface type='user'><mac address='52:54:00:aa:bb:cc'/></interface></devices></domain>";
    let file = desk.folder.path().join("theirs.xml");
    fs::write(&file, foreign).unwrap();
    daemon.virsh(&["define", file.to_str().unwrap()]).unwrap();
    let before = daemon.virsh(&["dumpxml", "--inactive", "theirs"]).unwrap();
    let answers = desk.answers("theirs", "");
    let refused = desk.define(&daemon, &answers, &[]);
    assert_code(&refused, 3);
    assert!(refused.stderr.contains("somebody else defined"), "{}", refused.stderr);
    assert_code(&desk.undefine(&daemon, &["theirs"]), 3);
    assert_eq!(daemon.virsh(&["dumpxml", "--inactive", "theirs"]).unwrap(), before);
    assert!(!desk.disk().exists(), "nothing was made");
    let taken = desk.define(&daemon, &answers, &["--replace"]);
    assert_code(&taken, 0);
    let ours = daemon.virsh(&["dumpxml", "--inactive", "theirs"]).unwrap();
    assert_eq!(identity(&ours), identity(&before));
    assert!(ours.contains("urn:neuronos:provisioner:1") && !before.contains("neuronos"));
    // `revert` takes it back as well.
    let reverted = desk.run(&daemon, "", &["revert", "--yes", "--json"]);
    assert_code(&reverted, 0);
    assert_eq!(steps(&reverted), ["vm-theirs done"], "{}", reverted.stdout);
    assert_eq!(daemon.virsh(&["dumpxml", "--inactive", "theirs"]).unwrap(), before);
    assert!(desk.disk().is_file());
}

#[test]
fn a_definition_that_fails_leaves_nothing_behind() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    let folder = desk.bench.ground.target().join("etc/neuron/templates");
    fs::create_dir_all(&folder).unwrap();
    let template = "{% extends 'windows.xml.j2' %}{% block clock %}<clok offset='utc'/>{% endblock %}\n";
    fs::write(folder.join("windows11-passthrough.xml.j2"), template).unwrap();
    let failed = desk.define(&daemon, &desk.answers("broken", ""), &[]);
    assert_code(&failed, 1);
    assert_eq!(steps(&failed), ["network reverted", "network-autostart reverted", "disk reverted"]);
    assert!(failed.stderr.contains("cannot define broken"), "{}", failed.stderr);
    assert!(!desk.disk().exists());
    assert_eq!(fs::read_dir(desk.folder.path()).unwrap().count(), 0);
    assert_eq!(network(&daemon), (false, false));
    assert!(daemon.virsh(&["dominfo", "broken"]).is_err());
    assert!(!desk.bench.ground.target().join("var/lib/neuron-provisioner/domains.json").exists());
}

#[test]
fn a_disk_that_is_there_is_never_touched_and_one_that_cannot_be_is_refused() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    let image = |format: &str| {
        let _ = fs::remove_file(desk.disk());
        let made = Command::new("qemu-img")
            .args(["create", "-q", "-f", format, desk.disk().to_str().unwrap(), "3M"])
            .status();
        assert!(made.unwrap().success());
        fs::read(desk.disk()).unwrap()
    };
    let before = image("qcow2");
    assert_code(&desk.define(&daemon, &desk.answers("disk", ""), &[]), 0);
    assert_eq!(fs::read(desk.disk()).unwrap(), before);
    assert_code(&desk.undefine(&daemon, &[]), 0);
    assert_eq!(fs::read(desk.disk()).unwrap(), before);
    image("raw");
    let refused = |answers: &str, wanted: &str| {
        let output = desk.define(&daemon, answers, &[]);
        assert_code(&output, 3);
        assert!(output.stderr.replace("\n       ", " ").contains(wanted), "{wanted}: {}", output.stderr);
        assert!(daemon.virsh(&["dominfo", "disk"]).is_err());
    };
    refused(&desk.answers("disk", ""), "is a raw image, and by its name it would be a qcow2 one");
    image("qcow2");
    let mut user = Command::new("qemu-io")
        .arg(desk.disk())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It prompts once it has opened, and locked, the image.
    let mut prompt = [0; 8];
    std::io::Read::read_exact(user.stdout.as_mut().unwrap(), &mut prompt).unwrap();
    refused(&desk.answers("disk", ""), "is in use by another program");
    drop(user.stdin.take());
    user.wait().unwrap();
    assert_code(&desk.define(&daemon, &desk.answers("disk", ""), &[]), 0);
    assert_code(&desk.undefine(&daemon, &[]), 0);
    let at = |path: &Path, gib: u32| {
        format!("[vm.disk]\ndisk = {{ path = \"{}\", size_gib = {gib} }}\n", path.display())
    };
    refused(&at(&desk.folder.path().join("none/a.qcow2"), 1), "its folder is not there");
    refused(&at(desk.folder.path(), 1), "is no file");
    refused(&at(&desk.folder.path().join("large.qcow2"), 4_000_000), "4000000 GiB are wanted");
    let iso = format!("{}install_iso = \"/srv/none.iso\"\n", desk.answers("disk", ""));
    refused(&iso, "there is no file /srv/none.iso");
    assert!(!desk.folder.path().join("large.qcow2").exists());
}

#[test]
fn a_machine_that_runs_is_not_taken_back() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    let answers = desk.answers("runs", "gpus = \"none\"\nkind = \"linux\"\n");
    assert_code(&desk.define(&daemon, &answers, &[]), 0);
    // What this host cannot do is taken out, so that it starts: the processor's and the pins.
    let xml = daemon.virsh(&["dumpxml", "--inactive", "runs"]).unwrap();
    let file = desk.folder.path().join("runs.xml");
    fs::write(&file, crate::start::emulated(&xml)).unwrap();
    daemon.virsh(&["define", file.to_str().unwrap()]).unwrap();
    daemon.virsh(&["start", "--paused", "runs"]).unwrap();
    let refused = desk.undefine(&daemon, &[]);
    assert_code(&refused, 3);
    assert!(refused.stderr.contains("it is running"), "{}", refused.stderr);
    assert_code(&desk.run(&daemon, "", &["revert", "--yes"]), 3);
    daemon.virsh(&["destroy", "runs"]).unwrap();
    assert_code(&desk.undefine(&daemon, &[]), 0);
}

/// Puts a program in front of virsh that fails where its arguments hold `word`.
pub(crate) fn without_verb(daemon: &Daemon, desk: &Desk, word: &str) {
    instead_of_verb(daemon, desk, word, "echo 'error: not today' >&2");
}

/// Puts a program in front of virsh that does this where its arguments hold `word`; `$real` is virsh.
pub(crate) fn instead_of_verb(daemon: &Daemon, desk: &Desk, word: &str, commands: &str) {
    let real = desk.folder.path().join("virsh-real");
    if !real.exists() {
        fs::copy("/usr/bin/virsh", &real).unwrap();
    }
    let stand_in = desk.folder.path().join(format!("virsh-without-{word}"));
    let text = format!(
        "#!/bin/sh\nreal={}\ncase \" $* \" in *' {word} '*) {commands}; exit 1 ;; esac\nexec $real \"$@\"\n",
        real.display()
    );
    fs::write(&stand_in, text).unwrap();
    fs::set_permissions(&stand_in, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut mount = daemon.command("mount".as_ref());
    assert!(mount.args(["--bind", stand_in.to_str().unwrap(), "/usr/bin/virsh"]).status().unwrap().success());
}

pub(crate) fn with_verbs(daemon: &Daemon) {
    assert!(daemon.command("umount".as_ref()).arg("/usr/bin/virsh").status().unwrap().success());
}

#[test]
fn what_fails_once_the_domain_is_gone_is_no_refusal() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    let answers = desk.answers("theirs", "gpus = \"none\"\nkind = \"linux\"\n");
    let xml =
        "<domain type='qemu'><name>theirs</name><memory>65536</memory><os><type>hvm</type></os></domain>";
    let file = desk.folder.path().join("theirs.xml");
    fs::write(&file, xml).unwrap();
    let take_over = || {
        assert_code(&desk.define(&daemon, &answers, &["--replace"]), 0);
    };
    let is_ours = || daemon.virsh(&["dumpxml", "--inactive", "theirs"]).unwrap().contains("neuron");
    daemon.virsh(&["define", file.to_str().unwrap()]).unwrap();
    take_over();
    // libvirt does not take the former one: everything is as it was, and the next run does it.
    without_verb(&daemon, &desk, "define");
    let failed = desk.undefine(&daemon, &[]);
    with_verbs(&daemon);
    assert_code(&failed, 1);
    assert!(failed.stderr.contains("not today") && is_ours(), "{}", failed.stderr);
    assert_code(&desk.undefine(&daemon, &[]), 0);
    assert!(!is_ours());
    // It is back, and whether it starts with the host is not what it was: that is told, by 6.
    take_over();
    without_verb(&daemon, &desk, "autostart");
    let half = desk.undefine(&daemon, &[]);
    with_verbs(&daemon);
    assert_code(&half, 6);
    assert!(half.stderr.contains("whether theirs starts with the host"), "{}", half.stderr);
    assert!(!is_ours());
    // The same in a revert.
    take_over();
    without_verb(&daemon, &desk, "autostart");
    let half = desk.run(&daemon, "", &["revert", "--yes", "--json"]);
    with_verbs(&daemon);
    assert_code(&half, 6);
    assert_eq!(step(&half, "vm-theirs")["outcome"], "failed", "{}", half.stdout);
    assert!(!is_ours());
    daemon.virsh(&["undefine", "theirs"]).unwrap();
}

#[test]
fn without_libvirt_nothing_is_done() {
    let (daemon, desk) = (daemon(), Desk::new());
    let answers = desk.answers("none", "");
    let uri = "qemu+unix:///system?socket=/run/no-such-socket";
    let refused = desk.run(&daemon, &answers, &["vm", "define", "--yes", "--connect", uri]);
    assert_code(&refused, 3);
    assert!(refused.stderr.contains("cannot list the domains: failed to connect"), "{}", refused.stderr);
    assert!(refused.stderr.contains("systemctl"), "{}", refused.stderr);
    assert!(!desk.disk().exists());
    // A system that does not run has no libvirt to ask.
    let elsewhere = desk.run(&daemon, &answers, &["vm", "define", "--yes"]);
    assert_code(&elsewhere, 3);
    assert!(elsewhere.stderr.contains("--connect"), "{}", elsewhere.stderr);
    // Nobody is asked where nobody is.
    let asked = desk.run(&daemon, &answers, &["vm", "define", "--connect", CONNECT]);
    assert_code(&asked, 3);
    assert!(asked.stderr.contains("nobody is there to ask"), "{}", asked.stderr);
    assert!(!desk.disk().exists());
}

/// The kernel's virtualization with this mode, in a system that has a user for QEMU.
pub(crate) fn open_to_qemu(desk: &Desk, mode: u32) {
    desk.bench.put_machine("dev/kvm", "");
    let device = desk.bench.ground.machine().join("dev/kvm");
    fs::set_permissions(device, fs::Permissions::from_mode(mode)).unwrap();
    let passwd = "root:x:0:0::/root:/bin/sh\nlibvirt-qemu:x:994:994::/:/bin/false\n";
    fs::write(desk.bench.ground.target().join("etc/passwd"), passwd).unwrap();
}

/// libvirt starts a QEMU to find out what it can do, and waits for minutes where that may not use the
/// virtualization: it is not asked.
#[test]
fn virtualization_that_qemu_may_not_use_is_told_at_once() {
    let (daemon, desk) = (daemon(), Desk::new());
    as_new(&daemon);
    let answers = desk.answers("closed", "gpus = \"none\"\n");
    open_to_qemu(&desk, 0o660);
    let output = desk.define(&daemon, &answers, &[]);
    assert_code(&output, 3);
    let said = output.stderr.replace("\n       ", " ");
    assert!(
        said.contains("libvirt runs QEMU as libvirt-qemu") && said.contains("`udevadm trigger"),
        "{said}"
    );
    assert!(!daemon.virsh(&["list", "--all", "--name"]).unwrap().contains("closed"));
    open_to_qemu(&desk, 0o666);
    assert_code(&desk.define(&daemon, &answers, &[]), 0);
}
