//! The first boot in a real systemd: a small Debian root with the program and its units as they are
//! shipped, on a disk that keeps what a boot wrote for the next one.
//!
//! What makes images and boot menus are the stand-ins of `tests/targets`; a display manager is one of
//! the lab's, that notes when it starts. The command line of the next boot is what the program wrote
//! for GRUB.

mod cases;
mod console;
mod person;
mod root;
mod system;
