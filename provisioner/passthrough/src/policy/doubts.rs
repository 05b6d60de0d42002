//! What speaks against a choice that the rules allow: questions and warnings.

use super::gpu::Gpu;
use super::kind::GpuKind;
use super::{Code, Finding, Notes, Severity, override_name};
use crate::answers::{Override, Passthrough};
use crate::facts::{Chassis, Machine};
use crate::id::PciAddress;

/// Doubts that concern the whole machine.
pub(super) fn of_machine(machine: &Machine, wishes: &Passthrough, notes: &mut Notes) {
    if machine.parameter("pcie_acs_override").is_some() {
        let finding = Finding::new(
            Code::AcsOverridePresent,
            Severity::Warning,
            "pcie_acs_override splits the IOMMU groups; the isolation is claimed, not real",
            format!(
                "a guest could reach other devices; boot without it, or trust it: allow = [\"{}\"]",
                override_name(Override::AcsOverride)
            ),
        );
        notes.ask_unless(
            wishes.allows(Override::AcsOverride),
            finding,
            "The IOMMU groups were split by pcie_acs_override. Do you trust them?",
        );
    }
    if machine.secure_boot == Some(true) {
        notes.find(Finding::new(
            Code::SecureBootAndDkms,
            Severity::Info,
            "Secure Boot is on: the kernel loads only modules that are signed",
            "vfio-pci comes with the kernel and is; a module built by DKMS (kvmfr, nvidia) has to be signed",
        ));
    }
}

/// Doubts about one guest GPU.
pub(super) fn of_guest(
    machine: &Machine,
    guest: &Gpu,
    gpus: &[Gpu],
    host: Option<PciAddress>,
    wishes: &Passthrough,
    notes: &mut Notes,
) {
    if guest.is_external {
        notes.find(
            Finding::new(
                Code::ExternalGpu,
                Severity::Blocker,
                "this GPU can be unplugged: at boot it may come late or not at all",
                "name another GPU (guest_gpus); giving one away on demand is not there yet",
            )
            .about(guest.address),
        );
    }
    boot_vga(guest, wishes, notes);
    panel(guest, wishes, notes);
    outputs(machine, guest, gpus.iter().find(|gpu| Some(gpu.address) == host), notes);
    reset(machine, guest, notes);
    if guest.kind == GpuKind::Integrated {
        notes.find(
            Finding::new(
                Code::GuestIsIntegrated,
                Severity::Warning,
                "this GPU is part of the processor; few of them work in a guest",
                "prefer a discrete GPU",
            )
            .about(guest.address),
        );
    }
    let largest =
        machine.functions.get(&guest.address).and_then(|function| function.regions.iter().max().copied());
    if let Some(size) = largest.filter(|size| *size > 256 << 20) {
        notes.find(
            Finding::new(
                Code::ResizableBar,
                Severity::Info,
                format!("resizable BAR is on: {} MiB of its memory are mapped", size >> 20),
                "the guest's firmware needs room above 4 GiB for it; that is prepared",
            )
            .about(guest.address),
        );
    }
}

fn boot_vga(guest: &Gpu, wishes: &Passthrough, notes: &mut Notes) {
    if guest.boot_vga != Some(true) {
        return;
    }
    let rule = Override::GuestIsBootVga;
    let finding = Finding::new(
        Code::GuestIsBootVga,
        Severity::Warning,
        "the firmware shows its picture on this GPU; after it is given away, boot messages are not seen",
        format!(
            "choose another GPU as primary display in the firmware's setup and plug the monitor in there, \
             or accept it: allow = [\"{}\"]",
            override_name(rule)
        ),
    )
    .about(guest.address);
    let question = format!("{} shows the boot picture. Give it away all the same?", guest.address);
    notes.ask_unless(wishes.allows(rule), finding, question);
}

fn panel(guest: &Gpu, wishes: &Passthrough, notes: &mut Notes) {
    if !guest.drives_panel {
        return;
    }
    let rule = Override::GuestDrivesPanel;
    let finding = Finding::new(
        Code::GuestDrivesPanel,
        Severity::Warning,
        "the laptop's internal panel hangs on this GPU and would go dark",
        format!(
            "switch the multiplexer to hybrid graphics and reboot, or accept it: allow = [\"{}\"]",
            override_name(rule)
        ),
    )
    .about(guest.address);
    let question = format!("{} drives the internal panel, which would go dark. Give it away?", guest.address);
    notes.ask_unless(wishes.allows(rule), finding, question);
}

fn outputs(machine: &Machine, guest: &Gpu, host: Option<&Gpu>, notes: &mut Notes) {
    if guest.has_display && !guest.drives_panel && host.is_some_and(|host| !host.has_display) {
        notes.find(
            Finding::new(
                Code::MonitorOnGuest,
                Severity::Warning,
                "the monitor is plugged into this GPU and none into the host's",
                format!(
                    "plug a cable into {} before the reboot; else the host's picture goes nowhere",
                    host.map_or_else(String::new, |host| format!("the host's GPU {}", host.address))
                ),
            )
            .about(guest.address),
        );
    }
    // What drives the panel has a display, whatever its connectors say.
    if guest.drives_panel || (machine.chassis != Chassis::Laptop && guest.has_outputs) {
        return;
    }
    let hint = if guest.has_outputs {
        "use Looking Glass; where the GPU has an outlet of its own, a dummy plug gives the guest a display"
    } else {
        "no dummy plug fits: use Looking Glass with a virtual display driver in the guest"
    };
    notes.find(
        Finding::new(
            Code::MuxlessLaptop,
            Severity::Info,
            "this GPU may have no display of its own to draw on",
            hint,
        )
        .about(guest.address),
    );
}

fn reset(machine: &Machine, guest: &Gpu, notes: &mut Notes) {
    if guest.reset_methods.as_ref().is_some_and(Vec::is_empty) {
        notes.find(
            Finding::new(
                Code::NoResetMethod,
                Severity::Warning,
                "the kernel knows no way to reset this GPU",
                "a guest may be able to use it only once for each boot of the host",
            )
            .about(guest.address),
        );
    }
    if machine.functions.get(&guest.address).and_then(|function| function.id).is_some_and(has_reset_trouble) {
        notes.find(
            Finding::new(
                Code::AmdResetRisk,
                Severity::Warning,
                "AMD GPUs of this generation often do not come back after a guest stops",
                "the vendor-reset kernel module helps many of them; else reboot the host",
            )
            .about(guest.address),
        );
    }
}

/// AMD's Polaris, Vega and Navi 1x: the generations that the vendor-reset project was made for.
fn has_reset_trouble(id: crate::id::PciId) -> bool {
    id.vendor == 0x1002
        && matches!(
            id.device,
            0x67c0..=0x67ff | 0x6980..=0x699f | 0x6fdf      // Polaris
            | 0x6860..=0x687f | 0x66a0..=0x66af | 0x69a0..=0x69af // Vega 10, 20, 12
            | 0x7310..=0x731f | 0x7340..=0x734f | 0x7360..=0x7362 // Navi 10, 14, 12
        )
}
