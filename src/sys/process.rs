//! The process: its limits, its terminal, its memory, its signals.
#![expect(unsafe_code, reason = "rlimits, fork, mlockall, raise, kill and getrusage are not in std")]

use std::ffi::CString;
use std::io;
use std::time::Duration;

/// Raises the limit of open files to at least `wanted`, as far as the process may, and returns what holds now.
/// Never lowers it.
///
/// # Errors
/// When the limit cannot be read.
pub fn raise_open_files_limit(wanted: u64) -> io::Result<u64> {
    let old = limit(libc::RLIMIT_NOFILE)?;
    if old.rlim_cur >= wanted {
        return Ok(old.rlim_cur);
    }
    let higher = libc::rlimit { rlim_cur: wanted, rlim_max: old.rlim_max.max(wanted) };
    if set_limit(libc::RLIMIT_NOFILE, higher).is_ok() {
        return Ok(wanted);
    }
    // Without privileges the hard limit is the end.
    let hard = libc::rlimit { rlim_cur: old.rlim_max, rlim_max: old.rlim_max };
    match set_limit(libc::RLIMIT_NOFILE, hard) {
        Ok(()) => Ok(hard.rlim_cur),
        Err(_) => Ok(old.rlim_cur),
    }
}

/// Lifts the limit of locked memory, as far as the process may: after [`lock_memory`] a limit makes later
/// allocations fail. To be called before the rights of root are given up.
///
/// # Errors
/// When the kernel refuses.
pub fn lift_locked_memory_limit() -> io::Result<()> {
    let endless = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    set_limit(libc::RLIMIT_MEMLOCK, endless)
}

/// Raises the limit of core files as far as the process may.
///
/// # Errors
/// When no core file could be written afterwards.
pub fn raise_core_limit() -> io::Result<()> {
    let old = limit(libc::RLIMIT_CORE)?;
    let endless = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    if set_limit(libc::RLIMIT_CORE, endless).is_err() {
        set_limit(libc::RLIMIT_CORE, libc::rlimit { rlim_cur: old.rlim_max, rlim_max: old.rlim_max })?;
    }
    if limit(libc::RLIMIT_CORE)?.rlim_cur == 0 {
        return Err(io::Error::from(io::ErrorKind::PermissionDenied));
    }
    Ok(())
}

/// The longest slice of processor time that Linux takes (`sched_setattr`), in nanoseconds.
const SLICE_NANOS_MAX: u64 = 100_000_000;

/// Asks the kernel to run the calling thread in long slices, which lets every thread of shorter ones go first the
/// moment it wakes up (Linux 6.12). Where the kernel knows nothing of it, nothing changes.
pub fn give_way_to_others() {
    let size = u32::try_from(size_of::<libc::sched_attr>()).expect("some tens of bytes");
    let mut attributes = std::mem::MaybeUninit::<libc::sched_attr>::zeroed();
    // SAFETY: the kernel writes at most `size` bytes, which are there.
    let got = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, attributes.as_mut_ptr(), size, 0) };
    if got != 0 {
        return;
    }
    // SAFETY: integers, all zero before the kernel filled them.
    let mut attributes = unsafe { attributes.assume_init() };
    attributes.sched_runtime = SLICE_NANOS_MAX;
    // SAFETY: the kernel reads the struct, whose own size it says. A refusal changes nothing.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}

// The type of a resource's number differs between C libraries.
#[cfg(target_env = "gnu")]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
type Resource = libc::c_int;

fn limit(resource: Resource) -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a local, writable for the call.
    check(unsafe { libc::getrlimit(resource, &raw mut limit) })?;
    Ok(limit)
}

fn set_limit(resource: Resource, limit: libc::rlimit) -> io::Result<()> {
    // SAFETY: `limit` is a local, readable for the call.
    check(unsafe { libc::setrlimit(resource, &raw const limit) })
}

/// Keeps all present and future memory of the process from being swapped out. To be called last: all that the
/// server has mapped by then must fit in the limit, or it is refused here rather than fail later.
///
/// # Errors
/// When the kernel refuses, mostly for `RLIMIT_MEMLOCK`.
pub fn lock_memory() -> io::Result<()> {
    // SAFETY: takes flags only.
    check(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) })
}

