//! What the process may still ask of the kernel after its start (`-o drop_privileges`): a filter of system calls, by
//! seccomp, for all threads. Whoever takes over the process gets no program, no file and no new connection.
//!
//! A call that nobody here makes ends the process, as with memcached, with a line that names it. Calls that open or
//! change files are refused (`EPERM`) instead: whoever asks for a file to be read again is told that it cannot be, and
//! the server goes on.
#![expect(unsafe_code, reason = "a handler is installed, and reads which call was trapped")]

use std::collections::BTreeMap;
use std::io;

use libc::{c_int, c_long, c_void, siginfo_t};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter_all_threads,
};

/// Calls of a server that serves: sockets that are there, memory, waiting, and the end of threads and process.
const ALLOWED: &[c_long] = &[
    // Waiting.
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_epoll_ctl,
    libc::SYS_ppoll,
    libc::SYS_futex,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_sched_yield,
    libc::SYS_restart_syscall,
    // Sockets and pipes.
    libc::SYS_accept4,
    libc::SYS_accept,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_shutdown,
    libc::SYS_close,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_fcntl,
    // Memory, and the file that it may lie in.
    libc::SYS_munmap,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_brk,
    libc::SYS_fallocate,
    libc::SYS_ftruncate,
    libc::SYS_fstat,
    libc::SYS_lseek,
    libc::SYS_msync,
    // Time and randomness.
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    // A thread begins, if this comes before it is done with that, and ends; signals.
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_getattr,
    libc::SYS_sched_setattr,
    libc::SYS_sched_getaffinity,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigreturn,
    libc::SYS_tgkill,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getrusage,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Calls with which no memory becomes a program, and a thread gets its name.
const ALLOWED_WITHOUT_PROGRAMS: [c_long; 2] = [libc::SYS_mmap, libc::SYS_mprotect];

/// Those of one architecture alone.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[c_long] = &[libc::SYS_epoll_wait, libc::SYS_poll];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[c_long] = &[];

/// Calls that open or change files or sockets by name: refused, and with `relaxed_privileges` allowed.
const FILES: &[c_long] = &[
    libc::SYS_openat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_flock,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
];
#[cfg(target_arch = "x86_64")]
const FILES_HERE: &[c_long] =
    &[libc::SYS_open, libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_unlink, libc::SYS_rename];
#[cfg(not(target_arch = "x86_64"))]
const FILES_HERE: &[c_long] = &[];

/// From here on all threads, and those that they start, may do what a server that serves does, and nothing else. With
/// `files` they may also open files and sockets.
///
/// # Errors
/// When the kernel has no seccomp, or forbids to use it.
pub fn give_up_privileges(files: bool) -> io::Result<()> {
    say_what_was_trapped()?;
    // The second one forbids to add another.
    for program in programs(files, SeccompAction::Trap)? {
        apply_filter_all_threads(&program).map_err(io::Error::other)?;
    }
    Ok(())
}

/// Filters of which the strictest answer counts: files are refused, then all else but what is allowed is `otherwise`.
fn programs(files: bool, otherwise: SeccompAction) -> io::Result<Vec<BpfProgram>> {
    let of_files: BTreeMap<c_long, Vec<SeccompRule>> =
        FILES.iter().chain(FILES_HERE).map(|call| (*call, Vec::new())).collect();
    let mut allowed = of_files.clone();
    allowed.extend(ALLOWED.iter().chain(ALLOWED_HERE).map(|call| (*call, Vec::new())));
    let no_program = condition(2, SeccompCmpOp::MaskedEq(u64::from(libc::PROT_EXEC.cast_unsigned())), 0)?;
    allowed.extend(ALLOWED_WITHOUT_PROGRAMS.map(|call| (call, vec![no_program.clone()])));
    let name = condition(0, SeccompCmpOp::Eq, u64::from(libc::PR_SET_NAME.cast_unsigned()))?;
    allowed.insert(libc::SYS_prctl, vec![name]);
    let refused = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let mut filters = vec![filter(allowed, otherwise, SeccompAction::Allow)?];
    if !files {
        filters.insert(0, filter(of_files, SeccompAction::Allow, refused)?);
    }
    Ok(filters)
}

fn condition(argument: u8, is: SeccompCmpOp, value: u64) -> io::Result<SeccompRule> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, is, value).map_err(io::Error::other)?;
    SeccompRule::new(vec![condition]).map_err(io::Error::other)
}

