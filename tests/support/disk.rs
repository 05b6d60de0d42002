//! What a disk was told to write, in order, and what a power cut can leave of it.
//!
//! The log is what QEMU's `blklogwrites` keeps, in the form of the kernel's `dm-log-writes`: a super block
//! and then, each at a sector, a header (sector, sectors, flags, data length) with the data behind it. A
//! disk may lose whatever it was told after the last flush, and may have kept any part of that.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;

use crate::at;

const MAGIC: u64 = 0x6a_7366_7773_6872;
const FLUSH: u64 = 1;
const DISCARD: u64 = 4;
const HEADER: usize = 32;
/// How every block of ext4's journal begins that describes others.
const JBD2: [u8; 4] = 0xc03b_3998_u32.to_be_bytes();

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
    pending: Vec<Unit>,
    /// The size of what is written whole or not at all, and another one from a place on.
    unit: usize,
    blocks: Option<(usize, usize)>,
    /// Where the second disk begins, if there are two.
    border: Option<usize>,
    /// How many writes it was told; and since the last flush, which there are.
    writes: usize,
    since: Since,
}

/// What was written since the last flush.
#[derive(Debug, Clone, Copy, Default)]
struct Since {
    /// Something before the border.
    before: bool,
    /// A block of a journal (`JBD2_MAGIC_NUMBER`), whose commits wait for flushes.
    journal: bool,
}

/// What is written whole or not at all, and which write it is a part of.
#[derive(Debug, Clone)]
struct Unit {
    write: usize,
    at: usize,
    bytes: Vec<u8>,
}

impl Disk {
    /// A disk that holds these bytes and writes in units of this size.
    pub fn new(certain: Vec<u8>, unit: usize) -> Self {
        Self {
            certain,
            pending: Vec::new(),
            unit,
            blocks: None,
            border: None,
            writes: 0,
            since: Since::default(),
        }
    }

    /// From this place on it writes in larger units: a file system that does not survive half of one of its
    /// blocks (ext4 checks its superblock before it plays its journal back) lies on no such disk.
    #[must_use]
    pub fn in_blocks_from(self, place: usize, size: usize) -> Self {
        Self { blocks: Some((place, size)), ..self }
    }

    /// The same as two disks that are cut here; behind the cut is an ext4. The record does not say which of
    /// them was told to flush: it is the second one where its journal was written to, else the first one if
    /// that was written to at all.
    #[must_use]
    pub fn cut_at(self, border: usize) -> Self {
        Self { border: Some(border), ..self }
    }

    /// Tells it something.
    pub fn take(&mut self, told: &Told) {
        match told {
            Told::Write { at, bytes } => {
                self.writes += 1;
                self.since.before |= self.border.is_some_and(|border| *at < border);
                self.since.journal |= bytes.starts_with(&JBD2);
                let mut take = |at, bytes: &[u8]| {
                    self.pending.push(Unit { write: self.writes, at, bytes: bytes.to_vec() });
                };
                let size = self.blocks.filter(|(place, _)| at >= place).map_or(self.unit, |(_, size)| size);
                let first = size - at % size;
                let (head, rest) = bytes.split_at(first.min(bytes.len()));
                take(*at, head);
                for (number, unit) in rest.chunks(size).enumerate() {
                    take(at + first + number * size, unit);
                }
            }
            Told::Flush => {
                let is_flushed = self.is_flushed();
                let told = std::mem::take(&mut self.pending).into_iter();
                let (flushed, pending): (Vec<_>, _) = told.partition(|unit| is_flushed(unit.at));
                (self.pending, self.since) = (pending, Since::default());
                for Unit { at, bytes, .. } in flushed {
                    place(&mut self.certain, at, &bytes);
                }
            }
        }
    }

    /// Whether a flush would make certain what is told about a place.
    fn is_flushed(&self) -> impl Fn(usize) -> bool + use<> {
        let (border, is_before) = (self.border, self.since.before && !self.since.journal);
        move |at| border.is_none_or(|border| (at < border) == is_before)
    }

    /// How many units are under way.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// How many of them lie there.
    pub fn pending_in(&self, places: &Range<usize>) -> usize {
        self.pending.iter().filter(|unit| places.contains(&unit.at)).count()
    }

    /// The writes that are under way there and that a flush would make certain, by their numbers.
    pub fn flushable_in(&self, places: &Range<usize>) -> BTreeSet<usize> {
        let is_flushed = self.is_flushed();
        let there = self.pending.iter().filter(|unit| places.contains(&unit.at) && is_flushed(unit.at));
        there.map(|unit| unit.write).collect()
    }

    /// What is there after a power cut that spares, of what is under way, the units that `survives` says
    /// by their number.
    pub fn after(&self, survives: impl Fn(usize) -> bool) -> Vec<u8> {
        self.spared(|number, _| survives(number))
    }

    /// The same for whole writes.
    pub fn after_writes(&self, survives: impl Fn(usize) -> bool) -> Vec<u8> {
        self.spared(|_, unit| survives(unit.write))
    }

    fn spared(&self, survives: impl Fn(usize, &Unit) -> bool) -> Vec<u8> {
        let mut bytes = self.certain.clone();
        for (number, unit) in self.pending.iter().enumerate() {
            if survives(number, unit) {
                place(&mut bytes, unit.at, &unit.bytes);
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
