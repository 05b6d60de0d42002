//! Machines and answers that no report shows: any mixture of functions, slots, groups and states.

use std::collections::BTreeMap;

use neuron_passthrough::answers::{Answers, Gpus, HostGpu, MatchBy, Mode, Override, Vm};
use neuron_passthrough::facts::{
    AcpiTables, Chassis, Class, Connector, Cpu, CpuVendor, Disk, DisplayCard, Firmware, Group, HostUse,
    Iommu, Machine, Mux, PciFunction,
};
use neuron_passthrough::id::{FunctionName, GroupId, PciAddress, PciId};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// Few ids, so that twins are common: two NVIDIA cards, AMD, Intel, ASPEED, QEMU, and what stands
/// beside a GPU.
const IDS: [(u16, u16); 12] = [
    (0x10de, 0x2204),
    (0x10de, 0x1c03),
    (0x10de, 0x1aef),
    (0x1002, 0x731f),
    (0x1002, 0xab38),
    (0x1022, 0x15df),
    (0x8086, 0x3e92),
    (0x8086, 0x56a0),
    (0x8086, 0x4f90),
    (0x1a03, 0x2000),
    (0x1234, 0x1111),
    (0x144d, 0xa808),
];

/// Display functions in most places; companions, bridges, storage and others in the rest.
const CLASSES: [u32; 15] = [
    0x0003_0000,
    0x0003_0000,
    0x0003_0000,
    0x0003_0200,
    0x0003_8000,
    0x0004_0300,
    0x0004_0300,
    0x000c_0330,
    0x000c_8000,
    0x0006_0400,
    0x0006_0000,
    0x0001_0802,
    0x0002_0000,
    0x0010_8000,
    0x000c_0500,
];

fn address() -> impl Strategy<Value = PciAddress> {
    (prop_oneof![9 => Just(0u32), 1 => Just(0x10000)], 0u8..5, 0u8..2, 0u8..3)
        .prop_filter_map("device and function are in range", |(domain, bus, device, function)| {
            PciAddress::new(domain, bus, device, function)
        })
}

fn rare(weight: u32) -> impl Strategy<Value = bool> {
    prop_oneof![weight => Just(false), 1 => Just(true)]
}

prop_compose! {
    fn function()(
        address in address(),
        class in select(&CLASSES[..]),
        id in option::weighted(0.97, select(&IDS[..])),
        group in option::weighted(0.97, 0u32..9),
        driver in option::of(select(vec!["nvidia", "amdgpu", "vfio-pci", "snd_hda_intel"])),
        boot_vga in option::of(rare(3)),
        reset in option::of(subsequence(vec!["flr", "bus", "pm"], 0..=3)),
        regions in vec(select(vec![16u64 << 20, 256 << 20, 16 << 30]), 0..3),
        parents in vec(address(), 0..4),
        is_removable in rare(15),
        is_virtual_function in rare(15),
    ) -> PciFunction {
        let class = Class(class);
        PciFunction {
            id: id.map(|(vendor, device)| PciId { vendor, device }),
            group: group.map(GroupId),
            driver: driver.map(str::to_owned),
            boot_vga: boot_vga.filter(|_| class.kind() == 0x0300),
            reset_methods: reset.map(|names| names.into_iter().map(str::to_owned).collect()),
            regions,
            parents,
            is_removable,
            is_virtual_function,
            ..PciFunction::bare(address, class)
        }
    }
}

/// What is odd about a group.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Odd {
    No,
    Stranger,
    DirectRegion,
    Fake,
    NotRead,
    Incomplete,
}

fn odd() -> impl Strategy<Value = Odd> {
    prop_oneof![
        60 => Just(Odd::No),
        1 => Just(Odd::Stranger),
        1 => Just(Odd::DirectRegion),
        1 => Just(Odd::Fake),
        1 => Just(Odd::NotRead),
        1 => Just(Odd::Incomplete),
    ]
}

/// The groups that these functions say they are in.
fn groups(functions: &BTreeMap<PciAddress, PciFunction>, odd: &[Odd]) -> BTreeMap<GroupId, Group> {
    let mut groups = BTreeMap::<GroupId, Group>::new();
    for function in functions.values() {
        if let Some(id) = function.group {
            groups.entry(id).or_default().members.push(function.address);
        }
    }
    for (id, odd) in (0..).map(GroupId).zip(odd) {
        let Some(group) = groups.get_mut(&id) else { continue };
        match odd {
            Odd::No => {}
            Odd::Stranger => group.strangers.push("platform-device".to_owned()),
            Odd::DirectRegion => group.has_direct_region = true,
            Odd::Fake => group.is_fake = true,
            Odd::NotRead => drop(groups.remove(&id)),
            Odd::Incomplete => drop(group.members.pop()),
        }
    }
    groups
}

