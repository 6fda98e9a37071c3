//! [`Latencies`]: how long sampled requests took from read to written, by the kind of command.
//!
//! Each thread writes a block of its own. A reset does not touch the blocks: it begins a generation, and a thread whose
//! block is of an older one clears it before it writes there again.

use crossbeam::utils::CachePadded;

use super::{Histogram, Latest, Registry, Spread};
use crate::sync::{Arc, AtomicU64, Ordering};

/// A kind of command, as latencies are told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandKind {
    /// get and gets, of one key or many.
    Get,
    /// set, add, replace, append, prepend, cas.
    Set,
    /// delete.
    Delete,
    /// incr and decr.
    Arithmetic,
    /// touch, gat and gats.
    Touch,
    /// mg.
    MetaGet,
    /// ms.
    MetaSet,
    /// md.
    MetaDelete,
    /// ma.
    MetaArithmetic,
    /// All others: mn and me, version, stats, what is no request.
    Other,
}

/// How many kinds there are.
const COMMAND_KINDS: usize = 10;

impl CommandKind {
    /// All kinds, in the order they are told in, which is that of their numbers.
    pub const ALL: [Self; COMMAND_KINDS] = [
        Self::Get,
        Self::Set,
        Self::Delete,
        Self::Arithmetic,
        Self::Touch,
        Self::MetaGet,
        Self::MetaSet,
        Self::MetaDelete,
        Self::MetaArithmetic,
        Self::Other,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Delete => "delete",
            Self::Arithmetic => "arithmetic",
            Self::Touch => "touch",
            Self::MetaGet => "meta_get",
            Self::MetaSet => "meta_set",
            Self::MetaDelete => "meta_delete",
            Self::MetaArithmetic => "meta_arithmetic",
            Self::Other => "other",
        }
    }
}

/// How many requests of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindCounts([u32; COMMAND_KINDS]);

impl KindCounts {
    /// Counts one.
    pub fn add(&mut self, kind: CommandKind) {
        let count = &mut self.0[kind as usize];
        *count = count.saturating_add(1);
    }
}

/// All threads' latencies.
#[derive(Debug, Default)]
pub struct Latencies {
    blocks: Registry<Block>,
    /// Rises with every reset: what blocks of an earlier generation hold counts no more.
    generation: AtomicU64,
}

/// One thread's latencies.
#[derive(Debug, Default)]
struct Block {
    generation: Latest,
    kinds: [Histogram; COMMAND_KINDS],
}

/// One thread's way to count latencies.
#[derive(Debug)]
pub struct LatencyCounters {
    latencies: Arc<Latencies>,
    block: Arc<CachePadded<Block>>,
}

impl Latencies {
    /// Forgets everything.
    pub fn reset(&self) {
        // Relaxed: a thread that sees it late counts a sample of before the reset as forgotten.
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// What all threads have measured since the last reset, by kind.
    #[must_use]
    pub fn spreads(&self) -> [Spread; COMMAND_KINDS] {
        let mut spreads: [Spread; COMMAND_KINDS] = std::array::from_fn(|_| Spread::default());
        let generation = self.generation.load(Ordering::Relaxed);
        self.blocks.for_each(|block| {
            if block.generation.get() == generation {
                spreads.iter_mut().zip(&block.kinds).for_each(|(spread, histogram)| spread.add(histogram));
            }
        });
        spreads
    }
}

impl LatencyCounters {
    /// A thread's own.
    #[must_use]
    pub fn new(latencies: Arc<Latencies>) -> Self {
        let block = latencies.blocks.register();
        Self { latencies, block }
    }

    /// Counts requests that were answered together, so many nanoseconds after they were read.
    #[cold]
    pub fn record(&self, counts: &KindCounts, nanos: u64) {
        let generation = self.latencies.generation.load(Ordering::Relaxed);
        if self.block.generation.get() != generation {
            self.block.kinds.iter().for_each(Histogram::clear);
            self.block.generation.set(generation);
        }
        for (histogram, &count) in self.block.kinds.iter().zip(&counts.0).filter(|(_, count)| **count > 0) {
            histogram.record(nanos, u64::from(count));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{COMMAND_KINDS, CommandKind, KindCounts, Latencies, LatencyCounters};
    use crate::sync::Arc;

    fn counts(kinds: &[CommandKind]) -> KindCounts {
        let mut counts = KindCounts::default();
        kinds.iter().for_each(|&kind| counts.add(kind));
        counts
    }

    fn told(latencies: &Latencies, kind: CommandKind) -> (u64, u64) {
        let spread = &latencies.spreads()[kind as usize];
        (spread.count, spread.max_nanos)
    }

    #[test]
    fn kinds_stand_at_their_numbers() {
        for (number, kind) in CommandKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
        assert_eq!(CommandKind::Other as usize + 1, COMMAND_KINDS);
    }

    #[test]
    fn threads_are_summed_and_a_reset_forgets_all_of_them() {
        let latencies = Arc::new(Latencies::default());
        let threads = [(); 2].map(|()| LatencyCounters::new(Arc::clone(&latencies)));
        threads[0].record(&counts(&[CommandKind::Get, CommandKind::Get, CommandKind::Set]), 500);
        threads[1].record(&counts(&[CommandKind::Get]), 700);
        assert_eq!(told(&latencies, CommandKind::Get), (3, 700));
        assert_eq!(told(&latencies, CommandKind::Set), (1, 500));
        latencies.reset();
        assert_eq!(told(&latencies, CommandKind::Get), (0, 0));
        threads[0].record(&counts(&[CommandKind::Get]), 100);
        assert_eq!(told(&latencies, CommandKind::Get), (1, 100), "the other thread's block is of before the reset");
        assert_eq!(told(&latencies, CommandKind::Set), (0, 0));
    }

    #[test]
    fn many_threads_count_at_once_and_nothing_is_lost() {
        let latencies = Arc::new(Latencies::default());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let latencies = Arc::clone(&latencies);
                scope.spawn(move || {
                    let thread = LatencyCounters::new(latencies);
                    (0..10_000).for_each(|nanos| thread.record(&counts(&[CommandKind::Get]), nanos));
                });
            }
            (0..100).for_each(|_| assert!(told(&latencies, CommandKind::Get).0 <= 80_000));
        });
        assert_eq!(told(&latencies, CommandKind::Get), (80_000, 9_999));
    }
}
