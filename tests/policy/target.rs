//! What the target adds to a decision: a table of what can stand in one, each row beside the same
//! target without it, and rows that only look alike.

use std::fs;
use std::path::Path;

use neuron_passthrough::facts::Target;
use neuron_passthrough::policy::{self, Finding, Judgement, Matching, Verdict};
use neuron_passthrough::root::Root;

use super::{answers, seen, word};

const KERNEL: &str = "usr/lib/modules/6.12.1-arch1-1";

/// Judges a machine again, with a copy of a target that was changed.
fn with(machine: &str, target: &str, text: &str, change: impl FnOnce(&Path)) -> Judgement {
    let folder = neuron_tests::scratch().unwrap();
    neuron_tests::target::copy(target, folder.path()).unwrap();
    change(folder.path());
    let facts = &seen(machine).facts;
    let given = answers(text);
    let read = Target::read(&Root::directory(folder.path()).unwrap(), facts).unwrap();
    policy::target::judge(policy::judge(facts, &given), facts, &given, &read)
}

fn put(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// UHD 630 for the host, an RTX 2080 at 01:00 for the guest, ready by ids; Arch with GRUB.
fn usual(text: &str, change: impl FnOnce(&Path)) -> Judgement {
    with("made-rtx-usbc-igpu", "arch-grub", text, change)
}

fn found<'a>(judgement: &'a Judgement, code: &str) -> Option<&'a Finding> {
    judgement.decision.findings.iter().find(|finding| finding.code.to_string() == code)
}

fn grub(parameters: &str) -> String {
    format!("GRUB_CMDLINE_LINUX_DEFAULT='quiet'\nGRUB_CMDLINE_LINUX=\"{parameters}\"\n")
}

fn device(line: &str) -> String {
    format!("Section \"Device\"\n  Identifier \"gpu\"\n  {line}\nEndSection\n")
}

#[test]
fn the_usual_target_adds_nothing() {
    let judgement = usual("", |_| {});
    assert_eq!(judgement.decision.verdict, Verdict::Ready);
    assert_eq!(judgement.decision.findings, [], "rows of the table start from here");
}

