//! Our packages, built by the real makepkg as an ordinary user, put into a root by the real pacman,
//! whose hooks run there.
//!
//! The root is a made one: an Arch target of the tests with busybox for a shell, the libraries that
//! our program needs, and a machine laid out in its `/sys` and `/proc`. Packages of others are
//! stand-ins (`tests/packages/stand-ins`).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

mod build;
mod build_iso;
mod compiled;
mod contents;
mod kernels;
mod repeatable;
mod root;
mod units;
mod updates;
