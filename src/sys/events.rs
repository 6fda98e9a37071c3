//! Waiting for sockets without the C library's bookkeeping: see [`socket`](super::socket).
//!
//! Who is waited for is mio's business; its own wait costs 40 instructions and two atomics more.
#![expect(unsafe_code, reason = "a system call by number is not in std")]

use std::io;
use std::os::fd::AsRawFd;

/// What the kernel has said, in one wait.
pub struct Events {
    /// Room for as many as are taken at once.
    room: Box<[libc::epoll_event]>,
    /// How many of them count.
    count: usize,
}

/// What the kernel says of one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The number it was registered with.
    pub token: u64,
    bits: u32,
}

impl Event {
    const fn has(self, bits: i32) -> bool {
        self.bits & bits.cast_unsigned() != 0
    }

    /// Whether something can be read.
    #[must_use]
    #[inline]
    pub const fn is_readable(self) -> bool {
        self.has(libc::EPOLLIN | libc::EPOLLPRI)
    }

    /// Whether something can be written.
    #[must_use]
    #[inline]
    pub const fn is_writable(self) -> bool {
        self.has(libc::EPOLLOUT)
    }

    /// Whether the connection is lost, with all that was on its way.
    #[must_use]
    #[inline]
    pub const fn is_lost(self) -> bool {
        self.has(libc::EPOLLERR)
    }

    /// Whether the other side has closed, for reading at least, or an error waits.
    #[must_use]
    #[inline]
    pub const fn is_hung_up(self) -> bool {
        self.has(libc::EPOLLHUP | libc::EPOLLRDHUP | libc::EPOLLERR)
    }
}

impl Events {
    /// No events yet, and room for so many at once.
    #[must_use]
    pub fn with_capacity(count_max: usize) -> Self {
        Self { room: vec![libc::epoll_event { events: 0, u64: 0 }; count_max].into_boxed_slice(), count: 0 }
    }

    /// Waits for sockets registered with a poll; milliseconds, -1: for ever.
    ///
    /// # Errors
    /// `Interrupted` when a signal came, else what the kernel says.
    #[inline]
    pub fn wait(&mut self, poll: &impl AsRawFd, milliseconds_max: i32) -> io::Result<()> {
        self.count = 0;
        let (fd, to, room) = (poll.as_raw_fd(), self.room.as_mut_ptr(), self.room.len());
        let no_mask = std::ptr::null::<libc::sigset_t>();
        // SAFETY: the kernel writes at most `room` events to the slice, and no signal mask is read.
        let result = unsafe { libc::syscall(libc::SYS_epoll_pwait, fd, to, room, milliseconds_max, no_mask, 8) };
        self.count = usize::try_from(result).map_err(|_| io::Error::last_os_error())?;
        Ok(())
    }

    /// How many there are.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The events of the last wait.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Event> {
        self.room[..self.count].iter().map(|event| Event { token: event.u64, bits: event.events })
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use mio::{Interest, Poll, Token};

    use super::Events;

    #[test]
    fn what_mio_registered_is_told_of() {
        let (mut one, mut other) = mio::net::UnixStream::pair().expect("descriptors");
        let poll = Poll::new().expect("a descriptor");
        let mut events = Events::with_capacity(4);
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut one, Token(7), interest).expect("a socket");
        events.wait(&poll, 0).expect("a poll");
        let said: Vec<_> = events.iter().map(|event| (event.token, event.is_readable(), event.is_writable())).collect();
        assert_eq!(said, [(7, false, true)]);
        events.wait(&poll, 0).expect("a poll");
        assert!(events.is_empty(), "it is told once");
        other.write_all(b"x").expect("room");
        events.wait(&poll, 0).expect("a poll");
        assert!(events.len() == 1 && events.iter().all(|event| event.is_readable() && !event.is_hung_up()));
        drop(other);
        events.wait(&poll, 0).expect("a poll");
        assert!(events.iter().all(|event| event.is_readable() && event.is_hung_up()));
    }
}
