//! Whether anybody still types at the terminal.

use std::io;
use std::time::{Duration, Instant};

use nix::sys::stat::fstat;

/// Counts the time since somebody last typed.
///
/// Whoever reads from a terminal changes the time of its last access, some seconds coarse; that is
/// how `w` tells who is idle, and it needs no part in the reading. What the clock says is of no
/// interest, only that it is something else: at a first boot the clock may jump.
#[derive(Debug)]
pub(crate) struct Idle {
    limit: Duration,
    since: Instant,
    access: Option<(i64, i64)>,
}

impl Idle {
    /// From now on.
    pub(crate) fn begin(limit: Duration) -> Self {
        Self { limit, since: Instant::now(), access: access() }
    }

    /// Whether it has been too long.
    pub(crate) fn is_over(&mut self) -> bool {
        let now = access();
        if now != self.access {
            self.access = now;
            self.since = Instant::now();
        }
        self.since.elapsed() >= self.limit
    }
}

fn access() -> Option<(i64, i64)> {
    fstat(io::stdin()).ok().map(|stat| (stat.st_atime, stat.st_atime_nsec))
}
