//! The rules that hold on every machine, as checks of a finished judgement.
//!
//! They are written from the rules' text and from facts alone: nothing here asks policy how it came
//! to its decision. Each check gives complaints; none means that the rule holds.

use std::collections::BTreeSet;

use neuron_passthrough::answers::{Answers, Gpus, HostGpu, MatchBy, Mode, Override};
use neuron_passthrough::facts::{CpuVendor, HostUse, Machine, Mux, PciFunction};
use neuron_passthrough::id::{FunctionName, PciAddress};
use neuron_passthrough::policy::{
    Decision, Gpu, GpuKind, GpuRole, IommuState, Judgement, KILL_SWITCH, Matching, Severity, Verdict,
    Viability, iommu_state,
};

/// What a rule is checked on.
#[derive(Debug, Clone, Copy)]
pub struct Trial<'a> {
    /// What was judged.
    pub machine: &'a Machine,
    /// What was answered.
    pub answers: &'a Answers,
    /// What came out.
    pub judgement: &'a Judgement,
}

/// A rule's name and its check.
pub type Rule = (&'static str, fn(Trial<'_>) -> Vec<String>);

/// Every rule: the six, and the shape that any judgement has.
pub const RULES: [Rule; 8] = [
    ("1: the host keeps a picture", host_keeps_a_picture),
    ("2: the guest GPU and nothing else", nothing_else),
    ("3: whole groups", whole_groups),
    ("4: ids are unmistakable", ids_are_unmistakable),
    ("5: doubt is a question", doubt_is_a_question),
    ("6: explicit answers win", answers_win),
    ("explained", explained),
    ("bound only when it may be", bound_only_when_it_may_be),
];

/// The rules that a judgement breaks, with what is wrong.
pub fn broken(trial: Trial<'_>) -> Vec<String> {
    RULES
        .iter()
        .flat_map(|(name, check)| check(trial).into_iter().map(move |what| format!("rule {name}: {what}")))
        .collect()
}

impl<'a> Trial<'a> {
    fn decision(self) -> &'a Decision {
        &self.judgement.decision
    }

    fn bind(self) -> &'a [PciAddress] {
        &self.judgement.decision.bind
    }

    fn is_bound(self, address: PciAddress) -> bool {
        self.bind().contains(&address)
    }

    fn function(self, address: PciAddress) -> Option<&'a PciFunction> {
        self.machine.functions.get(&address)
    }

    fn gpu(self, address: PciAddress) -> Option<&'a Gpu> {
        self.judgement.gpus.iter().find(|gpu| gpu.address == address)
    }

    fn goes_ahead(self) -> bool {
        matches!(self.decision().verdict, Verdict::Ready | Verdict::Pending)
    }

    fn allows(self, rule: Override) -> bool {
        self.answers.passthrough.allows(rule)
    }

    /// Whether this function is a part of that GPU, by what the design says of companions.
    fn is_part(self, part: &PciFunction, gpu: &PciFunction) -> bool {
        if part.address == gpu.address {
            return true;
        }
        let kind = self.gpu(gpu.address).map_or(GpuKind::Unknown, |gpu| gpu.kind);
        let sound = part.class.kind() == 0x0403;
        if part.address.same_slot(gpu.address) {
            let companion =
                matches!(part.class.kind(), 0x0403 | 0x0c03 | 0x0c80) && !part.is_virtual_function;
            return companion
                && match kind {
                    GpuKind::Bmc => false,
                    GpuKind::Integrated => sound && part.vendor() == gpu.vendor(),
                    GpuKind::Discrete | GpuKind::Virtual | GpuKind::Unknown => true,
                };
        }
        // Both hang below ports of one switch, which itself hangs below a port of the machine.
        let switch =
            |parents: &[PciAddress]| (parents.len() >= 3).then(|| parents[..parents.len() - 1].to_vec());
        sound
            && kind == GpuKind::Discrete
            && (part.vendor(), gpu.vendor()) == (0x8086, 0x8086)
            && switch(&part.parents).is_some()
            && switch(&part.parents) == switch(&gpu.parents)
    }

    /// The functions beside GPUs that the answers name.
    fn devices(self) -> BTreeSet<PciAddress> {
        let is_it = |name: FunctionName, function: &PciFunction| match name {
            FunctionName::Address(address) => function.address == address,
            FunctionName::Id(id) => function.id == Some(id),
        };
        let functions = self.machine.functions.values();
        let named = functions.filter(|f| self.answers.devices().any(|device| is_it(device.name, f)));
        if self.decision().mode == Mode::Off { BTreeSet::new() } else { named.map(|f| f.address).collect() }
    }

    /// The GPU that these answers name, if it is exactly one.
    fn named(self, name: FunctionName) -> Option<PciAddress> {
        let mut matching = self.machine.gpus().filter(|gpu| match name {
            FunctionName::Address(address) => gpu.address == address,
            FunctionName::Id(id) => gpu.id == Some(id),
        });
        matching.next().filter(|_| matching.next().is_none()).map(|gpu| gpu.address)
    }
}

