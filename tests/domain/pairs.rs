//! Every template with every pair of options is a domain that libvirt takes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use neuron_tests::machine;

use crate::{Bench, libvirt};

/// Options, each with its values: lines of the machine's table, of its network, and of other tables.
pub(crate) const OPTIONS: &[&[&str]] = &[
    &["", "gpus = \"none\""],
    &["", "memory_mib = 4096"],
    &["", "vcpus = 4", "vcpus = 3"],
    &["", "cpu_pinning = \"off\"", "cpu_pinning = { first = 4 }"],
    &["", "hugepages = \"2M\"", "hugepages = \"1G\""],
    &[
        "",
        "disk = { path = \"/var/lib/libvirt/images/a.qcow2\" }",
        "disk = { path = \"/var/lib/libvirt/images/a.raw\" }",
    ],
    &["", "install_iso = \"/var/lib/libvirt/images/a.iso\"\nvirtio_iso = \"/var/lib/libvirt/images/b.iso\""],
    &["", "rom_file = \"/var/lib/libvirt/images/card.rom\""],
    &["", "usb_controllers = [\"0000:00:14.0\"]"],
    &["", "pci_devices = [\"0000:02:00.0\", \"8086:a352\"]"],
    &["", "usb_devices = [\"046d:c52b\", \"1234:abcd\"]"],
    &["", "evdev = [\"usb-Logitech-event-kbd\"]"],
    &[
        "",
        "display = \"vnc\"\n[audio]\nbackend = \"none\"",
        "display = \"none\"\n[audio]\nbackend = \"none\"",
    ],
    &["", "secure_boot = false"],
    &["", "autostart = true"],
    &[
        "",
        "[vm.NAME.network]\nkind = \"bridge\"",
        "[vm.NAME.network]\nkind = \"macvtap\"",
        "[vm.NAME.network]\nkind = \"macvtap\"\ninterface = \"eth0\"\nmacvtap_mode = \"private\"",
        "[vm.NAME.network]\nkind = \"user\"",
    ],
    &["", "[audio]\nbackend = \"scream\""],
    &[
        "",
        "[looking_glass]\nenable = false",
        "[looking_glass]\nresolution = \"3840x2160\"\nhdr = true",
        "[looking_glass]\ntransport = \"kvmfr\"",
    ],
];

/// Pairs that are refused, each with the words that say why.
const REFUSED: &[(&str, &str, &str)] = &[
    ("gpus = \"none\"", "display = \"none\"", "nobody could see it"),
    ("kind = \"user\"", "backend = \"scream\"", "lets nothing of it reach the host"),
    ("kind = \"macvtap\"", "backend = \"scream\"", "lets nothing of it reach the host"),
];

/// Whether a pair of values is refused.
pub(crate) fn is_refused(pair: &[&str]) -> bool {
    let holds = |word: &str| pair.iter().any(|value| value.contains(word));
    REFUSED.iter().any(|(one, other, _)| holds(one) && holds(other))
}

/// Answers with these values; tables come behind keys.
pub(crate) fn answers(kind: &str, values: &[&str]) -> Option<String> {
    let (tables, keys): (Vec<&str>, Vec<&str>) = values.iter().partition(|value| value.starts_with('['));
    let mut text = format!("[vm.{kind}]\nkind = \"{kind}\"\n");
    let mut behind = String::new();
    for value in keys {
        let (own, rest) = value.split_once("\n[").map_or((value, ""), |(own, rest)| (own, rest));
        writeln!(text, "{own}").unwrap();
        if !rest.is_empty() {
            writeln!(behind, "[{rest}").unwrap();
        }
    }
    for table in tables {
        writeln!(behind, "{table}").unwrap();
    }
    let text = text + &behind.replace("NAME", kind);
    // A table cannot stand there twice.
    (text.matches("[audio]").count() < 2).then_some(text)
}

