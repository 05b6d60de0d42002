//! A machine whose plug was pulled is started by its firmware from its own disk, and gets on with it.

use std::process::Command;

use neuron_tests::disk::{Dice, Disk, Told};
use neuron_tests::story::{Story, When, in_first_slot, share};
use neuron_tests::tree;

use super::disk::{ESP, Kind};
use super::guest::{Machine, Start, kernel};
use super::{BLOCK, Ground, SECTOR, all_of, begun, disk, ground, there_and_back};
use crate::kernel::run;
use crate::qemu::Turn;

const KIND: Kind = Kind::Bootable;
/// How many plugs are pulled in the whole of an apply, and of a revert.
const PLUGS: [usize; 2] = [20, 6];

/// A run from beginning to end.
struct Whole<'a> {
    story: &'a Story,
    start: Vec<u8>,
    told: Vec<Told>,
    /// How long the record was after each thing that the disk was told while the run went on, from one flush
    /// to the next.
    moments: Vec<Vec<u64>>,
}

impl<'a> Whole<'a> {
    fn new(story: &'a Story, start: Vec<u8>) -> Self {
        let (mut machine, begin) = begun(KIND, &start, story.verb, &[]);
        machine.wait_for("CUT-END 4").unwrap();
        let end = machine.recorded().unwrap();
        machine.wait_for("LAB-DONE").unwrap();
        let told = machine.pull().told().unwrap();
        let (mut moments, mut length) = (vec![Vec::new()], 0);
        for told in &told {
            length +=
                SECTOR as u64 + if let Told::Write { bytes, .. } = told { bytes.len() as u64 } else { 0 };
            if (begin..=end).contains(&length) {
                moments.last_mut().unwrap().push(length);
                if *told == Told::Flush {
                    moments.push(Vec::new());
                }
            }
        }
        moments.retain(|moments| !moments.is_empty());
        assert!(moments.len() > 20, "the run tells its disk hardly anything");
        Self { story, start, told, moments }
    }

    /// Pulls the plug of a machine that does the same, at a moment of it: each flush is as likely, however
    /// much is written before it.
    fn pulled(&self, dice: &mut Dice) -> Plug {
        let (mut machine, _) = begun(KIND, &self.start, self.story.verb, &[]);
        let moments = &self.moments[dice.below(self.moments.len())];
        machine.wait_for_record(moments[dice.below(moments.len())]).unwrap();
        let is_running = !machine.console().unwrap().contains("CUT-END");
        let told = machine.pull().told().unwrap();
        let mut drive = Disk::new(self.start.clone(), SECTOR).in_blocks_from(KIND.root(), BLOCK);
        for told in &told {
            drive.take(told);
        }
        let chosen = dice.choose(drive.pending());
        let flushes = |told: &[Told]| told.iter().filter(|told| **told == Told::Flush).count();
        let said = format!(
            "after {} of {} flushes, {} of {} sectors under way lost",
            flushes(&told),
            flushes(&self.told),
            chosen.iter().filter(|survives| !**survives).count(),
            chosen.len()
        );
        Plug { disk: drive.after(|sector| chosen[sector]), said, is_running }
    }
}

/// A plug that was pulled.
struct Plug {
    /// What is left of the disk.
    disk: Vec<u8>,
    /// What there is to say about it.
    said: String,
    /// Whether the program was not done yet.
    is_running: bool,
}

