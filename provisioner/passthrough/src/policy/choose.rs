//! Chooses who keeps which GPU. Explicit answers first, then the order of preference; a tie is a
//! question, never a guess.

use std::cmp::Reverse;

use super::gpu::{Gpu, Viability};
use super::kind::GpuKind;
use super::{Code, Finding, Notes, Severity, override_name};
use crate::answers::{Gpus, HostGpu, Override, Passthrough};
use crate::id::{FunctionName, PciAddress};

/// Who keeps which GPU.
#[derive(Debug, Clone, Default)]
pub(super) struct Choice {
    pub(super) host: Option<PciAddress>,
    pub(super) guests: Vec<PciAddress>,
    pub(super) host_was_named: bool,
    pub(super) guests_were_named: bool,
}

impl Choice {
    /// Nothing is given away.
    pub(super) fn host_only(gpus: &[Gpu]) -> Self {
        Self { host: best_host(gpus, &[]), ..Self::default() }
    }
}

/// Chooses guest and host GPUs.
pub(super) fn choose(gpus: &[Gpu], wishes: &Passthrough, notes: &mut Notes) -> Choice {
    if gpus.is_empty() {
        notes.find(Finding::new(
            Code::NoGpu,
            Severity::Blocker,
            "this machine has no GPU on PCI",
            "nothing can be given away; a guest can use a virtual GPU",
        ));
        return Choice::default();
    }
    let named_host = match wishes.host_gpu {
        HostGpu::Auto => None,
        HostGpu::Named(name) => resolve(gpus, name, notes),
    };
    let guests = match &wishes.guest_gpus {
        Gpus::Named(names) => named_guests(gpus, names, notes),
        Gpus::All => all_but_host(gpus, named_host, wishes, notes),
        Gpus::Auto => best_guest(gpus, named_host, wishes, notes).into_iter().collect(),
    };
    let host = named_host.or_else(|| best_host(gpus, &guests));
    let choice = Choice {
        host,
        guests_were_named: wishes.guest_gpus != Gpus::Auto,
        host_was_named: named_host.is_some(),
        guests,
    };
    check(gpus, &choice, wishes, notes);
    choice
}

/// Rules 1 and 6: the host keeps a picture, whatever the answers say, unless by the override's name.
fn check(gpus: &[Gpu], choice: &Choice, wishes: &Passthrough, notes: &mut Notes) {
    let at = |address: PciAddress| gpus.iter().find(|gpu| gpu.address == address);
    if let Some(host) = choice.host {
        if choice.guests.contains(&host) {
            notes.find(
                Finding::new(
                    Code::HostIsGuest,
                    Severity::Blocker,
                    format!("the answers name {host} for the host and for a guest"),
                    "give the guest another GPU, or leave host_gpu = \"auto\"",
                )
                .about(host),
            );
        } else if at(host).is_some_and(|gpu| !gpu.has_outputs) {
            notes.find(
                Finding::new(
                    Code::HostWithoutPicture,
                    Severity::Blocker,
                    format!("{host} has no outputs; the host could not show a picture"),
                    "name a GPU with outputs as host_gpu",
                )
                .about(host),
            );
        }
    } else if !choice.guests.is_empty() {
        let finding = if wishes.allows(Override::OnlyGpu) {
            Finding::new(
                Code::SingleGpu,
                Severity::Warning,
                NO_PICTURE,
                "the answers allow that (only-gpu); have another way in, ssh for example",
            )
        } else {
            without_picture(None)
        };
        notes.find(finding);
    }
}

const NO_PICTURE: &str = "the host would be left without a GPU that can show a picture";

/// The only GPU would go. Where naming the override alone proposes none, `name` is the GPU that
/// has to be named with it.
fn without_picture(name: Option<PciAddress>) -> Finding {
    let name = name.map(|address| format!("guest_gpus = [\"{address}\"] and ")).unwrap_or_default();
    let rule = override_name(Override::OnlyGpu);
    Finding::new(
        Code::SingleGpu,
        Severity::Blocker,
        NO_PICTURE,
        format!(
            "add a second GPU (an old card is enough); or give it away without a picture on the host: {name}allow = [\"{rule}\"]"
        ),
    )
}

