//! Configuration in the target that speaks against a decision: other claims, desktops that name
//! the guest's GPU, other tools, encrypted roots, hibernation.

use super::super::iommu::turned_off_by;
use super::super::{Code, Finding, GpuRole, Judgement, Notes, Severity};
use super::ask_unless;
use crate::answers::{Answers, Override};
use crate::facts::Target;
use crate::id::PciAddress;
use crate::step::HEAD_MARK;
use crate::text::command_line;
use crate::text::{grub_default, kernel_cmdline, loader_entry, modprobe_conf};

/// The file that is ours; what it claims is no other claim.
const OURS: &str = "/etc/modprobe.d/vfio.conf";

/// Variables by which desktops pick a GPU.
const DESKTOP_VARIABLES: [&str; 5] =
    ["AQ_DRM_DEVICES", "WLR_DRM_DEVICES", "KWIN_DRM_DEVICES", "GBM_BACKEND", "__GLX_VENDOR_LIBRARY_NAME"];

pub(super) fn judge(judgement: &Judgement, answers: &Answers, target: &Target, notes: &mut Notes) {
    let lines = command_lines(target);
    other_claims(judgement, target, &lines, notes);
    for (place, line) in &lines {
        if let Some(token) = turned_off_by(line) {
            notes.ask(iommu_off(place, token), format!("{place} has {token}. May it go?"));
        }
        if command_line::has(line, "nomodeset") {
            notes.find(nomodeset(place));
        }
        if command_line::value(line, "resume").is_some() {
            notes.find(hibernation(place));
        }
    }
    desktop(judgement, answers, target, notes);
    switchers(answers, target, notes);
    encrypted_root(judgement, answers, target, &lines, notes);
    if target.has("/etc/systemd/system/multi-user.target.wants/nvidia-persistenced.service") {
        notes.find(Finding::new(
            Code::NvidiaPersistenced,
            Severity::Warning,
            "nvidia-persistenced is enabled; it holds NVIDIA GPUs open",
            "systemctl disable nvidia-persistenced, unless the host keeps an NVIDIA GPU that needs it",
        ));
    }
}

/// The command lines that the target's loaders would give to the kernel, with where they stand.
pub(super) fn command_lines(target: &Target) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    if let Some(text) = target.text("/etc/default/grub")
        && let Ok(line) = grub_default::command_line(text)
    {
        lines.push(("/etc/default/grub".to_owned(), line.known()));
    }
    if let Some(text) = target.text("/etc/kernel/cmdline") {
        lines.push(("/etc/kernel/cmdline".to_owned(), kernel_cmdline::command_line(text)));
    }
    for (path, state) in &target.files {
        if path.parent().ends_with("/loader/entries")
            && let Some(text) = state.text()
        {
            lines.push((path.to_string(), loader_entry::Entry::parse(text).options()));
        }
    }
    lines
}

fn other_claims(judgement: &Judgement, target: &Target, lines: &[(String, String)], notes: &mut Notes) {
    let block = |message: String, place: &str, notes: &mut Notes| {
        let hint = "take it away: two claims of vfio-pci do not add up, one replaces the other";
        notes.find(Finding::new(Code::ClaimedElsewhere, Severity::Blocker, message, hint).in_file(place));
    };
    for (place, line) in lines {
        if let Some(ids) = command_line::value(line, "vfio-pci.ids").flatten()
            && !judgement.parameters.iter().any(|own| own.ends_with(&format!("ids={ids}")))
        {
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

fn iommu_off(place: &str, token: &str) -> Finding {
    Finding::new(
        Code::IommuOffOnCmdline,
        Severity::Warning,
        format!("{place} has {token}, which turns the IOMMU off at the next boot"),
        "somebody had a reason; find it out, take the parameter away, then try again",
    )
    .in_file(place)
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
fn desktop(judgement: &Judgement, answers: &Answers, target: &Target, notes: &mut Notes) {
    let guests = &judgement.decision.guest_gpus;
    let mut places = Vec::new();
    let xorg = ["/etc/X11/xorg.conf.d", "/etc/X11"];
    for (path, state) in xorg.into_iter().flat_map(|directory| target.in_directory(directory)) {
        places.extend(find_line(state.text(), |line| names_bus(line, guests)).map(|line| (path, line)));
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
        ask_unless(answers, Override::DesktopNamesGuest, finding, question, notes);
    }
}

fn find_line(text: Option<&str>, is_it: impl Fn(&str) -> bool) -> Option<usize> {
    text?.lines().position(is_it).map(|index| index + 1)
}

/// Xorg writes `BusID "PCI:1:0:0"` (decimal, `PCI:bus@domain:device:function`; the case of the
/// letters does not count, and a missing function is 0). The domain is not looked at: a question
/// too many is better than one too few.
fn names_bus(line: &str, guests: &[PciAddress]) -> bool {
    let mut parts = line.splitn(3, '"');
    let (Some(key), Some(value)) = (parts.next(), parts.next()) else { return false };
    let value = value.to_ascii_lowercase();
    let Some(place) = value.strip_prefix("pci:").filter(|_| key.trim().eq_ignore_ascii_case("busid")) else {
        return false;
    };
    let mut numbers =
        place.split(':').map(|part| part.split('@').next().and_then(|part| part.trim().parse().ok()));
    let named = (numbers.next().flatten(), numbers.next().flatten(), numbers.next().unwrap_or(Some(0)));
    guests.iter().any(|guest| named == (Some(guest.bus()), Some(guest.device()), Some(guest.function())))
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
            ask_unless(answers, Override::OtherGpuSwitcher, finding, question, notes);
        }
    }
}

fn encrypted_root(
    judgement: &Judgement,
    answers: &Answers,
    target: &Target,
    lines: &[(String, String)],
    notes: &mut Notes,
) {
    let crypttab = target.text("/etc/crypttab").unwrap_or_default();
    let entries =
        || crypttab.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let on_a_line = |key: &str| {
        lines.iter().any(|(_, line)| {
            command_line::tokens(line)
                .any(|token| token.split('=').next().is_some_and(|name| name.starts_with(key)))
        })
    };
    let sealed = |line: &str| line.contains("tpm2-device=");
    let options = |line: &str| command_line::value(line, "rd.luks.options").flatten().is_some_and(sealed);
    if entries().any(sealed) || lines.iter().any(|(_, line)| options(line)) {
        let finding = Finding::new(
            Code::TpmSealedRoot,
            Severity::Warning,
            "a disk is unlocked by the TPM, which may refuse after the command line or the initramfs changed",
            "have the recovery key at hand, then allow = [\"tpm-sealed-root\"]",
        )
        .in_file("/etc/crypttab");
        ask_unless(answers, Override::TpmSealedRoot, finding, "Is the disk's recovery key at hand?", notes);
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
        ask_unless(answers, Override::EncryptedRootPrompt, finding, question, notes);
    }
}
