//! Set up, defined, started, seen; and what must not start.

use std::sync::LazyLock;

use super::host::{State, machine, new};
use crate::case::Case;
use crate::claim::{AUDIO, GUEST, HOST, holds, nothing_claimed};
use crate::machine::{Function, Model, function};
use crate::table::row;

/// The heading in the table.
const PART: &str = "The virtual machine that our command defines";

const SET_UP: &str = "\
system
target
mkdir -p /target/etc/neuron/templates
cp /lab/answers.toml /target/etc/neuron/provisioner.toml
cp /lab/domain.xml.j2 /target/etc/neuron/templates/
provisioner apply apply
in_force
drivers before
libvirt
defined
hand_on
";

/// A boot of what was set up, until libvirt started what starts with the host.
const BOOT: &str = "\
handed_on
system
in_force
stat -c '%U:%G %a %s' $memory >/run/vm/memory.before
libvirt
";

const STARTED: &str = "\
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

/// The same functions under ids of NVIDIA's, which QEMU shows to the guest.
const NVIDIA: &str = "\
property() { echo \"<qemu:property name='x-pci-$1-id' type='unsigned' value='$2'/>\"; }
device() {
    echo \"<qemu:device alias='$1'><qemu:frontend>$(property vendor $2)$(property device $3)</qemu:frontend></qemu:device>\"
}
ids=\"<qemu:override>$(device hostdev0 4318 8708)$(device hostdev1 4318 6895)</qemu:override>\"
name=\"xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'\"
changed \"s|^<domain |<domain $name |; s|^</domain>|$ids</domain>|\"
start nvidia
seen nvidia
virsh --quiet destroy $machine
";

/// The domain without the host's functions.
const BARE: &str = "\
state >/run/vm/state.automatic
drivers automatic
changed '/<hostdev/,/<.hostdev>/d'
start bare
seen bare
goodbye
within 60 is_off
";

/// The domain as libvirt's own tools make it.
const MANAGED: &str = "\
state >/run/vm/state.automatic
drivers automatic
changed \"s/managed='no'/managed='yes'/\"
start managed --paused
drivers managed
virsh --quiet destroy $machine
";

/// What a file of the run says, on one line.
fn tells(case: Case, name: &str, file: &str, expected: &str) -> Case {
    case.prints(name, &format!("cat /run/vm/{file}"), expected)
}

/// Libvirt refuses a start for this reason.
fn refuses(case: Case, name: &str, file: &str, reason: &str) -> Case {
    case.prints(name, &format!("grep -o '{reason}' /run/vm/{file} | sort -u"), reason)
}

const VFIO: &str = "vfio-pci vfio-pci ";
const NATIVE: &str = "virtio-pci snd_hda_intel ";

/// What the first boot leaves; all others go on from there.
static STATE: LazyLock<State> = LazyLock::new(|| {
    let case = new(SET_UP).unwrap().with_host(&[HOST, GUEST, AUDIO]);
    let case = tells(case, "apply wants a reboot", "rc.apply", "4");
    let case = tells(case, "the domain is defined", "rc.define", "0");
    let case = tells(case, "until then the host has the functions", "drivers.before", NATIVE);
    let case = case.prints("it starts with the host", "virsh list --all --autostart --name", "windows");
    State::of(&holds(row!(PART, "set up and defined"), &case)).unwrap()
});

