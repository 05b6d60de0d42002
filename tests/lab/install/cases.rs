//! What must be true on the installed system, and on overlays of it after something happened.
//!
//! Tests begin in the order of their names: the two chains, each with its installation, come first and run side by
//! side.

use super::doctor;
use super::installed::{Loader, installed};
use super::medium::{Medium, PART, boot};
use super::steps::Steps;
use super::trial;
use crate::case::Report;
use crate::claim::{AUDIO, GUEST, HOST};
use crate::machine::{Function, Machine, Model, function};
use crate::table::{Name, row};

/// What is planned for the machine of a loader.
fn parameters(loader: Loader) -> &'static [&'static str] {
    match loader {
        // Intel's has to be switched on, AMD's is.
        Loader::Grub => &["intel_iommu=on", "iommu=pt"],
        Loader::SystemdBoot => &["iommu=pt"],
    }
}

/// A word that must not stand on the command line of any machine of AMD's.
const NEVER_ON_AMD: &str = "amd_iommu=on";

/// The beginning of the next one by itself, for a build machine.
#[test]
fn installed_with_grub_it_comes_up_and_switches_off() {
    let (medium, machine) = on(Loader::Grub);
    comes_up_and_switches_off(Loader::Grub, &medium, &machine);
}

#[test]
fn installed_with_grub_it_comes_up_switches_off_reverts_and_tries_again() {
    lives(Loader::Grub);
}

#[test]
fn installed_with_systemd_boot_it_comes_up_switches_off_reverts_and_tries_again() {
    lives(Loader::SystemdBoot);
}

/// What a system of a user's goes through, boot by boot, on one disk: each is the control of the one before.
fn lives(loader: Loader) {
    let (medium, machine) = on(loader);
    comes_up_and_switches_off(loader, &medium, &machine);
    let steps = is_good(loader)
        .then("neuron-provisioner revert --yes >/run/reverted 2>&1; code=$?")
        .then("show 'neuron-provisioner revert' </run/reverted")
        .check("a revert wants a reboot", "$code", "4");
    holds(&medium, boot!(loader, "a good boot, and a revert"), &machine, &steps);
    let steps = trial::set_up_on_trial(loader, as_before(loader));
    holds(&medium, boot!(loader, "after the revert, and set up on trial"), &machine, &steps);
    trial::goes_back_or_stays(loader, &medium, &machine);
}

/// The first boot; the host entry once, which is the control.
fn comes_up_and_switches_off(loader: Loader, medium: &Medium, machine: &Machine) {
    let steps = first_boot(loader).then(host_entry_once(loader));
    let good = |report: &Report| doctor::finds(report, doctor::GOOD);
    holds_and(medium, boot!(loader, "first boot"), machine, &steps, good);
    let steps = host_entry(loader).then(doctor::ASK);
    let off = |report: &Report| doctor::finds(report, doctor::SWITCHED_OFF);
    holds_and(medium, boot!(loader, "the host entry"), machine, &steps, off);
}

/// Whether no boot has to show yet that it is good.
const NOTHING_TO_PROVE: &str =
    "$(tr -d ' \\n' </var/lib/neuron-provisioner/boots.json | grep -cF '\"unproven\":[]')";

/// It is counted as soon as it begins.
fn first_boot(loader: Loader) -> Steps {
    // Else it might write just when the machine goes off.
    let steps = Steps::default().then("systemctl stop neuron-boot-good.service");
    passed_through(loader, steps).check("the boot is counted", "$(counted)", "yes").then(doctor::ASK)
}

/// Once the system has held for a minute the boot was good.
fn is_good(loader: Loader) -> Steps {
    passed_through(loader, Steps::default())
        .then("good >/run/good; show 'neuron-boot-good' </run/good")
        .check("the boot was good", "$(grep -c '^this boot was good' /run/good)", "1")
        .check("and nothing is left to prove", NOTHING_TO_PROVE, "1")
}

/// Everything is with the host, and the hook knows why.
pub(super) fn host_entry(loader: Loader) -> Steps {
    left_to_the_host(loader).hook_says("off", "neuron.passthrough=off")
}

/// Everything is with the host, whatever image was started.
pub(super) fn left_to_the_host(loader: Loader) -> Steps {
    let steps = all_with_the_host(Steps::default(), &[HOST, GUEST, AUDIO], HOST);
    with_switch(loader, steps).check("no boot of the host entry is counted", "$(counted)", "no")
}

/// Nothing of ours is left; the control is a file that would be.
fn as_before(loader: Loader) -> Steps {
    let differences = "$(/usr/lib/lab/manifest /run/after; differences /var/lib/lab/before /var/lib/lab/before-cmdline /run/after)";
    let left = "/etc/modprobe.d/vfio.conf";
    let steps = all_with_the_host(Steps::default(), &[HOST, GUEST, AUDIO], HOST);
    let steps = without_parameters(loader, steps)
        .check("the hook has nothing to say", "$(claim result)", "")
        .check("every file is as before", differences, "")
        .then(&format!("echo left >{left}"))
        .contains("control: a file that is left behind is seen", differences, left)
        .then(&format!("rm {left}"));
    match loader {
        Loader::Grub => {
            // Its menu and what it remembers; its own modules and fonts are not ours to read.
            let ours = "$(grep -lE 'neuron|vfio|iommu' /boot/grub/*.* /boot/grub/grubenv)";
            steps
                .check("GRUB has and remembers nothing of ours", ours, "")
                .then("grub-editenv - set next_entry=neuron-host")
                .check("control: what it remembers is seen", ours, "/boot/grub/grubenv")
                .then("grub-editenv - unset next_entry")
        }
        Loader::SystemdBoot => steps,
    }
}

