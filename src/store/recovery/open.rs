//! Whether what a file holds is kept, and what time it is in there.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::pages::Recovery;
use crate::store::bytes::layout::u64_of;
use crate::store::memory::arena::Arena;
use crate::store::memory::classes::ClassTable;
use crate::store::memory::superblock::{Fixed, Superblock, Word, hash_proof};
use crate::store::shared::Store;
use crate::store::words::options::Options;
use crate::store::words::outcome::OpenError;
use crate::store::words::refusal::Refusal;
use crate::store::words::restart::Restart;
use crate::sync::Ordering;
use crate::time::{Moment, Now, Seconds};

const SECOND_NANOS: u64 = 1_000_000_000;

/// A store on a file.
#[derive(Debug)]
pub struct Opened {
    /// It is to be recovered before it is used, if there is anything to recover.
    pub store: Store,
    /// The time on the store's clock at the moment that `open_on` was told, in nanoseconds.
    pub nanos: u64,
    /// What is left of another run, or why it is not kept.
    pub left: Result<Recovery, Refusal>,
}

/// The process that opened a memory file last.
///
/// # Errors
/// When the file cannot be read so far.
pub fn memory_file_owner(file: &File) -> io::Result<u64> {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, u64_of(Word::Owner as usize * 8))?;
    Ok(u64::from_le_bytes(bytes))
}

/// Whether what a file holds would be kept, as far as that can be seen while another process uses it.
///
/// # Errors
/// When the file cannot be read.
pub fn memory_file_refusal(options: &Options, file: &File, restart: Restart) -> io::Result<Option<Refusal>> {
    Ok(read_fixed(options, file, restart)?.err())
}

fn read_fixed(options: &Options, file: &File, restart: Restart) -> io::Result<Result<Fixed, Refusal>> {
    Ok(match Fixed::read(file)? {
        Ok(_) if restart.reset => Err(Refusal::Asked),
        Ok(fixed) if fixed.with_cas != options.cas => Err(Refusal::Cas),
        read => read,
    })
}

impl Store {
    /// A store in the memory of a file, which nobody else has open: with what another run left there, or empty.
    ///
    /// # Errors
    /// As for [`Store::open`], and when the file cannot be read or be given memory.
    pub fn open_on(options: &Options, file: &File, restart: Restart, moment: &Moment) -> Result<Opened, OpenError> {
        match Self::open_left(options, file, restart, moment).map_err(OpenError::Memory)? {
            Ok(opened) => Ok(opened),
            Err(refusal) => Self::open_new(options, file, refusal, moment),
        }
    }

    /// The same for a file of which nothing is kept, for this reason: an empty store.
    ///
    /// # Errors
    /// As for [`Self::open_on`].
    fn open_new(options: &Options, file: &File, why: Refusal, moment: &Moment) -> Result<Opened, OpenError> {
        file.set_len(0).map_err(OpenError::Memory)?;
        let store = Self::open_empty(options, Some(file))?;
        // The clock's seconds turn with those of Unix time.
        let nanos = u64::from(Seconds::START.0) * SECOND_NANOS + moment.unix_nanos % SECOND_NANOS;
        store.begin_run(moment, nanos);
        Ok(Opened { store, nanos, left: Err(why) })
    }

    /// Whether these options ask for what its file cannot become: other classes, or a limit above the most it can have.
    #[must_use]
    pub fn needs_other_file(&self, options: &Options) -> bool {
        let superblock = &self.arena.superblock;
        let made_with = (superblock.get(Word::GrowthFactor), superblock.get(Word::ChunkBytesMin));
        made_with != options.classes_as_words() || options.limit_bytes > self.arena.geometry.limit_bytes_max
    }

