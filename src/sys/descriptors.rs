//! Descriptors that come from another process: those a service manager hands in at the start, and those that are sent
//! over a unix socket (`SCM_RIGHTS`).
#![expect(
    unsafe_code,
    reason = "a descriptor that another process gave is owned from here on; SO_PEERCRED is not in std"
)]

use std::env;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{MaybeUninitSlice, MsgHdr, MsgHdrMut, Socket};

/// The first descriptor that a service manager hands in (`SD_LISTEN_FDS_START`).
const FIRST: RawFd = 3;
/// Most that are taken; systemd hands in so many by default at most.
const ACTIVATED_MAX: RawFd = 4096;
/// Most descriptors in one message.
pub const SENT_MAX: usize = 64;

const DESCRIPTOR_BYTES: usize = size_of::<RawFd>();
/// What the kernel puts in front of a control message's contents, which begin aligned to a word as they are.
const HEADER_BYTES: usize = size_of::<libc::cmsghdr>();
/// Where level and type stand in it, behind the length in a word's room.
const LEVEL_AT: usize = size_of::<usize>();
const CONTROL_BYTES_MAX: usize = (HEADER_BYTES + SENT_MAX * DESCRIPTOR_BYTES).next_multiple_of(size_of::<usize>());

const _: () = assert!(HEADER_BYTES == LEVEL_AT + 2 * size_of::<libc::c_int>(), "no room between or behind");

/// The descriptors that were handed in to this process at its start (`LISTEN_FDS`), and their names. To be called once,
/// before anything is opened: a second call finds none.
#[must_use]
pub fn activated() -> Vec<(OwnedFd, String)> {
    static ARE_TAKEN: OnceLock<()> = OnceLock::new();
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<RawFd>().ok());
    let is_for_us = number("LISTEN_PID").is_some_and(|pid| u32::try_from(pid) == Ok(std::process::id()));
    if !is_for_us || ARE_TAKEN.set(()).is_err() {
        return Vec::new();
    }
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').map(str::to_owned);
    let count = number("LISTEN_FDS").unwrap_or(0).clamp(0, ACTIVATED_MAX);
    let named = (FIRST..FIRST + count).filter_map(|number| {
        let name = names.next().unwrap_or_default();
        take(number).map(|descriptor| (descriptor, name))
    });
    named.collect()
}

