//! The dialogue on a console of the machine, with a stand-in for a display manager behind it.

use std::time::Duration;

use super::cases::{ANSWERS, ON, all_held, desktop_is_there, holds, steps};
use super::person::Script;
use super::system::System;
use crate::install::steps::Steps;

/// By which an image says that its systems ask.
const MARKER: &str = "etc/neuron/first-boot";

/// What a case changes of the unit; all else is as it is shipped.
const CHANGED: &str = "etc/systemd/system/neuron-firstboot-ask.service.d/lab.conf";
/// The console is a serial port of the usual size, so that somebody can sit at it.
const TERMINAL: &str = "[Service]\nTTYPath=/dev/ttyS1\nTTYRows=24\nTTYColumns=80\n";
/// Nobody comes to the console that it has, and ten seconds show it.
const IMPATIENT: &str =
    "[Service]\nExecStart=\nExecStart=/usr/bin/neuron-provisioner firstboot wizard --seconds 10\n";

const DOWN: &str = "\x1b[B";
const READS: Duration = Duration::from_secs(1);

/// Takes the card that goes, at once and without anything else.
const ANSWERED: Script = &[
    ("Shall we set up GPU passthrough", Duration::from_secs(5), "\r"),
    ("Which graphics card goes to the virtual machine?", READS, "\r"),
    ("How does this computer start from now on?", READS, DOWN),
    ("> With passthrough at once", READS, "\r"),
    ("Set up Looking Glass?", READS, DOWN),
    ("> No, the card gets", READS, "\r"),
    ("Which virtual machine gets the card?", READS, "\x1b[A\x1b[A"),
    ("> None now", READS, "\r"),
    ("Write this?", READS, DOWN),
    ("> Write it now", READS, "\r"),
    ("Press any key when you have read this", READS, " "),
];

/// Shell of every boot here: microseconds at which units did something.
const MOMENTS: &str = "\
of() { systemctl show -P \"$2\" \"$1.service\"; }
began() { of \"$1\" ExecMainStartTimestampMonotonic; }
asked=$(of neuron-firstboot-ask ExecMainExitTimestampMonotonic)
against() { if [ \"$(began \"$1\")\" -gt \"$asked\" ]; then echo after; else echo before; fi; }
show 'neuron-firstboot-ask' <<END
$(journalctl -b -o short-monotonic -u neuron-firstboot-ask.service)
END
";

fn told() -> Steps {
    steps().then(MOMENTS)
}

/// It asked and came to this end; the desktop waited for it, and nothing else did.
fn asked(steps: Steps, code: &str) -> Steps {
    desktop_is_there(steps)
        .check("how the dialogue ended", "$(of neuron-firstboot-ask ExecMainStatus)", code)
        .check("its unit did not fail", "$(of neuron-firstboot-ask Result)", "success")
        .check("the desktop started", "$(against display-manager) it", "after it")
        .check("what is done silently started", "$(against neuron-firstboot) it", "after it")
        .check("the control: something else started", "$(against lab-beside) it", "before it")
}

#[test]
fn somebody_answers_and_the_desktop_waits_for_it() {
    let mut system = System::new(&[(MARKER, ""), (CHANGED, TERMINAL)]).unwrap();
    let name = "first boot, somebody answers";
    let first = asked(told(), "4")
        .check("vfio.conf is there", "$(there /etc/modprobe.d/vfio.conf)", "yes")
        .contains("the answers are kept", &format!("$(cat /{ANSWERS})"), "trial = false")
        .contains("the message of the day", "$(motd)", "reboot to put it into effect")
        .check("status", "$(status state) $(status reboot_needed)", "pending true");
    let (report, heard) = system.boot_with(name, ON, &first, ANSWERED).unwrap();
    assert!(heard.missing.is_empty(), "not asked: {:?}\n{}\n{}", heard.missing, heard.shown, report.console);
    all_held(name, report);
    let second = desktop_is_there(told())
        .check("nobody is asked", "$(of neuron-firstboot-ask Result)", "exec-condition")
        .contains("it says why", "$(journalctl -b -o cat -t neuron-firstboot-ask)", "nobody is asked:")
        .check("status", "$(status outcome) $(status reboot_needed)", "done false");
    holds(&mut system, "first boot, the boot after the answers", ON, &second);
}

/// On the console that the unit has, as it is shipped.
#[test]
fn nobody_answers_and_the_desktop_comes_all_the_same() {
    let mut system = System::new(&[(MARKER, ""), (CHANGED, IMPATIENT)]).unwrap();
    let steps = asked(told(), "3")
        .check("nothing was set up", "$(there /etc/modprobe.d/vfio.conf)", "no")
        .check("status", "$(status state) $(status outcome)", "unconfigured unanswered")
        .contains("the message of the day", "$(motd)", "`neuron-provisioner wizard` asks them")
        .contains(
            "the journal",
            "$(journalctl -b -o cat -u neuron-firstboot.service)",
            "nobody answered the",
        );
    holds(&mut system, "first boot, nobody answers", ON, &steps);
}
