//! The dialects: what a connection reads and writes by. This file and each dialect's folder are all that a dialect is
//! made of; who serves requests knows none by name.
//!
//! ```text
//!  input -> Dialect::parse -> Request { operation, asked } -> command -> Stored, Counted, Hit, Reply
//!                                                  |                                |
//!                                                  +------------> Asked::push_* <---+ -> output
//! ```

use super::{
    ArithmeticExtras, Counted, DeleteExtras, Fetch, FetchExtras, FetchOptions, Fetched, Hit, Quiet, Reply, Request,
    SaslReply, Store, StoreExtras, Stored, ascii, binary,
};
use crate::bytes::Buffer;
use crate::limits::KEY_BYTES_MAX;
use crate::operation::Mode;
use crate::telemetry::{CommandKind, Figure, PrefixTotals};

pub use super::ascii::keys::{KeyLine, NextKey};
pub use super::ascii::token::Words;

/// Room for all that stands before a value.
pub const HEAD_BYTES_MAX: usize =
    if ascii::HEAD_BYTES_MAX > binary::HEAD_BYTES_MAX { ascii::HEAD_BYTES_MAX } else { binary::HEAD_BYTES_MAX };

/// Room for all that stands behind one.
pub const TAIL_BYTES_MAX: usize = ascii::VALUE_TAIL.len();

/// How a client speaks. Between reads a connection is before a request, in a [`KeyLine`], or in what all dialects have
/// in common: a value, bytes to be swallowed, a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Lines of words: the classic commands and the meta commands.
    Ascii,
    /// Packets with a header.
    Binary,
}

/// What stands at the head of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A request and how many bytes of the input its head takes: all of it but a value or keys that are read as they
    /// come.
    Request {
        /// The request.
        request: Request<'a>,
        /// Bytes of its head.
        used: usize,
    },
    /// A part of a request.
    Incomplete,
    /// What cannot become a request.
    Hopeless,
}

/// The head of a request in its plainest form, which nearly all have: it is served without the detour over a
/// [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainHead<'a, F> {
    /// What is to be done.
    pub plain: Plain<'a>,
    /// What the answer shows of it.
    pub form: F,
    /// Its length in the input.
    pub len: usize,
}

/// What nearly all requests ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain<'a> {
    /// A fetch of the value, by key alone.
    Get(&'a [u8]),
    /// A store without condition or extras.
    Set(PlainSet<'a>),
}

/// A [`Store`] in its plainest form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainSet<'a> {
    /// Where.
    pub key: &'a [u8],
    /// The client's opaque number.
    pub client_flags: u32,
    /// How long.
    pub exptime: i64,
    /// Length of the value that follows.
    pub value_len: usize,
}

impl<'a> PlainSet<'a> {
    /// The whole request.
    #[must_use]
    #[inline(always)]
    pub fn store(&self, shows_cas: bool) -> Store<'a> {
        let Self { key, client_flags, exptime, value_len } = *self;
        let (mode, refusal_deletes) = (Mode::Set, true);
        Store { key, mode, client_flags, exptime, value_len, refusal_deletes, shows_cas, extras: None }
    }
}

/// A dialect's plain requests: how they are read, and what the answer to one shows of it, which is less than a [`Form`]
/// may, so that what is read ahead stays small. Who serves them is compiled for each dialect by itself.
pub trait PlainForm: Copy + std::fmt::Debug {
    /// What a plain get wants.
    const OPTIONS: FetchOptions;
    /// Whether the answer to a plain set shows the item's version.
    const SHOWS_CAS: bool;
    /// Whether who wants several values asks for each by itself: runs of gets are then worth code of their own.
    const COMES_IN_RUNS: bool;

    /// Takes a request in its plainest form from the input. `None`: [`Dialect::parse`] knows what it is; what is taken
    /// here, it would read the same.
    fn parse(input: &[u8]) -> Option<PlainHead<'_, Self>>;

    /// How a plain get of this key is answered.
    fn asked_of_get(self, key: &[u8]) -> Asked<'_>;

    /// How a plain set is answered.
    fn asked_of_set(self) -> Asked<'static>;
}

/// What an expression says with a dialect's [`PlainForm`] under this name.
macro_rules! with_plain_form {
    ($dialect:expr, $Form:ident => $says:expr) => {
        match $dialect {
            $crate::protocol::Dialect::Ascii => {
                type $Form = $crate::protocol::ascii::Plain;
                $says
            }
            $crate::protocol::Dialect::Binary => {
                type $Form = $crate::protocol::binary::Plain;
                $says
            }
        }
    };
}
pub(crate) use with_plain_form;

