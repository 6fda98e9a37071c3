//! [`Watcher`]: lines on their way to one client, and how many it missed.

use std::fmt;

use super::{Call, Kinds};
use crate::bytes::{Buffer, push_u64};
use crate::sync::{Mutex, Rank};

/// Room for `skipped=N` and its end.
const SKIPPED_BYTES_MAX: usize = b"skipped=\n".len() + 20;

/// One who watches. Who drains gives it lines; its worker takes them when its socket has taken those before.
pub struct Watcher {
    kinds: Kinds,
    /// Events with lower numbers are not for it.
    gid_min: u64,
    bytes_max: usize,
    lines: Mutex<Lines>,
    call: Call,
}

/// Guarded by the lock of rank `Lines`.
#[derive(Debug, Default)]
struct Lines {
    bytes: Buffer,
    /// Lines that found no room since the last one that did.
    skipped: u64,
    /// Its worker has been called and has not come yet.
    is_called: bool,
}

impl Watcher {
    pub(super) fn new(kinds: Kinds, gid_min: u64, bytes_max: usize, call: Call) -> Self {
        Self { kinds, gid_min, bytes_max, lines: Mutex::new(Rank::Lines, Lines::default()), call }
    }

    pub(super) fn kinds(&self) -> Kinds {
        self.kinds
    }

    /// Whether it asked for such an event before it happened.
    pub(super) fn wants(&self, kind: Kinds, gid: u64) -> bool {
        self.kinds.has(kind) && gid >= self.gid_min
    }

    /// Gives it a line; false when it has no room, and the line counts as skipped.
    pub(super) fn offer(&self, line: &[u8]) -> bool {
        let lines = &mut *self.lines.lock();
        let more = if lines.skipped > 0 { SKIPPED_BYTES_MAX } else { 0 };
        if lines.bytes.len() + line.len() + more > self.bytes_max {
            lines.skipped += 1;
            return false;
        }
        if lines.skipped > 0 {
            lines.bytes.extend_from_slice(b"skipped=");
            push_u64(&mut lines.bytes, lines.skipped);
            lines.bytes.push(b'\n');
            lines.skipped = 0;
        }
        lines.bytes.extend_from_slice(line);
        true
    }

    /// Calls its worker, if there is something to take and it has not been called for it.
    pub(super) fn call(&self) {
        {
            let mut lines = self.lines.lock();
            if lines.bytes.is_empty() || lines.is_called {
                return;
            }
            lines.is_called = true;
        }
        self.call.call();
    }

    /// Appends all that waits to `out`.
    pub fn take(&self, out: &mut Buffer) {
        let mut lines = self.lines.lock();
        lines.is_called = false;
        out.extend_from_slice(&lines.bytes);
        lines.bytes.clear();
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("kinds", &self.kinds).field("gid_min", &self.gid_min).finish_non_exhaustive()
    }
}
