//! A worker thread. TEMPORARY: closes what it is handed until the real one is here.

use mio::{Events, Poll};

use super::Shared;

/// Serves until the roster stops.
pub(super) fn run(number: usize, mut poll: Poll, shared: &Shared) {
    let mut events = Events::with_capacity(64);
    while !shared.roster.is_stopping() {
        if let Err(error) = poll.poll(&mut events, None) {
            log::debug!("poll: {error}");
        }
        while let Some(mut stream) = shared.roster.take(number) {
            let _ = stream.write(b"SERVER_ERROR no worker yet\r\n");
            drop(stream);
            shared.roster.closed(number);
        }
    }
}
