//! A list of items on its way out: as many lines a turn as others can wait for, never more than the client takes. Only
//! the text protocol asks for one.

use super::{Connection, Next, State, Step, Turn};
use crate::command::{Dump, Entry, unix_expiry};
use crate::limits::OUTPUT_HIGH_WATER_BYTES;
use crate::protocol::{ItemLine, ItemLines, Listed, push_item, push_items_end};
use crate::time::Now;

/// A turn ends when so many lines are written, some twenty microseconds of them: others on this thread wait so long.
/// Measured (`bench-scripts/dump`): with 128 their p99 is three times what it is alone.
const LINES_A_TURN: u32 = 32;
/// A turn ends after so many steps that found little.
const STEPS_A_TURN: u32 = 128;
/// A turn ends when so much is written: what one more step may add still fits the worker's output.
const BYTES_A_TURN: usize = OUTPUT_HIGH_WATER_BYTES / 2;

/// Most bytes of a `cachedump` (memcached's cap).
const CACHEDUMP_BYTES_MAX: usize = 2 << 20;

/// A list and how much of it there may still be.
#[derive(Debug)]
pub(super) struct Dumping {
    dump: Dump,
    bytes_left: usize,
}

impl Dumping {
    pub(super) fn new(dump: Dump) -> Self {
        let bytes_left = if dump.lines() == ItemLines::Cachedump { CACHEDUMP_BYTES_MAX } else { usize::MAX };
        Self { dump, bytes_left }
    }

    /// Appends a turn's lines; false when the list is over.
    fn write(&mut self, turn: &mut Turn<'_>) -> bool {
        let now = turn.commands.now();
        let out = turn.output.bytes();
        let (start, bytes_left, lines) = (out.len(), self.bytes_left, self.dump.lines());
        let mut lines_left = LINES_A_TURN;
        let mut goes_on = true;
        for _ in 0..STEPS_A_TURN {
            goes_on = turn.commands.dump_on(&mut self.dump, |entry| {
                let before = out.len();
                push_item(out, &item_line(lines, &entry, now));
                lines_left = lines_left.saturating_sub(1);
                let fits = out.len() - start <= bytes_left;
                if !fits {
                    out.truncate(before);
                }
                fits
            });
            if !goes_on || lines_left == 0 || out.len() - start >= BYTES_A_TURN {
                break;
            }
        }
        self.bytes_left -= out.len() - start;
        goes_on
    }
}

fn item_line<'a>(lines: ItemLines, entry: &Entry<'a>, now: Now) -> ItemLine<'a> {
    match entry {
        Entry::Walked(item) if lines == ItemLines::Mgdump => {
            ItemLine::Mgdump { key: item.key, is_base64: item.details.has_binary_key }
        }
        Entry::Walked(item) => ItemLine::Metadump(Listed {
            key: item.key,
            expires: unix_expiry(item.details.expiry, now),
            accessed: now.unix() - i64::from(item.details.idle_seconds),
            cas: item.cas,
            was_fetched: item.details.was_fetched,
            class: item.details.class,
            item_bytes: item.details.item_bytes,
            client_flags: item.client_flags,
        }),
        Entry::Held(item) => ItemLine::Cachedump {
            key: item.key,
            value_len: item.value_len,
            expires: unix_expiry(item.expiry, now).unwrap_or(0),
        },
    }
}

impl Connection {
    /// Goes on with a list.
    pub(super) fn dump(&mut self, turn: &mut Turn<'_>) -> Step {
        let State::Dump(dumping) = &mut self.state else { return Step::on(0) };
        if dumping.write(turn) {
            return Step::stop(0, Next::Rest);
        }
        push_items_end(turn.output.bytes(), dumping.dump.lines());
        self.state = State::Ready;
        Step::on(0)
    }
}