#[test]
fn the_guest_has_what_was_given_away_and_vfio_pci_keeps_it() {
    let case = STATE.boots(machine(&[GUEST, AUDIO]), &format!("{BOOT}{STARTED}{NVIDIA}")).unwrap();
    let case =
        case.says("claimed", "0000:01:00.0 0000:01:00.1").with_vfio(&[GUEST, AUDIO]).with_host(&[HOST]);
    let case = tells(case, "it starts with the host", "state.running", "running (booted)");
    let case = tells(case, "its functions are with vfio-pci", "drivers.running", VFIO);
    let sees = |case: Case, name: &str, run: &str, ids: &str, expected: &str| {
        case.prints(name, &format!("functions {run} {ids}"), expected)
    };
    let case = sees(
        case,
        "the guest sees GPU, audio and memory",
        "first",
        "1af4:1050 8086:293e 1af4:1110",
        "1af4:1050 0380 8086:293e 0403 1af4:1110 0500 ",
    );
    let case = case.prints("GPU and audio are in one slot", "slots first 1af4:1050 8086:293e", "1");
    let case = tells(case, "the memory is there before it starts", "memory.before", "vera:kvm 660 0");
    let case = tells(case, "the memory has its owner and its size", "memory", "vera:kvm 660 67108864");
    let case = tells(case, "the user reads what the guest wrote", "as.vera", "seen:");
    let case = refuses(case, "control: nobody else does", "as.nobody", "Permission denied");
    let mut case = case;
    for (name, run, expected) in [
        ("it stops once the user writes", "stopped", "shut off (shutdown)"),
        ("it is destroyed", "destroyed", "shut off (destroyed)"),
        ("it is killed", "killed", "shut off (crashed)"),
    ] {
        case = tells(case, name, &format!("state.{run}"), expected);
        case = tells(
            case,
            &format!("{name}: the functions stay with vfio-pci"),
            &format!("drivers.{run}"),
            VFIO,
        );
    }
    for (run, reason) in [("without-kernel", "No such file or directory"), ("small-memory", "does not match")]
    {
        case = refuses(case, &format!("no start: {run}"), &format!("start.{run}"), reason);
        case =
            tells(case, &format!("{run}: the functions stay with vfio-pci"), &format!("drivers.{run}"), VFIO);
    }
    let case = tells(case, "control: it starts again", "start.nvidia", "started");
    let case = sees(
        case,
        "the guest sees ids of NVIDIA",
        "nvidia",
        "10de:2204 10de:1aef 1af4:1110 1af4:1050 8086:293e",
        "10de:2204 0380 10de:1aef 0403 1af4:1110 0500 ",
    );
    holds(row!(PART, "started with the host, stopped, destroyed, killed, refused; NVIDIA's ids"), &case);
}

#[test]
fn on_the_entry_without_passthrough_it_takes_nothing() {
    let case = STATE.boots(machine(&[GUEST, AUDIO]), &format!("{BOOT}{BARE}")).unwrap();
    let case = case.parameters("neuron.passthrough=off");
    let case = nothing_claimed(case, &[HOST, GUEST, AUDIO], "off", "neuron.passthrough=off");
    let case = takes_nothing(case, NATIVE);
    let case = case.prints(
        "control: without the functions it starts, and the guest sees the memory alone",
        "functions bare 1af4:1050 8086:293e 1af4:1110",
        "1af4:1110 0500 ",
    );
    holds(row!(PART, "the entry without passthrough: it takes nothing"), &case);
}

/// Where the functions were is another card, as many functions on it.
#[test]
fn once_a_card_was_added_it_takes_nothing() {
    const ADDED: [Function; 2] =
        [function("0000:01:00.0", Model::Bochs), function("0000:01:00.1", Model::Audio)];
    const MOVED: [Function; 2] =
        [function("0000:02:00.0", Model::Virtio), function("0000:02:00.1", Model::Audio)];
    let cards = [ADDED, MOVED].concat();
    let case = STATE.boots(machine(&cards), &format!("{BOOT}{MANAGED}")).unwrap();
    let case = nothing_claimed(case, &cards, "doubt", "0000:01:00.0 is not what was recorded");
    let case = takes_nothing(case, "bochs-drm snd_hda_intel ");
    let case = tells(case, "control: managed by libvirt it takes the new card", "drivers.managed", VFIO);
    holds(row!(PART, "a card was added in front: it takes nothing"), &case);
}

fn takes_nothing(case: Case, drivers: &str) -> Case {
    let case = tells(case, "it should start with the host", "automatic", "windows");
    let case =
        refuses(case, "libvirt says why it does not", "libvirtd", "must be manually detached from the host");
    let case = tells(case, "it does not run", "state.automatic", "shut off (failed)");
    tells(case, "all functions stay with the host", "drivers.automatic", drivers)
}
