//! The early claim: what it takes, and what makes it take nothing.

use crate::case::{Case, Report};
use crate::machine::{Function, Iommu, Machine, Model, function};
use crate::table::{Name, row};

pub(crate) const HOST: Function = function("0000:00:1e.0", Model::Vga);
pub(crate) const GUEST: Function = function("0000:01:00.0", Model::Virtio);
pub(crate) const AUDIO: Function = function("0000:01:00.1", Model::Audio);

/// A boot VGA for the host; a GPU with audio for a guest.
pub(crate) fn two_gpus() -> Machine {
    Machine { iommu: Iommu::Intel, functions: vec![HOST, GUEST, AUDIO] }
}

pub(crate) const TWIN_GUEST: Function = function("0000:01:00.0", Model::Bochs);
pub(crate) const TWIN_HOST: Function = function("0000:02:00.0", Model::Bochs);

/// Two GPUs with the same ids.
pub(crate) fn twins() -> Machine {
    Machine { iommu: Iommu::Intel, functions: vec![TWIN_GUEST, AUDIO, TWIN_HOST] }
}

/// The machine as it was set up, with the ids in vfio.conf as well.
pub(crate) fn set_up(machine: Machine) -> Case {
    Case::new(machine).listed(&[GUEST, AUDIO], HOST).ids(&[GUEST, AUDIO])
}

/// Nothing is claimed, the reason is there, and nobody takes the functions afterwards either.
pub(crate) fn nothing_claimed(case: Case, machine: &[Function], result: &str, reason: &str) -> Case {
    case.says(result, reason).with_host(machine).no_overrides()
}

/// Every check has to hold.
pub(crate) fn holds(name: Name, case: &Case) -> Report {
    holds_and(name, case, |_| ())
}

/// Every check has to hold, and what is shown to somebody who looks closer.
pub(crate) fn holds_and(name: Name, case: &Case, judge: impl FnOnce(&Report)) -> Report {
    let judge = |report: &Report| {
        assert_eq!(report.failed(), Vec::<&str>::new(), "{name}\n{}", report.console);
        judge(report);
        true
    };
    case.run(name, judge).unwrap()
}

/// These checks must fail, and only these.
pub(crate) fn does_not_hold(name: Name, case: &Case, expected: &[&str]) {
    let judge = |report: &Report| {
        assert_eq!(report.failed(), expected, "{name}\n{}", report.console);
        true
    };
    case.run(name, judge).unwrap();
}

/// What a set-up machine does.
pub(crate) fn plain() -> Case {
    let case = set_up(two_gpus()).with_vfio(&[GUEST, AUDIO]).with_host(&[HOST]);
    case.says("claimed", "0000:01:00.0 0000:01:00.1")
}

#[test]
fn the_listed_functions_are_claimed() {
    let case = set_up(two_gpus()).with_vfio(&[GUEST, AUDIO]).with_host(&[HOST]);
    holds(row!("plain claim"), &plain());
    let missing = ["0000:01:00.0 is with vfio-pci", "0000:01:00.1 is with vfio-pci"];
    let bare = Case::new(two_gpus()).with_vfio(&[GUEST, AUDIO]).with_host(&[HOST]);
    does_not_hold(row!("control: neither hook nor ids"), &bare.without_hook(), &missing);
    holds(row!("control: ids alone, as in images without the hook"), &case.without_hook());
}

#[test]
fn of_twins_only_the_listed_one_is_claimed() {
    let case = Case::new(twins()).listed(&[TWIN_GUEST, AUDIO], TWIN_HOST).ids(&[TWIN_GUEST, AUDIO]);
    let case = case.with_vfio(&[TWIN_GUEST, AUDIO]).with_host(&[TWIN_HOST]);
    holds(row!("identical twins, ids in vfio.conf too"), &case);
    does_not_hold(
        row!("control: ids alone take both twins"),
        &case.without_hook(),
        &["0000:02:00.0 is with bochs-drm"],
    );
}

#[test]
fn a_twin_that_was_added_later_stays_with_the_host() {
    let added = function("0000:02:00.0", Model::Virtio);
    let mut machine = two_gpus();
    machine.functions.push(added);
    let case = set_up(machine).with_vfio(&[GUEST, AUDIO]).with_host(&[HOST, added]);
    holds(row!("a twin added later"), &case);
    let control = case.without_hook();
    does_not_hold(
        row!("control: ids alone take the new one"),
        &control,
        &["0000:02:00.0 is with virtio-pci"],
    );
}