fn host_keeps_a_picture(trial: Trial<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    if trial.bind().is_empty() {
        return wrong;
    }
    match trial.decision().host_gpu {
        None if trial.allows(Override::OnlyGpu) => {}
        None => wrong.push("the host keeps no GPU, and nobody allowed that".to_owned()),
        Some(host) => {
            let function = trial.function(host).filter(|function| function.class.is_display());
            if function.is_none_or(|function| function.class.kind() == 0x0302 || function.is_virtual_function)
            {
                wrong.push(format!("{host} cannot show a picture"));
            }
            if trial.decision().guest_gpus.contains(&host) {
                wrong.push(format!("{host} is the host's and a guest's"));
            }
            for address in trial.bind() {
                let part = trial.function(*address).zip(function);
                if part.is_some_and(|(part, host)| trial.is_part(part, host)) {
                    wrong.push(format!("{address} belongs to the host's GPU {host} and is bound"));
                }
            }
        }
    }
    wrong
}

fn nothing_else(trial: Trial<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let guests: Vec<&PciFunction> =
        trial.decision().guest_gpus.iter().filter_map(|guest| trial.function(*guest)).collect();
    let named = trial.devices();
    let groups: BTreeSet<_> = trial
        .machine
        .functions
        .values()
        .filter(|f| guests.iter().any(|g| trial.is_part(f, g)) || named.contains(&f.address))
        .map(|f| f.group)
        .collect();
    for address in trial.bind() {
        let Some(function) = trial.function(*address) else {
            wrong.push(format!("{address} is bound and not there"));
            continue;
        };
        if guests.iter().any(|guest| trial.is_part(function, guest)) {
            continue;
        }
        let of_a_gpu = trial.machine.gpus().any(|gpu| trial.is_part(function, gpu));
        if named.contains(address) && !of_a_gpu {
            wrong.extend(unfit(function).map(|why| format!("{address} is named and {why}")));
            continue;
        }
        let is_peer = function.group.is_some() && groups.contains(&function.group);
        if of_a_gpu || !is_peer || !trial.allows(Override::GroupPeers) {
            wrong.push(format!("{address} is no part of a guest's GPU, nor was it named"));
        }
        if function.class.base() == 0x01 {
            wrong.push(format!("{address} is storage"));
        }
    }
    if !trial.bind().is_empty() {
        let kept = named.iter().filter(|address| !trial.is_bound(**address));
        wrong.extend(kept.map(|address| format!("{address} is named and not bound")));
        wrong.extend(what_the_host_loses(trial));
        let missing = guests.iter().filter(|guest| !trial.is_bound(guest.address));
        wrong.extend(missing.map(|guest| format!("the guest's GPU {} is not bound", guest.address)));
    }
    wrong
}

/// Why a function that is no part of a GPU goes to no guest, named or not.
fn unfit(function: &PciFunction) -> Option<String> {
    let is_board = matches!(function.class.base(), 0x05 | 0x06) || function.class.kind() == 0x0c05;
    (is_board || function.class.is_display() || function.is_virtual_function || function.is_removable)
        .then(|| format!("goes to no guest: class {}", function.class))
}

