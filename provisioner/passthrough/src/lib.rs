//! Hands a GPU of this machine to a virtual machine, safely and revertibly.
//!
//! ```text
//! facts  ->  policy  ->  plan  ->  apply  ->  verify
//! (read)     (judge)     (pure)    (write)    (read again)
//! ```
//!
//! Everything the software does is a trip down this line. Two roots, always: facts about the
//! hardware come from a *machine root*, edits go to a *target root*, and no function takes one for
//! the other (see [`root::Root`]).
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "tests make and read trees of their own; what ships is judged without them"
    )
)]

pub mod answers;
#[allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the one half that writes and runs programs"
)]
pub mod apply;
pub mod binding;
pub mod bootloader;
pub mod boots;
pub mod facts;
pub mod guest;
pub mod id;
pub mod initramfs;
#[allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "it runs virsh and qemu-img, and puts disk images where nothing is"
)]
pub mod libvirt;
pub mod plan;
pub mod policy;
pub mod provision;
#[allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "it writes into sysfs through a child with a limit"
)]
pub mod rebind;
pub mod root;
pub mod step;
pub mod text;
pub mod verify;