impl<'a, F: PlainForm> PlainHead<'a, F> {
    /// The request's key.
    #[must_use]
    #[inline(always)]
    pub fn key(&self) -> &'a [u8] {
        match &self.plain {
            Plain::Get(key) => key,
            Plain::Set(set) => set.key,
        }
    }

    /// Length of head, value and value's end.
    #[must_use]
    #[inline(always)]
    pub fn whole_len(&self) -> usize {
        match &self.plain {
            Plain::Get(_) => self.len,
            Plain::Set(set) => self.len + set.value_len + self.form.asked_of_set().value_end().len(),
        }
    }
}

/// Room for what a request has that is not in its input as it is wanted, or that few have: filled by the parser, lent
/// to the request.
#[derive(Debug, Default)]
pub struct ParseRoom {
    /// A key that came encoded.
    pub(super) key: Option<[u8; KEY_BYTES_MAX]>,
    pub(super) fetch: Option<FetchExtras>,
    pub(super) store: Option<StoreExtras>,
    pub(super) delete: Option<DeleteExtras>,
    pub(super) arithmetic: Option<ArithmeticExtras>,
    /// What the answer shows of a meta command.
    pub(super) echo: Option<ascii::Echo>,
}

impl Dialect {
    /// The one that `-Y` keeps all clients to.
    pub const TEXT: Self = Self::Ascii;
    /// The one that `-S` keeps them to.
    pub const OF_SASL: Self = Self::Binary;

    /// The one that `-B` calls so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Ascii, Self::Binary].into_iter().find(|dialect| dialect.name() == name)
    }

    /// Its name for `-B` and `stats settings`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ascii => "ascii",
            Self::Binary => "binary",
        }
    }

    /// The dialect that a connection speaks whose first byte is this one.
    #[must_use]
    pub fn told_by(first: u8) -> Self {
        if first == binary::REQUEST_MAGIC { Self::Binary } else { Self::Ascii }
    }

    /// Takes one request from the input; `room` is for what it has no room for itself.
    #[must_use]
    #[inline]
    pub fn parse<'a>(self, input: &'a [u8], room: &'a mut ParseRoom) -> Parsed<'a> {
        match self {
            Self::Ascii => ascii::classic::parse(input, room),
            Self::Binary => binary::parse(input, room),
        }
    }

    /// Whether the head of a request stands whole in the input.
    #[must_use]
    pub fn has_head(self, input: &[u8]) -> bool {
        match self {
            Self::Ascii => ascii::token::line(input).is_some(),
            Self::Binary => binary::has_head(input),
        }
    }

    /// What a log shows of a request or of replies.
    #[must_use]
    pub fn logged(self, bytes: &[u8]) -> &[u8] {
        match self {
            Self::Ascii => ascii::token::line(bytes).map_or(bytes, |line| line.text),
            Self::Binary => binary::logged(bytes),
        }
    }

    /// The line that who watches commands is shown of a request, if it has one.
    #[must_use]
    pub fn told(self, input: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Ascii => Some(self.logged(input)),
            Self::Binary => None,
        }
    }
}

/// How a request is answered: which outcomes are told, and in what form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Which outcomes are not told.
    pub quiet: Quiet,
    /// What the answer shows of its request.
    pub form: Form<'a>,
}

