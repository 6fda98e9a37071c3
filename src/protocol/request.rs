//! [`Request`]: four data operations that carry the options of every dialect, and what else a client may ask.
//!
//! Every key here has 1 to `KEY_BYTES_MAX` bytes. Exptimes are the numbers of the wire, reduced to the 32 bits
//! that memcached keeps.

use super::ErrorText;
use super::upkeep::{Cachedump, Crawler, Lru, Slabs};

/// One request, borrowed from the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// The head of a line of keys, each a [`Fetch`] with these options, ended by [`Reply::End`](super::Reply::End). The
    /// keys follow in the input.
    Keys(FetchOptions),
    /// A whole line of one key: the same, without the detour.
    OneKey(Fetch<'a>),
    /// A fetch that is answered by itself.
    Fetch(Fetch<'a>),
    /// A value, which follows in the input.
    Store(Store<'a>),
    /// A delete.
    Delete(Delete<'a>),
    /// incr or decr.
    Arithmetic(Arithmetic<'a>),
    /// A meta command, whose flags are not read yet.
    Meta(MetaLine<'a>),
    /// Anything about the server and not about items.
    Admin(Admin<'a>),
    /// A request that cannot be understood, but answered.
    Refused(Refused),
    /// What happens is to be told from now on, instead of anything being answered. The words stand in the line.
    Watch,
    /// Close the connection when the replies so far are sent.
    Quit,
    /// Close the connection at once: what is there does not speak this protocol.
    Hang,
}

/// What a fetch wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchOptions {
    /// The value; a touch does not want it.
    pub value: bool,
    /// The cas number is shown.
    pub cas: bool,
    /// The new exptime of a hit.
    pub touch: Option<i32>,
    /// No reply.
    pub noreply: bool,
}

impl FetchOptions {
    /// Plain `get`.
    pub const GET: Self = Self { value: true, cas: false, touch: None, noreply: false };
    /// `gets`.
    pub const GETS: Self = Self { cas: true, ..Self::GET };
}

/// A key is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch<'a> {
    /// Which.
    pub key: &'a [u8],
    /// How.
    pub options: FetchOptions,
    /// What few fetches ask for.
    pub extras: Option<&'a FetchExtras>,
}

/// What few fetches ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchExtras {
    /// Not a use of the item: neither an access nor a fetch.
    pub no_bump: bool,
    /// About the item, not for it: counted as no get.
    pub inspects: bool,
    /// The value is not wanted if the item's version is this one.
    pub unless_cas: Option<u64>,
    /// Win the item if it expires before this exptime.
    pub recache: Option<i32>,
    /// `recache` looks at the expiry that the touch gave.
    pub recache_after_touch: bool,
    /// A miss makes an empty item with this exptime, and wins it.
    pub create: Option<i32>,
    /// An item so made gets the touch's exptime after all.
    pub touch_created: bool,
    /// Version of an item so made; 0: one of ours.
    pub own_cas: u64,
    /// The key came encoded.
    pub binary_key: bool,
}

/// A value is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Store<'a> {
    /// Where.
    pub key: &'a [u8],
    /// On what condition.
    pub mode: Mode,
    /// The client's opaque number.
    pub client_flags: u32,
    /// How long.
    pub exptime: i32,
    /// Length of the value that follows, without its CRLF, at most 2^31 - 3.
    pub value_len: usize,
    /// No reply.
    pub noreply: bool,
    /// What few stores ask for.
    pub extras: Option<&'a StoreExtras>,
}

/// What few stores ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreExtras {
    /// append and prepend: only to an item of this version.
    pub compare: Option<u64>,
    /// [`Mode::Cas`] with an older version stores, too, as out of date.
    pub or_stale: bool,
    /// append and prepend to a missing key store the value, with this exptime.
    pub create: Option<i32>,
    /// Version of the item; 0: one of ours.
    pub own_cas: u64,
    /// The key came encoded.
    pub binary_key: bool,
    /// Refused for its size or for want of memory, it deletes the old value in any mode, not in [`Mode::Set`] alone.
    pub refusal_deletes: bool,
}

/// When a value may be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Always.
    Set,
    /// If the key is missing.
    Add,
    /// If the key exists.
    Replace,
    /// Behind the existing value.
    Append,
    /// Before the existing value.
    Prepend,
    /// If the item's version is this one.
    Cas(u64),
}