fn iommu() -> impl Strategy<Value = (bool, Iommu)> {
    let tables = option::weighted(0.9, (prop_oneof![4 => Just(true), 1 => Just(false)], rare(4)))
        .prop_map(|tables| tables.map(|(dmar, ivrs)| AcpiTables { dmar, ivrs }))
        .boxed();
    prop_oneof![
        6 => Just((true, Iommu { groups: Some(9), units: Some(1), tables: None })),
        3 => tables.clone().prop_map(|tables| (false, Iommu { groups: Some(0), units: Some(0), tables })),
        1 => tables.prop_map(|tables| (true, Iommu { groups: None, units: None, tables })),
    ]
}

fn cpu() -> impl Strategy<Value = Cpu> {
    let vendor = select(vec![CpuVendor::Intel, CpuVendor::Intel, CpuVendor::Amd, CpuVendor::Other]);
    let virtualization = prop_oneof![8 => Just(Some(true)), 1 => Just(Some(false)), 1 => Just(None)];
    (vendor, virtualization, rare(9)).prop_map(|(vendor, virtualization, hypervisor)| Cpu {
        vendor,
        virtualization,
        hypervisor,
    })
}

fn command_line() -> impl Strategy<Value = Option<String>> {
    option::of(prop_oneof![
        20 => Just("quiet"),
        1 => Just("intel_iommu=off"),
        1 => Just("iommu=soft"),
        1 => Just("pcie_acs_override=downstream,multifunction"),
        1 => Just("quiet neuron.passthrough=off"),
    ])
    .prop_map(|line| line.map(str::to_owned))
}

prop_compose! {
    fn displays(gpus: Vec<PciAddress>)(
        cards in subsequence(gpus.clone(), 0..=gpus.len()),
        internal in vec(rare(4), gpus.len()),
        connected in vec(any::<bool>(), gpus.len()),
        boot in vec(rare(6), gpus.len()),
    ) -> Vec<DisplayCard> {
        cards.into_iter().enumerate().map(|(index, gpu)| DisplayCard {
            function: Some(gpu),
            is_boot_display: boot[index],
            connectors: vec![Connector {
                name: if internal[index] { "eDP-1" } else { "HDMI-A-1" }.to_owned(),
                connected: connected[index],
            }],
        }).collect()
    }
}

/// What the host uses, here and there.
fn host_use() -> impl Strategy<Value = Option<HostUse>> {
    let disk = vec(address(), 1..3).prop_map(|functions| Disk {
        name: "sda1".to_owned(),
        functions,
        used: "is mounted at /".to_owned(),
    });
    let cards = vec(address(), 0..2)
        .prop_map(|all| all.into_iter().map(|address| (address, "eth0".to_owned())).collect());
    let ways = btree_map(select(vec!["eth0", "tun0"]).prop_map(str::to_owned), vec(address(), 0..2), 0..2);
    let used = (vec(disk, 0..2), vec(vec(address(), 0..2), 0..3), cards, ways);
    let used = used.prop_map(|(disks, keyboards, cards, ways)| HostUse { disks, keyboards, cards, ways });
    option::weighted(0.9, used)
}

/// A machine of up to twelve functions.
pub(crate) fn machine() -> impl Strategy<Value = Machine> {
    let functions = vec(function(), 0..12)
        .prop_map(|all| all.into_iter().map(|one| (one.address, one)).collect::<BTreeMap<_, _>>());
    let rest = (vec(odd(), 9), iommu(), cpu(), command_line(), option::of(any::<bool>()));
    let box_ = (
        select(vec![Chassis::Desktop, Chassis::Laptop, Chassis::Server, Chassis::Vm, Chassis::Unknown]),
        option::weighted(0.1, select(vec![Mux::Discrete, Mux::Integrated])),
    );
    (functions, rest, box_, host_use()).prop_flat_map(|(functions, rest, (chassis, mux), host_use)| {
        let gpus: Vec<PciAddress> =
            functions.values().filter(|one| one.class.is_display()).map(|one| one.address).collect();
        displays(gpus).prop_map(move |displays| {
            let (odd, (has_groups, iommu), cpu, command_line, secure_boot) = rest.clone();
            let mut functions = functions.clone();
            let groups = if has_groups { groups(&functions, &odd) } else { BTreeMap::new() };
            if !has_groups {
                for function in functions.values_mut() {
                    function.group = None;
                }
            }
            Machine {
                cpu,
                chassis,
                firmware: Firmware::Unknown,
                secure_boot,
                iommu,
                command_line,
                functions,
                groups,
                displays,
                mux,
                host_use: host_use.clone(),
                unreadable: Vec::new(),
            }
        })
    })
}

