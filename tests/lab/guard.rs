//! Boots that were never good: the shipped program gives the functions back in a running kernel.
//!
//! One boot plays several: the program tells boots apart by the kernel's id of them, and another file
//! is mounted over that. What the program does about functions is real.

use std::io;

use crate::case::Case;
use crate::claim::{AUDIO, GUEST, HOST, does_not_hold, holds, set_up, two_gpus};
use crate::program;
use crate::table::row;

/// `boots NUMBER...`: the machine boots so often, and nobody logs in. What the guard says stays in
/// `/run/said.NUMBER`, its exit code in `/run/rc.NUMBER`.
const BOOTS: &str = "\
boots() {
    for number; do
        echo \"00000000-0000-4000-8000-00000000000$number\" >/run/boot-id
        [ -e /run/mounted ] || mount --bind /run/boot-id /proc/sys/kernel/random/boot_id
        : >/run/mounted
        /usr/bin/neuron-provisioner boot begin 2>/run/said.$number
        echo $? >/run/rc.$number
    done
}
drivers() { echo \"$(driver 0000:01:00.0) $(driver 0000:01:00.1)\"; }
";

/// Somebody who was asked for a password at the screen, as logind tells it.
const LOGIN: &[u8] = b"#!/bin/sh
[ \"$1\" = list-sessions ] && { echo '2 1000 user seat0 tty2'; exit; }
printf '%s\\n' Id=2 Class=user Seat=seat0 Remote=no Active=yes State=active Service=gdm-password
";

const NATIVE: &str = "virtio-pci snd_hda_intel";
const VFIO: &str = "vfio-pci vfio-pci";

fn guarded(lines: &str) -> io::Result<Case> {
    let program = std::fs::read(program::built()?)?;
    let case = set_up(two_gpus()).program("/usr/bin/neuron-provisioner", &program);
    Ok(case.program("/usr/bin/loginctl", LOGIN).after(&format!("{BOOTS}{lines}")))
}

fn drivers(case: Case, when: &str, expected: &str) -> Case {
    case.prints(&format!("the drivers {when}"), &format!("cat /run/drivers.{when}"), expected)
}

#[test]
fn after_three_boots_that_were_never_good_the_drivers_are_native_again() {
    let lines = "\
        boots 1 2 3; drivers >/run/drivers.third\n\
        boots 4; drivers >/run/drivers.fourth\n\
        /bin/sh /usr/lib/neuron/neuron-vfio-claim; drivers >/run/drivers.claimed\n\
        boots 5; drivers >/run/drivers.fifth\n\
        /lab/coldplug\n";
    let case = guarded(lines).unwrap().with_host(&[HOST, GUEST, AUDIO]).no_overrides();
    let case = drivers(drivers(case, "third", VFIO), "fourth", NATIVE);
    let case = drivers(drivers(case, "claimed", VFIO), "fifth", NATIVE);
    let case = case
        .prints("how the guard ended", "cat /run/rc.1 /run/rc.3 /run/rc.4 /run/rc.5 | tr -d '\\n'", "0000")
        .prints("what is remembered", "grep -c given_back /var/lib/neuron-provisioner/boots.json", "1")
        .prints("what it names", "grep -c '^0000:01:00.0: virtio-pci' /run/said.4", "1")
        .prints(
            "no id takes it again",
            "tail -n 1 /run/modprobe.d/zz-neuron-vfio.conf",
            "options vfio-pci ids=",
        );
    holds(row!("three boots that were never good, and the ones after"), &case);
}

#[test]
fn a_good_boot_in_between_begins_anew() {
    let lines = "\
        boots 1 2 3\n\
        /usr/bin/neuron-provisioner boot good 2>/run/good; echo $? >/run/rc.good\n\
        boots 4 5 6; drivers >/run/drivers.sixth\n";
    let case = guarded(lines).unwrap().with_vfio(&[GUEST, AUDIO]).with_host(&[HOST]);
    let case = drivers(case, "sixth", VFIO)
        .prints("the boot was good", "grep -c '^this boot was good' /run/good", "1")
        .prints("and nothing failed", "cat /run/rc.good", "0");
    holds(row!("a good boot in between"), &case);
    // The same six boots without it: the fourth gives back.
    let control = guarded("boots 1 2 3 4 5 6; drivers >/run/drivers.sixth\n").unwrap();
    let control = drivers(control.with_host(&[HOST]), "sixth", VFIO);
    does_not_hold(row!("control: nobody logs in"), &control, &["the drivers sixth"]);
}

#[test]
fn boots_of_the_host_entry_do_not_count() {
    let case = guarded("boots 1 2 3 4 5\n").unwrap().parameters("neuron.passthrough=off");
    let case = case.with_host(&[HOST, GUEST, AUDIO]).prints(
        "nothing is counted",
        "ls /var/lib/neuron-provisioner/boots.json 2>/dev/null | wc -l",
        "0",
    );
    let case = case.prints("each was looked at", "cat /run/rc.[1-5] | tr -d '\\n'", "00000");
    holds(row!("five boots with the kill switch"), &case);
}
