//! Which processors a virtual machine gets on machines of every kind, each laid out as its kernel shows it:
//! hybrid, without SMT, with processors offline, two sockets, several last-level caches, two cores.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

use std::collections::BTreeSet;
use std::fs;

use neuron_tests::scenario::Ground;

const GPU: &str = "0000:01:00.0";

/// A machine's processors.
#[derive(Clone, Copy)]
struct Layout {
    what: &'static str,
    /// The list of those that are online.
    online: &'static str,
    /// By processor: who shares its core, as the kernel lists it.
    core: fn(u32) -> String,
    /// By processor: the first and the last of those that share its last-level cache; two ranges where
    /// siblings are numbered apart.
    cache: fn(u32) -> String,
    /// The nodes' processors; empty on a machine without NUMA.
    nodes: &'static [&'static str],
    /// The small cores of a hybrid processor.
    small: &'static str,
    /// The node of the GPU.
    gpu: Option<u32>,
    /// What the virtual machine is to get, in order, and what is left for everything else of it.
    wanted: (&'static str, &'static str),
}

const LAYOUTS: &[Layout] = &[
    Layout {
        what: "Core i9-12900K: 8 big cores with SMT, 8 small ones",
        online: "0-23",
        core: |at| if at < 16 { format!("{}-{}", at / 2 * 2, at / 2 * 2 + 1) } else { at.to_string() },
        cache: |_| "0-23".to_owned(),
        nodes: &["0-23"],
        small: "16-23",
        gpu: Some(0),
        wanted: ("2-15", "0-1,16-23"),
    },
    Layout {
        what: "Core i5-12400, SMT switched off in the firmware",
        online: "0-5",
        core: |at| at.to_string(),
        cache: |_| "0-5".to_owned(),
        nodes: &["0-5"],
        small: "",
        gpu: None,
        wanted: ("2-5", "0-1"),
    },
    Layout {
        what: "Ryzen 7 5800X with SMT off: the siblings are there and offline",
        online: "0-7",
        core: |at| at.to_string(),
        cache: |_| "0-7".to_owned(),
        nodes: &["0-7"],
        small: "",
        gpu: None,
        wanted: ("2-7", "0-1"),
    },
    Layout {
        what: "Core i7-9700K with two cores taken offline",
        online: "0-2,4-5,7",
        core: |at| at.to_string(),
        cache: |_| "0-2,4-5,7".to_owned(),
        nodes: &["0-2,4-5,7"],
        small: "",
        gpu: None,
        wanted: ("2,4-5,7", "0-1"),
    },
    Layout {
        what: "Xeon E5-2670, two sockets, the GPU on the second",
        online: "0-31",
        core: |at| format!("{},{}", at % 16, at % 16 + 16),
        cache: |at| if at % 16 < 8 { "0-7,16-23".to_owned() } else { "8-15,24-31".to_owned() },
        nodes: &["0-7,16-23", "8-15,24-31"],
        small: "",
        gpu: Some(1),
        wanted: ("9,25,10,26,11,27,12,28,13,29,14,30,15,31", "8,24"),
    },
    Layout {
        what: "the same, the GPU on the first",
        online: "0-31",
        core: |at| format!("{},{}", at % 16, at % 16 + 16),
        cache: |at| if at % 16 < 8 { "0-7,16-23".to_owned() } else { "8-15,24-31".to_owned() },
        nodes: &["0-7,16-23", "8-15,24-31"],
        small: "",
        gpu: Some(0),
        wanted: ("1,17,2,18,3,19,4,20,5,21,6,22,7,23", "0,16"),
    },
    Layout {
        what: "Ryzen 9 5950X: two last-level caches of eight cores",
        online: "0-31",
        core: |at| format!("{},{}", at % 16, at % 16 + 16),
        cache: |at| if at % 16 < 8 { "0-7,16-23".to_owned() } else { "8-15,24-31".to_owned() },
        nodes: &["0-31"],
        small: "",
        gpu: None,
        wanted: ("8,24,9,25,10,26,11,27,12,28,13,29,14,30,15,31", "0-7,16-23"),
    },
    Layout {
        what: "EPYC 7302P as four nodes, a last-level cache for two cores, the GPU on the third node",
        online: "0-31",
        core: |at| format!("{},{}", at % 16, at % 16 + 16),
        cache: |at| {
            let first = at % 16 / 2 * 2;
            format!("{first}-{},{}-{}", first + 1, first + 16, first + 17)
        },
        nodes: &["0-3,16-19", "4-7,20-23", "8-11,24-27", "12-15,28-31"],
        small: "",
        gpu: Some(2),
        wanted: ("10,26,11,27", "8-9,24-25"),
    },
    Layout {
        what: "Pentium G4560: two cores of two threads",
        online: "0-3",
        core: |at| format!("{},{}", at % 2, at % 2 + 2),
        cache: |_| "0-3".to_owned(),
        nodes: &["0-3"],
        small: "",
        gpu: None,
        wanted: ("1,3", "0,2"),
    },
    Layout {
        what: "two cores without SMT",
        online: "0-1",
        core: |at| at.to_string(),
        cache: |_| "0-1".to_owned(),
        nodes: &[],
        small: "",
        gpu: None,
        wanted: ("1", "0"),
    },
];