/// No driver of this kernel takes it, so that there is nobody to take it from, and nobody to give it back to.
const WITHOUT_DRIVER: Function = function("0000:01:00.0", Model::Driverless);

#[test]
fn a_gpu_without_a_driver_is_claimed_and_left_alone() {
    let machine = Machine { iommu: Iommu::Intel, functions: vec![HOST, WITHOUT_DRIVER, AUDIO] };
    let guests = [WITHOUT_DRIVER, AUDIO];
    let case = Case::new(machine).listed(&guests, HOST).ids(&guests);
    let claimed = case.clone().with_vfio(&guests).with_host(&[HOST]);
    holds(row!("a GPU without a driver"), &claimed.says("claimed", "0000:01:00.0 0000:01:00.1"));
    let off = nothing_claimed(case, &[HOST, WITHOUT_DRIVER, AUDIO], "off", "neuron.passthrough=off");
    let off = off.parameters("neuron.passthrough=off");
    let there = "ls -d /sys/bus/pci/devices/0000:01:00.0 | wc -l";
    holds(row!("a GPU without a driver, kill switch"), &off.prints("it is there", there, "1"));
}

const DRIVE: Function = function("0000:02:00.0", Model::Nvme);

/// A drive goes with the card, and the machine may have another one.
fn with_drive(other: Option<Function>) -> Case {
    let mut machine = two_gpus();
    machine.functions.push(DRIVE);
    machine.functions.extend(other);
    Case::new(machine).listed(&[GUEST, AUDIO, DRIVE], HOST).ids(&[GUEST, AUDIO])
}

pub(crate) fn drive_added() -> Case {
    let added = function("0000:03:00.0", Model::Nvme);
    let here = [HOST, GUEST, AUDIO, DRIVE, added];
    nothing_claimed(with_drive(Some(added)), &here, "doubt", "of the same model as a drive")
}

/// Whichever sits at the address that was written down, it may be the host's.
#[test]
fn beside_a_drive_of_the_same_model_that_is_not_listed_nothing_is_claimed() {
    holds(row!("a drive of the model of a listed one added later"), &drive_added());
    let case = with_drive(None).with_vfio(&[GUEST, AUDIO, DRIVE]).with_host(&[HOST]);
    holds(row!("control: the drive alone is claimed"), &case.says("claimed", DRIVE.address));
}

#[test]
fn without_the_host_gpu_nothing_is_claimed() {
    let machine = Machine { iommu: Iommu::Intel, functions: vec![GUEST, AUDIO] };
    let case = nothing_claimed(set_up(machine), &[GUEST, AUDIO], "doubt", "0000:00:1e.0 is not there");
    holds(row!("host GPU gone"), &case);
    let lost = ["0000:01:00.0 is with virtio-pci", "0000:01:00.1 is with snd_hda_intel"];
    let control = Case::new(Machine { iommu: Iommu::Intel, functions: vec![GUEST, AUDIO] });
    let control = control.ids(&[GUEST, AUDIO]).with_host(&[GUEST, AUDIO]).without_hook();
    does_not_hold(row!("control: ids alone take the only GPU"), &control, &lost);
}

/// Lists on which the hook must claim nothing: a name, the list, a part of the reason.
fn doubtful() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = recorded();
    let replaced = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1).into_bytes()
    };
    let noise = (0..20_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    let another = "is not what was recorded";
    vec![
        ("another id of the guest", replaced("1af4:1050", "10de:2204"), another),
        ("another board of the companion", replaced("8086:293e 1af4:1100", "8086:293e 1043:87b8"), another),
        ("another class of the host", replaced("030000", "030200"), "0000:00:1e.0 is not what was recorded"),
        ("a guest that is not there", replaced("0000:01:00.1", "0000:01:00.7"), "is not there"),
        ("an empty list", Vec::new(), "no guest function"),
        ("a list of noise", noise, "line"),
        ("a list with shell in it", b"guest $(poweroff) * ; exit\n`exit`\n".to_vec(), "line 1"),
        ("a list cut off", good.as_bytes()[..good.len() / 2].to_vec(), "line"),
        ("a list without host", good.split("host").next().unwrap_or_default().into(), "no host GPU"),
        ("a host, and none", (good.clone() + "host none\n").into_bytes(), "a host GPU, and none"),
        ("none of something else", replaced("host", "host none"), "five fields"),
        ("a function twice", (GUEST.line("guest") + &good).into_bytes(), "again"),
        ("the host among the guests", (HOST.line("guest") + &good).into_bytes(), "again"),
        ("a path for an address", b"guest ../../x 1:1 1:1 1\n".to_vec(), "no PCI address"),
        ("an unknown role", replaced("host", "hots"), "unknown role"),
        ("lines of another system", good.replace('\n', "\r\n").into_bytes(), another),
        ("a list without end", "guest 0000:01:00.0 ".repeat(5_000).into_bytes(), "five fields"),
    ]
}

