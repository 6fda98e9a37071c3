//! What a store is told at start.

/// The options of a [`Store`](crate::store::Store). `config` checks them against each other before it gets here.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// `-m`: limit of pages, index and eviction state together, in bytes.
    pub limit_bytes: u64,
    /// `-I`: largest item, in memcached's count (key, value and its overhead), in bytes.
    pub item_bytes_max: usize,
    /// `-f`: growth factor of the slab classes; `None`: our fine classes.
    pub growth_factor: Option<f64>,
    /// `-n`: smallest room for key, value and flags, in bytes; `None`: as small as an item gets.
    pub chunk_bytes_min: Option<usize>,
    /// `-M` turns it off: full memory is then an error instead of an eviction.
    pub evict: bool,
    /// `-C` turns it off: items have no cas number to show, and `cas` never matches.
    pub cas: bool,
    /// `-L`: ask for huge pages.
    pub large_pages: bool,
    /// Reserve addresses for a memory limit of twice the one at start and no more: whatever is reserved counts against
    /// a limit of the process.
    pub few_addresses: bool,
    /// `lru_crawler`: expired items are looked for in the background.
    pub sweep: bool,
    /// `lru_crawler_sleep`: pause between two steps of that, in microseconds.
    pub sweep_pause_micros: u32,
    /// `lru_crawler_tocrawl`: items of a class looked at in one pass; 0: all.
    pub sweep_items_max: u32,
    /// `slab_automove`: pages move to the classes that earn more with them.
    pub balance: bool,
    /// `-t`: how many workers will hold a `Local`; bounds what their magazines may keep.
    pub workers: usize,
    /// `track_sizes`: keep a histogram of item sizes.
    pub track_sizes: bool,
    /// Seed of the keyed hash.
    pub hash_seed: u64,
    /// So many stripes; `None`: as many as are good for the limit.
    pub stripes: Option<usize>,
}

impl Options {
    /// `-f` and `-n` as numbers, by which others are told from them; 0: not said.
    pub(crate) fn classes_as_words(&self) -> (u64, u64) {
        let growth = self.growth_factor.map_or(0, f64::to_bits);
        (growth, self.chunk_bytes_min.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0))
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limit_bytes: 64 << 20,
            item_bytes_max: 1 << 20,
            growth_factor: None,
            chunk_bytes_min: None,
            evict: true,
            cas: true,
            large_pages: false,
            few_addresses: false,
            sweep: true,
            sweep_pause_micros: 0,
            sweep_items_max: 0,
            balance: true,
            workers: 4,
            track_sizes: false,
            hash_seed: 0,
            stripes: None,
        }
    }
}