/// The numbers of a list like `0-2,4`, in order.
fn numbers(list: &str) -> Vec<u32> {
    let ranges = list.split(',').filter(|range| !range.is_empty());
    let ends = ranges.map(|range| range.split_once('-').unwrap_or((range, range)));
    ends.flat_map(|(first, last)| first.parse().unwrap()..=last.parse::<u32>().unwrap()).collect()
}

fn lay_out(layout: &Layout) -> Ground {
    let ground = Ground::new("made-rtx-usbc-igpu", "arch-grub").unwrap();
    let put = |path: &str, text: String| {
        let path = ground.machine().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text + "\n").unwrap();
    };
    let cpus = "sys/devices/system/cpu";
    put("proc/meminfo", "MemTotal:       33554432 kB".to_owned());
    put(&format!("{cpus}/online"), layout.online.to_owned());
    for processor in numbers(layout.online) {
        let base = format!("{cpus}/cpu{processor}");
        put(&format!("{base}/topology/thread_siblings_list"), (layout.core)(processor));
        put(&format!("{base}/cache/index0/level"), "1".to_owned());
        put(&format!("{base}/cache/index0/shared_cpu_list"), (layout.core)(processor));
        put(&format!("{base}/cache/index3/level"), "3".to_owned());
        put(&format!("{base}/cache/index3/shared_cpu_list"), (layout.cache)(processor));
    }
    for (node, list) in layout.nodes.iter().enumerate() {
        put(&format!("sys/devices/system/node/node{node}/cpulist"), (*list).to_owned());
    }
    if !layout.small.is_empty() {
        put("sys/devices/cpu_atom/cpus", layout.small.to_owned());
    }
    let node = layout.gpu.map_or("-1".to_owned(), |node| node.to_string());
    put(&format!("sys/bus/pci/devices/{GPU}/numa_node"), node);
    ground
}

/// Of every element of this name, the value of an attribute.
fn attributes(xml: &str, element: &str, attribute: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(xml).unwrap();
    let found = document.descendants().filter(|node| node.has_tag_name(element));
    found.map(|node| node.attribute(attribute).unwrap().to_owned()).collect()
}

fn xml(ground: &Ground, keys: &str) -> String {
    let answers = ground.beside("answers.toml");
    fs::write(&answers, format!("[vm.a]\n{keys}")).unwrap();
    let capabilities = neuron_tests::tests_folder().join("domain/kvm-capabilities.xml");
    let arguments = ["vm", "render", "--capabilities", capabilities.to_str().unwrap(), "--answers"];
    let output = ground.run(&[&arguments[..], &[answers.to_str().unwrap()]].concat()).unwrap();
    assert_eq!(output.code, 0, "{}", output.stderr);
    output.stdout
}

#[test]
fn every_machine_keeps_what_it_needs_and_gives_what_belongs_together() {
    for layout in LAYOUTS {
        let what = layout.what;
        let xml = xml(&lay_out(layout), "");
        let pins: Vec<u32> =
            attributes(&xml, "vcpupin", "cpuset").iter().map(|pin| pin.parse().unwrap()).collect();
        let rest = attributes(&xml, "emulatorpin", "cpuset");
        assert_eq!(attributes(&xml, "iothreadpin", "cpuset"), rest, "{what}");
        assert_eq!((pins.clone(), rest[0].as_str()), (numbers(layout.wanted.0), layout.wanted.1), "{what}");
        holds(layout, &pins, &numbers(&rest[0]), &xml);
    }
}

