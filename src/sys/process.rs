//! The process: its limits, its terminal, its memory, its signals.
#![expect(unsafe_code, reason = "sched_setattr is neither in std nor in nix")]

use std::io;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::signal;
use nix::sys::time::TimeVal;
use nix::unistd::{Pid, daemon};

/// Raises the limit of open files to at least `wanted`, as far as the process may, and returns what holds now.
/// Never lowers it.
///
/// # Errors
/// When the limit cannot be read.
pub fn raise_open_files_limit(wanted: u64) -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft >= wanted {
        return Ok(soft);
    }
    if setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted)).is_ok() {
        return Ok(wanted);
    }
    // Without privileges the hard limit is the end.
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_or(soft, |()| hard))
}

/// Lifts the limit of locked memory, as far as the process may: after [`lock_memory`] a limit makes later
/// allocations fail. To be called before the rights of root are given up.
///
/// # Errors
/// When the kernel refuses.
pub fn lift_locked_memory_limit() -> io::Result<()> {
    Ok(setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY)?)
}

/// Raises the limit of core files as far as the process may.
///
/// # Errors
/// When no core file could be written afterwards.
pub fn raise_core_limit() -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE)?;
    if setrlimit(Resource::RLIMIT_CORE, RLIM_INFINITY, RLIM_INFINITY).is_err() {
        setrlimit(Resource::RLIMIT_CORE, hard, hard)?;
    }
    match getrlimit(Resource::RLIMIT_CORE)? {
        (0, _) => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
        _ => Ok(()),
    }
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

/// Keeps all present and future memory of the process from being swapped out. To be called last: all that the
/// server has mapped by then must fit in the limit, or it is refused here rather than fail later.
///
/// # Errors
/// When the kernel refuses, mostly for `RLIMIT_MEMLOCK`.
pub fn lock_memory() -> io::Result<()> {
    // What is open and was never touched holds nothing to swap out: to fetch it would take several times `-m` with
    // `-L`. `nix` has no name for that.
    let on_fault = MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
    Ok(mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | on_fault)?)
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
pub fn daemonize(how: Daemon) -> io::Result<()> {
    Ok(daemon(!how.leave_folder, !how.close_terminal)?)
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
    let signal = match signal {
        Signal::Interrupt => signal::SIGINT,
        Signal::User1 => signal::SIGUSR1,
    };
    signal::raise(signal).expect("the signals exist");
}

/// Whether a process with this number lives, under whatever user.
#[must_use]
pub fn is_alive(pid: i32) -> bool {
    // 0 and below name groups. No signal is delivered; only its being possible is checked.
    pid > 0 && matches!(signal::kill(Pid::from_raw(pid), None), Ok(()) | Err(Errno::EPERM))
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
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok(CpuTimes { user: duration(usage.user_time()), system: duration(usage.system_time()) })
}

fn duration(time: TimeVal) -> Duration {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
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
