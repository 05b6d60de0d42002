//! What is set up anew after a revert: on trial, which the loader starts once, and which somebody at the
//! screen has to keep.

use super::cases::{all_held, holds, holds_and, left_to_the_host, passed_through};
use super::doctor;
use super::installed::Loader;
use super::medium::{Medium, boot};
use super::steps::Steps;
use crate::case::Report;
use crate::machine::Machine;

/// Somebody who is silent, and somebody who presses a key.
pub(super) fn goes_back_or_stays(loader: Loader, medium: &Medium, machine: &Machine) {
    nobody_answers(loader, medium, machine);
    let steps = tried_again(loader, gone_back(loader).then(doctor::ASK));
    let back = |report: &Report| doctor::finds(report, doctor::GIVEN_BACK);
    holds_and(medium, boot!(loader, "after the silence, and tried again"), machine, &steps, back);
    let steps = passed_through(loader, Steps::default()).check("no trial is on", TRIAL, "no");
    let key = boot!(loader, "a trial with a key");
    let judge = |report: &Report| all_held(key, report);
    medium.boot_with_a_key(key, machine, &steps, judge).unwrap_or_else(|error| panic!("{error}"));
    let steps = steps.check("nothing is started once", next(loader), "");
    holds(medium, boot!(loader, "after the key"), machine, &steps);
}

/// Whether the record of a trial is there.
const TRIAL: &str = "$([ -e /var/lib/neuron-provisioner/trial.json ] && echo yes || echo no)";

/// What a loader would start once.
fn next(loader: Loader) -> &'static str {
    match loader {
        Loader::Grub => "$(grub-editenv list | sed -n 's/^next_entry=//p')",
        // The variable's own four bytes come first; the name is in UTF-16. In a variable nobody can seek, which
        // tail by itself would do.
        Loader::SystemdBoot => {
            "$(cat /sys/firmware/efi/efivars/LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f \
             2>/dev/null | tail -c +5 | tr -d '\\000')"
        }
    }
}

/// That the loader starts the entry with passthrough once: what is found, and what is right.
fn starts_once(loader: Loader) -> (String, &'static str) {
    let next = next(loader);
    match loader {
        Loader::Grub => (next.to_owned(), "0"),
        Loader::SystemdBoot => {
            (format!("$(ls /efi/loader/entries | grep -v neuron-host | grep -cxF \"{next}\")"), "1")
        }
    }
}

/// Apply, and what it promises for the next boot.
pub(super) fn set_up_on_trial(loader: Loader, steps: Steps) -> Steps {
    let answers = "printf 'schema = 1\\n[passthrough]\\nguest_gpus = [\"0000:01:00.0\"]\\n'";
    let steps = steps.then("mkdir -p /etc/neuron").then(&format!("{answers} >/etc/neuron/provisioner.toml"));
    tried_again(loader, steps)
}

fn tried_again(loader: Loader, steps: Steps) -> Steps {
    let (once, entry) = starts_once(loader);
    steps
        .then("neuron-provisioner apply --yes >/run/applied 2>&1; code=$?")
        .then("show 'neuron-provisioner apply' </run/applied")
        .check("an apply wants a reboot", "$code", "4")
        .check("a trial is on", TRIAL, "yes")
        .check("passthrough is started once", &once, entry)
}

/// After a minute of silence the machine starts again by itself.
fn nobody_answers(loader: Loader, medium: &Medium, machine: &Machine) {
    let silence = boot!(loader, "a trial that nobody answers");
    medium.boot_that_ends_itself(silence, machine).unwrap_or_else(|error| panic!("{error}"));
}

/// That is the host entry, from the kernel and the image that were there before it was set up.
fn gone_back(loader: Loader) -> Steps {
    let hook = "the hook is not in the image of before the set-up";
    let steps = left_to_the_host(loader).check(hook, "$(claim result)", "");
    let steps = match loader {
        Loader::Grub => steps.contains("it starts the copies", "$(cat /proc/cmdline)", "neuron-host/kept"),
        Loader::SystemdBoot => {
            let entry = "$(cat /efi/loader/entries/aa-neuron-host-*.conf)";
            steps.contains("it starts the copies", entry, "neuron-host/kept")
        }
    };
    let remembered = "$(cat /var/lib/neuron-provisioner/boots.json)";
    steps.contains("what is remembered", remembered, "nobody pressed a key at the screen")
}
