//! Every error text of the protocol, once.

/// An error reply. The words are memcached's, so that clients that look at them go on working.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorText {
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
    AuthenticationFailure,
    /// A token without a space.
    AuthTokenFormat,
    /// A token that does not end where its line said.
    AuthTokenTermination,
    /// A token announced to be longer than any.
    AuthTokenTooLong,
    /// A value that cannot be sent for lack of memory.
    NoMemoryWriting,
    /// `stats detail` with no word it knows.
    DetailUsage,
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

impl ErrorText {
    /// The line without its end.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::UnknownCommand => "ERROR",
            Self::BadFormat => "CLIENT_ERROR bad command line format",
            Self::BadDataChunk => "CLIENT_ERROR bad data chunk",
            Self::InvalidExptime => "CLIENT_ERROR invalid exptime argument",
            Self::InvalidDelta => "CLIENT_ERROR invalid numeric delta argument",
            Self::NonNumeric => "CLIENT_ERROR cannot increment or decrement non-numeric value",
            Self::OutOfMemory => "SERVER_ERROR out of memory",
            Self::TooLarge => "SERVER_ERROR object too large for cache",
            Self::NoMemoryStoring => "SERVER_ERROR out of memory storing object",
            Self::FlushNotAllowed => "CLIENT_ERROR flush_all not allowed",
            Self::ShutdownNotEnabled => "SERVER_ERROR: shutdown not enabled",
            Self::InvalidShutdownMode => "CLIENT_ERROR invalid shutdown mode",
            Self::MemlimitTooSmall => "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m",
            Self::MemlimitNotBytes => "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes",
            Self::MemlimitOutOfBounds => "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust",
            Self::TlsNotEnabled => "Error TLS not enabled",
            Self::MetadumpPipelined => "ERROR cannot pipeline other commands before metadump",
            Self::MgdumpPipelined => "ERROR cannot pipeline other commands before mgdump",
            Self::MetadumpNotAllowed => "ERROR metadump not allowed",
            Self::MgdumpNotAllowed => "ERROR key dump not allowed",
            Self::CachedumpNotAllowed => "CLIENT_ERROR stats cachedump not allowed",
            Self::CachedumpTooFewWords => "CLIENT_ERROR bad command line",
            Self::CachedumpBadClass => "CLIENT_ERROR Illegal slab id",
            Self::CrawlerDisabled => "CLIENT_ERROR lru crawler disabled",
            Self::CrawlerNotStarted => "ERROR failed to start lru crawler thread",
            Self::CrawlerBadClass => "BADCLASS invalid class id",
            Self::CrawlerNoClass => "NOTSTARTED no items to crawl",
            Self::CrawlerUnknown => "ERROR an unknown error happened",
            Self::CrawlerSleepTooLong => "CLIENT_ERROR sleep must be one second or less",
            Self::ReassignDisabled => "CLIENT_ERROR slab reassignment disabled",
            Self::ReassignBusy => "BUSY currently processing reassign request",
            Self::ReassignBadClass => "BADCLASS invalid src or dst class id",
            Self::ReassignNoSpare => "NOSPARE source class has no spare pages",
            Self::ReassignSame => "SAME src and dst class are identical",
            Self::AutomoveWindow => "CLIENT_ERROR automove window too low or too high",
            Self::LruTooMuch => "ERROR hot and warm pcts must not exceed 80",
            Self::LruNoFactor => "ERROR hot/warm age factors must be greater than 0",
            Self::Unauthenticated => "CLIENT_ERROR unauthenticated",
            Self::AuthenticationFailure => "CLIENT_ERROR authentication failure",
            Self::AuthTokenFormat => "CLIENT_ERROR bad authentication token format",
            Self::AuthTokenTermination => "CLIENT_ERROR bad command line termination",
            Self::AuthTokenTooLong => "CLIENT_ERROR auth token too long",
            Self::NoMemoryWriting => "SERVER_ERROR out of memory writing get response",
            Self::DetailUsage => "CLIENT_ERROR usage: stats detail on|off|dump",
            Self::DetailNotAllowed => "CLIENT_ERROR stats detail not allowed",
            Self::MetaInvalidFlag => "CLIENT_ERROR invalid flag",
            Self::MetaDuplicateFlag => "CLIENT_ERROR duplicate flag",
            Self::MetaInvalidOrDuplicateFlag => "CLIENT_ERROR invalid or duplicate flag",
            Self::MetaTooManyFlags => "CLIENT_ERROR options flags are too long",
            Self::MetaBadToken => "CLIENT_ERROR bad token in command line format",
            Self::MetaBadKey => "CLIENT_ERROR error decoding key",
            Self::MetaOpaqueTooLong => "CLIENT_ERROR opaque token too long",
            Self::MetaInvalidInitial => "CLIENT_ERROR invalid numeric initial value",
            Self::MetaInvalidDelta => "CLIENT_ERROR invalid numeric delta value",
            Self::MetaInvalidSetMode => "CLIENT_ERROR invalid mode for ms M token",
            Self::MetaInvalidArithmeticMode => "CLIENT_ERROR invalid mode for ma M token",
            Self::WatchNotAllowed => "CLIENT_ERROR watch commands not allowed",
            Self::WatchPipelined => "ERROR cannot pipeline other commands before watch",
            Self::WatchersTooMany => "WATCHER_TOO_MANY log watcher limit reached",
        }
    }
}