/// Takes a descriptor that was inherited; `None`: there is none of this number.
fn take(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: it is asked about before anything else is done with it, and at the start nobody closes it meanwhile.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
    // SAFETY: it is open, came from who started us, and is taken once.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The user at the other end of a unix socket, when it connected or began to listen, and its process.
///
/// # Errors
/// When the kernel does not say.
pub fn peer(socket: &Socket) -> io::Result<(u32, i32)> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut len = libc::socklen_t::try_from(size_of::<libc::ucred>()).map_err(io::Error::other)?;
    let (to, level, name) = (&raw mut peer, libc::SOL_SOCKET, libc::SO_PEERCRED);
    // SAFETY: the kernel writes at most `len` bytes, which are there.
    match unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, to.cast(), &raw mut len) } {
        0 => Ok((peer.uid, peer.pid)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sends a message and, beside it, descriptors: the other process has them as its own then.
///
/// # Errors
/// When the other end is gone or its buffer full.
pub fn send(socket: &Socket, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    assert!(descriptors.len() <= SENT_MAX, "a message has so many at most");
    let mut control = Vec::with_capacity(CONTROL_BYTES_MAX);
    if !descriptors.is_empty() {
        let len = HEADER_BYTES + descriptors.len() * DESCRIPTOR_BYTES;
        control.extend(len.to_ne_bytes());
        control.extend(libc::SOL_SOCKET.to_ne_bytes());
        control.extend(libc::SCM_RIGHTS.to_ne_bytes());
        descriptors.iter().for_each(|descriptor| control.extend(descriptor.as_raw_fd().to_ne_bytes()));
        control.resize(len.next_multiple_of(size_of::<usize>()), 0);
    }
    let buffers = [IoSlice::new(message)];
    let header = MsgHdr::new().with_buffers(&buffers);
    let header = if control.is_empty() { header } else { header.with_control(&control) };
    socket.sendmsg(&header, libc::MSG_NOSIGNAL).map(drop)
}

/// Receives a message of a socket that keeps them apart, and the descriptors beside it; no bytes: the other end is
/// gone.
///
/// # Errors
/// When none comes in time, or one that is longer than the buffer or brings too many descriptors.
pub fn receive(socket: &Socket, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut control = [MaybeUninit::new(0); CONTROL_BYTES_MAX];
    let mut uninit = vec![MaybeUninit::new(0); buffer.len()];
    let mut buffers = [MaybeUninitSlice::new(&mut uninit)];
    let mut header = MsgHdrMut::new().with_buffers(&mut buffers).with_control(&mut control);
    let len = socket.recvmsg(&mut header, libc::MSG_CMSG_CLOEXEC)?;
    let (flags, control_len) = (header.flags(), header.control_len());
    for (to, from) in buffer.iter_mut().zip(&uninit[..len]) {
        // SAFETY: all of it was initialised.
        *to = unsafe { from.assume_init() };
    }
    // SAFETY: all of it was initialised.
    let control = control.map(|byte| unsafe { byte.assume_init() });
    let descriptors = received(&control[..control_len.min(CONTROL_BYTES_MAX)]);
    // What did not fit the kernel has closed.
    if flags.is_truncated() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message that is too long"));
    }
    Ok((len, descriptors))
}

/// The descriptors in what the kernel has put beside a message: one piece, as each message has one list at most.
fn received(control: &[u8]) -> Vec<OwnedFd> {
    let word = |at: usize| control.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    let is_rights = word(LEVEL_AT) == Some(libc::SOL_SOCKET) && word(LEVEL_AT + 4) == Some(libc::SCM_RIGHTS);
    let len = control.get(..LEVEL_AT).and_then(|bytes| bytes.try_into().ok()).map_or(0, usize::from_ne_bytes);
    let Some(numbers) = control.get(HEADER_BYTES..len).filter(|_| is_rights) else { return Vec::new() };
    let numbers = numbers.chunks_exact(DESCRIPTOR_BYTES);
    let numbers = numbers.filter_map(|bytes| bytes.try_into().ok().map(RawFd::from_ne_bytes));
    // SAFETY: the kernel has just opened them for this process, and nobody else knows them.
    numbers.map(|number| unsafe { OwnedFd::from_raw_fd(number) }).collect()
}

/// Waits until one of these has something to read or its other end is gone; which of them. None: the time is over.
///
/// # Errors
/// When the kernel refuses to wait.
pub fn wait(descriptors: &[BorrowedFd<'_>], most: Option<Duration>) -> io::Result<Vec<bool>> {
    let mut polled: Vec<_> = descriptors.iter().map(|one| PollFd::new(one.as_fd(), PollFlags::POLLIN)).collect();
    let timeout = most.map_or(PollTimeout::NONE, |most| PollTimeout::try_from(most).unwrap_or(PollTimeout::MAX));
    match poll(&mut polled, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(polled.iter().map(|one| one.revents().is_some_and(|events| !events.is_empty())).collect())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, Write};
    use std::os::fd::AsFd;
    use std::time::Duration;

    use socket2::{Domain, Socket, Type};

    use super::{SENT_MAX, activated, peer, receive, send, wait};
    use crate::sys::file::memory;

    #[test]
    fn descriptors_arrive_beside_their_message_and_are_the_same_files() {
        let (ours, theirs) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None).expect("a pair of sockets");
        assert_eq!(peer(&ours).expect("known").0, nix::unistd::geteuid().as_raw());
        let pause = Some(Duration::ZERO);
        assert_eq!(wait(&[ours.as_fd(), theirs.as_fd()], pause).expect("it waits"), [false, false]);
        let mut file = memory("test").expect("memory");
        file.write_all(b"shared").expect("memory");
        send(&theirs, b"one", &[file.as_fd(), theirs.as_fd()]).expect("room");
        send(&theirs, b"none", &[]).expect("room");
        assert_eq!(wait(&[ours.as_fd(), theirs.as_fd()], None).expect("it waits"), [true, false]);
        let mut buffer = [0; 8];
        let (len, mut descriptors) = receive(&ours, &mut buffer).expect("a message");
        assert_eq!((&buffer[..len], descriptors.len()), (&b"one"[..], 2));
        let mut same = File::from(descriptors.remove(0));
        let mut text = String::new();
        same.rewind().expect("a file");
        same.read_to_string(&mut text).expect("a file");
        assert_eq!(text, "shared");
        let (len, none) = receive(&ours, &mut buffer).expect("a message");
        assert!(&buffer[..len] == b"none" && none.is_empty());
        send(&theirs, b"far too long", &[file.as_fd(); SENT_MAX]).expect("room");
        receive(&ours, &mut buffer).expect_err("it does not fit");
        drop((theirs, descriptors));
        assert_eq!(receive(&ours, &mut buffer).expect("an end").0, 0);
        assert!(activated().is_empty(), "nobody handed anything in");
    }
}
