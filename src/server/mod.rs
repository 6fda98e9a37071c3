//! Threads, event loops, the clock and signals.

pub mod clock;
pub mod slots;
pub mod worker;