#[test]
fn a_machine_whose_plug_is_pulled_boots_by_itself() {
    let seed = Dice::seed("NEURON_POWER_SEED");
    println!("power: NEURON_POWER_SEED={seed}");
    let mut dice = Dice::new(seed);
    // Some fifty machines of a few seconds each.
    let _turn = Turn::wait().unwrap();
    let ground = ground(KIND);
    let apply = Whole::new(&ground.apply, ground.disk.clone());
    let revert = Whole::new(&ground.revert, all_of(&apply.start, &apply.told));
    let (mut pulled, mut running, mut halfway, mut of_host) = (0, 0, 0, 0);
    for (whole, plugs) in [apply, revert].iter().zip(PLUGS) {
        for number in 1..=plugs.div_ceil(share()) {
            let plug = whole.pulled(&mut dice);
            let told = format!("plug {number} of {}: {}", whole.story.verb, plug.said);
            let booted = boots(&ground, whole.story, &plug.disk, &told);
            println!("power: {told}: boots {}", booted.entry());
            pulled += 1;
            running += usize::from(plug.is_running);
            halfway += usize::from(booted.is_halfway);
            of_host += usize::from(booted.is_host);
        }
    }
    println!(
        "power: {pulled} plugs pulled, {running} while it ran, {halfway} with files of before and after; all boot, \
         {of_host} by the host entry"
    );
    assert!(running * 2 > pulled, "the plugs are pulled too late");
    assert!(share() > 1 || halfway * 4 > pulled, "the plugs are pulled where nothing is half done");
}

/// What a machine did with a disk that was left.
struct Booted {
    /// Whether the kernel was told to leave the cards alone.
    is_host: bool,
    /// Whether the disk was neither as before nor as after.
    is_halfway: bool,
}

impl Booted {
    fn entry(&self) -> &'static str {
        if self.is_host { "the host entry" } else { "its own entry" }
    }
}

/// What is handed out first.
const REPAIRED: [&str; 2] = ["as it was left", "once its FAT is repaired"];

/// Starts a machine from this disk alone: it comes up, finds old or new, and apply and revert get through.
fn boots(ground: &Ground, story: &Story, disk: &[u8], told: &str) -> Booted {
    let (pulled, console) = there_and_back(KIND, disk, Start::Firmware);
    let booted = console.lines().find_map(|line| line.strip_prefix("BOOTED "));
    let booted = booted.unwrap_or_else(|| panic!("{told}: it does not say that it booted:\n{console}"));
    for number in [0, 1] {
        let found = pulled.folder(number).unwrap();
        let found = found.unwrap_or_else(|| panic!("{told}: nothing handed out:\n{console}"));
        let wrong = story.look(found.path(), When::During).unwrap();
        assert_eq!(wrong, [""; 0], "{told}, {}:\n{console}", REPAIRED[number]);
    }
    let code =
        |verb: &str, codes: &[&str]| codes.iter().any(|code| console.contains(&format!("{verb}: {code}")));
    assert!(code("apply", &["0", "4"]) && code("revert", &["4"]), "{told}:\n{console}");
    for (number, end) in [(2, &ground.apply.applied), (3, &ground.apply.original)] {
        let found = in_first_slot(pulled.seen(number).unwrap());
        assert_eq!(tree::diff(end, &found), [], "{told}, tree {number}:\n{console}");
    }
    let seen = pulled.seen(0).unwrap();
    let is_host = booted.contains("neuron.passthrough=off");
    Booted { is_host, is_halfway: seen != story.original && seen != story.applied }
}

/// The control: where the image is half written, nobody says that it booted.
#[test]
fn half_an_image_does_not_boot() {
    let bytes = disk::image(kernel().unwrap(), KIND).unwrap();
    let scratch = neuron_tests::scratch().unwrap();
    let place = |name: &str| scratch.path().join(name);
    std::fs::write(place("disk"), &bytes).unwrap();
    let esp = format!("{}@@{ESP}", place("disk").display());
    let image = "::/initramfs-linux.img";
    run(Command::new("mcopy").args(["-i", &esp, image]).arg(place("image"))).unwrap();
    let whole = std::fs::read(place("image")).unwrap();
    std::fs::write(place("image"), &whole[..whole.len() / 2]).unwrap();
    run(Command::new("mcopy").args(["-o", "-i", &esp]).arg(place("image")).arg(image)).unwrap();
    let mut machine = Machine::new(KIND, &std::fs::read(place("disk")).unwrap(), Start::Firmware).unwrap();
    machine.wait_for("Kernel panic").unwrap();
    let console = machine.console().unwrap();
    assert!(!console.contains("BOOTED"), "{console}");
}
