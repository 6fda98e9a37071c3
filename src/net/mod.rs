//! Sockets: the addresses of `-l`, listeners, [`Stream`], which every connection is, and [`DatagramSocket`].
//!
//! Nothing here knows a protocol, a thread or a poll; whoever owns the loop registers what it gets here.

mod address;
mod datagram;
mod handed;
mod listener;
mod options;
mod stream;

pub use address::{ListenAddress, Place, Port, Spoken, TlsTag, WrongAddress, parse_list, parse_mode};
pub use datagram::{DatagramSocket, adopt_datagrams, bind_datagrams, udp_text};
pub use handed::Handed;
pub use listener::{Arrival, BindError, Family, Listener, adopt, bind};
pub use options::{Endpoint, Options};
pub use stream::Stream;
