//! Configuration in the target that speaks against a decision: other claims, desktops that name
//! the guest's GPU, other tools, encrypted roots, hibernation.

use super::super::extras::VFIO;
use super::super::iommu::turned_off_by;
use super::super::{Code, Finding, GpuRole, Judgement, Notes, Severity, override_name};
use super::host_driver::Away;
use super::lines::Line;
use super::xorg;
use crate::answers::{Answers, Override};
use crate::facts::{Machine, Target};
use crate::step::HEAD_MARK;
use crate::text::{command_line, modprobe_conf};

/// The file that is ours; what it claims is no other claim.
const OURS: &str = "/etc/modprobe.d/vfio.conf";

/// Variables by which desktops pick a GPU.
const DESKTOP_VARIABLES: [&str; 5] =
    ["AQ_DRM_DEVICES", "WLR_DRM_DEVICES", "KWIN_DRM_DEVICES", "GBM_BACKEND", "__GLX_VENDOR_LIBRARY_NAME"];

/// What is judged, and what with.
pub(super) struct Seen<'a> {
    pub(super) judgement: &'a Judgement,
    pub(super) machine: &'a Machine,
    pub(super) answers: &'a Answers,
    pub(super) target: &'a Target,
    pub(super) lines: &'a [Line],
}

/// Judges the target's configuration. `claim` is the parameter by which we claim ids ourselves.
pub(super) fn judge(seen: &Seen<'_>, claim: Option<&str>, notes: &mut Notes) {
    let Seen { judgement, answers, target, lines, .. } = *seen;
    other_claims(target, lines, claim, notes);
    for line in lines {
        iommu_off(line, answers, notes);
        if command_line::has(&line.after, "nomodeset") {
            notes.find(nomodeset(line.place("nomodeset")));
        }
        if command_line::value(&line.after, "resume").is_some() {
            notes.find(hibernation(line.place("resume")));
        }
    }
    desktop(seen, notes);
    switchers(answers, target, notes);
    encrypted_root(judgement, answers, target, lines, notes);
    if target.has("/etc/systemd/system/multi-user.target.wants/nvidia-persistenced.service") {
        notes.find(Finding::new(
            Code::NvidiaPersistenced,
            Severity::Warning,
            "nvidia-persistenced is enabled; it holds NVIDIA GPUs open",
            "systemctl disable nvidia-persistenced, unless the host keeps an NVIDIA GPU that needs it",
        ));
    }
}

/// Refuses modules of vfio's that the target keeps from loading: nothing would be claimed.
pub(super) fn vfio_kept_away(away: &[Away], notes: &mut Notes) {
    for Away { module, place, .. } in away.iter().filter(|one| VFIO.contains(&one.module.as_str())) {
        notes.find(Finding::new(
            Code::TargetConflict,
            Severity::Blocker,
            format!("{module} is kept from loading by {place}: the GPU would not be claimed"),
            "take that away; vfio claims only what it is told to",
        ));
    }
}

fn other_claims(target: &Target, lines: &[Line], claim: Option<&str>, notes: &mut Notes) {
    let block = |message: String, place: &str, notes: &mut Notes| {
        let hint = "take it away: two claims of vfio-pci do not add up, one replaces the other";
        notes.find(Finding::new(Code::ClaimedElsewhere, Severity::Blocker, message, hint).in_file(place));
    };
    for line in lines {
        if let Some(ids) = command_line::value(&line.before, "vfio-pci.ids").flatten()
            && claim.and_then(|claim| claim.split_once('=')).is_none_or(|(_, own)| own != ids)
        {
            let place = line.place(&format!("vfio-pci.ids={ids}"));
            block(
                format!("{place} has vfio-pci.ids={ids}, which replaces what vfio.conf says"),
                place,
                notes,
            );
        }
    }
    if target.text(OURS).is_some_and(|text| !text.starts_with(HEAD_MARK)) {
        notes.find(
            Finding::new(
                Code::ClaimedElsewhere,
                Severity::Warning,
                format!("{OURS} was written by somebody else, and it is replaced"),
                "`neuron-provisioner revert` brings it back",
            )
            .in_file(OURS),
        );
    }
    for (path, state) in target.in_directory("/etc/modprobe.d").filter(|(path, _)| path.as_str() != OURS) {
        for directive in modprobe_conf::directives(state.text().unwrap_or_default()) {
            if directive.module == "vfio_pci" && directive.option("ids").is_some() {
                let message = format!("{path}, line {} claims ids for vfio-pci as well", directive.line);
                block(message, path.as_str(), notes);
            }
        }
    }
}

/// A line that turns the IOMMU off: may our parameter replace that, or does it take a person?
fn iommu_off(line: &Line, answers: &Answers, notes: &mut Notes) {
    let Some(token) = turned_off_by(&line.before) else { return };
    let place = line.place(token);
    let rule = Override::IommuOffOnCmdline;
    let stays = turned_off_by(&line.after);
    let hint = match stays {
        Some(stays) => format!(
            "no parameter of ours replaces {stays}; somebody had a reason: find it out, take it away, then try again"
        ),
        None => format!(
            "somebody had a reason; find it out, then take the parameter away, or let ours replace it: allow = [\"{}\"]",
            override_name(rule)
        ),
    };
    let message = format!("{place} has {token}, which turns the IOMMU off at the next boot");
    let finding = Finding::new(Code::IommuOffOnCmdline, Severity::Warning, message, hint).in_file(place);
    let question = match stays {
        Some(stays) => {
            format!("{place} has {stays}; why? It has to go from there first, no answer takes it away.")
        }
        None => format!("{place} has {token}. May our parameter replace it?"),
    };
    notes.ask_unless(stays.is_none() && answers.passthrough.allows(rule), finding, question);
}

