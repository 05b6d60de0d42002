//! The dialogue of `wizard`: questions in a person's words that end in answers, and nothing else.
//!
//! ```text
//! Seen -> pages -> Dialogue (what is asked next, back) -> Answers
//!                     |
//!                  Asker: menus and lines (dialoguer), or numbered lines without control sequences
//! ```
//!
//! The questions and their order are pure: what was seen of machine and target goes in, a changed
//! draft of the answers comes out. Only the asker knows a terminal.

mod after;
mod asker;
mod dialogue;
mod draft;
mod idle;
mod pages;
mod plain;
mod question;
mod screen;
mod seen;

pub(crate) use after::what_next;
pub(crate) use asker::{Asker, Manner};
pub(crate) use dialogue::{Dialogue, Next};
pub(crate) use draft::Draft;
pub(crate) use idle::Idle;
pub(crate) use pages::{FIRST_QUESTION, candidates};
pub(crate) use question::{Answer, BACK, Kind, Part, Place, Question, Reply};
pub(crate) use seen::{Found, Seen};
