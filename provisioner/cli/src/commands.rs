//! One file a verb.

pub(crate) mod apply;
pub(crate) mod boot;
pub(crate) mod capture;
pub(crate) mod confirm;
mod consent;
pub(crate) mod doctor;
pub(crate) mod firstboot;
pub(crate) mod inspect;
pub(crate) mod looking_glass;
pub(crate) mod package;
pub(crate) mod plan;
pub(crate) mod revert;
pub(crate) mod status;
pub(crate) mod validate;
pub(crate) mod vm;
pub(crate) mod wizard;
