//! Set up, defined, started, seen; and what must not start.

use std::sync::LazyLock;

use super::host::{State, machine, new};
use super::life::{BARE, Check, LIFE, NATIVE, VFIO, lived, sees, sees_memory_alone, takes_nothing, tells};
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

/// The domain as libvirt's own tools make it.
const MANAGED: &str = "\
state >/run/vm/state.automatic
drivers automatic
changed \"s/managed='no'/managed='yes'/\"
start managed --paused
drivers managed
virsh --quiet destroy $machine
";

/// The case with these checks.
fn with(case: Case, checks: impl IntoIterator<Item = Check>) -> Case {
    checks.into_iter().fold(case, |case, check| case.prints(&check.name, &check.command, &check.expected))
}

/// What the first boot leaves; all others go on from there.
static STATE: LazyLock<State> = LazyLock::new(|| {
    let case = new(SET_UP).unwrap().with_host(&[HOST, GUEST, AUDIO]);
    let case = with(
        case,
        [
            tells("apply wants a reboot", "rc.apply", "4"),
            tells("the domain is defined", "rc.define", "0"),
            tells("until then the host has the functions", "drivers.before", NATIVE),
        ],
    );
    let case = case.prints("it starts with the host", "virsh list --all --autostart --name", "windows");
    State::of(&holds(row!(PART, "set up and defined"), &case)).unwrap()
});

#[test]
fn the_guest_has_what_was_given_away_and_vfio_pci_keeps_it() {
    let case = STATE.boots(machine(&[GUEST, AUDIO]), &format!("{BOOT}{LIFE}{NVIDIA}")).unwrap();
    let case =
        case.says("claimed", "0000:01:00.0 0000:01:00.1").with_vfio(&[GUEST, AUDIO]).with_host(&[HOST]);
    let case = with(case, lived("running (booted)"));
    let nvidia = sees(
        "the guest sees ids of NVIDIA",
        "nvidia",
        "10de:2204 10de:1aef 1af4:1110 1af4:1050 8086:293e",
        "10de:2204 0380 10de:1aef 0403 1af4:1110 0500 ",
    );
    let case = with(case, [tells("control: it starts again", "start.nvidia", "started"), nvidia]);
    holds(row!(PART, "started with the host, stopped, destroyed, killed, refused; NVIDIA's ids"), &case);
}

#[test]
fn on_the_entry_without_passthrough_it_takes_nothing() {
    let case = STATE.boots(machine(&[GUEST, AUDIO]), &format!("{BOOT}{BARE}")).unwrap();
    let case = case.parameters("neuron.passthrough=off");
    let case = nothing_claimed(case, &[HOST, GUEST, AUDIO], "off", "neuron.passthrough=off");
    let case = with(with(case, takes_nothing(NATIVE)), [sees_memory_alone()]);
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
    let case = with(case, takes_nothing("bochs-drm snd_hda_intel "));
    let control = "control: managed by libvirt it takes the new card";
    let case = with(case, [tells(control, "drivers.managed", VFIO)]);
    holds(row!(PART, "a card was added in front: it takes nothing"), &case);
}