/// What the host runs from, types on, or is reached by. Pictures and sound are nothing of these.
fn what_the_host_loses(trial: Trial<'_>) -> Vec<String> {
    let of_a_gpu = |f: &PciFunction| trial.machine.gpus().any(|gpu| trial.is_part(f, gpu));
    let asked: Vec<&PciFunction> = trial
        .bind()
        .iter()
        .filter_map(|address| trial.function(*address))
        .filter(|function| function.class.base() != 0x03 && function.class.kind() != 0x0403)
        .collect();
    let mut wrong = Vec::new();
    let Some(used) = &trial.machine.host_use else {
        let unknown = asked.iter().filter(|function| !of_a_gpu(function));
        wrong.extend(unknown.map(|f| format!("nobody knows what the host uses of {}", f.address)));
        return wrong;
    };
    for function in &asked {
        let address = function.address;
        if used.disks.iter().any(|disk| disk.functions.contains(&address)) {
            wrong.push(format!("{address} holds a disk that the host uses"));
        }
        if !is_reached_without(trial, used, function) && !trial.allows(Override::HostNetwork) {
            wrong.push(format!("nothing shows that the host reaches the network without {address}"));
        }
        let twin = |other: &PciFunction| {
            function.id.is_some() && other.id == function.id && !trial.is_bound(other.address)
        };
        if function.class.base() == 0x01 && trial.decision().matching == Matching::Ids {
            wrong.push(format!("{address} is storage, and ids do not tell disks of one model apart"));
        }
        if function.class.base() == 0x01 && trial.machine.functions.values().any(twin) {
            wrong.push(format!("{address} is storage, and the host has one of the same model"));
        }
    }
    let goes = |above: &Vec<PciAddress>| asked.iter().any(|f| above.contains(&f.address));
    let may_be_one = |f: &&PciFunction| {
        f.class.kind() == 0x0c03 && !of_a_gpu(f) && f.driver.as_deref() != Some("vfio-pci")
    };
    let is_lost = if used.keyboards.is_empty() {
        asked.iter().any(may_be_one)
    } else {
        used.keyboards.iter().all(goes)
    };
    if is_lost && !trial.allows(Override::HostKeyboard) {
        wrong.push("the host keeps no keyboard".to_owned());
    }
    wrong
}

/// Whether a function carries no network, or another way is there for certain.
fn is_reached_without(trial: Trial<'_>, used: &HostUse, function: &PciFunction) -> bool {
    let carries = function.class.base() == 0x02 || used.cards.contains_key(&function.address);
    let is_like_it = |other: &PciAddress| {
        let id = trial.function(*other).and_then(|other| other.id);
        *other == function.address || id.is_some() && id == function.id
    };
    let is_another = |way: &Vec<PciAddress>| !way.is_empty() && !way.iter().any(is_like_it);
    !carries
        || function.driver.as_deref() == Some("vfio-pci")
        || !used.ways.is_empty() && used.ways.values().all(is_another)
}

fn whole_groups(trial: Trial<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    if trial.bind().is_empty() || trial.decision().verdict != Verdict::Ready {
        return wrong;
    }
    if iommu_state(trial.machine).0 != IommuState::On {
        wrong.push("ready though the IOMMU does not work".to_owned());
    }
    for address in trial.bind() {
        let group = trial.function(*address).and_then(|function| function.group);
        let Some(group) = group.and_then(|id| trial.machine.groups.get(&id)) else {
            wrong.push(format!("the group of {address} is not known"));
            continue;
        };
        if !group.members.contains(address) {
            wrong.push(format!("the group of {address} does not list it"));
        }
        if group.is_fake || group.has_direct_region || !group.strangers.is_empty() {
            wrong.push(format!("the group of {address} cannot be given away: {group:?}"));
        }
        for member in &group.members {
            let is_bridge =
                trial.function(*member).is_some_and(|f| matches!(f.class.kind(), 0x0604 | 0x0600));
            if !is_bridge && !trial.is_bound(*member) {
                wrong.push(format!("{member} shares the group of {address} and stays"));
            }
        }
    }
    wrong
}

fn ids_are_unmistakable(trial: Trial<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    if trial.bind().is_empty() {
        return wrong;
    }
    if trial.answers.passthrough.r#match == MatchBy::Address && trial.decision().matching != Matching::Address
    {
        wrong.push("the answers want it by address".to_owned());
    }
    let ids: BTreeSet<_> = trial.bind().iter().filter_map(|address| trial.function(*address)?.id).collect();
    for function in trial.machine.functions.values() {
        let twin = function.id.is_some_and(|id| ids.contains(&id)) && !trial.is_bound(function.address);
        if twin && trial.decision().matching == Matching::Ids {
            wrong.push(format!("{} stays with the host and would be taken by its id", function.address));
        }
    }
    wrong
}