    /// A store on another file that is to take the items of this one over: with what an earlier try has moved there, or
    /// empty. Its items keep their numbers, as it has the same seed and stripes; its clock is the same.
    ///
    /// # Errors
    /// As for [`Store::open_on`].
    pub fn open_beside(
        &self,
        options: &Options,
        file: &File,
        moment: &Moment,
        nanos: u64,
    ) -> Result<Opened, OpenError> {
        let (hash_seed, stripes) = (self.options.hash_seed, self.arena.geometry.stripes);
        let options = Options { hash_seed, stripes: Some(stripes), ..options.clone() };
        let left = Self::open_left(&options, file, Restart::default(), moment).map_err(OpenError::Memory)?;
        if let Ok(opened) = left
            && (opened.store.options.hash_seed, opened.store.arena.geometry.stripes) == (hash_seed, stripes)
        {
            return Ok(opened);
        }
        file.set_len(0).map_err(OpenError::Memory)?;
        let store = Self::open_empty(&options, Some(file))?;
        for (record, ours) in store.arena.records.iter().zip(self.arena.records.iter()) {
            record.cas.store(ours.cas.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        store.note_planned_flush(self.planned_flush());
        for word in [Word::Epoch, Word::LastTick] {
            store.arena.superblock.set(word, self.arena.superblock.get(word));
        }
        store.begin_run(moment, nanos);
        Ok(Opened { store, nanos, left: Err(Refusal::Empty) })
    }

    /// What another run left in a file, or why it is not kept; then the file is as it was.
    ///
    /// # Errors
    /// When the file cannot be read, or the system refuses addresses or memory.
    pub fn open_left(
        options: &Options,
        file: &File,
        restart: Restart,
        moment: &Moment,
    ) -> io::Result<Result<Opened, Refusal>> {
        let fixed = match read_fixed(options, file, restart)? {
            Ok(fixed) => fixed,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (geometry, memory) = match Arena::reserve_as(&fixed, file)? {
            Ok(reserved) => reserved,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let limit_bytes = options.limit_bytes.min(fixed.limit_bytes_max);
        // Every page that was ever used has its entry: the table is open as far as it ever was.
        let peak = Superblock::new(&memory).get(Word::LimitPeak).clamp(limit_bytes, fixed.limit_bytes_max);
        let as_left = Options { limit_bytes: peak, hash_seed: fixed.hash_seed, ..options.clone() };
        let arena = Arena::new(&as_left, geometry, memory)?;
        let nanos = match resume_at(&arena.superblock, restart, moment) {
            Ok(nanos) => nanos,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Err(refusal) = heed_hash(&arena, &fixed) {
            return Ok(Err(refusal));
        }
        let stopped = arena.superblock.get(Word::LastTick);
        let Ok(mut store) = Self::over(&as_left, arena, ClassTable::of(fixed.chunk_sizes)) else {
            return Ok(Err(Refusal::Damaged));
        };
        store.options = Options { limit_bytes, hash_seed: fixed.hash_seed, ..options.clone() };
        store.begin_run(moment, nanos);
        let seconds = |nanos: u64| Seconds(u32::try_from(nanos / SECOND_NANOS).unwrap_or(u32::MAX));
        let left = store.prepare_recovery(Seconds(u32::try_from(stopped).unwrap_or(u32::MAX)), seconds(nanos));
        Ok(Ok(Opened { store, nanos, left: Ok(left) }))
    }

    /// Notes that this run uses the file, and when on its clock that began.
    fn begin_run(&self, moment: &Moment, nanos: u64) {
        let superblock = &self.arena.superblock;
        superblock.set(Word::BootEpoch, moment.boot_nanos.wrapping_sub(nanos));
        superblock.set(Word::BootHigh, moment.boot[0]);
        superblock.set(Word::BootLow, moment.boot[1]);
        // Last: until then the run before counts, which was ended in order, or the boot is the same.
        superblock.set(Word::IsClean, 0);
    }

    /// Notes the process that uses the file: the one that another finds there.
    pub fn set_owner(&self, pid: u32) {
        self.arena.superblock.set(Word::Owner, u64::from(pid));
    }

    /// Notes that all is well: nobody uses the store any more. After another boot the file is believed for that alone.
    pub fn end_run(&self, now: &Now) {
        self.arena.tick(now);
        self.arena.superblock.set(Word::IsClean, 1);
    }
}

/// The time on the store's clock: within a boot what the machine's clock says has passed, else the wall's.
fn resume_at(superblock: &Superblock, restart: Restart, moment: &Moment) -> Result<u64, Refusal> {
    let is_clean = superblock.get(Word::IsClean) == 1;
    let same_boot = [superblock.get(Word::BootHigh), superblock.get(Word::BootLow)] == moment.boot;
    if !same_boot && !is_clean {
        return Err(Refusal::OtherBoot);
    }
    let stopped = superblock.get(Word::LastTick).max(u64::from(Seconds::START.0));
    let most = u64::from(u32::MAX) * SECOND_NANOS;
    let stopped_nanos = stopped.checked_mul(SECOND_NANOS).filter(|nanos| *nanos <= most).ok_or(Refusal::Clock)?;
    let nanos = if same_boot {
        let nanos = moment.boot_nanos.wrapping_sub(superblock.get(Word::BootEpoch));
        // The clock that is read once a turn is some milliseconds off.
        if nanos.saturating_add(SECOND_NANOS) < stopped_nanos {
            return Err(Refusal::Clock);
        }
        nanos.max(stopped_nanos)
    } else {
        // A wall's clock may have been set back: then no time has passed.
        let epoch = superblock.get(Word::Epoch).cast_signed();
        let unix = i64::try_from(moment.unix_nanos / SECOND_NANOS).unwrap_or(i64::MAX);
        let seconds = u64::try_from(unix.saturating_sub(epoch)).unwrap_or(0).max(stopped);
        seconds.saturating_mul(SECOND_NANOS)
    };
    if nanos > most {
        return Err(Refusal::Clock);
    }
    let away = (nanos - stopped_nanos) / SECOND_NANOS;
    match restart.outage_seconds_max {
        Some(most) if away > most => Err(Refusal::Away(away)),
        _ => Ok(nanos),
    }
}

/// Another build may hash keys otherwise, and have items in other stripes than they were: all go on behind the last
/// version of any. Of what is flushed each stripe knew for itself.
fn heed_hash(arena: &Arena, fixed: &Fixed) -> Result<(), Refusal> {
    let hash_proof = hash_proof(fixed.hash_seed);
    if hash_proof == fixed.hash_proof {
        return Ok(());
    }
    if arena.flushes_left() & 1 == 1 {
        return Err(Refusal::Hash);
    }
    let last = arena.records.iter().map(|record| record.cas.load(Ordering::Relaxed)).max().unwrap_or(0);
    arena.records.iter().for_each(|record| record.cas.store(last, Ordering::Relaxed));
    arena.superblock.write(&Fixed { hash_proof, ..fixed.clone() });
    Ok(())
}
