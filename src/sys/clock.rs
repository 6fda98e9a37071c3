//! The kernel's monotonic clocks.
#![expect(unsafe_code, reason = "clock_gettime is not in std with the coarse clock")]

/// Seconds and nanoseconds since some fixed moment, as of the kernel's last tick (1 to 10 ms ago).
///
/// Reading it costs a fifth of `Instant::now`: no counter is read, only the kernel's shared page.
#[must_use]
#[inline]
pub fn coarse_monotonic() -> (u64, u32) {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec of ours, writable for the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut now) };
    assert_eq!(result, 0, "the clock has existed since Linux 2.6.32");
    let seconds = u64::try_from(now.tv_sec).expect("a monotonic clock starts at 0");
    let nanos = u32::try_from(now.tv_nsec).expect("0 to 999999999");
    (seconds, nanos)
}

/// Nanoseconds since some fixed moment, exact: never fewer than before.
#[must_use]
pub fn monotonic_nanos() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec of ours, writable for the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    assert_eq!(result, 0, "the clock has existed since Linux 2.6");
    let seconds = u64::try_from(now.tv_sec).expect("a monotonic clock starts at 0");
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).expect("0 to 999999999")
}

/// Nanoseconds since the machine's boot, those of a suspended machine as well: no more than other clocks of this kind
/// at the same moment, in all processes.
#[must_use]
pub fn since_boot_nanos() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec of ours, writable for the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) };
    assert_eq!(result, 0, "the clock has existed since Linux 2.6.39");
    let seconds = u64::try_from(now.tv_sec).expect("a clock since boot starts at 0");
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).expect("0 to 999999999")
}

#[cfg(test)]
mod tests {
    use super::coarse_monotonic;

    #[test]
    fn the_clock_does_not_run_backwards() {
        let first = coarse_monotonic();
        assert!(coarse_monotonic() >= first);
    }
}