/// Two by two: enough to find what two options do to each other.
fn all_pairs() -> Vec<Vec<&'static str>> {
    let mut pairs = Vec::new();
    for (at, first) in OPTIONS.iter().enumerate() {
        for second in &OPTIONS[at + 1..] {
            for one in *first {
                for other in *second {
                    pairs.push(vec![*one, *other]);
                }
            }
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

#[test]
fn libvirt_takes_every_template_with_every_pair_of_options() {
    let bench = Bench::new();
    let (mut pairs, mut left_out, mut refused_pairs) = (0, 0, 0);
    let mut different = BTreeMap::new();
    for kind in ["windows11", "windows10", "linux"] {
        for pair in all_pairs() {
            match answers(kind, &pair) {
                Some(answers) if is_refused(&pair) => {
                    refused_pairs += 1;
                    let output = bench.render(&answers, &[]);
                    let said = output.stderr.replace("\n       ", " ");
                    assert_eq!(output.code, 3, "{answers}{said}");
                    assert!(REFUSED.iter().any(|(_, _, why)| said.contains(why)), "{answers}{said}");
                }
                Some(answers) => {
                    pairs += 1;
                    different.entry(bench.xml(&answers)).or_insert(answers);
                }
                None => left_out += 1,
            }
        }
    }
    println!(
        "{pairs} pairs, {} different domains; {left_out} pairs would write a table twice",
        different.len()
    );
    assert_eq!(left_out, 6, "two displays and scream both say something of [audio]");
    assert_eq!(refused_pairs, 12, "four for each template");
    assert!(different.len() > 500, "{}", different.len());
    let xml: Vec<&str> = different.keys().map(String::as_str).collect();
    let refused = libvirt::define_all(&xml);
    let told: Vec<String> =
        refused.iter().map(|(xml, why)| format!("{}\n{why}\n{xml}", different[*xml])).collect();
    assert!(told.is_empty(), "{} are refused, the first: {}", told.len(), told[0]);
}

#[test]
fn libvirt_finds_what_is_wrong_with_a_domain() {
    let xml = Bench::new().xml("[vm.a]\ndisk = { path = \"/srv/a.qcow2\" }\n");
    libvirt::define(&xml).unwrap();
    for (from, to) in [
        ("<memory unit='MiB'>", "<memory unti='MiB'>"),
        ("<memballoon model='none'/>", "<memoryballoon model='none'/>"),
        ("iothread='1'/>", "iothread='7'/>"),
        ("threads='2'", "threads='3'"),
        ("function='0x1'/>\n    </hostdev>", "function='0x0'/>\n    </hostdev>"),
    ] {
        assert!(xml.contains(from), "{from} is not in it");
        assert!(libvirt::define(&xml.replacen(from, to, 1)).is_err(), "{to}");
    }
}

#[test]
fn the_guest_gets_the_whole_card_in_one_slot() {
    let bench = Bench::new();
    let xml = bench.xml("[vm.a]\n");
    let bind: serde_json::Value =
        serde_json::from_str(&bench.ground.run(&["inspect", "--json"]).unwrap().stdout).unwrap();
    let functions = bind["decision"]["bind"].as_array().unwrap().len();
    assert!(functions > 1);
    assert_eq!(xml.matches("<hostdev mode='subsystem' type='pci' managed='no'>").count(), functions);
    assert_eq!(xml.matches("multifunction='on'").count(), 1);
    let understood = libvirt::define(&xml).unwrap();
    for function in 0..functions {
        let place =
            format!("<address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x{function}'");
        assert!(understood.contains(&place), "{place}\n{understood}");
    }
    // The control: without a GPU there is none.
    assert!(!bench.xml("[vm.a]\ngpus = \"none\"\n").contains("hostdev"));
}

#[test]
fn what_else_it_gets_has_a_port_of_its_own() {
    let bench = Bench::new();
    let devices = "[vm.a]\nrom_file = \"/srv/a.rom\"\nusb_controllers = [\"0000:00:14.0\"]\npci_devices = [\"144d:a808\"]\n";
    let (plain, xml) = (bench.xml("[vm.a]\nrom_file = \"/srv/a.rom\"\n"), bench.xml(devices));
    let understood = libvirt::define(&xml).unwrap();
    for (host, guest) in [("bus='0x00' slot='0x14'", "0x02"), ("bus='0x02' slot='0x00'", "0x03")] {
        let source = format!("<address domain='0x0000' {host} function='0x0'/>");
        let place = format!("<address type='pci' domain='0x0000' bus='{guest}' slot='0x00' function='0x0'/>");
        let (_, behind) = understood.split_once(&source).unwrap_or_else(|| panic!("{source}\n{understood}"));
        assert!(behind.split_once("</hostdev>").unwrap().0.contains(&place), "{place}\n{understood}");
    }
    assert_eq!(xml.matches("<hostdev ").count(), plain.matches("<hostdev ").count() + 2);
    assert_eq!(xml.matches("<rom ").count(), 1, "the card's alone");
    // Without the card it gets them all the same; the control: without their names it gets nothing.
    let alone = bench.xml(&devices.replacen("[vm.a]", "[vm.a]\ngpus = \"none\"", 1));
    assert_eq!(alone.matches("<hostdev ").count(), 2);
    assert!(!bench.xml("[vm.a]\ngpus = \"none\"\n").contains("hostdev"));
    // What the host needs goes to no machine, and neither does anything where nothing is given away.
    machine::in_use::keyboard(&bench.ground.machine(), Some("0000:00:14.0"), "input1").unwrap();
    machine::in_use::without_keyboard(&bench.ground.machine()).unwrap();
    let off = "[passthrough]\nmode = \"off\"\n[vm.a]\ngpus = \"none\"\npci_devices = [\"144d:a808\"]\n";
    for (answers, wanted) in [(devices, "every keyboard of the host"), (off, "gives nothing away")] {
        let output = bench.render(answers, &[]);
        let said = output.stderr.replace("\n       ", " ");
        assert!(output.code == 3 && said.contains(wanted), "{said}");
    }
}

/// The program reads the very schema that libvirt judges by: what the one allows, the other takes.
#[test]
fn usb_devices_are_named_by_port_where_libvirt_knows_ports() {
    let bench = Bench::new();
    let answers = "[vm.a]\nusb_devices = [\"1-2.3\", \"046d:c52b\"]\n";
    let schema = bench.ground.target().join("usr/share/libvirt/schemas/domaincommon.rng");
    neuron_tests::write(&schema, libvirt::schema()).unwrap();
    let output = bench.render(answers, &[]);
    let is_known = output.code == 0;
    // Where this libvirt does not, one that would.
    let made = if is_known {
        output
    } else {
        assert!(output.stderr.contains("by no port"), "{}", output.stderr);
        let newer = "<define name=\"usbaddress\"><attribute name=\"port\"></attribute></define>";
        fs::write(&schema, newer).unwrap();
        bench.render(answers, &[])
    };
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(made.stdout.contains("<address bus='1' port='2.3'/>"), "{}", made.stdout);
    assert!(made.stdout.contains("<vendor id='0x046d'/>"), "{}", made.stdout);
    match libvirt::define(&made.stdout) {
        Ok(understood) => assert!(is_known && understood.contains("port='2.3'"), "{understood}"),
        Err(why) => assert!(!is_known, "{why}"),
    }
    println!("{}", if is_known { "libvirt knows ports" } else { "this libvirt knows none, and takes none" });
}

#[test]
fn sound_goes_to_pipewire_where_qemu_runs_as_who_hears_it_and_is_new_enough() {
    let bench = Bench::new();
    let target = bench.ground.target();
    let put = |path: &str, text: &str| neuron_tests::write(&target.join(path), text).unwrap();
    put("etc/passwd", "root:x:0:0::/root:/bin/bash\nvera:x:1007:1007::/home/vera:/bin/bash\n");
    let own = libvirt::capabilities();
    let told = fs::read_to_string(&own).unwrap();
    let is_new = told.contains("<ps2");
    // What a newer libvirt and QEMU would tell, where this one is old.
    let text = if is_new {
        told
    } else {
        let machine = libvirt::between(&told, "<machine>", "</machine>").to_owned();
        told.replace("<features>", "<features><ps2 supported='yes'/>").replace(&machine, "pc-q35-9.1")
    };
    let newer = target.join("newer.xml");
    fs::write(&newer, text).unwrap();
    let answers = |more: &str| {
        format!("[looking_glass]\nusers = [\"vera\"]\n[audio]\nbackend = \"pipewire\"\n[vm.a]\n{more}")
    };
    let refused = |answers: &str, capabilities: &std::path::Path, wanted: &str| {
        let output = bench.render_with(answers, capabilities, &[]);
        let said = output.stderr.replace("\n       ", " ");
        assert!(output.code == 3 && said.contains(wanted), "{wanted}: {}{said}", output.stdout);
    };
    for (conf, wanted) in [
        ("#user = \"vera\"\n", "QEMU runs as a user of its own, whom the PipeWire of `vera` does not let in"),
        ("user = \"libvirt-qemu\"\n", "QEMU runs as libvirt-qemu"),
        ("user = \"+1000\"\n", "QEMU runs as +1000"),
        ("user = 7\n", "qemu.conf, line 1"),
    ] {
        put("etc/libvirt/qemu.conf", conf);
        refused(&answers(""), &newer, wanted);
    }
    for conf in ["user = \"+1007\"\n", "user = \"vera\"\n"] {
        put("etc/libvirt/qemu.conf", conf);
        let output = bench.render_with(&answers(""), &newer, &[]);
        assert_eq!(output.code, 0, "{conf}{}", output.stderr);
        let audio = "<audio id='1' type='pipewire' runtimeDir='/run/user/1007'/>";
        assert!(
            output.stdout.contains(audio) && output.stdout.contains("<sound model='ich9'>"),
            "{}",
            output.stdout
        );
        assert!(output.stderr.contains("audio-pipewire.so"), "{}", output.stderr);
        if is_new {
            let understood = libvirt::define(&output.stdout).unwrap();
            assert!(understood.contains("type='pipewire' runtimeDir='/run/user/1007'"), "{understood}");
            let typo = output.stdout.replace("runtimeDir", "runtimedir");
            assert!(libvirt::define(&typo).is_err(), "the control");
        } else {
            refused(&answers(""), &own, "this libvirt or this QEMU is too old");
            let here = output.stdout.replace("pc-q35-9.1", "q35");
            assert!(libvirt::define(&here).is_err(), "it is right to refuse: this libvirt does not take it");
            assert!(
                libvirt::define(&here.replace("type='pipewire' runtimeDir='/run/user/1007'", "type='none'"))
                    .is_ok()
            );
        }
    }
    println!("{}", if is_new { "libvirt takes it" } else { "this libvirt is too old for it, and says so" });
    refused(&answers("autostart = true\n"), &newer, "nobody is when the machine starts with the host");
    let nobody = answers("").replace("vera", "kim");
    refused(&nobody, &newer, "names `kim` first, and there is no such user");
}

#[test]
fn ids_are_the_same_again_and_others_on_another_system() {
    let bench = Bench::new();
    let identity = |xml: &str| {
        (
            libvirt::between(xml, "<uuid>", "</uuid>").to_owned(),
            libvirt::between(xml, "<mac ", "/>").to_owned(),
        )
    };
    let first = identity(&bench.xml("[vm.a]\n"));
    assert_eq!(first, identity(&bench.xml("[vm.a]\nvcpus = 2\n")));
    let other = identity(&bench.xml("[vm.b]\n"));
    assert!(first.0 != other.0 && first.1 != other.1);
    let id = bench.ground.target().join("etc/machine-id");
    let _ = std::fs::remove_file(&id);
    std::fs::write(&id, "ffffffffffffffffffffffffffffffff\n").unwrap();
    let elsewhere = identity(&bench.xml("[vm.a]\n"));
    assert!(first.0 != elsewhere.0 && first.1 != elsewhere.1);
    std::fs::write(&id, "uninitialized\n").unwrap();
    assert_eq!(bench.render("[vm.a]\n", &[]).code, 3);
}
