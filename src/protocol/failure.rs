//! [`Failure`]: why a request was not done. The words for it are the dialect's.

/// Why a request was not done: what memcached tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No such command, or wrong words after it.
    UnknownCommand,
    /// A line that its command cannot be read from.
    BadFormat,
    /// A data block that does not end where the line said.
    BadDataChunk,
    /// An exptime that is not a number of 32 bits.
    InvalidExptime,
    /// A delta that is not a number of 64 bits.
    InvalidDelta,
    /// incr or decr of something else than a number.
    NonNumeric,
    /// incr or decr, or a touch, that found no memory.
    OutOfMemory,
    /// A value over the item size limit.
    TooLarge,
    /// A value no memory was found for.
    NoMemoryStoring,
    /// A value so long that memory is asked for while it arrives, when that ends.
    NoMemoryReading,
    /// `flush_all` under `-F`.
    FlushNotAllowed,
    /// `shutdown` without `-A`.
    ShutdownNotEnabled,
    /// `shutdown` with an unknown word.
    InvalidShutdownMode,
    /// `cache_memlimit` below 8 MB.
    MemlimitTooSmall,
    /// `cache_memlimit` with a number of bytes.
    MemlimitNotBytes,
    /// `cache_memlimit` beyond what the start reserved.
    MemlimitOutOfBounds,
    /// `refresh_certs` without TLS.
    TlsNotEnabled,
    /// A list of items behind other replies: `lru_crawler metadump`.
    MetadumpPipelined,
    /// The same: `lru_crawler mgdump`.
    MgdumpPipelined,
    /// `lru_crawler metadump` under `-X`.
    MetadumpNotAllowed,
    /// `lru_crawler mgdump` under `-X`.
    MgdumpNotAllowed,
    /// `stats cachedump` under `-X`.
    CachedumpNotAllowed,
    /// `stats cachedump` with words missing.
    CachedumpTooFewWords,
    /// `stats cachedump` of a class there is none of.
    CachedumpBadClass,
    /// `lru_crawler` while it is off.
    CrawlerDisabled,
    /// `lru_crawler enable` while it is on.
    CrawlerNotStarted,
    /// `lru_crawler` with a class there is none of.
    CrawlerBadClass,
    /// `lru_crawler` with no class at all.
    CrawlerNoClass,
    /// `lru_crawler crawl hash`.
    CrawlerUnknown,
    /// `lru_crawler sleep` of more than a second.
    CrawlerSleepTooLong,
    /// `slabs reassign` while pages do not move.
    ReassignDisabled,
    /// `slabs reassign` while a page is on its way.
    ReassignBusy,
    /// `slabs reassign` with a class there is none of.
    ReassignBadClass,
    /// `slabs reassign` from a class that has no page to spare.
    ReassignNoSpare,
    /// `slabs reassign` from a class to itself.
    ReassignSame,
    /// `slabs automove window` out of bounds.
    AutomoveWindow,
    /// `lru tune` with shares that leave too little.
    LruTooMuch,
    /// `lru tune` with a factor of nothing.
    LruNoFactor,
    /// Anything but a token, where one is asked for.
    Unauthenticated,
    /// A token that is none of those known.
    UnknownToken,
    /// A token without a space.
    AuthTokenFormat,
    /// A token that does not end where its line said.
    AuthTokenTermination,
    /// A token announced to be longer than any.
    AuthTokenTooLong,
    /// A value that cannot be sent for lack of memory.
    NoMemoryWriting,
    /// `stats` with a name that no report has.
    UnknownReport,
    /// `stats detail` with no word it knows.
    DetailUsage,
    /// `stats hotkeys` under `-X`.
    HotKeysNotAllowed,
    /// `stats detail` under `-X`.
    DetailNotAllowed,
    /// A meta flag that no meta command knows.
    MetaInvalidFlag,
    /// A meta flag given twice.
    MetaDuplicateFlag,
    /// Something is wrong with the flags of `ma`.
    MetaInvalidOrDuplicateFlag,
    /// More words than a meta command takes.
    MetaTooManyFlags,
    /// A meta flag's number that is none.
    MetaBadToken,
    /// A key that is not base64, said to be.
    MetaBadKey,
    /// `O` with too long a token.
    MetaOpaqueTooLong,
    /// `J` without a number.
    MetaInvalidInitial,
    /// `D` without a number.
    MetaInvalidDelta,
    /// `ms` with an unknown mode.
    MetaInvalidSetMode,
    /// `ma` with an unknown mode.
    MetaInvalidArithmeticMode,
    /// `watch` under `-W`.
    WatchNotAllowed,
    /// `watch` behind commands whose answers are not out yet.
    WatchPipelined,
    /// `watch` where twenty do already.
    WatchersTooMany,
}
