//! The plug of a machine is pulled while a set-up is written: an ESP of FAT, a root of ext4, systemd-boot,
//! and the firmware that has to find its way from what is left.
//!
//! QEMU is killed, which alone would be kind: what the machine had told its disk would all be there. So
//! every write and flush is recorded, and of what was told after the last flush a part is lost, in sectors.

mod boots;
mod disk;
mod fat;
mod guest;
mod recorded;

use neuron_tests::disk::Told;
use neuron_tests::story::Story;

use disk::Kind;
use guest::{Machine, Pulled, Start, initramfs, kernel};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// What a disk that ext4 lies on does.
const BLOCK: usize = 4096;

/// Where the machine is, in the machine.
const CAPTURED: &str = "/lab/machine";
/// Where the target is, in the machine.
const TARGET: &str = "/mnt";

/// A disk before anything is applied, and what an apply and a revert make of it.
struct Ground {
    disk: Vec<u8>,
    apply: Story,
    revert: Story,
}

/// Has a machine go there and back on a fresh disk.
fn ground(kind: Kind) -> Ground {
    let disk = disk::image(kernel().unwrap(), kind).unwrap();
    let start = match kind {
        Kind::Small => Start::Job("there-and-back", initramfs(kernel().unwrap(), kind).unwrap()),
        Kind::Bootable => Start::Firmware,
    };
    let (pulled, console) = there_and_back(kind, &disk, start);
    assert!(console.contains("apply: 4") && console.contains("revert: 4"), "{console}");
    let [original, applied, reverted] = [0, 2, 3].map(|number| pulled.seen(number).unwrap());
    assert_eq!(neuron_tests::tree::diff(&original, &reverted), [], "{console}");
    assert_ne!(original, applied);
    let story =
        |verb| Story { machine: CAPTURED.into(), verb, original: original.clone(), applied: applied.clone() };
    Ground { disk, apply: story("apply"), revert: story("revert") }
}

/// A machine that hands out its target, applies, reverts; and what it showed.
fn there_and_back(kind: Kind, disk: &[u8], start: Start<'_>) -> (Pulled, String) {
    let mut machine = Machine::new(kind, disk, start).unwrap();
    machine.wait_for("LAB-DONE").unwrap();
    let console = machine.console().unwrap();
    assert!(!console.contains("NOT-MOUNTED"), "{console}");
    (machine.pull(), console)
}

/// A machine that has begun with a job; how much its disk had been told by then, in bytes of the record.
fn begun(kind: Kind, disk: &[u8], job: &str, more: &[u8]) -> (Machine, u64) {
    let image = [initramfs(kernel().unwrap(), kind).unwrap(), more.to_vec()].concat();
    let mut machine = Machine::new(kind, disk, Start::Job(job, image)).unwrap();
    machine.wait_for("CUT-BEGIN").unwrap();
    let recorded = machine.recorded().unwrap();
    (machine, recorded)
}

/// The disk once everything that it was told is on it.
fn all_of(disk: &[u8], told: &[Told]) -> Vec<u8> {
    let mut drive = neuron_tests::disk::Disk::new(disk.to_vec(), SECTOR);
    for told in told.iter().chain([&Told::Flush]) {
        drive.take(told);
    }
    drive.after(|_| false)
}
