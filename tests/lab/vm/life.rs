//! What a virtual machine that our command defined goes through, and what must be true of it then, wherever it runs.

/// Lines of `tests/lab/guest/domain`, once it was started.
pub(crate) const LIFE: &str = "\
state >/run/vm/state.running
seen first
stat -c '%U:%G %a %s' $memory >/run/vm/memory
drivers running
as vera \"head -c 5 $memory\" >/run/vm/as.vera
as nobody \"head -c 5 $memory\" >/run/vm/as.nobody
goodbye
within 60 is_off
state >/run/vm/state.stopped
drivers stopped
start destroyed --paused
virsh --quiet destroy $machine
state >/run/vm/state.destroyed
drivers destroyed
start killed --paused
kill -9 $(cat /run/libvirt/qemu/$machine.pid)
within 60 is_off
state >/run/vm/state.killed
drivers killed
mv $media/linux $media/away
start without-kernel
drivers without-kernel
mv $media/away $media/linux
truncate -s 1M $memory
start small-memory
drivers small-memory
truncate -s 0 $memory
";

/// Where it should start with the host and must not; the control is the domain without the host's functions.
pub(crate) const BARE: &str = "\
state >/run/vm/state.automatic
drivers automatic
changed '/<hostdev/,/<.hostdev>/d'
start bare
seen bare
goodbye
within 60 is_off
";

/// The functions' drivers, one beside the other.
pub(crate) const VFIO: &str = "vfio-pci vfio-pci ";
pub(crate) const NATIVE: &str = "virtio-pci snd_hda_intel ";

/// What a command prints in the machine that runs it, without its line ends.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) command: String,
    pub(crate) expected: String,
}

fn check(name: &str, command: String, expected: &str) -> Check {
    Check { name: name.to_owned(), command, expected: expected.to_owned() }
}

/// What a file of the run says, on one line.
pub(crate) fn tells(name: &str, file: &str, expected: &str) -> Check {
    check(name, format!("cat /run/vm/{file}"), expected)
}

/// Libvirt, or whoever else wrote the file, refuses something for this reason.
pub(crate) fn refuses(name: &str, file: &str, reason: &str) -> Check {
    check(name, format!("grep -o '{reason}' /run/vm/{file} | sort -u"), reason)
}

/// Of these ids the guest saw those, as such classes.
pub(crate) fn sees(name: &str, run: &str, ids: &str, expected: &str) -> Check {
    check(name, format!("functions {run} {ids}"), expected)
}

/// What is true after [`LIFE`]; the first start is told apart by why it runs.
pub(crate) fn lived(running: &str) -> Vec<Check> {
    let mut checks = vec![
        tells("it runs", "state.running", running),
        tells("its functions are with vfio-pci", "drivers.running", VFIO),
        sees(
            "the guest sees GPU, audio and memory",
            "first",
            "1af4:1050 8086:293e 1af4:1110",
            "1af4:1050 0380 8086:293e 0403 1af4:1110 0500 ",
        ),
        check("GPU and audio are in one slot", "slots first 1af4:1050 8086:293e".to_owned(), "1"),
        tells("the memory is there before it starts", "memory.before", "vera:kvm 660 0"),
        tells("the memory has its owner and its size", "memory", "vera:kvm 660 67108864"),
        tells("the user reads what the guest wrote", "as.vera", "seen:"),
        refuses("control: nobody else does", "as.nobody", "Permission denied"),
    ];
    for (name, run, expected) in [
        ("it stops once the user writes", "stopped", "shut off (shutdown)"),
        ("it is destroyed", "destroyed", "shut off (destroyed)"),
        ("it is killed", "killed", "shut off (crashed)"),
    ] {
        checks.push(tells(name, &format!("state.{run}"), expected));
        let stay = format!("{name}: the functions stay with vfio-pci");
        checks.push(tells(&stay, &format!("drivers.{run}"), VFIO));
    }
    for (run, reason) in
        [("without-kernel", "No such file or directory"), ("small-memory", "backing store size")]
    {
        checks.push(refuses(&format!("no start: {run}"), &format!("start.{run}"), reason));
        let stay = format!("{run}: the functions stay with vfio-pci");
        checks.push(tells(&stay, &format!("drivers.{run}"), VFIO));
    }
    checks
}

/// What is true where it should have started with the host, and these drivers have the functions.
pub(crate) fn takes_nothing(drivers: &str) -> Vec<Check> {
    vec![
        tells("it should start with the host", "automatic", "windows"),
        refuses("libvirt says why it does not", "libvirtd", "must be manually detached from the host"),
        tells("it does not run", "state.automatic", "shut off (failed)"),
        tells("all functions stay with the host", "drivers.automatic", drivers),
    ]
}

/// After [`BARE`]: it is not the guest that cannot see.
pub(crate) fn sees_memory_alone() -> Check {
    sees(
        "control: without the functions it starts, and the guest sees the memory alone",
        "bare",
        "1af4:1050 8086:293e 1af4:1110",
        "1af4:1110 0500 ",
    )
}
