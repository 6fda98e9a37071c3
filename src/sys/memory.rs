//! Address space: reserved in one piece, opened part by part, given back to the system part by part.
//!
//! All of it is anonymous memory, or its first part is that of a file, which outlives the process: a hole that is cut
//! into pieces of memory as they are opened, so that memory that the file system does not have is refused there and
//! is no SIGBUS at the first touch.
//!
//! Tables of atomics lie in it as [`Table`]s; what the raw rest means is the store's business.

#![expect(unsafe_code, reason = "mmap and its relatives, and references into what they return")]

use std::fmt;
use std::fs::File;
use std::io;
#[cfg(not(loom))]
use std::marker::PhantomData;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

/// Smallest unit in which the system opens and takes back memory on the platforms we run on, in bytes.
pub const OS_PAGE_BYTES: usize = 4096;
/// A huge page, in bytes.
pub const HUGE_PAGE_BYTES: usize = 2 << 20;

/// A range of address space. Nothing in it can be touched before it is opened.
pub struct Reservation {
    base: NonNull<u8>,
    bytes: usize,
    /// What the system gave, with `base` in it.
    mapped: NonNull<u8>,
    mapped_bytes: usize,
    /// Everything has been opened.
    is_open: OnceLock<()>,
    backing: Option<Backing>,
}

/// The file whose memory the first part of a reservation is.
#[derive(Debug)]
struct Backing {
    file: File,
    bytes: usize,
}

impl Backing {
    /// Has the file system set memory aside for a range, or takes it back.
    fn cut(&self, how: FallocateFlags, start: usize, end: usize) -> io::Result<()> {
        let offset = |at: usize| libc::off_t::try_from(at).map_err(io::Error::other);
        let (start, bytes) = (offset(start)?, offset(end - start)?);
        loop {
            match fallocate(&self.file, how, start, bytes) {
                // A signal came first.
                Err(Errno::EINTR) => {}
                done => return Ok(done?),
            }
        }
    }
}

// SAFETY: the reservation is a range of addresses; its methods are system calls that are safe from any thread.
unsafe impl Send for Reservation {}
// SAFETY: as for Send: no method gives out anything but atomics and raw pointers.
unsafe impl Sync for Reservation {}

