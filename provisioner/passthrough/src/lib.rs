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

pub mod answers;
pub mod facts;
pub mod id;
pub mod policy;
pub mod root;
pub mod step;
pub mod text;
