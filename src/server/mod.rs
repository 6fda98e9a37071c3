//! Threads: the workers, the acceptor, maintenance; the clock and the signals.

mod client;
pub mod clock;
pub mod roster;
mod slots;
pub mod worker;