const OVERRIDES: [Override; 8] = [
    Override::HostKeyboard,
    Override::HostNetwork,
    Override::GuestIsBootVga,
    Override::GuestDrivesPanel,
    Override::GroupPeers,
    Override::OnlyGpu,
    Override::AcsOverride,
    Override::IommuOffOnCmdline,
];

/// A name of something on this machine, mostly a GPU; sometimes of nothing.
fn name(machine: &Machine) -> BoxedStrategy<FunctionName> {
    let mut gpus: Vec<FunctionName> = Vec::new();
    for gpu in machine.gpus() {
        gpus.push(FunctionName::Address(gpu.address));
        gpus.extend(gpu.id.map(FunctionName::Id));
    }
    let others = machine.functions.keys().copied().map(FunctionName::Address);
    let nothing = FunctionName::Id(PciId { vendor: 0xdead, device: 0xbeef });
    let any: Vec<FunctionName> = others.chain([nothing]).collect();
    if gpus.is_empty() {
        return select(any).boxed();
    }
    prop_oneof![8 => select(gpus), 1 => select(any)].boxed()
}

/// Devices beside GPUs that a virtual machine is to get: mostly such as could go.
fn devices(machine: &Machine) -> impl Strategy<Value = Vec<FunctionName>> + use<> {
    let could = |one: &&PciFunction| matches!(one.class.base(), 0x01 | 0x02 | 0x0c) && !one.is_removable;
    let good: Vec<&PciFunction> = machine.functions.values().filter(could).collect();
    let addresses: Vec<_> = good.iter().map(|one| FunctionName::Address(one.address)).collect();
    let ids: Vec<_> = good.iter().filter_map(|one| one.id.map(FunctionName::Id)).collect();
    let any: Vec<_> = machine.functions.keys().copied().map(FunctionName::Address).collect();
    let one_of = |names: Vec<FunctionName>| {
        let most = names.len().min(1);
        subsequence(names, 0..=most)
    };
    let both = addresses.len().min(2);
    prop_oneof![
        6 => Just(Vec::new()),
        4 => one_of(addresses.clone()),
        1 => subsequence(addresses, 0..=both),
        1 => one_of(ids),
        1 => one_of(any),
    ]
}

/// Answers that somebody could give on this machine.
pub(crate) fn answers(machine: &Machine) -> impl Strategy<Value = Answers> + use<> {
    let guests = prop_oneof![
        3 => Just(Gpus::Auto),
        2 => Just(Gpus::All),
        4 => vec(name(machine), 1..3).prop_map(Gpus::Named),
    ];
    let host = prop_oneof![3 => Just(HostGpu::Auto), 1 => name(machine).prop_map(HostGpu::Named)];
    let mode = prop_oneof![
        9 => Just(Mode::Auto),
        3 => Just(Mode::AtBoot),
        1 => Just(Mode::OnDemand),
        1 => Just(Mode::Paravirtual),
        1 => Just(Mode::Off),
    ];
    let matching = select(vec![MatchBy::Auto, MatchBy::Auto, MatchBy::Ids, MatchBy::Address]);
    let allow = prop_oneof![Just(OVERRIDES.to_vec()), subsequence(OVERRIDES.to_vec(), 0..=OVERRIDES.len())];
    let devices = devices(machine);
    let all = (guests, host, mode, matching, allow, devices);
    all.prop_map(|(guest_gpus, host_gpu, mode, matching, allow, pci_devices)| {
        let mut answers = Answers::default();
        if !pci_devices.is_empty() {
            answers.vm.insert("a".to_owned(), Vm { pci_devices, ..Vm::default() });
        }
        answers.passthrough.guest_gpus = guest_gpus;
        answers.passthrough.host_gpu = host_gpu;
        answers.passthrough.mode = mode;
        answers.passthrough.r#match = matching;
        answers.passthrough.allow = allow;
        answers
    })
}

/// A machine and answers for it.
pub(crate) fn trial() -> impl Strategy<Value = (Machine, Answers)> {
    machine().prop_flat_map(|machine| {
        let answers = answers(&machine);
        (Just(machine), answers)
    })
}