/// Why nothing can be proposed though nothing was named: the host has the only GPU, or what there
/// is else is of no use to a guest.
fn only_the_hosts(gpus: &[Gpu], named_host: Option<PciAddress>, wishes: &Passthrough) -> Finding {
    let rest: Vec<&Gpu> =
        gpus.iter().filter(|gpu| gpu.kind != GpuKind::Bmc && Some(gpu.address) != named_host).collect();
    let proposed = wishes.guest_gpus == Gpus::Auto && rest.iter().any(|gpu| gpu.kind == GpuKind::Discrete);
    match (rest.first(), named_host) {
        (Some(_), _) if proposed => without_picture(None),
        (Some(gpu), _) => without_picture(Some(gpu.address)),
        (None, Some(host)) => Finding::new(
            Code::SingleGpu,
            Severity::Blocker,
            format!("the answers keep {host} for the host, and there is no other GPU for a guest"),
            "add a GPU for the guest",
        ),
        (None, None) => Finding::new(
            Code::SingleGpu,
            Severity::Blocker,
            "there is only the server's management graphics, and the host keeps it",
            "add a GPU for the guest",
        ),
    }
}

fn resolve(gpus: &[Gpu], name: FunctionName, notes: &mut Notes) -> Option<PciAddress> {
    let mut matching = gpus.iter().filter(|gpu| match name {
        FunctionName::Address(address) => gpu.address == address,
        FunctionName::Id(id) => gpu.id == Some(id),
    });
    let found = matching.next();
    let here = gpus.iter().map(|gpu| gpu.address.to_string()).collect::<Vec<_>>().join(", ");
    match (found, matching.next()) {
        (Some(gpu), None) => return Some(gpu.address),
        (Some(_), Some(_)) => notes.find(Finding::new(
            Code::GpuAmbiguous,
            Severity::Blocker,
            format!("the answers name {name}, and several GPUs bear that id"),
            format!("name it by its address; GPUs here: {here}"),
        )),
        (None, _) => {
            let part = gpus.iter().find(|gpu| match name {
                FunctionName::Address(address) => gpu.functions.contains(&address),
                FunctionName::Id(_) => false,
            });
            let code = if part.is_some() { Code::NotAGpu } else { Code::GpuNotFound };
            let message = match part {
                Some(gpu) => format!("{name} is a companion function of the GPU {}", gpu.address),
                None => format!("the answers name {name}, and there is no such GPU"),
            };
            let mut finding =
                Finding::new(code, Severity::Blocker, message, format!("GPUs on this machine: {here}"));
            finding.subject = Some(name.to_string());
            notes.find(finding);
        }
    }
    None
}

fn named_guests(gpus: &[Gpu], names: &[FunctionName], notes: &mut Notes) -> Vec<PciAddress> {
    let mut guests: Vec<PciAddress> = names.iter().filter_map(|name| resolve(gpus, *name, notes)).collect();
    guests.sort_unstable();
    guests.dedup();
    guests
}

/// Every GPU but the host's; a BMC's graphics never leave the host.
fn all_but_host(
    gpus: &[Gpu],
    named_host: Option<PciAddress>,
    wishes: &Passthrough,
    notes: &mut Notes,
) -> Vec<PciAddress> {
    let host = named_host.or_else(|| best_host(gpus, &[]));
    let guests: Vec<PciAddress> = gpus
        .iter()
        .filter(|gpu| gpu.kind != GpuKind::Bmc && Some(gpu.address) != host)
        .map(|gpu| gpu.address)
        .collect();
    if guests.is_empty() {
        notes.find(only_the_hosts(gpus, named_host, wishes));
    }
    guests
}

/// The order of preference for the host: integrated, boot VGA, with a display, BMC, then others.
/// What can be unplugged comes last, before it what vfio-pci holds already: somebody gave that away.
fn best_host(gpus: &[Gpu], guests: &[PciAddress]) -> Option<PciAddress> {
    let rank = |gpu: &Gpu| {
        let class = match gpu {
            Gpu { kind: GpuKind::Integrated, .. } => 0,
            Gpu { boot_vga: Some(true), .. } => 1,
            Gpu { has_display: true, .. } => 2,
            Gpu { kind: GpuKind::Bmc, .. } => 3,
            _ => 4,
        };
        (gpu.is_external, held_by_vfio(gpu), class, gpu.address)
    };
    gpus.iter()
        .filter(|gpu| gpu.has_outputs && !guests.contains(&gpu.address))
        .min_by_key(|gpu| rank(gpu))
        .map(|gpu| gpu.address)
}

