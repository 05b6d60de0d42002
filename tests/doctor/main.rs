//! `doctor`: a machine on which everything holds, and for every check one on which it does not.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

mod broken;
mod machine;
mod standing;
mod words;
