//! Sockets: [`Stream`], which every connection is.
//!
//! Nothing here knows a protocol, a thread or a poll; whoever owns the loop registers what it gets here.

mod stream;

pub use stream::Stream;
