//! A whole installation: Calamares runs in a virtual machine with our module in its sequence and
//! installs a Debian root on an empty disk; the machine is started from that disk, and what must be
//! true is looked at there. Cases that change something run on overlays of the installed disk.
//!
//! The live medium and what it installs are made by mmdebstrap and kept; of the jobs, those that
//! need a user (`partition`, the page) have stand-ins, all others are Calamares' own.

mod cases;
mod doctor;
mod installed;
mod kept;
pub(crate) mod medium;
mod packages;
mod roots;
pub(crate) mod steps;
mod trial;
mod vm;
