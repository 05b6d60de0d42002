//! What a disk was told to write, in order, and what a power cut can leave of it.
//!
//! The log is what QEMU's `blklogwrites` keeps, in the form of the kernel's `dm-log-writes`: a super block
//! and then, each at a sector, a header (sector, sectors, flags, data length) with the data behind it. A
//! disk may lose whatever it was told after the last flush, and may have kept any part of that.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;

use crate::at;

const MAGIC: u64 = 0x6a_7366_7773_6872;
const FLUSH: u64 = 1;
const DISCARD: u64 = 4;
const HEADER: usize = 32;

/// One thing that the disk was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// These bytes belong there.
    Write {
        /// From the start of the disk.
        at: usize,
        /// What belongs there.
        bytes: Vec<u8>,
    },
    /// Everything told so far must survive.
    Flush,
}

/// Reads a log. One that was cut off in the middle ends there.
pub fn read_log(path: &Path) -> io::Result<Vec<Told>> {
    let bytes = fs::read(path).map_err(|error| at(path, "read", &error))?;
    let word =
        |at: usize| -> Option<u64> { Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?)) };
    let sector = bytes.get(24..28).map_or(0, |size| usize::from(size[1]) << 8 | usize::from(size[0]));
    if bytes.is_empty() {
        // Nothing was flushed yet, so the super block is not there either.
        return Ok(Vec::new());
    }
    if word(0) != Some(MAGIC) || sector < 512 {
        return Err(io::Error::other(format!("{} is no log of writes", path.display())));
    }
    let size = |count: u64| usize::try_from(count).map_err(io::Error::other);
    let mut told = Vec::new();
    let mut next = sector;
    while let (Some(place), Some(count), Some(flags)) = (word(next), word(next + 8), word(next + 16)) {
        let data = next + sector;
        let length = if flags & DISCARD == 0 { size(count)? * sector } else { 0 };
        if (count == 0 && flags == 0) || data + length > bytes.len().next_multiple_of(sector) {
            break;
        }
        if flags & FLUSH != 0 {
            told.push(Told::Flush);
        }
        if length > 0 {
            let mut bytes = bytes[data..(data + length).min(bytes.len())].to_vec();
            bytes.resize(length, 0);
            told.push(Told::Write { at: size(place)? * sector, bytes });
        }
        next = data + length;
    }
    debug_assert!(HEADER <= sector, "a header fits its sector");
    Ok(told)
}

/// A disk: what is certain to survive, and what it was told since.
#[derive(Debug, Clone)]
pub struct Disk {
    /// What survives.
    certain: Vec<u8>,
    pending: Vec<(usize, Vec<u8>)>,
    /// The size of what is written whole or not at all.
    unit: usize,
}

impl Disk {
    /// A disk that holds these bytes and writes in units of this size.
    pub fn new(certain: Vec<u8>, unit: usize) -> Self {
        Self { certain, pending: Vec::new(), unit }
    }

    /// Tells it something.
    pub fn take(&mut self, told: &Told) {
        match told {
            Told::Write { at, bytes } => {
                let first = self.unit - at % self.unit;
                let (head, rest) = bytes.split_at(first.min(bytes.len()));
                self.pending.push((*at, head.to_vec()));
                for (number, unit) in rest.chunks(self.unit).enumerate() {
                    self.pending.push((at + first + number * self.unit, unit.to_vec()));
                }
            }
            Told::Flush => {
                for (at, unit) in self.pending.drain(..) {
                    place(&mut self.certain, at, &unit);
                }
            }
        }
    }

    /// How many units are under way.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// How many of them lie there.
    pub fn pending_in(&self, places: &Range<usize>) -> usize {
        self.pending.iter().filter(|(at, _)| places.contains(at)).count()
    }

    /// What is there after a power cut that spares, of what is under way, the units that `survives` says
    /// by their number.
    pub fn after(&self, survives: impl Fn(usize) -> bool) -> Vec<u8> {
        let mut bytes = self.certain.clone();
        for (number, (at, unit)) in self.pending.iter().enumerate() {
            if survives(number) {
                place(&mut bytes, *at, unit);
            }
        }
        bytes
    }
}

/// What is told about places behind the end of the disk is told to nobody.
fn place(disk: &mut [u8], at: usize, unit: &[u8]) {
    if let Some(there) = disk.get_mut(at..at + unit.len()) {
        there.copy_from_slice(unit);
    }
}

/// Numbers that look random and are the same for the same seed (`splitmix64`).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Begins a sequence.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed that the environment names, else one from the clock, which the caller has to print.
    pub fn seed(variable: &str) -> u64 {
        let named = std::env::var(variable).ok().and_then(|text| text.parse().ok());
        let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        named.unwrap_or_else(|| clock().map_or(1, |since| u64::from(since.subsec_nanos())))
    }

    /// The next number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % (limit.max(1) as u64)).unwrap_or_default()
    }

    /// Yes or no for each of so many.
    pub fn choose(&mut self, count: usize) -> Vec<bool> {
        (0..count).map(|_| self.below(2) == 1).collect()
    }
}