/// Whether a display on this GPU is the laptop's panel.
fn drives_panel(trial: Trial<'_>, gpu: PciAddress) -> bool {
    match trial.machine.mux {
        Some(Mux::Discrete) => trial.gpu(gpu).is_some_and(|gpu| gpu.kind == GpuKind::Discrete),
        Some(Mux::Integrated) | None => {
            let internal = |name: &str| ["eDP", "LVDS", "DSI"].iter().any(|kind| name.starts_with(kind));
            trial.machine.connectors(gpu).any(|connector| connector.connected && internal(&connector.name))
        }
    }
}

fn doubt_is_a_question(trial: Trial<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let decision = trial.decision();
    let has_question = decision.question.as_ref().is_some_and(|question| !question.is_empty());
    if has_question != (decision.verdict == Verdict::Ask) {
        wrong.push(format!("verdict {:?} with the question {:?}", decision.verdict, decision.question));
    }
    if !trial.goes_ahead() || decision.mode == Mode::Off {
        return wrong;
    }
    let may_come_back = trial.allows(Override::IommuOffOnCmdline)
        && decision.verdict == Verdict::Pending
        && trial.machine.cpu.vendor == CpuVendor::Intel
        && trial.machine.iommu.tables.is_some_and(|tables| tables.dmar)
        && iommu_state(trial.machine).0 == IommuState::OffOnCmdline;
    if !matches!(iommu_state(trial.machine).0, IommuState::On | IommuState::Pending) && !may_come_back {
        wrong.push("it goes ahead though nothing says that the IOMMU works".to_owned());
    }
    if trial.machine.parameter("pcie_acs_override").is_some() && !trial.allows(Override::AcsOverride) {
        wrong.push("it goes ahead on groups that an override made".to_owned());
    }
    for guest in &decision.guest_gpus {
        let boots_here = trial.function(*guest).is_some_and(|function| function.boot_vga == Some(true))
            || trial
                .machine
                .displays
                .iter()
                .any(|card| card.function == Some(*guest) && card.is_boot_display);
        if boots_here && !trial.allows(Override::GuestIsBootVga) {
            wrong.push(format!("{guest} shows the boot picture, and nobody was asked"));
        }
        if drives_panel(trial, *guest) && !trial.allows(Override::GuestDrivesPanel) {
            wrong.push(format!("{guest} drives the panel, and nobody was asked"));
        }
        if trial.function(*guest).is_some_and(|function| function.is_removable) {
            wrong.push(format!("{guest} can be unplugged"));
        }
        if trial.answers.passthrough.guest_gpus == Gpus::Auto {
            let equals = trial.judgement.gpus.iter().filter(|other| is_tie(trial, *guest, other));
            wrong.extend(equals.map(|other| format!("{guest} was guessed, {} is as good", other.address)));
        }
    }
    wrong
}

/// Whether nothing that counts for the choice tells these two apart.
fn is_tie(trial: Trial<'_>, guest: PciAddress, other: &Gpu) -> bool {
    let telling = |gpu: &Gpu| {
        let vfio = gpu.driver.as_deref() == Some("vfio-pci");
        let resets = gpu.reset_methods.as_ref().is_none_or(|methods| !methods.is_empty());
        (
            gpu.kind,
            gpu.boot_vga == Some(true),
            gpu.viability == Viability::Blocked,
            resets,
            vfio,
            gpu.is_external,
        )
    };
    let named_host = match trial.answers.passthrough.host_gpu {
        HostGpu::Auto => None,
        HostGpu::Named(name) => trial.named(name),
    };
    // A GPU that alone has outputs cannot go, so it is no rival.
    let alone = other.has_outputs
        && !trial.allows(Override::OnlyGpu)
        && trial.judgement.gpus.iter().filter(|gpu| gpu.has_outputs).count() < 2;
    guest != other.address
        && !alone
        && named_host != Some(other.address)
        && trial.gpu(guest).is_some_and(|guest| telling(guest) == telling(other))
}

