//! What the units do at a boot, and at the next.

use super::system::System;
use crate::case::Report;
use crate::install::steps::Steps;

pub(super) const ANSWERS: &str = "etc/neuron/provisioner.toml";

/// Which card goes and which stays: QEMU's are all of one kind.
const WANTED: &str = "\
schema = 1
[passthrough]
host_gpu = \"0000:00:1e.0\"
guest_gpus = [\"0000:01:00.0\"]
trial = false
";

/// The same on one line; QEMU wants every comma twice.
const WANTED_ON_A_LINE: &str = "passthrough = {host_gpu = \"0000:00:1e.0\",, \
                                guest_gpus = [\"0000:01:00.0\"],, trial = false}";

/// What the kernel is told where the IOMMU is on.
pub(super) const ON: &str = "intel_iommu=on iommu=pt";

/// Shell of every boot: waits until the unit has ended, and what can be asked of it.
const FUNCTIONS: &str = "\
unit() { systemctl show -P \"$1\" neuron-firstboot.service; }
until [ \"$(unit ActiveState)\" = inactive ] || [ \"$(unit ActiveState)\" = failed ]; do sleep 0.5; done
status() { neuron-provisioner status --json | tr -d '\\n ' | sed \"s/.*\\\"$1\\\":\\\"*\\([^,\\\"]*\\).*/\\1/\"; }
motd() { cat /run/motd.d/neuron-provisioner 2>/dev/null | tr '\\n' ' '; }
files() { find /etc /boot /var/lib/neuron-provisioner -type f -exec sha256sum {} + | sort | sha256sum; }
there() { [ -e \"$1\" ] && echo yes || echo no; }
show journal <<END
$(journalctl -b -o cat -u neuron-firstboot.service)
END
";

pub(super) fn steps() -> Steps {
    Steps::default().then(FUNCTIONS)
}

/// The unit ran, and the program ended so.
fn ran(code: &str) -> Steps {
    steps()
        .check("the unit was started", "$(unit ConditionResult)", "yes")
        .check("how the program ended", "$(unit ExecMainStatus)", code)
        .check("the unit did not fail", "$(unit Result) $(unit ActiveState)", "success inactive")
}

/// The unit was not even started.
fn did_not_run() -> Steps {
    steps().check("the unit was not started", "$(unit ConditionResult)", "no").check(
        "nothing was set up",
        "$(there /etc/modprobe.d/vfio.conf)",
        "no",
    )
}

pub(super) fn desktop_is_there(steps: Steps) -> Steps {
    steps.check("the desktop could start", "$(there /run/display-manager)", "yes")
}

pub(super) fn holds(system: &mut System, name: &str, parameters: &str, steps: &Steps) -> Report {
    all_held(name, system.boot(name, parameters, steps).unwrap())
}

pub(super) fn all_held(name: &str, report: Report) -> Report {
    assert_eq!(report.failed(), Vec::<&str>::new(), "{name}\n{}", report.console);
    report
}

/// Builds nothing as long as it was not mended: the first run fails in it, and puts back.
const FAILS: &str = "#!/bin/sh\n[ -e /run/mended ] || [ ! -e /etc/modprobe.d/vfio.conf ] || \
                     { echo 'no space for it' >&2; exit 1; }\necho mkinitcpio >>/var/log/stand-ins\n";

/// Shell: what somebody does who mends it, and tries again.
const AGAIN: &str = "touch /run/mended; systemctl start neuron-firstboot; sleep 1
until [ \"$(unit ActiveState)\" = inactive ]; do sleep 0.5; done";

/// Shell: more answers, and what an apply of them changes on the running system.
const MORE: &str = "useradd lab
printf '[looking_glass]\\nusers = [\"lab\"]\\n[vm.games]\\nkind = \"windows11\"\\n' >>/etc/neuron/provisioner.toml
changed() { neuron-provisioner apply --yes --json | tr -d '\\n ' | sed 's/.*\"changed\":\\([a-z]*\\).*/\\1/'; }
memory() { stat -c '%i %Z' /dev/shm/looking-glass; }
built() { wc -l </var/log/stand-ins; }";

#[test]
fn what_failed_is_tried_again_by_hand_and_then_carried_out_once() {
    let mut system = System::new(&[(ANSWERS, WANTED), ("usr/bin/mkinitcpio", FAILS)]).unwrap();
    // The control: with the kill switch the same boot does nothing.
    let off = format!("{ON} neuron.passthrough=off");
    holds(&mut system, "first boot, kill switch", &off, &desktop_is_there(did_not_run()));
    let first = desktop_is_there(steps())
        .check("how the program ended", "$(unit ExecMainStatus)", "1")
        .check("the unit failed", "$(unit Result) $(unit ActiveState)", "exit-code failed")
        .check("nothing is there", "$(there /etc/modprobe.d/vfio.conf)", "no")
        .contains("the message of the day says why", "$(motd)", "no space for it")
        .contains("so does the journal", "$(journalctl -b -o cat -u neuron-firstboot)", "no space for it")
        .check("status", "$(status state) $(status outcome)", "unconfigured failed")
        .then(AGAIN)
        .check("tried again, it ended", "$(unit ExecMainStatus) $(unit Result)", "4 success")
        .check("vfio.conf is there", "$(there /etc/modprobe.d/vfio.conf)", "yes")
        .contains("the message of the day", "$(motd)", "reboot to put it into effect")
        .check("status again", "$(status state) $(status reboot_needed)", "pending true")
        .then("before=$(files); systemctl start neuron-firstboot; sleep 1")
        .then("until [ \"$(unit ActiveState)\" = inactive ]; do sleep 0.5; done")
        .check(
            "started again it changes nothing",
            "$([ \"$before\" = \"$(files)\" ] && echo same) $(unit ExecMainStatus)",
            "same 0",
        )
        .then(MORE)
        .then("builds=$(built)")
        .check("another answer is followed at once", "$(changed)", "true")
        .check("by whom it is for", "$(stat -c '%U %G %a' /dev/shm/looking-glass)", "lab kvm 660")
        .check("nothing was built for it", "$([ \"$builds\" = \"$(built)\" ] && echo so)", "so")
        .then("memory=$(memory)")
        .check("a second time it changes nothing", "$(changed)", "false")
        .check("and touches nothing", "$([ \"$memory\" = \"$(memory)\" ] && echo so)", "so");
    let report = holds(&mut system, "first boot, answers", ON, &first);
    assert!(report.console.contains("GPU passthrough: it is set up"), "on the console:\n{}", report.console);
    let second = desktop_is_there(ran("0")).check("nobody has to know anything", "$(motd)", "").check(
        "status",
        "$(status outcome) $(status reboot_needed)",
        "done false",
    );
    holds(&mut system, "first boot, the boot after it", ON, &second);
}

#[test]
fn where_nobody_said_anything_the_unit_does_not_start() {
    let mut system = System::new(&[]).unwrap();
    holds(&mut system, "first boot, nothing said", ON, &desktop_is_there(did_not_run()));
    // The same system with a credential: that is said.
    let credential = format!("type=11,value=io.systemd.credential:neuron.answers={WANTED_ON_A_LINE}");
    let mut system = system.with(&["-smbios", &credential]);
    let steps = ran("4").check("vfio.conf is there", "$(there /etc/modprobe.d/vfio.conf)", "yes").contains(
        "the answers are kept",
        "$(cat /etc/neuron/provisioner.toml)",
        "0000:01:00.0",
    );
    holds(&mut system, "first boot, a credential", ON, &steps);
    let again =
        ran("0").contains("it says why", "$(journalctl -b -o cat -u neuron-firstboot)", "nothing was left");
    holds(&mut system, "first boot, the same credential", ON, &again);
}

/// The IOMMU comes on with the second boot; the third is the one that has passthrough.
#[test]
fn a_pending_set_up_goes_on_and_asks_for_a_second_reboot() {
    let allowed = WANTED.replace("trial = false", "trial = false\nallow = [\"iommu-off-on-cmdline\"]");
    let mut system = System::new(&[(ANSWERS, &allowed)]).unwrap();
    let first = ran("4")
        .contains("the message of the day", "$(motd)", "the first half is done: reboot")
        .check("the candidate is kept", "$(there /var/lib/neuron-provisioner/candidate.json)", "yes")
        .check("nothing is claimed", "$(there /etc/modprobe.d/vfio.conf)", "no")
        .contains("GRUB has the parameter", "$(grep ^GRUB_CMDLINE /etc/default/grub)", "intel_iommu=on");
    holds(&mut system, "first half", "intel_iommu=off", &first);
    let second = desktop_is_there(ran("4"))
        .contains("the message of the day", "$(motd)", "reboot to put it into effect")
        .check("the candidate is decided", "$(there /var/lib/neuron-provisioner/candidate.json)", "no")
        .check("it is claimed from now on", "$(there /etc/modprobe.d/vfio.conf)", "yes")
        .check("status", "$(status state) $(status reboot_needed)", "pending true");
    let report = holds(&mut system, "second half", ON, &second);
    assert!(report.console.contains("GPU passthrough: it is set up"), "on the console:\n{}", report.console);
    let third = ran("0").check("nobody has to know anything", "$(motd)", "").check(
        "status",
        "$(status outcome) $(status reboot_needed)",
        "done false",
    );
    holds(&mut system, "after both halves", ON, &third);
}