fn filter(
    calls: BTreeMap<c_long, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    action: SeccompAction,
) -> io::Result<BpfProgram> {
    let architecture = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    let filter = SeccompFilter::new(calls, otherwise, action, architecture).map_err(io::Error::other)?;
    filter.try_into().map_err(io::Error::other)
}

/// Where the number of a call stands in what the kernel tells of it (`si_syscall`), in bytes: behind three numbers,
/// what aligns them, and an address.
const CALL_OFFSET_BYTES: usize = 24;
/// Where the line has room for it.
const DIGITS_AT: usize = 57;

fn say_what_was_trapped() -> io::Result<()> {
    let action = SigAction::new(SigHandler::SigAction(trapped), SaFlags::SA_SIGINFO, SigSet::empty());
    // SAFETY: the handler writes a line from its own stack and ends the process, and calls nothing else.
    unsafe { sigaction(Signal::SIGSYS, &action) }?;
    Ok(())
}

/// Ends the process with memcached's words: no lock is taken and no memory is asked for in a handler.
extern "C" fn trapped(_signal: c_int, info: *mut siginfo_t, _context: *mut c_void) {
    const LINE: &[u8; 104] =
        b"[ERROR flagstone] Seccomp policy failure. Caught syscall ????: an exploit attempt, or a system unknown.\n";
    let mut line = *LINE;
    // SAFETY: the kernel hands over a whole `siginfo_t`, which is longer.
    let at = unsafe { info.cast::<u8>().add(CALL_OFFSET_BYTES) };
    // SAFETY: as above; a number of any value is one, and it is aligned there.
    let call = unsafe { at.cast::<c_int>().read() };
    let mut rest = call.unsigned_abs();
    for digit in line[DIGITS_AT..DIGITS_AT + 4].iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    // SAFETY: the line is there for so many bytes; `write` may be called in a handler.
    unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len()) };
    // SAFETY: it ends the process at once.
    unsafe { libc::_exit(1) }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    use std::thread;

    use seccompiler::{SeccompAction, apply_filter};

    use super::programs;

    /// What a thread under the filter is told by the kernel; what would end a server is refused here.
    fn filtered<T: Send + 'static>(files: bool, ask: impl FnOnce() -> T + Send + 'static) -> T {
        let programs = programs(files, SeccompAction::Errno(libc::EPERM.cast_unsigned())).expect("they compile");
        let thread = thread::Builder::new().spawn(move || {
            for program in &programs {
                apply_filter(program).expect("the kernel has seccomp");
            }
            ask()
        });
        thread.expect("a thread").join().expect("it is not killed")
    }

    #[test]
    fn no_program_no_file_and_no_connection_is_to_be_had() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("bound");
        let denied = filtered(false, move || {
            let program = Command::new("/bin/true").exec().kind();
            let file = File::open("/proc/self/status").map(drop).map_err(|error| error.kind());
            let connection = TcpStream::connect(address).map(drop).map_err(|error| error.kind());
            (program, file, connection)
        });
        let no = ErrorKind::PermissionDenied;
        assert_eq!(denied, (no, Err(no), Err(no)));
        let relaxed = filtered(true, || {
            let file = File::open("/proc/self/status").map(drop).map_err(|error| error.kind());
            (Command::new("/bin/true").exec().kind(), file)
        });
        assert_eq!(relaxed, (no, Ok(())));
    }

    #[test]
    fn the_line_has_room_where_it_is_filled_in() {
        let line = "[ERROR flagstone] Seccomp policy failure. Caught syscall ????";
        assert_eq!(line.find("????"), Some(super::DIGITS_AT));
        assert_eq!(std::mem::offset_of!(Told, call), super::CALL_OFFSET_BYTES);
        assert!(size_of::<libc::siginfo_t>() >= size_of::<Told>());
    }

    /// `siginfo_t` of a trapped call, as the kernel declares it.
    #[repr(C)]
    struct Told {
        signal: i32,
        error: i32,
        code: i32,
        address: *const u8,
        call: i32,
        architecture: u32,
    }
}