/// A file in the target, and the finding's code, verdict and subject that it leads to.
type Row = (&'static str, String, &'static str, &'static str);

fn rows() -> Vec<Row> {
    let xorg = "etc/X11/xorg.conf.d/10-gpu.conf";
    let modprobe = "etc/modprobe.d/my.conf";
    let row = |path, text: &str, code, verdict| (path, text.to_owned(), code, verdict);
    vec![
        row("etc/default/grub", &grub("nomodeset"), "nomodeset", "refused"),
        row("etc/kernel/cmdline", "root=/dev/sda2 nomodeset\n", "nomodeset", "refused"),
        row("etc/default/grub", &grub("resume=/dev/sda3"), "hibernation", "ready"),
        row("etc/default/grub", &grub("intel_iommu=off"), "iommu-off-on-cmdline", "ask"),
        row("etc/kernel/cmdline", "root=/dev/sda2 iommu=pt,off\n", "iommu-off-on-cmdline", "ask"),
        row("etc/default/grub", &grub("vfio-pci.ids=10de:1e87"), "claimed-elsewhere", "refused"),
        row("etc/default/grub", &grub("vfio_pci.ids=10de:1e87"), "claimed-elsewhere", "refused"),
        row(modprobe, "options vfio-pci ids=10de:1e87\n", "claimed-elsewhere", "refused"),
        row(modprobe, "options vfio_pci disable_vga=1 ids=10de:1e87\n", "claimed-elsewhere", "refused"),
        row(modprobe, "blacklist i915\n", "host-without-driver", "refused"),
        row(modprobe, "install i915 /bin/false\n", "host-without-driver", "refused"),
        row(modprobe, "options i915 modeset=0\n", "host-without-driver", "refused"),
        row(modprobe, "options\ti915 fastboot=1 modeset=0\n", "host-without-driver", "refused"),
        row(modprobe, "options i915 disable_display=1\n", "host-without-driver", "refused"),
        row("etc/default/grub", &grub("i915.modeset=1 i915.modeset=0"), "host-without-driver", "refused"),
        row("etc/kernel/cmdline", "root=/dev/sda2 i915.modeset=0\n", "host-without-driver", "refused"),
        row("etc/default/grub", &grub("rd.driver.blacklist=i915"), "host-without-driver", "refused"),
        row("etc/default/grub", &grub("module-blacklist=i915"), "host-without-driver", "refused"),
        row(modprobe, "blacklist vfio-pci\n", "target-conflict", "refused"),
        row("etc/default/grub", &grub("module_blacklist=vfio_iommu_type1"), "target-conflict", "refused"),
        row(xorg, &device("Driver \"nvidia\""), "desktop-names-guest", "ask"),
        row("etc/X11/xorg.conf", &device("\tdriver\t\"Nouveau\" # it"), "desktop-names-guest", "ask"),
        row("etc/default/grub", &grub("modprobe.blacklist=nouveau,i915"), "host-without-driver", "refused"),
        row("etc/default/grub", &grub("module_blacklist=i915"), "host-without-driver", "refused"),
        row(xorg, "Section \"Device\"\n  BusID \"PCI:1:0:0\"\nEndSection\n", "desktop-names-guest", "ask"),
        row(xorg, "\tbusid   \"pci:1:0\" # the card\n", "desktop-names-guest", "ask"),
        row("etc/X11/xorg.conf", "  BusID \"PCI:1@0:0:0\"\n", "desktop-names-guest", "ask"),
        row("etc/environment", "AQ_DRM_DEVICES=/dev/dri/card1\n", "desktop-names-guest", "ask"),
        row("etc/environment.d/50-gpu.conf", "GBM_BACKEND=nvidia-drm\n", "desktop-names-guest", "ask"),
        row("usr/bin/envycontrol", "x", "other-gpu-switcher", "ask"),
        row("usr/bin/optimus-manager", "x", "other-gpu-switcher", "ask"),
        row("etc/supergfxd.conf", "{}", "other-gpu-switcher", "ask"),
        row("etc/crypttab", "root UUID=1 - tpm2-device=auto\n", "tpm-sealed-root", "ask"),
        row("etc/default/grub", &grub("rd.luks.options=tpm2-device=auto"), "tpm-sealed-root", "ask"),
        row(
            "etc/systemd/system/multi-user.target.wants/nvidia-persistenced.service",
            "x",
            "nvidia-persistenced",
            "ready",
        ),
    ]
}

#[test]
fn what_stands_in_a_target_is_found() {
    for (path, text, code, verdict) in rows() {
        let judgement = usual("", |folder| put(folder, path, &text));
        let what = format!("{path}: {text}");
        let finding = found(&judgement, code).unwrap_or_else(|| panic!("{what}: no {code}"));
        assert!(!finding.hint.is_empty(), "{what}");
        assert_eq!(word(judgement.decision.verdict), verdict, "{what}");
        assert_eq!(judgement.decision.bind.is_empty(), verdict != "ready", "{what}");
        assert_eq!(judgement.decision.question.is_some(), verdict == "ask", "{what}");
    }
}

#[test]
fn what_only_looks_alike_is_not() {
    let xorg = "etc/X11/xorg.conf.d/10-gpu.conf";
    let modprobe = "etc/modprobe.d/my.conf";
    for (path, text) in [
        ("etc/default/grub", grub("nomodesetting xnomodeset") + "# GRUB_CMDLINE_LINUX=nomodeset\n"),
        ("etc/default/grub", grub("noresume")),
        ("etc/default/grub", grub("intel_iommu=on,sm_on iommu=pt xiommu=off")),
        ("etc/default/grub", grub("vfio-pci.disable_vga=1 xvfio-pci.ids=1")),
        (modprobe, "# options vfio-pci ids=10de:1e87\noptions vfio-pci disable_vga=1\n".to_owned()),
        (modprobe, "options kvm ids=1\nblacklist nouveau\ninstall i915 /sbin/modprobe -i i915\n".to_owned()),
        ("etc/modprobe.d/my.conf.bak", "blacklist i915\n".to_owned()),
        ("etc/default/grub", grub("modprobe.blacklist=nouveau,i9155")),
        ("etc/default/grub", grub("i915.modeset=0 i915.modeset=1 nouveau.modeset=0 -- i915.modeset=0")),
        (modprobe, "options i915 modeset=1 disable_display=0\noptions nouveau modeset=0\n".to_owned()),
        (modprobe, "# options i915 modeset=0\noptions i915x modeset=0\n".to_owned()),
        (xorg, device("Driver \"modesetting\"")),
        (xorg, device("Driver \"intel\"")),
        (xorg, device("# Driver \"nvidia\"")),
        (xorg, device("Driver \"nvidia\"\n  BusID \"PCI:0:2:0\"")),
        (xorg, device("BusID \"PCI:0:2:0\"\n  Driver \"nvidia\"")),
        (xorg, "Section \"OutputClass\"\n  Driver \"nvidia\"\nEndSection\n".to_owned()),
        (xorg, "  BusID \"PCI:0:2:0\"\n  # BusID \"PCI:1:0:0\"\n  Option \"x\" \"PCI:1:0:0\"\n".to_owned()),
        (xorg, "  BusID \"PCI:1:0:1\"\n  BusID \"PCI:10:0:0\"\n  BusID \"PCI:\"\n  BusID\n".to_owned()),
        ("etc/environment", "# AQ_DRM_DEVICES=/dev/dri/card1\nEDITOR=vi\n".to_owned()),
        ("etc/crypttab", "# root UUID=1 - tpm2-device=auto\nhome UUID=2 /key luks\n".to_owned()),
        ("etc/default/grub", grub("rd.luks.uuid=1")),
    ] {
        let judgement = usual("", |folder| put(folder, path, &text));
        assert_eq!(judgement.decision.findings, [], "{path}: {text}");
        assert_eq!(judgement.decision.verdict, Verdict::Ready);
    }
}

#[test]
fn a_named_override_answers_its_question_and_no_other() {
    let rows = rows();
    let asking: Vec<_> = rows.iter().filter(|(.., verdict)| *verdict == "ask").collect();
    for (path, text, code, _) in &asking {
        let allowed =
            usual(&format!("[passthrough]\nallow = [\"{code}\"]\n"), |folder| put(folder, path, text));
        assert_eq!(allowed.decision.verdict, Verdict::Ready, "{path}: {text}");
        assert!(found(&allowed, code).is_some(), "it is still told: {path}");
        let other = usual("[passthrough]\nallow = [\"only-gpu\"]\n", |folder| put(folder, path, text));
        assert_eq!(other.decision.verdict, Verdict::Ask, "{path}: {text}");
    }
    assert!(asking.len() > 8);
}

#[test]
fn kernels_are_asked_what_they_have() {
    let refused = |code: &str, target: &str, change: &dyn Fn(&Path)| {
        let judgement = with("made-rtx-usbc-igpu", target, "", change);
        assert_eq!(judgement.decision.verdict, Verdict::Refused, "{target}: {code}");
        assert!(found(&judgement, code).is_some(), "{target}: {:?}", judgement.decision.findings);
    };
    refused("no-kernel", "empty", &|_| {});
    refused("no-kernel", "arch-grub", &|folder| {
        fs::remove_file(folder.join(KERNEL).join("modules.dep")).unwrap();
    });
    refused("vfio-missing", "kernel-without-vfio", &|_| {});
    refused("host-without-driver", "host-driver-blacklisted", &|_| {});
    refused("host-without-driver", "arch-grub", &|folder| {
        put(folder, &format!("{KERNEL}/modules.alias"), "\n");
    });
    refused("claimed-elsewhere", "vfio-by-hand", &|_| {});
    // A second kernel that lacks something is not made good by the first.
    refused("vfio-missing", "arch-grub", &|folder| {
        put(folder, "usr/lib/modules/6.1.0-mine/modules.dep", "kernel/fs/ext4/ext4.ko:\n");
    });
    for target in ["kernel-6.1-only", "two-kernels-6.1", "arch-systemd-boot", "arch-kernel-cmdline"] {
        let judgement = with("made-rtx-usbc-igpu", target, "", |_| {});
        assert_eq!(judgement.decision.verdict, Verdict::Ready, "{target}: {:?}", judgement.decision.findings);
    }
}

#[test]
fn a_host_driver_that_is_built_in_needs_no_alias_and_one_that_is_not_known_is_told() {
    let alias = format!("{KERNEL}/modules.alias");
    let unknown = usual("", |folder| fs::remove_file(folder.join(&alias)).unwrap());
    assert!(found(&unknown, "host-driver-unknown").is_some());
    assert_eq!(unknown.decision.verdict, Verdict::Ready);
    let builtin = usual("", |folder| {
        put(folder, &alias, "\n");
        put(folder, &format!("{KERNEL}/modules.builtin"), "kernel/drivers/gpu/drm/i915/i915.ko\n");
        let list = folder.join(KERNEL).join("modules.dep");
        let text = fs::read_to_string(&list).unwrap();
        let rest: Vec<&str> = text.lines().filter(|line| !line.contains("i915.ko")).collect();
        fs::write(&list, rest.join("\n")).unwrap();
    });
    assert_eq!(builtin.decision.findings, []);
}

#[test]
fn vfio_that_is_built_in_reads_its_ids_from_the_command_line() {
    let own = |judgement: &Judgement| judgement.parameters.iter().any(|one| one.starts_with("vfio-pci.ids="));
    let builtin = with("made-rtx-usbc-igpu", "kernel-vfio-built-in", "", |_| {});
    assert!(own(&builtin), "{:?}", builtin.parameters);
    assert_eq!(builtin.decision.verdict, Verdict::Ready, "{:?}", builtin.decision.findings);
    assert!(!own(&usual("", |_| {})));
    // What stands there from the last time is ours, not another claim.
    let parameter = builtin.parameters.iter().find(|one| one.starts_with("vfio-pci.ids=")).unwrap();
    let again = with("made-rtx-usbc-igpu", "kernel-vfio-built-in", "", |folder| {
        put(folder, "etc/default/grub", &grub(parameter));
    });
    assert_eq!(again.decision.verdict, Verdict::Ready, "{:?}", again.decision.findings);
}

const HOOK: &str = "usr/lib/initcpio/install/neuron-vfio";

#[test]
fn by_address_there_has_to_be_the_early_hook() {
    let by_address = "[passthrough]\nmatch = \"address\"\n";
    let without = usual(by_address, |_| {});
    assert_eq!(without.decision.verdict, Verdict::Refused);
    let finding = found(&without, "early-hook-missing").unwrap();
    assert!(finding.message.contains(policy::target::HOOK_PACKAGE), "{}", finding.message);
    let with_hook = usual(by_address, |folder| put(folder, HOOK, "x"));
    assert_eq!(with_hook.decision.verdict, Verdict::Ready);
    assert_eq!(with_hook.decision.matching, Matching::Address);
}

#[test]
fn a_driver_that_is_built_in_can_only_be_undone_by_the_early_hook() {
    let without = with("made-rtx-usbc-igpu", "kernel-xhci-built-in", "", |_| {});
    assert_eq!((without.decision.verdict, without.decision.matching), (Verdict::Refused, Matching::Address));
    assert!(found(&without, "builtin-driver").is_some() && found(&without, "early-hook-missing").is_some());
    let with_hook = with("made-rtx-usbc-igpu", "kernel-xhci-built-in", "", |folder| put(folder, HOOK, "x"));
    assert_eq!(with_hook.decision.verdict, Verdict::Ready, "{:?}", with_hook.decision.findings);
    // A card without a USB function does not care.
    let plain = with("made-no-reset-method", "kernel-xhci-built-in", "", |_| {});
    assert_eq!(plain.decision.matching, Matching::Ids);
    assert!(found(&plain, "builtin-driver").is_none());
}

#[test]
fn an_encrypted_root_is_asked_about_where_its_prompt_would_be_on_the_guests_gpu() {
    let luks = grub("cryptdevice=UUID=1:root");
    let allowed = "[passthrough]\nallow = [\"guest-is-boot-vga\"]\n";
    let both = "[passthrough]\nallow = [\"guest-is-boot-vga\", \"encrypted-root-prompt\"]\n";
    let judge = |machine: &str, text: &str| {
        with(machine, "arch-grub", text, |folder| put(folder, "etc/default/grub", &luks)).decision.verdict
    };
    assert_eq!(judge("made-dgpu-is-boot-vga", allowed), Verdict::Ask);
    assert_eq!(judge("made-dgpu-is-boot-vga", both), Verdict::Ready);
    assert_eq!(judge("made-rtx-usbc-igpu", ""), Verdict::Ready);
    let open = with("made-dgpu-is-boot-vga", "arch-grub", allowed, |_| {});
    assert_eq!(open.decision.verdict, Verdict::Ready);
}

#[test]
fn huge_pages_are_reserved_by_one_alone() {
    let wanted = ["default_hugepagesz=1G".to_owned(), "hugepages=8".to_owned()];
    let reserve = |text: &str, line: &str, ours: &[String]| {
        let folder = neuron_tests::scratch().unwrap();
        neuron_tests::target::copy("arch-grub", folder.path()).unwrap();
        put(folder.path(), "etc/default/grub", &grub(line));
        let facts = &seen("made-rtx-usbc-igpu").facts;
        let read = Target::read(&Root::directory(folder.path()).unwrap(), facts).unwrap();
        policy::target::reserve(policy::judge(facts, &answers(text)), &read, Ok(wanted.to_vec()), ours)
    };
    let ours = ["default_hugepagesz=1G".to_owned(), "hugepages=4".to_owned()];
    let extra = "[passthrough]\nextra_parameters = [\"hugepages=512\"]\n";
    for (text, line, ours, verdict) in [
        ("", "quiet", &[][..], Verdict::Ready),
        ("", "default_hugepagesz=1G hugepages=8", &[], Verdict::Ready),
        ("", "default_hugepagesz=1G hugepages=4", &ours, Verdict::Ready),
        ("", "default_hugepagesz=1G hugepages=4", &[], Verdict::Refused),
        ("", "hugepagesz=2M", &ours, Verdict::Refused),
        ("", "transparent_hugepage=never", &[], Verdict::Ready),
        (extra, "quiet", &[], Verdict::Refused),
    ] {
        let judgement = reserve(text, line, ours);
        assert_eq!(judgement.decision.verdict, verdict, "{text}{line}");
        assert_eq!(found(&judgement, "hugepages").is_some(), verdict == Verdict::Refused, "{text}{line}");
        assert!(wanted.iter().all(|token| judgement.parameters.contains(token)), "{text}{line}");
    }
    let off = reserve("[passthrough]\nmode = \"off\"\n", "quiet", &[]);
    assert_eq!(off.parameters, [""; 0]);
}

#[test]
fn the_target_changes_nothing_about_a_refusal_a_question_or_off() {
    for (machine, text) in [
        ("made-single-gpu", ""),
        ("made-dgpu-is-boot-vga", ""),
        ("made-rtx-usbc-igpu", "[passthrough]\nmode = \"off\"\n"),
    ] {
        let judgement = with(machine, "empty", text, |_| {});
        assert_eq!(judgement, policy::judge(&seen(machine).facts, &answers(text)), "{machine}");
    }
}

#[test]
fn a_parameter_that_ours_do_not_replace_cannot_be_allowed() {
    let allow = "[passthrough]\nallow = [\"iommu-off-on-cmdline\"]\n";
    let no_pt = "[passthrough]\nallow = [\"iommu-off-on-cmdline\"]\niommu_pt = false\n";
    let ordinary = |line: &str| format!("GRUB_CMDLINE_LINUX_DEFAULT='quiet {line}'\n");
    let judge = |text: &str, file: &str| usual(text, |folder| put(folder, "etc/default/grub", file));
    for (text, line, verdict) in [
        (allow, "intel_iommu=off", Verdict::Ready),
        (allow, "iommu=soft", Verdict::Ready),
        (no_pt, "intel_iommu=off", Verdict::Ready),
        (no_pt, "iommu=off", Verdict::Ask),
        (allow, "amd_iommu=off", Verdict::Ask),
    ] {
        let judgement = judge(text, &ordinary(line));
        assert_eq!(judgement.decision.verdict, verdict, "{text}{line}");
        let hint = &found(&judgement, "iommu-off-on-cmdline").unwrap().hint;
        assert_eq!(hint.contains("allow ="), verdict == Verdict::Ready, "{text}{line}: {hint}");
    }
    // Ours goes to GRUB_CMDLINE_LINUX_DEFAULT; behind what the other variable says, `on` takes an
    // `off` back, and `pt` does not.
    assert_eq!(judge(allow, &grub("intel_iommu=off")).decision.verdict, Verdict::Ready);
    assert_eq!(judge(allow, &grub("iommu=off")).decision.verdict, Verdict::Ask);
}

#[test]
fn a_claim_on_the_command_line_is_ours_only_where_we_make_one() {
    let claim = grub("vfio-pci.ids=10de:1e87,10de:10f8,10de:1ad8,10de:1ad9");
    let judgement = usual("", |folder| put(folder, "etc/default/grub", &claim));
    assert_eq!(judgement.decision.verdict, Verdict::Refused);
    assert!(found(&judgement, "claimed-elsewhere").is_some());
    // Even where the answers ask for just that.
    let own = "[passthrough]\nextra_parameters = [\"vfio-pci.ids=10de:1e87\"]\n";
    let judgement = usual(own, |folder| put(folder, "etc/default/grub", &grub("vfio-pci.ids=10de:1e87")));
    assert_eq!(judgement.decision.verdict, Verdict::Refused);
    assert!(found(&judgement, "parameter-refused").is_some());
}

#[test]
fn the_command_line_is_judged_as_it_will_be() {
    // The machine drives its host GPU by i915 now; the target has nothing but what a person adds.
    let mut facts = seen("made-rtx-usbc-igpu").facts.clone();
    let host = "0000:00:02.0".parse().unwrap();
    facts.functions.get_mut(&host).unwrap().driver = Some("simple-framebuffer".to_owned());
    let given = answers("[passthrough]\nextra_parameters = [\"i915.modeset=0\"]\n");
    let folder = neuron_tests::scratch().unwrap();
    neuron_tests::target::copy("arch-grub", folder.path()).unwrap();
    let read = Target::read(&Root::directory(folder.path()).unwrap(), &facts).unwrap();
    let machine_alone = policy::judge(&facts, &given);
    assert_eq!(machine_alone.decision.verdict, Verdict::Ready, "nothing is known of the driver here");
    let judgement = policy::target::judge(machine_alone, &facts, &given, &read);
    assert_eq!(judgement.decision.verdict, Verdict::Refused);
    assert!(found(&judgement, "host-without-driver").is_some());
}

#[test]
fn a_unit_that_is_masked_asks_nobody() {
    let asks = |change: &dyn Fn(&Path)| {
        let folder = neuron_tests::scratch().unwrap();
        neuron_tests::target::copy("systemd-boot-trial-unit", folder.path()).unwrap();
        change(&folder.path().join("etc/systemd/system/neuron-trial.service"));
        let root = Root::directory(folder.path()).unwrap();
        Target::read(&root, &seen("made-rtx-usbc-igpu").facts).unwrap().has_trial_unit()
    };
    let link = |to: &'static str| move |path: &Path| std::os::unix::fs::symlink(to, path).unwrap();
    assert!(asks(&|_| {}));
    assert!(!asks(&link("/dev/null")));
    assert!(!asks(&|path| fs::write(path, "").unwrap()));
    // One of somebody's own takes the place of the package's.
    assert!(asks(&|path| fs::write(path, "[Service]\nExecStart=/bin/true\n").unwrap()));
}
