//! What may be asked about the store's background work: its crawler, its slabs, its queues, and lists of its items.

/// Slab classes as a client names them: `all`, `hash`, or numbers with commas between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classes<'a> {
    /// Every one, class by class.
    All,
    /// Every one, in the order of the hash table.
    Hash,
    /// These; see [`Self::numbers`].
    List(&'a [u8]),
}

/// Which lines a list of items has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemLines {
    /// Of `lru_crawler metadump`: everything about an item but its value.
    Metadump,
    /// Of `lru_crawler mgdump`: requests that fetch the items.
    Mgdump,
    /// Of `stats cachedump`: key, length and expiry.
    Cachedump,
}

/// `lru_crawler`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crawler<'a> {
    /// Look for expired items in the background.
    Enable,
    /// Do not.
    Disable,
    /// Pause so many microseconds between two steps.
    Sleep {
        /// At most a second.
        micros: u32,
    },
    /// Look at so many items of a class at a time; 0: at all.
    ToCrawl {
        /// How many.
        items: u32,
    },
    /// Look for expired items in these classes soon.
    Crawl(Classes<'a>),
    /// List the items of these classes.
    Dump(ItemLines, Classes<'a>),
}

/// `stats cachedump`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cachedump {
    /// So many items of this class.
    Items {
        /// The class's number.
        class: u32,
        /// How many; 0: as many as there are.
        limit: u32,
    },
    /// Words are missing.
    TooFewWords,
    /// A word is no number.
    NoNumber,
}

/// A number with a fraction, in millionths: nothing here is told apart more finely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millionths(pub i64);

/// `slabs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slabs {
    /// Move a page from a class to another.
    Reassign(Option<Reassign>),
    /// Whether pages move by themselves: 0, 1, 2.
    Automove(u32),
    /// memcached's ratio of ages.
    Ratio(Millionths),
    /// memcached's ratio of free memory.
    FreeRatio(Millionths),
    /// memcached's window in seconds.
    Window(u32),
}

/// Where a page is to come from and to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reassign {
    /// A class's number; 0: the pool; -1: any class.
    pub from: i32,
    /// A class's number; 0: the pool.
    pub to: i32,
}

/// `lru`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lru {
    /// Shares and ages of memcached's queues.
    Tune {
        /// Percent.
        hot: u32,
        /// Percent.
        warm: u32,
        /// Of the cold queue's age.
        hot_factor: Millionths,
        /// Of the cold queue's age.
        warm_factor: Millionths,
    },
    /// `segmented`, not `flat`; `None`: another word.
    Mode {
        /// Which.
        is_segmented: Option<bool>,
    },
    /// Time to live up to which memcached keeps items apart; below 0: it does not; `None`: no number.
    TempTtl {
        /// In seconds.
        seconds: Option<i32>,
    },
}

impl<'a> Classes<'a> {
    /// The numbers of a list, `None` for what is none. Empty places are passed over.
    pub fn numbers(list: &'a [u8]) -> impl Iterator<Item = Option<u32>> + 'a {
        list.split(|&byte| byte == b',').filter(|word| !word.is_empty()).map(crate::bytes::parse_u32)
    }
}
