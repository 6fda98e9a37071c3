//! Reading and writing a socket without the C library's bookkeeping.
//!
//! In a program of several threads its `recv` and `send` declare a point of cancellation around each call, which costs
//! more instructions than all else between a worker and the kernel. Nobody cancels threads here.
#![expect(unsafe_code, reason = "system calls by number are not in std")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Takes what has come for a socket; 0 is the end of the stream.
///
/// # Errors
/// `WouldBlock` when nothing is there, else what the kernel says.
#[inline]
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let (fd, to, len) = (socket.as_raw_fd(), buffer.as_mut_ptr(), buffer.len());
    let nobody = std::ptr::null_mut::<u8>();
    // SAFETY: the kernel writes at most `len` bytes to the buffer, and no address for want of a place.
    accepted(unsafe { libc::syscall(libc::SYS_recvfrom, fd, to, len, 0, nobody, nobody) })
}

/// Gives a connected socket bytes to send; how many it took.
///
/// # Errors
/// `WouldBlock` when the kernel's buffer is full, else what the kernel says. There is no signal for a closed one.
#[inline]
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let (fd, from, len) = (socket.as_raw_fd(), bytes.as_ptr(), bytes.len());
    let nobody = std::ptr::null::<u8>();
    // SAFETY: the kernel reads at most `len` bytes of the slice, and no address for want of one.
    accepted(unsafe { libc::syscall(libc::SYS_sendto, fd, from, len, libc::MSG_NOSIGNAL, nobody, 0) })
}

/// What a system call's result says.
#[inline]
fn accepted(result: libc::c_long) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::{receive, send};

    #[test]
    fn what_is_sent_is_received_until_the_other_side_is_gone() {
        let (one, other) = UnixStream::pair().expect("a pair of sockets");
        one.set_nonblocking(true).expect("a socket's flag");
        let mut buffer = [0; 8];
        let nothing = receive(one.as_fd(), &mut buffer).map_err(|error| error.kind());
        assert_eq!(nothing, Err(ErrorKind::WouldBlock));
        assert_eq!(send(other.as_fd(), b"hello").expect("room"), 5);
        assert_eq!(receive(one.as_fd(), &mut buffer[..3]).expect("bytes"), 3);
        assert_eq!(receive(one.as_fd(), &mut buffer[3..]).expect("bytes"), 2);
        assert_eq!(&buffer, b"hello\0\0\0");
        drop(other);
        assert_eq!(receive(one.as_fd(), &mut buffer).expect("an end"), 0);
        let gone = send(one.as_fd(), b"x").map_err(|error| error.kind());
        assert_eq!(gone, Err(ErrorKind::BrokenPipe));
    }
}
