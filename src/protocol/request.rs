//! [`Request`]: four data operations that carry the options of every dialect, and what else a client may ask.
//!
//! Every key here has 1 to `KEY_BYTES_MAX` bytes. Exptimes are the numbers of the wire, reduced to the 32 bits
//! that memcached keeps: signed or not is the dialect's to say, so they stand in 64.

use super::background::{Cachedump, Crawler, Lru, Slabs};
use super::{Asked, Failure, KeyLine, Words};
use crate::operation::{self, Mode};
use crate::telemetry::CommandKind;

/// What few fetches ask for, in exptimes.
pub type FetchExtras = operation::FetchExtras<i64>;
/// What few stores ask for, in exptimes.
pub type StoreExtras = operation::StoreExtras<i64>;
/// What few deletes ask for, in exptimes.
pub type DeleteExtras = operation::DeleteExtras<i64>;
/// What few incrs and decrs ask for, in exptimes.
pub type ArithmeticExtras = operation::ArithmeticExtras<i64>;

/// One request, borrowed from the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// What is to be done.
    pub operation: Operation<'a>,
    /// How it is answered.
    pub asked: Asked<'a>,
}

impl Request<'_> {
    /// Its kind, for who counts by that. Of a line of keys it is that of the line, whose keys come one by one.
    #[must_use]
    pub fn kind(&self) -> CommandKind {
        let is_meta = self.asked.is_meta();
        match &self.operation {
            Operation::Fetch(_) if is_meta => CommandKind::MetaGet,
            Operation::Fetch(fetch) => fetch.options.kind(),
            Operation::Keys(line) => line.options().kind(),
            Operation::Store(_) => self.asked.kind_of_store(),
            Operation::Delete(_) if is_meta => CommandKind::MetaDelete,
            Operation::Delete(_) => CommandKind::Delete,
            Operation::Arithmetic(_) if is_meta => CommandKind::MetaArithmetic,
            Operation::Arithmetic(_) => CommandKind::Arithmetic,
            Operation::Admin(_)
            | Operation::Refused(_)
            | Operation::Sasl(_)
            | Operation::Watch(_)
            | Operation::Quit
            | Operation::HangUp(_)
            | Operation::Hang => CommandKind::Other,
        }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// A fetch.
    Fetch(Fetch<'a>),
    /// A fetch of each key of a line, which may be of any length: they are read and served as they come.
    Keys(KeyLine),
    /// A value, which follows in the input.
    Store(Store<'a>),
    /// A delete.
    Delete(Delete<'a>),
    /// incr or decr.
    Arithmetic(Arithmetic<'a>),
    /// Anything about the server and not about items.
    Admin(Admin<'a>),
    /// Nothing: the request cannot be understood, but answered.
    Refused(Refused),
    /// A client shows who it is. What it says follows in the input.
    Sasl(Sasl<'a>),
    /// From now on these kinds of events are to be told, instead of anything being answered.
    Watch(Words<'a>),
    /// Close the connection when the replies so far are sent.
    Quit,
    /// Say why not, and close the connection: nobody knows where the next request begins.
    HangUp(Failure),
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
    pub touch: Option<i64>,
}

impl FetchOptions {
    /// Plain `get`.
    pub const GET: Self = Self { value: true, cas: false, touch: None };
    /// `gets`.
    pub const GETS: Self = Self { cas: true, ..Self::GET };

    /// The kind of a classic command with these options.
    #[must_use]
    pub fn kind(&self) -> CommandKind {
        if self.touch.is_some() { CommandKind::Touch } else { CommandKind::Get }
    }
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
    pub exptime: i64,
    /// Length of the value that follows, without what ends it, at most 2^31 - 3.
    pub value_len: usize,
    /// Refused for its size or for want of memory, it deletes the old value: who asked for a new one must not go on
    /// reading the old.
    pub refusal_deletes: bool,
    /// The answer shows the item's version.
    pub shows_cas: bool,
    /// What few stores ask for.
    pub extras: Option<&'a StoreExtras>,
}

/// A key is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delete<'a> {
    /// Which.
    pub key: &'a [u8],
    /// What few deletes ask for.
    pub extras: Option<&'a DeleteExtras>,
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
    /// What few ask for.
    pub extras: Option<&'a ArithmeticExtras>,
}

/// About the server, not about items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin<'a> {
    /// Forget all items, now or when the exptime comes.
    FlushAll {
        /// 0 and below: now; `None`: something that is no exptime, which is counted all the same.
        exptime: Option<i64>,
    },
    /// How much is said on stderr.
    Verbosity {
        /// 0 to 2; more counts as 2.
        level: u32,
    },
    /// A new limit of item memory.
    CacheMemlimit {
        /// In megabytes.
        megabytes: u32,
    },
    /// An answer, which ends a pipeline of quiet requests.
    Noop,
    /// Who we are.
    Version,
    /// Read the certificates again.
    RefreshCerts,
    /// End the server.
    Shutdown(Shutdown),
    /// The sweep for expired items, and lists of items.
    Crawler(Crawler<'a>),
    /// Where pages go.
    Slabs(Slabs),
    /// memcached's queues.
    Lru(Lru),
    /// Some items of a class.
    Cachedump(Cachedump),
    /// A report; its name, empty for the general one.
    Stats {
        /// The report's name.
        report: &'a [u8],
    },
    /// `stats detail`.
    StatsDetail(Detail),
    /// `stats hotkeys`.
    StatsHotKeys {
        /// How many keys are wanted; `None`: something that is no number.
        keys_max: Option<u32>,
    },
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

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What is answered.
    pub failure: Failure,
    /// Bytes behind the request's head that belong to it; they are swallowed first.
    pub swallow_bytes: usize,
}

/// A step of SASL (RFC 4422).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sasl<'a> {
    /// Which.
    pub step: SaslStep<'a>,
    /// Bytes behind the request's head that the mechanism is to read.
    pub data_len: usize,
}

/// Which step of SASL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslStep<'a> {
    /// Which mechanisms there are.
    Mechanisms,
    /// Begin with a mechanism.
    Start {
        /// Its name.
        mechanism: &'a [u8],
    },
    /// Go on with it.
    Next {
        /// Its name.
        mechanism: &'a [u8],
    },
}
