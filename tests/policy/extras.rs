//! Kernel parameters that the answers add: which are refused, beside those that only look alike.

use neuron_passthrough::policy::{Finding, Judgement, Severity, Verdict};

use super::{judged, seen};

/// An Intel desktop: UHD 630 by i915 for the host, an RTX 2080 by nvidia for the guest.
const INTEL: &str = "made-rtx-usbc-igpu";

fn with(machine: &str, extras: &[&str], more: &str) -> Judgement {
    judged(&seen(machine).facts, &format!("[passthrough]\nextra_parameters = {extras:?}\n{more}"))
}

fn refusals(judgement: &Judgement) -> Vec<&Finding> {
    let findings = judgement.decision.findings.iter();
    findings.filter(|finding| finding.code.to_string() == "parameter-refused").collect()
}

#[test]
fn what_would_take_the_hosts_gpu_or_undo_the_set_up_is_refused_by_name() {
    for extra in [
        "vfio-pci.ids=8086:3e92",
        "vfio_pci.ids=8086:3e92",
        "pci-stub.ids=8086:3e92",
        "root=/dev/sda1",
        "rootflags=subvol=x",
        "rootfstype=ext4",
        "init=/bin/sh",
        "rdinit=/bin/sh",
        "initrd=/x.img",
        "systemd.unit=rescue.target",
        "rd.systemd.unit=emergency.target",
        "single",
        "emergency",
        "3",
        "intel_iommu=off",
        "intel-iommu=sm_on,off",
        "amd_iommu=off",
        "amd_iommu=on",
        "iommu=off",
        "iommu=soft",
        "iommu=nopt",
        "iommu.passthrough=0",
        "intremap=off",
        "nointremap",
        "neuron.passthrough=off",
        "neuron.mode=x",
        "nomodeset",
        "modprobe.blacklist=nouveau,vfio-pci",
        "module_blacklist=vfio_iommu_type1",
        "rd.driver.blacklist=vfio",
        "modprobe.blacklist=i915",
        "module_blacklist=nouveau,i915",
        "rd.driver.blacklist=i915",
        "i915.modeset=0",
        "i915.disable_display=1",
    ] {
        let judgement = with(INTEL, &[extra], "");
        assert_eq!(judgement.decision.verdict, Verdict::Refused, "{extra}");
        assert!(judgement.decision.bind.is_empty(), "{extra}");
        let found = refusals(&judgement);
        assert_eq!(found.len(), 1, "{extra}: {found:?}");
        assert_eq!(found[0].severity, Severity::Blocker);
        assert!(found[0].message.contains(extra) && !found[0].hint.is_empty(), "{extra}: {found:?}");
    }
}

#[test]
fn what_only_looks_alike_is_kept() {
    for extra in [
        "vfio-pci.disable_vga=1",
        "vfio-pci.disable_idle_d3=1",
        "hugepages=8",
        "rootwait",
        "systemd.show_status=1",
        "quiet",
        "intel_iommu=on",
        "intel_iommu=on,sm_on",
        "intel_iommu=igfx_off",
        "iommu=pt",
        "iommu.passthrough=1",
        "intremap=on",
        "modprobe.blacklist=nouveau,snd_hda_intel",
        "module_blacklist=i9155",
        "nouveau.modeset=0",
        "nvidia-drm.modeset=0",
        "i915.modeset=1",
        "i915.enable_guc=0",
        "video=efifb:off",
        "neuronx=1",
    ] {
        let judgement = with(INTEL, &[extra], "");
        assert_eq!(refusals(&judgement), Vec::<&Finding>::new(), "{extra}");
        assert_eq!(judgement.decision.verdict, Verdict::Ready, "{extra}");
        assert!(judgement.parameters.iter().any(|one| one == extra), "{extra}");
    }
}

#[test]
fn each_kind_of_host_gpu_keeps_its_own_driver() {
    let rows = [
        ("made-amd-off-in-firmware", "nouveau.modeset=0"),
        ("x670e-carbon-rx7800-host-2070s-guest", "amdgpu.modeset=0"),
        ("x670e-carbon-rx7800-host-2070s-guest", "modprobe.blacklist=amdgpu"),
        ("made-bmc-two-dgpus", "ast.modeset=0"),
    ];
    for (machine, extra) in rows {
        assert_eq!(refusals(&with(machine, &[extra], "")).len(), 1, "{machine}: {extra}");
        assert!(refusals(&with(machine, &["i915.modeset=0"], "")).is_empty(), "{machine}: another's");
    }
    // nvidia shows its pictures by nvidia-drm.
    let mut facts = seen(INTEL).facts.clone();
    let host = facts.functions.get_mut(&"0000:00:02.0".parse().unwrap()).unwrap();
    host.driver = Some("nvidia".to_owned());
    let text = "[passthrough]\nextra_parameters = [\"nvidia-drm.modeset=0\"]\n";
    assert_eq!(refusals(&judged(&facts, text)).len(), 1);
}

#[test]
fn parameters_that_contradict_each_other_are_refused() {
    let no_pt = "iommu_pt = false\n";
    for (extras, more) in [
        (["iommu=pt", "iommu=nopt"], no_pt),
        (["iommu=nopt", "iommu=pt"], no_pt),
        (["mitigations=off", "mitigations=auto"], ""),
        (["i915.enable_guc=0", "i915.enable-guc=3"], ""),
    ] {
        let judgement = with(INTEL, &extras, more);
        assert_eq!(refusals(&judgement).len(), 1, "{extras:?}: {:?}", judgement.decision.findings);
        assert!(refusals(&with(INTEL, &extras[1..], more)).is_empty(), "one of them alone: {extras:?}");
    }
    for extras in [
        ["console=tty0", "console=ttyS0"],
        ["hugepagesz=1G", "hugepagesz=2M"],
        ["intel_iommu=on", "intel_iommu=sm_on"],
        ["mitigations=off", "mitigations=off"],
    ] {
        assert!(refusals(&with(INTEL, &extras, "")).is_empty(), "{extras:?}");
    }
}

#[test]
fn with_mode_off_nothing_is_written_so_nothing_is_refused() {
    let judgement = with(INTEL, &["nomodeset"], "mode = \"off\"\n");
    assert!(refusals(&judgement).is_empty() && judgement.parameters.is_empty());
}

#[test]
fn what_nothing_acts_on_yet_is_told_or_refused() {
    let code = |judgement: &Judgement, code: &str| {
        judgement.decision.findings.iter().find(|finding| finding.code.to_string() == code).cloned()
    };
    let facts = &seen(INTEL).facts;
    for (entry, is_host) in [("host", true), ("passthrough", false)] {
        let judgement = judged(facts, &format!("[passthrough]\ndefault_entry = \"{entry}\"\n"));
        assert_eq!((judgement.decision.verdict, judgement.host_is_default), (Verdict::Ready, is_host));
    }
    let judgement = judged(facts, "[vgpu]\nkind = \"mdev\"\n");
    assert_eq!(judgement.decision.verdict, Verdict::Ready);
    let finding = code(&judgement, "kept-for-later").unwrap();
    assert!(finding.message.contains("[vgpu]") && finding.severity == Severity::Info, "{finding:?}");
    // A domain is made of these, by `vm define`.
    for text in ["[vgpu]\nkind = \"none\"\n", "[vm.windows11]\n", "[audio]\nbackend = \"none\"\n"] {
        assert_eq!(code(&judged(facts, text), "kept-for-later"), None, "{text}");
    }
}
