//! Why what a memory file holds is not kept.

use std::fmt;

/// Why a store on a file starts without what the file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It holds nothing.
    Empty,
    /// It is none of ours.
    Foreign,
    /// Another layout, which this program does not read.
    Layout(u64),
    /// Its description is not what was written.
    Damaged,
    /// It is shorter than it was made.
    Truncated,
    /// Another boot of the machine wrote it, and was not ended in order.
    OtherBoot,
    /// Its clock is ahead of the machine's.
    Clock,
    /// It has been away for more seconds than are allowed: so many.
    Away(u64),
    /// Its items were stored with cas numbers, and now there are to be none, or the other way round.
    Cas,
    /// This build hashes keys otherwise, and not all that was flushed had been swept.
    Hash,
    /// That was asked for.
    Asked,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::Foreign => f.write_str("it is no memory file of this program"),
            Self::Layout(number) => write!(f, "this program does not read its layout {number}"),
            Self::Damaged => f.write_str("it is damaged"),
            Self::Truncated => f.write_str("it has been cut short"),
            Self::OtherBoot => f.write_str("the machine went down while it was in use"),
            Self::Clock => f.write_str("its clock is not this machine's"),
            Self::Away(seconds) => write!(f, "it was away for {seconds} seconds, longer than max_outage allows"),
            Self::Cas => f.write_str("-C has changed"),
            Self::Hash => f.write_str("this build hashes keys otherwise, and a flush_all was still at work"),
            Self::Asked => f.write_str("memory_file_reset"),
        }
    }
}