/// A key is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delete<'a> {
    /// Which.
    pub key: &'a [u8],
    /// No reply.
    pub noreply: bool,
    /// What few deletes ask for.
    pub extras: Option<&'a DeleteExtras>,
}

/// What few deletes ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeleteExtras {
    /// Only an item of this version.
    pub compare: Option<u64>,
    /// The item stays, as out of date.
    pub invalidate: bool,
    /// The new exptime of an item that stays.
    pub touch: Option<i32>,
    /// The item stays, empty, with these client flags.
    pub empty: Option<u32>,
    /// Version of an item that stays; 0: one of ours.
    pub own_cas: u64,
}

/// A number is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arithmetic<'a> {
    /// Which.
    pub key: &'a [u8],
    /// By how much.
    pub delta: u64,
    /// Down, stopping at 0, not up.
    pub is_decr: bool,
    /// No reply.
    pub noreply: bool,
    /// What few ask for.
    pub extras: Option<&'a ArithmeticExtras>,
}

/// What few incrs and decrs ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArithmeticExtras {
    /// Only an item of this version.
    pub compare: Option<u64>,
    /// A missing key gets this number and exptime.
    pub create: Option<(u64, i32)>,
    /// An item so made gets the touch's exptime after all.
    pub touch_created: bool,
    /// The new exptime.
    pub touch: Option<i32>,
    /// Version of the item; 0: one of ours.
    pub own_cas: u64,
    /// The key came encoded.
    pub binary_key: bool,
}

/// A line of the meta dialect: [`ascii::meta`](super::ascii::meta) reads its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetaLine<'a> {
    /// The command.
    pub command: MetaCommand,
    /// What follows it.
    pub words: &'a [u8],
}

/// The meta commands that name a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaCommand {
    /// `mg`.
    Get,
    /// `ms`.
    Set,
    /// `md`.
    Delete,
    /// `ma`.
    Arithmetic,
    /// `me`.
    Inspect,
}

/// About the server, not about items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin<'a> {
    /// Forget all items, now or when the exptime comes.
    FlushAll {
        /// 0 and below: now; `None`: something that is no exptime, which is counted all the same.
        exptime: Option<i32>,
        /// No reply.
        noreply: bool,
    },
    /// How much is said on stderr.
    Verbosity {
        /// 0 to 2; more counts as 2.
        level: u32,
        /// No reply.
        noreply: bool,
    },
    /// A new limit of item memory.
    CacheMemlimit {
        /// In megabytes.
        megabytes: u32,
        /// No reply.
        noreply: bool,
    },
    /// `mn`: an answer that ends a pipeline of quiet commands.
    MetaNoop,
    /// Who we are.
    Version,
    /// Read the certificates again.
    RefreshCerts,
    /// End the server.
    Shutdown(Shutdown),
    /// The sweep for expired items, and lists of items.
    Crawler(Crawler<'a>),
    /// Where pages go.
    Slabs {
        /// What about them.
        slabs: Slabs,
        /// No reply.
        noreply: bool,
    },
    /// memcached's queues.
    Lru {
        /// What about them.
        lru: Lru,
        /// No reply.
        noreply: bool,
    },
    /// Some items of a class.
    Cachedump(Cachedump),
    /// A report; its name, empty for the general one.
    Stats {
        /// The report's name.
        report: &'a [u8],
    },
    /// `stats detail`.
    StatsDetail(Detail),
}

/// What is asked about the statistics of key prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Begin to count.
    On,
    /// Stop counting.
    Off,
    /// Show what was counted.
    Dump,
    /// Nothing known.
    Unknown,
}

/// How the server is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// As by SIGINT.
    Now,
    /// As by SIGUSR1.
    Graceful,
    /// In no known way.
    Unknown,
}

/// Why and how a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What is answered.
    pub error: ErrorText,
    /// Bytes after the line that belong to the request, its CRLF included; they are swallowed first.
    pub swallow_bytes: usize,
    /// No reply.
    pub noreply: bool,
}
