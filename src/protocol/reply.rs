//! [`Reply`]: what is answered to everything but a hit, whose value goes from the store to the output directly.

use super::ErrorText;

/// A reply without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The value is stored.
    Stored,
    /// The mode's condition did not hold.
    NotStored,
    /// cas: the item has another version.
    Exists,
    /// There is no such item.
    NotFound,
    /// The item is gone.
    Deleted,
    /// The item has its new exptime.
    Touched,
    /// The number after an incr or decr.
    Number(u64),
    /// Done.
    Ok,
    /// The counters are back at zero.
    Reset,
    /// The answer to `mn`.
    MetaNoop,
    /// Who we are.
    Version,
    /// A get line is answered.
    End,
    /// It could not be done.
    Error(ErrorText),
}