/// What becomes of a daemon's folder and terminal.
#[derive(Clone, Copy, Debug)]
pub struct Daemon {
    /// Go to `/`, so that no file system is kept busy (not with `-r`: the core file wants a folder).
    pub leave_folder: bool,
    /// stdin, stdout and stderr to /dev/null (not with `-v`).
    pub close_terminal: bool,
}

/// Goes on as a child in a session of its own; the parent ends with status 0.
///
/// Must be called while the process has one thread.
///
/// # Errors
/// When the kernel refuses a step.
pub fn daemonize(daemon: Daemon) -> io::Result<()> {
    // SAFETY: the caller promises one thread, so the child is a whole process, not one with locks held by nobody.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {}
        // SAFETY: ends the parent at once; the child owns everything that has a destructor.
        _ => unsafe { libc::_exit(0) },
    }
    // SAFETY: has no preconditions.
    if unsafe { libc::setsid() } == -1 {
        return Err(io::Error::last_os_error());
    }
    if daemon.leave_folder {
        std::env::set_current_dir("/")?;
    }
    if daemon.close_terminal { redirect_terminal() } else { Ok(()) }
}

fn redirect_terminal() -> io::Result<()> {
    let path = CString::new("/dev/null").expect("no NUL inside");
    // SAFETY: `path` ends with a NUL and lives through the call.
    let null = unsafe { libc::open(path.as_ptr(), libc::O_RDWR) };
    if null == -1 {
        return Err(io::Error::last_os_error());
    }
    for terminal in 0..=2 {
        // SAFETY: `null` is open; descriptors 0 to 2 are nobody's in this process but the standard streams'.
        if unsafe { libc::dup2(null, terminal) } == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    if null > 2 {
        // SAFETY: opened above, and nobody else knows it.
        check(unsafe { libc::close(null) })?;
    }
    Ok(())
}

/// A signal the server sends itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `shutdown`: stop.
    Interrupt,
    /// `shutdown graceful`: stop when the workers have finished.
    User1,
}

/// Sends this process a signal, which then takes the same way as one from outside.
pub fn raise(signal: Signal) {
    let number = match signal {
        Signal::Interrupt => libc::SIGINT,
        Signal::User1 => libc::SIGUSR1,
    };
    // SAFETY: takes a number only.
    let result = unsafe { libc::raise(number) };
    assert_eq!(result, 0, "the signals exist");
}

/// Whether a process with this number lives, under whatever user.
#[must_use]
pub fn is_alive(pid: i32) -> bool {
    if pid <= 0 {
        // 0 and below name groups.
        return false;
    }
    // SAFETY: signal 0 is not delivered; only its being possible is checked.
    let result = unsafe { libc::kill(pid, 0) };
    result == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

/// Time this process has spent on a processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTimes {
    /// In its own code.
    pub user: Duration,
    /// In the kernel.
    pub system: Duration,
}

/// Reads the process's times.
///
/// # Errors
/// When the kernel refuses.
pub fn cpu_times() -> io::Result<CpuTimes> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` is a local, writable for the call.
    check(unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) })?;
    // SAFETY: it was zeroed, which every field allows, and filled since.
    let usage = unsafe { usage.assume_init() };
    Ok(CpuTimes { user: duration(usage.ru_utime), system: duration(usage.ru_stime) })
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::{cpu_times, is_alive, raise_open_files_limit};

    #[test]
    fn the_open_files_limit_is_never_lowered() {
        let now = raise_open_files_limit(1).expect("readable");
        assert!(now > 1);
        assert_eq!(raise_open_files_limit(1).expect("readable"), now);
    }

    #[test]
    fn this_process_is_alive_and_groups_are_no_process() {
        assert!(is_alive(i32::try_from(std::process::id()).expect("a pid")));
        assert!(!is_alive(0));
        assert!(!is_alive(-1));
    }

    #[test]
    fn cpu_times_only_grow() {
        let first = cpu_times().expect("readable");
        assert!(cpu_times().expect("readable").user >= first.user);
    }
}
