//! Tests of the writing half, on real directories.

mod basic;
mod crash;
mod escape;
mod fixture;
mod full_or_read_only;
mod held;
mod made;
mod property;
mod renewal;
mod undo;
mod way_back;