impl Reservation {
    /// Reserves `bytes` of address space, rounded up to whole OS pages. A huge page may begin at offset 0.
    ///
    /// # Errors
    /// When the system refuses the range.
    pub fn new(bytes: usize) -> io::Result<Self> {
        let bytes = bytes.next_multiple_of(OS_PAGE_BYTES);
        let mapped_bytes = bytes + HUGE_PAGE_BYTES;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice aliases nothing.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), mapped_bytes, libc::PROT_NONE, flags, -1, 0) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mapped = NonNull::new(address.cast()).ok_or_else(|| io::Error::other("mmap returned address 0"))?;
        // SAFETY: less than a huge page is skipped, and the mapping is that much longer.
        let base = unsafe { mapped.add(mapped.align_offset(HUGE_PAGE_BYTES)) };
        Ok(Self { base, bytes, mapped, mapped_bytes, is_open: OnceLock::new(), backing: None })
    }

    /// The same with the first `file_bytes` of it a file's, which is made so long. What the file holds can be read; a
    /// part of it that was not written before may be touched once it is opened.
    ///
    /// # Errors
    /// When the system refuses the range, or the file its length.
    pub fn on_file(file: File, file_bytes: usize, bytes: usize) -> io::Result<Self> {
        let mut reservation = Self::new(bytes)?;
        assert!(file_bytes.is_multiple_of(OS_PAGE_BYTES) && file_bytes <= reservation.bytes, "a part of whole pages");
        file.set_len(u64::try_from(file_bytes).map_err(io::Error::other)?)?;
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_FIXED);
        let base = reservation.base.as_ptr().cast();
        // SAFETY: the range is the beginning of our own fresh mapping, into which nothing looks yet.
        let address = unsafe { libc::mmap(base, file_bytes, access, flags, file.as_raw_fd(), 0) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        reservation.backing = Some(Backing { file, bytes: file_bytes });
        Ok(reservation)
    }

    /// Whether a part of it is a file's.
    #[must_use]
    pub fn has_file(&self) -> bool {
        self.backing.is_some()
    }

    /// First address. Only what was opened may be touched.
    #[must_use]
    #[inline]
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Makes the OS pages that hold `[offset, offset + bytes)` readable and writable. New memory reads as zero;
    /// opening twice changes nothing.
    ///
    /// # Errors
    /// When the system has no memory to promise.
    pub fn open(&self, offset: usize, bytes: usize) -> io::Result<()> {
        if let Some(backing) = &self.backing
            && offset < backing.bytes
        {
            let (start, length) = self.os_pages(offset, bytes);
            assert!(start + length <= backing.bytes, "a part is the file's or it is not");
            return backing.cut(FallocateFlags::empty(), start, start + length);
        }
        // A change of protection waits for every thread that is inside a page fault or `populate`.
        if self.is_open.get().is_some() {
            return Ok(());
        }
        let (start, length) = self.os_pages(offset, bytes);
        // SAFETY: `os_pages` bounds the range to this mapping.
        let address = unsafe { self.base.as_ptr().add(start) };
        // SAFETY: raising the protection of our own mapping invalidates no reference into it.
        match unsafe { libc::mprotect(address.cast(), length, libc::PROT_READ | libc::PROT_WRITE) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Makes all of it readable and writable that is no file's.
    ///
    /// # Errors
    /// When the system has no memory to promise.
    pub fn open_all(&self) -> io::Result<()> {
        let anonymous_at = self.backing.as_ref().map_or(0, |backing| backing.bytes);
        self.open(anonymous_at, self.bytes - anonymous_at)?;
        self.is_open.get_or_init(|| ());
        Ok(())
    }

    /// Gives the memory of the whole OS pages inside `[offset, offset + bytes)` back; it reads as zero afterwards, and
    /// a file's part of it is to be opened before it is touched again.
    pub fn release(&self, offset: usize, bytes: usize) {
        let start = offset.next_multiple_of(OS_PAGE_BYTES);
        let end = (offset + bytes).min(self.bytes) / OS_PAGE_BYTES * OS_PAGE_BYTES;
        if start >= end {
            return;
        }
        if let Some(backing) = &self.backing
            && start < backing.bytes
        {
            let how = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            // A refusal leaves the memory with us, which costs memory only: what it holds is not relied upon.
            let _ = backing.cut(how, start, end);
            return;
        }
        // SAFETY: the range was just bounded to this mapping.
        let address = unsafe { self.base.as_ptr().add(start) };
        // SAFETY: our own private anonymous pages; all that looks at them are atomics, which then read zero.
        // A refusal leaves the memory with us, which costs memory only.
        unsafe { libc::madvise(address.cast(), end - start, libc::MADV_DONTNEED) };
    }

    /// Asks for huge pages in `[offset, offset + bytes)`. The system may ignore it.
    pub fn prefer_huge_pages(&self, offset: usize, bytes: usize) {
        let (start, length) = self.os_pages(offset, bytes);
        // SAFETY: `os_pages` bounds the range to this mapping.
        let address = unsafe { self.base.as_ptr().add(start) };
        // SAFETY: an advice about our own mapping changes no content.
        unsafe { libc::madvise(address.cast(), length, libc::MADV_HUGEPAGE) };
    }

    /// Asks for no huge pages in `[offset, offset + bytes)`: where little of it is touched they would hold much.
    pub fn refuse_huge_pages(&self, offset: usize, bytes: usize) {
        let (start, length) = self.os_pages(offset, bytes);
        // SAFETY: `os_pages` bounds the range to this mapping.
        let address = unsafe { self.base.as_ptr().add(start) };
        // SAFETY: an advice about our own mapping changes no content.
        unsafe { libc::madvise(address.cast(), length, libc::MADV_NOHUGEPAGE) };
    }

    /// Has the system find the memory of `[offset, offset + bytes)`, which is open, now instead of at its first touch.
    /// Others may be at work in it.
    ///
    /// # Errors
    /// When the system has none, or does not know how (before Linux 5.14).
    pub fn populate(&self, offset: usize, bytes: usize) -> io::Result<()> {
        let (start, length) = self.os_pages(offset, bytes);
        // SAFETY: `os_pages` bounds the range to this mapping.
        let address = unsafe { self.base.as_ptr().add(start) };
        // SAFETY: as if each page's first byte were written to itself: no content changes.
        match unsafe { libc::madvise(address.cast(), length, libc::MADV_POPULATE_WRITE) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The OS pages that hold a range: start and length in bytes.
    fn os_pages(&self, offset: usize, bytes: usize) -> (usize, usize) {
        assert!(offset + bytes <= self.bytes, "the range lies in the reservation");
        let start = offset / OS_PAGE_BYTES * OS_PAGE_BYTES;
        (start, (offset + bytes).next_multiple_of(OS_PAGE_BYTES) - start)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and whoever looks into it holds an `Arc` of this reservation.
        unsafe { libc::munmap(self.mapped.as_ptr().cast(), self.mapped_bytes) };
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// Types that may be looked at in zeroed memory by many threads.
///
/// # Safety
/// All-zero bytes are a value of the type, and all its bytes lie in atomics.
pub unsafe trait ZeroedAtomics: Default {}

/// A slice of atomics in a reservation. An element may be touched once its place is opened.
#[cfg(not(loom))]
pub struct Table<T: ZeroedAtomics> {
    first: NonNull<T>,
    count: usize,
    _memory: Arc<Reservation>,
    _elements: PhantomData<T>,
}

#[cfg(not(loom))]
impl<T: ZeroedAtomics> Table<T> {
    /// The `count` elements that start at byte `offset`.
    #[must_use]
    pub fn new(memory: &Arc<Reservation>, offset: usize, count: usize) -> Self {
        assert!(offset.is_multiple_of(align_of::<T>()), "elements are aligned");
        assert!(offset + count * size_of::<T>() <= memory.bytes, "the table lies in the reservation");
        // SAFETY: the offset was just bounded to the mapping.
        let first = unsafe { memory.base.add(offset) }.cast();
        Self { first, count, _memory: Arc::clone(memory), _elements: PhantomData }
    }
}

#[cfg(not(loom))]
impl<T: ZeroedAtomics> Deref for Table<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the range was bounded and aligned in `new`, the mapping lives as long as `_memory`, and a
        // `ZeroedAtomics` is valid in zeroed memory and shared soundly.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.count) }
    }
}

#[cfg(not(loom))]
// SAFETY: gives out shared references to atomics only.
unsafe impl<T: ZeroedAtomics + Send> Send for Table<T> {}
#[cfg(not(loom))]
// SAFETY: gives out shared references to atomics only.
unsafe impl<T: ZeroedAtomics + Sync> Sync for Table<T> {}

/// Most elements of a table under loom: a model touches the first few only, and all are made for each of its runs.
#[cfg(loom)]
const ELEMENTS_MAX: usize = 64;

/// Under loom the elements are loom's atomics, which cannot lie in mapped memory.
#[cfg(loom)]
pub struct Table<T: ZeroedAtomics> {
    elements: Box<[T]>,
}

#[cfg(loom)]
impl<T: ZeroedAtomics> Table<T> {
    /// `count` elements, if a model may need so many.
    #[must_use]
    pub fn new(_memory: &Arc<Reservation>, _offset: usize, count: usize) -> Self {
        Self { elements: (0..count.min(ELEMENTS_MAX)).map(|_| T::default()).collect() }
    }
}

#[cfg(loom)]
impl<T: ZeroedAtomics> Deref for Table<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.elements
    }
}

impl<T: ZeroedAtomics> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("count", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{OS_PAGE_BYTES, Reservation, Table, ZeroedAtomics};

    /// A word of a test's own table.
    #[derive(Default)]
    #[repr(transparent)]
    struct Word(AtomicU64);

    // SAFETY: an atomic integer; zero is a value.
    unsafe impl ZeroedAtomics for Word {}

    #[test]
    fn opened_memory_is_zero_and_released_memory_is_zero_again() {
        let memory = Arc::new(Reservation::new(1 << 20).expect("a megabyte of addresses"));
        memory.open(8 * OS_PAGE_BYTES, OS_PAGE_BYTES).expect("one page");
        let table: Table<Word> = Table::new(&memory, 8 * OS_PAGE_BYTES, 512);
        assert_eq!(table[511].0.load(Ordering::Relaxed), 0);
        table[511].0.store(7, Ordering::Relaxed);
        memory.release(8 * OS_PAGE_BYTES, OS_PAGE_BYTES);
        assert_eq!(table[511].0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_files_part_outlives_its_reservation_and_takes_memory_as_it_is_opened() {
        let memfd = nix::sys::memfd::memfd_create(c"test", nix::sys::memfd::MFdFlags::empty()).expect("Linux has it");
        let file = std::fs::File::from(memfd);
        let blocks = || std::os::unix::fs::MetadataExt::blocks(&file.metadata().expect("it is open")) * 512;
        let open = || {
            let file = file.try_clone().expect("descriptors");
            Arc::new(Reservation::on_file(file, 1 << 20, 2 << 20).expect("two megabytes of addresses"))
        };
        let memory = open();
        assert_eq!(blocks(), 0);
        memory.open(64 << 10, 64 << 10).expect("memory");
        assert_eq!(blocks(), 64 << 10);
        memory.open(1 << 20, OS_PAGE_BYTES).expect("memory behind the file");
        let word = |memory: &Arc<Reservation>, at| Table::<Word>::new(memory, at, 1);
        word(&memory, 64 << 10)[0].0.store(7, Ordering::Relaxed);
        word(&memory, 1 << 20)[0].0.store(8, Ordering::Relaxed);
        drop(memory);
        let memory = open();
        assert_eq!(word(&memory, 64 << 10)[0].0.load(Ordering::Relaxed), 7);
        memory.open(1 << 20, OS_PAGE_BYTES).expect("memory behind the file");
        assert_eq!(word(&memory, 1 << 20)[0].0.load(Ordering::Relaxed), 0, "that is anonymous");
        memory.release(64 << 10, 64 << 10);
        assert_eq!(blocks(), 0);
    }

    #[test]
    #[should_panic(expected = "lies in the reservation")]
    fn a_table_past_the_end_is_refused() {
        let memory = Arc::new(Reservation::new(OS_PAGE_BYTES).expect("one page of addresses"));
        let _: Table<Word> = Table::new(&memory, 0, 513);
    }
}
