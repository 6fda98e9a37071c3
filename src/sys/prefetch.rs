//! Asking for memory before it is needed.
#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "the instruction is not in std's safe part"))]

/// Bytes that come at once.
pub const LINE_BYTES: usize = 64;

/// Has the cache line at an address come near, whatever is there, or nothing. Where it cannot be asked for, nothing
/// happens.
#[inline(always)]
pub fn line(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every processor of this architecture has the instruction, and for no address it does anything that a
    // program could notice.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn any_address_may_be_asked_for() {
        line(std::ptr::null());
        line(std::ptr::without_provenance(usize::MAX));
        line([1, 2, 3].as_ptr());
    }
}
