//! What tells vfio-pci which functions it gets: `vfio.conf` and the list for the early hook.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::facts::{Machine, PciFunction, Target};
use crate::id::TargetPath;
use crate::policy::{Judgement, Matching, native_drivers};
use crate::step::{Step, file_head};
use crate::text::modprobe_conf;
use crate::text::vfio_devices::WITHOUT_HOST;

/// The module's configuration.
pub const VFIO_CONF: &str = "/etc/modprobe.d/vfio.conf";
/// What the early hook reads.
pub const VFIO_DEVICES: &str = "/etc/neuron/vfio-devices";

/// The steps that hand the assigned functions to vfio-pci at the next boot.
///
/// `kept` is what somebody else had written into vfio.conf before.
pub fn steps(judgement: &Judgement, machine: &Machine, target: &Target, kept: Option<&str>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut write = |id: &str, title: &str, because: &str, path: &str, text: String| {
        if let Ok(path) = path.parse::<TargetPath>() {
            let before = target.state(&path).clone();
            steps.push(Step::write(id, title, because, path, &before, text));
        }
    };
    write(
        "vfio-conf",
        "Tell vfio-pci which functions it gets",
        "vfio-pci takes what `ids=` names, and the softdeps load it before the drivers that would take them",
        VFIO_CONF,
        vfio_conf(judgement, machine, target, kept),
    );
    write(
        "vfio-devices",
        "Record what is given away, and what the host keeps",
        "an address can move; at every boot what is found is compared with this before anything is claimed",
        VFIO_DEVICES,
        vfio_devices(judgement, machine),
    );
    steps
}

/// `vfio.conf`: ids only where they name assigned functions and nothing else.
fn vfio_conf(judgement: &Judgement, machine: &Machine, target: &Target, kept: Option<&str>) -> String {
    let mut text = file_head("these functions go to vfio-pci at boot.");
    if judgement.decision.matching == Matching::Ids {
        let _ = writeln!(text, "options vfio-pci ids={}", judgement.ids().join(","));
    } else {
        text.push_str("# No ids here: they would take others, too. The early hook claims by address.\n");
    }
    let drivers: BTreeSet<String> = judgement
        .assignments
        .iter()
        .filter_map(|assignment| machine.functions.get(&assignment.address))
        .flat_map(|function| native_drivers(function, target))
        .collect();
    for driver in drivers {
        let _ = writeln!(text, "softdep {driver} pre: vfio-pci");
    }
    text.push_str(&others(kept.unwrap_or_default()));
    text
}

/// What stood in vfio.conf before us and says nothing of which functions vfio-pci gets.
fn others(kept: &str) -> String {
    let claims: BTreeSet<usize> = modprobe_conf::directives(kept)
        .iter()
        .filter(|one| one.module == "vfio_pci" && one.option("ids").is_some())
        .map(|one| one.line)
        .collect();
    let lines = kept.lines().enumerate().filter(|(index, line)| {
        !claims.contains(&(index + 1)) && !line.trim().is_empty() && !line.trim_start().starts_with('#')
    });
    let lines = lines.fold(String::new(), |text, (_, line)| text + line + "\n");
    if lines.is_empty() { lines } else { format!("# Kept from what stood here before:\n{lines}") }
}

/// One function a line: role, address, id, board id, class. Fields are parted by one space, so
/// that a shell's `read` takes them apart; `-` stands for what the machine does not say.
fn vfio_devices(judgement: &Judgement, machine: &Machine) -> String {
    let mut text = file_head("what is given away at boot, and the GPU that the host keeps.");
    text.push_str("# role address vendor:device subsystem class\n");
    let mut line = |role: &str, function: &PciFunction| {
        let or_dash = |id: Option<crate::id::PciId>| id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let (id, board) = (or_dash(function.id), or_dash(function.subsystem));
        let _ = writeln!(text, "{role} {} {id} {board} {}", function.address, function.class);
    };
    for assignment in &judgement.assignments {
        if let Some(function) = machine.functions.get(&assignment.address) {
            line("guest", function);
        }
    }
    match judgement.decision.host_gpu {
        Some(host) => machine.functions.get(&host).into_iter().for_each(|host| line("host", host)),
        // Only `allow = ["only-gpu"]` leads here; the hook takes a list that says neither for a broken one.
        None => text.extend([WITHOUT_HOST, "\n"]),
    }
    text
}
