//! The module inside the real Calamares.
//!
//! By default that is the system's; with `NEURON_CALAMARES_ROOT` it is the one in that root (see
//! `in-suite`).

#[cfg(test)]
mod cases;
#[cfg(test)]
mod effective;
#[cfg(test)]
mod handed;
#[cfg(test)]
mod installation;
#[cfg(test)]
mod installer;
#[cfg(test)]
mod module;
#[cfg(test)]
mod page;
#[cfg(test)]
mod profile;
#[cfg(test)]
mod screen;
#[cfg(test)]
mod trouble;