/// What must be so on every machine, whatever the table says.
fn holds(layout: &Layout, pins: &[u32], rest: &[u32], xml: &str) {
    let what = layout.what;
    let online: BTreeSet<u32> = numbers(layout.online).into_iter().collect();
    let used: BTreeSet<u32> = pins.iter().copied().collect();
    assert_eq!(used.len(), pins.len(), "{what}: one twice");
    assert!(pins.iter().chain(rest).all(|one| online.contains(one)), "{what}: offline");
    assert!(!rest.is_empty() && rest.iter().all(|one| !used.contains(one)), "{what}: nothing for the host");
    assert!(!used.contains(&0), "{what}: the kernel's own processor");
    for one in &used {
        let siblings = numbers(&(layout.core)(*one));
        assert!(siblings.iter().all(|sibling| used.contains(sibling)), "{what}: half of a core");
    }
    let node_of = |one: u32| layout.nodes.iter().position(|list| numbers(list).contains(&one));
    let nodes: BTreeSet<_> = pins.iter().chain(rest).map(|one| node_of(*one)).collect();
    assert_eq!(nodes.len(), 1, "{what}: across nodes");
    if layout.nodes.len() > 1 {
        let node = layout.gpu.unwrap().to_string();
        assert_eq!(nodes.first().unwrap().unwrap().to_string(), node, "{what}");
        assert!(xml.contains(&format!("<memory mode='strict' nodeset='{node}'/>")), "{what}");
    } else {
        assert!(!xml.contains("<numatune>"), "{what}");
    }
    let small = numbers(layout.small);
    assert!(pins.iter().all(|one| !small.contains(one)), "{what}: a small core");
    let count = |name: &str| attributes(xml, "topology", name)[0].parse::<usize>().unwrap();
    assert_eq!(count("cores") * count("threads"), pins.len(), "{what}");
}

/// The controls: what these machines cannot give is refused, and what is asked for by name is followed.
#[test]
fn more_than_a_machine_can_give_is_refused() {
    let layout = LAYOUTS.iter().find(|layout| layout.what.starts_with("Xeon")).unwrap();
    let ground = lay_out(layout);
    let answers = ground.beside("answers.toml");
    let capabilities = neuron_tests::tests_folder().join("domain/kvm-capabilities.xml");
    let refused = |keys: &str| {
        fs::write(&answers, format!("[vm.a]\n{keys}")).unwrap();
        let arguments = ["vm", "render", "--capabilities", capabilities.to_str().unwrap(), "--answers"];
        let output = ground.run(&[&arguments[..], &[answers.to_str().unwrap()]].concat()).unwrap();
        assert_eq!(output.code, 3, "{keys}: {}", output.stdout);
        output.stderr.replace('\n', " ")
    };
    let said = refused("vcpus = 16\n");
    assert!(said.contains("16 processors are wanted, and 14 can be given away"), "{said}");
    let said = refused("cpu_pinning = { first = 40 }\n");
    assert!(said.contains("there is no such processor online"), "{said}");
    // Memory is of the node as well, and never all of it: half of the host's would be.
    for node in 0..2 {
        let path = ground.machine().join(format!("sys/devices/system/node/node{node}/meminfo"));
        fs::write(path, format!("Node {node} MemTotal:       16777216 kB\nNode {node} MemFree: 9 kB\n"))
            .unwrap();
    }
    let memory = |ground: &Ground, keys: &str| {
        let xml = xml(ground, keys);
        let document = roxmltree::Document::parse(&xml).unwrap();
        let node = document.descendants().find(|node| node.tag_name().name() == "memory").unwrap();
        (node.text().unwrap().to_owned(), node.attribute("unit").unwrap().to_owned())
    };
    assert_eq!(memory(&ground, ""), ("14336".to_owned(), "MiB".to_owned()));
    let said = refused("memory_mib = 15360\n");
    let wanted =
        "15360 MiB: between 1024 and 14336 can be given away, it is cut from NUMA node 1, where 2048 MiB";
    assert!(said.replace("        ", " ").contains(wanted), "{said}");
    let unbound = memory(&ground, "memory_mib = 15360\ncpu_pinning = \"off\"\n");
    assert_eq!(unbound.0, "15360", "the control: it may lie on both");
    let capture = ground.beside("capture.json");
    assert_eq!(ground.run(&["capture", "-o", capture.to_str().unwrap()]).unwrap().code, 0);
    assert!(fs::read_to_string(&capture).unwrap().contains("node1/meminfo"));
    // By name, the whole node goes.
    let all = xml(&ground, "vcpus = 16\ncpu_pinning = { first = 8 }\n");
    assert_eq!(attributes(&all, "vcpupin", "cpuset").len(), 16);
    assert_eq!(attributes(&all, "emulatorpin", "cpuset"), ["0-7,16-23"]);
    // Nothing is pinned where nothing is to be.
    assert!(attributes(&xml(&ground, "cpu_pinning = \"off\"\n"), "vcpupin", "cpuset").is_empty());
}
