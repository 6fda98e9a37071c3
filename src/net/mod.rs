//! Sockets: the addresses of `-l`, listeners, and [`Stream`], which every connection is.
//!
//! Nothing here knows a protocol, a thread or a poll; whoever owns the loop registers what it gets here.

mod address;
mod listener;
mod options;
mod stream;

pub use address::{ListenAddress, WrongAddress, parse_list};
pub use listener::{BindError, Family, Listener, bind};
pub use options::{Endpoint, Options, Port};
pub use stream::Stream;
