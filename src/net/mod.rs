//! Sockets: the addresses of `-l`, listeners, [`Stream`], which every connection is, and [`DatagramSocket`].
//!
//! Nothing here knows a protocol, a thread or a poll; whoever owns the loop registers what it gets here.

mod address;
mod datagram;
mod listener;
mod options;
mod stream;

pub use address::{ListenAddress, Place, Port, Spoken, TlsTag, WrongAddress, parse_list, parse_mode};
pub use datagram::{DatagramSocket, bind_datagrams, udp_text};
pub use listener::{Arrival, BindError, Family, Listener, bind};
pub use options::{Endpoint, Options};
pub use stream::Stream;
