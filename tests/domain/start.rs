//! Domains that really start: every pair of options in at least one of them, under emulation.

use std::collections::BTreeSet;
use std::fs;

use crate::Bench;
use crate::daemon::{Daemon, daemon};
use crate::pairs::{OPTIONS, answers, is_refused};

/// What a machine without KVM, without the card and without hugepages cannot start: where it begins,
/// where it ends, and what stands for it there.
const NOT_EMULATED: &[(&str, &str, &str)] = &[
    ("<domain type='kvm", "'", "<domain type='qemu'"),
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
    // The memory of a module that is not loaded: a file stands for it.
    ("\"mem-path\":\"/dev/kvmfr", "\"", "\"mem-path\":\"/run/kvmfr\""),
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

/// One value of each option, by its place in [`OPTIONS`].
type Row = Vec<usize>;
/// A value of an option, and a value of another one that comes behind it.
type Pair = [(usize, usize); 2];

fn pairs_of(row: &Row) -> BTreeSet<Pair> {
    let values: Vec<(usize, usize)> = row.iter().copied().enumerate().collect();
    let mut pairs = BTreeSet::new();
    for (at, first) in values.iter().enumerate() {
        pairs.extend(values[at + 1..].iter().map(|second| [*first, *second]));
    }
    pairs
}

fn all_pairs() -> BTreeSet<Pair> {
    let counts: Vec<usize> = OPTIONS.iter().map(|values| values.len()).collect();
    let mut pairs = BTreeSet::new();
    for (one, count) in counts.iter().enumerate() {
        for (other, others) in counts.iter().enumerate().skip(one + 1) {
            pairs.extend(
                (0..*count).flat_map(|value| (0..*others).map(move |second| [(one, value), (other, second)])),
            );
        }
    }
    pairs
}

fn is_possible([(one, value), (other, second)]: Pair) -> bool {
    let pair = [OPTIONS[one][value], OPTIONS[other][second]];
    answers("linux", &pair).is_some() && !is_refused(&pair)
}

/// Rows in which every pair that is possible stands at least once: from each pair that is still
/// missing, the row that has the most of the missing ones.
fn rows() -> (Vec<Row>, usize) {
    let mut missing: BTreeSet<Pair> = all_pairs().into_iter().filter(|pair| is_possible(*pair)).collect();
    let (count, mut rows) = (missing.len(), Vec::new());
    while let Some(&[(one, value), (other, second)]) = missing.first() {
        let mut row: Vec<Option<usize>> = vec![None; OPTIONS.len()];
        (row[one], row[other]) = (Some(value), Some(second));
        for option in 0..OPTIONS.len() {
            if row[option].is_some() {
                continue;
            }
            let with =
                |value: usize| -> Vec<Pair> {
                    let set = row.iter().enumerate().filter_map(|(at, value)| value.map(|value| (at, value)));
                    set.map(|there| {
                        if there.0 < option { [there, (option, value)] } else { [(option, value), there] }
                    })
                    .collect()
                };
            let fits = (0..OPTIONS[option].len()).filter(|value| with(*value).into_iter().all(is_possible));
            row[option] =
                fits.max_by_key(|value| with(*value).iter().filter(|pair| missing.contains(*pair)).count());
        }
        // What fits nothing stays as it is by default.
        let row: Row = row.into_iter().map(Option::unwrap_or_default).collect();
        let before = missing.len();
        missing.retain(|pair| !pairs_of(&row).contains(pair));
        assert!(missing.len() < before, "{row:?} brings nothing");
        rows.push(row);
    }
    (rows, count)
}

#[test]
fn every_pair_of_options_is_in_a_domain_that_starts() {
    let (daemon, bench) = (daemon(), Bench::of_kvm());
    let images = "cd /var/lib/libvirt/images && qemu-img create -q -f qcow2 a.qcow2 1G && \
                  qemu-img create -q -f raw a.raw 1G && truncate -s 1M a.iso b.iso";
    assert!(daemon.command("sh".as_ref()).args(["-c", images]).status().unwrap().success());
    // Another test may have left it up.
    let _ = daemon.virsh(&["net-start", "default"]);
    let (rows, pairs) = rows();
    let began = std::time::Instant::now();
    let mut failed = Vec::new();
    let mut started = 0;
    for kind in ["windows11", "windows10", "linux"] {
        for row in &rows {
            let values: Vec<&str> =
                row.iter().enumerate().map(|(option, value)| OPTIONS[option][*value]).collect();
            let text = answers(kind, &values).unwrap();
            match start(&daemon, kind, &emulated(&bench.xml(&text))) {
                Ok(()) => started += 1,
                Err(why) => failed.push(format!("{text}\n{why}")),
            }
        }
    }
    let took = began.elapsed().as_secs();
    println!(
        "{pairs} pairs of options in {} domains of each of 3 templates: {started} started in {took} s",
        rows.len()
    );
    assert!(pairs > 500 && rows.len() > 15, "{pairs} pairs in {} domains", rows.len());
    assert!(failed.is_empty(), "{} did not start, the first: {}", failed.len(), failed[0]);
    assert_eq!(started, rows.len() * 3);
}

/// Defines it, starts it, looks whether it runs, and takes it away. Its memory for Looking Glass has a
/// name of its own: that of the machine which runs the tests may be in use.
fn start(daemon: &Daemon, name: &str, xml: &str) -> Result<(), String> {
    let memory = format!("neuron-tests-{}", std::process::id());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("domain.xml");
    fs::write(&file, xml.replace("<shmem name='looking-glass'", &format!("<shmem name='{memory}'"))).unwrap();
    daemon.virsh(&["define", "--validate", file.to_str().unwrap()])?;
    let ran = daemon.virsh(&["start", name]).and_then(|_| daemon.virsh(&["domstate", name]));
    let _ = daemon.virsh(&["destroy", name]);
    // It stays behind, and the next one may be of another size.
    let _ = fs::remove_file(std::path::Path::new("/dev/shm").join(&memory));
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
