//! Domains that really start, under emulation.

use std::fs;

use crate::Bench;
use crate::daemon::{Daemon, daemon};
use crate::pairs::{OPTIONS, answers};

/// What a machine without KVM, without the card and without hugepages cannot start: where it begins,
/// where it ends, and what stands for it there.
const NOT_EMULATED: &[(&str, &str, &str)] = &[
    ("<domain type='kvm'", ">", "<domain type='qemu'>"),
    // The processor of the host, its caches and its features.
    ("<cpu mode='host-passthrough'", ">", "<cpu mode='maximum'>"),
    ("<cache mode='passthrough'", "/>", ""),
    ("<feature policy='require' name='topoext'", "/>", ""),
    // Enlightenments, and the clock that goes with them.
    ("<hyperv", "</hyperv>", ""),
    ("<timer name='hypervclock'", "/>", ""),
    // vfio functions.
    ("<hostdev mode='subsystem' type='pci'", "</hostdev>", ""),
    // The processors of another machine.
    ("<vcpupin", "/>", ""),
    ("<emulatorpin", "/>", ""),
    ("<iothreadpin", "/>", ""),
    // Pages that this host did not reserve.
    ("<memoryBacking>", "</memoryBacking>", ""),
    // Input devices that are not plugged in.
    ("<input type='evdev'", "</input>", ""),
    // A wired interface in here, and a kernel with macvtap.
    ("<interface type='direct'>", "/>", "<interface type='user'>"),
];

/// A domain without what cannot be emulated.
pub(crate) fn emulated(xml: &str) -> String {
    let mut text = xml.to_owned();
    for (from, to, instead) in NOT_EMULATED {
        let mut done = String::new();
        let mut rest = text.as_str();
        while let Some((before, behind)) = rest.split_once(from) {
            let (_, behind) = behind.split_once(to).unwrap();
            done.push_str(before);
            done.push_str(instead);
            rest = behind;
        }
        done.push_str(rest);
        text = done;
    }
    text
}

/// Defines it, starts it, looks whether it runs, and takes it away.
fn start(daemon: &Daemon, name: &str, xml: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("domain.xml");
    fs::write(&file, xml).unwrap();
    daemon.virsh(&["define", "--validate", file.to_str().unwrap()])?;
    let ran = daemon.virsh(&["start", name]).and_then(|_| daemon.virsh(&["domstate", name]));
    let _ = daemon.virsh(&["destroy", name]);
    daemon.virsh(&["undefine", "--nvram", "--tpm", name])?;
    match ran?.as_str() {
        "running" => Ok(()),
        other => Err(format!("it is {other}")),
    }
}

#[test]
fn a_domain_that_cannot_start_is_found() {
    let (daemon, bench) = (daemon(), Bench::of_kvm());
    let xml = emulated(
        &bench.xml("[vm.linux]\nkind = \"linux\"\ngpus = \"none\"\n[vm.linux.network]\nkind = \"user\"\n"),
    );
    start(&daemon, "linux", &xml).unwrap();
    let without_card = xml.replace(
        "</devices>",
        "<hostdev mode='subsystem' type='pci' managed='no'><source>\
        <address domain='0x0000' bus='0xfe' slot='0x1f' function='0x7'/></source></hostdev></devices>",
    );
    assert!(start(&daemon, "linux", &without_card).is_err());
}

#[test]
fn the_list_of_what_cannot_be_emulated_holds_nothing_that_is_not_there() {
    let bench = Bench::of_kvm();
    let mut seen = String::new();
    for values in OPTIONS.iter().flat_map(|values| values.iter()) {
        for kind in ["windows11", "linux"] {
            if let Some(text) = answers(kind, &[values]) {
                seen.push_str(&bench.xml(&text));
            }
        }
    }
    // AMD's, which the bench is not.
    let here = NOT_EMULATED.iter().filter(|(from, _, _)| !from.contains("topoext"));
    for (from, _, _) in here {
        assert!(seen.contains(from), "{from}");
    }
}
