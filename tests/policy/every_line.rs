//! Whatever hands a command line to the kernel is judged: every file that a loader edits, and every
//! drop-in that it is made from.

use std::collections::BTreeMap;
use std::path::Path;

use neuron_passthrough::bootloader::{self, Bootloader, Parameters};
use neuron_passthrough::facts::Target;
use neuron_passthrough::policy::{self, Finding, Verdict};
use neuron_passthrough::root::Root;
use neuron_passthrough::step::{Action, HEAD_MARK};
use neuron_passthrough::text::block::remove_block;

use super::{answers, seen};

/// UHD 630 (i915) for the host, an RTX 2080 for the guest.
const MACHINE: &str = "made-rtx-usbc-igpu";

fn read(folder: &Path) -> Target {
    Target::read(&Root::directory(folder).unwrap(), &seen(MACHINE).facts).unwrap()
}

fn target(name: &str) -> Target {
    let folder = neuron_tests::scratch().unwrap();
    neuron_tests::target::copy(name, folder.path()).unwrap();
    read(folder.path())
}

fn findings(target: &Target) -> (Verdict, Vec<Finding>) {
    let (facts, none) = (&seen(MACHINE).facts, answers(""));
    let decision = policy::target::judge(policy::judge(facts, &none), facts, &none, target).decision;
    (decision.verdict, decision.findings)
}

fn file_of<'a>(findings: &'a [Finding], code: &str) -> Vec<&'a str> {
    let about = findings.iter().filter(|finding| finding.code.to_string() == code);
    about.filter_map(|finding| finding.subject.as_deref()).collect()
}

/// Each target in which a loader puts a parameter into one file of somebody's, with that file.
fn planted(loader: &dyn Bootloader, target: &Target, token: &str) -> Vec<(String, Target)> {
    let wanted = Parameters { set: vec![token.to_owned()], ..Parameters::default() };
    let steps = loader.steps(target, &wanted).unwrap_or_default();
    let edits = steps.iter().filter(|step| !step.is_settled());
    edits
        .filter_map(|step| {
            let Action::WriteFile { path, after, .. } = &step.action else { return None };
            // What is ours never holds what somebody else wrote.
            let is_theirs = |text: &str| !text.starts_with(HEAD_MARK) && remove_block(text).contains(token);
            after.text().filter(|text| is_theirs(text))?;
            let mut changed = target.clone();
            changed.files.insert(path.clone(), after.clone());
            Some((path.to_string(), changed))
        })
        .collect()
}

#[test]
fn what_is_on_a_command_line_of_any_loader_is_judged() {
    let mut judged: BTreeMap<&str, usize> = BTreeMap::new();
    for name in neuron_tests::target::names().unwrap() {
        let target = target(&name);
        let (verdict, found) = findings(&target);
        if verdict != Verdict::Ready {
            continue;
        }
        assert!(file_of(&found, "nomodeset").is_empty(), "{name}: nothing is planted yet");
        for loader in bootloader::ALL.iter().filter(|loader| loader.detect(&target).is_some()) {
            for (path, planted) in planted(*loader, &target, "nomodeset") {
                let (verdict, found) = findings(&planted);
                let what = format!("{}, {name}: {path}", loader.name());
                assert!(file_of(&found, "nomodeset").contains(&path.as_str()), "{what}: {found:?}");
                assert_eq!(verdict, Verdict::Refused, "{what}");
                *judged.entry(loader.name()).or_default() += 1;
            }
            for (path, planted) in planted(*loader, &target, "modprobe.blacklist=i915") {
                let (verdict, found) = findings(&planted);
                let named = found.iter().any(|finding| {
                    finding.code.to_string() == "host-without-driver" && finding.message.contains(&path)
                });
                assert!(named, "{}, {name}: {path}: {found:?}", loader.name());
                assert_eq!(verdict, Verdict::Refused, "{name}: {path}");
            }
        }
    }
    for loader in bootloader::ALL {
        assert!(judged.contains_key(loader.name()), "no target with a line of {}", loader.name());
    }
}

/// A target, and a file in it that a command line is made from though no loader edits it.
const DROP_INS: [(&str, &str, &str); 6] = [
    (
        "grub-drop-ins",
        "/etc/default/grub.d/50-mine.cfg",
        "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT @\"\n",
    ),
    ("uki-cmdline-d", "/etc/cmdline.d/50-mine.conf", "@\n"),
    ("uki-shipped-cmdline", "/etc/cmdline.d/50-mine.conf", "@\n"),
    ("dracut-uki", "/etc/dracut.conf.d/zy-mine.conf", "kernel_cmdline+=\" @ \"\n"),
    ("limine-tool", "/etc/limine-entry-tool.d/50-mine.conf", "KERNEL_CMDLINE[default]+=\" @ \"\n"),
    ("sdboot-manage", "/etc/sdboot-manage.conf.d/50-mine.conf", "LINUX_OPTIONS=\"$LINUX_OPTIONS @\"\n"),
];

/// What stands there, and the finding that it leads to.
const SAID: [(&str, &str, Verdict); 4] = [
    ("nomodeset", "nomodeset", Verdict::Refused),
    ("vfio-pci.ids=10de:1e87", "claimed-elsewhere", Verdict::Refused),
    ("intel_iommu=off", "iommu-off-on-cmdline", Verdict::Ask),
    ("resume=/dev/sda3", "hibernation", Verdict::Ready),
];

#[test]
fn what_a_drop_in_adds_is_judged_and_the_drop_in_is_named() {
    for (name, path, text) in DROP_INS {
        let folder = neuron_tests::scratch().unwrap();
        neuron_tests::target::copy(name, folder.path()).unwrap();
        let place = folder.path().join(&path[1..]);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        for (token, code, wanted) in SAID {
            std::fs::write(&place, text.replace('@', token)).unwrap();
            let (verdict, found) = findings(&read(folder.path()));
            assert_eq!(file_of(&found, code), [path], "{name}: {token}: {found:?}");
            assert_eq!(verdict, wanted, "{name}: {token}");
            // The same file with something harmless in it.
            std::fs::write(&place, text.replace('@', "loglevel=3")).unwrap();
            let (verdict, found) = findings(&read(folder.path()));
            assert!(file_of(&found, code).is_empty(), "{name}: {found:?}");
            assert_eq!(verdict, Verdict::Ready, "{name}: {found:?}");
        }
    }
}

/// A shared boot partition also holds entries of others.
#[test]
fn what_boots_another_system_is_not_judged() {
    let folder = neuron_tests::scratch().unwrap();
    neuron_tests::target::copy("arch-systemd-boot", folder.path()).unwrap();
    let entries = folder.path().join("boot/loader/entries");
    let entry = |root: &str| format!("title Other\nlinux /vmlinuz-linux\noptions root={root} rw nomodeset\n");
    std::fs::write(entries.join("other.conf"), entry("UUID=00000000-dead-beef-0000-000000000000")).unwrap();
    assert!(file_of(&findings(&read(folder.path())).1, "nomodeset").is_empty());
    let fstab = std::fs::read_to_string(folder.path().join("etc/fstab")).unwrap();
    let mounted = fstab.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let device = fields.next().filter(|device| !device.starts_with('#'))?;
        (fields.next() == Some("/")).then(|| device.to_owned())
    });
    std::fs::write(entries.join("other.conf"), entry(&mounted.unwrap())).unwrap();
    let found = findings(&read(folder.path())).1;
    assert_eq!(file_of(&found, "nomodeset"), ["/boot/loader/entries/other.conf"], "{found:?}");
}
