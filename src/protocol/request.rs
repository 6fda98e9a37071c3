//! [`Request`]: four data operations that carry the options of every dialect, and what else a client may ask.
//!
//! Every key here has 1 to `KEY_BYTES_MAX` bytes. Exptimes are the numbers of the wire, reduced to the 32 bits
//! that memcached keeps.

use super::ErrorText;

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
    /// Anything about the server and not about items.
    Admin(Admin<'a>),
    /// A request that cannot be understood, but answered.
    Refused(Refused),
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
    /// Who we are.
    Version,
    /// Read the certificates again.
    RefreshCerts,
    /// End the server.
    Shutdown(Shutdown),
    /// A report; its name, empty for the general one.
    Stats {
        /// The report's name.
        report: &'a [u8],
    },
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
