//! What a worker lends to a connection for a turn, and what the connection asks for after it.

use crate::command::Commands;
use crate::conn::Output;

/// What a connection works with during a worker's turn.
#[derive(Debug)]
pub struct Turn<'t> {
    /// The way to the store.
    pub commands: &'t mut Commands,
    /// Where replies go.
    pub output: &'t mut Output,
    /// Requests it may still serve before others have their turn (`-R`).
    pub requests_left: usize,
    /// The hash of the key that the input's first request asks for, if that was looked at already: see
    /// [`Connection::look_ahead`](super::Connection::look_ahead).
    pub first: Option<u64>,
    /// The descriptor its commands and replies are logged under, when they are.
    pub logged_as: Option<u32>,
}

/// What a connection needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// More input.
    Read,
    /// Another turn: it has had its share of this one.
    Yield,
    /// Its output written: there is so much of it that no more requests are taken.
    Write,
    /// Another turn: it goes on with a list of items, and others come first, also others with lists.
    Rest,
    /// Others' answers: another turn, a little later.
    Wait,
    /// Memory for an arriving value: see [`Connection::claim`](super::Connection::claim).
    Memory,
    /// Lines: it watches, and says nothing any more.
    Watch,
    /// Its output written, then to be closed.
    Close,
    /// The same, and the server ended as by SIGINT.
    Shutdown,
    /// The same as by SIGUSR1.
    GracefulShutdown,
}