fn answers_win(trial: Trial<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let wishes = &trial.answers.passthrough;
    let decision = trial.decision();
    if !trial.goes_ahead() || decision.mode == Mode::Off {
        return wrong;
    }
    if let HostGpu::Named(name) = wishes.host_gpu
        && trial.named(name) != decision.host_gpu
    {
        wrong.push(format!("the answers name {name} for the host, not {:?}", decision.host_gpu));
    }
    let guests: BTreeSet<Option<PciAddress>> = decision.guest_gpus.iter().copied().map(Some).collect();
    match &wishes.guest_gpus {
        Gpus::Auto => {}
        Gpus::Named(names) => {
            let wanted: BTreeSet<Option<PciAddress>> = names.iter().map(|name| trial.named(*name)).collect();
            if wanted != guests {
                wrong.push(format!("the answers name {wanted:?} for a guest, not {guests:?}"));
            }
        }
        Gpus::All => {
            let rest = trial.judgement.gpus.iter().filter(|gpu| gpu.kind != GpuKind::Bmc);
            let rest = rest.map(|gpu| Some(gpu.address)).filter(|gpu| *gpu != decision.host_gpu);
            if rest.collect::<BTreeSet<_>>() != guests {
                wrong.push(format!("the answers want all but the host's to go, not {guests:?}"));
            }
        }
    }
    wrong
}

fn explained(trial: Trial<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let decision = trial.decision();
    for finding in &decision.findings {
        if finding.message.trim().is_empty() || finding.hint.trim().is_empty() {
            wrong.push(format!("{} has no message or no hint", finding.code));
        }
    }
    if !decision.findings.is_sorted_by_key(|finding| std::cmp::Reverse(finding.severity)) {
        wrong.push("the worst finding is not the first".to_owned());
    }
    let worst = decision.findings.iter().map(|finding| finding.severity).max();
    let is_blocked = worst == Some(Severity::Blocker);
    if is_blocked != (decision.verdict == Verdict::Refused) {
        wrong.push(format!("verdict {:?} with {worst:?} as the worst", decision.verdict));
    }
    if decision.verdict == Verdict::Ask && worst.is_none_or(|worst| worst < Severity::Warning) {
        wrong.push("a question without a finding".to_owned());
    }
    let gpus: Vec<PciAddress> = trial.machine.gpus().map(|gpu| gpu.address).collect();
    if gpus != trial.judgement.gpus.iter().map(|gpu| gpu.address).collect::<Vec<_>>() {
        wrong.push("not every GPU was judged".to_owned());
    }
    for gpu in &trial.judgement.gpus {
        let role = if decision.guest_gpus.contains(&gpu.address) {
            GpuRole::Guest
        } else if decision.host_gpu == Some(gpu.address) {
            GpuRole::Host
        } else {
            GpuRole::Spare
        };
        if gpu.role != role {
            wrong.push(format!("{} is {:?} and should be {role:?}", gpu.address, gpu.role));
        }
        if gpu.because.is_empty() || gpu.because.iter().any(|reason| reason.trim().is_empty()) {
            wrong.push(format!("{} has no reason for its role", gpu.address));
        }
    }
    wrong
}

fn bound_only_when_it_may_be(trial: Trial<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let decision = trial.decision();
    let line = trial.machine.command_line.as_deref().unwrap_or_default();
    let is_off = trial.answers.passthrough.mode == Mode::Off
        || line.split_whitespace().any(|token| token == KILL_SWITCH);
    if is_off && decision.mode != Mode::Off {
        wrong.push(format!("mode {:?} though it was switched off", decision.mode));
    }
    let may = trial.goes_ahead() && decision.mode == Mode::AtBoot && !is_off;
    if !may && !decision.bind.is_empty() {
        wrong.push(format!("{:?} is bound with {:?}, {:?}", decision.bind, decision.verdict, decision.mode));
    }
    if may && decision.bind.is_empty() {
        wrong.push(format!("{:?}, and nothing to bind", decision.verdict));
    }
    let assigned: Vec<PciAddress> = trial.judgement.assignments.iter().map(|one| one.address).collect();
    if may && assigned != decision.bind {
        wrong.push(format!("{assigned:?} is assigned, {:?} is bound", decision.bind));
    }
    wrong
}