/// What the list says where somebody gives the only GPU away.
fn only_gpu() -> Case {
    let machine = Machine { iommu: Iommu::Intel, functions: vec![GUEST, AUDIO] };
    let list = GUEST.line("guest") + &AUDIO.line("guest") + "host none\n";
    let case = Case::new(machine).list(list.as_bytes()).ids(&[GUEST, AUDIO]);
    case.with_vfio(&[GUEST, AUDIO]).says("claimed", "0000:01:00.0 0000:01:00.1")
}

#[test]
fn the_only_gpu_is_claimed_where_the_list_says_that_the_host_keeps_none() {
    holds(row!("the only GPU, by a list that says so"), &only_gpu());
    let list = GUEST.line("guest") + &AUDIO.line("guest");
    let control = only_gpu().list(list.as_bytes());
    let unclaimed = [
        "0000:01:00.0 is with vfio-pci",
        "0000:01:00.1 is with vfio-pci",
        "its reason names: 0000:01:00.0 0000:01:00.1",
        "the hook says claimed",
    ];
    does_not_hold(row!("control: a list that does not say it"), &control, &unclaimed);
}

fn recorded() -> String {
    [GUEST.line("guest"), AUDIO.line("guest"), HOST.line("host")].concat()
}

/// One boot tries them all before any driver is loaded, then a good list: after so many doubts it
/// is claimed all the same, though its boards were not known and its last newline is missing.
#[test]
fn what_is_not_as_recorded_is_not_claimed_and_no_list_stops_the_boot() {
    let good = recorded().replace("1af4:1100", "-").replacen('-', "0000:0000", 1);
    let mut case = Case::new(two_gpus()).list(good.trim_end().as_bytes()).ids(&[GUEST, AUDIO]);
    for (name, list, reason) in doubtful() {
        case = case.doubtful_list(name, &list, reason);
    }
    case = case.says("claimed", "0000:01:00.0 0000:01:00.1");
    holds(row!("doubtful lists, then a good one"), &case.with_vfio(&[GUEST, AUDIO]).with_host(&[HOST]));
}

#[test]
fn without_a_list_nothing_is_claimed() {
    let case = Case::new(two_gpus()).ids(&[GUEST, AUDIO]);
    let reason = "there is no /etc/neuron/vfio-devices";
    holds(row!("no list in the image"), &nothing_claimed(case, &[HOST, GUEST, AUDIO], "doubt", reason));
}

/// A machine as in [`plain`] on which the hook has to claim nothing.
fn refused(case: Case, result: &str, reason: &str) -> Case {
    nothing_claimed(case, &[HOST, GUEST, AUDIO], result, reason)
}

pub(crate) fn kill_switch() -> Case {
    refused(set_up(two_gpus()), "off", "neuron.passthrough=off").parameters("neuron.passthrough=off")
}

/// The kill switch holds in the root as well, where vfio.conf has ids.
#[test]
fn the_kill_switch_gives_everything_back() {
    let case = refused(set_up(two_gpus()), "off", "neuron.passthrough=off");
    holds(row!("kill switch"), &kill_switch());
    let ids = "vfio-pci.ids=1af4:1050,8086:293e";
    holds(
        row!("kill switch against ids on the kernel command line"),
        &case.clone().parameters(&format!("{ids} neuron.passthrough=off")),
    );
    let all = [
        "0000:01:00.0 is with virtio-pci",
        "0000:01:00.1 is with snd_hda_intel",
        "its reason names: neuron.passthrough=off",
        "no override is left",
        "the hook says off",
    ];
    does_not_hold(row!("control: the switch is on"), &case.parameters("neuron.passthrough=on"), &all);
}