fn held_by_vfio(gpu: &Gpu) -> bool {
    gpu.driver.as_deref() == Some("vfio-pci")
}

/// The best GPU to give away, if there is exactly one.
///
/// Discrete GPUs only: an integrated one goes when the answers name it. The order: given away
/// before, not boot VGA, isolated, can be reset.
fn best_guest(
    gpus: &[Gpu],
    named_host: Option<PciAddress>,
    wishes: &Passthrough,
    notes: &mut Notes,
) -> Option<PciAddress> {
    let leaves_a_picture = |guest: &Gpu| {
        gpus.iter().any(|other| other.address != guest.address && other.has_outputs)
            || wishes.allows(Override::OnlyGpu)
    };
    let rank = |gpu: &Gpu| {
        let can_reset = gpu.reset_methods.as_ref().is_none_or(|methods| !methods.is_empty());
        let isolated = matches!(gpu.viability, Viability::Viable | Viability::Pending | Viability::Unknown);
        (!gpu.is_external, held_by_vfio(gpu), Reverse(gpu.boot_vga == Some(true)), isolated, can_reset)
    };
    let candidates: Vec<&Gpu> = gpus
        .iter()
        .filter(|gpu| {
            gpu.kind == GpuKind::Discrete && Some(gpu.address) != named_host && leaves_a_picture(gpu)
        })
        .collect();
    let Some(best) = candidates.iter().map(|gpu| rank(gpu)).max() else {
        no_candidate(gpus, named_host, wishes, notes);
        return None;
    };
    let equals: Vec<&&Gpu> = candidates.iter().filter(|gpu| rank(gpu) == best).collect();
    if let [only] = equals.as_slice() {
        return Some(only.address);
    }
    let names: Vec<String> = equals.iter().map(|gpu| gpu.address.to_string()).collect();
    let names = names.join(", ");
    notes.ask(
        Finding::new(
            Code::GpuTie,
            Severity::Warning,
            format!("{names} are equally good to give away"),
            "name one, several, or guest_gpus = \"all\"",
        ),
        format!("Which GPU goes to the guest: {names}?"),
    );
    None
}

/// Why nothing can be proposed: one GPU, or none that anybody would give away unasked.
fn no_candidate(gpus: &[Gpu], named_host: Option<PciAddress>, wishes: &Passthrough, notes: &mut Notes) {
    let others: Vec<String> = gpus
        .iter()
        .filter(|gpu| gpu.kind != GpuKind::Bmc && Some(gpu.address) != named_host)
        .map(|gpu| gpu.address.to_string())
        .collect();
    if gpus.iter().filter(|gpu| gpu.has_outputs).count() < 2 || others.is_empty() {
        notes.find(only_the_hosts(gpus, named_host, wishes));
        return;
    }
    let names = others.join(", ");
    let is_virtual = |gpu: &Gpu| gpu.kind == GpuKind::Virtual;
    if gpus.iter().filter(|gpu| gpu.kind != GpuKind::Bmc).all(is_virtual) {
        notes.ask(
            Finding::new(
                Code::GuestIsIntegrated,
                Severity::Warning,
                format!("this system runs in a virtual machine, and its GPUs are made by that: {names}"),
                "give a real GPU to this virtual machine; to try it with one of these, name it in guest_gpus",
            ),
            format!("Only {names} could go to a guest, and that is a virtual GPU. Shall it?"),
        );
        return;
    }
    notes.ask(
        Finding::new(
            Code::GuestIsIntegrated,
            Severity::Warning,
            format!("no discrete GPU could go; there is only {names}"),
            "a GPU that is part of the processor rarely works in a guest; name it in guest_gpus to try",
        ),
        format!("Only {names} could go to a guest, and that is no discrete GPU. Shall it?"),
    );
}
