//! Every bound that more than one module obeys, each with its unit and its reason.
//!
//! A bound that only one module knows stands in that module.

/// Longest key (memcached's `KEY_MAX_LENGTH`).
pub const KEY_BYTES_MAX: usize = 250;

/// Values up to here are taken only when they are whole in the input and are copied to the output under
/// the stripe's lock; longer ones stream straight into and out of their item.
pub const WHOLE_VALUE_BYTES_MAX: usize = 16 * 1024;

/// memcached's per-item bookkeeping (48-byte header, 8 cas, the key's NUL, the value's CRLF): with it `-I`
/// refuses the same values as there.
pub const MEMCACHED_ITEM_OVERHEAD_BYTES: usize = 48 + 8 + 1 + 2;

/// What client flags other than 0 add to an item, there and here.
pub const CLIENT_FLAGS_BYTES: usize = 4;

/// Largest `-m`, 32 TiB: from there on a reference to an item names extents, and could not name them all.
pub const MEMORY_BYTES_MAX: u64 = 1 << 45;

/// Smallest `-I` (memcached refuses less).
pub const ITEM_BYTES_MAX_LEAST: usize = 1024;

/// Largest `-I` (memcached refuses more).
pub const ITEM_BYTES_MAX_MOST: usize = 1 << 30;

/// Without an LF within so many buffered bytes a connection is closed, unless the line is a `get` or `gets`
/// (memcached's rule).
pub const LINE_BYTES_MAX: usize = 2048;

/// Unsent output past which a connection is no longer read, so that a client that does not read its
/// answers costs bounded memory.
pub const OUTPUT_HIGH_WATER_BYTES: usize = 256 * 1024;

/// Relative exptimes end here, 30 days inclusive; larger ones are Unix times (memcached's `REALTIME_MAXDELTA`).
pub const RELATIVE_EXPTIME_SECONDS_MAX: i64 = 60 * 60 * 24 * 30;

const _: () = assert!(KEY_BYTES_MAX < 254, "254 in the key length byte marks a part of a large item");
const _: () = assert!(WHOLE_VALUE_BYTES_MAX * 4 <= OUTPUT_HIGH_WATER_BYTES, "a pipeline of whole values moves on");
