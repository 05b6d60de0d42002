//! What the Calamares job does, apart from speaking with Python.
//!
//! The extension turns what Calamares knows into JSON values, hands them to [`Job`], and puts the
//! result back. So everything here can be tested without a Python and without Calamares.
#![forbid(unsafe_code)]

mod answers;
mod choice;
mod config;
mod detect;
mod install;
mod job;
pub mod page;
mod report;

pub use choice::{Choice, ChoiceError};
pub use config::{Config, ConfigError, OnRefused, Stage};
pub use job::Job;
pub use report::{Kind, Trouble};
