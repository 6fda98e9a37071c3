//! What a restart is told, and what it tells.

/// How a store on a file begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restart {
    /// `max_outage`: what the file holds is dropped when it has not been served for longer, in seconds.
    pub outage_seconds_max: Option<u64>,
    /// `memory_file_reset`: what the file holds is dropped.
    pub reset: bool,
    /// `memory_file_keep_old`: a file that is not kept gets another name instead of being written over.
    pub keep_old: bool,
}

/// What became of the items that another run left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Items that are there again.
    pub kept: u64,
    /// Items whose time was over.
    pub expired: u64,
    /// Items that a `flush_all` had made invisible.
    pub flushed: u64,
    /// Items that were being changed when the process ended.
    pub half_written: u64,
    /// Copies of an item of which there is a later one.
    pub superseded: u64,
    /// What no item looks like, and large items of which a part is missing.
    pub broken: u64,
    /// Items there was no memory to name for.
    pub no_room: u64,
}

impl Recovered {
    /// Adds what another thread found.
    pub(crate) fn add(&mut self, other: &Self) {
        self.kept += other.kept;
        self.expired += other.expired;
        self.flushed += other.flushed;
        self.half_written += other.half_written;
        self.superseded += other.superseded;
        self.broken += other.broken;
        self.no_room += other.no_room;
    }
}