/// Lists in which one thing is not as it is in the machine; the ids would take it all the same.
fn with_list(from: &str, to: &str) -> Case {
    let good = recorded();
    assert!(good.contains(from), "{from}");
    Case::new(two_gpus()).list(good.replacen(from, to, 1).as_bytes()).ids(&[GUEST, AUDIO])
}

pub(crate) fn another_identity() -> Case {
    refused(with_list("1af4:1050", "10de:2204"), "doubt", "is not what was recorded")
}

pub(crate) fn companion_gone() -> Case {
    refused(with_list("0000:01:00.1", "0000:01:00.7"), "doubt", "0000:01:00.7 is not there")
}

pub(crate) fn without_host_in_list() -> Case {
    refused(with_list(&HOST.line("host"), ""), "doubt", "no host GPU")
}

pub(crate) fn iommu_off() -> Case {
    refused(set_up(Machine { iommu: Iommu::IntelOff, ..two_gpus() }), "doubt", "the IOMMU is off")
}

/// A doubt of the hook itself takes back the ids as well, and does so after the switch to the root.
#[test]
fn a_doubt_gives_back_the_ids_too() {
    holds(row!("another identity"), &another_identity());
    holds(row!("a companion that is not there"), &companion_gone());
    let all = ["0000:01:00.0 is with virtio-pci", "0000:01:00.1 is with snd_hda_intel"];
    let control = with_list("1af4:1050", "10de:2204").with_host(&[HOST, GUEST, AUDIO]).without_hook();
    does_not_hold(row!("control: without the hook the ids take them"), &control, &all);
}

pub(crate) fn driver_was_first() -> Case {
    let serial = function("0000:01:00.2", Model::Serial);
    let mut machine = two_gpus();
    machine.functions.push(serial);
    let guests = [GUEST, AUDIO, serial];
    // Without modprobe.d, else its softdeps would bring vfio-pci first.
    let early = "/usr/bin/modprobe -C /dev/null -a virtio_pci virtio-gpu snd-hda-intel";
    let case = Case::new(machine).listed(&guests, HOST).ids(&guests).before(early);
    case.with_vfio(&guests).with_host(&[HOST])
}

#[test]
fn a_function_that_has_a_driver_is_taken_from_it() {
    holds(row!("a built-in driver, and drivers that were first"), &driver_was_first());
    let lost = ["0000:01:00.0", "0000:01:00.1", "0000:01:00.2"].map(|one| format!("{one} is with vfio-pci"));
    let lost: Vec<&str> = lost.iter().map(String::as_str).collect();
    does_not_hold(row!("control: ids alone come too late"), &driver_was_first().without_hook(), &lost);
}

/// Loads vfio-pci before the hook runs, with the ids of vfio.conf.
const VFIO_FIRST: &str = "/usr/bin/modprobe vfio-pci";

pub(crate) fn taken_too_early() -> Case {
    kill_switch().before(VFIO_FIRST)
}

pub(crate) fn twins_taken_too_early() -> Case {
    let case = Case::new(twins()).listed(&[TWIN_GUEST, AUDIO], TWIN_HOST).ids(&[TWIN_GUEST]);
    case.before(VFIO_FIRST).with_vfio(&[TWIN_GUEST, AUDIO]).with_host(&[TWIN_HOST])
}

#[test]
fn what_was_taken_too_early_is_given_back() {
    holds(row!("vfio-pci was first, kill switch"), &taken_too_early());
    holds(row!("vfio-pci was first and has both twins"), &twins_taken_too_early());
    does_not_hold(
        row!("control: it does have both"),
        &twins_taken_too_early().without_hook(),
        &["0000:01:00.1 is with vfio-pci", "0000:02:00.0 is with bochs-drm"],
    );
}

#[test]
fn without_the_module_the_host_keeps_everything() {
    let here = [HOST, GUEST, AUDIO];
    let case = set_up(two_gpus()).without_vfio_in_image();
    let case = nothing_claimed(case, &here, "doubt", "vfio-pci cannot be loaded");
    holds(row!("vfio-pci is not in the image, but in the root"), &case);
}