fn nomodeset(place: &str) -> Finding {
    Finding::new(
        Code::Nomodeset,
        Severity::Blocker,
        format!(
            "{place} has nomodeset: the host's GPU would have no driver, and no picture after the hand-over"
        ),
        "take nomodeset away and see that the host still shows a picture, then try again",
    )
    .in_file(place)
}

fn hibernation(place: &str) -> Finding {
    Finding::new(
        Code::Hibernation,
        Severity::Warning,
        format!("{place} has resume=: this system can hibernate, and a GPU that a guest holds does not survive that"),
        "shut the guest down before hibernating",
    )
    .in_file(place)
}

/// Desktop configuration that names a guest's GPU: the session would be black though all is well.
fn desktop(seen: &Seen<'_>, notes: &mut Notes) {
    let Seen { judgement, answers, target, .. } = *seen;
    let guests = &judgement.decision.guest_gpus;
    let drivers = xorg::drivers_of_guests_only(judgement, seen.machine);
    let mut places = Vec::new();
    let directories = ["/etc/X11/xorg.conf.d", "/etc/X11"];
    for (path, state) in directories.into_iter().flat_map(|directory| target.in_directory(directory)) {
        let text = state.text().unwrap_or_default();
        places.extend(xorg::naming_line(text, guests, &drivers).map(|line| (path, line)));
    }
    let environment =
        ["/etc/environment.d", "/etc"].into_iter().flat_map(|directory| target.in_directory(directory));
    for (path, state) in
        environment.filter(|(path, _)| path.parent() != "/etc" || path.file_name() == "environment")
    {
        let names = |line: &str| {
            let line = line.trim_start();
            !line.starts_with('#') && DESKTOP_VARIABLES.iter().any(|name| line.contains(name))
        };
        places.extend(find_line(state.text(), names).map(|line| (path, line)));
    }
    for (path, line) in places {
        let message = format!("{path}, line {line} picks a GPU for the desktop, perhaps the guest's");
        let finding = Finding::new(
            Code::DesktopNamesGuest,
            Severity::Warning,
            message,
            "let it name the host's GPU, or take the line away; if it is right, allow = [\"desktop-names-guest\"]",
        )
        .in_file(path.as_str());
        let question = format!("{path}, line {line} picks a GPU for the desktop. Is it the host's?");
        notes.ask_unless(answers.passthrough.allows(Override::DesktopNamesGuest), finding, question);
    }
}

fn find_line(text: Option<&str>, is_it: impl Fn(&str) -> bool) -> Option<usize> {
    text?.lines().position(is_it).map(|index| index + 1)
}

fn switchers(answers: &Answers, target: &Target, notes: &mut Notes) {
    let tools = [
        ("/usr/bin/envycontrol", "EnvyControl"),
        ("/usr/bin/optimus-manager", "optimus-manager"),
        ("/etc/supergfxd.conf", "supergfxd"),
    ];
    for (trace, tool) in tools {
        if target.has(trace) || target.text(trace).is_some() {
            let finding = Finding::new(
                Code::OtherGpuSwitcher,
                Severity::Warning,
                format!("{tool} is installed; it moves GPUs too and may undo this, or hide a GPU"),
                "remove it, or set it to leave both GPUs on, then allow = [\"other-gpu-switcher\"]",
            )
            .in_file(trace);
            let question = format!("{tool} moves GPUs too. Is it switched off?");
            notes.ask_unless(answers.passthrough.allows(Override::OtherGpuSwitcher), finding, question);
        }
    }
}

fn encrypted_root(
    judgement: &Judgement,
    answers: &Answers,
    target: &Target,
    lines: &[Line],
    notes: &mut Notes,
) {
    let crypttab = target.text("/etc/crypttab").unwrap_or_default();
    let entries =
        || crypttab.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let on_a_line = |key: &str| {
        lines.iter().any(|line| {
            command_line::tokens(&line.after)
                .any(|token| token.split('=').next().is_some_and(|name| name.starts_with(key)))
        })
    };
    let sealed = |line: &str| line.contains("tpm2-device=");
    let options = |line: &str| command_line::value(line, "rd.luks.options").flatten().is_some_and(sealed);
    if entries().any(sealed) || lines.iter().any(|line| options(&line.after)) {
        let finding = Finding::new(
            Code::TpmSealedRoot,
            Severity::Warning,
            "a disk is unlocked by the TPM, which may refuse after the command line or the initramfs changed",
            "have the recovery key at hand, then allow = [\"tpm-sealed-root\"]",
        )
        .in_file("/etc/crypttab");
        notes.ask_unless(
            answers.passthrough.allows(Override::TpmSealedRoot),
            finding,
            "Is the disk's recovery key at hand?",
        );
    }
    let encrypted = on_a_line("cryptdevice") || on_a_line("rd.luks");
    let guest_has_console =
        judgement.gpus.iter().any(|gpu| gpu.role == GpuRole::Guest && gpu.boot_vga == Some(true));
    if encrypted && guest_has_console {
        let finding = Finding::new(
            Code::EncryptedRootPrompt,
            Severity::Warning,
            "the root is encrypted, and its passphrase prompt may appear on the guest's GPU",
            "make the host's GPU the firmware's primary display, or allow = [\"encrypted-root-prompt\"]",
        );
        let question = "The passphrase prompt may appear on the guest's GPU. Can you type it blind?";
        notes.ask_unless(answers.passthrough.allows(Override::EncryptedRootPrompt), finding, question);
    }
}
