//! Virtual machines with a real kernel, a real IOMMU and the shipped early hook, byte for byte.
//!
//! Each case stands beside its control: what it proves must not hold there. A boot that does not
//! end, a check without an answer and a control in which everything holds are failures.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

mod archive;
mod case;
mod claim;
mod dracut;
mod first_boot;
mod guard;
mod install;
mod iommu;
mod kernel;
mod leftovers;
mod machine;
mod monitor;
mod mutations;
mod plug;
mod program;
mod provision;
mod qemu;
mod suite;
mod table;
mod truth;
mod vm;
