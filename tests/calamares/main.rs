//! The module inside the real Calamares.
//!
//! By default that is the system's; with `NEURON_CALAMARES_ROOT` it is the one in that root (see
//! `in-suite`).

mod installer;
mod module;
mod page;
mod screen;
