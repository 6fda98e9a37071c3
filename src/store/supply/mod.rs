//! Where memory comes from: magazines and what refills them, eviction, the sweep, pages that move, rows of the index.

pub(crate) mod drain;
pub(crate) mod evict;
pub(crate) mod expire;
pub(crate) mod rebalance;
pub(crate) mod reserve;
pub(crate) mod rows;
