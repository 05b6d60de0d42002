//! The guest's side: the virtual machine that gets the GPU.

pub mod bridge;
pub mod capabilities;
pub mod domain;
pub mod existing;
pub mod groups;
pub mod guide;
pub mod hugepages;
pub mod looking_glass;
mod pinning;
pub mod qemu;
pub mod sound;
mod subject;
mod templates;

pub use pinning::PinningError;
pub use subject::Subject;
pub use templates::TemplateError;