/// What an answer shows of its request, in the dialect that it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form<'a> {
    /// A line of words.
    Ascii(ascii::Form<'a>),
    /// A packet.
    Binary(binary::Form<'a>),
}

impl<'a> Asked<'a> {
    /// What ends the request's value in the input.
    #[must_use]
    #[inline(always)]
    pub fn value_end(&self) -> &'static [u8] {
        match &self.form {
            Form::Ascii(_) => ascii::VALUE_TAIL,
            Form::Binary(_) => b"",
        }
    }

    /// Whether the request is a meta command.
    #[must_use]
    pub fn is_meta(&self) -> bool {
        matches!(&self.form, Form::Ascii(ascii::Form::Meta { .. } | ascii::Form::Inspection { .. }))
    }

    /// The kind of a request for a store, for who counts by that.
    #[must_use]
    pub fn kind_of_store(&self) -> CommandKind {
        if self.is_meta() { CommandKind::MetaSet } else { CommandKind::Set }
    }

    /// Appends what is answered, if that is told.
    #[inline(always)]
    pub fn push_reply(&self, out: &mut Buffer, reply: Reply) {
        if !self.quiet.hides(reply) {
            match &self.form {
                Form::Ascii(form) => form.push_reply(out, reply),
                Form::Binary(form) => form.push_reply(out, reply),
            }
        }
    }

    /// Appends what is answered to a step of SASL that is not refused. Text has no such step.
    pub fn push_sasl(&self, out: &mut Buffer, reply: &SaslReply<'_>) {
        match &self.form {
            Form::Ascii(_) => {}
            Form::Binary(form) => form.push_sasl(out, reply),
        }
    }

    /// Appends what became of a value.
    #[inline(always)]
    pub fn push_stored(&self, out: &mut Buffer, stored: &Stored) {
        if !self.quiet.hides(stored.reply) {
            match &self.form {
                Form::Ascii(form) => form.push_stored(out, stored),
                Form::Binary(form) => form.push_stored(out, stored),
            }
        }
    }

    /// Appends what became of a number.
    pub fn push_counted(&self, out: &mut Buffer, counted: &Counted) {
        if !self.quiet.hides(counted.reply) {
            match &self.form {
                Form::Ascii(form) => form.push_counted(out, counted),
                Form::Binary(form) => form.push_counted(out, counted),
            }
        }
    }

    /// Appends a figure of a report.
    pub fn push_figure(&self, out: &mut Buffer, figure: &Figure<'_>) {
        match &self.form {
            Form::Ascii(_) => ascii::push_stat(out, figure),
            Form::Binary(form) => binary::push_stat(out, form, figure),
        }
    }

    /// Appends a line of its own.
    pub fn push_line(&self, out: &mut Buffer, line: &str) {
        match &self.form {
            Form::Ascii(_) => ascii::push_line(out, line),
            Form::Binary(form) => form.push_line(out, line),
        }
    }

    /// Appends the counts of all prefixes, and their end.
    pub fn push_prefixes<'p>(&self, out: &mut Buffer, prefixes: impl Iterator<Item = (&'p [u8], &'p PrefixTotals)>) {
        match &self.form {
            Form::Ascii(_) => ascii::push_prefixes(out, prefixes),
            Form::Binary(form) => binary::push_prefixes(out, form, prefixes),
        }
    }

    /// Appends a hit with its value.
    #[inline(always)]
    pub fn push_hit(&self, out: &mut Buffer, fetch: &Fetch<'_>, hit: &Hit<'_>, value: &[u8]) {
        match &self.form {
            Form::Ascii(form) => form.push_hit(out, fetch, hit, value),
            Form::Binary(form) => form.push_hit(out, hit, value),
        }
    }

    /// Appends what stands before a value of this length, which its caller appends.
    pub fn push_hit_head(&self, out: &mut Buffer, fetch: &Fetch<'_>, hit: &Hit<'_>, value_len: usize) {
        match &self.form {
            Form::Ascii(form) => form.push_hit_head(out, fetch, hit, value_len),
            Form::Binary(form) => form.push_hit_head(out, hit, value_len),
        }
    }

    /// Appends what stands behind it.
    pub fn push_hit_tail(&self, out: &mut Buffer) {
        match &self.form {
            Form::Ascii(_) => out.extend_from_slice(ascii::VALUE_TAIL),
            Form::Binary(_) => {}
        }
    }

    /// Appends a hit whose value is not wanted.
    #[inline]
    pub fn push_found(&self, out: &mut Buffer, hit: &Hit<'_>) {
        if self.quiet != Quiet::All {
            match &self.form {
                Form::Ascii(form) => form.push_found(out, hit),
                Form::Binary(form) => form.push_found(out, hit),
            }
        }
    }

    /// Appends what is left to be said of a fetch: a hit has been shown.
    #[inline(always)]
    pub fn push_fetched(&self, out: &mut Buffer, fetched: Fetched) {
        let is_hidden = match fetched {
            Fetched::Miss => matches!(self.quiet, Quiet::Misses | Quiet::All),
            Fetched::Hit | Fetched::NoMemory => self.quiet == Quiet::All,
        };
        if !is_hidden {
            match &self.form {
                Form::Ascii(form) => form.push_fetched(out, fetched),
                Form::Binary(form) => form.push_fetched(out, fetched),
            }
        }
    }

    /// The same in memory of its own, for a value that takes its time.
    #[must_use]
    pub fn keep(&self) -> AskedKept {
        let form = match &self.form {
            Form::Ascii(form) => FormKept::Ascii(form.keep()),
            Form::Binary(form) => FormKept::Binary(form.keep()),
        };
        AskedKept { quiet: self.quiet, form }
    }
}

/// [`Asked`] in memory of its own.
#[derive(Debug)]
pub struct AskedKept {
    quiet: Quiet,
    form: FormKept,
}

#[derive(Debug)]
enum FormKept {
    Ascii(ascii::FormKept),
    Binary(binary::Form<'static>),
}

impl AskedKept {
    /// How the request is answered.
    #[must_use]
    pub fn asked(&self) -> Asked<'_> {
        let form = match &self.form {
            FormKept::Ascii(form) => Form::Ascii(form.form()),
            FormKept::Binary(form) => Form::Binary(*form),
        };
        Asked { quiet: self.quiet, form }
    }
}
