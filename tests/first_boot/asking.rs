//! Whether a person is asked on the console: once for every state, and only where there is something to
//! ask. The dialogue itself, with somebody in front of it, is in `terminal`.

use std::fs;

use neuron_passthrough::provision;
use neuron_passthrough::root::Root;
use neuron_tests::machine::in_use;
use neuron_tests::program;
use neuron_tests::scenario::Ground;
use neuron_tests::tree::diff;

use crate::trouble::refused_installation;
use crate::{OWN, answers, becomes, ends, first_boot, ground, outcome, reboot, with_groups};

const MARKER: &str = "etc/neuron/first-boot";
const MACHINE: &str = "made-rtx-usbc-igpu";

/// A system whose image says that it asks.
fn asking(machine: &str) -> Ground {
    let ground = ground(machine);
    neuron_tests::write(&ground.target().join(MARKER), "").unwrap();
    ground
}

/// Whether somebody is asked now; looking writes nothing.
fn asks(ground: &Ground) -> bool {
    let before = ground.tree().unwrap();
    let output = ground.run(&["firstboot", "asks"]).unwrap();
    assert!(matches!(output.code, 0 | 1) && output.stdout.is_empty(), "{output:?}");
    let is_told = output.stderr.contains("nobody is asked:");
    assert_eq!(is_told, output.code == 1, "a reason for a no: {output:?}");
    assert_eq!(diff(&before, &ground.tree().unwrap()), []);
    output.code == 0
}

#[test]
fn a_system_asks_where_its_image_says_so() {
    assert!(asks(&asking(MACHINE)));
    let ground = ground(MACHINE);
    assert!(!asks(&ground), "the control: a system that says nothing");
    neuron_tests::write(&ground.machine().join("run/systemd/first-boot"), "").unwrap();
    assert!(asks(&ground), "the very first boot asks without a marker");
}

#[test]
fn nobody_is_asked_where_answers_say_what_to_do() {
    for text in ["schema = 1\n", "schema = 1\n[passthrough]\nmode = \"off\"\n"] {
        let ground = asking(MACHINE);
        answers(&ground, text);
        assert!(!asks(&ground), "they are carried out");
        first_boot(&ground);
        assert!(!asks(&ground), "a reboot may be owed");
        reboot(&ground, 2);
        assert!(!asks(&ground), "and everything was said");
    }
}

#[test]
fn nobody_is_asked_where_a_credential_says_what_to_do() {
    let ground = asking(MACHINE);
    let folder = ground.beside("credentials");
    neuron_tests::write(&folder.join("neuron.answers"), "schema = 1\n").unwrap();
    let run = |part: &str| {
        let mut command = program::command().unwrap();
        command.arg("--machine-root").arg(ground.machine()).arg("--target-root").arg(ground.target());
        command.args(["firstboot", part]).env("CREDENTIALS_DIRECTORY", &folder);
        program::output(&mut command).unwrap()
    };
    ends(&run("asks"), 1);
    ends(&run("run"), 4);
    reboot(&ground, 2);
    ends(&run("asks"), 1);
    // The control: the same system without the credential.
    assert!(asks(&asking(MACHINE)));
}

/// A question that answers leave open is for whoever wrote them, and not for whoever sits there.
#[test]
fn nobody_is_asked_where_answers_leave_a_question_open() {
    let ground = asking("made-bmc-two-dgpus");
    answers(&ground, "schema = 1\n");
    ends(&first_boot(&ground), 3);
    assert_eq!(outcome(&ground), "undecided");
    reboot(&ground, 2);
    assert!(!asks(&ground));
}

#[test]
fn nobody_is_asked_without_something_to_give_or_in_the_entry_without_passthrough() {
    assert!(!asks(&asking("made-single-gpu")));
    let off = asking(MACHINE);
    let line = off.machine().join("proc/cmdline");
    let old = fs::read_to_string(&line).unwrap();
    fs::write(&line, format!("{} neuron.passthrough=off\n", old.trim())).unwrap();
    assert!(!asks(&off));
    fs::write(&line, old).unwrap();
    assert!(asks(&off), "the control");
}

/// What an apply would refuse is nothing that could be asked about: here the host's last keyboard hangs on the
/// card's own USB controller.
#[test]
fn nobody_is_asked_where_the_host_would_lose_what_it_uses() {
    let ground = asking(MACHINE);
    let machine = ground.machine();
    in_use::keyboard(&machine, Some("0000:01:00.2"), "input3").unwrap();
    in_use::without_keyboard(&machine).unwrap();
    assert!(!asks(&ground));
    assert_eq!(ground.run(&["apply", "--yes"]).unwrap().code, 3);
    let ground = asking(MACHINE);
    in_use::keyboard(&ground.machine(), Some("0000:01:00.2"), "input3").unwrap();
    assert!(asks(&ground), "the control: the host has another one");
}

#[test]
fn nobody_is_asked_in_a_system_that_somebody_set_up_or_took_back() {
    let ground = asking(MACHINE);
    ends(&ground.run(&["apply", "--yes"]).unwrap(), 4);
    assert!(!asks(&ground));
    reboot(&ground, 2);
    assert!(!asks(&ground));
    ends(&ground.run(&["revert", "--yes"]).unwrap(), 4);
    reboot(&ground, 3);
    assert!(!asks(&ground));
}

/// As an installer leaves it, whose page asks for the GPU alone.
fn installed(machine: &str, text: &str) -> Ground {
    let ground = ground(machine);
    answers(&ground, text);
    ends(&ground.run(&["apply", "--yes"]).unwrap(), 4);
    provision::leave_questions(&Root::directory(&ground.target()).unwrap());
    ground
}

const NO_TRIAL: &str = "schema = 1\n[passthrough]\ntrial = false\n";

#[test]
fn after_an_installer_the_rest_is_asked_when_it_is_in_force() {
    let ground = installed(MACHINE, NO_TRIAL);
    assert!(!asks(&ground), "not before the reboot");
    reboot(&ground, 2);
    assert!(asks(&ground));
    // Whoever applies by hand has decided.
    answers(&ground, &format!("{NO_TRIAL}extra_parameters = [\"quirk=1\"]\n"));
    ends(&ground.run(&["apply", "--yes"]).unwrap(), 4);
    reboot(&ground, 3);
    assert!(!asks(&ground));
    // Where the answers speak of machines there is nothing left.
    let ground = installed(MACHINE, &format!("{NO_TRIAL}[vm.x]\nkind = \"linux\"\n"));
    reboot(&ground, 2);
    assert!(!asks(&ground));
}

/// The second half of a set-up is carried out by itself; the rest is asked for when that is in force.
#[test]
fn after_both_halves_the_rest_is_asked() {
    let ground = installed("made-intel-pending", NO_TRIAL);
    with_groups(&ground);
    reboot(&ground, 2);
    assert!(!asks(&ground), "the second half comes first");
    ends(&first_boot(&ground), 4);
    reboot(&ground, 3);
    assert!(asks(&ground));
}

#[test]
fn what_an_installer_could_not_decide_is_asked_and_a_refusal_is_not() {
    let refused = refused_installation("[passthrough]\nguest_gpus = \"auto\"\n");
    assert!(!asks(&refused), "this machine cannot");
    becomes(&refused, "made-bmc-two-dgpus", 2);
    assert!(asks(&refused), "and this one does not know which");
    becomes(&refused, MACHINE, 3);
    assert!(!asks(&refused), "here it is carried out");
    ends(&first_boot(&refused), 4);
    assert!(refused.target().join(OWN).exists());
}