/// The buses are counted anew when a card is put in before the others.
#[test]
fn with_a_card_added_in_front_everything_stays_with_the_host() {
    let added = function("0000:01:00.0", Model::Bochs);
    let (guest, audio) = moved();
    let reason = "0000:01:00.0 is not what was recorded";
    let name = row!(PART, "GRUB, a card added in front");
    nothing_claimed(Loader::Grub, name, &[HOST, added, guest, audio], reason, HOST, doctor::ANOTHER_CARD);
}

#[test]
fn with_a_card_moved_everything_stays_with_the_host() {
    let (guest, audio) = moved();
    let here = [HOST, function("0000:01:00.0", Model::Serial), guest, audio];
    let reason = "0000:01:00.0 is not what was recorded";
    nothing_claimed(
        Loader::Grub,
        row!(PART, "GRUB, a card moved"),
        &here,
        reason,
        HOST,
        doctor::ANOTHER_CARD,
    );
}

/// With UEFI, whose firmware has a driver for the card that is left.
#[test]
fn without_the_host_gpu_the_picture_is_on_the_other() {
    let reason = "0000:00:1e.0 is not there";
    let name = row!(PART, "systemd-boot, the host GPU gone");
    nothing_claimed(Loader::SystemdBoot, name, &[GUEST, AUDIO], reason, GUEST, doctor::HOST_GONE);
}

/// A twin that is added behind stays with the host, and the guest's is claimed all the same.
#[test]
fn with_a_twin_added_behind_that_one_stays_with_the_host() {
    let added = function("0000:02:00.0", Model::Virtio);
    let (medium, machine) = on(Loader::Grub);
    let steps = passed_through(Loader::Grub, Steps::default()).with_host(&[added]);
    let machine = Machine { functions: vec![HOST, GUEST, AUDIO, added], ..machine };
    holds(&medium, row!(PART, "GRUB, a twin added"), &machine, &steps);
}

/// A fresh overlay of the installed disk, and the machine that it belongs to.
fn on(loader: Loader) -> (Medium, Machine) {
    let medium = installed(loader).and_then(Medium::of);
    (medium.unwrap_or_else(|error| panic!("{error}")), loader.machine())
}

/// The cards of a guest one bus further than they were recorded.
fn moved() -> (Function, Function) {
    (function("0000:02:00.0", Model::Virtio), function("0000:02:00.1", Model::Audio))
}

/// The guest's functions are with vfio-pci, the host has its picture, the parameters are there.
pub(super) fn passed_through(loader: Loader, steps: Steps) -> Steps {
    let steps = steps.with_vfio(&[GUEST, AUDIO]).with_host(&[HOST]).picture_on(HOST);
    let steps = steps.hook_says("claimed", "0000:01:00.0 0000:01:00.1");
    let has = |steps: Steps, parameter: &&str| {
        steps.check(&format!("{parameter} is in force"), &count(parameter), "1")
    };
    let steps = parameters(loader).iter().fold(steps, has);
    let steps = steps.check(&format!("{NEVER_ON_AMD} is not there"), &count(NEVER_ON_AMD), "0");
    steps.check("the kill switch is not on", &count("neuron.passthrough=off"), "0")
}

/// How often a word stands on the kernel command line.
fn count(word: &str) -> String {
    format!("$(tr ' ' '\\n' </proc/cmdline | grep -cxF '{word}')")
}

fn all_with_the_host(steps: Steps, functions: &[Function], screen: Function) -> Steps {
    steps.with_host(functions).picture_on(screen)
}

fn with_switch(loader: Loader, steps: Steps) -> Steps {
    let steps = without_parameters(loader, steps);
    steps.check("the kill switch is on", &count("neuron.passthrough=off"), "1")
}

fn without_parameters(loader: Loader, steps: Steps) -> Steps {
    let lacks = |steps: Steps, parameter: &&str| {
        steps.check(&format!("{parameter} is not there"), &count(parameter), "0")
    };
    parameters(loader).iter().fold(steps, lacks)
}

/// What makes the next boot, and only that, one of the host entry.
pub(super) fn host_entry_once(loader: Loader) -> &'static str {
    match loader {
        Loader::Grub => "grub-reboot neuron-host",
        Loader::SystemdBoot => {
            "bootctl set-oneshot \"$(basename /efi/loader/entries/aa-neuron-host-*.conf)\""
        }
    }
}

/// After something happened to the machine, every card is the host's.
fn nothing_claimed(
    loader: Loader,
    name: Name,
    here: &[Function],
    reason: &str,
    screen: Function,
    found: &[(&str, &str)],
) {
    let (medium, machine) = on(loader);
    let machine = Machine { functions: here.to_vec(), ..machine };
    let steps = all_with_the_host(Steps::default(), here, screen).hook_says("doubt", reason);
    let steps = steps.then(doctor::ASK);
    holds_and(&medium, name, &machine, &steps, |report| doctor::finds(report, found));
}

/// Every check has to hold.
pub(super) fn holds(medium: &Medium, name: Name, machine: &Machine, steps: &Steps) -> Report {
    holds_and(medium, name, machine, steps, |_| ())
}

/// The same of what is shown to somebody who looks closer.
pub(super) fn holds_and(
    medium: &Medium,
    name: Name,
    machine: &Machine,
    steps: &Steps,
    judge: impl FnOnce(&Report),
) -> Report {
    let judge = |report: &Report| {
        all_held(name, report);
        judge(report);
    };
    medium.boot(name, machine, steps, judge).unwrap_or_else(|error| panic!("{error}"))
}

/// No check failed.
pub(super) fn all_held(name: Name, report: &Report) {
    assert_eq!(report.failed(), Vec::<&str>::new(), "{name}\n{}", report.console);
}
